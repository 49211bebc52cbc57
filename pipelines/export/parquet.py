"""Parquet with the columns and the metadata by which Hugging Face's `datasets` shows pictures."""

from __future__ import annotations

import json
import os
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.export.formats import Format, Item, numbered
from pipelines.format.layout import Shard

_GROUP_BYTES, _GROUP_ROWS = 16 << 20, 1000
"""The rows that are written at once, and read at once: as many as come to either."""


class Parquet(Format):
    """`image` (bytes and path, by which it is an Image there), `label` if there is one, `source`, `copy`."""

    name = "parquet"
    libraries = ("pyarrow",)

    def file(self, shard: Shard) -> str:
        return f"{numbered(shard)}.parquet"

    def writer(self, path: str, shard: Shard, beside: str) -> _Table:
        return _Table(path, shard, self)

    def how_to_read(self, output: str) -> str:
        paths = {split: os.path.join(output, f"{split}*.parquet") for split in self.manifest.splits}
        return f"datasets.load_dataset('parquet', data_files={paths!r})"

    def schema(self) -> pa.Schema:
        """With the features as `datasets` writes them down."""
        label = {"names": list(self.manifest.classes), "_type": "ClassLabel"}
        features: dict[str, Any] = {
            "image": {"_type": "Image"},
            **({"label": label} if self.manifest.labeled else {}),
            "source": {"dtype": "string", "_type": "Value"},
            "copy": {"dtype": "int64", "_type": "Value"},
        }
        picture = pa.struct([pa.field("bytes", pa.binary()), pa.field("path", pa.string())])
        columns = {"image": picture, "label": pa.int64(), "source": pa.string(), "copy": pa.int64()}
        return pa.schema(
            [(name, columns[name]) for name in features],
            metadata={"huggingface": json.dumps({"info": {"features": features}}, ensure_ascii=False)},
        )


class _Table:
    """All that could vary is fixed. Images are as small as they get already."""

    def __init__(self, path: str, shard: Shard, form: Parquet) -> None:
        self._form, self._shard, self._schema = form, shard, form.schema()
        columns = [*self._schema.names[1:], "image.path"]
        self._writer = pq.ParquetWriter(
            path,
            self._schema,
            compression=dict.fromkeys(columns, "zstd") | {"image.bytes": "none"},
            compression_level=dict.fromkeys(columns, 3),
            version="2.6",
            data_page_version="1.0",
            use_dictionary=[name for name in columns if name in ("label", "copy")],
            write_statistics=self._schema.names[1:],
        )
        self._rows: list[dict[str, Any]] = []
        self._bytes = 0

    def write(self, item: Item) -> None:
        record, picture = item.record, self._form.picture(item.record)
        image = {"bytes": picture, "path": self._form.picture_name(self._shard.split, item)}
        row = {"image": image, "label": record.label, "source": record.source, "copy": record.copy}
        self._rows.append({name: row[name] for name in self._schema.names})
        self._bytes += len(picture)
        if self._bytes >= _GROUP_BYTES or len(self._rows) == _GROUP_ROWS:
            self._flush()

    def close(self) -> None:
        if self._rows:
            self._flush()
        self._writer.close()

    def _flush(self) -> None:
        self._writer.write_table(pa.Table.from_pylist(self._rows, self._schema), row_group_size=_GROUP_ROWS)
        self._rows, self._bytes = [], 0
