"""Datasets that are made of containers: of TFDS's and WebDataset's own making, proved, read and extended."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from augment.recipe import load_recipe
from pipelines import datasets
from pipelines.annotations import annotations_for
from pipelines.audit.findings import Finding, open_audit
from pipelines.audit.verify import verify
from pipelines.format.manifest import read_manifest
from tests.in_process import augshard

RECIPE = """
ops:
  - resize: {height: 24, width: 32}
  - flip: {horizontal: 0.5}
  - rotation: {factor: 0.1}
"""
SIZE = (24, 32)
TRAIN, TEST = 7, 3


def picture(number: int, channels: int = 3) -> np.ndarray:
    levels = 256 if channels == 3 else 4
    return np.random.default_rng(number).integers(0, levels, (*SIZE, channels), np.uint8)


def encoded(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels.squeeze()).save(file, "PNG", compress_level=0)  # equally long, whatever it shows
    return file.getvalue()


@pytest.fixture(scope="module")
def recipe(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("recipe") / "moving.yaml"
    path.write_text(RECIPE)
    return path


@pytest.fixture(scope="module")
def pets(tmp_path_factory) -> Path:
    """A dataset that TFDS prepares, with classes, boxes and masks."""
    tfds = pytest.importorskip("tensorflow_datasets")
    tfds.disable_progress_bar()
    features = tfds.features

    class PetsForTests(tfds.core.GeneratorBasedBuilder):
        VERSION = tfds.core.Version("1.0.0")

        def _info(self) -> Any:
            objects = {
                "bbox": features.BBoxFeature(),
                "label": features.ClassLabel(names=["nose", "ear"]),
                "is_crowd": np.bool_,
                "area": np.int64,
            }
            return tfds.core.DatasetInfo(
                builder=self,
                features=features.FeaturesDict(
                    {
                        "image": features.Image(shape=(None, None, 3)),
                        "file_name": features.Text(),
                        "label": features.ClassLabel(names=["dog", "cat"]),
                        "objects": features.Sequence(objects),
                        "segmentation_mask": features.Image(shape=(None, None, 1)),
                    }
                ),
            )

        def _split_generators(self, _: Any) -> dict[str, Any]:
            return {"train": self._generate_examples(0, TRAIN), "test": self._generate_examples(TRAIN, TEST)}

        def _generate_examples(self, first: int, count: int) -> Iterator[tuple[int, dict[str, Any]]]:
            for number in range(first, first + count):
                box = features.BBox(ymin=0.25, xmin=0.125, ymax=0.75, xmax=0.5 + number / 64)
                one = {"bbox": box, "label": number % 2, "is_crowd": False, "area": 7}
                yield (
                    number,
                    {
                        "image": picture(number),
                        "file_name": f"{number}.png",
                        "label": number % 2,
                        "objects": [one] * (number % 3),
                        "segmentation_mask": picture(number, 1),
                    },
                )

    builder = PetsForTests(data_dir=str(tmp_path_factory.mktemp("tfds")), file_format="tfrecord")
    builder.download_and_prepare()
    return Path(builder.data_dir)


@pytest.fixture(scope="module")
def tars(tmp_path_factory) -> Path:
    """Two tars that WebDataset writes."""
    webdataset = pytest.importorskip("webdataset")
    root = tmp_path_factory.mktemp("tars") / "in"
    root.mkdir()
    for split, first, count in (("train", 0, TRAIN), ("test", TRAIN, TEST)):
        with webdataset.TarWriter(str(root / f"pets-{split}-0.tar")) as tar:
            for number in range(first, first + count):
                about = {"file_name": f"{number}.png", "labels": ["odd"] if number % 2 else []}
                tar.write(
                    {
                        "__key__": f"{number:04}",
                        "png": encoded(picture(number)),
                        "cls": b"cat" if number % 2 else b"dog",
                        "json": json.dumps(about).encode(),
                        "seg.png": encoded(picture(number, 1)),
                    }
                )
    return root


def materialize(root: Path, recipe: Path, out: Path, *options: object) -> Any:
    return augshard(
        *("materialize", "--input", root, "--recipe", recipe, "--output", out, "--shards", 2, *options)
    )


@pytest.fixture(scope="module")
def written(pets, tars, recipe, tmp_path_factory) -> dict[str, tuple[Path, Path]]:
    """Input and output by the format."""
    made = {}
    for name, root in (("tfds", pets), ("webdataset", tars)):
        out = tmp_path_factory.mktemp("written") / name
        ended = materialize(root, recipe, out, "--copies", 2)
        assert ended.status == 0, ended.err
        made[name] = root, out
    return made


BOTH = pytest.mark.parametrize("form", ["tfds", "webdataset"])


def findings(out: Path, root: Path) -> list[Finding]:
    audit = open_audit(str(out), str(root))
    verify(audit, None, backend="host", annotations=annotations_for(str(root), None))
    return audit.findings.kept


@BOTH
def test_a_dataset_of_containers_audits_clean_and_replays(written, form, tmp_path):
    root, out = written[form]
    report = tmp_path / "report.html"
    ended = augshard(
        "audit", out, "--input", root, "--samples", "all", "--backend", "host", "--report", report
    )
    assert ended.status == 0, ended.out
    assert "all 17 samples follow from their sources bit for bit" in ended.out
    assert report.read_text().count("data:image/webp") == 3 * TRAIN  # with the sources
    source = next(iter(datasets.numpy(str(out))))["source"]
    ended = augshard(
        "audit", out, "--input", root, "--sample", source, "--copy", 1, "--strip", tmp_path / "s.png"
    )
    assert ended.status == 0, ended.err
    assert "match    yes" in ended.out
    assert "targets  as in the record" in ended.out


@BOTH
def test_c3_live_training_has_the_stored_samples_to_the_bit(written, form, recipe):
    root, out = written[form]
    live = datasets.from_images(str(root), load_recipe(str(recipe)), seed=0, copy=1)
    stored = datasets.from_shards(str(out), copies=[1])
    count = 0
    for ours, theirs in zip(live, stored, strict=True):
        assert set(ours) == set(theirs)
        for name in ("image", "label", "source", "segmentation_mask"):
            np.testing.assert_array_equal(ours[name], theirs[name])
        if form == "tfds":
            np.testing.assert_array_equal(ours["objects"]["bbox"], theirs["objects"]["bbox"])
            np.testing.assert_array_equal(ours["objects"]["label"], theirs["objects"]["label"])
        else:
            np.testing.assert_array_equal(ours["labels"], theirs["labels"])
        count += 1
    assert count == TRAIN


def test_what_tfds_reads_of_its_dataset_it_reads_of_ours(written):
    tfds = pytest.importorskip("tensorflow_datasets")
    root, out = written["tfds"]
    before, after = (tfds.builder_from_directory(str(path)) for path in (root, out))
    names = [builder.info.features["label"].names for builder in (before, after)]
    assert names == [["dog", "cat"], ["cat", "dog"]]  # by name, as all classes
    assert after.info.features["objects"]["label"].names == ["nose", "ear"]
    theirs = list(before.as_dataset(split="test"))
    ours = {sample["source"].numpy().decode(): sample for sample in after.as_dataset(split="test")}
    for number, one in enumerate(theirs):
        its = ours[f"pets_for_tests-test.tfrecord-00000-of-00001/{number}"]
        np.testing.assert_array_equal(its["image"], one["image"])
        np.testing.assert_array_equal(its["segmentation_mask"], one["segmentation_mask"])
        np.testing.assert_array_equal(its["objects"]["bbox"], one["objects"]["bbox"])
        np.testing.assert_array_equal(its["objects"]["label"], one["objects"]["label"])
        assert names[1][int(its["label"])] == names[0][int(one["label"])]


def test_c4_one_copy_more_and_a_shard_that_was_lost_come_to_the_same_bytes(written, recipe, tmp_path, tree):
    root, out = written["webdataset"]
    assert materialize(root, recipe, tmp_path / "o", "--copies", 1).status == 0
    next((tmp_path / "o").glob("*-train_c0.tfrecord-00001*")).unlink()
    assert materialize(root, recipe, tmp_path / "o", "--copies", 2).status == 0
    ours, others = tree(tmp_path / "o"), tree(out)
    assert {name for name in ours.keys() | others.keys() if ours.get(name) != others.get(name)} <= {
        "run.json"
    }


def test_an_image_or_a_class_that_was_changed_in_a_tar_is_found(written, recipe, tmp_path):
    root, out = written["webdataset"]
    shutil.copytree(root, tmp_path / "in")
    tar = tmp_path / "in/pets-train-0.tar"
    whole = tar.read_bytes()
    tar.write_bytes(whole.replace(encoded(picture(2)), encoded(255 - picture(2))))
    [finding] = findings(out, tmp_path / "in")
    assert (finding.kind, finding.source) == ("changed", "pets-train-0.tar/0002.png")
    tar.write_bytes(whole.replace(b"dog\0", b"cat\0", 1))
    assert {finding.kind for finding in findings(out, tmp_path / "in")} == {"listing"}
    ended = materialize(tmp_path / "in", recipe, out, "--copies", 3)
    assert ended.status == 2
    assert "it is not what this output was made from" in ended.err


def test_c6_a_damaged_record_is_a_reject_and_the_audit_finds_it_so(written, recipe, tmp_path):
    root, out = written["tfds"]
    shutil.copytree(root, tmp_path / "in")
    shard = tmp_path / "in/pets_for_tests-train.tfrecord-00000-of-00001"
    data = bytearray(shard.read_bytes())
    data[100] ^= 1
    data[-5] ^= 1
    shard.write_bytes(data)
    ended = materialize(tmp_path / "in", recipe, tmp_path / "out", "--max-rejects", 0.5)
    assert ended.status == 0, ended.err
    assert "'objects/area': the feature is not taken along" in ended.err
    rejects = [json.loads(line) for line in (tmp_path / "out/rejects.jsonl").read_text().splitlines()]
    assert [(one["source"][-2:], one["reason"]) for one in rejects] == [("/0", "damaged"), ("/6", "damaged")]
    assert read_manifest(str(tmp_path / "out")).splits["train"].written == TRAIN - 2
    assert findings(tmp_path / "out", tmp_path / "in") == []
    kinds = {finding.kind for finding in findings(out, tmp_path / "in")}
    assert kinds == {"reject", "vanished"}


def test_preview_lint_and_splits_by_hash_know_containers(written, recipe, tmp_path):
    root, out = written["tfds"]
    ended = augshard("preview", "--input", root, "--recipe", recipe, "--output", tmp_path / "sheet.png")
    assert ended.status == 0, ended.err
    assert augshard("lint", "--input", root, "--recipe", recipe).status == 0
    ended = materialize(root, recipe, tmp_path / "out", "--split-fractions", "train=0.5,test=0.5")
    assert ended.status == 2
    assert "the images have splits already (test, train)" in ended.err
    ended = materialize(out, recipe, tmp_path / "out")
    assert ended.status == 2
    assert "it is a dataset of augshard's, whose images are augmented already" in ended.err
