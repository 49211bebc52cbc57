"""The samples table: one row a sample, in one Parquet file beside each shard.

Such a file is also the shard's receipt: its footer says what the shard must be.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
from collections.abc import Iterable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from augment.augmenter import Augmenter
from pipelines import storage
from pipelines.sources import Reject

_KEY = b"augshard"
BLOCK = 1 << 12
"""Sources whose rows are made, and written, at once."""


@dataclasses.dataclass(frozen=True)
class Receipt:
    """What a finished shard leaves beside it."""

    fingerprint: str
    split: str
    copy: int
    shard: int
    file: str
    bytes: int
    sha256: str
    records: int
    parity_class: dict[str, str]
    sources: str
    """see SourcesDigest"""
    rejects: tuple[Reject, ...]
    """the sources of the shard's group that have no record in it"""


def schema(augmenter: Augmenter) -> pa.Schema:
    """The columns: where a sample lies, where it came from, every drawn parameter.

    The parameters' columns are `<op id>.<parameter>`, null for samples that are not
    augmented; they follow from the ops.
    """
    none = augmenter.draw_copies(np.zeros([0, 2], np.uint32), 0)
    drawn = augmenter.recorded(none)
    return pa.schema(
        [
            pa.field("split", pa.string(), nullable=False),
            pa.field("copy", pa.int32(), nullable=False),
            pa.field("shard", pa.int32(), nullable=False),
            pa.field("record", pa.int32(), nullable=False),
            pa.field("source", pa.string(), nullable=False),
            pa.field("label", pa.int32(), nullable=False),
            pa.field("class", pa.string(), nullable=False),
            pa.field("source_sha256", pa.string(), nullable=False),
            pa.field("source_height", pa.int32(), nullable=False),
            pa.field("source_width", pa.int32(), nullable=False),
            pa.field("pixels_sha256", pa.string(), nullable=False),
            *(pa.field(name, pa.from_numpy_dtype(values.dtype)) for name, values in drawn.items()),
        ]
    )


class SamplesWriter:
    """Writes one samples file, a block of rows at a time, with all that could vary fixed.

    Each block is a row group, so that no more than one is in memory. As a context it closes the file; one
    that was not finished, or not moved to its place, is removed.
    """

    def __init__(self, path: str, schema: pa.Schema) -> None:
        self.path, self._schema = path, schema
        self._writer = pq.ParquetWriter(
            path,
            schema,
            compression="zstd",
            compression_level=3,
            version="2.6",
            data_page_version="1.0",
            use_dictionary=True,
            write_statistics=True,
        )

    def write(self, columns: dict[str, Any]) -> None:
        """The rows that come next, by column: at most BLOCK."""
        table = pa.table(columns, schema=self._schema)
        if table.num_rows:
            self._writer.write_table(table, row_group_size=BLOCK)

    def finish(self, receipt: Receipt) -> None:
        """Writes the receipt, and closes the file."""
        footer = json.dumps(dataclasses.asdict(receipt), sort_keys=True, ensure_ascii=False)
        self._writer.add_key_value_metadata({_KEY: footer.encode()})
        self._writer.close()

    def __enter__(self) -> SamplesWriter:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):  # it cannot be written: there is an error that says so
            self._writer.close()
        if os.path.exists(self.path):
            os.remove(self.path)


class SourcesDigest:
    """What the sources of a group were: a digest that is the same in the receipts of all its copies."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()

    def add(self, source: str, sha256: str) -> None:
        """The source of the next row."""
        self._digest.update(f"{sha256} {source}\n".encode())

    def hexdigest(self, rejects: Iterable[Reject]) -> str:
        """With those that have no row, in any order."""
        whole = self._digest.copy()
        for reject in sorted(rejects):
            whole.update(f"{reject.reason} {reject.source}\n".encode())
        return whole.hexdigest()


def read_receipt(path: str) -> Receipt | None:
    """The receipt in a samples file's footer, or None if there is none that can be read."""
    try:
        with storage.at(path).open() as file:
            footer = pq.read_metadata(file).metadata[_KEY]
        said = json.loads(footer)
        return Receipt(**{**said, "rejects": tuple(Reject(*reject) for reject in said["rejects"])})
    except (OSError, pa.ArrowInvalid, KeyError, TypeError, ValueError, RecursionError):
        return None
