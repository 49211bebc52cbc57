"""The manifest: the description of a finished dataset, written last.

A directory with a manifest is complete; without one it is no dataset.
"""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.metadata
import json
import os
import platform
import zlib
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from augment.errors import RequestError
from pipelines import storage
from pipelines.format.layout import MANIFEST, shard_file, tfds_split
from pipelines.format.request import SCHEMA_VERSION, Request


class SplitCounts(BaseModel):
    """One split in numbers."""

    sources: int
    """images listed"""
    written: int
    """images of which there are records, in every copy"""
    groups: int
    """shards a copy"""
    augmented: bool


@dataclasses.dataclass(frozen=True, slots=True)
class File:
    """One file of the dataset. A large one has millions, so it takes little memory."""

    bytes: int
    sha256: str
    records: int | None = None
    """of a shard"""


class Manifest(BaseModel):
    """What a finished dataset is, and what made it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: int
    fingerprint: str
    request: Request
    image_size: tuple[int, int]
    """height and width"""
    classes: tuple[str, ...]
    """by label"""
    splits: dict[str, SplitCounts]
    records: int
    rejects: int
    ignored: dict[str, int]
    """files that are no images by their name, by extension"""
    listing_digest: str
    parity_class: dict[str, str]
    files: dict[str, File]
    """every file but this one, run.json, and dataset_info.json, which follows from it; by path"""
    digest: str = ""
    """SHA-256 of this file without this line: the only file that no other one has a digest of"""

    def copies(self, split: str) -> tuple[int, ...]:
        """The copies that are stored of a split, NOT_AUGMENTED first where it is among them."""
        return self.request.copies_of(augmented=self.splits[split].augmented)

    def shard_lengths(self) -> dict[str, list[tuple[int, int]]]:
        """(records, bytes) of each shard, by TFDS's split."""
        lengths = {}
        for split, counts in self.splits.items():
            for copy in self.copies(split):
                names = (
                    shard_file(self.request.name, split, copy, i, counts.groups) for i in range(counts.groups)
                )
                shards = [self.files[name] for name in names]
                lengths[tfds_split(split, copy)] = [(shard.records or 0, shard.bytes) for shard in shards]
        return lengths

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


def parity_class() -> dict[str, str]:
    """What must match for pixels and bytes to match.

    The job and `augment_image` pin all they compute to the CPU, whatever else there is. Nothing of ours
    asks for XLA; an environment that makes TensorFlow compile what it can is recorded as `auto`.
    """
    versions = {
        name: importlib.metadata.version(name) for name in ("tensorflow", "numpy", "pillow", "pyarrow")
    }
    return {
        **versions,
        "zlib": zlib.ZLIB_RUNTIME_VERSION,
        "machine": platform.machine(),
        "device": "cpu",
        "xla": "auto" if "--tf_xla_auto_jit" in os.environ.get("TF_XLA_FLAGS", "") else "no",
    }


def parity_differences(there: dict[str, str], here: dict[str, str]) -> list[str]:
    """How a parity class differs from another, in words."""
    return [
        f"{what} was {value}, now {here.get(what)}"
        for what, value in there.items()
        if here.get(what) != value
    ]


def read_manifest(directory: str, name: str = MANIFEST) -> Manifest:
    """The manifest of a finished dataset. Raises RequestError if there is none that can be read."""
    path = os.path.join(directory, name)
    try:
        document = json.loads(storage.at(path).read().decode())
    except FileNotFoundError:
        if storage.at(directory).is_file_system and not os.path.exists(directory):
            raise RequestError(f"{directory}: there is no such directory") from None
        raise RequestError(
            f"{directory}: it holds no {MANIFEST}, so it is no finished dataset; "
            "finish it with the same augshard materialize"
        ) from None
    except NotADirectoryError:
        raise RequestError(f"{directory}: it is not a directory") from None
    except (OSError, ValueError, RecursionError) as error:
        why = storage.reason(error) if isinstance(error, OSError) else error
        raise RequestError(f"{path}: it cannot be read ({why})") from None
    if not isinstance(document, dict) or "schema_version" not in document:
        raise RequestError(f"{path}: it is no manifest of augshard's, for it has no schema_version")
    version = document["schema_version"]
    if version != SCHEMA_VERSION:
        raise RequestError(
            f"{path}: its schema_version is {version!r}; this augshard reads version {SCHEMA_VERSION}"
        )
    try:
        return Manifest.model_validate(document)
    except ValidationError as error:
        where = ".".join(map(str, error.errors()[0]["loc"]))
        raise RequestError(f"{path}: it is damaged at {where!r}") from None


_STYLE: dict[str, Any] = {"indent": 1, "sort_keys": True, "ensure_ascii": False}


def json_text(document: Any) -> str:
    """JSON as it stands in our files: sorted, indented, ending in a line break."""
    return json.dumps(document, **_STYLE) + "\n"
