"""Datasets with targets: as they are written, read, resumed, extended and audited."""

from __future__ import annotations

import json
import shutil
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from augment import Recipe, augment_dataset, codec
from augment.errors import RequestError
from augment.ops import CropOrPad, Flip, Resize
from augment.recipe import load_recipe
from augment.targets import UNIT, Annotation, Moved, Object
from pipelines import datasets
from pipelines.annotations import annotations_of
from pipelines.audit.findings import Finding, open_audit
from pipelines.audit.verify import verify
from pipelines.format.digests import bytes_digest
from pipelines.format.manifest import read_manifest
from pipelines.format.targets import Targets, difference, packed, unpacked
from pipelines.look import site
from pipelines.report.drawing import drawn
from tests.forgery import Forger
from tests.in_process import augshard

RECIPE = """
ops:
  - resize: {height: 40, width: 56}
  - flip: {horizontal: 0.5}
  - rotation: {factor: 0.1}
  - translation: {height: 0.2, width: 0.2}
  - contrast: {factor: 0.3}
"""
SIZE = (60, 80)
SHARD = "moving-train_c0.tfrecord-00000-of-00001"


def save_photo(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    rough = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), np.uint8)
    Image.fromarray(rough).resize(SIZE[::-1]).save(path)


@pytest.fixture(scope="module")
def coco(tmp_path_factory) -> Path:
    """Nine photos with two objects each, of which one touches an edge."""
    root = tmp_path_factory.mktemp("coco")
    images, annotations = [], []
    for number in range(9):
        save_photo(root / f"images/{number}.png", number)
        images.append({"id": number, "file_name": f"{number}.png", "height": 60, "width": 80})
        for x, y, category in ((0.0, 10.25, 7), (30.5, 20.0, 2)):
            box = [x, y, 20.25, 15.5]
            right, bottom = x + box[2], y + box[3]
            annotations.append(
                {
                    "id": len(annotations),
                    "image_id": number,
                    "category_id": category,
                    "bbox": box,
                    "iscrowd": 0,
                    "segmentation": [[x, y, right, y, right, bottom, x, bottom]],
                    "keypoints": [x + 2, y + 3, 2, x + 12, y + 3, 1],
                }
            )
    names = ["left_eye", "right_eye"]
    categories = [{"id": 7, "name": "cat", "keypoints": names}, {"id": 2, "name": "dog", "keypoints": names}]
    document = {"images": images, "annotations": annotations, "categories": categories}
    (root / "instances_train.json").write_text(json.dumps(document))
    (root / "moving.yaml").write_text(RECIPE)
    return root


@pytest.fixture(scope="module")
def masks(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("masks")
    for number in range(6):
        save_photo(root / f"images/{number}.png", number)
        ids = (np.arange(80) // 20 + np.zeros((60, 1))).astype(np.uint8)
        mask = Image.fromarray(np.roll(ids, 5 * number, axis=1), "P")
        mask.putpalette(bytes(range(256)) * 3)
        (root / "masks").mkdir(exist_ok=True)
        mask.save(root / f"masks/{number}.png")
    (root / "moving.yaml").write_text(RECIPE)
    return root


def materialize(root: Path, out: Path, *options: Any, beside: str) -> Any:
    return augshard(
        *("materialize", "--input", root / "images", "--annotations", root / beside),
        *("--recipe", root / "moving.yaml", "--output", out, "--shards", 1, *options),
    )


@pytest.fixture(scope="module")
def written(coco, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("written") / "out"
    assert materialize(coco, out, "--copies", 2, beside="instances_train.json").status == 0
    return out


@pytest.fixture(scope="module")
def written_masks(masks, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("written") / "out"
    assert materialize(masks, out, "--copies", 1, "--include-originals", beside="masks").status == 0
    return out


def findings(out: Path, root: Path, beside: str) -> list[Finding]:
    audit = open_audit(str(out), str(root / "images"))
    annotations = annotations_of(str(root / beside))
    verify(audit, None, backend="host", annotations=annotations)
    return audit.findings.kept


def test_a_record_has_what_tfds_reads_as_coco(written):
    tfds = pytest.importorskip("tensorflow_datasets")
    builder = tfds.builder_from_directory(str(written))
    objects = builder.info.features["objects"]
    assert isinstance(objects.feature["bbox"], tfds.features.BBoxFeature)
    assert objects.feature["label"].names == ["dog", "cat"]  # by their ids in the file
    assert "label" not in builder.info.features
    ours = datasets.numpy(str(written), copies=[0])
    theirs = {e["source"].numpy().decode(): e for e in builder.as_dataset(split="train_c0")}
    for sample in ours:
        its = theirs[sample["source"]]
        np.testing.assert_array_equal(its["image"], sample["image"])
        for name in ("bbox", "id", "is_crowd", "label", "keypoints"):
            np.testing.assert_array_equal(its["objects"][name], sample["objects"][name])
        corners = its["objects"]["segmentation"].to_list()
        assert corners == [[line.tolist() for line in each] for each in sample["objects"]["segmentation"]]


def test_all_readers_give_the_same_targets(written, written_masks):
    for out, name in ((written, "objects"), (written_masks, "segmentation_mask")):
        ours = datasets.numpy(str(out), copies=[0])
        for sample, its in zip(ours, datasets.from_shards(str(out), copies=[0]), strict=True):
            assert set(sample) == set(its)
            if name == "segmentation_mask":
                np.testing.assert_array_equal(its[name], sample[name], strict=True)
                continue
            for field in ("bbox", "label", "keypoints", "id", "is_crowd"):
                np.testing.assert_array_equal(its[name][field], sample[name][field], strict=True)
            assert its[name]["segmentation"].shape[0] == len(sample[name]["segmentation"])


def test_a_box_follows_the_pixels_of_its_mask(coco, written):
    """A box's hull is that of its outline's pixels, to a pixel, wherever the image was turned."""
    import cv2

    ours, rows = datasets.numpy(str(written)), 0
    for sample in ours:
        for box, outline in zip(sample["objects"]["bbox"], sample["objects"]["segmentation"], strict=True):
            drawn = np.zeros((40 * 8, 56 * 8), np.uint8)
            for polygon in outline:
                cv2.fillPoly(drawn, [np.rint(polygon * 8).astype(np.int32)], 1)
            there = np.argwhere(drawn)
            hull = np.array([*there.min(axis=0), *(there.max(axis=0) + 1)]) / 8
            np.testing.assert_allclose(box * [40, 56, 40, 56], hull, atol=0.5)
            rows += 1
    assert rows > 20


def test_the_samples_table_says_what_was_cut_and_dropped(written):
    rows = [
        row
        for copy in (0, 1)
        for row in Forger(written).rows(f"samples/train_c{copy}-00000-of-00001.parquet")
    ]
    assert sum(row["objects"] for row in rows) + sum(len(row["dropped"].split()) for row in rows) == 2 * 2 * 9
    parts = [part.split(":") for row in rows for part in row["clipped"].split()]
    assert parts
    assert all(number in "01" and 0.1 <= float(part) < 1 for number, part in parts)


def test_both_backends_and_several_processes_write_the_same_bytes(coco, written, tmp_path, tree):
    ended = materialize(
        coco, tmp_path / "o", "--copies", 2, "--backend", "device", beside="instances_train.json"
    )
    assert ended.status == 0
    assert same_but_run(tree(tmp_path / "o"), tree(written))


def same_but_run(one: dict[str, bytes], other: dict[str, bytes]) -> bool:
    return {k: v for k, v in one.items() if k != "run.json"} == {
        k: v for k, v in other.items() if k != "run.json"
    }


def test_a_missing_shard_and_more_copies_come_to_the_same_bytes(coco, written, tmp_path, tree):
    out = tmp_path / "out"
    assert materialize(coco, out, "--copies", 1, beside="instances_train.json").status == 0
    assert materialize(coco, out, "--copies", 2, beside="instances_train.json").status == 0
    assert same_but_run(tree(out), tree(written))
    (out / SHARD).unlink()
    assert materialize(coco, out, "--copies", 2, beside="instances_train.json").status == 0
    assert same_but_run(tree(out), tree(written))


def test_other_annotations_are_another_input(coco, written, tmp_path):
    out = tmp_path / "out"
    shutil.copytree(written, out)
    document = json.loads((coco / "instances_train.json").read_text())
    document["annotations"][0]["bbox"][0] += 1
    (tmp_path / "other_train.json").write_text(json.dumps(document))
    ended = augshard(
        *("materialize", "--input", coco / "images", "--annotations", tmp_path / "other_train.json"),
        *("--recipe", coco / "moving.yaml", "--output", out, "--shards", 1, "--copies", 3),
    )
    assert ended.status == 2
    assert "it is not what this output was made from" in ended.err


def test_a_clean_dataset_with_targets_audits_clean(coco, written, masks, written_masks):
    assert findings(written, coco, "instances_train.json") == []
    assert findings(written_masks, masks, "masks") == []


def moved_object(one: Object) -> Object:
    x0, y0, x1, y1 = one.box
    return one._replace(box=(x0 + UNIT, y0, x1, y1))


def exchanged(one: Object) -> Object:
    return one._replace(keypoints=one.keypoints[::-1])


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (moved_object, "object 0 has box"),
        (exchanged, "object 0 has keypoints"),
        (lambda one: one._replace(name={"cat": "dog", "dog": "cat"}[one.name]), "object 0 has name"),
        (lambda one: one._replace(crowd=True), "object 0 has crowd True, and should have False"),
    ],
    ids=["box", "keypoints", "class", "crowd"],
)
@pytest.mark.parametrize("covered", [False, True])
def test_a_forged_target_is_found(coco, written, tmp_path, change, told, covered):
    out = tmp_path / "out"
    shutil.copytree(written, out)
    forger, targets = Forger(out), read_manifest(str(out)).targets
    records = forger.records(SHARD)
    number = next(
        i
        for i, record in enumerate(records)
        if unpacked(record.targets, targets, (40, 56, 3)).ids[:1] == (0,)
    )
    read = unpacked(records[number].targets, targets, (40, 56, 3))
    first, *others = read.annotation.objects
    entries = forged(read, (change(first), *others), targets)
    assert entries != records[number].targets
    forger.change_record(SHARD, number, targets=entries)
    samples = "samples/train_c0-00000-of-00001.parquet"
    if covered:
        forger.change_row(samples, number, targets_blake3=bytes_digest(entries))
    forger.cover_up(SHARD)
    found = findings(out, coco, "instances_train.json")
    assert {finding.kind for finding in found} == {"targets"}
    assert all(finding.record == number for finding in found)
    if covered:
        assert any(told in finding.message for finding in found)


def forged(read: Any, objects: tuple[Object, ...], targets: Any) -> bytes:
    return packed(Moved(objects, read.ids, (), (), None), (), targets, (40, 56))


def test_the_mask_of_another_image_is_found(masks, written_masks, tmp_path):
    out = tmp_path / "out"
    shutil.copytree(written_masks, out)
    forger, samples = Forger(out), "samples/train_c0-00000-of-00001.parquet"
    records = forger.records(SHARD)
    forger.change_record(SHARD, 0, targets=records[1].targets)
    forger.change_row(samples, 0, targets_blake3=bytes_digest(records[1].targets))
    forger.cover_up(SHARD)
    [finding] = findings(out, masks, "masks")
    assert (finding.kind, finding.record) == ("targets", 0)
    assert "its mask is another" in finding.message


def test_a_changed_annotation_and_a_changed_mask_are_found(coco, written, masks, written_masks, tmp_path):
    document = json.loads((coco / "instances_train.json").read_text())
    document["annotations"][0]["bbox"][0] += 1
    shutil.copytree(coco, tmp_path / "coco")
    (tmp_path / "coco/instances_train.json").write_text(json.dumps(document))
    kinds = {finding.kind for finding in findings(written, tmp_path / "coco", "instances_train.json")}
    assert kinds == {"annotation"}
    shutil.copytree(masks, tmp_path / "masks")
    Image.fromarray(np.zeros(SIZE, np.uint8)).save(tmp_path / "masks/masks/3.png")
    found = findings(written_masks, tmp_path / "masks", "masks")
    assert {(finding.kind, finding.source) for finding in found} == {("annotation", "3.png")}


def test_a_mask_that_does_not_fit_is_a_reject_with_its_reason(masks, tmp_path):
    root = tmp_path / "in"
    shutil.copytree(masks, root)
    Image.fromarray(np.zeros((60, 81), np.uint8)).save(root / "masks/0.png")
    Image.fromarray(np.full(SIZE, 300, np.uint16)).save(root / "masks/1.png")
    Image.fromarray(np.zeros((*SIZE, 3), np.uint8)).save(root / "masks/2.png")
    (root / "masks/3.png").unlink()
    ended = materialize(root, tmp_path / "out", "--max-rejects", 1, beside="masks")
    assert ended.status == 0, ended.err
    assert findings(tmp_path / "out", root, "masks") == []
    rejects = [json.loads(line) for line in (tmp_path / "out/rejects.jsonl").read_text().splitlines()]
    assert {(one["source"], one["reason"]) for one in rejects} == {
        ("0.png", "other_size"),
        ("1.png", "bad_mask"),
        ("2.png", "bad_mask"),
        ("3.png", "no_partner"),
    }
    assert "60x81" in rejects[0]["detail"]
    assert "id 300" in rejects[1]["detail"]


def test_what_no_recipe_can_move_is_refused_before_any_work(coco, tmp_path):
    (tmp_path / "mixed.yaml").write_text("ops:\n  - resize: {height: 32, width: 32}\n  - aug_mix: {}\n")
    ended = augshard(
        *("materialize", "--input", coco / "images", "--annotations", coco / "instances_train.json"),
        *("--recipe", tmp_path / "mixed.yaml", "--output", tmp_path / "out"),
    )
    assert ended.status == 2
    assert "targets cannot move with its images: it blends versions" in ended.err
    assert not (tmp_path / "out").exists() or not any((tmp_path / "out").glob("*.tfrecord*"))


def equal(one: Any, other: Any) -> bool:
    """Of what elements of tf.data hold."""
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(equal(one[name], other[name]) for name in one)
    if hasattr(one, "to_list"):  # ragged
        return one.to_list() == other.to_list()
    return one.dtype == other.dtype and np.array_equal(one, other)


@pytest.mark.parametrize("copy", [0, 1])
def test_c3_live_training_has_the_targets_of_the_stored_copy(coco, written, copy):
    recipe = load_recipe(coco / "moving.yaml")
    beside = str(coco / "instances_train.json")
    live = datasets.from_images(str(coco / "images"), recipe, seed=0, copy=copy, annotations=beside)
    stored = datasets.from_shards(str(written), copies=[copy])
    assert len(live) == 9
    assert all(equal(one, other) for one, other in zip(live, stored, strict=True))


def test_c3_live_masks_are_the_stored_ones_and_what_does_not_fit_is_left_out(masks, written_masks, tmp_path):
    recipe, root = load_recipe(masks / "moving.yaml"), tmp_path / "in"
    shutil.copytree(masks, root)
    Image.fromarray(np.zeros((60, 81), np.uint8)).save(root / "masks/0.png")
    rejects: list[Any] = []
    live = datasets.from_images(
        *(str(root / "images"), recipe),
        seed=0,
        annotations=str(root / "masks"),
        on_reject=rejects.append,
        as_supervised=True,
    )
    stored = datasets.from_shards(str(written_masks), copies=[0])
    expected = [sample for sample in stored if sample["source"] != b"0.png"]
    pairs = list(live)
    assert len(pairs) == len(expected) == 5
    for (image, mask), sample in zip(pairs, expected, strict=True):
        assert equal(image, sample["image"])
        assert equal(mask, sample["segmentation_mask"])
    assert [(reject.source, reject.reason) for reject in rejects] == [("0.png", "other_size")]


def test_boxes_and_masks_of_a_tfds_dataset_move_with_its_images():
    recipe = Recipe("x", [Flip(horizontal=1.0), CropOrPad(8, 10)])
    image = np.arange(8 * 16 * 3, dtype=np.uint8).reshape(8, 16, 3)
    mask = image[..., :1]
    boxes = np.array([[0, 0, 0.5, 0.125], [0.25, 0.25, 0.5, 0.5]], np.float32)  # the first leaves the crop
    element = {
        "image": image,
        "tfds_id": "x",
        "segmentation_mask": mask,
        "objects": {"bbox": boxes, "label": np.array([7, 8])},
    }
    data = tf.data.Dataset.from_tensors(element)
    [sample] = augment_dataset(data, recipe, seed=0, copy=0)
    np.testing.assert_array_equal(sample["segmentation_mask"], sample["image"][..., :1])
    np.testing.assert_array_equal(sample["objects"]["label"], [8])
    np.testing.assert_allclose(sample["objects"]["bbox"], [[0.25, 0.5, 0.5, 0.9]])
    [batch] = augment_dataset(data.repeat(2), recipe, seed=0, copy=0, batch_size=2)
    assert batch["objects"]["bbox"].to_list() == [sample["objects"]["bbox"].numpy().tolist()] * 2


@pytest.mark.parametrize("name", ["bbox", "keypoints", "left_landmarks"])
def test_what_is_tied_to_places_and_cannot_move_is_refused_by_its_name(name):
    recipe = Recipe("x", [Resize(8, 8)])
    faces = {"faces": {name: np.zeros((2, 4), np.float32)}}
    data = tf.data.Dataset.from_tensors({"image": np.zeros((8, 8, 3), np.uint8), "source": "x", **faces})
    with pytest.raises(RequestError, match=f"'faces/{name}' is tied to places in the image"):
        augment_dataset(data, recipe, seed=0, copy=0)


def test_thousands_of_objects_are_written_and_more_than_a_record_holds_are_a_reject(tmp_path):
    root = tmp_path / "in"
    images, annotations = [], []
    for number in range(2):
        save_photo(root / f"images/{number}.png", number)
        images.append({"id": number, "file_name": f"{number}.png", "height": 60, "width": 80})
    ants = range(1000)
    annotations += [
        {"id": i, "image_id": 0, "category_id": 1, "bbox": [i % 50, i % 40, 20, 12]} for i in ants
    ]
    around = np.linspace(0, 2 * np.pi, 250_000)
    circle = np.stack([40 + 20 * np.cos(around), 30 + 20 * np.sin(around)], axis=1).round(3)
    outline = {"bbox": [20, 10, 40, 40], "segmentation": [circle.ravel().tolist()]}
    annotations.append({"id": 1000, "image_id": 1, "category_id": 1, **outline})
    document = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "ant"}]}
    (root / "many_train.json").write_text(json.dumps(document))
    (root / "moving.yaml").write_text(RECIPE)
    ended = materialize(root, tmp_path / "out", "--max-rejects", 0.5, beside="many_train.json")
    assert ended.status == 0, ended.err
    [reject] = [json.loads(line) for line in (tmp_path / "out/rejects.jsonl").read_text().splitlines()]
    assert (reject["source"], reject["reason"]) == ("1.png", "too_large")
    [sample] = datasets.numpy(str(tmp_path / "out"))
    assert 500 < len(sample["objects"]["bbox"]) <= 1000


def test_a_table_of_labels_and_columns_alone_is_read_by_all_readers_and_audits_clean(tmp_path):
    root, lines = tmp_path / "in", ["file_name,label,image.width,notes"]
    for number in range(4):
        save_photo(root / f"images/{number}.png", number)
        lines.append(
            f"{number}.png,{'cat' if number % 2 else 'dog'},80,{'long ' * 2000 if number == 1 else 'x'}"
        )
    (root / "images/metadata.csv").write_text("\n".join(lines) + "\n")
    (root / "moving.yaml").write_text("ops:\n  - resize: {height: 32, width: 32}\n  - aug_mix: {}\n")
    ended = materialize(root, tmp_path / "out", "--include-originals", beside="images/metadata.csv")
    assert ended.status == 0, ended.err
    [row] = [
        row
        for row in Forger(tmp_path / "out").rows("samples/train-00000-of-00001.parquet")
        if row["source"] == "1.png"
    ]
    assert (row["table/image.width"], len(row["table/notes"])) == ("80", 10_000)
    for stored in (datasets.from_shards(str(tmp_path / "out")), datasets.numpy(str(tmp_path / "out"))):
        assert sorted(int(sample["label"]) for sample in stored) == [0, 0, 1, 1]
    assert findings(tmp_path / "out", root, "images/metadata.csv") == []


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_ids_of_a_mask_are_those_of_its_file_at_any_depth(bits):
    ids = np.arange(64, dtype=np.uint8).reshape(8, 8) % (1 << min(bits, 6))
    rows = np.packbits(np.unpackbits(ids[..., np.newaxis], axis=-1)[..., 8 - bits :].reshape(8, -1), axis=1)
    header = struct.pack(">IIBBBBB", 8, 8, bits, 0, 0, 0, 0)
    data = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
    chunks = ((b"IHDR", header), (b"IDAT", data), (b"IEND", b""))
    png = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    )
    np.testing.assert_array_equal(codec.decode_mask(png), ids, strict=True)


def test_what_was_moved_of_an_object_in_several_parts_is_told():
    targets = Targets(has=("boxes", "polygons"), classes=("a",))
    parts = ((0, 0, UNIT, 0, UNIT, UNIT), (0, 0, 2 * UNIT, 0, 2 * UNIT, UNIT, 0, UNIT))
    one = Object("a", (0, 0, UNIT, UNIT), parts)
    entries = [
        packed(Moved((each,), (0,), (), (), None), (), targets, (9, 9))
        for each in (one, one._replace(polygons=parts[:1]))
    ]
    assert difference(*entries, targets, (9, 9, 3)).startswith(
        "object 0 has polygons (0, 0, 1, 0, 1, 1, 0, 0, ...)"
    )


def test_a_crowd_of_anybodys_is_drawn_in_no_time():
    corners = tuple(int(c) * UNIT for c in np.random.default_rng(0).integers(-(1 << 20), 1 << 20, 40_000))
    crowd = Object("a", (0, 0, UNIT, UNIT), (corners,), crowd=True)
    assert drawn(np.zeros((8, 8, 3), np.uint8), Annotation((crowd,)), None, ["a"]).shape == (8, 8, 3)


def test_look_lists_what_lies_beside_the_images_once(coco, written, monkeypatch):
    listed, shown = [], []

    def kept(real: Any, results: list[Any]) -> Any:
        def called(*arguments: Any, **named: Any) -> Any:
            results.append(real(*arguments, **named))
            return results[-1]

        return called

    monkeypatch.setattr(site, "everything_annotated", kept(site.everything_annotated, listed))
    monkeypatch.setattr(site, "replay", kept(site.replay, shown))
    beside = annotations_of(str(coco / "instances_train.json"))
    root, manifest = str(coco / "images"), read_manifest(str(written))
    pages = site.Site(str(written), manifest, root=root, annotations=beside)
    assert all(pages.strip({"source": f"{number}.png", "copy": "1"})[0] for number in range(3))
    assert len(listed) == 1
    assert [one.targets.difference for one in shown] == [""] * 3
    assert all(one.matches for one in shown)
