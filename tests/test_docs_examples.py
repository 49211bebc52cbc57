"""The examples in docs/ do what the text beside them says."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from augment.augmenter import Augmenter, augment_image
from augment.keys import source_words
from augment.ops import base
from augment.recipe import Recipe, load_recipe, parse_recipe
from pipelines.format.request import load_plugins
from pipelines.format.samples import schema
from pipelines.parity import ways
from pipelines.parity.examples import Sample

EXAMPLES = Path(__file__).parent.parent / "docs" / "examples"


@pytest.fixture
def recipe(monkeypatch: pytest.MonkeyPatch) -> Iterator[Recipe]:
    """The example's recipe; its op is known only as long as the test runs."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
    monkeypatch.setattr(base, "_registry", dict(base._registry))
    load_plugins(["flowers_invert"])
    yield load_recipe(EXAMPLES / "flowers_invert.yaml")
    del sys.modules["flowers_invert"]


def test_the_recipe_is_the_preset_flowers_layers_and_one_more(recipe: Recipe) -> None:
    assert recipe.ops[:-1] == load_recipe("flowers_layers").ops
    assert recipe.ops[-1].name == "invert_colors"


def test_an_image_is_inverted_if_and_only_if_the_samples_table_says_so(
    recipe: Recipe, photo_of: Callable[..., np.ndarray]
) -> None:
    augmenter, preset = Augmenter(recipe, seed=0), load_recipe("flowers_layers")
    assert schema(augmenter.recipe).names[-1] == "invert_colors.applied"
    photo = photo_of(48, 64)
    applied = []
    for source in (f"roses/{i}.jpg" for i in range(8)):
        draw = augmenter.recorded(augmenter.draw_copies(source_words([source]), 0))
        applied.append(bool(draw["invert_colors.applied"][0]))
        image = augment_image(photo, recipe, seed=0, source=source, copy=0)
        without = augment_image(photo, preset, seed=0, source=source, copy=0)
        np.testing.assert_array_equal(image, 255 - without if applied[-1] else without)
    assert set(applied) == {False, True}


def test_the_recipe_in_python_is_the_one_in_yaml_beside_it() -> None:
    page = (EXAMPLES.parent / "recipes.md").read_text(encoding="utf-8")
    section = re.search(r"\n## In Python\n(.*?)\n## ", page, re.DOTALL)
    assert section is not None
    python, yaml = re.findall(r"```\w+\n(.*?)```", section[1], re.DOTALL)
    said: list[str] = []
    names = {"print": lambda value: said.append(f"{value!s}\n")}
    exec(python, names)
    assert said == [yaml]
    recipe = names["recipe"]
    assert isinstance(recipe, Recipe)
    assert recipe == parse_recipe(yaml, name="other")


def test_the_mixing_on_the_page_is_the_same_in_the_input_pipeline_and_in_the_model() -> None:
    page = (EXAMPLES.parent / "live.md").read_text(encoding="utf-8")
    section = re.search(r"\n## Mixing\n(.*?)\n## ", page, re.DOTALL)
    assert section is not None
    names: dict[str, Any] = {}
    for block in re.findall(r"```python\n(.*?)```", section[1], re.DOTALL):
        exec(block, names)
    made = names["made"]
    assert made["image"].shape == (16, 32, 32, 3)
    assert len(np.unique(made["label"])) > 8


def test_the_ops_of_ones_own_on_the_page_give_the_same_levels_everywhere(
    monkeypatch: pytest.MonkeyPatch, photo: np.ndarray
) -> None:
    monkeypatch.setattr(base, "_registry", dict(base._registry))
    _, _, page = (
        (EXAMPLES.parent / "recipes.md").read_text(encoding="utf-8").partition("## An op of your own")
    )
    _, fade, checker = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    for code in (fade, checker):
        exec(compile(code, "recipes.md", "exec", dont_inherit=True), {"__name__": "on_the_page"})
    recipe = parse_recipe(
        "ops: [crop_or_pad: {height: 40, width: 56}, fade: {amount: [0.2, 0.8], p: 0.7}, checker: {p: 0.6}]",
        name="own",
    )
    samples = [Sample(f"{number}.png", copy, photo) for copy in range(2) for number in range(3)]
    case = ways.Case(recipe, 0, samples, lambda *_: None)
    expected = np.stack(ways.host(case))
    assert len({image.tobytes() for image in expected}) > 2
    for way in (ways.formula, ways.eager, ways.graph, ways.tf_data, ways.layer, ways.xla):
        np.testing.assert_array_equal(np.stack(way(case)), expected, err_msg=way.__name__)
