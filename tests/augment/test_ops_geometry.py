"""Flips, quarter turns and perspective, held against Pillow and tf.image."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageOps

from augment.augmenter import Augmenter
from augment.draws import Uniforms, at
from augment.errors import RequestError
from augment.kernels import maps
from augment.keys import source_words
from augment.ops.geometry import Perspective

# ---------------------------------------------------------------- flips


def test_flips_are_those_of_pillow(apply_op, photo):
    picture = Image.fromarray(photo)
    mirrored, flipped = (np.asarray(turn(picture)) for turn in (ImageOps.mirror, ImageOps.flip))
    np.testing.assert_array_equal(apply_op(photo, "flip: {horizontal: 1}"), mirrored)
    np.testing.assert_array_equal(apply_op(photo, "flip: {vertical: 1}"), flipped)
    np.testing.assert_array_equal(apply_op(photo, "flip: {horizontal: 1, vertical: 1}"), mirrored[::-1])


def test_each_axis_of_a_flip_tosses_its_own_coin(make_recipe):
    recipe = make_recipe("flip: {horizontal: 0.5, vertical: 0.5}", height=4, width=4)
    draws = Augmenter(recipe, 0).draw_copies(source_words(str(i) for i in range(4000)), 0)
    both = np.bincount(2 * draws["flip"]["horizontal"] + draws["flip"]["vertical"], minlength=4)
    assert (abs(both - 1000) < 120).all()


def test_a_flip_does_what_its_record_says(make_recipe, photo_of):
    image = photo_of(7, 9)
    augmenter = Augmenter(make_recipe("flip: {horizontal: 0.5, vertical: 0.5}", height=7, width=9), 0)
    draws = augmenter.draw_copies(source_words(str(i) for i in range(16)), 0)
    for i in range(16):
        got = augmenter.tail(image, at(draws, i))
        expected = image[
            :: -1 if draws["flip"]["vertical"][i] else 1, :: -1 if draws["flip"]["horizontal"][i] else 1
        ]
        np.testing.assert_array_equal(got, expected)


# ---------------------------------------------------------------- quarter turns


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
@pytest.mark.parametrize("sides", [(9, 9), (12, 8), (7, 10), (1, 5)], ids=str)
def test_quarter_turns_are_those_of_tf_image(apply_op, photo_of, turns, sides):
    image = photo_of(*sides)
    got = apply_op(image, f"rot90: {{quarter_turns: {turns}}}")
    np.testing.assert_array_equal(got, tf.image.rot90(image, turns))


@pytest.mark.parametrize("choices", ["[0, 1, 2, 3]", "[3, 1]", "[2, 0]", "[1, 2]"])
def test_of_several_quarter_turns_each_is_drawn_as_often_and_done_as_recorded(make_recipe, photo_of, choices):
    image = photo_of(9, 9)
    augmenter = Augmenter(make_recipe(f"rot90: {{quarter_turns: {choices}}}", height=9, width=9), 0)
    draws = augmenter.draw_copies(source_words(str(i) for i in range(2000)), 0)
    allowed, counts = np.unique(draws["rot90"]["quarter_turns"], return_counts=True)
    assert allowed.tolist() == sorted(augmenter.recipe.ops[-1].quarter_turns)
    assert (abs(counts - 2000 / len(counts)) < 150).all()
    for i in range(12):
        got = augmenter.tail(image, at(draws, i))
        np.testing.assert_array_equal(got, tf.image.rot90(image, int(draws["rot90"]["quarter_turns"][i])))


def test_an_oblong_image_keeps_the_promised_sides_where_nothing_is_augmented(apply_op, photo_of):
    image = photo_of(12, 8)
    for turns in (1, 3):
        got = apply_op(image, f"rot90: {{quarter_turns: {turns}}}", copy=-1)
        np.testing.assert_array_equal(got, tf.image.rot90(image, turns))
    np.testing.assert_array_equal(apply_op(image, "rot90: {quarter_turns: 2}", copy=-1), image)
    square = photo_of(9, 9)
    np.testing.assert_array_equal(apply_op(square, "rot90: {quarter_turns: 1}", copy=-1), square)


@pytest.mark.parametrize("entry", ["rot90", "rot90: {quarter_turns: 1, p: 0.5}"])
def test_oblong_images_of_both_orientations_are_refused(make_recipe, entry):
    with pytest.raises(RequestError) as error:
        make_recipe(entry, height=12, width=8)
    assert str(error.value) == (
        "recipe test: op 2 (rot90): rot90 would give images of 12x8 and of 8x12; make them square first, "
        "or let quarter_turns be [0, 2]"
    )


# ---------------------------------------------------------------- perspective


def solved(corners: np.ndarray, height: int, width: int) -> np.ndarray:
    """float64 [3, 3]: the projective map from the frame's corners to these, by linear equations."""
    frame = [(0, 0), (width - 1, 0), (width - 1, height - 1), (0, height - 1)]
    rows, values = [], []
    for (x, y), (u, v) in zip(frame, corners, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        values += [u, v]
    return np.append(np.linalg.solve(np.array(rows, float), np.array(values, float)), 1).reshape(3, 3)


@pytest.mark.parametrize("sides", [(40, 56), (33, 21), (2, 2), (2, 9)], ids=str)
@pytest.mark.parametrize("strength", [0.05, 0.3, 0.6])
def test_perspective_stretches_the_recorded_corners_to_the_frame(make_recipe, sides, strength):
    height, width = sides
    augmenter = Augmenter(
        make_recipe(f"perspective: {{strength: {strength}}}", height=height, width=width), 0
    )
    draws = augmenter.draw_copies(source_words(str(i) for i in range(30)), 0)
    frame = [(0, 0), (width - 1, 0), (width - 1, height - 1), (0, height - 1)]
    for i in range(30):
        matrix = draws["perspective"]["_transform"][i].reshape(3, 3) / 2**40
        for corner, (x, y) in zip(
            ("top_left", "top_right", "bottom_right", "bottom_left"), frame, strict=True
        ):
            inward = [draws["perspective"][f"{corner}_{axis}"][i] for axis in "xy"]
            assert 0 <= min(inward) <= max(inward) <= strength / 2
            expected = [
                abs(p - part * side)
                for p, part, side in zip((x, y), inward, (width - 1, height - 1), strict=True)
            ]
            projected = matrix @ [x, y, 1]
            np.testing.assert_allclose(projected[:2] / projected[2], expected, atol=1e-5)


@pytest.mark.parametrize("sides", [(4096, 24), (24, 4096)], ids=str)
def test_in_large_images_perspective_is_off_by_less_than_a_32nd_of_a_pixel(sides):
    """By what the recorded corners come to, solved in float64."""
    height, width = sides
    op = Perspective(strength=0.6)
    words = source_words(["a", "b", "c", "d"])
    draw = op.draw(Uniforms((words[:, 0], words[:, 1])), sides)
    places = np.stack(maps.places(maps.Projective(draw["_transform"]), sides)[::-1]) / 32
    y, x = np.mgrid[0:height, 0:width]
    for i in range(4):
        inward = [[float(draw[f"{corner}_{axis}"][i]) for axis in "xy"] for corner in op.CORNERS]
        signs, ends = [(1, 1), (-1, 1), (-1, -1), (1, -1)], [(0, 0), (1, 0), (1, 1), (0, 1)]
        corners = (np.array(ends) + np.array(signs) * inward) * [width - 1, height - 1]
        exact = np.einsum("ij,jyx->iyx", solved(corners, height, width), np.stack([x, y, np.ones_like(x)]))
        assert np.abs(places[:, i] - exact[:2] / exact[2]).max() < 1 / 32


def test_perspective_pixels_are_those_of_pillow(make_recipe, photo):
    """Bilinear in double precision there, here at places in 32nds of a pixel."""
    augmenter = Augmenter(make_recipe("perspective: {strength: 0.5}", height=40, width=56), 0)
    half = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])
    for copy in range(6):
        draws = augmenter.draw_copies(source_words(["a"]), copy)
        got = augmenter.tail(photo, at(draws, 0))
        matrix = draws["perspective"]["_transform"][0].reshape(3, 3) / 2**40
        from_edges = half @ matrix @ np.linalg.inv(half)
        theirs = Image.fromarray(photo).transform(
            (56, 40),
            Image.Transform.PERSPECTIVE,
            (from_edges / from_edges[2, 2]).ravel()[:8],
            Image.Resampling.BILINEAR,
        )
        difference = np.abs(got - np.asarray(theirs, np.float64))
        assert difference.max() <= 9
        assert difference.mean() <= 0.75


def test_perspective_shows_nothing_from_outside_the_image(make_recipe):
    """Positions stay within the frame for every draw, and never fold over."""
    height, width = 40, 56
    augmenter = Augmenter(make_recipe("perspective: {strength: 0.6}", height=height, width=width), 0)
    draws = augmenter.draw_copies(source_words(str(i) for i in range(3000)), 0)
    matrices = draws["perspective"]["_transform"].reshape(-1, 3, 3) / 2**40
    y, x = np.mgrid[0:height:13, 0:width:11]
    positions = matrices @ np.stack([x, y, np.ones_like(x)]).reshape(3, -1)
    assert (positions[:, 2] > 0).all()
    at = positions[:, :2] / positions[:, 2:]
    assert (at > -1e-3).all()
    assert (at[:, 0] < width - 1 + 1e-3).all()
    assert (at[:, 1] < height - 1 + 1e-3).all()


def test_perspective_refuses_images_of_one_row_or_column(make_recipe):
    with pytest.raises(RequestError, match="perspective cannot take images of 1x9: a side is 1"):
        make_recipe("perspective: {strength: 0.5}", height=1, width=9)
