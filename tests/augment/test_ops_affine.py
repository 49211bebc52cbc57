"""Affine ops: which way content moves, against Keras and Pillow, and how a run composes."""

from __future__ import annotations

import math

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from augment.augmenter import Augmenter
from augment.draws import at
from augment.errors import RequestError
from augment.keys import source_words
from augment.recipe import parse_recipe

SIDES = [(40, 56), (56, 40), (33, 33), (32, 32)]


def marked(height: int, width: int, row: int, column: int) -> np.ndarray:
    image = np.zeros((height, width, 3), np.uint8)
    image[row, column] = 255
    return image


def brightest(image: np.ndarray) -> tuple[int, int]:
    row, column = np.unravel_index(image[..., 0].argmax(), image.shape[:2])
    return int(row), int(column)


# ---------------------------------------------------------------- which way content moves


@pytest.mark.parametrize(
    ("entry", "start", "end"),
    [
        # From the right of the centre, a quarter turn counter-clockwise leads to the top.
        ("rotation: {factor: [0.25, 0.25]}", (10, 17), (3, 10)),
        ("rotation: {factor: [-0.25, -0.25]}", (10, 17), (17, 10)),
        ("translation: {height: [0.2, 0.2]}", (10, 10), (14, 10)),
        ("translation: {height: [-0.2, -0.2]}", (10, 10), (6, 10)),
        ("translation: {width: [0.2, 0.2]}", (10, 10), (10, 15)),
        ("translation: {width: [-0.2, -0.2]}", (10, 10), (10, 5)),
        ("zoom: {scale: [2, 2]}", (13, 8), (16, 6)),
        ("zoom: {scale: [0.5, 0.5]}", (16, 6), (13, 8)),
        ("width: {scale: [2, 2]}", (13, 8), (13, 6)),
        ("width: {scale: [0.5, 0.5]}", (13, 6), (13, 8)),
        ("height: {scale: [2, 2]}", (13, 8), (16, 8)),
        ("height: {scale: [0.5, 0.5]}", (16, 8), (13, 8)),
        # Five rows below the centre, x shears to the right; above it, to the left.
        ("shear: {x: [1, 1]}", (15, 10), (15, 15)),
        ("shear: {x: [1, 1]}", (5, 10), (5, 5)),
        ("shear: {y: [1, 1]}", (10, 15), (15, 15)),
        ("shear: {y: [-1, -1]}", (10, 15), (5, 15)),
        # Rows first: (1 down, 2 right) becomes (1 down, 3 right), then (4 down, 3 right).
        ("shear: {x: [1, 1], y: [1, 1]}", (11, 12), (14, 13)),
    ],
)
def test_content_moves_the_documented_way(apply_op, entry, start, end):
    height, width = (21, 25) if entry.startswith("translation") else (21, 21)
    constant = entry.replace("}", ", fill_mode: constant}")
    assert brightest(apply_op(marked(height, width, *start), constant)) == end


def test_a_quarter_turn_is_exactly_rot90(apply_op, photo_of):
    for side in (32, 33):
        image = photo_of(side, side)
        np.testing.assert_array_equal(
            apply_op(image, "rotation: {factor: [0.25, 0.25]}"), tf.image.rot90(image).numpy()
        )


@pytest.mark.parametrize("sides", [*SIDES, (1, 9), (9, 1), (1, 1), (2, 3)], ids=str)
@pytest.mark.parametrize("interpolation", ["bilinear", "nearest"])
@pytest.mark.parametrize("fill_mode", ["reflect", "constant", "wrap", "nearest"])
def test_the_identity_changes_no_pixel(apply_op, photo_of, sides, interpolation, fill_mode):
    image = photo_of(*sides)
    how = f"interpolation: {interpolation}, fill_mode: {fill_mode}"
    still = (f"rotation: {{factor: 0, {how}}}", f"zoom: {{scale: 0, {how}}}", f"shear: {{x: 0, {how}}}")
    np.testing.assert_array_equal(apply_op(image, *still), image)


@pytest.mark.parametrize("fill_mode", ["reflect", "constant", "wrap", "nearest"])
def test_what_lies_outside_is_what_numpy_pads(apply_op, photo_of, fill_mode):
    """A translation by whole pixels shows the padding itself."""
    image = photo_of(20, 40)
    modes = {"reflect": "symmetric", "constant": "constant", "wrap": "wrap", "nearest": "edge"}
    filled = {"constant_values": 77} if fill_mode == "constant" else {}
    padded = np.pad(image, [(5, 5), (10, 10), (0, 0)], mode=modes[fill_mode], **filled)
    entry = f"translation: {{height: [0.25, 0.25], width: [-0.25, -0.25], fill_mode: {fill_mode}"
    got = apply_op(image, entry + ", fill_value: 77}")
    np.testing.assert_array_equal(got, padded[:20, 20:])


@pytest.mark.parametrize("interpolation", ["bilinear", "nearest"])
@pytest.mark.parametrize("side", [100, 37])
def test_wrapped_content_comes_in_again_where_it_went_out(apply_op, photo_of, side, interpolation):
    image = photo_of(side, side)
    how = f"fill_mode: wrap, interpolation: {interpolation}"
    for axis, name in enumerate(("height", "width")):
        for shift in (side, -side, -10, 7):
            part = shift / side
            got = apply_op(image, f"translation: {{{name}: [{part!r}, {part!r}], {how}}}")
            np.testing.assert_array_equal(got, np.roll(image, shift, axis))


# ---------------------------------------------------------------- references


def assert_sampled_nearby(got: np.ndarray, reference: np.ndarray) -> None:
    """Places are whole 32nds of a pixel: off by 1/64 at most along each axis, and so are levels of
    2 * 255 / 64 and half a level of rounding, but by far less where neighbours are alike."""
    difference = np.abs(got - np.asarray(reference, np.float64))
    assert difference.max(initial=0) <= 9
    assert difference.mean() <= 0.75


def transform_of(recipe, draws) -> np.ndarray:
    """float64 [3, 3], from output to input pixels."""
    [transform] = [drawn["_transform"] for drawn in draws.values() if "_transform" in drawn]
    return np.append(transform[0] / 2**24, [0, 0, 1]).reshape(3, 3)


@pytest.mark.parametrize("sides", SIDES, ids=str)
@pytest.mark.parametrize("fill_mode", ["reflect", "constant", "nearest"])
@pytest.mark.parametrize(
    ("entry", "layer", "settings"),
    [
        ("rotation: {factor: [0.1, 0.1]", keras.layers.RandomRotation, {"factor": (0.1, 0.1)}),
        ("rotation: {factor: [-0.2, -0.2]", keras.layers.RandomRotation, {"factor": (-0.2, -0.2)}),
        (
            "translation: {height: [0.13, 0.13], width: [-0.21, -0.21]",
            keras.layers.RandomTranslation,
            {"height_factor": (0.13, 0.13), "width_factor": (-0.21, -0.21)},
        ),
        # Keras's zoom is the part of the image that is seen: 0.8 of it at -0.2.
        ("zoom: {scale: [1.25, 1.25]", keras.layers.RandomZoom, {"height_factor": (-0.2, -0.2)}),
        ("zoom: {scale: [0.8, 0.8]", keras.layers.RandomZoom, {"height_factor": (0.25, 0.25)}),
        (
            "width: {scale: [1.25, 1.25]",
            keras.layers.RandomZoom,
            {"height_factor": (0.0, 0.0), "width_factor": (-0.2, -0.2)},
        ),
        (
            "height: {scale: [1.25, 1.25]",
            keras.layers.RandomZoom,
            {"height_factor": (-0.2, -0.2), "width_factor": (0.0, 0.0)},
        ),
    ],
)
def test_pixels_are_those_of_keras(apply_op, photo_of, sides, fill_mode, entry, layer, settings):
    image = photo_of(*sides)
    got = apply_op(image, f"{entry}, fill_mode: {fill_mode}}}")
    reference = layer(**settings, fill_mode=fill_mode, interpolation="bilinear", data_format="channels_last")
    theirs = reference(tf.constant(image[np.newaxis], tf.float32), training=True)[0].numpy()
    assert_sampled_nearby(got, theirs)


RUNS = {
    "rotation": ["rotation: {factor: 0.5}"],
    "translation": ["translation: {height: 0.3, width: 0.2}"],
    "zoom": ["zoom: {scale: 0.5}"],
    "width and height": ["width: {scale: 0.5}", "height: {scale: 0.4}"],
    "shear": ["shear: {x: 0.5, y: 0.3}"],
    "all": [
        "shear: {x: 0.2, y: 0.3}",
        "rotation: {factor: 0.5}",
        "zoom: {scale: 0.3}",
        "translation: {height: 0.2, width: 0.1}",
        "width: {scale: 0.3}",
        "rotation: {factor: 0.2, id: again}",
        "height: {scale: 0.4}",
    ],
}


def forward(op, drawn, height: int, width: int) -> np.ndarray:
    """float64 [3, 3]: where an op moves content, from its recorded parameters; y points down."""
    scale_x = scale_y = 1.0
    if op.name == "rotation":
        turn = math.radians(drawn["degrees"])
        return np.array(
            [[math.cos(turn), math.sin(turn), 0], [-math.sin(turn), math.cos(turn), 0], [0, 0, 1]]
        )
    if op.name == "translation":
        return np.array([[1, 0, drawn["width"] * width], [0, 1, drawn["height"] * height], [0, 0, 1]])
    if op.name == "shear":
        return np.array([[1, 0, 0], [drawn["y"], 1, 0], [0, 0, 1]]) @ [
            [1, drawn["x"], 0],
            [0, 1, 0],
            [0, 0, 1],
        ]
    if op.name in ("zoom", "width"):
        scale_x = drawn["scale"]
    if op.name in ("zoom", "height"):
        scale_y = drawn["scale"]
    return np.diag([scale_x, scale_y, 1])


def about_the_centre(matrix: np.ndarray, height: int, width: int) -> np.ndarray:
    to_corner = np.array([[1, 0, (width - 1) / 2], [0, 1, (height - 1) / 2], [0, 0, 1]])
    return to_corner @ matrix @ np.linalg.inv(to_corner)


@pytest.mark.parametrize("sides", SIDES, ids=str)
@pytest.mark.parametrize("run", RUNS.values(), ids=RUNS)
def test_a_run_of_affine_ops_is_one_matrix_product(make_recipe, run, sides):
    """In float64 from the recorded parameters, which are rounded to float32: 1e-4 pixels."""
    recipe = make_recipe(*run, height=sides[0], width=sides[1])
    augmenter = Augmenter(recipe, seed=0)
    assert len(recipe.steps) == 2
    for copy in range(20):
        draws = augmenter.draw_copies(source_words(["a"]), copy)
        product = np.eye(3)
        for op in recipe.ops[1:]:
            drawn = {name: float(draws[op.id][name][0]) for name in op.parameters(sides)}
            product = forward(op, drawn, *sides) @ product
        expected = np.linalg.inv(about_the_centre(product, *sides))
        np.testing.assert_allclose(transform_of(recipe, draws), expected, atol=1e-4, rtol=1e-6)


@pytest.mark.parametrize("interpolation", ["bilinear", "nearest"])
@pytest.mark.parametrize("run", RUNS.values(), ids=RUNS)
def test_pixels_are_those_of_pillow(make_recipe, photo_of, run, interpolation):
    """Pillow counts positions from pixel edges and knows no fill: compared where it sees the image.

    Nearest pixels differ only where a position lies halfway between two.
    """
    run = [entry.replace("}", f", interpolation: {interpolation}}}") for entry in run]
    image = photo_of(40, 56)
    recipe = make_recipe(*run, height=40, width=56)
    augmenter = Augmenter(recipe, seed=0)
    edge = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])
    x, y = np.meshgrid(np.arange(56), np.arange(40))
    for copy in range(4):
        draws = augmenter.draw_copies(source_words(["a"]), copy)
        got = augmenter.tail(image, at(draws, 0))
        matrix = transform_of(recipe, draws)
        theirs = Image.fromarray(image).transform(
            (56, 40),
            Image.Transform.AFFINE,
            (edge @ matrix @ np.linalg.inv(edge))[:2].ravel(),
            Image.Resampling.BILINEAR if interpolation == "bilinear" else Image.Resampling.NEAREST,
        )
        sx, sy, _ = np.einsum("ij,jyx->iyx", matrix, np.stack([x, y, np.ones_like(x)]))
        seen = (sx > 0) & (sx < 55) & (sy > 0) & (sy < 39)
        assert seen.sum() > 200
        if interpolation == "bilinear":
            assert_sampled_nearby(got[seen], np.asarray(theirs)[seen])
        else:
            halfway = (abs(sx % 1 - 0.5) < 2e-3) | (abs(sy % 1 - 0.5) < 2e-3)
            np.testing.assert_array_equal(got[seen & ~halfway], np.asarray(theirs)[seen & ~halfway])


# ---------------------------------------------------------------- runs


def test_a_skipped_op_in_a_run_is_the_identity(make_recipe):
    """Its samples have, to the bit, the transform of the recipe without it."""
    before, after = "rotation: {factor: 0.2}", "zoom: {scale: 0.3}"
    skipped = "shear: {x: 0.3, y: 0.2, p: 0.5}"
    sources = source_words(str(i) for i in range(200))
    with_it = Augmenter(make_recipe(before, skipped, after, height=20, width=33), 0).draw_copies(sources, 0)
    without = Augmenter(make_recipe(before, after, height=20, width=33), 0).draw_copies(sources, 0)
    applied = with_it["shear"]["applied"]
    ours, theirs = with_it["rotation"]["_transform"], without["rotation"]["_transform"]
    np.testing.assert_array_equal(ours[~applied], theirs[~applied])
    assert (ours[applied] != theirs[applied]).any(axis=1).all()


def test_a_run_resamples_once_and_only_where_fill_and_interpolation_agree(make_recipe):
    def steps(*entries):
        return [len(step.ops) for step in make_recipe(*entries, height=20, width=20).steps]

    turn, grow = "rotation: {factor: 0.1}", "zoom: {scale: 0.1}"
    assert steps(turn, grow) == [1, 2]
    assert steps(turn, "flip: {horizontal: 0.5}", grow) == [1, 1, 1, 1]
    assert steps(turn, "zoom: {scale: 0.1, fill_mode: wrap}") == [1, 1, 1]
    assert steps(turn, "zoom: {scale: 0.1, fill_value: 3}") == [1, 1, 1]
    assert steps(turn, "zoom: {scale: 0.1, interpolation: nearest}") == [1, 1, 1]


def test_a_run_that_would_magnify_too_much_for_fixed_point_is_cut(make_recipe):
    shrink = [f"zoom: {{scale: [0.1, 0.1], id: z{i}}}" for i in range(4)]
    recipe = make_recipe(*shrink, height=300, width=200)
    assert [len(step.ops) for step in recipe.steps] == [1, 1, 1, 1, 1]
    two = make_recipe("zoom: {scale: [0.2, 0.2]}", "width: {scale: [0.2, 0.2]}", height=300, width=200)
    assert [len(step.ops) for step in two.steps] == [1, 2]


def test_the_largest_images_do_not_overflow_fixed_point(make_recipe):
    side = 9459  # of the largest square that is read
    run = [
        "zoom: {scale: [0.1, 0.1]}",
        "height: {scale: [0.2, 0.2]}",
        "translation: {height: [1, 1], width: [1, 1]}",
        "translation: {height: [1, 1], width: [1, 1], id: further}",
    ]
    recipe = make_recipe(*run, height=side, width=side)
    draws = Augmenter(recipe, 0).draw_copies(source_words(["a"]), 0)
    product = np.diag([0.1, 0.02, 1])
    product[:2, 2] = 2 * side
    expected = np.linalg.inv(about_the_centre(product, side, side))
    assert len(recipe.steps) == 2
    np.testing.assert_allclose(transform_of(recipe, draws), expected, rtol=1e-6, atol=0.1)


def test_affine_ops_need_to_know_the_size_of_their_images():
    with pytest.raises(RequestError) as error:
        parse_recipe("ops: [{rotation: {factor: 0.1}}, {resize: {height: 8, width: 8}}]", name="r")
    assert str(error.value) == (
        "recipe r: op 1 (rotation): rotation needs to know the size of its images; put resize, crop_or_pad "
        "or random_resized_crop before it"
    )


def test_a_run_stays_within_its_fixed_point_where_ops_of_it_are_skipped(make_recipe):
    """Four that shrink distances may all be skipped, and then five that magnify them are alone."""
    near = [f"zoom: {{scale: [10, 10], p: 0.5, id: near_{i}}}" for i in range(4)]
    far = [f"zoom: {{scale: [0.1, 0.1], id: far_{i}}}" for i in range(5)]
    recipe = make_recipe(*near, *far, height=64, width=64)
    draws = Augmenter(recipe, 0).draw_copies(source_words(map(str, range(100))), 0)
    skipped = ~np.any([draws[f"near_{i}"]["applied"] for i in range(4)], axis=0)
    assert skipped.any()
    runs = [step.ops for step in recipe.steps[1:]]
    assert [op.id for ops in runs for op in ops] == [op.id for op in recipe.ops[1:]]
    for ops in runs:
        expected = np.full(100, 1.0)
        for op in ops:
            expected *= np.where(draws[op.id].get("applied", True), 1 / op.scale[0], 1)
        transforms = draws[ops[0].id]["_transform"]
        np.testing.assert_allclose(transforms[:, 0] / 2**24, expected, rtol=1e-3)
        np.testing.assert_array_equal(transforms[:, 0], transforms[:, 4])


def test_where_none_of_a_run_is_applied_there_is_nothing_to_compute(make_recipe):
    entries = [f"{entry}, p: 0.3}}" for entry in ("rotation: {factor: 0.5", "zoom: {scale: 0.5")]
    for size in ((33, 20), (8, 8), (1, 9)):
        recipe = make_recipe(*entries, height=size[0], width=size[1])
        draws = Augmenter(recipe, 0).draw_copies(source_words(map(str, range(60))), 0)
        for i in range(60):
            draw = at(draws, i)
            kernels = recipe.ops[1].kernels(draw["rotation"], size)
            assert len(kernels) == (draw["rotation"]["applied"] or draw["zoom"]["applied"])
