"""COCO, YOLO and VOC say of a picture what its record says, in the digits that they have."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from augment.codec import encode_png
from augment.targets import UNIT, Annotation, Object
from augment.targets.moving import Moved
from pipelines.export.coco import Coco
from pipelines.export.digits import hundredths, millionths
from pipelines.export.formats import Format, Item
from pipelines.export.voc import Voc, _whole_box
from pipelines.export.yolo import Yolo, _places
from pipelines.format.example import Record
from pipelines.format.layout import Shard
from pipelines.format.targets import Targets, packed, unpacked

HEIGHT, WIDTH = 90, 120
CLASSES = ("car", "Straßenbahn & Bus", "yes")
TARGETS = Targets(
    has=("boxes", "keypoints", "mask", "polygons"),
    classes=CLASSES,
    class_numbers=(3, 7, 15),
    keypoints=("left", "right", "top"),
    pairs=((0, 1),),
)


def manifest(beside: str = "voc", **changes: Any) -> Any:
    """As much of one as forms ask for."""
    return SimpleNamespace(
        image_size=(HEIGHT, WIDTH),
        image_shape=(HEIGHT, WIDTH, 3),
        targets=TARGETS.model_copy(update=changes),
        request=SimpleNamespace(name="set", annotations=beside, storage=SimpleNamespace(format="png")),
        splits={"train": None, "val": None},
        classes=("unlabeled",),
    )


def units(*places: float) -> tuple[int, ...]:
    return tuple(round(Fraction(str(place)) * UNIT) for place in places)


def point(x: float, y: float, seen: int) -> tuple[int, int, int]:
    return (*units(x, y), seen)  # type: ignore[return-value]


CAR = Object(
    "car",
    units(10.25, 20.5, 50.25, 60),  # type: ignore[arg-type]
    (units(10.25, 20.5, 50.25, 20.5, 50.25, 60), units(12, 50, 20, 50, 20, 60, 12, 60)),
    (point(15, 30, 2), point(40.33, 50.67, 1), point(0, 0, 0)),
)
BUS = Object(CLASSES[1], units(0, 0, 120, 33.33), crowd=True)  # type: ignore[arg-type]
SPECK = Object("yes", units(100.1, 80.2, 100.9, 80.7))  # type: ignore[arg-type]
IDS = np.zeros((HEIGHT, WIDTH, 1), np.uint8)
IDS[20:60, 10:50], IDS[80:, 100:] = 3, 255


def item(number: int, source: str, copy: int, *things: Object, mask: bool = False) -> Item:
    picture = encode_png(np.full((HEIGHT, WIDTH, 3), number, np.uint8))
    return Item(
        number,
        b"",
        Record(picture, 0, source, copy),
        "unlabeled",
        Annotation(things),
        encode_png(IDS) if mask else b"",
    )


SHARDS = {
    Shard("train", 0, 0, 2): [item(0, "images/train/a/1.jpg", 0, CAR, BUS, mask=True), item(1, "2.jpg", 0)],
    Shard("train", 0, 1, 2): [item(0, "train2017/3.png", 0, SPECK, CAR)],
    Shard("val", -1, 0, 1): [item(0, "val/images/4.jpg", -1, BUS, SPECK)],
}


def write(form: Format, root: Path) -> Path:
    """All shards, and what is put together from them."""
    for shard, items in SHARDS.items():
        path = root / form.file(shard)
        path.parent.mkdir(parents=True, exist_ok=True)
        writer = form.writer(str(path), shard, str(root))
        for one in items:
            writer.write(one)
        writer.close()

    def lines(split: str) -> Iterator[Any]:
        for shard in SHARDS:
            if shard.split == split:
                yield from map(json.loads, (root / form.file(shard)).read_text().splitlines())

    lists = {split: lambda split=split: lines(split) for split in ("train", "val")}
    joined = list(form.joined(lists))
    for name, parts in joined:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("".join(parts))
    there = sum(path.is_file() for path in root.rglob("*"))
    assert there == form.files_beside(lists) + len(SHARDS) + len(joined)
    return root


@pytest.fixture(scope="module")
def coco_files(tmp_path_factory) -> Path:
    return write(Coco(manifest(), keeps_extensions=False), tmp_path_factory.mktemp("coco"))


def test_coco_has_images_objects_and_categories_in_order(coco_files):
    document = json.loads((coco_files / "annotations/instances_train.json").read_text())
    assert [(image["id"], image["file_name"], image["copy"]) for image in document["images"]] == [
        (1, "a/1__c0.png", 0),
        (2, "2__c0.png", 0),
        (3, "3__c0.png", 0),
    ]
    assert document["images"][0]["source"] == "images/train/a/1.jpg"
    assert {(image["height"], image["width"]) for image in document["images"]} == {(HEIGHT, WIDTH)}
    assert [(c["id"], c["name"]) for c in document["categories"]] == list(
        zip((3, 7, 15), CLASSES, strict=True)
    )
    assert document["categories"][0]["keypoints"] == ["left", "right", "top"]
    found = [(thing["id"], thing["image_id"], thing["category_id"]) for thing in document["annotations"]]
    assert found == [(1, 1, 3), (2, 1, 7), (3, 3, 15), (4, 3, 3)]
    car, bus, speck, _ = document["annotations"]
    assert car["bbox"] == [10.25, 20.5, 40, 39.5]
    assert car["segmentation"] == [[10.25, 20.5, 50.25, 20.5, 50.25, 60], [12, 50, 20, 50, 20, 60, 12, 60]]
    assert car["area"] == 40 * 39.5 / 2 + 80
    assert (car["keypoints"], car["num_keypoints"]) == ([15, 30, 2, 40.33, 50.67, 1, 0, 0, 0], 2)
    assert (bus["iscrowd"], bus["area"], bus["segmentation"]) == (1, 3999.6, [])
    assert (bus["keypoints"], bus["num_keypoints"]) == ([0] * 9, 0)
    assert (speck["bbox"], speck["area"]) == ([100.1, 80.2, 0.8, 0.5], 0.4)


def test_pycocotools_reads_it(coco_files, capsys):
    coco = pytest.importorskip("pycocotools.coco", reason="pycocotools is not installed")
    read = coco.COCO(str(coco_files / "annotations/instances_train.json"))
    [image] = read.loadImgs(read.getImgIds(catIds=[7]))
    with Image.open(coco_files / "images/train" / image["file_name"]) as picture:
        assert picture.size == (image["width"], image["height"])
    [car] = read.loadAnns(read.getAnnIds(imgIds=[1], iscrowd=False))
    area = int(read.annToMask(car).sum())
    assert abs(area - (40 * 39.5 / 2 + 40)) < 40  # half of the second part lies in the first
    capsys.readouterr()


def test_categories_count_from_one_where_their_numbers_cannot_be_ids(tmp_path):
    for beside, numbers in (("yolo", (0, 1, 2)), ("coco", (4, 4, 5)), ("voc", (0, 0, 0)), ("masks", ())):
        form = Coco(manifest(beside, class_numbers=numbers), keeps_extensions=False)
        assert form.category_ids == (1, 2, 3)


def test_categories_of_coco_keep_their_ids():
    for ids in ((0, 1, 2), (1, 18, 90), (-1, 0, 2**70)):
        assert Coco(manifest("coco", class_numbers=ids), keeps_extensions=False).category_ids == ids


def read_yolo(root: Path, split: str) -> dict[str, tuple[np.ndarray, list[list[float]]]]:
    """By the rules of Ultralytics: an image's labels lie where its last `images` is `labels`, all numbers of
    a row but the first are between 0 and 1, visibilities excepted, rows are equally long but for outlines."""
    data = yaml.safe_load((root / "data.yaml").read_text())
    found = {}
    for image in sorted((root / data[split]).rglob("*.png")):
        before, after = str(image).rsplit("/images/", 1)
        text = Path(f"{before}/labels/{after}").with_suffix(".txt").read_text()
        rows = [[float(word) for word in line.split()] for line in text.splitlines()]
        for row in rows:
            assert row[0] in data["names"]
            places = row[1:5]
            if "kpt_shape" in data:
                count, size = data["kpt_shape"]
                assert len(row) == 5 + count * size
                points = np.array(row[5:]).reshape(count, size)
                assert set(points[:, 2]) <= {0, 1, 2}
                places += points[:, :2].ravel().tolist()
            elif len(row) > 5:
                assert len(row) % 2 == 1
                places = row[1:]
            assert 0 <= min(places) <= max(places) <= 1
        name = str(image.relative_to(root / data[split]))
        found[name] = np.asarray(Image.open(image)), rows
    return found


def test_yolo_has_poses_where_there_are_keypoints(tmp_path):
    write(Yolo(manifest(), keeps_extensions=False), tmp_path)
    data = yaml.safe_load((tmp_path / "data.yaml").read_text())
    assert data["names"] == dict(enumerate(CLASSES))
    assert (data["train"], data["val"], data["nc"]) == ("images/train", "images/val", 3)
    assert (data["kpt_shape"], data["flip_idx"]) == ([3, 3], [1, 0, 2])
    assert data["kpt_names"] == {number: ["left", "right", "top"] for number in range(3)}
    read = read_yolo(tmp_path, "train")
    assert sorted(read) == ["2__c0.png", "3__c0.png", "a/1__c0.png"]
    picture, [car] = read["a/1__c0.png"]  # the crowd is left out
    assert (picture == 0).all()
    box = [30.25 / 120, 40.25 / 90, 40 / 120, 39.5 / 90]
    points = [15 / 120, 30 / 90, 2, 40.33 / 120, 50.67 / 90, 1, 0, 0, 0]
    assert car == pytest.approx([0, *box, *points], abs=5e-7)
    assert read["2__c0.png"][1] == []
    assert (tmp_path / "labels/train/2__c0.txt").read_text() == ""
    assert [row[0] for row in read["3__c0.png"][1]] == [2, 0]


def test_yolo_names_the_splits_that_it_knows():
    form = Yolo(manifest(has=("boxes",), keypoints=(), pairs=()), keeps_extensions=False)
    for splits, named in {
        ("train", "validation", "test"): {"train": "train", "val": "validation", "test": "test"},
        ("test2017", "train2017", "names"): {"train": "train2017", "test": "test2017"},
    }.items():
        [(name, text)] = form.joined(dict.fromkeys(splits, lambda: iter(())))
        data = yaml.safe_load("".join(text))
        assert name == "data.yaml"
        assert {key: data[key] for key in data if key not in ("nc", "names")} == {
            key: f"images/{split}" for key, split in named.items()
        }


def test_yolo_has_outlines_where_there_are_polygons_and_no_keypoints(tmp_path):
    write(Yolo(manifest(has=("boxes", "polygons"), keypoints=(), pairs=()), keeps_extensions=False), tmp_path)
    data = yaml.safe_load((tmp_path / "data.yaml").read_text())
    assert not {"kpt_shape", "flip_idx", "kpt_names"} & data.keys()
    read = read_yolo(tmp_path, "train")
    speck, car = read["3__c0.png"][1]
    x0, y0, x1, y1 = 100.1 / 120, 80.2 / 90, 100.9 / 120, 80.7 / 90
    assert speck == pytest.approx([2, x0, y0, x1, y0, x1, y1, x0, y1], abs=5e-7)
    assert len(car) == 1 + 2 * (3 + 4 + 2)


def test_yolo_has_boxes_else(tmp_path):
    write(Yolo(manifest(has=("boxes",), keypoints=(), pairs=()), keeps_extensions=False), tmp_path)
    assert (tmp_path / "labels/train/a/1__c0.txt").read_text() == "0 0.252083 0.447222 0.333333 0.438889\n"


def test_parts_of_an_outline_are_joined_without_area(tmp_path):
    form = Yolo(manifest(has=("boxes", "polygons"), keypoints=(), pairs=()), keeps_extensions=False)
    parts = [(5, 5, 40, 5, 40, 30, 5, 30), (60, 10, 100, 20, 80, 80), (10, 50, 30, 50, 30, 85, 10, 85)]
    thing = Object("car", units(5, 5, 100, 85), tuple(units(*part) for part in parts))  # type: ignore[arg-type]
    row = list(map(float, form._line(thing).split()[1:]))
    joined = np.array(row).reshape(-1, 2) * [WIDTH, HEIGHT]
    apart, together = (np.zeros((HEIGHT, WIDTH), np.uint8) for _ in range(2))
    for part in parts:
        cv2.fillPoly(apart, [np.array(part).reshape(-1, 2)], 1)
    cv2.fillPoly(together, [np.round(joined).astype(int)], 1)
    assert (together[apart == 1] == 1).all()
    assert together.sum() - apart.sum() < 80  # the way between the parts
    assert float(cv2.contourArea(joined.astype(np.float32))) == pytest.approx(
        35 * 25 + 1300 + 20 * 35, abs=0.1
    )


def test_labels_lie_where_they_are_looked_for_though_a_folder_is_called_images(tmp_path):
    form = Yolo(manifest(), keeps_extensions=True)
    (image, _), (label, _) = form.files_of("train", item(0, "images/x/images/1.jpg", 2))
    assert image == "images/train/images/x/images/1.jpg__c2.png"
    before, after = f"/{image}".rsplit("/images/", 1)
    assert f"/{label}" == f"{before}/labels/{after}".replace(".png", ".txt")


@pytest.fixture(scope="module")
def voc_files(tmp_path_factory) -> Path:
    return write(Voc(manifest(), keeps_extensions=False), tmp_path_factory.mktemp("voc"))


def test_voc_has_whole_boxes_that_count_from_one(voc_files):
    names = (voc_files / "ImageSets/Main/train.txt").read_text().splitlines()
    assert names == ["train/a/1__c0", "train/2__c0", "train/3__c0"]
    assert (voc_files / "ImageSets/Main/val.txt").read_text() == "val/4__original\n"
    boxes = {}
    for name in names:
        root = ElementTree.parse(voc_files / f"Annotations/{name}.xml").getroot()
        picture = Image.open(voc_files / root.findtext("folder", "") / root.findtext("filename", ""))
        size = tuple(int(root.findtext(f"size/{side}", "")) for side in ("width", "height", "depth"))
        assert size == (*picture.size, 3) == (WIDTH, HEIGHT, 3)
        boxes[name] = [
            (
                thing.findtext("name"),
                *(int(thing.findtext(f"bndbox/{end}", "")) for end in ("xmin", "ymin", "xmax", "ymax")),
                int(thing.findtext("difficult", "")),
            )
            for thing in root.iter("object")
        ]
    assert boxes == {
        "train/a/1__c0": [("car", 11, 21, 51, 60, 0), (CLASSES[1], 1, 1, 120, 34, 1)],
        "train/2__c0": [],
        "train/3__c0": [("yes", 101, 81, 101, 81, 0), ("car", 11, 21, 51, 60, 0)],
    }


def test_voc_has_masks_with_its_palette(voc_files):
    assert (voc_files / "ImageSets/Segmentation/train.txt").read_text() == "train/a/1__c0\n"
    assert (voc_files / "ImageSets/Segmentation/val.txt").read_text() == ""
    segmented = [
        ElementTree.parse(voc_files / f"Annotations/{name}.xml").findtext("segmented")
        for name in ("train/a/1__c0", "train/3__c0")
    ]
    assert segmented == ["1", "0"]
    mask = Image.open(voc_files / "SegmentationClass/train/a/1__c0.png")
    assert mask.mode == "P"
    assert (np.asarray(mask) == IDS[..., 0]).all()
    palette = np.array(mask.getpalette()).reshape(-1, 3)
    known = {0: (0, 0, 0), 1: (128, 0, 0), 7: (128, 128, 128), 15: (192, 128, 128), 20: (0, 64, 128)}
    assert {number: tuple(palette[number]) for number in known} == known
    assert tuple(palette[255]) == (224, 224, 192)
    label_map = (voc_files / "labelmap.txt").read_text().splitlines()
    assert label_map[1:] == ["car:128,128,0::", f"{CLASSES[1]}:128,128,128::", "yes:192,128,128::"]


def test_a_dataset_of_masks_alone_goes_to_voc_and_one_without_targets_to_none():
    masks = manifest(has=("mask",))
    assert Voc(masks, keeps_extensions=False).why_not() is None
    for form in (Coco, Yolo):
        assert "no boxes, polygons or keypoints" in str(form(masks, keeps_extensions=False).why_not())
    plain = manifest()
    plain.targets = None
    for form in (Coco, Yolo, Voc):
        assert "no boxes, polygons or keypoints" in str(form(plain, keeps_extensions=False).why_not())
    odd = manifest(classes=("a", "b\x07", "c"))
    for form in (Coco, Yolo, Voc):
        said = str(form(odd, keeps_extensions=False).why_not())
        assert said == r"'b\x07' has a character that such files cannot have"


@pytest.mark.parametrize(
    ("source", "split", "stem"),
    [
        ("000001.jpg", "train", "000001"),
        ("images/train/000001.jpg", "train", "000001"),
        ("train2017/000001.jpg", "train", "000001"),
        ("valid/images/000001.jpg", "validation", "000001"),
        ("JPEGImages/2007_000027.jpg", "train", "2007_000027"),
        ("train/car/images/1.v2.jpg", "train", "car/images/1.v2"),
        ("test/1.jpg", "train", "test/1"),
        ("fold1/1.jpg", "fold1", "1"),
        ("a\nb.jpg", "train", "a%0Ab"),
    ],
)
def test_a_name_leaves_out_folders_that_say_nothing_new(source, split, stem):
    assert Coco(manifest(), keeps_extensions=False).stem(source, split) == stem


@given(st.integers(0, 10**7), st.integers(0, 10**7))
def test_two_digits_that_were_read_are_written_again(first, length):
    x0, x1 = (round(Fraction(value, 100) * UNIT) for value in (first, first + length))
    assert hundredths(x0) == first / 100
    assert hundredths(x1 - x0) == length / 100
    text = json.dumps(hundredths(x0))
    assert len(text.partition(".")[2]) <= 2
    assert not text.endswith(".0")


@given(st.integers(64, 8192), st.data())
def test_six_digits_that_were_read_are_written_again(width, data):
    middle = data.draw(st.integers(0, 10**6))
    side = data.draw(st.integers(0, 2 * min(middle, 10**6 - middle)))
    x0, x1 = (round(Fraction(2 * middle + sign * side, 2 * 10**6) * width * UNIT) for sign in (-1, 1))
    for written, value in (
        (millionths(x0 + x1, 2 * width * UNIT), middle),
        (millionths(x1 - x0, width * UNIT), side),
    ):
        assert (len(written), Fraction(written)) == (8, Fraction(value, 10**6))


@given(st.lists(st.integers(1, 4000), min_size=4, max_size=4))
def test_whole_pixels_that_were_read_are_written_again(ends):
    left, right = sorted(ends[:2])
    top, bottom = sorted(ends[2:])
    given_box = {"xmin": left, "ymin": top, "xmax": right, "ymax": bottom}
    box = units(left - 1, top - 1, right, bottom)
    entry = Voc(manifest(), keeps_extensions=False)._annotation(
        "1",
        item(0, "1.jpg", 0, Object("car", box)),  # type: ignore[arg-type]
    )
    node = ElementTree.parse(io.BytesIO(entry)).find("object/bndbox")
    assert node is not None
    assert {end.tag: int(end.text or "") for end in node} == given_box


@given(st.integers(64, 8192), st.integers(64, 8192), st.data())
def test_a_record_loses_no_digit(width, height, data):
    """In which places are float32."""
    kinds = Targets(has=("boxes", "polygons"), classes=CLASSES, class_numbers=(1, 2, 3))
    sides = (width, height)
    whole = [sorted(data.draw(st.tuples(*[st.integers(0, side)] * 2))) for side in sides]
    pixels = [whole[0][0], whole[1][0], whole[0][1] + 1, whole[1][1] + 1]
    parts = [data.draw(st.integers(0, 10**6)) for _ in range(6)]
    hundreds = [data.draw(st.integers(0, 100 * sides[i % 2])) for i in range(6)]
    line = tuple(round(Fraction(value * sides[i % 2] * UNIT, 10**6)) for i, value in enumerate(parts))
    two = tuple(round(Fraction(value * UNIT, 100)) for value in hundreds)
    box = tuple(min(value, sides[i % 2]) * UNIT for i, value in enumerate(pixels))
    given_thing = Object("car", box, (line, two))  # type: ignore[arg-type]
    entries = packed(Moved((given_thing,), (0,), (), (), None), (), kinds, (height, width))
    [thing] = unpacked(entries, kinds, (height, width, 3)).annotation.objects
    assert _whole_box(thing) == _whole_box(given_thing)
    assert _places(thing.polygons[0], width, height) == [f"{value / 10**6:.6f}" for value in parts]
    assert [hundredths(value) for value in thing.polygons[1]] == [value / 100 for value in hundreds]
