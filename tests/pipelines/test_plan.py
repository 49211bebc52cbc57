"""The plan: who is in which group in what order, in which split, and what cannot be planned."""

from __future__ import annotations

import itertools
import json
import sys
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from augment import backends
from augment.errors import RequestError
from augment.kernels import canary
from augment.keys import fold_in, name_bits, name_words, seed_key
from augment.parity import parity_class
from augment.recipe import Storage, load_recipe
from pipelines.format.bounds import MOST_GROUPS
from pipelines.format.manifest import json_text
from pipelines.format.request import Request, load_plugins
from pipelines.plan import (
    estimated_bytes,
    group_count,
    group_of,
    make_plan,
    parse_bytes,
    parse_fractions,
    places,
    split_of,
    top_errors,
)
from pipelines.sources import Folder, Listing, Reject, Source


def request_for(**changes) -> Request:
    recipe = load_recipe("cifar10")
    given = {"name": "x", "recipe_name": "cifar10", "recipe": recipe.canonical(), "seed": 0, "copies": 2}
    return Request(**{**given, **changes})


def listing_of(*images: tuple[str, str, int]) -> Listing:
    """Of (split, class, how many images)."""
    listing = Listing()
    for split, label, count in images:
        listing.add(Folder(f"{split}/{label}", split, label))
        for number in range(count):
            listing.add(Source(f"{split}/{label}/{number}.png", split, label, 100))
    return listing


def folders(*ids: str) -> list[Folder]:
    """`a` is a class, `test/a` one in a split."""
    return [Folder(name, ["train", *name.split("/")][-2], name.split("/")[-1]) for name in ids]


def test_c1_places_have_golden_values():
    """A change of these is a change of every dataset's order: a new schema_version."""
    assert [hex(place) for place in places(7, ["train/roses/1.jpg", "ä"]).tolist()] == GOLDEN_PLACES


GOLDEN_PLACES = ["0x964378ad331f248e", "0x65f509a28fbc2723"]


@given(st.integers(0, 2**64 - 1), st.lists(st.text(), max_size=5))
def test_c1_a_place_is_the_64_bits_of_the_source_key(seed, sources):
    found = places(seed, sources)
    assert found.dtype == np.uint64
    for place, source in zip(found.tolist(), sources, strict=True):
        high, low = fold_in(seed_key(seed), name_words(source))
        assert place == (int(high) << 32) + int(low)


@given(st.integers(0, 2**64 - 1), st.integers(1, MOST_GROUPS))
def test_a_group_is_that_part_of_the_range_in_which_the_place_lies(place, groups):
    group = group_of(place, groups)
    assert Fraction(group, groups) <= Fraction(place, 2**64) < Fraction(group + 1, groups)


@given(st.lists(st.text(), unique=True, max_size=40), st.integers(0, 2**64 - 1), st.integers(1, 50))
def test_c5_groups_one_after_the_other_are_the_sources_by_place_however_many_there_are(ids, seed, groups):
    members = list(zip(places(seed, ids).tolist(), ids, strict=True))
    grouped = [
        sorted(member for member in members if group_of(member[0], groups) == group)
        for group in range(groups)
    ]
    assert list(itertools.chain(*grouped)) == sorted(members)


@pytest.mark.parametrize(
    ("images", "image_bytes", "shard_bytes", "groups"),
    [
        (1, 100, 1000, 1),
        (0, 100, 1000, 1),
        (255, 1, 1 << 30, 1),
        (256, 1, 1 << 30, 1),
        (512, 1, 1 << 30, 2),
        (10**6, 1, 1 << 30, 8),
        (10, 100, 1000, 1),
        (11, 100, 1000, 2),
        (10**9, 10**6, 1, MOST_GROUPS),
        (10**9, 63_000, 128 << 20, 469_389 if MOST_GROUPS > 469_389 else MOST_GROUPS),
    ],
)
def test_groups_are_enough_for_the_size_of_a_shard_and_for_workers(images, image_bytes, shard_bytes, groups):
    assert group_count(images, image_bytes, shard_bytes) == groups


def test_the_estimated_size_of_a_record_follows_the_storage():
    storages = (
        Storage(format="jpeg", quality=50),
        Storage(format="jpeg"),
        Storage(format="jpeg", chroma="4:4:4"),
        Storage(),
        Storage(format="raw"),
    )
    color, gray = ([estimated_bytes((180, 180, c), storage) for storage in storages] for c in (3, 1))
    assert color == sorted(set(color))
    assert color[-1] == 180 * 180 * 3 + 100
    assert gray[-1] == 180 * 180 + 100
    assert gray[1] == gray[2]
    assert all(one < other for one, other in zip(gray, color, strict=True))


@pytest.mark.parametrize(
    ("text", "fractions"),
    [
        ("train=0.8,test=0.2", {"train": "0.8", "test": "0.2"}),
        (" train = 0.80 , test=.20", {"train": "0.8", "test": "0.2"}),
        ("train=1", {"train": "1"}),
        ("a=0.1,b=0.2,c=0.7", {"a": "0.1", "b": "0.2", "c": "0.7"}),
        ("a=1e-3,b=0.999", {"a": "0.001", "b": "0.999"}),
    ],
)
def test_fractions_are_exact_decimals(text, fractions):
    assert parse_fractions(text) == fractions


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        *(
            (
                text,
                f"--split-fractions: {part!r} is not a split with its part of the images, such as train=0.8",
            )
            for text, part in [
                ("train", "train"),
                ("train=0.8,", ""),
                ("train=x,test=0.5", "train=x"),
                ("train=0,test=1", "train=0"),
                ("train=-0.5,test=1", "train=-0.5"),
                ("train=1.5", "train=1.5"),
                ("=1", "=1"),
                ("train=nan", "train=nan"),
                ("train=inf", "train=inf"),
            ]
        ),
        ("a=0.5,a=0.5", "--split-fractions names 'a' twice"),
        ("a=0.5,b=0.4", "--split-fractions 'a=0.5,b=0.4' add up to 0.9; they must add up to 1"),
        ("a=0.7,b=0.4", "--split-fractions 'a=0.7,b=0.4' add up to 1.1; they must add up to 1"),
        (
            "a=0.3333333,b=0.6666666",
            "--split-fractions 'a=0.3333333,b=0.6666666' add up to 0.9999999; they must add up to 1",
        ),
    ],
)
def test_fractions_that_are_no_parts_of_a_whole_are_a_clear_sentence(text, sentence):
    with pytest.raises(RequestError) as error:
        parse_fractions(text)
    assert str(error.value) == sentence


@given(st.text())
def test_c5_a_split_is_decided_by_the_hash_of_the_id_at_exact_thresholds(source):
    fractions = {"train": "0.7", "validation": "0.1", "test": "0.2"}
    part = Fraction(name_bits(source), 2**64)
    expected = "train" if part < Fraction(7, 10) else "validation" if part < Fraction(8, 10) else "test"
    assert split_of(source, fractions) == expected


def test_a_threshold_belongs_to_the_split_above_it(monkeypatch):
    halves = {"a": "0.5", "b": "0.5"}
    for place, split in ((0, "a"), (2**63 - 1, "a"), (2**63, "b"), (2**64 - 1, "b")):
        monkeypatch.setattr("pipelines.plan.order.name_bits", lambda _, place=place: place)
        assert split_of("x", halves) == split


def test_splits_get_about_their_part_of_the_images():
    fractions = {"train": "0.8", "test": "0.2"}
    splits = [split_of(f"a/{number}.jpg", fractions) for number in range(5000)]
    assert 0.78 < splits.count("train") / 5000 < 0.82


@pytest.mark.parametrize(
    ("text", "size"),
    [("128MiB", 128 << 20), ("1GB", 10**9), ("1.5 kb", 1500), ("7", 7), (" 2 gib ", 2 << 30), ("10B", 10)],
)
def test_sizes_are_read_with_their_units(text, size):
    assert parse_bytes(text) == size


@pytest.mark.parametrize("text", ["", "0", "0.5", "-1MB", "1 XB", "MiB", "1e9", "1,5GB", "1" * 400 + "GB"])
def test_a_size_that_cannot_be_read_is_a_clear_sentence(text):
    with pytest.raises(RequestError) as error:
        parse_bytes(text)
    assert str(error.value) == f"--shard-size is {text!r}; it must be a size such as 128MiB or 1GB"


@pytest.mark.parametrize(
    ("found", "changes", "sentences"),
    [
        (["a", "b"], {}, []),
        (["train/a", "test/a"], {}, []),
        (["training/a"], {}, []),
        ([], {}, ["it has no class folders; it must be DIR/<class>/... or DIR/<split>/<class>/..."]),
        (["a", "b"], {"split_fractions": {"train": "0.5", "test": "0.5"}}, []),
        (
            ["train/a", "test/a"],
            {"split_fractions": {"train": "1"}},
            ["--split-fractions: it has split folders already (test, train)"],
        ),
        (
            ["a"],
            {"split_fractions": {"tr ain": "1"}, "augment_splits": ("tr ain",)},
            [
                "split 'tr ain': TFDS cannot read it; a split's name begins with a letter and goes on "
                "with letters, digits and _"
            ],
        ),
        (
            ["train/a", "valid/a"],
            {"augment_splits": ("train", "vald")},
            ["--augment-splits: there is no split 'vald'; did you mean valid?"],
        ),
        (
            ["dev/a", "test/a"],
            {},
            ["there is no split named train; name those to augment, such as --augment-splits dev"],
        ),
    ],
)
def test_the_top_folders_show_what_is_wrong(found, changes, sentences):
    assert top_errors(request_for(**changes), folders(*found)) == sentences


def test_a_plan_has_every_split_with_its_groups_and_classes():
    listing = listing_of(("train", "a", 600), ("train", "b", 30), ("test", "a", 5), ("test", "b", 5))
    listing.add(Reject("x", "y", "z"))
    plan = make_plan(request_for(), listing, None)
    assert plan.errors == plan.warnings == ()
    assert plan.classes == ("a", "b")
    assert {split: (p.sources, p.groups, p.augmented) for split, p in plan.splits.items()} == {
        "train": (630, 2, True),
        "test": (10, 1, False),
    }
    assert plan.copies("train") == (0, 1)
    assert plan.copies("test") == (-1,)
    assert plan.sources == 640
    assert plan.listing_rejects == 1
    assert plan.listing_digest == listing.hexdigest()


def test_c9_where_no_backend_computes_the_pixels_there_is_no_plan(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    monkeypatch.setattr(canary, "differences", lambda: ["mix"])
    backends.backend.cache_clear()
    parity_class.cache_clear()
    try:
        plan = make_plan(request_for(), listing_of(("train", "a", 6)), None)
    finally:
        backends.backend.cache_clear()
    [error] = plan.errors
    assert "elsewhere (mix), and what takes their place needs TensorFlow" in error


def test_c5_the_fingerprint_covers_all_that_decides_bytes_and_not_the_copies(tmp_path, monkeypatch):
    (tmp_path / "this_or_that.py").write_text("ops = 0\n")
    monkeypatch.syspath_prepend(tmp_path)
    listing = listing_of(("train", "a", 3), ("train", "b", 3))

    def fingerprint(**changes) -> str:
        return make_plan(request_for(**changes), listing, None).fingerprint

    same = fingerprint()
    assert fingerprint(copies=5) == same
    assert fingerprint(shard_bytes=1 << 20) == same
    assert fingerprint(shards=1) == same
    others = {
        fingerprint(seed=1),
        fingerprint(name="y"),
        fingerprint(shards=2),
        fingerprint(recipe=load_recipe("flowers").canonical()),
        fingerprint(plugins=load_plugins(["this_or_that"])),
    }
    assert len({same, *others}) == 6


@pytest.mark.parametrize(
    ("images", "changes", "sentences"),
    [
        ([], {}, ["it has no class folders; it must be DIR/<class>/... or DIR/<split>/<class>/..."]),
        ([("train", "a", 0)], {}, ["there are no images in it"]),
        (
            [("train", "a", 1), ("train", "b", 0), ("train", "c", 0)],
            {},
            [
                "class folder 'b' has no images; fill it or remove it",
                "class folder 'c' has no images; fill it or remove it",
            ],
        ),
        (
            [("train", "a", 1), ("test", "a", 0)],
            {},
            ["class folder 'test/a' has no images; fill it or remove it"],
        ),
        (
            [("train", "a", 1), ("test", "a", 0), ("train", "b", 0), ("test", "b", 0)],
            {"split_fractions": {"train": "0.5", "test": "0.5"}},
            ["class folder 'b' has no images; fill it or remove it"],
        ),
    ],
)
def test_folders_without_images_make_no_plan(images, changes, sentences):
    plan = make_plan(request_for(**changes), listing_of(*images), None)
    assert list(plan.errors) == sentences
    assert plan.splits == {}


@pytest.mark.parametrize(
    ("split", "changes", "sentence"),
    [
        ("train", {"class_copies": {"cta": 2}}, "--copies: there is no class 'cta'; did you mean cat?"),
        (
            "train",
            {"augment_splits": ("trian",)},
            "--augment-splits: there is no split 'trian'; did you mean",
        ),
        ("val", {}, "there is no split named train; name those to augment, such as --augment-splits val"),
    ],
)
def test_classes_and_splits_that_only_a_listing_shows_are_those_that_are_asked_for(split, changes, sentence):
    """As of containers and annotations, of which no folder has the name."""
    [error] = make_plan(request_for(**changes), listing_of((split, "cat", 3)), None).errors
    assert error.startswith(sentence)


@pytest.mark.parametrize("folder", [[], [Folder("", "train", "unlabeled")]])
def test_an_input_of_which_everything_is_rejected_makes_no_plan_and_says_why(folder):
    rejects = [Reject(f"a.tfrecord/{i}", "damaged", f"it is cut off at {i}") for i in (2, 1)]
    whole, listing = Listing(), Listing()
    for found in [*folder, *rejects]:
        whole.add(found)
        listing = Listing().add(found).merge(listing)
    assert whole == listing
    assert make_plan(request_for(), listing, None).errors == (
        "nothing in it can be used: 2 rejected, first a.tfrecord/1: damaged, it is cut off at 1",
    )


def test_a_class_folder_without_images_is_told_with_what_was_rejected():
    listing = listing_of(("train", "a", 1), ("train", "b", 0))
    listing.add(Reject("b", "unreadable_folder", "permission denied"))
    assert make_plan(request_for(), listing, None).errors == (
        "class folder 'b' has no images; fill it or remove it",
        "1 rejected, first b: unreadable_folder, permission denied",
    )


def test_c7_a_listing_that_changed_makes_no_plan():
    before = listing_of(("train", "a", 2), ("train", "b", 1))
    after = listing_of(("train", "a", 2), ("train", "b", 2))
    assert make_plan(request_for(), before, before.hexdigest()).errors == ()
    assert make_plan(request_for(), after, before.hexdigest()).errors == (
        "it is not what this output was made from: files came, went or changed their size since; "
        "restore them, write to another directory, or start over with --overwrite",
    )


@pytest.mark.parametrize(
    ("images", "warnings"),
    [
        ([("train", "a", 2)], ["there is only one class, 'a': a classifier learns nothing from it"]),
        (
            [("train", "a", 2), ("train", "b", 2), ("test", "b", 1)],
            ["split 'test' has no images of class 'a'"],
        ),
    ],
)
def test_what_a_classifier_would_suffer_from_is_a_warning(images, warnings):
    plan = make_plan(request_for(), listing_of(*images), None)
    assert plan.errors == ()
    assert list(plan.warnings) == warnings


def test_the_order_of_split_fractions_decides_and_outlives_json():
    fractions = {"train": "0.5", "test": "0.25", "dev": "0.25"}
    request = request_for(split_fractions=fractions)
    said = json.loads(json_text(request.model_dump(mode="json")))
    assert list(Request.model_validate(said).split_fractions.items()) == list(fractions.items())
    turned = request_for(split_fractions=dict(reversed(fractions.items())))
    assert request.fingerprint({}) != turned.fingerprint({})
    assert request.differences(turned)
