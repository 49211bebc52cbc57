"""Deriving in processes: the same as here, and what becomes of faults and of ends."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image

from augment.errors import OpError
from augment.ops import base
from augment.recipe import parse_recipe
from pipelines.format.request import Request, load_plugins
from pipelines.materialize import processes
from pipelines.materialize.derive import Derived, Member, PassingFault
from pipelines.materialize.processes import Pool, ProcessEnded

RECIPE = "ops: [{resize: {height: 6, width: 5}}, {flip: {horizontal: 0.5}}, {contrast: {factor: 0.5}}]"
MEMBERS = [Member(f"cat/{number}.png", "cat") for number in range(6)]
COPIES = [-1, 0, 3]


def request(recipe: str = RECIPE) -> Request:
    canonical = parse_recipe(recipe, name="x").canonical()
    return Request(name="x", recipe_name="x", recipe=canonical, seed=7, copies=4)


@pytest.fixture
def root(tmp_path) -> Path:
    (tmp_path / "in/cat").mkdir(parents=True)
    for number in range(6):
        pixels = np.random.default_rng(number).integers(0, 256, (9, 8, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"in/cat/{number}.png")
    (tmp_path / "in/cat/4.png").write_bytes(b"no image")
    return tmp_path / "in"


def started(pool: Pool) -> Pool:
    """The pool once all its processes are ready, and it no longer derives here."""
    for _ in range(2):
        pool.derive(MEMBERS[:1], [0]).result()
    while not all(process.ready for process in pool._processes):
        time.sleep(0.01)
    pool.derive(MEMBERS[:1], [0]).result()
    assert len(pool._processes) == pool.count
    return pool


@pytest.fixture
def pool(root, monkeypatch) -> Iterator[Pool]:
    monkeypatch.setattr(processes, "WORTH_IT", 0)
    pool = started(Pool(2, 6, request(), ["cat"], str(root)))
    yield pool
    pool.close()
    assert all(process._process.returncode is not None for process in pool._processes)


def same(one: Derived, other: Derived) -> bool:
    drawn = {name: values.tolist() for name, values in one.drawn.items()}
    return one._replace(drawn={}) == other._replace(drawn={}) and drawn == {
        name: values.tolist() for name, values in other.drawn.items()
    }


def test_c4_a_process_derives_what_this_one_does(pool):
    here = pool.here.derive(MEMBERS, COPIES)
    assert [reject.source for reject in here.rejects] == ["cat/4.png"]
    there = [pool.derive(MEMBERS, COPIES) for _ in range(4)]
    assert all(same(here, one.result()) for one in there)


def test_a_source_that_cannot_be_read_raises_here_what_it_raises_there(pool, root):
    (root / "cat/2.png").unlink()
    with pytest.raises(PassingFault, match=r"cat/2\.png: it cannot be read \(no such file or directory\)"):
        pool.derive(MEMBERS, COPIES).result()
    assert len(pool.derive(MEMBERS[:2], COPIES).result().rejects) == 0


def test_contents_that_were_read_already_are_taken(pool, root):
    contents = (root / "cat/3.png").read_bytes()
    for path in (root / "cat").iterdir():
        path.unlink()
    derived = pool.derive([Member("cat/3.png", "cat", contents)], [0]).result()
    assert derived.columns["source"] == ["cat/3.png"]


def test_an_error_of_ours_says_where_it_came_from(pool):
    with pytest.raises(RuntimeError, match=r"in _known[\s\S]*KeyError: 'dog'"):
        pool.derive([Member("cat/1.png", "dog")], [0]).result()


def test_the_end_of_a_process_is_told_in_a_sentence(pool):
    for process in pool._processes:
        process._process.send_signal(signal.SIGKILL)
    with pytest.raises(ProcessEnded, match="a process that derives samples ended by signal 9; if"):
        pool.derive(MEMBERS, COPIES).result()


def test_few_sources_start_no_process(root):
    pool = Pool(2, 6, request(), ["cat"], str(root))
    for _ in range(3):
        pool.derive(MEMBERS, COPIES).result()
    assert pool._processes == []


def test_the_device_backend_stays_in_this_process(root, monkeypatch):
    monkeypatch.setattr(processes, "WORTH_IT", 0)
    pool = Pool(2, 6, request(), ["cat"], str(root), "device")
    here = Pool(1, 6, request(), ["cat"], str(root)).here.derive(MEMBERS, COPIES)
    assert all(same(here, pool.derive(MEMBERS, COPIES).result()) for _ in range(3))
    assert pool._processes == []


OF_A_USER = """
import dataclasses

from augment.kernels.kinds import Custom
from augment.ops import Op


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Broken(Custom):
    def on_host(self, image):
        raise ValueError("of the user's")


class BreaksThere(Op):
    def kernels(self, draw, size):
        return (Broken(),)
"""


def test_a_process_has_the_users_ops_and_tells_of_their_faults(root, tmp_path, monkeypatch):
    monkeypatch.setattr(base, "_registry", dict(base._registry))
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "breaks_there.py").write_text(OF_A_USER)
    plugins = load_plugins(["breaks_there"])
    job = request(RECIPE.replace("]", ", {breaks_there: {p: 1}}]")).model_copy(update={"plugins": plugins})
    process = processes._Process((job, ["cat"], str(root)))
    process.await_ready()
    with pytest.raises(OpError, match="kernel Broken: ValueError: of the user's"):
        process.derive(MEMBERS, [0])
    assert process.derive(MEMBERS, [-1]).columns["source"][0] == "cat/0.png"
    process.kill()
    process.close()


def test_processes_end_with_their_launcher_by_whatever_death(root):
    code = (
        "import sys, time; from tests.pipelines import test_processes as t\n"
        "t.processes.WORTH_IT = 0\n"
        f"pool = t.started(t.Pool(2, 6, t.request(), ['cat'], {str(root)!r}))\n"
        "print(*(one._process.pid for one in pool._processes), flush=True)\n"
        "time.sleep(600)"
    )
    launcher = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert launcher.stdout is not None
    children = [psutil.Process(int(pid)) for pid in launcher.stdout.readline().split()]
    assert len(children) == 2
    launcher.kill()
    launcher.wait()
    _, alive = psutil.wait_procs(children, timeout=60)
    assert not alive
