"""YOLO: Ultralytics' layout, its four kinds of labels, and what is wrong with some."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from augment.codec import decode
from augment.targets import UNIT, Annotation, Object, Vocabulary
from pipelines.annotations.sides import upright_size
from pipelines.annotations.yolo_data import Data
from pipelines.annotations.yolo_lines import objects_of
from tests.pipelines.annotated import assert_beam_finds_the_same, look, png, put

COCO8 = """
path: ../datasets/coco8 # dataset root dir
train: images/train # train images (relative to 'path')
val: images/val
test: # test images (optional)

names:
  0: person
  1: bicycle
  2: car
"""
TRIANGLE, ROTATED = "0 0.5 0.1 0.75 0.5 0.25 0.5", "2 0.1 0.1 0.2 0.1 0.2 0.3 0.1 0.3"
DUE = "it takes 5, class x y width height, or 7, 9, 11, ... for an outline"
DATA = Data({0: "person", 1: "car"}, (), 0, frozenset(), ())


def coco8(root: Path) -> None:
    put(root, "data.yaml", content=COCO8)
    put(root, "images/train/a.png", "images/val/b.png", content=png(480, 640))
    put(root, "images/train/empty.png", "images/train/background.png")
    put(root, "labels/train/a.txt", content="2 0.5 0.25 0.1 0.5\n0 0.479492 0.688771 0.955609 0.5955\n\n")
    put(root, "labels/train/empty.txt", content="\n")
    put(root, "labels/val/b.txt", content="1 0.5 0.5 1 1")


@pytest.mark.parametrize("path", ["data.yaml", "."])
def test_ultralytics_layout_gives_splits_boxes_and_backgrounds(tmp_path, path):
    coco8(tmp_path)
    found = look(tmp_path, path)
    assert not found.refused
    assert not found.rejects
    assert found.places == {("train", "unlabeled"): 3, ("validation", "unlabeled"): 1}
    assert found.vocabulary == Vocabulary(
        frozenset([(0, "person"), (1, "bicycle"), (2, "car")]), has=frozenset(["boxes"])
    )
    annotation = found.annotation("images/train/a.png")
    assert annotation.size == (480, 640)
    assert annotation.objects[0] == Object("car", (288 * UNIT, 0, 352 * UNIT, 240 * UNIT))
    assert found.annotation("images/val/b.png").objects[0].box == (0, 0, 640 * UNIT, 480 * UNIT)
    assert found.annotation("images/train/empty.png") == Annotation()
    assert found.annotation("images/train/background.png") == Annotation()


def test_the_job_finds_what_is_found_in_memory(tmp_path):
    coco8(tmp_path)
    assert_beam_finds_the_same(tmp_path, "data.yaml")


@given(
    st.tuples(*[st.integers(0, 10**6)] * 2, *[st.integers(0, 10**6)] * 2),
    st.integers(32, 20_000),
    st.integers(32, 20_000),
)
def test_six_digits_come_back_from_sides_of_32_pixels_and_more(numbers, height, width):
    texts = [f"{number / Decimal(10**6):.6f}" for number in numbers]
    [thing] = objects_of(f"1 {' '.join(texts)}".encode(), DATA, (height, width))
    x0, y0, x1, y1 = map(Decimal, thing.box)
    sides = (width * 2 * UNIT, height * 2 * UNIT, width * UNIT, height * UNIT)
    back = [part / side for part, side in zip((x0 + x1, y0 + y1, x1 - x0, y1 - y0), sides, strict=True)]
    assert [f"{part:.6f}" for part in back] == texts


def test_outlines_and_rotated_boxes_have_the_box_of_their_corners(tmp_path):
    coco8(tmp_path)
    put(
        tmp_path,
        "labels/train/a.txt",
        content=f"{TRIANGLE}\n{ROTATED}",
    )
    found = look(tmp_path, "data.yaml")
    assert found.vocabulary.has == {"boxes", "polygons"}
    triangle, rotated = found.annotation("images/train/a.png").objects
    corners = (320 * UNIT, 48 * UNIT, 480 * UNIT, 240 * UNIT, 160 * UNIT, 240 * UNIT)
    assert triangle == Object("person", (160 * UNIT, 48 * UNIT, 480 * UNIT, 240 * UNIT), (corners,))
    assert rotated.box == (64 * UNIT, 48 * UNIT, 128 * UNIT, 144 * UNIT)
    assert len(rotated.polygons[0]) == 8


def test_poses_have_the_pairs_of_flip_idx(tmp_path):
    coco8(tmp_path)
    pose = COCO8 + "kpt_shape: [3, 3]\nflip_idx: [0, 2, 1]\n"
    put(tmp_path, "data.yaml", content=pose + "kpt_names:\n  0: [nose, left_eye, right_eye]\n")
    put(tmp_path, "labels/train/a.txt", content="0 0.5 0.5 1 1 0.5 0.5 2.000000 0.25 0.5 1 0 0 0")
    put(tmp_path, "labels/val/b.txt", content="")
    found = look(tmp_path, "data.yaml")
    assert found.vocabulary.keypoints == ("nose", "left_eye", "right_eye")
    assert found.vocabulary.pairs == {(1, 2)}
    assert found.vocabulary.has == {"boxes", "keypoints"}
    [thing] = found.annotation("images/train/a.png").objects
    assert thing.keypoints == ((320 * UNIT, 240 * UNIT, 2), (160 * UNIT, 240 * UNIT, 1), (0, 0, 0))
    flat = Data({0: "a"}, ("0", "1"), 2, frozenset(), ())
    [thing] = objects_of(b"0 0.5 0.5 1 1 0 0.5 -1 -1", flat, (10, 10))
    assert thing.keypoints == ((0, 5 * UNIT, 2), (0, 0, 0))


def test_splits_may_be_files_that_list_images_and_lie_elsewhere(tmp_path):
    coco8(tmp_path)
    put(
        tmp_path,
        "data.yaml",
        content="train: [train.txt]\nval: ../images/val\nnames: [a, b, c]\n",
    )
    put(tmp_path, "train.txt", content=f"./images/train/a.png\n{tmp_path}/images/train/empty.png\n")
    found = look(tmp_path, "data.yaml")
    assert not found.refused
    assert found.places == {("train", "unlabeled"): 2, ("validation", "unlabeled"): 1}
    assert found.passed_over["(in no list)"] == 1
    assert len(found.annotation("images/train/a.png").objects) == 2
    assert_beam_finds_the_same(tmp_path, "data.yaml")


def test_an_image_of_two_splits_is_a_reject(tmp_path):
    coco8(tmp_path)
    put(tmp_path, "data.yaml", content="train: train.txt\nval: images/val\nnames: [a, b, c]\n")
    put(tmp_path, "train.txt", content="images/train/a.png\nimages/val/b.png\n")
    found = look(tmp_path, "data.yaml")
    why = "lists have it in the splits 'train' and 'validation'"
    assert found.rejects == {"images/val/b.png": ("named_twice", why)}


def test_labels_lie_beside_their_images_where_no_folder_is_called_images(tmp_path):
    put(tmp_path, "data.yaml", content="train: all\nnames: [a]\n")
    put(tmp_path, "all/x.png", "all/images/y.png", content=png(10, 10))
    put(tmp_path, "all/x.txt", "all/labels/y.txt", content="0 0.5 0.5 1 1")
    found = look(tmp_path, "data.yaml")
    assert [len(found.annotation(name).objects) for name in ("all/x.png", "all/images/y.png")] == [1, 1]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("0 0.5 0.5 1", f"has 4 numbers; {DUE}"),
        (
            "0 0.5 0.5 1 1 0.9",
            f"has 6 numbers; {DUE}",
        ),
        ("9 0.5 0.5 1 1", "has the class 9, which is none of 0 to 2"),
        ("0.5 0.5 0.5 1 1", "has the class 0.5, which is none of 0 to 2"),
        ("0 nan 0.5 1 1", "has a number that is 'nan', which is no place in an image"),
        ("0 inf 0.5 1 1", "has a number that is 'inf', which is no place in an image"),
        ("0 320 240 1 1", "has 320, where parts of the image's sides are due, from 0 to 1"),
        ("0 0.5 0.5 -0.1 1", "has a box that is -0.1 wide and 1 high"),
    ],
)
def test_a_line_that_does_not_fit_rejects_its_image(tmp_path, line, said):
    coco8(tmp_path)
    put(tmp_path, "labels/train/a.txt", content=f"0 0.5 0.5 1 1\n{line}\n")
    found = look(tmp_path, "data.yaml")
    assert found.rejects == {"images/train/a.png": ("bad_annotation", f"its labels: line 2 {said}")}


def test_labels_without_image_and_labels_that_cannot_be_read_are_on_record(tmp_path):
    coco8(tmp_path)
    put(tmp_path, "labels/val/gone.txt", content="0 0.5 0.5 1 1")
    put(tmp_path, "images/val/b.png", content=b"no image")
    put(tmp_path, "labels/train/a.txt", content=b"\xff")
    found = look(tmp_path, "data.yaml")
    assert found.rejects == {
        "labels/val/gone.txt": (
            "no_image",
            "there is no image that it would be of",
        ),
        "images/train/a.png": ("bad_annotation", "its labels: they are not UTF-8 (invalid start byte)"),
    }
    assert found.annotation("images/val/b.png") == Annotation()  # as what it is rejected, decoding says


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ("names: [a", "it is no YAML"),
        ("train: images/train", "it has no 'names'"),
        ("names: [a]", "it has none of train, val, test: where the images lie"),
        (
            "train: images/train\nnames: [no]",
            "it has a class, 0, whose name is False; give it one",
        ),
        (
            "train: images/train\nnames: [a, '']",
            "it has a class, 1, whose name is ''; give it one",
        ),
        ("train: images/train\nnames: [a, a]", "it has two classes with the name 'a'; give each a name"),
        ("train: nowhere\nnames: [a]", "it has 'nowhere' as its 'train', and there is no "),
        (
            "train: images/train\nval: images/train\nnames: [a]",
            "it has 'images/train' in two splits; an image can be in one: leave the other one out",
        ),
        ("train: images/train\nnames: [a]\nkpt_shape: [3]", "it has the kpt_shape [3]; it must be"),
        (
            "train: images/train\nnames: [a]\nkpt_shape: [3, 3]\nflip_idx: [1, 2, 0]",
            "two flips are not",
        ),
        ("train: /\nnames: [a]", "it has images in /, which does not lie in the input"),
        ("train: list.txt\nnames: [a]", "whose line 1 is '../x.png': no path in the input"),
    ],
)
def test_a_data_file_that_is_wrong_is_refused_in_a_sentence(tmp_path, data, said):
    put(tmp_path, "images/train/a.png")
    put(tmp_path, "list.txt", content="../x.png\n")
    put(tmp_path, "data.yaml", content=data)
    [refused] = look(tmp_path, "data.yaml").refused
    assert refused.startswith(f"annotations {tmp_path}/data.yaml: it has") or "is no YAML" in refused
    assert said in refused


def test_the_size_of_a_header_is_that_of_the_decoded_image(tmp_path):
    pixels = np.zeros((30, 50, 3), np.uint8)
    names = ("a.jpg", 1), ("b.jpg", 6), ("c.png", 8), ("d.webp", 5), ("e.bmp", 1), ("f.tif", 7)
    for name, orientation in names:
        exif = Image.Exif()
        exif[0x0112] = orientation
        Image.fromarray(pixels).save(tmp_path / name, **({} if name == "e.bmp" else {"exif": exif}))
    large = cv2.imencode(".jpg", pixels)[1].tobytes()
    comment = b"".join(b"\xff\xe4\xff\xff" + bytes(65533) for _ in range(3))
    put(tmp_path, "g.jpg", content=large[:2] + comment + large[2:])
    for path in tmp_path.iterdir():
        assert upright_size(str(tmp_path), path.name) == decode(path.read_bytes()).shape[:2], path.name
