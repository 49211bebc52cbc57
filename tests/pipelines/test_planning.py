"""How listing, planning, grouping and reporting grow with a dataset; nothing is decoded."""

from __future__ import annotations

import gc
import json
import math
import random
import subprocess
import sys
import tracemalloc
from collections.abc import Callable

import numpy as np
import pytest

from benchmarks import planning
from benchmarks.measure import ROOT
from benchmarks.planning import (
    balance,
    counted,
    grouped,
    in_numbers,
    planned,
    report,
    skewed_bytes,
    written,
)
from pipelines import packets
from pipelines.format.layout import DATASET_INFO, MANIFEST, REJECTS
from pipelines.format.manifest import File, json_text, read_manifest
from pipelines.format.samples import Receipt
from pipelines.materialize.commit import Shards, group_files, write_dataset
from pipelines.materialize.group import Finished
from pipelines.materialize.run import Run
from pipelines.sources import Reject

SIGMAS = 4.5
"""How far groups of sources dealt by a hash lie from the mean at most; sizes here are always the same."""


def calls(function: Callable[..., object], *arguments: object) -> int:
    """How many calls of functions, in Python or C, a call comes to: its steps, on any machine alike.

    Nothing is collected meanwhile: what others call at a collection (hypothesis does) are no steps of it.
    """
    count = 0

    def profile(_frame: object, event: str, _argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    gc.disable()
    sys.setprofile(profile)
    try:
        function(*arguments)
    finally:
        sys.setprofile(None)
        gc.enable()
    return count


def peak(function: Callable[..., object], *arguments: object) -> int:
    """The most memory that Python's objects take during a call, in bytes."""
    tracemalloc.start()
    try:
        function(*arguments)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_listing_that_is_counted_in_bundles_has_every_image():
    assert counted(12_345).counts == in_numbers(12_345).counts
    assert sum(counted(12_345).counts.values()) == 12_345


def test_c8_listing_takes_steps_in_proportion_to_the_images_and_flat_memory():
    assert calls(counted, 20_000) <= 10 * calls(counted, 2_000)
    assert peak(counted, 20_000) < peak(counted, 2_000) + 50_000


def test_c8_grouping_takes_steps_in_proportion_to_the_images_and_flat_memory(monkeypatch):
    monkeypatch.setattr(planning, "BUNDLE", 1000)
    plan = planned(in_numbers(20_000), 1)
    grouped(10, plan)  # the first call does what is done once
    assert calls(grouped, 20_000, plan) <= 10 * calls(grouped, 2_000, plan)
    monkeypatch.setattr(packets, "_HELD", 1 << 15)  # so that both numbers of images fill several
    assert peak(grouped, 20_000, plan) < peak(grouped, 2_000, plan) + 50_000


def test_reporting_takes_steps_and_memory_in_proportion_to_the_shards(tmp_path):
    few, many = (planned(in_numbers(images), 3) for images in (100_000, 1_000_000))
    assert (few.splits["train"].groups, many.splits["train"].groups) == (49, 484)
    steps = [calls(report, plan, 0, str(tmp_path)) for plan in (few, many)]
    assert steps[1] <= 10 * steps[0]
    memory = [peak(report, plan, 0, str(tmp_path)) for plan in (few, many)]
    assert (memory[1] - memory[0]) / (484 - 49) / 3 < 1200  # bytes a shard


def test_groups_hold_all_images_and_nearly_as_many_each():
    plan = planned(in_numbers(50_000), 1)
    sizes = grouped(50_000, plan)
    mean = 50_000 / len(sizes)
    assert sizes.sum() == 50_000
    assert len(sizes) == plan.splits["train"].groups == 25
    assert abs(sizes - mean).max() < SIGMAS * math.sqrt(mean)


def test_groups_have_nearly_as_many_bytes_each_however_files_are_skewed():
    images, groups = 50_000, 25
    found = balance(images, groups)
    for kind, sizes in skewed_bytes(images).items():
        by_images, by_bytes = found[kind]
        mean = sizes.sum() / groups
        spread = math.sqrt((np.square(sizes.astype(float))).sum() / groups) / mean
        assert by_images < 1.1
        assert by_bytes < 1 + SIGMAS * spread + sizes.max() / mean, kind


def test_c4_the_manifest_does_not_depend_on_the_order_in_which_groups_end(tmp_path):
    plan = planned(in_numbers(100_000), 3)
    groups = list(written(plan, 500))
    shuffled = random.Random(0).sample(groups, len(groups))
    for name, some in {"in_order": groups, "shuffled": shuffled}.items():
        run = Run(input="in", output=str(tmp_path / name), max_rejects=1, about={}, began=0)
        shards = Shards(plan)
        for group in some:
            shards.add(group)
        write_dataset(shards, plan, run)
    for name in (MANIFEST, REJECTS, DATASET_INFO):
        assert (tmp_path / "in_order" / name).read_bytes() == (tmp_path / "shuffled" / name).read_bytes()
    manifest = read_manifest(str(tmp_path / "in_order"))
    assert manifest.rejects == len((tmp_path / "in_order/rejects.jsonl").read_text().splitlines()) == 500
    assert len(manifest.files) == 2 * 3 * len(groups) + 3
    assert manifest.content().decode() == json_text(manifest.model_dump(mode="json", exclude_none=True))


def test_a_reject_that_every_receipt_of_a_group_has_goes_to_the_last_step_once():
    reject = Reject("a/1.jpg", "empty", "the file has no bytes")
    finished = [
        Finished(
            Receipt("", "train", copy, 7, "", 10, "a", 3, {"x": "1"}, "", (reject,)),
            File(5, "b"),
            kept=copy > 2,
        )
        for copy in range(4)
    ]
    group = group_files("train", 7, finished, 2)
    assert group.rejects == {reject}
    assert group.kept == 3
    assert [(copy, shard.records, samples.bytes) for copy, shard, samples in group.files] == [
        (copy, 3, 5) for copy in range(4)
    ]


TEN_MILLION = """
import json, sys
from benchmarks.planning import counted, grouped, in_numbers, planned, report, _peak
images, output = 10**7, sys.argv[1]
peaks = [_peak()]
listing = counted(images)
assert listing.counts == in_numbers(images).counts
peaks.append(_peak())
plan = planned(listing, 10)
sizes = grouped(images, plan)
peaks.append(_peak())
report(plan, 10**4, output)
peaks.append(_peak())
print(json.dumps({"peaks": peaks, "sizes": sizes.tolist()}))
"""


@pytest.mark.slow
def test_c8_ten_million_images_are_listed_planned_grouped_and_reported(tmp_path):
    command = [sys.executable, "-c", TEN_MILLION, str(tmp_path)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=1500)
    assert ended.returncode == 0, ended.stderr
    said = json.loads(ended.stdout)
    sizes, mean = np.array(said["sizes"]), 10**7 / 4836
    assert len(sizes) == 4836
    assert sizes.sum() == 10**7
    assert abs(sizes - mean).max() < SIGMAS * math.sqrt(mean)
    listing, grouping, reporting = np.diff(said["peaks"]).tolist()
    assert listing < 10e6
    assert grouping < 10e6
    assert reporting < 48_360 * 1200 + 10**4 * 600
    assert read_manifest(str(tmp_path)).records == sum(10 * (10**7 // 4836) for _ in sizes) - 10 * 10**4
