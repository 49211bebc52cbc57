"""How often the job does what costs: a guard of its speed that looks at no clock.

The input is fixed, and so is every number here. One that falls is a gain, and is written down; one that grows
needs a reason.
"""

from __future__ import annotations

import collections
import time
import weakref
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from augment import backends
from augment.kernels import host
from augment.recipe import parse_recipe
from pipelines.format import records, samples
from pipelines.format.request import Request
from pipelines.materialize import derive, processes
from pipelines.materialize.group import Group, GroupWriter
from pipelines.plan import Plan, make_plan
from pipelines.sources import Folder, Listing, Source, list_folder
from pipelines.storage import disk
from tests.in_process import run_of

SOURCES, COPIES = 128, 3
SAMPLES = SOURCES * COPIES
SIDE = 16
RECIPE = """
storage: {format: raw}
ops:
  - resize: {height: 16, width: 16, antialias: false}
  - pad_and_crop: {padding: 2}
  - brightness: {delta: 0.5}
  - contrast: {factor: 0.2}
"""
PIXELS = SAMPLES * SIDE * SIDE * 3
"""Bytes of all samples' levels."""
FRAMES = SAMPLES * 16
"""Bytes of the lengths of records, and their checks."""
RECORDS = PIXELS + SAMPLES * 80 + FRAMES
"""Bytes of all records as they lie in shards: what else they say takes 80."""
GOES = 4
"""Times that sources are derived together, for each process that does it."""


class Counts(collections.Counter[str]):
    """How often something was called, and with how many bytes."""

    def of(self, name: str, call: Callable[..., Any], size: Callable[..., int] | None = None) -> Any:
        """The call, counted; `size` is told the outcome and the arguments."""

        def counted(*arguments: Any, **named: Any) -> Any:
            outcome = call(*arguments, **named)
            self[name] += 1
            if size:
                self[f"{name}, bytes"] += size(outcome, *arguments)
            return outcome

        return counted


@pytest.fixture
def plan(tmp_path) -> Plan:
    """One group of small photos; everything is written in one pass."""
    (tmp_path / "in/cat").mkdir(parents=True)
    (tmp_path / "out").mkdir()
    for number in range(SOURCES):
        pixels = np.random.default_rng(number).integers(0, 256, (20, 24, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"in/cat/{number:03}.jpg")
    request = Request(
        name="x",
        recipe_name="x",
        recipe=parse_recipe(RECIPE, name="x").canonical(),
        seed=0,
        copies=COPIES,
        shards=1,
    )
    folder = Folder("cat", "train", "cat")
    listing = Listing().add(folder)
    for found in list_folder(str(tmp_path / "in"), folder):
        listing.add(found)
    return make_plan(request, listing, None)


def group_of(plan: Plan, root: Path) -> Group:
    found = list_folder(str(root), Folder("cat", "train", "cat"))
    sources = [(one.id, one.label, b"", "") for one in found if isinstance(one, Source)]
    return Group("train", 0, plan.tier("train", 0), sources)


@pytest.fixture
def counts(monkeypatch) -> Counts:
    """What the job calls from now on is counted."""
    counts = Counts()

    def count(place: Any, name: str, called: str, size: Callable[..., int] | None = None) -> None:
        monkeypatch.setattr(place, name, counts.of(called, getattr(place, name), size))

    count(derive, "read_source", "files read")
    count(derive.codec, "decode", "decodes")
    monkeypatch.setattr(derive, "hashlib", SimpleNamespace(sha256=derive.hashlib.sha256))
    count(derive.hashlib, "sha256", "files digested")
    for kind, kernel in host._KERNELS.items():
        monkeypatch.setitem(host._KERNELS, kind, counts.of(f"kernel {kind.__name__}", kernel))
    count(backends.Host, "run", "runs of kernels")
    count(derive.codec, "encode_each", "encodes", lambda encoded, *_: sum(map(len, encoded)))
    count(derive, "pixels_digest", "pixels digested", lambda _, pixels: pixels.nbytes)
    contiguous = np.ascontiguousarray

    def copied_if_needed(array: Any, *rest: Any) -> np.ndarray:
        out = contiguous(array, *rest)
        if isinstance(array, np.ndarray) and array.ndim == 3 and not np.shares_memory(array, out):
            counts["pixels copied"] += 1
            counts["pixels copied, bytes"] += out.nbytes
        return out

    monkeypatch.setattr(np, "ascontiguousarray", copied_if_needed)
    count(derive, "serialized_parts", "records made")
    count(derive, "framed_parts", "records framed")
    count(derive.Deriver, "derive", "derived", lambda derived, *_: bytes_of(derived))
    count(records.ShardWriter, "write", "shards given", lambda _, __, framed, *___: len(framed))
    monkeypatch.setattr(
        records, "disk", SimpleNamespace(create=lambda path, buffering: _Counted(path, buffering, counts))
    )
    count(samples.SamplesWriter, "write", "row groups")
    return counts


def bytes_of(derived: derive.Derived) -> int:
    return sum(map(len, derived.records))


class _Counted:
    """A file whose writes are counted."""

    def __init__(self, path: str, buffering: int, counts: Counts) -> None:
        self._file = disk.create(path, buffering)
        self.write = counts.of("shards written", self._file.write, lambda _, data: len(data))
        self.close = self._file.close


def test_an_image_is_decoded_resized_digested_and_copied_as_seldom_as_can_be(plan, counts, tmp_path):
    writer = GroupWriter(plan, run_of(tmp_path / "in", tmp_path / "out"), processes=1)
    counts.clear()  # of the canary, which is tried once a process
    writer.write(group_of(plan, tmp_path / "in"), lambda *_, **__: None)
    writer.close()
    assert counts == {
        "files read": SOURCES,
        "files digested": SOURCES,
        "decodes": SOURCES,
        "runs of kernels": SOURCES + SAMPLES,
        "kernel Resize": SOURCES,
        "kernel Window": SAMPLES,
        "kernel Levels": SAMPLES,
        "kernel Adapt": SAMPLES,
        "pixels digested": SAMPLES,
        "pixels digested, bytes": PIXELS,
        "encodes": GOES,
        "encodes, bytes": PIXELS,
        "records made": SAMPLES,
        "records framed": SAMPLES,
        # From here on, what a record holds is copied once to bring records together, and once to the file.
        "derived": GOES,
        "derived, bytes": RECORDS,
        "shards given": GOES * COPIES,
        "shards given, bytes": RECORDS,
        "shards written": GOES * COPIES,
        "shards written, bytes": RECORDS,
        "row groups": COPIES,
    }


def test_c8_a_large_source_is_not_kept_while_the_next_is_decoded(plan, monkeypatch, tmp_path):
    monkeypatch.setattr(derive, "NEAR", 1)  # by which all are large
    decode, decoded = derive.codec.decode, list[weakref.ref[np.ndarray]]()

    def one_at_a_time(*arguments: Any) -> np.ndarray:
        assert not any(image() is not None for image in decoded)
        image = decode(*arguments)
        decoded.append(weakref.ref(image))
        return image

    monkeypatch.setattr(derive.codec, "decode", one_at_a_time)
    writer = GroupWriter(plan, run_of(tmp_path / "in", tmp_path / "out"), processes=1)
    writer.write(group_of(plan, tmp_path / "in"), lambda *_, **__: None)
    writer.close()
    assert len(decoded) == SOURCES


@pytest.fixture
def with_processes(plan, tmp_path, monkeypatch) -> Iterator[GroupWriter]:
    """A writer whose processes are ready, so that nothing is derived here any more."""
    monkeypatch.setattr(processes, "WORTH_IT", 0)
    writer = GroupWriter(plan, run_of(tmp_path / "in", tmp_path / "out"), processes=2)
    pool, [source] = writer._pool, group_of(plan, tmp_path / "in").sources[:1]
    for _ in range(2):
        pool.derive([derive.Member(*source[:2])], [0]).result()
    while not all(process.ready for process in pool._processes):
        time.sleep(0.01)
    pool.derive([derive.Member(*source[:2])], [0]).result()
    yield writer
    writer.close()


def test_processes_hand_over_some_sources_at_a_time(plan, with_processes, counts, monkeypatch, tmp_path):
    monkeypatch.setattr(Connection, "send", counts.of("sent", Connection.send))
    received = counts.of("received", processes._taken_over, lambda derived, _: bytes_of(derived))
    monkeypatch.setattr(processes, "_taken_over", received)
    with_processes.write(group_of(plan, tmp_path / "in"), lambda *_, **__: None)
    goes = 2 * GOES
    assert counts == {
        "sent": goes,
        "received": goes,
        "received, bytes": RECORDS,
        "shards given": goes * COPIES,
        "shards given, bytes": RECORDS,
        "shards written": goes * COPIES,
        "shards written, bytes": RECORDS,
        "row groups": COPIES,
    }
