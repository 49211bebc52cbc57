"""The files by which TFDS reads a dataset directory: `tfds.builder_from_directory(OUT)`.

TFDS itself is not needed to write them. int64 are JSON strings, as in protos.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from augment.recipe import Shape, Storage
from pipelines import storage
from pipelines.format.layout import LABELS, OBJECT_LABELS, SEVERAL_LABELS
from pipelines.format.targets import Targets
from pipelines.sources import UNLABELED

if TYPE_CHECKING:
    from pipelines.format.manifest import Manifest

VERSION = "1.0.0"
_FEATURES = "tensorflow_datasets.core.features"


def supervised(classes: Sequence[str], targets: Targets | None) -> str | None:
    """The feature that is learned of an image, where there is one."""
    if tuple(classes) != (UNLABELED,):
        return "label"
    return "segmentation_mask" if targets and "mask" in targets.has else None


def label_files(classes: Sequence[str], targets: Targets | None) -> dict[str, Sequence[str]]:
    """The files that name classes, by label; those of images, of objects, and of images that have several."""
    files: dict[str, Sequence[str]] = {}
    if tuple(classes) != (UNLABELED,):
        files[LABELS] = classes
    if targets and targets.has_objects:
        files[OBJECT_LABELS] = targets.classes
    if targets and targets.labels:
        files[SEVERAL_LABELS] = targets.labels
    return files


def features(
    shape: Shape, storage: Storage, classes: Sequence[str], targets: Targets | None = None
) -> dict[str, Any]:
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
    source = {"pythonClassName": f"{_FEATURES}.text_feature.Text", "text": {}}
    copy = {
        "pythonClassName": f"{_FEATURES}.scalar.Scalar",
        "tensor": {"dtype": "int64", "encoding": "none", "shape": {}},
    }
    found = {"copy": copy, "image": image, "source": source}
    if tuple(classes) != (UNLABELED,):
        found["label"] = _label(len(classes))
    if targets:
        found |= _of_targets(shape, targets)
    return _dictionary(found)


def _of_targets(shape: Shape, targets: Targets) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if targets.labels:
        found["labels"] = _sequence(_label(len(targets.labels)))
    if targets.has_objects:
        box = {"bboxFormat": "REL_YXYX", "dtype": "float32", "shape": {"dimensions": ["4"]}}
        objects = {
            "bbox": {
                "pythonClassName": f"{_FEATURES}.bounding_boxes.BBoxFeature",
                "boundingBox": box,
            },
            "id": _tensor("int64"),
            "is_crowd": _tensor("bool"),
            "label": _label(len(targets.classes)),
        }
        if "keypoints" in targets.has:
            objects["keypoints"] = _tensor("float32", len(targets.keypoints), 3)
        if "polygons" in targets.has:
            objects["segmentation"] = _sequence(_sequence(_tensor("float32", 2)))
        found["objects"] = _sequence(_dictionary(objects))
    if "mask" in targets.has:
        dimensions = {"dimensions": [*map(str, shape[:2]), "1"]}
        found["segmentation_mask"] = {
            "pythonClassName": f"{_FEATURES}.image_feature.Image",
            "image": {"dtype": "uint8", "encodingFormat": "png", "shape": dimensions},
        }
    return found


def _label(classes: int) -> dict[str, Any]:
    return {
        "pythonClassName": f"{_FEATURES}.class_label_feature.ClassLabel",
        "classLabel": {"numClasses": str(classes)},
    }


def _tensor(dtype: str, *shape: int) -> dict[str, Any]:
    sides = {"dimensions": [str(side) for side in shape]} if shape else {}
    return {
        "pythonClassName": f"{_FEATURES}.tensor_feature.Tensor",
        "tensor": {"dtype": dtype, "encoding": "none", "shape": sides},
    }


def _sequence(feature: dict[str, Any]) -> dict[str, Any]:
    return {
        "pythonClassName": f"{_FEATURES}.sequence_feature.Sequence",
        "sequence": {"feature": feature, "length": "-1"},
    }


def _dictionary(features: dict[str, Any]) -> dict[str, Any]:
    return {
        "pythonClassName": f"{_FEATURES}.features_dict.FeaturesDict",
        "featuresDict": {"features": features},
    }


def dataset_info(
    name: str, splits: dict[str, list[tuple[int, int]]], supervised: str | None = "label"
) -> dict[str, Any]:
    """What stands in dataset_info.json.

    `splits` has (records, bytes) of each shard by split. A split without records is left out: TFDS cannot
    read one. `supervised` is the feature that is learned of an image, if there is one.
    """
    there = [split for split, shards in sorted(splits.items()) if any(records for records, _ in shards)]
    return {
        "name": name,
        "description": _described(there),
        "version": VERSION,
        "moduleName": "augshard",
        "fileFormat": "tfrecord",
        **(
            {"supervisedKeys": {"tuple": {"items": [{"featureKey": "image"}, {"featureKey": supervised}]}}}
            if supervised
            else {}
        ),
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
