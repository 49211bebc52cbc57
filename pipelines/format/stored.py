"""A copy of a split as it is stored: which sources it has, and their records in any order.

Reading is by place in the file, so that a shuffle needs no buffer: an epoch begins with
its first batch, and memory does not grow with the data. Threads may read at once, and so may
processes that this one forks, or that get a copy pickled.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa

from augment.errors import RequestError
from pipelines import storage
from pipelines.format.inside import path_in
from pipelines.format.layout import samples_file, shard_file
from pipelines.format.manifest import Manifest
from pipelines.format.records import frames_of, masked_crc
from pipelines.format.samples import read_samples
from pipelines.sources import is_id

_MOST_OPEN = 64
"""Shards that are kept open of a copy."""


class StoredCopy:
    """One copy of a split: its sources in the order of the plan, and their records.

    Args:
        directory: a finished dataset.
        manifest: its manifest.
        split, copy: which; the copy is NOT_AUGMENTED for images that are not augmented.

    Raises RequestError if a file is not as the manifest says.
    """

    def __init__(self, directory: str, manifest: Manifest, split: str, copy: int) -> None:
        self.directory, self.manifest, self.split, self.copy = directory, manifest, split, copy
        groups = manifest.groups(split, copy)
        self._directory = storage.at(directory)
        self._shards: list[str] = []
        self._opened: dict[int, _Opened] = {}
        self.sources: list[str] = []
        """ids, by position"""
        labels, places = [], []
        self._versions = _bring(self._directory, manifest, split, copy)
        for shard in range(groups):
            file = shard_file(manifest.request.name, split, copy, shard, groups)
            try:
                with self._open(samples_file(split, copy, shard, groups)) as opened:
                    rows = read_samples(opened, ["source", "label"])
                with self._open(file, buffering=0) as opened:
                    starts, lengths = frames_of(opened, manifest.image_size)
                sources = rows["source"].to_pylist()
                _check(len(starts) == len(rows), "it has other records than its samples file has rows")
                _check(all(map(is_id, sources)), "a source in its samples file is no path below an input")
                numbers = rows["label"].to_numpy().astype(np.int64)
                within = (numbers >= 0) & (numbers < len(manifest.classes))
                _check(bool(within.all()), "a label in its samples file is none of a class")
            except (OSError, ValueError) as error:
                why = storage.reason(error) if isinstance(error, OSError) else error
                raise RequestError(
                    f"{self._directory.to(file)}: it, or its samples file, is missing or damaged "
                    f"({why}); see augshard audit {directory}"
                ) from None
            self._shards.append(file)
            self.sources += sources
            labels.append(numbers)
            places.append(np.stack([np.full_like(starts, shard), starts, lengths], axis=1))
        self.labels = np.concatenate(labels)
        """int64 [n], by position"""
        self._places = np.concatenate(places)

    def __len__(self) -> int:
        return len(self.sources)

    def read(self, positions: np.ndarray | Sequence[int]) -> np.ndarray:
        """The records at positions [n], as an array of bytes. Raises OSError for a damaged one."""
        records = np.empty(len(positions), object)
        for i, position in enumerate(positions):
            records[i] = self.record(int(position))
        return records

    def record(self, position: int) -> bytes:
        """The record at a position. Raises OSError if it is damaged."""
        shard, start, length = self._places[position].tolist()
        opened = self._opened.get(shard) or self._keep_open(shard)
        record = os.pread(opened.number, length, start)
        if masked_crc(record) != os.pread(opened.number, 4, start + length):
            raise OSError(f"{self._directory.to(self._shards[shard])}: its record at byte {start} is damaged")
        return record

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_opened": {}}

    def _keep_open(self, shard: int) -> _Opened:
        """One that is let go of is closed when nobody reads it any more."""
        for earliest in list(self._opened)[: max(0, len(self._opened) - _MOST_OPEN + 1)]:
            self._opened.pop(earliest, None)
        opened = self._opened[shard] = _Opened(self._open(self._shards[shard], buffering=0))
        return opened

    def _open(self, name: str, buffering: int = -1) -> BinaryIO:
        """Raises OSError if it is another one than at first, or a link leads out of the directory."""
        path_in(self._directory.path, name)
        return self._directory.open(name, buffering, self._versions.get(name))


class _Opened:
    """An open file, which is closed with the last reference to this."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self.number = file, file.fileno()

    def __del__(self) -> None:
        self._file.close()


def _bring(directory: storage.Location, manifest: Manifest, split: str, copy: int) -> dict[str, str]:
    """Brings a copy's files here at once; their versions. Raises RequestError if that cannot be."""
    groups = manifest.groups(split, copy)
    wanted = [
        name
        for shard in range(groups)
        for name in (
            shard_file(manifest.request.name, split, copy, shard, groups),
            samples_file(split, copy, shard, groups),
        )
    ]
    total = sum(manifest.files[name].bytes for name in wanted if name in manifest.files)
    try:
        return directory.bring(wanted, total)
    except OSError as error:
        raise RequestError(f"{directory.path}: split {split}, copy {copy}: {storage.reason(error)}") from None


def read_rows(
    directory: str,
    manifest: Manifest,
    split: str,
    copy: int,
    shard: int,
    columns: Sequence[str] | None = None,
) -> pa.Table:
    """The samples table of one shard. Raises OSError, or ValueError as `read_samples` does."""
    name = samples_file(split, copy, shard, manifest.groups(split, copy))
    with storage.at(path_in(directory, name)).open() as opened:
        return read_samples(opened, columns)


def _check(right: bool, wrong: str) -> None:
    if not right:
        raise ValueError(wrong)
