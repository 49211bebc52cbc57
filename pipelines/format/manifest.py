"""The manifest: the description of a finished dataset, written last.

A directory with a manifest is complete; without one it is no dataset.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from augment.errors import RequestError
from augment.recipe import Shape
from pipelines import storage
from pipelines.format.bounds import (
    MANIFEST_BYTES,
    MOST_CLASSES,
    MOST_SPLITS,
    ClassName,
    Count,
    FileName,
    ImageSize,
    ParityClass,
    Sha256,
    SplitName,
    first_fault,
    short,
)
from pipelines.format.copies import ClassCopies, SplitCopies, Tier, class_copies, tiers, tiers_of
from pipelines.format.inside import read_in
from pipelines.format.layout import FEATURES, MANIFEST, REJECTS, samples_file, shard_file, tfds_split
from pipelines.format.request import SCHEMA_VERSION, Request
from pipelines.format.targets import Targets
from pipelines.format.tfds import label_files, supervised
from pipelines.sources import UNLABELED


class SplitCounts(SplitCopies):
    """One split in numbers."""

    written: Count
    """images of which there are records, in every copy that they have"""


@dataclasses.dataclass(frozen=True, slots=True)
class File:
    """One file of the dataset. A large one has millions, so it takes little memory."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    bytes: Count
    sha256: Sha256
    records: Count | None = None
    """of a shard"""


class Manifest(BaseModel):
    """What a finished dataset is, and what made it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal[1]  # SCHEMA_VERSION
    fingerprint: Sha256
    request: Request
    image_size: ImageSize
    """height and width"""
    classes: Annotated[tuple[ClassName, ...], Field(max_length=MOST_CLASSES)]
    """by label"""
    targets: Targets | None = None
    """what records have beside images; None: nothing"""
    splits: Annotated[dict[SplitName, SplitCounts], Field(max_length=MOST_SPLITS)]
    records: Count
    rejects: Count
    ignored: dict[str, Count]
    """files that are no images by their name, by extension"""
    listing_digest: Sha256
    parity_class: ParityClass
    files: dict[FileName, File]
    """every file but this one, run.json, and dataset_info.json, which follows from it; by path"""
    digest: Sha256 | Literal[""] = ""
    """SHA-256 of this file without this line: the only file that no other one has a digest of"""

    @property
    def image_shape(self) -> Shape:
        """Height, width and channels of every image."""
        return (*self.image_size, self.request.channels)

    @property
    def supervised(self) -> str | None:
        """The feature that is learned of an image, where there is one."""
        return supervised(self.classes, self.targets)

    @property
    def labeled(self) -> bool:
        """Whether records have a label."""
        return self.classes != (UNLABELED,)

    def tiers(self, split: str) -> tuple[Tier, ...]:
        """The stored copies of a split, those of the same sources together."""
        counts = self.splits[split]
        return tiers_of(self.request, counts, counts.written)

    def copies(self, split: str) -> tuple[int, ...]:
        """The copies that are stored of a split, NOT_AUGMENTED first where it is among them."""
        return tuple(copy for tier in self.tiers(split) for copy in tier.copies)

    def groups(self, split: str, copy: int) -> int:
        """Of how many shards a copy of a split is."""
        return next(tier.groups for tier in self.tiers(split) if tier.first <= copy < tier.end)

    def shard_lengths(self) -> dict[str, list[tuple[int, int]]]:
        """(records, bytes) of each shard, by TFDS's split."""
        lengths: dict[str, list[tuple[int, int]]] = {}
        for split, copy, _, name in self.shards():
            file = self.files[name]
            lengths.setdefault(tfds_split(split, copy), []).append((file.records or 0, file.bytes))
        return lengths

    def shards(self) -> Iterator[tuple[str, int, int, str]]:
        """Split, copy, number and file of every shard that there must be, copies of one group together."""
        for split, copy, number, groups in self._places():
            yield split, copy, number, shard_file(self.request.name, split, copy, number, groups)

    def _places(self) -> Iterator[tuple[str, int, int, int]]:
        """The same with the number of shards that the copy is of."""
        for split in self.splits:
            for tier in self.tiers(split):
                for number in range(tier.groups):
                    for copy in tier.copies:
                        yield split, copy, number, tier.groups

    def faults(self, content: bytes) -> Iterator[tuple[str, str]]:
        """Why it is not to be believed, whatever its files are: a word each, and a sentence.

        `content` is the file. Walks over no more shards than it lists.
        """
        line = f'\n "digest": "{self.digest}",\n'.encode()
        if hashlib.sha256(content.replace(line, b"\n", 1)).hexdigest() != self.digest:
            yield "manifest", "it does not have the digest that stands in it: it was changed"
        if self.request.fingerprint({s: c.groups for s, c in self.splits.items()}) != self.fingerprint:
            yield "fingerprint", "the request in it (recipe, seed, ...) is not the one of its fingerprint"
        yield from self._odd_copies()
        listed = sum(file.records is not None for file in self.files.values())
        if sum(tier.shards for split in self.splits for tier in self.tiers(split)) != listed:
            yield "files", f"name, splits and copies in it do not make the {listed:,} shards that it lists"
            return
        names = {FEATURES, REJECTS} | label_files(self.classes, self.targets).keys()
        for place in self._places():
            names |= {shard_file(self.request.name, *place), samples_file(*place)}
        for name in sorted(names ^ self.files.keys()):
            said = "it does not list" if name in names else "it lists a file that is none of a dataset:"
            yield "files", f"{said} {name}"

    def _odd_copies(self) -> Iterator[tuple[str, str]]:
        """Where the copies of classes are not what the request makes of their images."""
        for split, counts in self.splits.items():
            if (counts.classes is None) != (counts.tiers is None):
                yield "count", f"its splits.{split} has classes without tiers, or the reverse"
            elif (counts.classes is not None) != (self.request.by_class and counts.augmented):
                yield (
                    "count",
                    f"its splits.{split} has copies by class where the request has not, or the reverse",
                )
            elif counts.classes is not None:
                yield from self._odd_classes(split, counts, counts.classes)

    def _odd_classes(
        self, split: str, counts: SplitCounts, classes: dict[str, ClassCopies]
    ) -> Iterator[tuple[str, str]]:
        try:
            wanted = class_copies(self.request, {label: one.sources for label, one in classes.items()}, split)
        except RequestError as error:
            yield "count", str(error)
            return
        for label, one in classes.items():
            nameless = one.model_copy(update={"last": None})
            if wanted is None or nameless != wanted[label] or (one.last is not None) != bool(one.more):
                yield (
                    "count",
                    f"class {label!r} of split {split} does not get the copies that the request gives",
                )
        if sum(one.sources for one in classes.values()) != counts.sources:
            yield "count", f"the classes of split {split} do not add up to its {counts.sources:,} sources"
        stated = [(tier.first, tier.end, tier.sources) for tier in self.tiers(split)]
        derived = tiers(classes.values(), originals=self.request.originals, groups=lambda _: 1)
        if stated != [(tier.first, tier.end, tier.sources) for tier in derived]:
            yield "count", f"the tiers of split {split} are not those of its classes"

    def sealed(self) -> Manifest:
        """The same with its digest."""
        digest = hashlib.sha256()
        for part in self._text({"digest"}):
            digest.update(part.encode())
        return self.model_copy(update={"digest": digest.hexdigest()})

    def text(self) -> Iterator[str]:
        """The file, in parts: it has an entry for every other one."""
        return self._text(set())

    def content(self) -> bytes:
        """The file."""
        return b"".join(part.encode() for part in self.text())

    def _text(self, without: set[str]) -> Iterator[str]:
        document = self.model_dump(mode="json", exclude_none=True, exclude={"files", *without})
        encoder = json.JSONEncoder(**_STYLE, default=_fields)
        yield from encoder.iterencode({**document, "files": self.files})
        yield "\n"


def _fields(file: File) -> dict[str, Any]:
    fields = {"bytes": file.bytes, "sha256": file.sha256}
    return fields if file.records is None else {**fields, "records": file.records}


def parity_differences(there: dict[str, str], here: dict[str, str]) -> list[str]:
    """How a parity class differs from another, in words."""
    return [
        f"{what} was {value}, now {here.get(what)}"
        for what, value in there.items()
        if here.get(what) != value
    ]


def read_manifest(directory: str, name: str = MANIFEST) -> Manifest:
    """The manifest of a finished dataset. Raises RequestError if there is none that can be believed."""
    storage.at(directory)  # which knows what a path is
    manifest, content = open_manifest(directory, name)
    for _, fault in manifest.faults(content):
        path = os.path.join(directory, name)
        raise RequestError(f"{path}: {fault}; augshard audit {directory} says more")
    return manifest


def open_manifest(directory: str, name: str = MANIFEST) -> tuple[Manifest, bytes]:
    """The same as far as it can be read, for who says what is wrong with it; and the file.

    What stands in it is within its bounds. Raises RequestError if it is not, or there is none.
    """
    path = os.path.join(directory, name)
    try:
        content = read_in(directory, name, MANIFEST_BYTES)
    except FileNotFoundError:
        if storage.at(directory).is_file_system and not os.path.exists(directory):
            raise RequestError(f"{directory}: there is no such directory") from None
        raise RequestError(
            f"{directory}: it holds no {MANIFEST}, so it is no finished dataset; "
            "finish it with the same augshard materialize"
        ) from None
    except NotADirectoryError:
        raise RequestError(f"{directory}: it is not a directory") from None
    except OSError as error:
        raise RequestError(f"{path}: it cannot be read ({storage.reason(error)})") from None
    return parse_manifest(content, path), content


def parse_manifest(content: bytes, path: str) -> Manifest:
    """A manifest that may be anybody's. Raises RequestError, with its path, if it is not within bounds."""
    try:
        document = json.loads(content.decode())
    except RecursionError:
        raise RequestError(f"{path}: it cannot be read (it is nested too deep)") from None
    except ValueError as error:
        raise RequestError(f"{path}: it cannot be read ({error})") from None
    if not isinstance(document, dict) or "schema_version" not in document:
        raise RequestError(f"{path}: it is no manifest of augshard's, for it has no schema_version")
    version = document["schema_version"]
    if version != SCHEMA_VERSION:
        raise RequestError(
            f"{path}: its schema_version is {short(version)}; this augshard reads version {SCHEMA_VERSION}"
        )
    try:
        return Manifest.model_validate(document)
    except ValidationError as error:
        raise RequestError(f"{path}: it is damaged at {first_fault(error)}") from None


_STYLE: dict[str, Any] = {"indent": 1, "sort_keys": True, "ensure_ascii": False}


def json_text(document: Any) -> str:
    """JSON as it stands in our files: sorted, indented, ending in a line break."""
    return json.dumps(document, **_STYLE) + "\n"
