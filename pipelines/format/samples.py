"""The samples table: one row a sample, in one Parquet file beside each shard.

Such a file is also the shard's receipt: its footer says what the shard must be.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import ConfigDict, TypeAdapter, ValidationError

from augment.recipe import Recipe
from pipelines import storage
from pipelines.format.bounds import (
    TEXT_BYTES,
    Copy,
    Count,
    FileName,
    ParityClass,
    Sha256,
    SplitName,
)
from pipelines.format.targets import TABLE, Targets
from pipelines.sources import ID_BYTES, Reject
from pipelines.storage import disk

_KEY = b"augshard"
BLOCK = 1 << 12
"""Sources whose rows are made, and written, at once."""


@dataclasses.dataclass(frozen=True)
class Receipt:
    """What a finished shard leaves beside it."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    fingerprint: Sha256
    split: SplitName
    copy: Copy
    shard: Count
    file: FileName
    bytes: Count
    sha256: Sha256
    records: Count
    parity_class: ParityClass
    sources: Sha256
    """see `digests.SourcesDigest`"""
    rejects: tuple[Reject, ...]
    """the sources of the shard's group that have no record in it"""


def schema(recipe: Recipe, targets: Targets | None = None) -> pa.Schema:
    """The columns: where a sample lies, where it came from, what became of targets, every drawn parameter.

    The parameters' columns are `<op id>.<parameter>`, null for samples that are not
    augmented, or whose class has a recipe without them; they follow from the ops.
    """
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
            pa.field("pixels_blake3", pa.string(), nullable=False),
            *(_of_targets(targets) if targets else ()),
            *(pa.field(name, pa.from_numpy_dtype(kind)) for name, kind in recipe.columns().items()),
        ]
    )


def _of_targets(targets: Targets) -> Iterator[pa.Field]:
    yield pa.field("annotation_sha256", pa.string(), nullable=False)
    yield pa.field("objects", pa.int32(), nullable=False)
    for name in ("clipped", "dropped", "targets_blake3"):
        yield pa.field(name, pa.string(), nullable=False)
    yield from (pa.field(TABLE + name, pa.string()) for name in targets.columns)


class SamplesWriter:
    """Writes one samples file, a block of rows at a time, with all that could vary fixed.

    Each block is a row group, so that no more than one is in memory. As a context it closes the file; one
    that was not finished, or not moved to its place, is removed.
    """

    def __init__(self, path: str, schema: pa.Schema) -> None:
        self.path, self._schema = path, schema
        self._file = disk.create(path)
        self._writer = pq.ParquetWriter(
            self._file,
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
        self._file.close()

    def __enter__(self) -> SamplesWriter:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):  # it cannot be written: there is an error that says so
            self._writer.close()
            self._file.close()
        if os.path.exists(self.path):
            os.remove(self.path)


def read_receipt(path: str) -> Receipt | None:
    """The receipt in a samples file's footer, or None if there is none that can be read."""
    try:
        with storage.at(path).open() as file:
            return parse_receipt(pq.read_metadata(file).metadata[_KEY])
    except (OSError, pa.ArrowException, KeyError, TypeError):
        return None


def parse_receipt(footer: bytes) -> Receipt | None:
    """The receipt of a footer that may be anybody's; None if it is none, or not within its bounds."""
    try:
        return _RECEIPT.validate_json(footer)
    except ValidationError:
        return None


_RECEIPT = TypeAdapter(Receipt)


def read_samples(opened: BinaryIO, columns: Sequence[str] | None = None) -> pa.Table:
    """The rows of a samples file that may be anybody's, with `columns` in their order, all by default.

    Raises ValueError unless it is Parquet with those columns, its text UTF-8 and no longer than a path may
    be. What a few bytes can stand for is bounded by the size of the file: a row takes no less than a byte,
    for its digests, and its text no more than EXPANSION times that.
    """
    try:
        with pq.ParquetFile(opened, **_LIMITS) as file:
            size, fields = os.fstat(opened.fileno()).st_size, file.schema_arrow
            names = fields.names if columns is None else list(columns)
            odd = [name for name in names if not _is_plain(fields, name)]
            if odd:
                raise ValueError(f"it does not have one plain column {odd[0]!a}")
            if file.metadata.num_rows > size:
                raise ValueError(f"it says that it has {file.metadata.num_rows:,} rows in {size:,} bytes")
            schema = pa.schema([fields.field(name) for name in names])
        text = [field.name for field in schema if pa.types.is_string(field.type)]
        # Text is read as what differs in it, with a number for each row.
        with pq.ParquetFile(opened, read_dictionary=text, pre_buffer=False, **_LIMITS) as file:
            table = file.read(columns=names, use_threads=False).select(names)
        table.validate(full=True)
        total = sum(_text_bytes(table[name], _most_bytes(name)) for name in text)
        if len(table) > size or total > EXPANSION * size:
            raise ValueError("it says more than its size can hold")
        table = table.cast(schema)
        table.validate(full=True)
    except (OSError, pa.ArrowException, KeyError) as error:
        raise ValueError((str(error).splitlines() or [type(error).__name__])[0]) from None
    return table


EXPANSION = 128
"""How many times more bytes the text of a samples file has than the file."""
_LIMITS: Any = {"thrift_string_size_limit": 64 << 20, "thrift_container_size_limit": 1 << 20}
"""The largest things in a footer: the receipt of a shard all of whose sources are rejects is within them."""


def _is_plain(schema: pa.Schema, name: str) -> bool:
    """Whether there is one column of a name, and it is of text, numbers or truth."""
    if schema.names.count(name) != 1:
        return False
    kind = schema.field(name).type
    return pa.types.is_string(kind) or pa.types.is_primitive(kind)


def _most_bytes(name: str) -> int:
    """Of one text in a column: an id's, but where a row is of many objects, or of somebody's own words."""
    return TEXT_BYTES if name in ("clipped", "dropped") or name.startswith(TABLE) else ID_BYTES


def _text_bytes(column: pa.ChunkedArray, most: int) -> int:
    """The bytes of a dictionary column's text, written out. Raises ValueError for what is no id's length."""
    import pyarrow.compute as pc  # as long to import as all else of the package; no job needs it

    total = 0
    for chunk in column.chunks:
        lengths = pc.binary_length(chunk.dictionary)
        longest = pc.max(lengths).as_py() or 0
        if longest > most:
            raise ValueError(f"it has a text of {longest:,} bytes")
        total += pc.sum(lengths.take(chunk.indices)).as_py() or 0
    return total
