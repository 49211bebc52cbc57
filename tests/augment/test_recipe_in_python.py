"""Recipes made of op objects are those of YAML, and show themselves as YAML and in pictures."""

from __future__ import annotations

import base64
import io
import re

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from augment.augmenter import Augmenter
from augment.errors import RequestError
from augment.keys import source_words
from augment.notebook import example
from augment.ops import Contrast, CropOrPad, Elastic, Flip, Invert, OneOf, Resize, SomeOf, op_types
from augment.ops.entries import written_entry
from augment.recipe import Recipe, Storage, load_recipe, parse_recipe, preset_names


def test_c2_a_recipe_in_python_draws_what_its_yaml_twin_draws(any_op, make_recipe):
    twin = make_recipe(any_op, height=20, width=33)
    [(name, settings)] = written_entry(twin.ops[1], brief=True).items()
    op = op_types()[name](**settings)
    mine = Recipe("mine", [CropOrPad(20, 33, id="given"), op])
    assert mine.ops == twin.ops
    assert mine.fingerprint() == twin.fingerprint()
    ours, theirs = (Augmenter(r, 3).draw_copies(source_words(["a", "b", "c"]), 1) for r in (mine, twin))
    tf.nest.map_structure(np.testing.assert_array_equal, ours, theirs)


def test_an_op_in_python_has_its_name_for_an_id_and_takes_settings_by_position():
    assert Flip(horizontal=0.5).id == "flip"
    assert Resize(128, 100) == Resize(height=128, width=100)
    assert Elastic([0, 0.3], 8) == Elastic(strength=[0, 0.3], cells=8)
    assert OneOf([Invert()]) == OneOf(ops=[Invert()])
    assert SomeOf(1, [Invert(), Contrast(0.5)]).ops[1] == Contrast(factor=[0.5, 1.5])


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: Resize(0, 5), "Resize: height is 0; it must be a whole number from 1 to 16384"),
        (lambda: Resize(1, 2, height=3), "Resize: height is given twice, by position and by name"),
        (lambda: Invert("a", 1.0, 3), "Invert: 3 settings are given by position; it has 2"),
        (lambda: Contrast(0.5, factr=1), "Contrast: there is no setting 'factr'; did you mean factor?"),
        (lambda: Storage(format="gif"), "Storage: format is 'gif'; it must be one of png, jpeg, raw"),
        (
            lambda: Recipe("Mine", [Resize(8, 8)]),
            "recipe Mine: its name is 'Mine'; a name is made of lower-case",
        ),
        (
            lambda: Recipe("m", []),
            "recipe m: ops must be a list of one op or more, such as Flip(horizontal=0.5)",
        ),
        (
            lambda: Recipe("m", [Resize(8, 8)], channels=4),
            "recipe m: channels is 4; it must be 3, or 1 for gray images",
        ),
        (lambda: Recipe("m", [Resize(8, 8), "invert"]), "such as Flip(horizontal=0.5); 'invert' is not"),
    ],
)
def test_what_is_wrong_in_python_is_said_in_a_sentence(make, sentence):
    with pytest.raises(RequestError, match=re.escape(sentence)):
        make()


@pytest.mark.parametrize("name", preset_names())
def test_the_repr_of_a_recipe_is_its_yaml(name):
    recipe = load_recipe(name)
    assert parse_recipe(repr(recipe), name="another") == recipe


def test_the_repr_of_a_recipe_keeps_every_setting(any_op, make_recipe):
    recipe = make_recipe(any_op, height=20, width=33)
    assert parse_recipe(repr(recipe), name="another") == recipe


def test_the_repr_leaves_out_what_is_so_by_default():
    recipe = Recipe("mine", (Resize(8, 9), OneOf([Invert(), Contrast(0.5, p=0.2)])), Storage("jpeg"))
    assert repr(recipe) == (
        "name: mine\nstorage: {format: jpeg}\nops:\n  - resize: {height: 8, width: 9}\n"
        "  - one_of: {ops: [{invert: {}}, {contrast: {p: 0.2, factor: [0.5, 1.5]}}]}"
    )


def test_gray_images_are_asked_for_alike_in_python_and_yaml():
    mine = Recipe("mine", [Resize(8, 9)], channels=1)
    assert repr(mine) == "name: mine\nchannels: 1\nops:\n  - resize: {height: 8, width: 9}"
    assert parse_recipe(repr(mine), name="another") == mine


def test_a_notebook_shows_a_gray_recipe_in_gray():
    shown = Recipe("mine", [CropOrPad(180, 240)], channels=1)._repr_html_()
    [encoded, *_] = re.findall(r"data:image/png;base64,([^\"]+)", shown)
    picture = Image.open(io.BytesIO(base64.b64decode(encoded)))
    assert picture.mode == "L"
    np.testing.assert_array_equal(picture, Image.fromarray(example()).convert("L"))


def test_a_notebook_shows_a_recipe_with_pictures_of_what_it_does():
    shown = Recipe("mine", [CropOrPad(180, 240), Flip(horizontal=1.0), Contrast(0.9)])._repr_html_()
    assert "flip: {horizontal: 1.0}" in shown
    encoded = re.findall(r"data:image/png;base64,([^\"]+)", shown)
    pictures = [np.asarray(Image.open(io.BytesIO(base64.b64decode(text)))) for text in encoded]
    np.testing.assert_array_equal(pictures[0], example())
    assert len({picture.tobytes() for picture in pictures}) == len(pictures) == 5
