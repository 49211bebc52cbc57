"""How parameters and numbers are written in reports: not each number is an amount."""

from __future__ import annotations

import re

import numpy as np
import pytest

from augment.recipe import parse_recipe
from pipelines.audit.distributions import Fit, promised
from pipelines.report.audit.figures import of_parameter
from pipelines.report.audit.page import _fits
from pipelines.report.audit.parameters import Parameters
from pipelines.report.numbers import signed, within

RECIPE = """
ops:
  - resize: {height: 32, width: 32}
  - flip: {horizontal: 0.5}
  - rotation: {factor: 0.1}
  - color_jitter: {brightness: 0.3}
  - channel_shuffle
  - auto_augment: {policy: cifar10}
  - noise: {sigma: [0.0, 0.3]}
"""


@pytest.fixture(scope="module")
def fits() -> list[Fit]:
    found = []
    tallies = promised(parse_recipe(RECIPE, name="mine"))
    for tally in tallies:
        tally.add(np.resize(tally.values.astype(bool if tally.yes_or_no else np.float64), 4000))
        found.append(tally.fit(len(tallies)))
    return [fit for fit in found if fit]


@pytest.fixture(scope="module")
def parameters(fits) -> Parameters:
    return Parameters(parse_recipe(RECIPE, name="mine"), fits)


def test_each_parameter_is_of_the_kind_that_its_op_makes_it(parameters):
    kinds = {
        "flip.horizontal": "yes or no",
        "flip.vertical": "one value",
        "rotation.degrees": "amount",
        "color_jitter.contrast": "one value",
        "color_jitter.order": "order",
        "channel_shuffle.order": "order",
        "auto_augment.op_1": "operation",
        "auto_augment.magnitude_2": "magnitude",
        "auto_augment.sub_policy": "name",
        "noise.key_low": "random bits",
    }
    assert {name: parameters.kind(name) for name in kinds} == kinds


def test_numbers_that_are_names_are_written_as_such(parameters):
    assert parameters.value("channel_shuffle.order", 312) == "BRG"
    assert parameters.value("color_jitter.order", 4123.0) == "HBCS"
    assert parameters.value("auto_augment.op_1", 4) == "rotate"


def test_a_table_of_parameters_has_means_of_amounts_alone(fits, parameters):
    table = _fits(fits, parameters)
    means = {row[0]: row[3] for row in table.rows}
    assert {name for name, mean in means.items() if mean} == {
        "flip.horizontal", "rotation.degrees", "color_jitter.brightness", "noise.sigma"
    }  # fmt: skip
    assert not {"flip.vertical", "color_jitter.contrast"} & means.keys()
    assert "e+" not in str(table.rows)


def ticks(fits, parameters, name) -> list[str]:
    [fit] = [fit for fit in fits if fit.name == name]
    return re.findall(r"<text[^>]*>([^<]+)</text>", of_parameter(fit, parameters))


def test_axes_have_round_numbers_and_names(fits, parameters):
    assert ticks(fits, parameters, "noise.sigma") == ["0", "0.1", "0.2", "0.3"]
    assert ticks(fits, parameters, "channel_shuffle.order") == ["RGB", "RBG", "GRB", "GBR", "BRG", "BGR"]


@pytest.mark.parametrize(
    ("ends", "value", "text"),
    [
        ((0.0, 1.0), 7.63e-06, "0"),
        ((-21.6, 21.6), -1e-9, "0"),
        ((-0.1, 0.1), -0.05, "-0.05"),
        ((0.0, 4294967295.0), 16384.0, "16384"),
        ((0.0, 1e-6), 2.5e-7, "0.00000025"),
        ((3.0, 3.0), 3.0, "3"),
    ],
)
def test_a_number_has_the_digits_that_its_range_needs(ends, value, text):
    assert within(ends, value) == text


def test_a_difference_of_nothing_has_no_sign():
    assert (signed(-0.04, 1), signed(0.04, 1), signed(-0.06, 1), signed(2.0, 1)) == (
        "0.0",
        "0.0",
        "−0.1",
        "+2.0",
    )
