"""What is known of the demo's pictures is what was drawn, by their pixels alone."""

from __future__ import annotations

import hashlib
import json
import random
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from augment.targets import UNIT
from pipelines import demo
from pipelines.demo import vehicles

HALF = UNIT // 2
SCENERY = {(130, 235), (70, 190), (60, 110)}
"""The levels of sky, hills and road."""
PAINT = {(20, 245), (150, 250)}
ROAD, BLUR = (190, 205), (0, 0.6)


class Chance(random.Random):
    """That of a picture whose vehicle is painted light, and whose scenery is lighter; not blurred."""

    def __new__(cls, seed: str, lighter: int) -> Chance:
        return super().__new__(cls, seed)

    def __init__(self, seed: str, lighter: int) -> None:
        super().__init__(seed)
        self.lighter, self.road = lighter, 0

    def randint(self, a: int, b: int) -> int:
        chosen = super().randint(a, b)
        if (a, b) == ROAD:
            self.road = chosen
        return 200 if (a, b) in PAINT else chosen + self.lighter * ((a, b) in SCENERY)

    def uniform(self, a: float, b: float) -> float:
        chosen = super().uniform(a, b)
        return 0.0 if (a, b) == BLUR else chosen


@pytest.fixture(scope="module", params=vehicles.VEHICLES)
def pictures(request) -> list[tuple[vehicles.Drawn, np.ndarray]]:
    """Pictures, and how many of a pixel's four parts the vehicle covers: the others got lighter by 16."""
    found = []
    for number in range(12):
        chance = Chance(str(number), 0)
        one = vehicles.draw_with_truth(request.param, chance)
        other = vehicles.draw_with_truth(request.param, Chance(str(number), 16))
        covered = 4 - (np.asarray(other.picture).astype(int) - np.asarray(one.picture)).max(axis=2) // 4
        covered[(chance.road + 62) // 2 :] = 0  # the stripes of the road, which have one level always
        found.append((one, covered))
    return found


def test_a_mask_has_the_vehicle_where_it_covers_half_of_a_pixel(pictures):
    for drawn, covered in pictures:
        number = 1 + vehicles.VEHICLES.index(drawn.annotation.objects[0].name)
        assert (drawn.mask == np.where(covered >= 2, number, 0)).all()
        assert drawn.mask.dtype == np.uint8


def test_a_box_ends_where_the_vehicle_does_to_half_a_pixel(pictures):
    for drawn, covered in pictures:
        ends = []
        for most in (covered.max(axis=0), covered.max(axis=1)):
            there = np.flatnonzero(most)
            ends.append((2 * there[0] + (most[there[0]] <= 2), 2 * there[-1] + 2 - (most[there[-1]] <= 2)))
        (x0, x1), (y0, y1) = ends
        assert drawn.annotation.objects[0].box == tuple(HALF * end for end in (x0, y0, x1, y1))


def test_an_outline_surrounds_every_part_of_a_pixel_that_the_vehicle_covers(pictures):
    for drawn, covered in pictures:
        large = np.zeros((8 * covered.shape[0], 8 * covered.shape[1]), np.uint8)
        for polygon in drawn.annotation.objects[0].polygons:
            corners = np.array(polygon).reshape(-1, 1, 2) // (HALF // 4)
            cv2.fillPoly(large, [corners.astype(np.int32)], 1)
        parts = large[2::4, 2::4].astype(int)  # in their middles, far from the lines that OpenCV draws too
        assert (parts.reshape(covered.shape[0], 2, -1, 2).sum(axis=(1, 3)) == covered).all()


def test_keypoints_are_the_middles_of_the_first_and_the_last_wheel(pictures):
    facing = set()
    for drawn, _ in pictures:
        rims = (np.abs(np.asarray(drawn.picture).astype(int) - 170).max(axis=2) < 5) & (drawn.mask > 0)
        count, _, stats, _ = cv2.connectedComponentsWithStats(rims.astype(np.uint8))
        wheels = sorted(
            (x + (w - 1) / 2, y + (h - 1) / 2) for x, y, w, h, area in stats[1:count] if area > 30
        )
        assert len(wheels) == (3 if drawn.annotation.objects[0].name == "truck" else 2)
        front, rear = (
            (x / UNIT, y / UNIT) for x, y, seen in drawn.annotation.objects[0].keypoints if seen == 2
        )
        facing.add(front > rear)
        for point, wheel in zip(sorted((front, rear)), (wheels[0], wheels[-1]), strict=True):
            assert point == pytest.approx(wheel, abs=0.5)  # a rim's edge is seen to half a pixel
    assert facing == {False, True}


def test_the_vehicle_that_faces_right_has_its_front_wheel_to_the_right():
    for faces in ("left", "right"):
        for label in vehicles.VEHICLES:
            drawn = vehicles.draw_with_truth(label, random.Random(0), faces=faces)
            (front, *_), (rear, *_) = drawn.annotation.objects[0].keypoints
            assert (front > rear) == (faces == "right")


def test_the_pictures_are_those_that_they_always_were():
    digest = hashlib.sha256()
    for label in demo.CLASSES:
        for faces in (None, "left", "right"):
            digest.update(vehicles.draw_vehicle(label, random.Random("once"), faces=faces).tobytes())
    assert digest.hexdigest()[:16] == "0192cd2675b1372f"


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(demo, "COUNTS", {"train": 3, "validation": 1})
        root = tmp_path_factory.mktemp("demo")
        demo.draw_dataset(str(root / "images"))
        demo.write_annotations(str(root))
    return root


def test_of_the_rare_class_there_are_few_beside_the_same_pictures(written, monkeypatch):
    monkeypatch.setattr(demo, "FEW", {"train": 1, "validation": 2})
    demo.draw_rare(str(written / "rare"), beside=str(written / "images"))
    there, beside = (
        {path.relative_to(written / name): path.read_bytes() for path in (written / name).rglob("*.jpg")}
        for name in ("rare", "images")
    )
    buses = {path for path in there if path.parts[1] == "bus"}
    assert sorted(path.parts[0] for path in buses) == ["train", "validation", "validation"]
    assert {path: data for path, data in there.items() if path not in buses} == beside


def test_a_mask_and_an_entry_are_written_for_every_picture(written):
    names = []
    for split in ("train", "validation"):
        document = json.loads((written / f"annotations/instances_{split}.json").read_text())
        categories = {category["id"]: category["name"] for category in document["categories"]}
        for image, thing in zip(document["images"], document["annotations"], strict=True):
            names.append(image["file_name"])
            assert thing["image_id"] == image["id"]
            mask = np.asarray(Image.open((written / "masks" / image["file_name"]).with_suffix(".png")))
            assert mask.shape == (image["height"], image["width"]) == (144, 192)
            assert set(np.unique(mask)) == {0, thing["category_id"]}
            assert image["file_name"].split("/")[:2] == [split, categories[thing["category_id"]]]
            x, y, width, height = thing["bbox"]
            hull = cv2.boundingRect((mask > 0).astype(np.uint8))
            assert np.abs(np.subtract(hull, (x, y, width, height))).max() <= 1
            assert abs(thing["area"] - (mask > 0).sum()) < 0.05 * thing["area"]
    assert sorted(names) == sorted(
        str(p.relative_to(written / "images")) for p in (written / "images").rglob("*.jpg")
    )


def test_pycocotools_reads_what_is_written(written):
    coco = pytest.importorskip("pycocotools.coco", reason="pycocotools is not installed")
    read = coco.COCO(str(written / "annotations/instances_train.json"))
    for thing in read.loadAnns(read.getAnnIds()):
        name = read.loadImgs(thing["image_id"])[0]["file_name"]
        mask = np.asarray(Image.open((written / "masks" / name).with_suffix(".png")))
        ours, theirs = (mask > 0).astype(np.uint8), read.annToMask(thing)
        around = np.ones((3, 3), np.uint8)  # for it has a rule of its own where an edge runs through a pixel
        assert (cv2.erode(ours, around) <= theirs).all()
        assert (theirs <= cv2.dilate(ours, around)).all()
        assert (thing["num_keypoints"], len(thing["keypoints"])) == (2, 6)
    assert read.loadCats([1])[0]["keypoints"] == ["front_wheel", "rear_wheel"]
