"""Random erasing and Cutout, held to their papers' definitions."""

from __future__ import annotations

import numpy as np
import pytest

from augment.keys import fold_in, name_words, source_key, source_words, threefry2x32
from tests.streams import stream

SIZE = (120, 80)


@pytest.fixture(scope="module")
def canvas() -> np.ndarray:
    """uint8 [120, 80, 3] of level 200, which no fill in these tests has."""
    return np.full((*SIZE, 3), 200, np.uint8)


def test_exactly_the_recorded_rectangle_is_filled(apply_op, make_draws, canvas):
    entry = "random_erasing: {fill: constant, fill_value: 7}"
    for copy in range(8):
        [draw] = make_draws(entry, count=1, copy=copy, size=SIZE, rows=True)
        top, left, height, width = (
            draw[f"random_erasing.{name}"] for name in ("top", "left", "height", "width")
        )
        expected = canvas.copy()
        expected[top : top + height, left : left + width] = 7
        assert (expected == 7).sum() == 3 * height * width > 0
        np.testing.assert_array_equal(apply_op(canvas, entry, copy=copy), expected)


def test_the_noise_is_made_from_the_recorded_key_by_row_and_column(apply_op, make_draws, canvas):
    [draw] = make_draws("random_erasing", count=1, size=SIZE, rows=True)
    drawn = {name.removeprefix("random_erasing."): value for name, value in draw.items()}
    key = int(drawn["key_high"]), int(drawn["key_low"])
    noise = stream(key, SIZE[0], 3 * SIZE[1]).reshape(*SIZE, 3)
    rows, columns = (
        slice(drawn[start], drawn[start] + drawn[length])
        for start, length in (("top", "height"), ("left", "width"))
    )
    expected = canvas.copy()
    expected[rows, columns] = noise[rows, columns]
    np.testing.assert_array_equal(apply_op(canvas, "random_erasing"), expected)


def test_the_noise_is_uniform(apply_op, canvas):
    everywhere = apply_op(canvas, "random_erasing: {area: [1, 1], ratio: [1.5, 1.5]}")
    counts = np.bincount(everywhere.ravel(), minlength=256)
    expected = everywhere.size / 256
    chi_squared = ((counts - expected) ** 2 / expected).sum()
    assert chi_squared < 255 + 5 * (2 * 255) ** 0.5


def test_area_and_proportions_are_drawn_as_the_settings_say(make_draws):
    size = (3000, 3000)  # where no rectangle is cut, and rounding is small
    entry = "random_erasing: {area: [0.05, 0.25], ratio: [0.25, 4]}"
    drawn = make_draws(entry, size=size)
    height, width = (drawn[f"random_erasing.{side}"].astype(float) for side in ("height", "width"))
    area, ratio = height * width / 9e6, np.log(height / width) / np.log(4)
    deciles = np.linspace(0.05, 0.95, 10)
    np.testing.assert_allclose(np.quantile(area, deciles), 0.05 + 0.2 * deciles, atol=0.01)
    np.testing.assert_allclose(np.quantile(ratio, deciles), 2 * deciles - 1, atol=0.06)
    for start, side in (("top", height), ("left", width)):
        place = drawn[f"random_erasing.{start}"] / (3000 - side)
        np.testing.assert_allclose(np.quantile(place, deciles), deciles, atol=0.03)


@pytest.mark.parametrize("size", [(9, 200), (50, 12), (120, 80)], ids=str)
def test_the_first_of_ten_rectangles_that_fits_is_taken_or_none(make_draws, size):
    """As in Zhong et al. and torchvision, which draw again; what does not fit is not cut."""
    count = 2000
    drawn = make_draws("random_erasing: {area: [0.3, 1], ratio: [0.1, 10]}", size=size, count=count)
    height, width = (drawn[f"random_erasing.{side}"] for side in ("height", "width"))
    sources = source_words(["a.png", *(str(i) for i in range(1, count))])
    key = fold_in(source_key(0, (sources[:, 0], sources[:, 1])), (np.uint32(0), np.uint32(0)))
    key = fold_in(key, name_words("random_erasing"))
    expected = np.zeros([count, 2], int)
    found = np.zeros(count, bool)
    for area_counter, ratio_counter in ((0, 1), *((6 + 2 * i, 7 + 2 * i) for i in range(9))):
        area, ratio = (
            ((threefry2x32(key, (np.uint32(0), np.uint32(c)))[0] >> 16) + 0.5) / 65536
            for c in (area_counter, ratio_counter)
        )
        pixels = (0.3 + 0.7 * area) * size[0] * size[1]
        ratio = np.exp(np.log(0.1) + ratio * np.log(100))
        sides = np.rint(np.sqrt([pixels * ratio, pixels / ratio])).astype(int)
        fits = (sides[0] <= size[0]) & (sides[1] <= size[1]) & (sides.min(axis=0) >= 1) & ~found
        expected[fits] = sides.T[fits]
        found |= fits
    # In fixed point, a side that is nearly half a pixel more may be rounded to the other.
    assert (np.stack([height, width], -1) != expected).any(axis=1).mean() < 0.01
    assert 0 < found.mean() < 1 or size == (120, 80)
    assert (drawn["random_erasing.top"] + height <= size[0]).all()
    assert not drawn["random_erasing.top"][~found].any()


def test_a_whole_image_can_be_erased(apply_op, canvas):
    entry = "random_erasing: {area: [1, 1], ratio: [1.5, 1.5], fill: constant}"
    assert not apply_op(canvas, entry).any()


def cut_out(image: np.ndarray, centres: list[tuple[int, int]], side: int, level: int) -> np.ndarray:
    """Section 3 of the paper: squares about centres, as far as they lie within the image."""
    cut = image.copy()
    for row, column in centres:
        for i in range(row - side // 2, row - side // 2 + side):
            for j in range(column - side // 2, column - side // 2 + side):
                if 0 <= i < image.shape[0] and 0 <= j < image.shape[1]:
                    cut[i, j] = level
    return cut


@pytest.mark.parametrize("side", [1, 8, 15, 64])
@pytest.mark.parametrize("holes", [1, 3])
def test_squares_are_cut_out_about_the_recorded_centres(apply_op, make_draws, photo, side, holes):
    entry = f"cutout: {{side: {side}, holes: {holes}, fill_value: 9}}"
    for copy in range(4):
        [draw] = make_draws(entry, count=1, copy=copy, rows=True)
        centres = [(draw[f"cutout.row_{i}"], draw[f"cutout.column_{i}"]) for i in range(1, holes + 1)]
        np.testing.assert_array_equal(apply_op(photo, entry, copy=copy), cut_out(photo, centres, side, 9))


def test_every_pixel_is_a_centre_equally_often(make_draws):
    drawn = make_draws("cutout: {side: 3, holes: 2}", size=(4, 5))
    for hole in (1, 2):
        cells = drawn[f"cutout.row_{hole}"] * 5 + drawn[f"cutout.column_{hole}"]
        counts = np.bincount(cells, minlength=20)
        np.testing.assert_allclose(counts / counts.sum(), 1 / 20, atol=0.015)
    first, second = (drawn[f"cutout.row_{hole}"] for hole in (1, 2))
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.05


def test_a_hole_more_leaves_the_others_where_they_are(make_draws):
    one, two = (make_draws(f"cutout: {{side: 3, holes: {holes}}}", count=50) for holes in (1, 2))
    for name, values in one.items():
        np.testing.assert_array_equal(values, two[name])
