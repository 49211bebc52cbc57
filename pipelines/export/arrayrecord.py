"""ArrayRecord, which Grain and TFDS's data sources read by number: the dataset's own records in it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pipelines.export.formats import Format, Item
from pipelines.format import tfds
from pipelines.format.layout import DATASET_INFO, FEATURES, Shard, tfds_split
from pipelines.format.manifest import File, json_text


class ArrayRecord(Format):
    """A record is the `tf.train.Example` that it is in the shard. TFDS finds what it needs beside."""

    name = "arrayrecord"
    extra = "arrayrecord"
    libraries = ("array_record",)
    shows_pictures = False

    def file(self, shard: Shard) -> str:
        split = tfds_split(shard.split, shard.copy)
        return f"{self.manifest.request.name}-{split}.array_record-{shard.number:05d}-of-{shard.of:05d}"

    def writer(self, path: str, shard: Shard, beside: str) -> _Records:
        return _Records(path)

    def how_to_read(self, output: str, splits: Sequence[str]) -> str:
        return f"tfds.builder_from_directory({output!r}).as_data_source()"

    def texts(self, files: dict[str, File]) -> dict[str, str]:
        manifest = self.manifest
        lengths: dict[str, list[tuple[int, int]]] = {}
        for name, file in sorted(files.items()):
            split = name.removeprefix(f"{manifest.request.name}-").partition(".")[0]
            lengths.setdefault(split, []).append((file.records or 0, file.bytes))
        features = tfds.features(
            manifest.image_shape, manifest.request.storage, manifest.classes, manifest.targets
        )
        info = tfds.dataset_info(manifest.request.name, lengths, manifest.supervised)
        names = tfds.label_files(manifest.classes, manifest.targets)
        return {
            FEATURES: json_text(features),
            DATASET_INFO: json_text(info | {"fileFormat": "array_record"}),
            **{file: "".join(f"{label}\n" for label in labels) for file, labels in names.items()},
        }


class _Records:
    """One record in each chunk, as random access wants it."""

    def __init__(self, path: str) -> None:
        from array_record.python import array_record_module

        self._writer: Any = array_record_module.ArrayRecordWriter(path, "group_size:1")

    def write(self, item: Item) -> None:
        self._writer.write(item.data)

    def close(self) -> None:
        self._writer.close()
