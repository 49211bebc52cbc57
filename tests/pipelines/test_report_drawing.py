"""Targets are drawn where they are, in colors that stay, and hide no more of a picture than they must."""

from __future__ import annotations

import random

import numpy as np
import pytest

from augment.targets import UNIT, Annotation, Object
from pipelines.demo.vehicles import VEHICLES, draw_with_truth
from pipelines.report import drawing
from pipelines.report.drawing import COLORS, drawn

CLASSES = tuple(f"class {number}" for number in range(30))
GRAY = np.full((40, 60, 3), 128, np.uint8)


def thing(x0: float, y0: float, x1: float, y1: float, number: int = 0, **more) -> Object:
    box = tuple(round(edge * UNIT) for edge in (x0, y0, x1, y1))
    return Object(CLASSES[number], box, **more)  # type: ignore[arg-type]


def is_color(pixels: np.ndarray, number: int) -> np.ndarray:
    return (pixels == COLORS[number]).all(axis=-1)


@pytest.mark.parametrize("scale", [1, 4, 0.5])
def test_a_picture_without_targets_is_the_one_of_a_sheet(scale, photo_of):
    shown = drawn(photo_of(41, 60), Annotation(), None, (), scale)
    assert shown.dtype == np.uint8
    assert shown.shape == (round(41 * scale + 0.1), 60 * scale, 3)
    if scale >= 1:
        assert (shown[::scale, ::scale] == photo_of(41, 60)).all()
    assert (drawn(photo_of(41, 60), Annotation(), np.zeros((41, 60), np.uint8), (), scale) == shown).all()
    assert (drawn(GRAY[:, :, :1], Annotation(), None, ()) == GRAY).all()


@pytest.mark.parametrize("scale", [1, 2, 5])
def test_a_box_runs_along_the_outermost_pixels_inside_its_edges(scale):
    shown = drawn(GRAY, Annotation((thing(10, 12, 14, 15),)), None, CLASSES, scale)
    colored = is_color(shown, 0)
    rows, columns = np.flatnonzero(colored.any(axis=1)), np.flatnonzero(colored.any(axis=0))
    assert (columns[0], columns[-1]) == (10 * scale, 14 * scale - 1)
    assert (rows[0], rows[-1]) == (12 * scale, 15 * scale - 1)
    assert colored.sum() == 2 * (len(rows) + len(columns)) - 4  # one pixel wide
    near = np.zeros(colored.shape, bool)
    near[12 * scale - 1 : 15 * scale + 1, 10 * scale - 1 : 14 * scale + 1] = True
    assert (shown[~near] == 128).all()


def test_the_box_of_a_crowd_is_dashed():
    plain, crowd = (
        is_color(drawn(GRAY, Annotation((thing(4, 4, 54, 36, crowd=crowd),)), None, (CLASSES[0],)), 0)
        for crowd in (False, True)
    )
    top = crowd[4, 5:54]
    assert plain[4, 50:54].all()
    assert 0.3 < top.mean() < 0.7
    assert np.diff(top).sum() > 8


def test_the_class_decides_the_color_whatever_else_is_there():
    alone = drawn(GRAY, Annotation((thing(30, 25, 34, 29, 3),)), None, CLASSES)
    among = drawn(GRAY, Annotation((thing(2, 2, 6, 6, 1), thing(30, 25, 34, 29, 3))), None, CLASSES)
    assert (alone[24:31, 29:36] == among[24:31, 29:36]).all()
    assert is_color(among, 3).any()
    assert is_color(among, 1).any()
    seen = {
        tuple(drawn(GRAY, Annotation((thing(2, 2, 6, 6, number),)), None, CLASSES)[2, 2])
        for number in range(21)
    }
    assert len(seen) == 21


def test_a_mask_is_seen_through_and_has_an_outline_in_the_color_of_its_class():
    mask = np.zeros((40, 60), np.uint8)
    mask[5:20, 5:30], mask[25:35, 5:30] = 2, 255
    shown = drawn(GRAY, Annotation((thing(40, 5, 50, 15, 1),)), mask, CLASSES, 2)
    assert is_color(shown[10, 10:60], 1).all()
    inside = shown[12:38, 12:58].reshape(-1, 3)
    assert (inside == inside[0]).all()
    assert not is_color(inside, 1).any()
    assert (shown[42:48] == 128).all()
    red, green, blue = shown[60, 30].tolist()  # of no class
    assert red == green == blue
    assert is_color(shown[10, 80:100], 1).all()


def test_the_background_is_left_as_it_is_by_its_id_or_by_its_name():
    mask = np.zeros((40, 60), np.uint8)
    mask[:20], mask[20:30] = 11, 7
    names = ("road", "sky")
    shown = drawn(GRAY, Annotation(), mask, names, ids=(11, 7))
    assert is_color(shown[19], 0).all()
    assert is_color(shown[20], 1).all()
    assert (shown[30:] == 128).all()
    by_name = drawn(GRAY, Annotation(), mask, ("road", "Background", "sky"), ids=(0, 11, 7))
    assert (by_name[:20] == 128).all()
    assert is_color(by_name[29], 2).all()
    assert is_color(by_name[30], 0).all()
    nameless = drawn(GRAY, Annotation(), mask, ())
    assert is_color(nameless[29], 6).all()
    assert (nameless[10] != nameless[25]).any()


def test_keypoints_are_dots_told_apart_and_hollow_where_hidden():
    points = [(10, 20, 2), (30, 20, 1), (0, 0, 0)]
    keypoints = tuple((x * UNIT, y * UNIT, seen) for x, y, seen in points)
    shown = drawn(GRAY, Annotation((thing(0, 0, 60, 40, 6, keypoints=keypoints),)), None, CLASSES, 3)
    assert is_color(shown[3 * 20 + 1, 3 * 10 + 1], 0)  # the middle of the pixel's nine
    assert shown[3 * 20 + 1, 3 * 30 + 1].max() < 60
    assert is_color(shown[3 * 18 : 3 * 23, 3 * 28 : 3 * 33], 1).any()
    assert not is_color(shown, 2).any()


def test_a_polygon_goes_through_its_corners():
    corners = np.array([[10, 10], [50, 10], [50, 30]]) * UNIT
    shown = drawn(
        GRAY,
        Annotation((thing(10, 10, 50, 30, 2, polygons=(tuple(corners.ravel().tolist()),)),)),
        None,
        CLASSES,
        4,
    )
    for x, y in ((30, 20), (20, 15), (40, 25)):
        assert (
            np.abs(shown[4 * y - 2 : 4 * y + 2, 4 * x - 2 : 4 * x + 2] - np.array(COLORS[2])).max(-1).min()
            < 60
        )
    assert (shown[4 * 25 : 4 * 28, 4 * 14 : 4 * 20] == 128).all()


def test_names_are_where_there_is_room_and_leave_most_of_a_picture_to_see(monkeypatch):
    chance = random.Random(0)
    many = []
    for _ in range(3000):
        x, y = chance.uniform(0, 250), chance.uniform(0, 150)
        many.append(thing(x, y, x + chance.uniform(1, 80), y + chance.uniform(1, 80), chance.randrange(30)))
    small = [thing(x, y, x + 9, y + 9) for x in range(0, 290, 10) for y in range(0, 190, 10)]
    blank = np.full((200, 300, 3), 255, np.uint8)
    named = [drawn(blank, Annotation(tuple(things)), None, CLASSES) for things in (many, small)]
    monkeypatch.setattr(drawing, "_names", lambda *_: None)
    nameless = [drawn(blank, Annotation(tuple(things)), None, CLASSES) for things in (many, small)]
    of_many, of_small = (
        (one != other).any(axis=2).mean() for one, other in zip(named, nameless, strict=True)
    )
    assert 0.05 < of_many <= 1 / 8
    assert of_small == 0


@pytest.mark.parametrize("far", [1, 1000, 1 << 40])
def test_what_lies_outside_or_is_huge_or_has_no_area_is_no_fault(far):
    box = (-far * UNIT, -far * UNIT, far * UNIT, far * UNIT)
    ring = (-far * UNIT, 0, far * UNIT, 0, 0, far * UNIT)
    for one in (
        Object(CLASSES[0], box, (ring,), ((far * UNIT, 0, 2),), True),
        Object("unknown", box, ((),)),
        Object(CLASSES[1], (far * UNIT, 0, far * UNIT, 0), ((0, 0), (0, 0, 0, 0)), ((-far * UNIT, 0, 1),)),
    ):
        assert drawn(GRAY, Annotation((one,)), None, CLASSES, 3).shape == (120, 180, 3)


def test_the_demo_shows_vehicles_with_their_names():
    made = draw_with_truth("truck", random.Random(1))
    shown = drawn(np.asarray(made.picture), made.annotation, made.mask, VEHICLES)
    outside = np.ones(made.mask.shape, bool)
    x0, y0, x1, y1 = (edge // UNIT for edge in made.annotation.objects[0].box)
    outside[y0 - 14 : y1 + 3, x0 - 2 : x1 + 3] = False
    assert (shown[outside] == np.asarray(made.picture)[outside]).all()
    assert is_color(shown[y0 - 12 : y0, x0 : x0 + 30], 1).mean() > 0.5  # the label
