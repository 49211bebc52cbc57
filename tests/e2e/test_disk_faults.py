"""A disk that fails at any step of a run, a process that is killed there, and power that is lost."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.disk_faults import Failing, Memory, by_chance, check_promise, newest, oldest, watched
from tests.in_process import Ended, augshard

ALWAYS = 6
"""How many faults each test tries if it is not a slow one."""


class Job:
    """Runs of one small request, each into a directory of its own."""

    def __init__(self, home: Path, groups: int) -> None:
        self._home, self._groups = home, groups
        for label in ("cat", "dog"):
            (home / "in" / label).mkdir(parents=True)
            for number in range(3):
                picture = Image.fromarray(np.full((4, 4, 3), 40 * number + 9, np.uint8))
                picture.save(home / "in" / label / f"{number}.png")
        (home / "tiny.yaml").write_text("storage: {format: png}\nops: [resize: {height: 4, width: 4}]\n")
        assert self.run(home / "undisturbed" / "out").status == 0
        self.expected = contents(home / "undisturbed" / "out")

    def run(self, output: Path, *more: object) -> Ended:
        return augshard(
            *("materialize", "--input", self._home / "in", "--recipe", self._home / "tiny.yaml"),
            *("--output", output, "--copies", 2, "--shards", self._groups, *more),
        )

    def resume(self, output: Path) -> None:
        """A run into what a fault left comes to what an undisturbed one does."""
        ended = self.run(output)
        assert ended.status == 0, ended.err
        assert contents(output) == self.expected


def contents(output: Path) -> dict[str, bytes]:
    """All files but run.json, which says when, and what empty folders there are."""
    paths = (path for path in output.rglob("*") if path.name != "run.json")
    return {str(path.relative_to(output)): path.read_bytes() if path.is_file() else b"/" for path in paths}


@pytest.fixture(scope="module")
def one(tmp_path_factory) -> Job:
    return Job(tmp_path_factory.mktemp("one"), groups=1)


@pytest.fixture(scope="module")
def three(tmp_path_factory) -> Job:
    return Job(tmp_path_factory.mktemp("three"), groups=3)


def states(job: Job, home: Path, *more: object, chances: int) -> list[Path]:
    """Homes of outputs, all different, as a kill or a loss of power may leave a run at any of its steps.

    At each step the promise is checked for every state that there may be.
    """
    found: dict[tuple[tuple[str, bytes], ...], Path] = {}
    places = home.parent / f"{home.name}-left"
    places.mkdir()

    def moment(memory: Memory) -> None:
        check_promise(memory, "out")
        choices = [newest, oldest, *(by_chance(100 * memory.steps + n) for n in range(chances))]
        for choose in choices:
            place = places / f"{memory.steps}-{len(found)}"
            memory.left(place, choose)
            if found.setdefault(tuple(sorted(contents(place).items())), place) != place:
                shutil.rmtree(place)

    home.mkdir(exist_ok=True)
    memory = Memory(home, moment)
    with watched(lambda *_: None, memory.after):
        assert job.run(home / "out", *more).status == 0
    assert memory.steps > 40
    return list(found.values())


def spread(values: list[Path], count: int) -> list[Path]:
    return values[:: max(1, len(values) // count)]


def test_c7_a_kill_or_a_loss_of_power_leaves_what_is_whole_or_can_be_resumed(one, tmp_path):
    for home in spread(states(one, tmp_path / "home", chances=1), ALWAYS):
        one.resume(home / "out")


@pytest.mark.slow
def test_c7_a_kill_or_a_loss_of_power_at_every_step_can_be_resumed(one, tmp_path):
    for home in states(one, tmp_path / "home", chances=1):
        one.resume(home / "out")


@pytest.mark.slow
def test_c7_a_loss_of_power_in_a_run_of_three_groups_can_be_resumed(three, tmp_path):
    for home in spread(states(three, tmp_path / "home", chances=3), 60):
        three.resume(home / "out")


def test_c7_a_loss_of_power_while_a_dataset_is_overwritten_leaves_no_half_of_it(one, tmp_path):
    home = tmp_path / "home"
    assert one.run(home / "out", "--seed", 5).status == 0
    for left in spread(states(one, home, "--overwrite", chances=1), ALWAYS):
        ended = one.run(left / "out", "--overwrite")
        assert ended.status == 0, ended.err
        assert contents(left / "out") == one.expected


def fails_at(job: Job, output: Path, number: int, error: int, *, dead: bool) -> bool:
    """Whether there is such a step. The run says what happened, and the next comes to the same as ever."""
    failing = Failing(number, error, dead=dead)
    with watched(failing):
        ended = job.run(output)
    if failing.taken < number:
        return False
    assert ended.status in (0, 1, 2), ended.err
    assert "Traceback" not in ended.err
    if ended.status:
        said = ended.err.casefold()
        assert "no space left on device" in said or "input/output error" in said, ended.err
    job.resume(output)
    shutil.rmtree(output)
    return True


FAULTS = [(errno.EIO, False), (errno.ENOSPC, True)]


@pytest.mark.parametrize(("error", "dead"), FAULTS)
def test_c7_a_disk_that_fails_now_and_then_costs_no_more_than_a_resume(one, tmp_path, error, dead):
    for number in range(1, 100, 100 // ALWAYS):
        fails_at(one, tmp_path / "out", number, error, dead=dead)


@pytest.mark.slow
@pytest.mark.parametrize(("error", "dead"), FAULTS)
def test_c7_a_disk_that_fails_at_any_step_costs_no_more_than_a_resume(one, tmp_path, error, dead):
    number = 1
    while fails_at(one, tmp_path / "out", number, error, dead=dead):
        number += 1
    assert number > 40
