"""Datasets of TFDS: which features say what, which records are missing, and what cannot be read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from augment.errors import RequestError
from augment.targets import UNIT, Annotation, Vocabulary
from pipelines.annotations import annotations_for
from pipelines.format.records import framed
from tests.pipelines.annotated import png, put, put_json
from tests.pipelines.contained import (
    assert_beam_finds_the_same,
    contents,
    look,
    put_records,
    record,
)

FEATURES = {
    "image": {"image": {"dtype": "uint8", "shape": {"dimensions": ["-1", "-1", "3"]}}},
    "image/filename": {"text": {}},
    "label": {"classLabel": {"numClasses": "3"}},
    "species": {"classLabel": {"numClasses": "2"}},
    "embedding": {"tensor": {"dtype": "float32", "shape": {"dimensions": ["4"]}}},
    "about": {"featuresDict": {"features": {"kind/of": {"classLabel": {"numClasses": "1"}}}}},
    "objects": {
        "sequence": {
            "feature": {
                "featuresDict": {
                    "features": {
                        "bbox": {"boundingBox": {"bboxFormat": "REL_YXYX"}},
                        "is_difficult": {"tensor": {"dtype": "bool", "shape": {}}},
                        "label": {"classLabel": {"numClasses": "2"}},
                        "pose": {"classLabel": {"numClasses": "5"}},
                    }
                }
            }
        }
    },
}


def put_tfds(root: Path, features: Mapping[str, Any], splits: Mapping[str, list[bytes]]) -> None:
    put_json(root, "features.json", {"featuresDict": {"features": features}})
    described = [{"name": split, "shardLengths": [str(len(records))]} for split, records in splits.items()]
    put_json(root, "dataset_info.json", {"name": "pets", "splits": described})
    for split, records in splits.items():
        put_records(root, f"pets-{split}.tfrecord-00000-of-00001", *records)


def test_a_dataset_of_tfds_is_read_by_its_features(tmp_path):
    about = {"image__filename": "x.png", "species": 1, "about__kind__of": 0, "embedding": np.float32([0] * 4)}
    boxes = np.float32([[0.5, 0.25, 1.0, 0.5], [0, 0, 0.1, 0.1]])
    objects = {
        "objects__bbox": boxes,
        "objects__label": [1, 0],
        "objects__is_difficult": [0, 1],
        "objects__pose": [0, 0],
    }
    put_tfds(
        tmp_path,
        FEATURES,
        {
            "train": [record(image=png(40, 60), label=2, **about, **objects)],
            "extra": [record(image=png(), label=-1, **about)],
        },
    )
    put(tmp_path, "label.labels.txt", content="zebra\nant\na/b\n")
    put(tmp_path, "objects-label.labels.txt", content="cat\ndog\n")
    put(tmp_path, "about-kind.of.labels.txt", content="odd\n")
    put(tmp_path, "notes.md", content="")
    found = look(tmp_path)
    assert found.passed_over == {".md": 1}
    assert found.rejects == {
        "pets-extra.tfrecord-00000-of-00001/0": (
            "bad_annotation",
            "it has class -1 in the feature 'label', of 3 from 0 on",
        )
    }
    [source] = found.sources.values()
    assert (source.id, source.split, source.label) == ("pets-train.tfrecord-00000-of-00001/0", "train", "a_b")
    assert contents(tmp_path, found)[source.id] == png(40, 60)
    annotation = Annotation.unpacked(source.annotation)
    assert annotation.objects[0].box == (15 * UNIT, 20 * UNIT, 30 * UNIT, 40 * UNIT)
    assert [(one.name, one.crowd) for one in annotation.objects] == [("dog", False), ("cat", True)]
    columns = {"image/filename": "x.png", "species": "1", "about/kind/of": "odd"}
    assert dict(annotation.columns) == columns
    assert found.vocabulary == Vocabulary(
        frozenset([(0, "cat"), (1, "dog")]), columns=frozenset(columns), has=frozenset(["boxes"])
    )
    assert_beam_finds_the_same(tmp_path)


def test_records_that_a_dataset_of_tfds_lost_are_counted(tmp_path):
    put_tfds(tmp_path, {"image": FEATURES["image"]}, {"train": [record(image=png())] * 5})
    shard = tmp_path / "pets-train.tfrecord-00000-of-00001"
    shard.write_bytes(shard.read_bytes()[: 3 * len(framed(record(image=png()))) - 1])
    found = look(tmp_path)
    assert len(found.sources) == 2
    assert [name[-1] for name in found.rejects] == ["2", "3", "4"]
    assert set(found.rejects.values()) == {
        ("damaged", "it cannot be read: behind 2 records the file ends within the record")
    }
    shard.unlink()
    assert look(tmp_path).refused == [f"it has no {shard.name}, of which dataset_info.json speaks"]


@pytest.mark.parametrize(
    ("features", "info", "sentence"),
    [
        ({"image": {"text": {}}}, {}, "it has no image among its features: 'image'; say which it is by"),
        (
            dict.fromkeys(("left", "right"), FEATURES["image"]),
            {},
            "it has several images among its features: 'left' and 'right'; say which it is by --annotations "
            "image=NAME",
        ),
        (
            {"image": {"image": {"dtype": "float32"}}},
            {},
            "it has images of float32 in the feature 'image'; uint8 and uint16 are read",
        ),
        (
            {},
            {"fileFormat": "array_record"},
            "it has files of the format 'array_record'; tfrecord alone is read",
        ),
        ({}, {"moduleName": "augshard"}, "it is a dataset of augshard's, whose images are augmented already"),
        (
            {},
            {"splits": [{"name": "../x", "shardLengths": ["1"]}]},
            "it has a dataset_info.json that does not say",
        ),
        ({}, {"splits": 7}, "it has a dataset_info.json that does not say which splits there are"),
        (
            {},
            {"splits": [{"name": "a", "shardLengths": ["1"] * 2, "filepathTemplate": "x"}]},
            "it has a dataset_info.json that says of x twice what lies in it",
        ),
        ({"\ud800": {"text": {}}}, {}, "it has a features.json that is no JSON object"),
    ],
)
def test_what_cannot_be_read_of_tfds_is_said(tmp_path, features, info, sentence):
    put_tfds(tmp_path, features, {"train": [record(image=png())]})
    told = json.loads((tmp_path / "dataset_info.json").read_text())
    put_json(tmp_path, "dataset_info.json", told | info)
    [refused] = look(tmp_path).refused
    assert refused.startswith(sentence)


def test_a_folder_above_a_dataset_of_tfds_is_told_where_it_lies(tmp_path):
    put_tfds(tmp_path / "pets/small/1.0.0", {"image": FEATURES["image"]}, {"train": []})
    for above in ("pets", "pets/small"):
        with pytest.raises(RequestError, match=r"lies in it; give --input .*/pets/small/1.0.0$"):
            annotations_for(str(tmp_path / above), None)
