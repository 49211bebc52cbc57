"""What holds for every op: the size that it promises, and when it is applied."""

from __future__ import annotations

import numpy as np
import pytest

from augment.augmenter import Augmenter
from augment.draws import at
from augment.keys import source_words

SIDES = [(20, 33), (33, 20), (21, 21), (12, 11)]

UNDEMANDING = [
    (
        "hue: {delta: [-0.5, 0.5]}",
        "saturation: {factor: [0, 3]}",
        "contrast: {factor: 0.9}",
        "gamma: {gamma: [0.3, 3]}",
    ),
    ("flip: {horizontal: 1, vertical: 1}", "rot90: {quarter_turns: 2}", "grayscale", "invert"),
    ("rotation: {factor: 0.5}", "zoom: {scale: 0.5}", "shear: {x: 0.3, y: 0.2}"),
    ("translation: {height: 1, width: 1, fill_mode: wrap}",),
    ("translation: {height: 1, width: 1, fill_mode: constant}",),
    ("translation: {height: 1, width: 1, fill_mode: nearest}",),
    ("resize: {height: 5, width: 7, aspect: pad}",),
    ("resize: {height: 5, width: 7, aspect: crop, antialias: true}",),
    ("crop_or_pad: {height: 5, width: 7}",),
    ("central_crop: {fraction: 0.5}",),
    ("random_resized_crop: {height: 5, width: 7}",),
]
"""Ops that take images of any size."""


@pytest.fixture(scope="module")
def photos(photo_of):
    """uint8 [6, 20, 33, 3]."""
    return np.stack([photo_of(20, 33, seed=i) for i in range(6)])


@pytest.mark.parametrize("sides", SIDES, ids=str)
def test_an_op_yields_the_size_that_the_recipe_promises(any_op, make_recipe, apply_op, photo_of, sides):
    if any_op.startswith("random_crop"):
        any_op = "random_crop: {height: 11, width: 9}"
    image = photo_of(*sides)
    promised = make_recipe(any_op, height=sides[0], width=sides[1]).image_size
    assert apply_op(image, any_op).shape == (*promised, 3)
    assert apply_op(image, any_op, copy=-1).shape == (*promised, 3)


@pytest.mark.parametrize("sides", [(1, 9), (9, 1), (1, 1)], ids=str)
@pytest.mark.parametrize("entries", UNDEMANDING, ids=lambda entries: entries[0].split(":")[0])
def test_images_of_one_row_or_column_are_no_exception(entries, make_recipe, apply_op, photo_of, sides):
    promised = make_recipe(*entries, height=sides[0], width=sides[1]).image_size
    assert apply_op(photo_of(*sides), *entries).shape == (*promised, 3)


def test_an_op_is_applied_if_and_only_if_the_record_says_so(any_op_with_p, make_recipe, photos):
    entry, with_p = any_op_with_p
    recipe = make_recipe(with_p, height=20, width=33)
    augmenter, always = Augmenter(recipe, 5), Augmenter(make_recipe(entry, height=20, width=33), 5)
    sources = source_words(str(i) for i in range(40))
    draws, drawn_always = augmenter.draw_copies(sources, 0), always.draw_copies(sources, 0)
    applied = draws[recipe.ops[-1].id]["applied"]
    assert 5 < applied.sum() < 35
    photo = photos[0]
    for i in range(12):
        got = augmenter.tail(photo, at(draws, i))
        changed = always.tail(always.head(photo), at(drawn_always, i))
        np.testing.assert_array_equal(got, changed if applied[i] else photo)


def test_an_op_that_sets_the_size_leaves_others_centred_where_nothing_is_augmented(apply_op, photo):
    """`plain`: random crops crop the centre, everything else leaves the image alone."""
    np.testing.assert_array_equal(
        apply_op(photo, "random_crop: {height: 20, width: 26}", copy=-1), photo[10:30, 15:41]
    )
    kept = ("hue: {delta: [0.2, 0.2]}", "flip: {horizontal: 1}", "rotation: {factor: 0.5}", "grayscale")
    np.testing.assert_array_equal(apply_op(photo, *kept, copy=-1), photo)
