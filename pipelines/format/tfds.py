"""The files by which TFDS reads a dataset directory: `tfds.builder_from_directory(OUT)`.

TFDS itself is not needed to write them. int64 are JSON strings, as in protos.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from augment.recipe import Shape, Storage
from pipelines import storage

if TYPE_CHECKING:
    from pipelines.format.manifest import Manifest

VERSION = "1.0.0"
_FEATURES = "tensorflow_datasets.core.features"


def features(shape: Shape, storage: Storage, classes: int) -> dict[str, Any]:
    """What stands in features.json."""
    dimensions = {"dimensions": [str(side) for side in shape]}
    if storage.format == "raw":
        image = {
            "pythonClassName": f"{_FEATURES}.tensor_feature.Tensor",
            "tensor": {"dtype": "uint8", "encoding": "bytes", "shape": dimensions},
        }
    else:
        image = {
            "pythonClassName": f"{_FEATURES}.image_feature.Image",
            "image": {"dtype": "uint8", "encodingFormat": storage.format, "shape": dimensions},
        }
    label = {
        "pythonClassName": f"{_FEATURES}.class_label_feature.ClassLabel",
        "classLabel": {"numClasses": str(classes)},
    }
    source = {"pythonClassName": f"{_FEATURES}.text_feature.Text", "text": {}}
    copy = {
        "pythonClassName": f"{_FEATURES}.scalar.Scalar",
        "tensor": {"dtype": "int64", "encoding": "none", "shape": {}},
    }
    return {
        "pythonClassName": f"{_FEATURES}.features_dict.FeaturesDict",
        "featuresDict": {"features": {"copy": copy, "image": image, "label": label, "source": source}},
    }


def dataset_info(name: str, splits: dict[str, list[tuple[int, int]]]) -> dict[str, Any]:
    """What stands in dataset_info.json.

    `splits` has (records, bytes) of each shard by split. A split without records
    is left out: TFDS cannot read one.
    """
    there = [split for split, shards in sorted(splits.items()) if any(records for records, _ in shards)]
    return {
        "name": name,
        "description": _described(there),
        "version": VERSION,
        "moduleName": "augshard",
        "fileFormat": "tfrecord",
        "supervisedKeys": {"tuple": {"items": [{"featureKey": "image"}, {"featureKey": "label"}]}},
        "splits": [
            {
                "name": split,
                "filepathTemplate": "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}",
                "shardLengths": [str(records) for records, _ in splits[split]],
                "numBytes": str(sum(size for _, size in splits[split])),
            }
            for split in there
        ],
    }


def _described(splits: Sequence[str]) -> str:
    """What is in which split, for whoever asks TFDS for one that is not there."""
    copies: dict[str, list[int]] = {}
    for split in splits:
        name, copy, number = split.rpartition("_c")
        copies.setdefault(name if copy else split, []).extend([int(number)] if copy else [])
    said = []
    for split, numbers in copies.items():
        as_they_are = "brought to size and not augmented"
        if not numbers:
            said.append(f"{split}: images {as_they_are}.")
            continue
        first, last = min(numbers), max(numbers)
        names = f"{split}_c{first}" + f" to {split}_c{last}" * (last > first)
        said.append(f"{names}: augmented copies of the images of {split}, each a split of its own.")
        said.append(
            f"{split}: the same images, {as_they_are}."
            if split in splits
            else f"There is no split {split}: it would hold the images {as_they_are}, which augshard "
            "materialize --include-originals adds."
        )
    return " ".join(said)


def how_to_read(directory: str, manifest: Manifest) -> list[str]:
    """Lines of Python that read a dataset, and run here as they stand.

    Ours first; TFDS's where it is installed, for what it has clients for: not for stores.
    """
    splits = manifest.splits
    first = min(splits, key=lambda split: (split != "train", not splits[split].augmented, split))
    split = "" if first == "train" else f", split={first!r}"
    lines = [f"from pipelines import datasets; stored = datasets.from_shards({directory!r}{split})"]
    if storage.at(directory).is_file_system and importlib.util.find_spec("tensorflow_datasets"):
        lines.append(
            "import tensorflow_datasets as tfds; "
            f"stored = tfds.builder_from_directory({directory!r}).as_dataset()"
        )
    return lines
