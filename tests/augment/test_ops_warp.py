"""Elastic deformation, held to cubic B-splines and bilinear sampling computed in float64."""

from __future__ import annotations

import numpy as np
import pytest

from augment.augmenter import Augmenter
from augment.draws import at
from augment.kernels import host
from augment.keys import source_words
from augment.ops.warp import Elastic
from tests.streams import stream


def spline(x: np.ndarray) -> np.ndarray:
    """The uniform cubic B-spline: four boxes of width 1, convolved."""
    x = np.abs(x)
    return np.where(x < 1, 2 / 3 - x**2 + x**3 / 2, np.clip(2 - x, 0, None) ** 3 / 6)


def weights(side: int, cells: int) -> np.ndarray:
    """[side, cells + 3]: each knot's, the first of which lies one cell outside."""
    places = (np.arange(side) + 0.5) * cells / side
    return spline(places[:, np.newaxis] - (np.arange(cells + 3) - 1))


def displacements(draw: dict, size: tuple[int, int], cells: int) -> list[np.ndarray]:
    """Down and right in pixels, [H, W], from the recorded strength and key."""
    knots = cells + 3
    key = int(draw["key_high"]), int(draw["key_low"])
    pairs = stream(key, knots, 4 * knots).view("<u2").reshape(knots, knots, 2)  # down and right of each knot
    fields = []
    for index, side in ((pairs[..., 0], size[0]), (pairs[..., 1], size[1])):
        uniform = (2 * index.astype(np.float64) + 1) / 65536 - 1
        field = weights(size[0], cells) @ uniform @ weights(size[1], cells).T
        fields.append(field * float(draw["strength"]) * side / cells)
    return fields


def sampled(image: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """float64 [H, W, 3]: bilinear between pixels, the mirror image outside."""
    height, width, _ = image.shape
    padded = np.pad(image, ((height, height), (width, width), (0, 0)), mode="symmetric").astype(np.float64)
    rows, columns = rows + height, columns + width
    top, left = np.floor(rows).astype(int), np.floor(columns).astype(int)
    down, right = (rows - top)[..., np.newaxis], (columns - left)[..., np.newaxis]
    above = padded[top, left] * (1 - right) + padded[top, left + 1] * right
    below = padded[top + 1, left] * (1 - right) + padded[top + 1, left + 1] * right
    return above * (1 - down) + below * down


def moved(op: Elastic, draw: dict, size: tuple[int, int]) -> list[np.ndarray]:
    """The op's own displacements down and right in pixels, [H, W]."""
    [warp] = op.kernels(draw, size)
    return [warp.map.rows / 32, warp.map.columns / 32]


def drawn(op: Elastic, size: tuple[int, int], source: str) -> dict:
    [[high, low]] = source_words([source])
    return {"key_high": high, "key_low": low, "strength": np.float32(op.strength[1])} | {
        "_strength": np.int64(round(op.strength[1] * 65536))
    }


SIZES = [(40, 56, 4), (33, 20, 1), (64, 64, 16), (1, 1, 1), (1, 30, 3), (7, 5, 64)]


@pytest.mark.parametrize(("height", "width", "cells"), SIZES, ids=str)
def test_displacements_are_those_of_the_splines(height, width, cells):
    op = Elastic(cells=cells, strength=(0.0, 0.48))
    draw = drawn(op, (height, width), "a")
    expected = displacements(draw, (height, width), cells)
    for got, field in zip(moved(op, draw, (height, width)), expected, strict=True):
        # 5 fractional bits; 4 by 4 knots of up to 0.48 cells, whose weights are whole 4096ths.
        tolerance = 1 / 64 + 0.48 * max(height, width) / cells * 8 / 4096
        assert np.abs(got - field).max() <= tolerance


@pytest.mark.parametrize(("height", "width", "cells"), SIZES, ids=str)
def test_levels_are_sampled_at_the_displaced_places_to_the_bit(photo_of, height, width, cells):
    image = photo_of(height, width)
    op = Elastic(cells=cells, strength=(0.0, 0.48))
    for source in "abc":
        draw = drawn(op, (height, width), source)
        down, right = moved(op, draw, (height, width))
        rows, columns = np.indices((height, width))
        expected = np.floor(sampled(image, rows + down, columns + right) + 0.5)
        got = host.apply(op.kernels(draw, (height, width)), image)
        np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("cells", [1, 3, 8])
def test_the_image_never_folds(cells):
    """Choi and Lee, "Injectivity conditions of 2D and 3D uniform cubic B-spline functions" (2000)."""
    op = Elastic(cells=cells, strength=(0.48, 0.48))
    for i in range(20):
        down, right = displacements(drawn(op, (96, 96), str(i)), (96, 96), cells)
        (down_y, down_x), (right_y, right_x) = np.gradient(down), np.gradient(right)
        assert ((1 + down_y) * (1 + right_x) - down_x * right_y).min() > 0


def test_without_strength_the_image_stays(apply_op, photo):
    np.testing.assert_array_equal(apply_op(photo, "elastic: {strength: [0, 0]}"), photo)


def test_one_level_stays_one_level(apply_op):
    plain = np.full((31, 17, 3), [3, 200, 255], np.uint8)
    np.testing.assert_array_equal(apply_op(plain, "elastic: {strength: [0.48, 0.48], cells: 3}"), plain)


def test_the_recorded_draws_say_how_the_pixels_moved(make_recipe, photo):
    augmenter = Augmenter(make_recipe("elastic: {strength: [0.1, 0.4]}", height=40, width=56), seed=0)
    draw = at(augmenter.draw_copies(source_words(["a"]), 0), 0)
    got = augmenter.tail(photo, draw)
    recorded = {name.removeprefix("elastic."): value for name, value in augmenter.recorded(draw).items()}
    assert set(recorded) == {"strength", "key_high", "key_low"}
    down, right = displacements(recorded, (40, 56), 4)
    rows, columns = np.indices((40, 56))
    expected = sampled(photo, rows + down, columns + right)
    assert np.abs(got - expected).mean() < 0.5  # half a level of rounding, and places rounded to 1/32
    assert np.abs(got.astype(int) - photo).mean() > 5


def test_strength_is_uniform_and_displacements_are_centred(make_draws):
    values = make_draws("elastic: {strength: [0.1, 0.3]}")["elastic.strength"]
    deciles = np.linspace(0.05, 0.95, 10)
    np.testing.assert_allclose(np.quantile(values, deciles), 0.1 + 0.2 * deciles, atol=0.01)
    op = Elastic(cells=4, strength=(0.4, 0.4))
    fields = [moved(op, drawn(op, (40, 40), str(i)), (40, 40)) for i in range(60)]
    average = np.mean(fields, axis=(0, 2, 3))
    assert np.abs(average).max() < 0.15
