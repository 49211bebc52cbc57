"""The files by which TFDS reads a dataset directory: `tfds.builder_from_directory(OUT)`.

TFDS itself is not needed to write them. int64 are JSON strings, as in protos.
"""

from __future__ import annotations

from typing import Any

from augment.recipe import Shape, Storage
from pipelines import storage

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
    return {
        "name": name,
        "version": VERSION,
        "moduleName": "augshard",
        "fileFormat": "tfrecord",
        "supervisedKeys": {"tuple": {"items": [{"featureKey": "image"}, {"featureKey": "label"}]}},
        "splits": [
            {
                "name": split,
                "filepathTemplate": "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}",
                "shardLengths": [str(records) for records, _ in shards],
                "numBytes": str(sum(size for _, size in shards)),
            }
            for split, shards in sorted(splits.items())
            if any(records for records, _ in shards)
        ],
    }


def how_to_read(directory: str) -> str:
    """What a user types to read a dataset. TFDS has TensorFlow's clients for stores, and none for `s3://`."""
    if storage.at(directory).is_file_system:
        return f"tfds.builder_from_directory({directory!r}).as_dataset()"
    return f"datasets.from_shards({directory!r})"
