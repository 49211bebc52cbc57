"""A dataset with targets goes out as COCO, YOLO and VOC, and says there what it was told."""

from __future__ import annotations

import io
import json
import os
import random
import shutil
import signal
import tarfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree
from xml.sax.saxutils import escape

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml
from PIL import Image

from pipelines import datasets, demo
from pipelines.export import commit

ANNOTATED = ["coco", "voc", "yolo"]
RECIPES = {
    "nothing": """
ops:
  - resize: {height: 144, width: 192}
""",
    "moving": """
ops:
  - resize: {height: 72, width: 96}
  - flip: {horizontal: 0.5}
  - rotation: {factor: 0.1}
""",
}


IDS = (0, 90)
"""Of the classes in the COCO files: with a hole, as COCO's own have, and from 0 on, as many others have."""


class Out(NamedTuple):
    """A dataset and what it was told."""

    directory: Path
    root: Path
    """with images, annotations and masks"""


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """The demo's pictures, each with two boxes more, of which one stands for a crowd."""
    root, chance = tmp_path_factory.mktemp("told"), random.Random(0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(demo, "COUNTS", {"train": 5, "validation": 2})
        demo.draw_dataset(str(root / "images"))
        demo.write_annotations(str(root))
    for path in (root / "annotations").iterdir():
        document = json.loads(path.read_text())
        things = document["annotations"]
        for image in document["images"]:
            for crowd in (0, 1):
                x, y = chance.randrange(10000) / 100, chance.randrange(10000) / 100
                box = [x, y, chance.randrange(100, 4000) / 100, chance.randrange(100, 4000) / 100]
                more = {"bbox": box, "iscrowd": crowd, "category_id": 2, "image_id": image["id"]}
                things.append({"id": len(things) + 1, **more})
        for category in document["categories"]:
            category["id"] = IDS[category["id"] - 1]
        for thing in things:
            thing["category_id"] = IDS[thing["category_id"] - 1]
        path.write_text(json.dumps(document))
    return root


@pytest.fixture(scope="module")
def materialized(root, run_command, tmp_path_factory) -> Callable[..., Out]:
    """Runs a recipe on what lies beside the images; each once."""
    done: dict[tuple[str, str], Out] = {}

    def run(recipe: str, annotations: str, *options: object) -> Out:
        if (recipe, annotations) not in done:
            place = tmp_path_factory.mktemp("outs")
            (place / "recipe.yaml").write_text(RECIPES[recipe])
            ended = run_command(
                *("materialize", "--input", root / "images", "--annotations", root / annotations),
                *("--recipe", place / "recipe.yaml", "--output", place / "out", "--name", "cars", *options),
            )
            assert ended.status == 0, ended.err
            done[recipe, annotations] = Out(place / "out", root)
        return done[recipe, annotations]

    return run


@pytest.fixture(scope="module")
def out(materialized) -> Out:
    """Three shards a copy, two copies."""
    return materialized("moving", "annotations", "--copies", 2, "--shards", 3)


@pytest.fixture(scope="module")
def exported(run_command, tmp_path_factory) -> Callable[..., Path]:
    done: dict[tuple[Out, str], Path] = {}

    def run(out: Out, to: str, *options: object, into: Path | None = None) -> Path:
        if into is None and (out, to) in done:
            return done[out, to]
        output = into or tmp_path_factory.mktemp("exports") / to
        ended = run_command("export", out.directory, "--to", to, "--output", output, *options)
        assert ended.status == 0, ended.err
        return done.setdefault((out, to), output) if into is None else output

    return run


def things_of(document: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """What is in each image of a COCO file, by the image's source."""
    found: dict[str, list[dict[str, Any]]] = {}
    sources = {image["id"]: image.get("source", image["file_name"]) for image in document["images"]}
    names = {category["id"]: category["name"] for category in document["categories"]}
    for thing in document["annotations"]:
        wanted = {name: thing[name] for name in ("bbox", "iscrowd")}
        wanted["segmentation"] = thing.get("segmentation", [])
        wanted["keypoints"] = thing.get("keypoints", [0] * 6)
        found.setdefault(sources[thing["image_id"]], []).append(
            wanted | {"class": names[thing["category_id"]]}
        )
    return found


def test_coco_comes_out_as_it_went_in_to_the_last_digit(materialized, exported):
    told = materialized("nothing", "annotations", "--copies", 1, "--shards", 2)
    to = exported(told, "coco")
    for split in ("train", "validation"):
        name = f"annotations/instances_{split}.json"
        given, written = (json.loads((place / name).read_text()) for place in (told.root, to))
        assert things_of(given) == things_of(written)
        assert given["categories"] == written["categories"]
        for ids in (
            [image["id"] for image in written["images"]],
            [one["id"] for one in written["annotations"]],
        ):
            assert ids == list(range(1, len(ids) + 1))


@pytest.mark.parametrize("task", ["pose", "segment"])
def test_yolo_comes_out_as_it_went_in_to_the_last_digit(root, run_command, tmp_path, task):
    chance, given = random.Random(task), {}
    data = "train: images/train\nval: images/validation\nnames: {0: truck, 1: car}\n"
    pose = "kpt_shape: [2, 3]\nflip_idx: [1, 0]\nkpt_names: {0: [left, right], 1: [left, right]}\n"
    (tmp_path / "in").mkdir()
    (tmp_path / "in/images").symlink_to(root / "images")
    (tmp_path / "in/data.yaml").write_text(data + pose * (task == "pose"))
    for picture in sorted((root / "images").rglob("*.jpg")):
        stem = str(picture.relative_to(root / "images"))[: -len(".jpg")]
        lines = []
        for number in range(chance.randrange(4)):
            x, y = (chance.randrange(300_000, 700_000) for _ in "xy")
            w, h = (chance.randrange(50_000, 600_000) for _ in "wh")
            words = [str(chance.randrange(2))]
            if task == "pose":
                points = [chance.randrange(1_000_000) for _ in range(4)]
                words += [f"{value / 1e6:.6f}" for value in (x, y, w, h, *points)]
                words.insert(7, "2")
                words += ["1"]
            else:
                corners = [x, y, x, y + h // 2, x + w // 2, y + h // 2, x + w // 2, y][: 6 + 2 * (number % 2)]
                words += [f"{value / 1e6:.6f}" for value in corners]
            lines.append(" ".join(words) + "\n")
        given[stem] = "".join(lines)
        path = tmp_path / f"in/labels/{stem}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(given[stem])
    round_trip(run_command, tmp_path, "yolo", "in/data.yaml", "in")
    for stem, text in given.items():
        copy = "c0" if stem.startswith("train/") else "original"
        assert (tmp_path / f"to/labels/{stem}__{copy}.txt").read_text() == text
    told, said = (yaml.safe_load((tmp_path / place / "data.yaml").read_text()) for place in ("in", "to"))
    assert said == {**told, "nc": 2}


def test_voc_comes_out_as_it_went_in(root, run_command, tmp_path):
    chance, given = random.Random("voc"), {}
    for number, picture in enumerate(sorted((root / "images/train").rglob("*.jpg"))):
        name = f"2007_{number:06}"
        boxes = []
        for _ in range(chance.randrange(1, 4)):
            left, top = chance.randrange(1, 150), chance.randrange(1, 100)
            right, bottom = chance.randrange(left, 193), chance.randrange(top, 145)
            boxes.append((chance.choice(["cat & dog", "cow"]), left, top, right, bottom, chance.randrange(2)))
        given[name] = boxes
        for folder in ("JPEGImages", "Annotations", "ImageSets/Main"):
            (tmp_path / "in" / folder).mkdir(parents=True, exist_ok=True)
        shutil.copy(picture, tmp_path / f"in/JPEGImages/{name}.jpg")
        things = "".join(
            f"<object><name>{escape(label)}</name><difficult>{difficult}</difficult><bndbox><xmin>{left}</xmin>"
            f"<ymin>{top}</ymin><xmax>{right}</xmax><ymax>{bottom}</ymax></bndbox></object>"
            for label, left, top, right, bottom, difficult in boxes
        )
        size = "<size><width>192</width><height>144</height><depth>3</depth></size>"
        (tmp_path / f"in/Annotations/{name}.xml").write_text(
            f"<annotation><filename>{name}.jpg</filename>{size}{things}</annotation>"
        )
    (tmp_path / "in/ImageSets/Main/train.txt").write_text("".join(f"{name}\n" for name in given))
    round_trip(run_command, tmp_path, "voc", "in/Annotations", "in")
    for name, boxes in given.items():
        found = []
        for thing in ElementTree.parse(tmp_path / f"to/Annotations/train/{name}__c0.xml").iter("object"):
            ends = [int(end.text or "") for end in thing.find("bndbox") or ()]
            found.append((thing.findtext("name"), *ends, int(thing.findtext("difficult", ""))))
        assert found == boxes


def round_trip(run_command: Callable[..., Any], place: Path, to: str, annotations: str, images: str) -> None:
    """From what lies in a folder to an export in it, by a recipe that changes nothing."""
    (place / "recipe.yaml").write_text(RECIPES["nothing"])
    told = ("--annotations", place / annotations, "--recipe", place / "recipe.yaml", "--copies", 1)
    for words in (
        ("materialize", "--input", place / images, "--output", place / "out", *told),
        ("export", place / "out", "--to", to, "--output", place / "to"),
    ):
        ended = run_command(*words)
        assert ended.status == 0, ended.err


def test_all_three_have_the_same_boxes(out, exported):
    coco, voc, yolo = (exported(out, to) for to in ANNOTATED)
    data = yaml.safe_load((yolo / "data.yaml").read_text())
    assert data["names"] == {0: "car", 1: "truck"}
    seen = crowds = 0
    for split, key in (("train", "train"), ("validation", "val")):
        document = json.loads((coco / f"annotations/instances_{split}.json").read_text())
        listed = (voc / f"ImageSets/Main/{split}.txt").read_text().splitlines()
        stems = [f"{split}/{image['file_name'].removesuffix('.png')}" for image in document["images"]]
        assert listed == stems
        for image, stem in zip(document["images"], stems, strict=True):
            things = [one for one in document["annotations"] if one["image_id"] == image["id"]]
            pictures = [
                coco / f"images/{stem}.png",
                yolo / f"images/{stem}.png",
                voc / f"JPEGImages/{stem}.png",
            ]
            assert len({path.read_bytes() for path in pictures}) == 1
            assert pictures[1].parent.parent == yolo / data[key]
            objects = ElementTree.parse(voc / f"Annotations/{stem}.xml").findall("object")
            for thing, node in zip(things, objects, strict=True):
                left, top, right, bottom = (int(end.text or "") for end in node.find("bndbox") or ())
                x, y, w, h = thing["bbox"]
                assert (left, top) == (int(x + 0.005) + 1, int(y + 0.005) + 1)
                assert right - 1 <= x + w + 0.01
                assert bottom - 1 <= y + h + 0.01
                assert (x + w - 0.02, y + h - 0.02) <= (right, bottom)
                assert node.findtext("difficult") == str(thing["iscrowd"])
            alone = [thing for thing in things if not thing["iscrowd"]]
            lines = (yolo / f"labels/{stem}.txt").read_text().splitlines()
            for thing, line in zip(alone, lines, strict=True):
                number, cx, cy, w, h, *points = map(float, line.split())
                assert IDS[int(number)] == thing["category_id"]
                box = [(cx - w / 2) * 96, (cy - h / 2) * 72, w * 96, h * 72]
                assert box == pytest.approx(thing["bbox"], abs=0.0052)
                places = (np.array(points).reshape(-1, 3) * [96, 72, 1]).ravel().tolist()
                assert places == pytest.approx(thing["keypoints"], abs=0.0052)
            seen, crowds = seen + len(things), crowds + len(things) - len(alone)
    assert seen > 60
    assert crowds > 20


def test_masks_go_to_voc_as_they_came(materialized, exported):
    told = materialized("nothing", "masks", "--copies", 1)
    to = exported(told, "voc")
    names = (to / "ImageSets/Segmentation/train.txt").read_text().splitlines()
    assert names == (to / "ImageSets/Main/train.txt").read_text().splitlines()
    assert len(names) == 10
    for name in names:
        mask = Image.open(to / f"SegmentationClass/{name}.png")
        original = Image.open(told.root / f"masks/{name.removesuffix('__c0')}.png")
        assert mask.mode == "P"
        assert (np.asarray(mask) == np.asarray(original)).all()


def test_c4_an_annotated_export_is_the_same_bytes_by_several_workers(out, exported, tree, tmp_path):
    options = ("--direct_running_mode=multi_threading", "--direct_num_workers=3")
    assert tree(exported(out, "coco", *options, into=tmp_path / "x")) == tree(exported(out, "coco"))


@pytest.mark.slow
def test_c7_an_annotated_export_that_is_killed_is_absent_and_can_be_gone_on_with(
    out, exported, start_command, tree, tmp_path
):
    expected = tree(exported(out, "voc"))
    process = start_command("export", out.directory, "--to", "voc", "--output", tmp_path / "x")
    whole, deadline = tmp_path / "x/.unfinished/whole", time.monotonic() + 60
    while sum(path.is_file() for path in whole.rglob("*")) < 2 and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.002)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert set(os.listdir(tmp_path / "x")) == {".unfinished"}
    assert tree(exported(out, "voc", into=tmp_path / "x")) == expected


def test_c7_an_export_that_ends_while_lists_are_put_together_is_finished_by_the_next_run(
    out, exported, run_command, tree, tmp_path, monkeypatch
):
    def full(*_: object) -> None:
        raise OSError(28, "the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(commit, "_write", full)
        ended = run_command("export", out.directory, "--to", "coco", "--output", tmp_path / "x")
    assert ended.status == 1
    assert set(os.listdir(tmp_path / "x")) == {".unfinished"}
    assert tree(exported(out, "coco", into=tmp_path / "x")) == tree(exported(out, "coco"))


def test_the_manifest_names_the_lists_and_what_was_put_together(out, exported):
    to = exported(out, "coco")
    document = json.loads((to / "_export.json").read_text())
    assert {name for name in document["files"] if not name.startswith("_files/")} == {
        f"annotations/instances_{split}.json" for split in ("train", "validation")
    }
    listed = [
        json.loads(line) for path in (to / "_files").iterdir() for line in path.read_text().splitlines()
    ]
    assert {line["file"] for line in listed} == {str(path.relative_to(to)) for path in to.rglob("*.png")}
    assert document["records"] == len(listed)


def test_images_without_labels_get_none_in_other_formats(out, exported):
    tars, parquet, folders = (exported(out, to) for to in ("webdataset", "parquet", "folders"))
    with tarfile.open(next(tars.glob("*.tar"))) as tar:
        assert {name.partition(".")[2] for name in tar.getnames()} == {"png", "json"}
    [table, *_] = (pq.read_table(path) for path in parquet.glob("*.parquet"))
    assert table.column_names == ["image", "source", "copy", "objects"]
    assert not any('"label"' in path.read_text() for path in (folders / "_files").iterdir())


Things = dict[tuple[str, int], list[dict[str, Any]]]
"""What is in each sample, by source and copy; without what tells it from other things."""


def in_coco(to: Path) -> Things:
    found: Things = {}
    for path in (to / "annotations").iterdir():
        document = json.loads(path.read_text())
        names = {category["id"]: category["name"] for category in document["categories"]}
        samples = {image["id"]: (image["source"], image["copy"]) for image in document["images"]}
        found |= {sample: [] for sample in samples.values()}
        for thing in document["annotations"]:
            del thing["id"]
            told = {"class": names[thing.pop("category_id")], **thing}
            found[samples[told.pop("image_id")]].append(told)
    return found


def samples_of(out: Out) -> Iterator[dict[str, Any]]:
    """Those of both splits, as the dataset has them."""
    for split in ("train", "validation"):
        yield from datasets.numpy(str(out.directory), split=split)


def numbers_of(out: Out) -> dict[tuple[str, int], list[int]]:
    """Of the objects of each sample, by source and copy."""
    return {(one["source"], one["copy"]): one["objects"]["id"].tolist() for one in samples_of(out)}


def test_webdataset_says_what_is_in_an_image_as_coco_does(out, exported):
    webdataset = pytest.importorskip("webdataset", reason="webdataset is not installed")
    paths = sorted(map(str, exported(out, "webdataset").glob("*.tar")))
    found: Things = {}
    numbers = numbers_of(out)
    for sample in webdataset.WebDataset(paths, shardshuffle=False).decode("rgb8"):
        about = sample["json"]
        assert sample["png"].shape == (72, 96, 3)
        key = about["source"], about["copy"]
        assert [thing.pop("id") for thing in about["objects"]] == numbers[key]
        found[key] = about["objects"]
        assert all(["car", "truck"][thing.pop("label")] == thing["class"] for thing in found[key])
    assert found == in_coco(exported(out, "coco"))


def test_parquet_has_the_lists_of_objects_that_hugging_face_has(out, exported):
    paths = sorted(exported(out, "parquet").glob("*.parquet"))
    found: Things = {}
    numbers = numbers_of(out)
    for row in (row for path in paths for row in pq.read_table(path).to_pylist()):
        objects, key = row["objects"], (row["source"], row["copy"])
        assert objects.pop("id") == numbers[key]
        objects["class"] = [["car", "truck"][number] for number in objects.pop("category")]
        found[key] = [
            dict(zip(objects, values, strict=True)) for values in zip(*objects.values(), strict=True)
        ]
    told = in_coco(exported(out, "coco"))
    for things in told.values():
        for thing in things:
            del thing["num_keypoints"]
    assert found == told


def test_hugging_face_reads_objects_and_masks(out, materialized, exported, tmp_path):
    hub = pytest.importorskip("datasets", reason="Hugging Face's datasets are not installed")
    read = hub.load_dataset(str(exported(out, "parquet")), cache_dir=str(tmp_path))["train"]
    category = read.features["objects"]["category"].feature
    first = read[0]
    assert category.names == ["car", "truck"]
    told = in_coco(exported(out, "coco"))[first["source"], first["copy"]]
    assert [category.int2str(number) for number in first["objects"]["category"]] == [
        thing["class"] for thing in told
    ]
    assert first["objects"]["bbox"] == [thing["bbox"] for thing in told]
    masked = exported(materialized("nothing", "masks", "--copies", 1), "parquet")
    mask = hub.load_dataset(str(masked), cache_dir=str(tmp_path))["train"][0]["segmentation_mask"]
    assert (mask.mode, mask.size) == ("L", (192, 144))


def test_masks_go_to_parquet_and_webdataset_as_they_are_stored(materialized, exported):
    told = materialized("nothing", "masks", "--copies", 1)
    stored = {one["source"]: one["segmentation_mask"] for one in samples_of(told)}
    rows = (
        row for path in exported(told, "parquet").glob("*.parquet") for row in pq.read_table(path).to_pylist()
    )
    in_parquet = {row["source"]: row["segmentation_mask"]["bytes"] for row in rows}
    in_tars: dict[str, bytes] = {}
    for path in exported(told, "webdataset").glob("*.tar"):
        with tarfile.open(path) as tar:
            files = {member.name: tar.extractfile(member).read() for member in tar}
        for name in (name for name in files if name.endswith(".json")):
            source = json.loads(files[name])["source"]
            in_tars[source] = files[name.removesuffix(".json") + ".seg.png"]
    assert in_tars == in_parquet
    assert stored.keys() == in_tars.keys()
    for source, png in in_tars.items():
        assert (np.asarray(Image.open(io.BytesIO(png)))[..., np.newaxis] == stored[source]).all()


def test_array_records_have_all_that_records_have(out, exported):
    pytest.importorskip("array_record", reason="the extra arrayrecord")
    tfds = pytest.importorskip("tensorflow_datasets")
    builder = tfds.builder_from_directory(str(exported(out, "arrayrecord")))
    assert builder.info.features["objects"]["label"].names == ["car", "truck"]
    [told, *_] = builder.as_data_source(split="train_c1")
    [first, *_] = datasets.numpy(str(out.directory), split="train", copies=[1])
    assert told["source"].decode() == first["source"]
    assert (np.asarray(told["objects"]["bbox"]) == first["objects"]["bbox"]).all()


def test_names_are_whole_where_two_would_be_one(root, run_command, tmp_path):
    folder, document = (
        tmp_path / "in",
        {"images": [], "annotations": [], "categories": [{"id": 1, "name": "car"}]},
    )
    (folder / "images").mkdir(parents=True)
    for number, name in enumerate(("a.png", "images/a.png"), start=1):
        Image.new("RGB", (30, 20), (number, 0, 0)).save(folder / name)
        document["images"].append({"id": number, "file_name": name})
        thing = {"id": number, "image_id": number, "category_id": 1, "bbox": [1, 2, 10, 10]}
        document["annotations"].append(thing)
    (tmp_path / "instances.json").write_text(json.dumps(document))
    round_trip(run_command, tmp_path, "coco", "instances.json", "in")
    to = tmp_path / "to"
    names = sorted(str(path.relative_to(to)) for path in to.rglob("*.png"))
    assert names == ["images/train/a.png__c0.png", "images/train/images/a.png__c0.png"]


@pytest.mark.parametrize("to", ANNOTATED)
def test_a_dataset_without_targets_is_refused_with_what_would_be_right(
    materialize, images, run_command, tmp_path, to
):
    ended = run_command("export", materialize(images, "--copies", 1), "--to", to, "--output", tmp_path / "x")
    assert ended.status == 2
    assert f"cannot be exported --to {to}: its records have no boxes, polygons or keypoints" in ended.err
    assert not (tmp_path / "x").exists()


def test_masks_alone_do_not_go_to_coco(materialized, run_command, tmp_path):
    told = materialized("nothing", "masks", "--copies", 1)
    ended = run_command("export", told.directory, "--to", "coco", "--output", tmp_path / "x")
    assert (ended.status, "--to voc, which has masks" in ended.err) == (2, True)
