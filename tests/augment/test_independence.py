"""What an op draws for a sample depends on no other op, sample or copy."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from augment.augmenter import Augmenter
from augment.keys import source_words

OPS = (
    "flip: {horizontal: 0.5}",
    "rotation: {factor: 0.2}",
    "zoom: {scale: 0.2, p: 0.5}",
    "contrast: {factor: 0.5}",
    "hue: {delta: [-0.1, 0.1], p: 0.3}",
    "pad_and_crop: {padding: 3}",
    "grayscale: {p: 0.2}",
)


def draws_of(recipe, ids=("a", "b", "c"), seed=0, copy=0):
    augmenter = Augmenter(recipe, seed)
    return augmenter.recorded(augmenter.draw_copies(source_words(list(ids)), copy))


@given(st.permutations(OPS), st.integers(0, len(OPS)))
@settings(max_examples=25)
def test_c5_adding_removing_or_reordering_ops_leaves_the_draws_of_others_alone(make_recipe, order, kept):
    everything = draws_of(make_recipe(*OPS, height=20, width=33))
    some = Augmenter(make_recipe(*order[:kept], height=20, width=33), 0)
    for name, values in some.recorded(some.draw_copies(source_words(["a", "b", "c"]), 0)).items():
        np.testing.assert_array_equal(values, everything[name], err_msg=name)


def test_c5_the_second_op_of_a_name_draws_by_its_own_id(make_recipe):
    twice = make_recipe(*OPS[:2], "rotation: {factor: 0.2, id: again}", height=20, width=33)
    draws = draws_of(twice)
    np.testing.assert_array_equal(
        draws["rotation.degrees"], draws_of(make_recipe(*OPS, height=20, width=33))["rotation.degrees"]
    )
    assert (draws["rotation.degrees"] != draws["again.degrees"]).all()


@given(st.lists(st.text(max_size=8), min_size=1, max_size=12), st.integers(0, 2**31 - 1), st.data())
@settings(max_examples=25)
def test_c1_a_sample_draws_the_same_in_any_company(make_recipe, ids, copy, data):
    recipe = make_recipe(*OPS, height=20, width=33)
    chosen = data.draw(st.lists(st.sampled_from(range(len(ids))), min_size=1))
    block, company = draws_of(recipe, ids, copy=copy), draws_of(recipe, [ids[i] for i in chosen], copy=copy)
    for name, values in block.items():
        np.testing.assert_array_equal(values[chosen], company[name], err_msg=name)


def test_c5_settings_of_one_op_leave_the_draws_of_others_alone(make_recipe):
    one = draws_of(make_recipe("contrast: {factor: 0.5}", "flip: {horizontal: 0.5}", height=8, width=8))
    other = draws_of(
        make_recipe("contrast: {factor: 0.1, p: 0.5}", "flip: {horizontal: 0.5}", height=8, width=8)
    )
    np.testing.assert_array_equal(one["flip.horizontal"], other["flip.horizontal"])


def test_c2_parameters_are_drawn_even_where_the_op_is_not_applied(make_recipe):
    always = draws_of(make_recipe("contrast: {factor: 0.5}", height=8, width=8), "abcdefgh")
    seldom = draws_of(make_recipe("contrast: {factor: 0.5, p: 0.1}", height=8, width=8), "abcdefgh")
    assert not seldom["contrast.applied"].all()
    np.testing.assert_array_equal(always["contrast.factor"], seldom["contrast.factor"])


def test_the_record_holds_parameters_but_no_working_values(make_recipe):
    augmenter = Augmenter(make_recipe(*OPS, height=20, width=33), 0)
    recorded = augmenter.recorded(augmenter.draw_copies(source_words(["a"]), 0))
    assert list(recorded) == [
        "flip.horizontal",
        "flip.vertical",
        "rotation.degrees",
        "zoom.scale",
        "zoom.applied",
        "contrast.factor",
        "hue.delta",
        "hue.applied",
        "pad_and_crop.top",
        "pad_and_crop.left",
        "grayscale.applied",
    ]
