"""What an export is asked to be, and its manifest: the description of a finished one, written last."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from augment.augmenter import NOT_AUGMENTED
from augment.errors import RequestError, did_you_mean
from pipelines.format.bounds import MANIFEST_BYTES, MOST_SPLITS, Copy, Count, Name, Sha256, SplitName, Text
from pipelines.format.inside import read_in
from pipelines.format.layout import EXPORT, WORK, Shard
from pipelines.format.manifest import File, Manifest

BEGUN = f"{WORK}/{EXPORT}"
"""The request of an export that is not finished."""


class ExportRequest(BaseModel):
    """All that decides the bytes of an export."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal[1] = 1
    dataset: Sha256
    """the digest in the manifest of the dataset"""
    name: Name
    """of the dataset"""
    to: Text
    """the format"""
    copies: Annotated[dict[SplitName, tuple[Copy, ...]], Field(max_length=MOST_SPLITS)]
    """by split"""
    keeps_extensions: bool
    """whether names have the extensions of their sources, since two of these differ in nothing else"""
    libraries: Annotated[dict[Text, Text], Field(max_length=10)]
    """whose version decides bytes, with that version"""

    def shards(self, manifest: Manifest) -> Iterator[Shard]:
        """Those of the dataset that are exported, each to one file."""
        for split, copies in self.copies.items():
            for copy in copies:
                groups = manifest.groups(split, copy)
                yield from (Shard(split, copy, number, groups) for number in range(groups))

    def differences(self, other: ExportRequest) -> list[str]:
        """What differs from an earlier request, in words."""
        mine, theirs = self.model_dump(), other.model_dump()
        return [
            f"{'the dataset' if field == 'dataset' else field} was {theirs[field]}, now {mine[field]}"
            for field in mine
            if mine[field] != theirs[field]
        ]


class ExportManifest(BaseModel):
    """What a finished export is, and what it was made from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    request: ExportRequest
    records: Count
    files: dict[Text, File]
    """every file but this one, by path; of image folders, the lists in which the images stand"""


def chosen(
    directory: str, manifest: Manifest, splits: Sequence[str] | None, copies: Sequence[int] | None
) -> dict[str, tuple[int, ...]]:
    """The copies by split, all by default. `copies` are those of splits that are augmented.

    Raises RequestError for a split or a copy that is not there.
    """
    for split in splits or ():
        if split not in manifest.splits:
            raise RequestError(
                f"{directory}: there is no split {split!r}; {did_you_mean(split, manifest.splits)}"
            )
    there = {split: manifest.copies(split) for split in splits or manifest.splits}
    if copies is None:
        return there
    known = sorted({copy for of_split in there.values() for copy in of_split})
    for copy in copies:
        if copy not in known:
            raise RequestError(f"{directory}: there is no copy {copy}; it has {known[0]} to {known[-1]}")
    return {
        split: of_split if of_split == (NOT_AUGMENTED,) else tuple(c for c in of_split if c in copies)
        for split, of_split in there.items()
    }


def read_request(directory: str) -> ExportRequest | None:
    """The request of an export that is not finished; None if there is none that can be read."""
    try:
        return ExportRequest.model_validate_json(read_in(directory, BEGUN, MANIFEST_BYTES))
    except (OSError, ValidationError):
        return None


def read_export(directory: str) -> ExportManifest:
    """The manifest of a finished export. Raises RequestError if there is none."""
    path = os.path.join(directory, EXPORT)
    try:
        return ExportManifest.model_validate_json(read_in(directory, EXPORT, MANIFEST_BYTES))
    except (OSError, ValidationError):
        raise RequestError(f"{path}: it is no manifest of an export of augshard's") from None
