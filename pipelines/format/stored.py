"""A copy of a split as it is stored: which sources it has, and their records in any order.

Reading is by place in the file, so that a shuffle needs no buffer: an epoch begins with
its first batch, and memory does not grow with the data.
"""

from __future__ import annotations

import mmap
import os
import struct
from contextlib import ExitStack
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from augment.errors import RequestError
from pipelines import storage
from pipelines.format.layout import samples_file, shard_file
from pipelines.format.manifest import Manifest
from pipelines.format.records import masked_crc


class StoredCopy:
    """One copy of a split: its sources in the order of the plan, and their records.

    Args:
        directory: a finished dataset.
        manifest: its manifest.
        split, copy: which; the copy is NOT_AUGMENTED for images that are not augmented.

    Raises RequestError if a file is not as the manifest says.
    """

    def __init__(self, directory: str, manifest: Manifest, split: str, copy: int) -> None:
        groups = manifest.splits[split].groups
        self._directory = storage.at(directory)
        self._shards: list[str] = []
        self.sources: list[str] = []
        """ids, by position"""
        labels, places = [], []
        self._versions = _bring(self._directory, manifest, split, copy)
        for shard in range(groups):
            file = shard_file(manifest.request.name, split, copy, shard, groups)
            table = samples_file(split, copy, shard, groups)
            try:
                with self._open(table) as rows_file:
                    rows = pq.read_table(rows_file, columns=["source", "label"])
                starts, lengths = self._frames(file)
            except (OSError, ValueError, pa.ArrowInvalid):
                starts, rows = np.zeros(0, np.int64), None
            said = manifest.files.get(file)
            if rows is None or said is None or not said.records == len(starts) == rows.num_rows:
                raise RequestError(
                    f"{self._directory.to(file)}: it, or its samples file, is missing or damaged; see "
                    f"augshard audit {directory}"
                )
            self._shards.append(file)
            self.sources += rows["source"].to_pylist()
            labels.append(rows["label"].to_numpy())
            places.append(np.stack([np.full_like(starts, shard), starts, lengths], axis=1))
        self.labels = np.concatenate(labels).astype(np.int64)
        """int64 [n], by position"""
        self._places = np.concatenate(places)

    def read(self, positions: np.ndarray) -> np.ndarray:
        """The records at positions [n], as an array of bytes. Raises OSError for a damaged one."""
        records = np.empty(len(positions), object)
        with ExitStack() as stack:
            shards: dict[int, int] = {}
            for i, (shard, start, length) in enumerate(self._places[positions].tolist()):
                if shard not in shards:
                    file = stack.enter_context(self._open(self._shards[shard], buffering=0))
                    shards[shard] = file.fileno()
                record = os.pread(shards[shard], length, start)
                if masked_crc(record) != os.pread(shards[shard], 4, start + length):
                    raise OSError(
                        f"{self._directory.to(self._shards[shard])}: its record at byte {start} is damaged"
                    )
                records[i] = record
        return records

    def _open(self, name: str, buffering: int = -1) -> BinaryIO:
        """Raises OSError if it is another one than at first."""
        return self._directory.open(name, buffering, self._versions.get(name))

    def _frames(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Where the records of a TFRecord file start, and how long they are: int64 [n] each.

        Raises ValueError if the lengths do not add up to the file.
        """
        starts, lengths = [], []
        with self._open(name) as file, ExitStack() as stack:
            size, begin = os.fstat(file.fileno()).st_size, 0
            if size:
                contents = stack.enter_context(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
                while begin + 16 <= size:  # the length and its CRC, 12 bytes; the record; its CRC
                    (length,) = struct.unpack_from("<Q", contents, begin)
                    starts.append(begin + 12)
                    lengths.append(length)
                    begin += 12 + length + 4
        if begin != size:
            raise ValueError(f"{name}: it ends within a record")
        return np.array(starts, np.int64), np.array(lengths, np.int64)


def _bring(directory: storage.Location, manifest: Manifest, split: str, copy: int) -> dict[str, str]:
    """Brings a copy's files here at once; their versions. Raises RequestError if that cannot be."""
    groups = manifest.splits[split].groups
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
