"""How far a run is, in lines where there is no terminal for a bar."""

from __future__ import annotations

import io
import time
from pathlib import Path

import pytest

from pipelines import progress, storage
from pipelines.format.layout import PROGRESS
from pipelines.format.request import Request
from pipelines.materialize.plan_file import plan_and_save
from pipelines.materialize.progress import Listed, Progress, ProgressBar
from pipelines.plan import Plan
from pipelines.sources import Folder, Listing, Source
from pipelines.storage.local import Local


def plan(output: Path, sources: int, copies: int) -> None:
    listing = Listing().add(Folder("cat", "train", "cat"))
    for number in range(sources):
        listing.add(Source(id=f"cat/{number}.png", split="train", label="cat", size=9))
    request = Request(
        name="x",
        recipe_name="x",
        recipe={"ops": [{"resize": {"height": 8, "width": 8}}]},
        seed=0,
        copies=copies,
    )
    plan_and_save(b"", listing, request, str(output), str(output), None)


def lines(output: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Two lines or more of a run that stands still."""
    heard = io.StringIO()
    monkeypatch.setattr("sys.stderr", heard)
    monkeypatch.setattr(progress, "LINES", 0.01)
    with ProgressBar(str(output), lambda _: None):
        deadline = time.monotonic() + 60
        while heard.getvalue().count("\n") < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
    return heard.getvalue().splitlines()


def test_a_line_says_that_nothing_is_planned_yet(tmp_path, monkeypatch):
    assert lines(tmp_path, monkeypatch)[-1] == "augshard: listing"


def test_a_line_says_how_many_files_are_listed_by_all_workers(tmp_path, monkeypatch):
    monkeypatch.setattr(Local, "look_every", 0.001)
    for _ in "ab":
        listed = Listed(str(tmp_path))
        for _ in range(600):
            listed()
        time.sleep(0.002)
        listed()
    assert lines(tmp_path, monkeypatch)[-1] == "augshard: listing, 1,202 files"
    plan(tmp_path, 600, copies=1)
    assert lines(tmp_path, monkeypatch)[-1] == "augshard: writing: 0 of 600 records, 0 records/s"


def test_a_line_says_how_much_is_done_and_how_much_is_left(tmp_path, monkeypatch):
    plan(tmp_path, 600, copies=2)
    with Progress(str(tmp_path), "train-0") as count:
        count(200)
        count(-100)  # an attempt that is made again
    with Progress(str(tmp_path), "train-1") as count:
        count(100)
    assert (
        lines(tmp_path, monkeypatch)[-1]
        == "augshard: writing: 200 of 1,200 records, 200 records/s, 00:05 left"
    )


def test_what_was_there_before_is_done_but_has_no_part_in_the_rate(tmp_path, monkeypatch):
    plan(tmp_path, 600, copies=2)
    with Progress(str(tmp_path), "train-0") as count:
        count(600, kept=True)
    assert lines(tmp_path, monkeypatch)[-1] == "augshard: writing: 600 of 1,200 records, 0 records/s"
    with Progress(str(tmp_path), "train-1") as count:
        count(100)
    assert (
        lines(tmp_path, monkeypatch)[-1]
        == "augshard: writing: 700 of 1,200 records, 100 records/s, 00:05 left"
    )


def test_the_plan_of_a_run_that_is_resumed_is_not_taken_for_the_new_one(tmp_path):
    plan(tmp_path, 600, copies=2)
    storage.at(str(tmp_path)).remove(PROGRESS)  # as a run does that goes on
    told: list[Plan] = []
    with ProgressBar(str(tmp_path), told.append):
        pass
    assert not told
    with ProgressBar(str(tmp_path), told.append):
        plan(tmp_path, 600, copies=3)
    assert [one.request.copies for one in told] == [3]


def test_any_work_says_in_lines_how_far_it_is_and_what_it_is_at(monkeypatch):
    heard = io.StringIO()
    monkeypatch.setattr("sys.stderr", heard)
    monkeypatch.setattr(progress, "LINES", 0.0)
    with progress.Bar("live, seed 0", "steps", 1000, initial=900) as bar:
        bar.set_postfix_str("epoch 10/10", refresh=False)
        bar.update(4)
    assert list(progress.Bar("statistics", "groups", 2).over("ab")) == ["a", "b"]
    first, *rest = heard.getvalue().splitlines()
    assert first == "augshard: live, seed 0: 904 of 1,000 steps, 4 steps/s, 00:24 left, epoch 10/10"
    assert [line.partition(",")[0] for line in rest] == [
        f"augshard: statistics: {n} of 2 groups" for n in (1, 2)
    ]
