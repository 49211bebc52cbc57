"""The next group is begun while one is finished, and what is written is what one after the other writes."""

from __future__ import annotations

import errno
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pipelines.format.records import ShardWriter
from pipelines.materialize import group, processes
from pipelines.materialize.group import Finished, GroupWriter
from tests.in_process import Ended, augshard

GROUPS = 6
RECIPE = "storage: {format: png}\nops: [resize: {height: 8, width: 8}, flip: {horizontal: 0.5}]\n"


@pytest.fixture
def photos(tmp_path) -> Path:
    (tmp_path / "in/cat").mkdir(parents=True)
    for number in range(60):
        pixels = np.random.default_rng(number).integers(0, 256, (9, 8, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"in/cat/{number}.png")
    (tmp_path / "mine.yaml").write_text(RECIPE)
    return tmp_path


@pytest.fixture
def begun(monkeypatch) -> list[int]:
    """For each group that is begun how many are under way, in processes that always are worth it.

    The first one lasts until these are there, and each some time longer, in which the next may begin.
    """
    monkeypatch.setattr(processes, "WORTH_IT", 0)
    monkeypatch.setattr(group, "CORES", 2)
    begun, under_way, write = list[int](), [0], GroupWriter.write

    def lasting(self: GroupWriter, *arguments: Any) -> list[Finished]:
        under_way[0] += 1
        begun.append(under_way[0])
        mine = len(begun)
        try:
            finished = write(self, *arguments)
            while not all(process.ready for process in self._pool._processes):
                time.sleep(0.01)
            deadline = time.monotonic() + 0.5
            while mine == len(begun) < GROUPS and time.monotonic() < deadline:
                time.sleep(0.01)
            return finished
        finally:
            under_way[0] -= 1

    monkeypatch.setattr(GroupWriter, "write", lasting)
    return begun


def run(photos: Path, output: str) -> Ended:
    return augshard(
        *("materialize", "--input", photos / "in", "--recipe", photos / "mine.yaml", "--name", "mine"),
        *("--output", photos / output, "--copies", 2, "--shards", GROUPS),
    )


def files(folder: Path) -> dict[str, bytes]:
    found = (path for path in folder.rglob("*") if path.is_file() and path.name != "run.json")
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def test_c4_groups_at_once_leave_what_they_leave_one_after_the_other(photos, request):
    assert run(photos, "alone").status == 0
    begun = request.getfixturevalue("begun")
    assert run(photos, "at-once").status == 0
    assert (len(begun), max(begun)) == (GROUPS, 2)
    assert files(photos / "at-once") == files(photos / "alone")


@pytest.mark.parametrize("fails", [0, 3])
def test_a_disk_that_takes_no_shard_ends_the_groups_beside_it(photos, begun, monkeypatch, fails):
    finish = ShardWriter.finish

    def full(self: ShardWriter) -> tuple[int, str]:
        if len(begun) > fails:
            raise OSError(errno.ENOSPC, "No space left on device", self.path)
        return finish(self)

    monkeypatch.setattr(ShardWriter, "finish", full)
    ended = run(photos, "out")
    assert ended.status == 1
    assert "no space left on device" in ended.err.casefold()
    assert "Traceback" not in ended.err
    monkeypatch.setattr(ShardWriter, "finish", finish)
    begun.clear()
    assert run(photos, "out").status == 0


def test_what_is_wrong_with_one_group_is_said_once_and_ends_the_run(photos, begun):
    (photos / "in/cat/33.png").unlink()
    (photos / "in/cat/33.png").symlink_to("/proc/self/mem")
    ended = run(photos, "out")
    assert ended.status == 1, ended
    assert "33.png" in ended.err
