"""What every format of an export has, and which there are."""

from __future__ import annotations

import importlib.metadata
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, Protocol

from augment.augmenter import NOT_AUGMENTED
from augment.codec import decode_stored, encode_png
from augment.targets import Annotation
from pipelines.format.example import Record
from pipelines.format.layout import Shard, tfds_split
from pipelines.format.manifest import File, Manifest


class Item(NamedTuple):
    """One sample on its way into an export."""

    number: int
    """its place in the shard"""
    data: bytes
    """the record"""
    record: Record
    label: str
    """the name of its class"""
    annotation: Annotation = Annotation()
    """what is in it, in places of its own image"""
    mask: bytes = b""
    """a PNG of 8-bit gray; empty if it has none"""
    ids: tuple[int, ...] = ()
    """of each object the place in the annotation of its source"""


Lines = Callable[[], Iterator[dict[str, Any]]]
"""Reads the lists of a split's shards, one after the other, as often as it is called."""


class Writer(Protocol):
    """Writes one file of an export, an item at a time."""

    def write(self, item: Item) -> None: ...

    def close(self) -> None:
        """Ends the file."""


class Format(ABC):
    """How an export lies on the disk. One file stands for one shard of the dataset."""

    name: str
    """for --to"""
    extra: str | None = None
    """what of augshard brings the library that writes it, where that is not always there"""
    libraries: tuple[str, ...] = ()
    """distributions whose versions decide bytes"""
    shows_pictures = True
    """whether images are files such as others read, and not records"""

    def __init__(self, manifest: Manifest, *, keeps_extensions: bool) -> None:
        self.manifest, self.keeps_extensions = manifest, keeps_extensions

    @abstractmethod
    def file(self, shard: Shard) -> str:
        """The path of a shard's file in the export."""

    @abstractmethod
    def writer(self, path: str, shard: Shard, beside: str) -> Writer:
        """Of a new file, which will lie in the folder or URL `beside` as `file` says."""

    @abstractmethod
    def how_to_read(self, output: str, splits: Sequence[str]) -> str:
        """What a user types to read an export of these splits."""

    def why_not(self) -> str | None:
        """Why the dataset cannot be written so, as the end of a sentence; None if it can."""
        return None

    def texts(self, files: dict[str, File]) -> dict[str, str]:
        """The small files beside those of the shards, which are `files`."""
        return {}

    def joined(self, lists: dict[str, Lines]) -> Iterator[tuple[str, Iterator[str]]]:
        """Files that are put together from the lists of all shards, in parts; `lists` has those by split."""
        yield from ()

    def files_beside(self, lists: dict[str, Lines]) -> int:
        """How many files there are beside those of the shards and of all."""
        return 0

    def versions(self) -> dict[str, str]:
        """Of all that decides bytes here. Raises importlib.metadata.PackageNotFoundError."""
        versions = {name: importlib.metadata.version(name) for name in self.libraries}
        if self.manifest.request.storage.format == "raw" and self.shows_pictures:
            versions["zlib-ng"] = importlib.metadata.version("zlib-ng")
        return versions

    @property
    def extension(self) -> str:
        """Of a picture."""
        return "jpg" if self.manifest.request.storage.format == "jpeg" else "png"

    def picture(self, record: Record) -> bytes:
        """A sample's image as a file: the bytes that the record holds, or a PNG of raw pixels."""
        storage = self.manifest.request.storage
        if storage.format != "raw":
            return record.image
        return encode_png(decode_stored(record.image, storage, self.manifest.image_shape))

    def picture_name(self, split: str, item: Item) -> str:
        """`train/cat/001__c2.jpg` for copy 2 of train/cat/001.jpg, or of cat/001.jpg."""
        parts = item.record.source.split("/")
        for above in ([split, item.label], [item.label]):
            if parts[: len(above)] == above and len(parts) > len(above):
                parts = parts[len(above) :]
                break
        inside = "/".join(parts)
        stem = inside if self.keeps_extensions else without_extension(inside)
        return f"{split}/{item.label}/{stem}__{copy_name(item.record.copy)}.{self.extension}"

    def stem(self, source: str, split: str) -> str:
        """What of a source's id is in names: sources of one split have to differ in it."""
        return without_extension(source)


def numbered(shard: Shard) -> str:
    """`train_c0-00001-of-00004`."""
    return f"{tfds_split(shard.split, shard.copy)}-{shard.number:05d}-of-{shard.of:05d}"


def copy_name(copy: int) -> str:
    """`c2`, or `original`."""
    return "original" if copy == NOT_AUGMENTED else f"c{copy}"


def without_extension(source: str) -> str:
    """`cat/001` for `cat/001.jpg`."""
    folder, slash, name = source.rpartition("/")
    return folder + slash + (name.rpartition(".")[0] or name)
