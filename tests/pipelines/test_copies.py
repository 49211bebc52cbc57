"""How many copies each source gets: what is asked for, who gets one more, and which shards follow."""

from __future__ import annotations

import itertools
import random

import apache_beam as beam
import numpy as np
import pytest
from apache_beam.testing.test_pipeline import TestPipeline
from apache_beam.testing.util import assert_that, equal_to
from hypothesis import given
from hypothesis import strategies as st

from augment.errors import RequestError
from augment.keys import source_words
from augment.recipe import load_recipe
from pipelines import packets
from pipelines.format.copies import (
    ClassCopies,
    HowMany,
    class_copies,
    in_copy,
    ranks,
    tiers,
    with_last,
)
from pipelines.format.request import Request
from pipelines.materialize import balance
from pipelines.plan import Stored, make_plan, parse_balance, parse_copies, top_errors
from pipelines.sources import Folder, Listing, Source


def request_for(**changes) -> Request:
    recipe = load_recipe("cifar10")
    given = {"name": "x", "recipe_name": "cifar10", "recipe": recipe.canonical(), "seed": 0, "copies": 1}
    return Request(**{**given, **changes})


def sources_of(**classes: int) -> list[Source]:
    return [
        Source(f"{label}/{number}.jpg", "train", label, 9)
        for label, n in classes.items()
        for number in range(n)
    ]


def listing_of(**classes: int) -> Listing:
    listing = Listing()
    for label in classes:
        listing.add(Folder(label, "train", label))
    for source in sources_of(**classes):
        listing.add(source)
    return listing


def last_of(request: Request, **classes: int) -> dict[tuple[str, str], tuple[int, str]]:
    try:
        wanted = class_copies(request, classes, "train") or {}
    except RequestError:
        return {}
    ids = {label: [f"{label}/{number}.jpg" for number in range(n)] for label, n in classes.items()}
    return {("train", label): one.last for label, one in with_last(wanted, ids).items() if one.last}


def planned(request: Request, stored: Stored | None = None, **classes: int):
    return make_plan(request, listing_of(**classes), None, last_of(request, **classes), stored)


@pytest.mark.parametrize(
    ("text", "every", "by_class"),
    [
        (None, 1, None),
        ("3", 3, None),
        ("rare=20,common=2", 1, {"rare": 20, "common": 2}),
        ("2, rare=20", 2, {"rare": 20}),
        ("a=b=4,none=0", 1, {"a=b": 4, "none": 0}),
    ],
)
def test_copies_are_a_number_or_numbers_by_class(text, every, by_class):
    assert parse_copies(text) == (every, by_class)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("0", "--copies is 0; it must be from 1 to 10000"),
        ("10001", "--copies is 10001; it must be from 1 to 10000"),
        ("rare=10001", "--copies is 10001; it must be from 0 to 10000"),
        ("rare=2,rare=3", "--copies names class 'rare' twice"),
        ("rare=two", "--copies: 'rare=two' is not a number of copies"),
        ("=2", "--copies: '=2' is not a number of copies"),
        ("2,3", "--copies: '3' is not a number of copies"),
        ("-1", "--copies is -1; it must be from 1 to 10000"),
        ("", "--copies: '' is not a number of copies"),
    ],
)
def test_what_is_neither_is_refused(text, said):
    with pytest.raises(RequestError, match=said.replace("(", r"\(")):
        parse_copies(text)


def test_balance_is_max_or_a_number_and_only_max_goes_with_a_number_of_copies():
    assert parse_balance(None, "3") is None
    assert parse_balance("max", None) == parse_balance("max", "3") == "max"
    assert parse_balance("500", None) == 500
    for text, copies in (("500", "3"), ("max", "rare=3")):
        with pytest.raises(RequestError, match="both say how many copies"):
            parse_balance(text, copies)
    for text in ("0", "most", "-3", "1.5"):
        with pytest.raises(RequestError, match="it must be max, or the number of samples"):
            parse_balance(text, None)


@given(
    st.dictionaries(st.sampled_from("abcdef"), st.integers(1, 60), min_size=1),
    st.one_of(st.just("max"), st.integers(1, 200)),
    st.integers(1, 3),
)
def test_balanced_classes_have_equal_numbers_of_samples_to_the_image(classes, target, copies):
    asked = HowMany(copies=copies if target == "max" else 1, balance=target)
    wanted = class_copies(asked, classes, "train")
    number = copies * max(classes.values()) if target == "max" else target
    assert {one.samples for one in wanted.values()} == {number}
    ids = {label: [f"{label}/{n}" for n in range(count)] for label, count in classes.items()}
    known = with_last(wanted, ids)
    for label, names in ids.items():
        having = [
            int(in_copy(known, copy, names, [label] * len(names)).sum())
            for copy in range(known[label].copies)
        ]
        assert sum(having) == number
        assert having == [known[label].having(copy) for copy in range(known[label].copies)]


@given(
    st.lists(st.tuples(st.integers(1, 9), st.integers(0, 5), st.integers(0, 8)), min_size=1, max_size=6),
    st.booleans(),
)
def test_tiers_are_the_longest_runs_of_copies_with_the_same_sources(classes, originals):
    each = [ClassCopies(sources=n, each=k, more=min(more, n - 1)) for n, k, more in classes]
    found = list(tiers(each, originals=originals, groups=lambda images: images + 1))
    shown = {copy: tuple(one.having(copy) for one in each) for copy in range(-1 if originals else 0, 7)}
    shown = {copy: having for copy, having in shown.items() if any(having)}
    assert [copy for tier in found for copy in tier.copies] == list(shown)
    for tier in found:
        assert {shown[copy] for copy in tier.copies} == {shown[tier.first]}
        assert tier.sources == sum(shown[tier.first])
        assert tier.groups == tier.sources + 1
    for one, following in itertools.pairwise(found):
        assert shown[one.first] != shown[following.first]


def test_who_gets_one_more_depends_on_the_ids_alone_and_not_on_split_or_order():
    names = [f"rare/{number}.jpg" for number in range(2000)]
    rank = ranks(names)
    assert rank.tolist() == [ranks([name])[0] for name in names]
    decided = source_words(names)[:, 0]
    assert abs(np.corrcoef(rank.astype(float), decided.astype(float))[0, 1]) < 0.1


def found_last(request: Request, found: list, classes: dict[str, int], expected: list) -> None:
    with TestPipeline() as pipeline:
        counted = beam.pvalue.AsSingleton(pipeline | "Counted" >> beam.Create([listing_of(**classes)]))
        assert_that(pipeline | beam.Create(found) | balance.LastOnes(request, counted), equal_to(expected))


MANY = {"common": 3001, "rare": 1400, "few": 3}


def test_the_pipeline_finds_the_last_that_gets_one_more_without_sorting_the_class(monkeypatch):
    monkeypatch.setattr(packets, "_HELD", 1 << 13)
    request, found = request_for(balance="max"), [Folder("rare", "train", "rare"), *sources_of(**MANY)]
    random.Random(0).shuffle(found)
    expected = last_of(request, **MANY)
    assert expected.keys() == {("train", "rare"), ("train", "few")}
    found_last(request, found, MANY, list(expected.items()))


def test_names_that_were_made_for_their_hashes_to_lie_unevenly_fail_the_job(monkeypatch):
    monkeypatch.setattr(balance, "DEVIATIONS", 0.02)  # so near the place where it should be, it is not
    with pytest.raises(Exception, match="its names are made for their hashes"):
        found_last(request_for(balance="max"), sources_of(**MANY), MANY, [])


def test_few_of_a_large_class_are_near_the_searched_place():
    wanted = ClassCopies(sources=10**7, each=2, more=3 * 10**6)
    low, high = balance.searched(wanted)
    assert low < 0.3 * 2**64 < high
    assert (high - low) / 2**64 * wanted.sources < 60_000


def test_a_class_of_too_few_images_to_be_balanced_is_refused():
    plan = planned(request_for(balance=20_001), common=9, rare=1)
    assert plan.errors == (
        "--balance 20001: class 'rare' has 1 image in split 'train', so 20,001 samples take 20,001 copies "
        "of each; at most 10,000 can be made: balance to fewer, or take in more images of that class",
    )


def test_copies_of_0_for_all_are_refused_and_for_some_are_not():
    none = planned(request_for(class_copies={"rare": 0, "common": 0}, originals=True), rare=2, common=9)
    assert none.errors == (
        "--copies: no class of split 'train' gets a copy; give at least one of 'common' and 'rare' a number "
        "from 1, or leave the split out of --augment-splits",
    )
    some = planned(request_for(class_copies={"rare": 3, "common": 0}), rare=2, common=9)
    assert [(tier.first, tier.end, tier.sources) for tier in some.tiers("train")] == [(0, 3, 2)]


def test_a_class_that_there_is_not_is_refused_before_anything_is_listed():
    folders = [Folder(label, "train", label) for label in ("common", "rare")]
    assert top_errors(request_for(class_copies={"rar": 3}), folders) == [
        "--copies: there is no class 'rar'; did you mean rare?"
    ]


def stored(request: Request, **classes: int) -> Stored:
    return Stored(request, planned(request, **classes).splits)


CLASSES = {"rare": 3, "common": 9}


@pytest.mark.parametrize(
    ("before", "now"),
    [
        ({"copies": 1}, {"balance": "max"}),
        ({"copies": 1}, {"class_copies": {"rare": 4}}),
        ({"class_copies": {"rare": 2}}, {"class_copies": {"rare": 4}}),
        ({"class_copies": {"rare": 2}}, {"class_copies": {"rare": 2}, "originals": True}),
        ({"class_copies": {"rare": 2, "common": 2}}, {"copies": 2}),
        ({"balance": 9}, {"balance": 9}),
        ({"balance": 9}, {"balance": "max"}),
    ],
)
def test_what_leaves_the_copies_that_are_there_can_be_added(before, now):
    before = request_for(**before)
    plan = planned(request_for(**now), stored(before, **CLASSES), **CLASSES)
    assert not plan.errors
    assert plan.fingerprint == planned(before, **CLASSES).fingerprint
    there = {
        (copy, tier.groups) for tier in planned(before, **CLASSES).tiers("train") for copy in tier.copies
    }
    assert there <= {(copy, tier.groups) for tier in plan.tiers("train") for copy in tier.copies}


@pytest.mark.parametrize(
    ("before", "now", "said"),
    [
        (
            {"class_copies": {"rare": 3}},
            {"class_copies": {"rare": 3, "common": 2}},
            "copy 1 is there of no image of class 'common', and asked for of all images: the output can be "
            "extended by copies from 3 on",
        ),
        (
            {"copies": 3},
            {"balance": "max"},
            "copy 1 is there of all images of class 'common', and asked for of no image",
        ),
        (
            {"balance": 10},
            {"balance": 11},
            "copy 1 is there of 1 image of class 'common', and asked for of 2 images",
        ),
    ],
)
def test_what_would_change_copies_that_are_there_is_refused(before, now, said):
    plan = planned(request_for(**now), stored(request_for(**before), **CLASSES), **CLASSES)
    assert plan.errors[0].startswith(said)
