"""What a recipe promises of its draws, and when draws are taken for biased."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from augment.augmenter import Augmenter
from augment.draws import Uniforms, recorded, table, uniform_between
from augment.keys import Words, source_words
from augment.ops.sequence import draw_steps
from augment.recipe import Recipe, load_recipe, recipe_from_document
from pipelines.audit.distributions import (
    ALARM,
    REFERENCE,
    EvenWords,
    Fit,
    Tally,
    _distance_bound,
    _rate_bound,
    promised,
)

NESTED = {
    "ops": [
        {"resize": {"height": 16, "width": 16}},
        {"flip": {"horizontal": 0.3}},
        {"one_of": {"ops": [{"rotation": {"factor": 0.1, "p": 0.2}}, "equalize"], "weights": [3, 1]}},
        {"random_erasing": {"p": 0.4}},
        {"some_of": {"count": [0, 2], "ops": ["invert", {"shear": {"x": 0.1}}, "grayscale"]}},
        {"rand_augment": {"layers": 1}},
        {"aug_mix": {"width": 2}},
    ]
}


@pytest.fixture(scope="module")
def nested() -> Recipe:
    return recipe_from_document(NESTED, name="nested", where="here")


def keys(samples: int) -> Words:
    words = source_words([f"{i}.jpg" for i in range(samples)])
    return words[:, 0], words[:, 1]


def fits(recipe: Recipe, drawn: dict[str, np.ndarray]) -> dict[str, Fit]:
    tallies = promised(recipe)
    for tally in tallies:
        tally.add(drawn[tally.name])
    return {tally.name: fit for tally in tallies if (fit := tally.fit(len(tallies)))}


def test_evenly_spread_words_meet_every_entry_of_a_table_equally_often():
    zeros = np.zeros([REFERENCE], np.uint32)
    drawn = EvenWords((zeros, zeros)).real(0, -2.0, 5.0)
    values, counts = np.unique(drawn, return_counts=True)
    assert np.array_equal(values, np.unique(table(uniform_between, np.float32, -2.0, 5.0)))
    assert set(counts) == {REFERENCE // 65536}


def test_evenly_spread_words_draw_what_uniforms_draw_from_them():
    zeros = np.zeros([REFERENCE], np.uint32)
    even = EvenWords((zeros, zeros))

    class SameWords(Uniforms):
        def word(self, counter: int) -> np.ndarray:
            return even.word(counter)

    ours = SameWords((zeros, zeros))
    assert np.array_equal(even.index(1), ours.index(1))
    assert np.array_equal(even.real(2, 0.5, 1.5), ours.real(2, 0.5, 1.5))
    assert np.array_equal(even.integer(3, 37), ours.integer(3, 37))
    assert np.array_equal(even.coin(4, 0.3), ours.coin(4, 0.3))


def test_each_recorded_parameter_is_promised(nested):
    augmenter = Augmenter(nested, 0)
    recorded = augmenter.recorded(augmenter.draw(keys(1), np.zeros(1, np.int32)))
    assert [tally.name for tally in promised(nested)] == list(recorded)


@pytest.mark.parametrize("samples", [1, 40, 20_000])
@pytest.mark.parametrize("name", ["nested", "cifar10"])
def test_true_draws_are_as_promised_however_many(name, samples, nested):
    recipe = nested if name == "nested" else load_recipe(name)
    augmenter = Augmenter(recipe, 5)
    found = fits(recipe, augmenter.recorded(augmenter.draw(keys(samples), np.zeros(samples, np.int32))))
    assert not [fit for fit in found.values() if fit.biased]
    assert min(fit.p_value for fit in found.values()) > 1e-3
    assert {fit.draws for fit in found.values()} == {samples}


class NeverAboveOneHalf(Uniforms):
    def word(self, counter: int) -> np.ndarray:
        return super().word(counter) >> np.uint32(1)


def test_a_generator_that_never_exceeds_one_half_is_noticed_in_draws_of_any_kind(nested):
    found = fits(nested, recorded(draw_steps(nested.steps, keys(200), uniforms_of=NeverAboveOneHalf)))
    for name in ("flip.horizontal", "one_of/rotation.degrees", "rand_augment.op_1", "random_erasing.applied"):
        assert found[name].biased, name


def test_a_bias_that_draws_cannot_show_is_not_called_noticeable():
    tally = Tally("x", np.arange(REFERENCE, dtype=np.float32))
    tally.add(np.zeros(5, np.float32))
    fit = tally.fit(1)
    assert fit is not None
    assert fit.noticeable > 1
    assert not fit.biased


def test_nothing_drawn_is_no_fit():
    tally = Tally("x", np.array([False, True]))
    tally.add(np.array([], bool))
    assert tally.fit(1) is None


def test_draws_outside_of_what_is_promised_deviate_entirely():
    tally = Tally("x", np.linspace(0, 1, REFERENCE))
    tally.add(np.full(1000, 1.5))
    above = tally.fit(1)
    assert above is not None
    assert above.deviation == pytest.approx(1, abs=1e-4)
    assert above.biased
    assert sum(above.bins.observed) == pytest.approx(1)


def test_the_deviation_is_kolmogorov_and_smirnovs():
    promise, drawn = (
        np.repeat([1.0, 2.0, 4.0], REFERENCE // 3 + 1)[:REFERENCE],
        np.array([1.0, 3.0, 3.0, 4.0]),
    )
    tally = Tally("x", promise)
    tally.add(drawn)
    fit = tally.fit(1)
    at = np.array([0.5, 1, 1.5, 2, 2.5, 3, 3.5, 4, 4.5])
    distances = [abs((drawn <= x).mean() - (promise <= x).mean()) for x in at]
    assert fit is not None
    assert fit.deviation == pytest.approx(max(distances))


def test_correct_generators_are_rarely_accused():
    rng = np.random.default_rng(0)
    empty = Tally("x", np.arange(REFERENCE) % 500)
    chances = []
    for _ in range(300):
        tally = copy.deepcopy(empty)
        tally.add(rng.integers(500, size=50))
        fit = tally.fit(1)
        assert fit is not None
        chances.append(fit.p_value)
    for level in (0.5, 0.2, 0.05):
        assert np.mean(np.array(chances) < level) <= level
    assert min(chances) > ALARM


@given(st.integers(1, 60), st.floats(0.01, 0.99), st.data())
def test_the_bound_for_rates_is_never_below_the_binomial_distribution(draws, p, data):
    yes = data.draw(st.integers(0, draws))
    mass = [math.comb(draws, k) * p**k * (1 - p) ** (draws - k) for k in range(draws + 1)]
    tail = sum(mass[yes:]) if yes / draws >= p else sum(mass[: yes + 1])
    assert _rate_bound(yes / draws, p, draws) >= tail * (1 - 1e-9)


def test_what_is_promised_never_or_always_happens_only_by_a_fault():
    assert _rate_bound(0.01, 0.0, 100) == 0
    assert _rate_bound(0.99, 1.0, 100) == 0
    assert _rate_bound(0.0, 0.0, 100) == 2


def test_the_bound_for_distances_falls_with_draws_and_deviation():
    assert _distance_bound(0.0, 10) == pytest.approx(math.e)
    assert _distance_bound(0.5, 60) == pytest.approx(math.e * math.exp(-30))
