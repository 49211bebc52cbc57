"""Which samples are chosen to be derived again, and how many sources are taken at once."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from augment import codec
from augment.augmenter import NOT_AUGMENTED, Augmenter
from augment.recipe import parse_recipe
from pipelines.audit import deriving
from pipelines.audit.deriving import SampleDeriver, Wanted
from pipelines.audit.sampling import choose
from pipelines.format.layout import samples_file, shard_file
from pipelines.format.manifest import File, Manifest, SplitCounts
from pipelines.format.request import Request
from pipelines.format.samples import Receipt, schema
from tests.forgery import write_samples

CLASSES = ("ant", "bee", "cow", "dog", "elk")
GROUPS, COPIES, ROWS = 4, 3, 20


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> tuple[str, Manifest]:
    """Samples files alone: train with copies, test without; many more ants than others."""
    directory: Path = tmp_path_factory.mktemp("dataset")
    (directory / "samples").mkdir()
    recipe = parse_recipe("ops: [resize: {height: 4, width: 4}]", name="tiny")
    columns = schema(recipe)
    files = {}
    for split, copies in {"train": range(COPIES), "test": [NOT_AUGMENTED]}.items():
        for copy in copies:
            for shard in range(GROUPS):
                names = [CLASSES[max(0, row - ROWS + len(CLASSES))] for row in range(ROWS)]
                rows = {
                    "source": [f"{split}/{name}/{shard}-{row}.png" for row, name in enumerate(names)],
                    "class": names,
                }
                zeros = {
                    field.name: [0 if "int" in str(field.type) else ""] * ROWS
                    for field in columns
                    if field.name not in rows
                }
                receipt = Receipt("", split, copy, shard, "", 0, "", ROWS, {}, "", ())
                path = directory / samples_file(split, copy, shard, GROUPS)
                write_samples(str(path), {**zeros, **rows}, columns, receipt)
                name = shard_file("tiny", split, copy, shard, GROUPS)
                files[name] = File(bytes=0, sha256="", records=ROWS)
    request = Request(name="tiny", recipe_name="tiny", recipe=recipe.canonical(), seed=0, copies=COPIES)
    counts = {"sources": GROUPS * ROWS, "written": GROUPS * ROWS, "groups": GROUPS}
    manifest = Manifest(
        schema_version=1,
        fingerprint="0" * 64,
        request=request,
        image_size=(4, 4),
        classes=CLASSES,
        splits={
            "train": SplitCounts(**counts, augmented=True),
            "test": SplitCounts(**counts, augmented=False),
        },
        records=len(files) * ROWS,
        rejects=0,
        ignored={},
        listing_digest="0" * 64,
        parity_class={},
        files=files,
    )
    return str(directory), manifest


@pytest.mark.parametrize("count", [1, 4, 16, 50, 319, 320])
def test_as_many_samples_are_chosen_as_are_asked_for(dataset, count):
    chosen = choose(*dataset, count)
    assert sum(map(len, chosen.values())) == count
    assert all(0 <= row < ROWS for rows in chosen.values() for row in rows)


def test_the_choice_is_the_same_every_time_and_another_for_another_dataset(dataset):
    directory, manifest = dataset
    assert choose(*dataset, 40) == choose(*dataset, 40)
    assert choose(*dataset, 40) != choose(
        directory, manifest.model_copy(update={"fingerprint": "1" * 64}), 40
    )


def test_few_samples_are_spread_over_splits_copies_shards_and_classes(dataset):
    chosen = choose(*dataset, 16)
    assert Counter((place.split, place.copy) for place in chosen) == {
        ("train", 0): 4,
        ("train", 1): 4,
        ("train", 2): 4,
        ("test", NOT_AUGMENTED): 4,
    }
    first = choose(*dataset, 4)
    assert {place.number for place in first} == {0, 1, 2, 3}
    rare = [max(0, row - ROWS + len(CLASSES)) for rows in choose(*dataset, 60).values() for row in rows]
    assert min(Counter(rare).values()) >= 10  # 60 of 5 classes, of which four are one row in twenty


def test_a_samples_file_that_cannot_be_read_gives_none(dataset, tmp_path):
    _, manifest = dataset
    assert choose(str(tmp_path), manifest, 40) == {}


def test_c8_of_many_copies_fewer_sources_are_derived_from_at_once(monkeypatch):
    recipe = parse_recipe("ops: [resize: {height: 4, width: 4}, flip: {horizontal: 0.5}]", name="tiny")
    at_once, heads = list[int](), Augmenter.heads
    monkeypatch.setattr(Augmenter, "heads", lambda self, many: at_once.append(len(many)) or heads(self, many))
    monkeypatch.setattr(deriving, "AT_ONCE", 20 * 48)
    deriver, contents = SampleDeriver(Augmenter(recipe, 0)), codec.encode_png(np.zeros((4, 4, 3), np.uint8))
    for copies, expected in ((1, [10, 2]), (9, [2] * 6)):
        draws = deriver.draw(["a.png"] * 12 * copies, [*range(copies)] * 12)
        wanted = (Wanted(contents, range(copies), copies * number) for number in range(12))
        assert [len(derived.pixels) for derived in deriver.derive(wanted, draws)] == [copies] * 12
        assert [count for count in at_once if count] == expected
        at_once.clear()
