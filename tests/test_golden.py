"""Golden draws and pixels of every op, so that a change of behavior cannot go unseen.

After a change that is meant, `python -m tests.test_golden` writes golden.json anew; its difference
belongs into the review, and what the changelog says of it is that datasets change.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from augment.augmenter import Augmenter, augment_image
from augment.keys import source_words
from augment.ops import op_types
from augment.recipe import Recipe
from pipelines.parity.examples import of_op, samples

GOLDEN = Path(__file__).with_name("golden.json")
SEED = 20_26


def recipe_of(name: str) -> Recipe:
    recipe = of_op(name)
    assert recipe is not None, f"{name} has no example in pipelines/parity/examples.py"
    return recipe


def computed(name: str) -> dict[str, Any]:
    """Four samples of an op: what was drawn, and digests of the pixels."""
    recipe, found = recipe_of(name), {}
    augmenter = Augmenter(recipe, SEED)
    for sample in samples(4):
        draw = augmenter.draw_copies(source_words([sample.source]), sample.copy)
        pixels = augment_image(sample.image, recipe, seed=SEED, source=sample.source, copy=sample.copy)
        found[f"{sample.source}, copy {sample.copy}"] = {
            "draws": {name: values[0].tolist() for name, values in augmenter.recorded(draw).items()},
            "pixels": hashlib.sha256(pixels.tobytes()).hexdigest()[:16],
        }
    return found


def ops() -> list[str]:
    """Ours: a test elsewhere may have defined some of its own."""
    return sorted(name for name, op in op_types().items() if op.__module__.startswith("augment."))


@pytest.mark.parametrize("name", ops())
def test_c1_c2_draws_and_pixels_are_the_golden_ones(name):
    assert json.loads(json.dumps(computed(name))) == json.loads(GOLDEN.read_text()).get(name)


def test_nothing_golden_is_left_over():
    assert sorted(json.loads(GOLDEN.read_text())) == ops()


if __name__ == "__main__":
    GOLDEN.write_text(json.dumps({name: computed(name) for name in ops()}, indent=1) + "\n")
