"""The reference of the ops in docs/recipes.md is what `make docs` would write."""

from __future__ import annotations

import pytest
from PIL import Image

from augment.ops import op_types
from docs import differences, generate
from docs.references import ALONE, REFERENCES

OURS = [op for op in op_types().values() if op.__module__.startswith("augment.ops.")]


def test_the_reference_is_current():
    page = generate.PAGE.read_text(encoding="utf-8")
    written = page.partition(generate.BEGIN)[2].partition(generate.END)[0].strip()
    assert written == generate.reference(), "run `make docs` and commit what it writes"


def test_every_op_has_a_place_in_a_family():
    modules = {op.__module__.rpartition(".")[2] for op in OURS}
    assert modules <= generate.FAMILIES.keys()


def test_there_is_a_small_picture_of_each_op_and_no_other():
    pictures = {path.stem: path for path in generate.PICTURES.iterdir()}
    assert set(pictures) == {op.name for op in OURS}, "run `make docs` and commit what it writes"
    assert sum(path.stat().st_size for path in pictures.values()) < 1_500_000


@pytest.mark.parametrize("op", ["resize", "flip", "hue"])
def test_pictures_are_of_the_ops_as_they_are(op):
    stored = Image.open(generate.PICTURES / f"{op}.webp").convert("RGB")
    fresh = generate.sprite(op_types()[op])
    assert stored.size == fresh.size
    # WebP loses some: on average a few levels, where another picture differs by dozens.
    pairs = zip(stored.tobytes(), fresh.tobytes(), strict=True)
    assert sum(abs(a - b) for a, b in pairs) / len(fresh.tobytes()) < 4


def test_every_op_says_what_it_is_held_to():
    assert REFERENCES.keys() | ALONE.keys() == {op.name for op in OURS}
    assert not REFERENCES.keys() & ALONE.keys()
    stored = differences.stored()
    assert {op: len(each) for op, each in stored.items()} == {
        op: len(each) for op, each in REFERENCES.items()
    }


@pytest.mark.parametrize("op", ["resize", "contrast", "blur", "equalize", "rand_augment", "perspective"])
def test_no_op_differs_by_more_levels_than_is_said(op):
    photos = differences.drawn_photos()[:3]
    for reference, said in zip(REFERENCES[op], differences.stored()[op], strict=True):
        found = differences.measured(op, reference, photos)
        assert found.levels <= said.levels, reference.name
