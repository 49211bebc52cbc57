"""Points, boxes and polygons lie where the moved pixels are."""

from __future__ import annotations

import dataclasses
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from augment.kernels import host, kinds, maps
from augment.targets import UNIT, Geometry
from tests.kernel_cases import SIZES, images, made

MOVING = ("window", "orient", "affine", "projective", "elastic", "resize")
SEEDS = st.integers(0, 2**32 - 1)


def kernel_of(name: str, seed: int, size: maps.Size, **changes: Any) -> Any:
    """A random kernel. Its border is constant, for copies of the content are nobody's target."""
    [[kernel]], _ = made(name, seed, size, 1, 1)
    known = {field.name for field in dataclasses.fields(kernel)}
    changes = {"border": "constant", "fill": 0} | changes
    return dataclasses.replace(kernel, **{key: value for key, value in changes.items() if key in known})


def rectangle(rng: np.random.Generator, size: maps.Size) -> list[int]:
    """Whole pixels: left, top, right, bottom, with an area."""
    edges = [np.sort(rng.choice(side + 1, 2, replace=False)) for side in size[::-1]]
    return [int(edges[axis][end]) for end in (0, 1) for axis in (0, 1)]


def painted(box: list[int], size: maps.Size) -> np.ndarray:
    left, top, right, bottom = box
    mask = np.zeros(size, np.uint8)
    mask[top:bottom, left:right] = 1
    return mask


@pytest.mark.parametrize("name", MOVING)
@settings(max_examples=30)
@given(seed=SEEDS, size=SIZES)
def test_a_moved_outline_encloses_the_moved_pixels_and_no_other(name, seed, size):
    kernel = kernel_of(name, seed, size)
    box = rectangle(np.random.default_rng(seed), size)
    geometry = Geometry((kernel,), size)
    left, top, right, bottom = (edge * UNIT for edge in box)
    outline = np.array([[left, top], [right, top], [right, bottom], [left, bottom]])
    [polygon], _, _ = geometry.polygons([outline])
    hulls, _, _ = geometry.boxes(np.array([[left, top, right, bottom]]))
    rows, columns = np.nonzero(geometry.mask(painted(box, size)))
    # Of an elastic map, each four pixels of an edge become a straight line.
    near = 0.5 if name == "elastic" else 1 / 64
    if len(rows):
        middles = np.stack([columns, rows], -1) + 0.5
        assert (middles >= hulls[0, :2] / UNIT - near).all()
        assert (middles <= hulls[0, 2:] / UNIT + near).all()
    if len(polygon) < 3:
        assert len(rows) == 0
        return
    height, width = geometry.size
    line = (polygon / UNIT).astype(np.float32)[:, np.newaxis]
    seen = set(zip(rows.tolist(), columns.tolist(), strict=True))
    for row in range(height):
        for column in range(width):
            within = cv2.pointPolygonTest(line, (column + 0.5, row + 0.5), measureDist=True)
            assert abs(within) <= near or (within > 0) == ((row, column) in seen)


@pytest.mark.parametrize("name", MOVING)
@settings(max_examples=25)
@given(seed=SEEDS, size=SIZES, border=st.sampled_from(["constant", "edge", "symmetric", "reflect", "wrap"]))
def test_a_moved_mask_is_the_image_moved_by_nearest(name, seed, size, border):
    kernel = kernel_of(name, seed, size, interpolation="nearest", method="nearest", border=border, fill=9)
    mask = images(np.random.default_rng(seed), *size, 1)
    expected = host.apply((kernel,), mask)
    geometry = Geometry((kernel_of(name, seed, size, border=border, fill=77),), size)
    np.testing.assert_array_equal(geometry.mask(mask, fill=9), expected, strict=True)
    np.testing.assert_array_equal(geometry.mask(mask[..., 0], fill=9), expected[..., 0], strict=True)
    wide = geometry.mask(mask.astype(np.int32) - 70_000, fill=9 - 70_000)
    np.testing.assert_array_equal(wide, expected.astype(np.int32) - 70_000, strict=True)


def turned(degrees: float, scale: float, shift: tuple[float, float], size: maps.Size) -> maps.Affine:
    """About the middle of the frame."""
    x, y = (size[1] - 1) / 2, (size[0] - 1) / 2
    matrix = cv2.getRotationMatrix2D((x, y), degrees, scale)
    matrix[:, 2] += shift
    return maps.Affine(
        np.rint(cv2.invertAffineTransform(matrix) * 2.0**maps.AFFINE_BITS).astype(np.int64).ravel()
    )


@settings(max_examples=60)
@given(
    degrees=st.floats(-180, 180),
    scale=st.floats(1, 1.5),
    shift=st.tuples(st.floats(-9, 9), st.floats(-9, 9)),
    place=st.tuples(st.integers(0, 39), st.integers(0, 29)),
    bent=st.booleans(),
)
def test_a_dot_that_is_painted_at_a_keypoint_is_where_the_keypoint_goes(degrees, scale, shift, place, bent):
    size = (30, 40)
    map_: maps.Map = turned(degrees, scale, shift, size)
    if bent:
        key = np.array([place[0], int(abs(degrees))], np.uint32)
        map_ = maps.elastic(key, np.int64(scale * 10_000), 3, size)
    kernels = (kinds.Warp(map=map_, border="constant"),)
    image = np.zeros((*size, 1), np.uint8)
    image[place[1], place[0]] = 255
    [moved], [inside] = Geometry(kernels, size).points(np.array([place]) * UNIT)
    x, y = moved / UNIT
    assume(inside and 2 <= x <= size[1] - 3 and 2 <= y <= size[0] - 3)
    levels = host.apply(kernels, image)[..., 0].astype(float)
    rows, columns = np.indices(size)
    middle = np.array([(levels * columns).sum(), (levels * rows).sum()]) / levels.sum()
    np.testing.assert_allclose(middle, [x, y], rtol=0, atol=0.5 + 1 / 32)


@settings(max_examples=60)
@given(seed=SEEDS, size=SIZES, names=st.tuples(*[st.sampled_from(MOVING)] * 2))
def test_kernels_together_move_what_they_move_one_by_one(seed, size, names):
    rng = np.random.default_rng(seed)
    first = kernel_of(names[0], seed, size)
    one = Geometry((first,), size)
    second = kernel_of(names[1], seed + 1, one.size)
    other, both = Geometry((second,), one.size), Geometry((first, second), size)
    assert both.size == other.size
    assert both.mirrored == (one.mirrored != other.mirrored)

    mask = images(rng, *size, 1)
    np.testing.assert_array_equal(both.mask(mask, 3), other.mask(one.mask(mask, 3), 3), strict=True)

    points = rng.integers(-UNIT, [UNIT * size[1] + UNIT, UNIT * size[0] + UNIT], (20, 2))
    places, inside = one.points(points)
    again, still = other.points(places)
    together, seen = both.points(points)
    np.testing.assert_array_equal(seen, inside & still)
    np.testing.assert_array_equal(together[inside], again[inside])

    triangles = list(rng.integers(0, [UNIT * size[1], UNIT * size[0]], (5, 3, 2), endpoint=True))
    between = one.polygons(triangles)
    after = other.polygons(between.polygons)
    direct = both.polygons(triangles)
    for ours, theirs in zip(direct.polygons, after.polygons, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_allclose(direct.part, between.part * after.part)

    if names[1] == "elastic":
        return  # whose edges are pieces that begin elsewhere
    edges = np.sort(rng.integers(0, [[UNIT * size[1], UNIT * size[0]]], (5, 2, 2), endpoint=True), axis=1)
    boxes = edges.reshape(-1, 4)
    tight, part, _ = both.boxes(boxes)
    wide = other.boxes(one.boxes(boxes).boxes).boxes
    for ours, theirs, share in zip(tight, wide, part, strict=True):
        if share and theirs.any():
            assert (ours[:2] >= theirs[:2] - 1).all()
            assert (ours[2:] <= theirs[2:] + 1).all()


@settings(max_examples=60)
@given(seed=SEEDS, size=SIZES)
def test_points_follow_opencvs_own_transforms(seed, size):
    """To within half of a 65,536th, and what its float64 loses."""
    rng = np.random.default_rng(seed)
    points = rng.integers(0, [UNIT * size[1], UNIT * size[0]], (20, 2))
    for name, bottom in (("affine", [0, 0, 1]), ("projective", [])):
        map_ = kernel_of(name, seed, size).map
        bits = maps.PROJECTIVE_BITS if name == "projective" else maps.AFFINE_BITS
        matrix = np.array([*(map_.matrix / 2.0**bits), *bottom]).reshape(3, 3)
        assume(np.linalg.cond(matrix[:2, :2]) < 1e4)
        forward = np.linalg.inv(matrix)
        ahead = points / UNIT @ forward[2, :2] + forward[2, 2]
        expected = cv2.perspectiveTransform(points[np.newaxis] / UNIT, forward)[0]
        places, _ = Geometry((kinds.Warp(map=map_),), size).points(points)
        sure = (ahead > 1e-3) & (np.abs(expected) < 1e5).all(axis=1)
        np.testing.assert_allclose(places[sure] / UNIT, expected[sure], rtol=1e-9, atol=0.5 / UNIT + 1e-4)
