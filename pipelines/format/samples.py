"""The samples table: one row a sample, in one Parquet file beside each shard.

Such a file is also the shard's receipt: its footer says what the shard must be.
"""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from augment.augmenter import Augmenter
from pipelines import storage
from pipelines.sources import Reject
from pipelines.storage import disk

_KEY = b"augshard"
ROW_GROUP = 1 << 16


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


def write_samples(path: str, columns: dict[str, Any], schema: pa.Schema, receipt: Receipt) -> None:
    """Writes one table in one call, with all that could vary fixed."""
    footer = json.dumps(dataclasses.asdict(receipt), sort_keys=True, ensure_ascii=False)
    table = pa.table(columns, schema=schema.with_metadata({_KEY: footer.encode()}))
    with disk.create(path) as file:
        pq.write_table(
            table,
            file,
            row_group_size=ROW_GROUP,
            compression="zstd",
            compression_level=3,
            version="2.6",
            data_page_version="1.0",
            use_dictionary=True,
            write_statistics=True,
        )


def read_receipt(path: str) -> Receipt | None:
    """The receipt in a samples file's footer, or None if there is none that can be read."""
    try:
        with storage.at(path).open() as file:
            footer = pq.read_schema(file).metadata[_KEY]
        said = json.loads(footer)
        return Receipt(**{**said, "rejects": tuple(Reject(*reject) for reject in said["rejects"])})
    except (OSError, pa.ArrowInvalid, KeyError, TypeError, ValueError, RecursionError):
        return None
