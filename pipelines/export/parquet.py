"""Parquet with the columns and the metadata by which Hugging Face's `datasets` shows pictures."""

from __future__ import annotations

import glob
import json
import os
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.export.formats import Format, Item, numbered
from pipelines.export.objects import described
from pipelines.format.layout import Shard

_GROUP_BYTES, _GROUP_ROWS = 16 << 20, 1000
"""The rows that are written at once, and read at once: as many as come to either."""


class Parquet(Format):
    """`image` (bytes and path, by which it is an Image there), `label` if there is one, `source`, `copy`; of
    targets `labels`, `objects` (lists of one length) and `segmentation_mask`, as the dataset has them."""

    name = "parquet"
    libraries = ("pyarrow",)

    def file(self, shard: Shard) -> str:
        return f"{numbered(shard)}.parquet"

    def writer(self, path: str, shard: Shard, beside: str) -> _Table:
        return _Table(path, shard, self)

    def how_to_read(self, output: str, splits: Sequence[str]) -> str:
        folder = glob.escape(output)
        paths = {split: os.path.join(folder, f"{split}*.parquet") for split in splits}
        return f"datasets.load_dataset('parquet', data_files={paths!r})"

    def schema(self) -> pa.Schema:
        """With the features as `datasets` writes them down."""
        features = self._features()
        return pa.schema(
            [(name, _arrow(feature)) for name, feature in features.items()],
            metadata={"huggingface": json.dumps({"info": {"features": features}}, ensure_ascii=False)},
        )

    def _features(self) -> dict[str, Any]:
        targets, features = self.manifest.targets, dict[str, Any](image=_IMAGE)
        if self.manifest.labeled:
            features["label"] = _classes(self.manifest.classes)
        features |= {"source": _value("string"), "copy": _value("int64")}
        if targets and targets.labels:
            features["labels"] = _list(_classes(targets.labels))
        if targets and targets.has_objects:
            of_one = {
                "id": _value("int64"),
                "category": _classes(targets.classes),
                "bbox": _list(_value("float64"), 4),
                "area": _value("float64"),
                "iscrowd": _value("bool"),
            }
            if "polygons" in targets.has:
                of_one["segmentation"] = _list(_list(_value("float64")))
            if targets.keypoints:
                of_one["keypoints"] = _list(_value("float64"), 3 * len(targets.keypoints))
            features["objects"] = {name: _list(feature) for name, feature in of_one.items()}
        if targets and "mask" in targets.has:
            features["segmentation_mask"] = _IMAGE
        return features

    def row(self, item: Item, split: str) -> dict[str, Any]:
        """One sample, of what the schema has."""
        record, known, targets = item.record, item.annotation, self.manifest.targets
        row: dict[str, Any] = {
            "image": {"bytes": self.picture(record), "path": self.picture_name(split, item)},
            "label": record.label,
            "source": record.source,
            "copy": record.copy,
        }
        if targets and targets.labels:
            row["labels"] = [targets.label_number[name] for name in known.labels]
        if targets and targets.has_objects:
            things = [described(thing, targets) for thing in known.objects]
            row["objects"] = {
                "id": item.ids,
                "category": [targets.number[thing.name] for thing in known.objects],
                "iscrowd": [thing.crowd for thing in known.objects],
                **{name: [thing.get(name) for thing in things] for name in _OF_OBJECTS},
            }
        if item.mask:
            row["segmentation_mask"] = {"bytes": item.mask, "path": None}
        return row


_OF_OBJECTS = ("bbox", "area", "segmentation", "keypoints")
_IMAGE = {"_type": "Image"}


def _value(kind: str) -> dict[str, Any]:
    return {"dtype": kind, "_type": "Value"}


def _classes(names: Sequence[str]) -> dict[str, Any]:
    return {"names": list(names), "_type": "ClassLabel"}


def _list(of: dict[str, Any], length: int = -1) -> dict[str, Any]:
    """Of so many, any number by default. `Sequence` is what all versions of `datasets` read."""
    return {"feature": of, **({"length": length} if length >= 0 else {}), "_type": "Sequence"}


def _arrow(feature: dict[str, Any]) -> pa.DataType:
    """How `datasets` holds a feature."""
    match feature.get("_type"):
        case "Image":
            return pa.struct([pa.field("bytes", pa.binary()), pa.field("path", pa.string())])
        case "Value":
            return pa.type_for_alias(feature["dtype"])
        case "ClassLabel":
            return pa.int64()
        case "Sequence":
            return pa.list_(_arrow(feature["feature"]), feature.get("length", -1))
        case _:
            return pa.struct([pa.field(name, _arrow(its)) for name, its in feature.items()])


def _leaves(name: str, kind: pa.DataType) -> Iterator[str]:
    """The columns of a Parquet file that hold one of a table."""
    if pa.types.is_struct(kind):
        for field in kind:
            yield from _leaves(f"{name}.{field.name}", field.type)
    elif pa.types.is_list(kind) or pa.types.is_fixed_size_list(kind):
        yield from _leaves(f"{name}.list.element", kind.value_type)
    else:
        yield name


_SCALARS = ("label", "source", "copy")
_REPEATED = ("label", "copy", "labels.list.element", "objects.category.list.element")
"""Of few values, so written as a dictionary."""


class _Table:
    """All that could vary is fixed. Images are as small as they get already."""

    def __init__(self, path: str, shard: Shard, form: Parquet) -> None:
        self._form, self._shard, self._schema = form, shard, form.schema()
        columns = [leaf for field in self._schema for leaf in _leaves(field.name, field.type)]
        pictures = [name for name in columns if name.endswith(".bytes")]
        columns = [name for name in columns if name not in pictures]
        self._writer = pq.ParquetWriter(
            path,
            self._schema,
            compression=dict.fromkeys(columns, "zstd") | dict.fromkeys(pictures, "none"),
            compression_level=dict.fromkeys(columns, 3),
            version="2.6",
            data_page_version="1.0",
            use_dictionary=[name for name in columns if name in _REPEATED],
            write_statistics=[name for name in self._schema.names if name in _SCALARS],
        )
        self._rows: list[dict[str, Any]] = []
        self._bytes = 0

    def write(self, item: Item) -> None:
        row = self._form.row(item, self._shard.split)
        self._rows.append({name: row.get(name) for name in self._schema.names})
        self._bytes += len(row["image"]["bytes"]) + len(item.record.targets)
        if self._bytes >= _GROUP_BYTES or len(self._rows) == _GROUP_ROWS:
            self._flush()

    def close(self) -> None:
        if self._rows:
            self._flush()
        self._writer.close()

    def _flush(self) -> None:
        self._writer.write_table(pa.Table.from_pylist(self._rows, self._schema), row_group_size=_GROUP_ROWS)
        self._rows, self._bytes = [], 0
