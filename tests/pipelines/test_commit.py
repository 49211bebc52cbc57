"""The last step: what it takes for a dataset, and in which order that becomes one."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from augment.recipe import parse_recipe
from pipelines.format.layout import DATASET_INFO, MANIFEST, SAMPLES, samples_file, shard_file
from pipelines.format.manifest import File, Manifest, read_manifest
from pipelines.format.request import Request
from pipelines.materialize import commit
from pipelines.materialize.commit import GroupFiles
from pipelines.materialize.run import Outcome, Run, saved_outcome
from pipelines.plan import Plan, make_plan
from pipelines.sources import Folder, Listing, Source

GROUPS, COPIES, BYTES = 3, 2, 7


@pytest.fixture
def plan() -> Plan:
    request = Request(
        name="x",
        recipe_name="x",
        recipe=parse_recipe("ops: [resize: {height: 6, width: 7}]", name="x").canonical(),
        seed=0,
        copies=COPIES,
        shards=GROUPS,
    )
    listing = Listing().add(Folder("cat", "train", "cat"))
    for number in range(10 * GROUPS):
        listing.add(Source(f"cat/{number}.png", "train", "cat", 100))
    return make_plan(request, listing, None)


@pytest.fixture
def written(plan, tmp_path) -> list[GroupFiles]:
    """What groups leave, and say that they left."""
    (tmp_path / SAMPLES).mkdir()
    groups = []
    for number in range(GROUPS):
        files = []
        for copy in range(COPIES):
            for name in (
                shard_file("x", "train", copy, number, GROUPS),
                samples_file("train", copy, number, GROUPS),
            ):
                (tmp_path / name).write_bytes(b"." * BYTES)
            files.append((copy, File(BYTES, f"{number}{copy}".zfill(64), records=10), File(BYTES, "0" * 64)))
        groups.append(GroupFiles("train", number, tuple(files), kept=10))
    return groups


def committed(groups: list[GroupFiles], plan: Plan, output: Path) -> Outcome:
    commit.commit(
        b"", groups, plan, (), Run(input="/in", output=str(output), max_rejects=0, about={}, began=0)
    )
    outcome = saved_outcome(str(output))
    assert outcome is not None
    assert (output / MANIFEST).exists() == (not outcome.failure)
    return outcome


def test_c4_groups_that_come_twice_and_in_any_order_count_once(written, plan, tmp_path):
    assert not committed(written, plan, tmp_path).failure
    once = (tmp_path / MANIFEST).read_bytes()
    assert not committed([*written[::-1], written[1]], plan, tmp_path).failure
    assert (tmp_path / MANIFEST).read_bytes() == once
    assert read_manifest(str(tmp_path)).records == GROUPS * COPIES * 10


def test_c7_a_group_that_comes_twice_does_not_stand_in_for_another(written, plan, tmp_path):
    outcome = committed([written[0], written[1], written[1]], plan, tmp_path)
    assert outcome.failure == "2 of 6 shards were not written; run it again to resume"


def test_c4_two_attempts_with_other_bytes_are_no_dataset(written, plan, tmp_path):
    (copy, shard, samples), *rest = written[1].files
    other = written[1]._replace(files=((copy, dataclasses.replace(shard, sha256="f" * 64), samples), *rest))
    outcome = committed([*written, other], plan, tmp_path)
    assert outcome.failure == (
        "x-train_c0.tfrecord-00001-of-00003: two attempts at it came to different bytes; run it again"
    )


@pytest.mark.parametrize("kind", ["shard", "samples"])
@pytest.mark.parametrize("happens", ["gone", "cut"])
def test_c7_what_the_manifest_lists_is_there(happens, kind, written, plan, tmp_path):
    name = shard_file("x", "train", 1, 2, GROUPS) if kind == "shard" else samples_file("train", 1, 2, GROUPS)
    if happens == "gone":
        (tmp_path / name).unlink()
    else:
        (tmp_path / name).write_bytes(b"." * (BYTES - 1))
    outcome = committed(written, plan, tmp_path)
    assert outcome.failure == f"{tmp_path}/{name}: it was written, and is gone or changed; run it again"


def test_why_groups_failed_is_the_failure(written, plan, tmp_path):
    faults = [GroupFiles("train", number, fault=f"cat/{number}.png: no") for number in (2, 1)]
    assert (
        committed([written[0], *faults], plan, tmp_path).failure == "cat/1.png: no (and 1 more of the kind)"
    )


def test_what_was_there_before_is_told_from_what_is_new(written, plan, tmp_path):
    assert committed(written, plan, tmp_path).kept == GROUPS * 10


def test_c7_tfds_is_shown_nothing_that_the_manifest_does_not_have(written, plan, tmp_path, monkeypatch):
    def shown(output: str, manifest: Manifest) -> None:
        assert read_manifest(output) == manifest.sealed()
        assert not (tmp_path / DATASET_INFO).exists()
        show(output, manifest)

    show = commit.show_to_tfds
    monkeypatch.setattr(commit, "show_to_tfds", shown)
    committed(written, plan, tmp_path)
    assert (tmp_path / DATASET_INFO).exists()
    assert DATASET_INFO not in read_manifest(str(tmp_path)).files
