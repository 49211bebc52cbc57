"""What moves with an image, what is lost with what leaves the frame, and what cannot move."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from augment.errors import RequestError
from augment.kernels import formulas, kinds, maps, tables
from augment.ops.geometry import Flip, Rot90
from augment.targets import UNIT, Annotation, Geometry, Object, Vocabulary, why_not
from augment.targets.geometry import STAYING
from augment.targets.places import MOVING, Bent

SIZE = (20, 30)
HALF = UNIT // 2
CORNERS = [[0, 0], [UNIT * 30, 0], [UNIT * 30, UNIT * 20], [0, UNIT * 20]]
NO, YES = np.False_, np.True_


def window(top: int, left: int, height: int, width: int, border: Any = "constant") -> kinds.Window:
    return kinds.Window(top=np.int32(top), left=np.int32(left), height=height, width=width, border=border)


def orient(transposed: bool = False, rows: bool = False, columns: bool = False) -> kinds.Orient:
    return kinds.Orient(transposed=np.bool_(transposed), rows=np.bool_(rows), columns=np.bool_(columns))


def affine(*matrix: float, border: Any = "constant") -> kinds.Warp:
    whole = np.rint(np.array(matrix) * 2**maps.AFFINE_BITS).astype(np.int64)
    return kinds.Warp(map=maps.Affine(whole), border=border)


def projective(*matrix: float) -> kinds.Warp:
    whole = np.rint(np.array(matrix) * 2.0**maps.PROJECTIVE_BITS).astype(np.int64)
    return kinds.Warp(map=maps.Projective(whole), border="constant")


def int64(*rows: Any) -> np.ndarray:
    return np.array(rows, np.int64)


def pixels(*rows: list[float]) -> np.ndarray:
    return (np.array(rows) * UNIT).astype(np.int64)


COLORS = (
    kinds.Levels(table=np.zeros((1, 256), np.uint8)),
    kinds.Adapt(rule=tables.EQUALIZE),
    kinds.Gray(),
    kinds.Fill(boxes=np.array([[0, 0, 20, 30]], np.int32)),
    kinds.Jpeg(quality=np.int32(50)),
)


@pytest.mark.parametrize("kernels", [(), COLORS, (orient(columns=True), *COLORS, orient(columns=True))])
def test_what_is_not_moved_stays_what_it_is(kernels):
    geometry = Geometry(kernels, SIZE)
    mask = np.arange(600, dtype=np.int32).reshape(SIZE)
    points, boxes = pixels([0, 0], [0.3, -0.5], [15.6, 19.5]), pixels([0, 0, 30, 20], [0.1, 0.2, 0.3, 0.4])
    assert (geometry.size, geometry.mirrored) == (SIZE, False)
    np.testing.assert_array_equal(geometry.mask(mask), mask, strict=True)
    places, inside = geometry.points(points)
    np.testing.assert_array_equal(places, points, strict=True)
    np.testing.assert_array_equal(inside, [True, True, False])
    moved, part, kept = geometry.boxes(boxes)
    np.testing.assert_array_equal(moved, boxes, strict=True)
    assert (part == 1).all()
    assert kept.all()
    [polygon], part, kept = geometry.polygons([np.array(CORNERS)])
    np.testing.assert_array_equal(polygon, CORNERS, strict=True)
    assert (part.tolist(), kept.tolist()) == ([1], [True])


def test_of_every_kernel_it_is_said_whether_it_moves_pixels():
    spoken_for = {*MOVING, *STAYING, kinds.Choose, kinds.Blend}
    assert set(formulas.FORMULAS) == spoken_for


@pytest.mark.parametrize(
    ("kernel", "mirrored"),
    [
        (orient(columns=True), True),
        (orient(rows=True), True),
        (orient(rows=True, columns=True), False),
        (orient(transposed=True), True),
        (orient(transposed=True, rows=True), False),
        (window(1, 2, 3, 4), False),
        (kinds.Resize(height=50, width=7), False),
        (affine(-1, 0, 29, 0, 1, 0), True),
        (affine(-1, 0, 29, 0, -1, 19), False),
        (affine(0.8, -0.6, 3, 0.6, 0.8, 1), False),
        (projective(-1, 0, 29, 0, 1, 0, 0.01, 0, 1), True),
        (projective(1, 0, 0, 0, 1, 0, 0.01, 0.01, 1), False),
    ],
)
def test_left_and_right_change_names_where_the_picture_is_mirrored_and_not_where_it_is_turned(
    kernel, mirrored
):
    assert Geometry((kernel,), SIZE).mirrored == mirrored
    assert not Geometry((kernel, kernel), SIZE).mirrored


def test_ops_say_where_they_take_targets():
    flip = Geometry(Flip(horizontal=1).kernels({"horizontal": YES}, SIZE), SIZE)
    assert flip.mirrored
    np.testing.assert_array_equal(flip.points(pixels([0, 0], [29, 19])).places, pixels([29, 0], [0, 19]))
    np.testing.assert_array_equal(flip.boxes(pixels([1, 2, 5, 8])).boxes, pixels([25, 2, 29, 8]))
    turn = Geometry(Rot90(quarter_turns=(1,)).kernels({"quarter_turns": np.int32(1)}, SIZE), SIZE)
    assert (turn.size, turn.mirrored) == ((30, 20), False)
    np.testing.assert_array_equal(turn.points(pixels([29, 0], [29, 19])).places, pixels([0, 0], [19, 0]))


def test_what_leaves_the_frame_is_lost_even_if_it_is_padded_again():
    geometry = Geometry((window(5, 5, 10, 10), window(-5, -5, 20, 30)), SIZE)
    places, inside = geometry.points(pixels([4, 4], [5, 5], [14, 14], [15, 15]))
    np.testing.assert_array_equal(places, pixels([4, 4], [5, 5], [14, 14], [15, 15]))
    np.testing.assert_array_equal(inside, [False, True, True, False])
    boxes, part, kept = geometry.boxes(pixels([0, 0, 10, 10], [0, 0, 5, 5]))
    np.testing.assert_array_equal(boxes, pixels([5, 5, 10, 10], [0, 0, 0, 0]))
    np.testing.assert_array_equal(part, [0.25, 0])
    np.testing.assert_array_equal(kept, [True, False])
    np.testing.assert_array_equal(geometry.mask(np.ones(SIZE, np.uint8), 7)[4], [7] * 30)


def test_a_point_is_inside_as_far_as_the_edges_of_its_pixels():
    geometry = Geometry((window(0, 0, 10, 10),), SIZE)
    inside = geometry.points(
        int64([-HALF, 0], [-HALF - 1, 0], [9 * UNIT + HALF - 1, 0], [9 * UNIT + HALF, 0])
    ).inside
    np.testing.assert_array_equal(inside, [True, False, True, False])


def test_points_may_have_any_number_of_axes():
    geometry = Geometry((window(0, 1, 20, 29),), SIZE)
    people = np.arange(2 * 17 * 2, dtype=np.int64).reshape(2, 17, 2)
    places, inside = geometry.points(people)
    np.testing.assert_array_equal(places, people - [UNIT, 0], strict=True)
    assert inside.shape == (2, 17)
    assert geometry.points(np.zeros((0, 2), np.int64)).places.shape == (0, 2)


@pytest.mark.parametrize(
    "kernels",
    [
        (),
        (window(3, 4, 15, 16),),
        (orient(transposed=True),),
        (kinds.Resize(height=3, width=90),),
        (affine(0.8, -0.6, 3, 0.6, 0.8, 1),),
        (projective(1, 0, 0, 0, 1, 0, 0.01, 0.01, 1),),
        (kinds.Warp(map=maps.elastic(np.array([1, 2], np.uint32), np.int64(20_000), 3, SIZE)),),
    ],
    ids=lambda kernels: "_".join(type(k).__name__ for k in kernels) or "nothing",
)
def test_degenerate_boxes_are_not_kept_and_huge_ones_are_cut(kernels):
    geometry = Geometry(kernels, SIZE)
    huge, far = 1 << 24, 1 << 34
    boxes = pixels(
        [2, 2, 2, 3.5],  # without width
        [2, 2, 2, 2],  # a point
        [-3.5, -3.5, 0, 0],  # outside, touching a corner
        [30, 0, 35, 20],  # outside, touching a side
        [-far, 3.5, -3.5, far],
        [-huge, -huge, huge, huge],
        [0, 0, 30, 20],
    )
    moved, part, kept = geometry.boxes(boxes)
    height, width = geometry.size
    assert (moved >= 0).all()
    assert (moved <= [width * UNIT, height * UNIT] * 2).all()
    np.testing.assert_array_equal(moved[:5], 0)
    np.testing.assert_array_equal(part[:5], 0)
    np.testing.assert_array_equal(kept, [False] * 6 + [True])
    assert 0 < part[5] < 1e-9
    np.testing.assert_array_equal(moved[5], moved[6])
    assert geometry.boxes(boxes, least_part=0).kept.tolist() == [False] * 5 + [True, True]
    none = geometry.boxes(boxes[:0])
    assert [array.shape for array in none] == [(0, 4), (0,), (0,)]
    assert geometry.polygons([])[0] == []


def test_thousands_of_boxes_move_as_each_does_alone():
    rng = np.random.default_rng(0)
    boxes = np.sort(rng.integers(0, [30 * UNIT, 20 * UNIT], (2000, 2, 2)), axis=1).reshape(-1, 4)
    geometry = Geometry((affine(0.8, -0.6, 3, 0.6, 0.8, 1), orient(rows=True)), SIZE)
    together = geometry.boxes(boxes)
    for i in range(0, 2000, 97):
        alone = geometry.boxes(boxes[i : i + 1])
        for all_of_them, one in zip(together, alone, strict=True):
            np.testing.assert_array_equal(all_of_them[i], one[0])


def test_of_a_box_the_part_that_is_seen_is_told_and_decides():
    geometry = Geometry((window(0, 0, 20, 11), kinds.Resize(height=40, width=5)), SIZE)
    boxes, part, kept = geometry.boxes(pixels([1, 2, 11, 6], [10, 2, 20, 6], [9, 2, 29, 6], [10, 2, 21, 6]))
    np.testing.assert_array_equal(part, [1, 1 / 10, 2 / 20, 1 / 11])
    np.testing.assert_array_equal(kept, [True, True, True, False])
    np.testing.assert_array_equal(boxes[1], np.floor(np.array([10 / 11 * 5, 4, 5, 12]) * UNIT + 0.5))


def test_a_turned_box_counts_by_itself_and_not_by_its_hull():
    """A diamond with a side of 10 in the middle of the right edge: half of it is seen."""
    half = 2**-0.5
    geometry = Geometry(
        (affine(half, half, 29.5 - 29 * half - 9.5 * half, -half, half, 9.5 + 29 * half - 9.5 * half),), SIZE
    )
    boxes, part, _ = geometry.boxes(pixels([24.5, 5, 34.5, 15]))
    assert part[0] == pytest.approx(0.5, abs=0.06)
    assert boxes[0, 2] <= 30 * UNIT


def test_polygons_are_cut_where_the_frame_ends():
    geometry = Geometry((window(0, 0, 10, 10),), SIZE)
    triangle = pixels([5, 5], [15, 5], [5, 15])
    [polygon], part, kept = geometry.polygons([triangle])
    assert set(map(tuple, polygon.tolist())) == {
        (5 * UNIT, 5 * UNIT),
        (10 * UNIT, 5 * UNIT),
        (10 * UNIT, 10 * UNIT),
        (5 * UNIT, 10 * UNIT),
    }
    assert (part.tolist(), kept.tolist()) == ([0.5], [True])


def test_a_polygon_that_is_cut_in_two_counts_what_is_left_of_both():
    letter = pixels([2, 2], [14, 2], [14, 4], [4, 4], [4, 8], [14, 8], [14, 10], [2, 10])  # a C
    geometry = Geometry((window(0, 9, 20, 20),), SIZE)
    [polygon], part, _ = geometry.polygons([letter])
    np.testing.assert_array_equal(part, [20 / 56])
    assert polygon[:, 0].min() == 0
    assert polygon[:, 0].max() == 5 * UNIT


def test_nothing_that_lies_behind_the_horizon_is_seen():
    """(x, y) is taken from (x, y) / (1 + x / 20): all that is seen lies within 30 / 2.5 pixels, and the
    horizon at 20."""
    geometry = Geometry((projective(1, 0, 0, 0, 1, 0, 1 / 20, 0, 1),), SIZE)
    places, inside = geometry.points(pixels([5, 5], [15, 5], [20, 5], [25, 5]))
    np.testing.assert_array_equal(inside, [True, False, False, False])
    np.testing.assert_array_equal(places[2:], 0)
    boxes, part, kept = geometry.boxes(pixels([0, 0, 30, 4], [21, 0, 30, 20], [0.5, 1, 10.5, 2]))
    np.testing.assert_array_equal(kept, [True, False, True])
    np.testing.assert_array_equal(part[1:], [0, 1])
    assert boxes[0, 2] == 30 * UNIT
    assert part[0] == pytest.approx(12 / 30, abs=0.02)


def test_a_map_that_shows_a_line_of_the_image_shows_no_target():
    kernels = (affine(1, 0, 0, 0, 0, 5),)
    geometry = Geometry(kernels, SIZE)
    mask = np.arange(600, dtype=np.int32).reshape(SIZE)
    np.testing.assert_array_equal(geometry.mask(mask), np.broadcast_to(mask[5], SIZE))
    assert not geometry.points(pixels([5, 5])).inside.any()
    assert not geometry.boxes(pixels([0, 0, 30, 20])).kept.any()


@pytest.mark.parametrize("border", ["symmetric", "reflect", "wrap", "edge"])
def test_copies_that_a_border_makes_are_in_masks_and_are_nobodys_points(border):
    geometry = Geometry((affine(1, 0, -10, 0, 1, 0, border=border),), SIZE)  # ten to the right
    mask = np.zeros(SIZE, np.uint8)
    mask[:, :3] = mask[:, -10:-8] = 1
    moved = geometry.mask(mask)
    assert moved[:, 10:13].all()
    assert moved[:, :10].any()
    places, inside = geometry.points(pixels([1, 5], [21, 5]))
    np.testing.assert_array_equal(places, pixels([11, 5], [31, 5]))
    np.testing.assert_array_equal(inside, [True, False])


def test_of_a_choice_only_what_is_chosen_moves():
    branches = ((), (orient(columns=True),), (window(0, 0, 20, 30), orient(rows=True)))
    point = pixels([1, 2])
    for index, expected in enumerate(([1, 2], [28, 2], [1, 17])):
        geometry = Geometry((kinds.Choose(index=np.int32(index), branches=branches),), SIZE)
        np.testing.assert_array_equal(geometry.points(point).places, pixels(expected))
        assert geometry.mirrored == (index > 0)


def blend(*branches: kinds.Kernels) -> kinds.Blend:
    return kinds.Blend(weights=np.array([40000, 25536], np.int32), branches=branches)


def test_a_blend_of_colors_leaves_targets_where_they_are():
    kernels = (blend((), (kinds.Gray(),)), orient(columns=True))
    assert why_not(kernels) is None
    np.testing.assert_array_equal(Geometry(kernels, SIZE).points(pixels([0, 0])).places, pixels([29, 0]))


@pytest.mark.parametrize(
    "kernels",
    [
        (blend((), (affine(1, 0, 1, 0, 1, 0),)),),
        (kinds.Gray(), kinds.Choose(index=np.zeros(2, np.int32), branches=((), (blend((), (orient(),)),)))),
        (blend((), (kinds.Choose(index=np.int32(0), branches=((), (window(0, 0, 20, 30),))),)),),
    ],
)
def test_a_blend_of_what_was_moved_apart_is_refused(kernels):
    assert why_not(kernels) == (
        "it blends versions of the image that were moved apart, which shows a thing in several places at "
        "once; leave it out"
    )
    with pytest.raises(RequestError, match="targets cannot move with the image: it blends versions"):
        Geometry(kernels, SIZE)


def test_a_kernel_that_nobody_has_spoken_for_is_refused():
    class Swirl(kinds.Kernel):
        pass

    assert why_not((blend((), (Swirl(),)),)) == "nobody has said where Swirl takes pixels; leave its op out"


@pytest.mark.parametrize("strength", [3_000, 15_000, 31_457])
@pytest.mark.parametrize("size", [(1, 1), (2, 9), (40, 31)])
def test_an_elastic_output_shows_at_a_moved_point_what_was_there(strength, size):
    for seed in range(5):
        map_ = maps.elastic(np.array([seed, 7], np.uint32), np.int64(strength), 3, size)
        bent = Bent(map_, size)
        places = np.random.default_rng(seed).integers(0, [UNIT * size[1], UNIT * size[0]], (200, 2)) * 1.0
        moved = bent(places)
        shown = moved + bent._displaced(moved)
        np.testing.assert_allclose(shown, places, rtol=0, atol=UNIT / 512)


def test_a_displaced_map_may_shrink_and_where_it_folds_there_is_no_place():
    places = pixels(*[[x, 0] for x in range(31)])
    still = np.zeros((1, 31), np.int32)
    for shrunk in (1.5, 2.5, 4.0):  # to less than half, from where q = p - d(q) does not hold still
        columns = np.int32([[round(32 * (shrunk - 1) * x) for x in range(31)]])
        geometry = Geometry((kinds.Warp(map=maps.Displaced(rows=still, columns=columns)),), (1, 31))
        np.testing.assert_allclose(
            geometry.points(places).places[:, 0], places[:, 0] / shrunk, atol=UNIT / 32
        )
    apart = np.int32([[-320 if x % 2 else 320 for x in range(31)]])
    geometry = Geometry((kinds.Warp(map=maps.Displaced(rows=still, columns=apart)),), (1, 31))
    places, inside = geometry.points(places)
    assert np.count_nonzero(~inside & (places == 0).all(axis=1)) > 0


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (
            lambda g: g.mask(np.zeros((20, 30), np.int64)),
            "the mask is int64 [20, 30]; it must be uint8 or int32 [20, 30]",
        ),
        (
            lambda g: g.mask(np.zeros((30, 20), np.uint8)),
            "the mask is uint8 [30, 20]; it must be uint8 or int32 [20, 30]",
        ),
        (lambda g: g.mask(np.zeros((20, 30), np.uint8), fill=256), "fill is 256, which uint8 does not hold"),
        (lambda g: g.points(np.zeros((3, 2))), "keypoints are float64 [3, 2]; they must be int64 [..., 2]"),
        (lambda g: g.points(int64(1, 2, 3)), "keypoints are int64 [3]; they must be int64 [..., 2]"),
        (lambda g: g.boxes(int64(1, 2, 3, 4)), "boxes are int64 [4]; they must be int64 [n, 4]"),
        (
            lambda g: g.boxes(int64([5, 0, 4, 9])),
            "a box ends before it begins; x0 <= x1 and y0 <= y1 must hold for each",
        ),
        (lambda g: g.polygons([int64([1, 2, 3])]), "polygons are int64 [1, 3]; they must be int64 [m, 2]"),
    ],
)
def test_what_is_no_target_is_refused(call, sentence):
    with pytest.raises(ValueError) as caught:
        call(Geometry((), SIZE))
    assert str(caught.value) == sentence


def test_targets_move_without_tensorflow():
    code = "import sys, augment.targets; print('tensorflow' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_the_examples_in_the_docs_print_what_stands_there():
    page = (Path(__file__).parents[2] / "docs" / "targets.md").read_text(encoding="utf-8")
    examples = re.findall(r"```python\n(.*?)```\n\n```\n(.*?)```", page, re.DOTALL)
    assert len(examples) == page.count("```python")
    done = subprocess.run(
        [sys.executable, "-c", "".join(code for code, _ in examples)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "".join(output for _, output in examples)


def test_an_annotation_has_one_way_of_being_written():
    car = Object("car", (0, 1, 2, 3), ((1, 2, 3, 4, 5, 6),), ((7, 8, 2), (0, 0, 0)), True)
    annotation = Annotation((car, Object("Lkw", (0, 0, 0, 0))), "a/b.png", ("x", "y"), (("n", "1"),), (5, 6))
    assert Annotation.unpacked(annotation.packed()) == annotation
    assert Annotation.unpacked(annotation.packed()).packed() == annotation.packed()
    assert Annotation.unpacked(Annotation().packed()) == Annotation()


def test_what_vocabularies_say_adds_up_in_any_order():
    one = Vocabulary(frozenset({(1, "car")}), ("eye",), has=frozenset({"boxes"}))
    other = Vocabulary(frozenset({(2, "bus")}), columns=frozenset({"patient"}))
    assert one.merge(other) == other.merge(one)
    assert one.merge(other).classes == {(1, "car"), (2, "bus")}
