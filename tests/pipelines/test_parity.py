"""augshard parity: every op and preset has a row, equal ways say 0, and differences are seen."""

from __future__ import annotations

import json
import re

import numpy as np
import PIL
import pytest

from augment import backends
from augment.errors import RequestError
from augment.ops import op_types
from augment.parity import parity_class
from augment.recipe import parse_recipe, preset_names
from pipelines.parity import examples, report, ways
from pipelines.parity.report import Cell, agrees, as_text, measured
from tests.in_process import augshard


def no_job(*_):
    raise AssertionError("this test runs no job")


# ---------------------------------------------------------------- rows and samples


def test_every_op_and_every_preset_has_a_row():
    ours = {name for name, op in op_types().items() if op.__module__.startswith("augment.")}
    assert ours.isdisjoint(examples.without_example()), "give it settings in EXAMPLES"
    assert examples.EXAMPLES.keys() <= ours
    rows = examples.rows([], [])
    assert ours <= {row.name for row in rows if row.kind == "op"}
    assert [row.name for row in rows if row.kind == "preset"] == preset_names()


def test_the_row_of_an_op_shows_it_alone():
    for row in examples.rows([], []):
        if row.kind == "op":
            assert row.recipe.ops[-1].name == row.name
            assert len(row.recipe.ops) <= 2


def test_samples_are_of_several_sizes_and_kinds_and_always_the_same():
    made = examples.samples(20)
    assert len(made) == 20
    assert {sample.copy for sample in made} == {0, 1}
    assert len({sample.image.shape for sample in made}) == len(examples.SIZES)
    assert any(len(np.unique(sample.image)) == 1 for sample in made)
    assert any(set(np.unique(sample.image)) == {0, 255} for sample in made)
    for sample, again in zip(made, examples.samples(20), strict=True):
        np.testing.assert_array_equal(sample.image, again.image)


# ---------------------------------------------------------------- differences


def test_a_difference_is_measured_in_levels_and_pixels():
    image = np.zeros([2, 5, 3], np.uint8)
    other = image.copy()
    other[0, 0] = (3, 0, 9)
    assert measured([image, image], [image, image]) == Cell(0, 0.0)
    assert measured([image, other], [image, image]) == Cell(9, 0.05)
    assert measured([None, other], [image, image]) == Cell(9, 0.1)
    assert measured([image[:1]], [image]).failed
    assert measured([image.astype(np.float32)], [image]).failed


@pytest.mark.parametrize(
    ("way", "cell", "equal"),
    [
        ("layer", Cell(0), True),
        ("layer", Cell(1, 0.1), False),
        ("layer", Cell(problem="stores JPEG"), True),
        ("layer", Cell(problem="TypeError: x", failed=True), False),
        ("xla", Cell(1, 0.1), False),
        ("xla", Cell(problem="not compilable"), True),
        ("xla", Cell(problem="ValueError: x", failed=True), False),
        ("gpu", Cell(1, 0.1), False),
    ],
)
def test_what_counts_as_equal(way, cell, equal):
    assert agrees({"row": {"graph": Cell(0), way: cell}}) is equal


def test_the_table_shows_levels_pixels_limits_and_failures():
    table = {
        "contrast": {"graph": Cell(0), "xla": Cell(1, 0.00123)},
        "rotation": {
            "graph": Cell(problem="TypeError: no", failed=True),
            "xla": Cell(problem="not compilable"),
        },
    }
    assert as_text(table).splitlines() == [
        "          graph   xla",
        "contrast  0       1 in 1.2e-03",
        "rotation  failed  not compilable",
        "rotation, graph: TypeError: no",
    ]


def test_a_way_that_differs_or_fails_is_in_the_table_and_the_others_go_on(monkeypatch):
    def off_by_one(case):
        return [image ^ np.uint8(1) for image in ways.host(case)]

    def broken(case):
        raise TypeError("it broke\nat some line")

    monkeypatch.setattr(report, "WAYS", {"layer": off_by_one, "tf.data": broken, "graph": ways.graph})
    monkeypatch.setattr(report, "available", lambda: ["layer", "tf.data", "graph"])
    table = report.compare(examples.rows([], ["invert"]), count=2, seed=0, launch=no_job)
    assert table == {
        "op invert": {
            "layer": Cell(1, 1.0),
            "tf.data": Cell(problem="TypeError: it broke", failed=True),
            "graph": Cell(0, 0.0),
        }
    }
    assert not agrees(table)


def test_a_recipe_that_stores_jpeg_is_compared_where_it_can_be():
    ops = "ops: [{resize: {height: 20, width: 24}}, {contrast: {factor: 0.5}}]"
    recipe = parse_recipe("storage: {format: jpeg, quality: 60}\n" + ops, name="lossy")
    case = ways.Case(recipe, 0, examples.samples(4), no_job)
    reference = ways.host(case)
    assert measured(ways.graph(case), reference) == Cell(0, 0.0)
    assert measured(ways.tf_data(case), reference) == Cell(0, 0.0)
    with pytest.raises(ways.NotPossible, match="stores JPEG"):
        ways.layer(case)


# ---------------------------------------------------------------- the command


def test_c3_every_way_gives_equal_pixels_and_the_command_says_so(tmp_path):
    """The formulas, eager, a graph, tf.data, the Beam job, the layer, and XLA."""
    file = tmp_path / "parity.json"
    names = ("--recipe", "car_or_truck_convnet", "--op", "hue")
    status, out, err = augshard("parity", *names, "--samples", 6, "--json", file)
    assert status == 0
    assert all(re.search(r"^augshard: .* of 14 ways", line) for line in err.splitlines())  # how far it is
    head, *lines = out.splitlines()
    assert head.split()[:7] == ["formula", "eager", "graph", "tf.data", "beam", "layer", "xla"]
    assert [line.split()[:9] for line in lines] == [
        [kind, name, *"0000000"] for kind, name in (("op", "hue"), ("preset", "car_or_truck_convnet"))
    ]
    document = json.loads(file.read_text())
    assert document["equal"] is True
    assert document["samples"] == 6
    assert document["parity_class"] == parity_class()
    by_name = {row["name"]: row for row in document["rows"]}
    assert by_name["car_or_truck_convnet"]["kind"] == "preset"
    assert by_name["hue"]["ways"]["beam"] == {"levels": 0, "pixels": 0.0}
    assert by_name["hue"]["ways"]["xla"] == {"levels": 0, "pixels": 0.0}


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--recipe", "cifar"), "there is no preset 'cifar'; did you mean cifar10"),
        (("--op", "grayscal"), "--op grayscal: there is no such op; did you mean grayscale?"),
        (("--op", "hue", "--seed", -1), "--seed is -1; it must be from 0 to 18446744073709551615"),
        (
            ("--op", "hue", "--json", "/no/such/place/x"),
            "--json /no/such/place/x: there is no such directory",
        ),
    ],
)
def test_a_wrong_request_is_one_sentence(arguments, sentence):
    status, out, err = augshard("parity", *arguments)
    assert (status, out) == (2, "")
    assert err.startswith(f"augshard: {sentence}")
    assert err.count("\n") == 1


def test_an_op_without_settings_to_show_is_refused_by_name(monkeypatch):
    monkeypatch.delitem(examples.EXAMPLES, "contrast")
    assert "contrast" in examples.without_example()
    with pytest.raises(RequestError) as error:
        examples.rows([], ["contrast"])
    assert str(error.value) == "--op contrast: it needs settings; give a recipe that has it, by --recipe"


def test_c9_the_parity_class_is_what_comes_of_trying_and_no_version_but_pillows():
    here = parity_class()
    assert list(here) == ["codec", "kernels", "tables", "pillow"]
    assert here["pillow"] == PIL.__version__
    assert all(re.fullmatch(r"[0-9a-f]{16}", here[part]) for part in ("codec", "kernels", "tables"))


@pytest.mark.parametrize("backend", ["host", "device"])
def test_c9_the_class_is_the_same_whoever_computes(monkeypatch, backend):
    monkeypatch.setattr("augment.parity.backend", lambda: backends.backend(backend))
    assert parity_class.__wrapped__() == parity_class()
