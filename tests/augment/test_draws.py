"""From random words to parameters: exact at the edges, the same bits everywhere, uniform."""

from __future__ import annotations

import functools
from fractions import Fraction

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from augment.augmenter import Augmenter
from augment.draws import TABLE_SIZE, Uniforms, at, quantiles, table, uniform_between
from augment.keys import source_words
from augment.ops import op_types

SAMPLES = 20_000


class Chosen(Uniforms):
    """Uniforms whose words are given instead of drawn."""

    def __init__(self, *chosen):
        super().__init__((np.uint32(0), np.uint32(0)))
        self._chosen = np.array(chosen, np.uint32)

    def word(self, counter):
        return self._chosen


@pytest.fixture(scope="module")
def uniforms():
    key = source_words(str(i) for i in range(SAMPLES))
    return Uniforms((key[:, 0], key[:, 1]))


@given(st.integers(0, 2**32 - 1), st.floats(0, 1))
def test_c2_a_coin_lands_if_and_only_if_u_is_below_p(word, p):
    [landed] = Chosen(word).coin(0, p)
    assert landed == (Fraction(word, 2**32) < Fraction(p))


@pytest.mark.parametrize("word", [0, 1, 2**31, 2**32 - 1])
def test_c2_a_coin_never_lands_at_0_and_always_at_1(word):
    assert not Chosen(word).coin(0, 0.0)
    assert Chosen(word).coin(0, 1.0)


def test_c2_the_threshold_of_a_coin_is_exact():
    assert Chosen(2**31 - 1, 2**31).coin(0, 0.5).tolist() == [True, False]
    assert Chosen(0, 1).coin(0, 2.0**-40).tolist() == [True, False]
    assert Chosen(2**32 - 1).coin(0, 1 - 2.0**-53).tolist() == [True]


@given(st.integers(0, 2**32 - 1), st.integers(1, 2**31 - 1))
def test_an_integer_is_below_its_count(word, count):
    [drawn] = Chosen(word).integer(0, count)
    assert drawn == word * count >> 32


@given(
    st.floats(-1e6, 1e6, allow_subnormal=False, width=32),
    st.floats(-1e6, 1e6, allow_subnormal=False, width=32),
)
def test_a_real_lies_within_its_bounds(one, other):
    low, high = sorted((one, other))
    first, last = Chosen(0, 2**32 - 1).real(0, low, high)
    assert np.float32(low) <= first <= last <= np.float32(high)


def test_the_mean_of_a_table_is_the_middle_of_its_interval():
    assert quantiles().mean() == 0.5
    values = table(uniform_between, np.float32, -0.25, 0.75)
    assert values.shape == (TABLE_SIZE,)
    assert values.mean(dtype=np.float64) == 0.25


def test_the_same_settings_give_the_same_table_and_nobody_can_write_to_it():
    values = table(uniform_between, np.float32, 0.0, 1.0)
    assert table(uniform_between, np.float32, 0.0, 1.0) is values
    with pytest.raises(ValueError, match="read-only"):
        values[0] = 1


def chi_square(observed: np.ndarray) -> float:
    expected = observed.sum() / observed.size
    return float(((observed - expected) ** 2 / expected).sum())


def test_draws_are_uniform(uniforms):
    """Chi-square with 63 degrees of freedom: 99.9 % of good generators stay below 103."""
    for counter in range(4):
        assert chi_square(np.bincount(uniforms.index(counter) >> 10, minlength=64)) < 103
        assert chi_square(np.bincount(uniforms.integer(counter, 64), minlength=64)) < 103


def test_the_parameters_of_a_sample_are_independent(uniforms):
    first, second = (uniforms.integer(counter, 8) for counter in (0, 1))
    assert chi_square(np.bincount(8 * first + second, minlength=64)) < 103
    fires = uniforms.fires(0.5)
    assert chi_square(np.bincount(8 * fires + first, minlength=16)) < 37.7  # 15 degrees of freedom


@pytest.mark.parametrize("p", [0.01, 0.1, 0.5, 0.9])
def test_an_op_fires_as_often_as_its_p_says(uniforms, p):
    deviation = (p * (1 - p) / SAMPLES) ** 0.5
    assert abs(uniforms.fires(p).mean() - p) < 4 * deviation


def test_neighbouring_seeds_sources_and_copies_have_unrelated_draws(make_recipe):
    recipe = make_recipe("brightness: {delta: 1.0}", height=4, width=4)
    sources = source_words(f"{i}.png" for i in range(5000))
    base = Augmenter(recipe, 0).draw_copies(sources, 0)["brightness"]["delta"]
    others = {
        "seed": Augmenter(recipe, 1).draw_copies(sources, 0),
        "copy": Augmenter(recipe, 0).draw_copies(sources, 1),
        "source": Augmenter(recipe, 0).draw_copies(np.roll(sources, 1, 0), 0),
    }
    for other in others.values():
        assert abs(np.corrcoef(base, other["brightness"]["delta"])[0, 1]) < 0.06  # four deviations


RUN = (
    "rotation: {factor: 0.3, p: 0.5, id: r}",
    "shear: {x: 0.3, y: 0.4, p: 0.5, id: s}",
    "translation: {height: 0.2, width: 0.1, id: t}",
)
"""Affine ops that compose, of which some are skipped."""

KINDS = (
    "flip: {horizontal: 0.5, vertical: 0.3}",
    "rot90: {quarter_turns: [0, 2]}",
    "perspective: {strength: 0.5}",
    "random_resized_crop: {height: 17, width: 23}",
)
"""With `RUN`, every kind of arithmetic that a draw may consist of."""


def draws_everywhere(recipe, evaluations):
    """Asserts that draws in TensorFlow are those in NumPy, to the bit."""
    augmenter = Augmenter(recipe, seed=3)
    sources = source_words(str(i) for i in range(2000))
    copies = np.arange(2000, dtype=np.int32) % 7

    def draw(sources, copies):
        return augmenter.draw((sources[:, 0], sources[:, 1]), copies)

    in_numpy = draw(sources, copies)
    for evaluation in evaluations:
        in_tensorflow = evaluation(draw)(tf.constant(sources), tf.constant(copies))
        tf.nest.map_structure(_same_bits, in_tensorflow, in_numpy)


def _same_bits(tensor, values):
    np.testing.assert_array_equal(tensor.numpy(), values, strict=True)


def test_c2_every_op_draws_the_same_bits_in_numpy_and_in_tensorflow(every_op, make_recipe):
    named = {entry.split(":")[0] for entry in every_op}
    assert named == {name for name, op in op_types().items() if op.__module__.startswith("augment.")}
    draws_everywhere(make_recipe(*RUN, *every_op, height=20, width=33), [lambda draw: draw])


@pytest.mark.slow
def test_c2_every_kind_of_draw_is_the_same_bits_in_a_graph_and_under_xla(make_recipe):
    recipe = make_recipe(*RUN, *KINDS, height=20, width=33)
    draws_everywhere(recipe, [tf.function, functools.partial(tf.function, jit_compile=True)])


def test_c2_a_block_of_draws_holds_what_each_sample_draws_alone(any_op, make_recipe):
    augmenter = Augmenter(make_recipe(any_op, height=20, width=33), seed=3)
    sources = source_words(str(i) for i in range(5))
    block = augmenter.draw((sources[:, :1], sources[:, 1:]), np.array([[0, 1, 5]], np.int32))
    for i, source in enumerate(sources):
        for j, copy in enumerate((0, 1, 5)):
            alone = augmenter.draw_copies(source[np.newaxis], copy)
            tf.nest.map_structure(
                functools.partial(np.testing.assert_array_equal, strict=True), at(block, (i, j)), at(alone, 0)
            )


def test_c2_draws_have_golden_values(make_recipe):
    """A change of these is a change of every dataset ever made: a new schema_version."""
    recipe = make_recipe(
        "flip: {horizontal: 0.5}",
        "rotation: {factor: 0.2}",
        "random_crop: {height: 20, width: 20}",
        "contrast: {factor: 0.5, p: 0.3}",
        height=40,
        width=56,
    )
    augmenter = Augmenter(recipe, seed=7)
    draws = augmenter.recorded(augmenter.draw_copies(source_words(["train/roses/1.jpg"]), 3))
    assert {name: values[0].item() for name, values in draws.items()} == GOLDEN


GOLDEN = {
    "flip.horizontal": False,
    "flip.vertical": False,
    "rotation.degrees": 11.0093994140625,
    "random_crop.top": 16,
    "random_crop.left": 14,
    "contrast.factor": 0.5531387329101562,
    "contrast.applied": False,
}
