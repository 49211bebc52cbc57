"""How far a run is: each worker notes its samples in a file, the launcher adds up; and its end by Ctrl-C.

Files serve alike in one process, in several, and on a cluster. In an object store every one of them is a
request, so there they are written and looked at more seldom, and only notes that changed are read.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from collections.abc import Iterable
from typing import Any

from tqdm import tqdm

from pipelines import files
from pipelines.format.layout import PROGRESS, STOP
from pipelines.materialize.files import write_file
from pipelines.materialize.plan_file import saved_plan
from pipelines.plan import Plan


def _every(output: str) -> float:
    """Seconds between two looks."""
    return 10 if files.is_remote(output) else 0.25


class Stopped(Exception):
    """The launcher was stopped."""


def stop(output: str) -> None:
    """Has all workers leave a run alone. Flink's job server, for one, has no way to end a job."""
    write_file(output, STOP, "")


class Progress:
    """Counts the samples that are done of one group. Called with how many more there are.

    `kept` are those that were there before: no part of what a run does in its time.
    Entering it, and now and then a call, raises Stopped if the run was stopped.
    """

    def __init__(self, output: str, group: str) -> None:
        self._path = os.path.join(output, PROGRESS, group)
        self._stop = os.path.join(output, STOP)
        self._every = _every(output)
        self._done, self._kept, self._noted = 0, 0, time.monotonic()
        if not files.is_remote(output):
            os.makedirs(os.path.dirname(self._path), exist_ok=True)

    def __call__(self, samples: int, *, kept: bool = False) -> None:
        self._done += samples
        self._kept += samples * kept
        if time.monotonic() - self._noted > self._every:
            self._note()
            self._check()

    def _check(self) -> None:
        with contextlib.suppress(OSError):  # a store that does not answer; the next look is soon
            if files.size(self._stop) is not None:
                raise Stopped

    def _note(self) -> None:
        self._noted = time.monotonic()
        if files.is_remote(self._path):
            with contextlib.suppress(OSError):  # no reason to fail the work
                files.write(self._path, f"{self._done} {self._kept}".encode())
            return
        with open(self._path, "w", encoding="ascii") as file:
            file.write(f"{self._done} {self._kept}")

    def __enter__(self) -> Progress:
        self._check()
        return self

    def __exit__(self, *_: Any) -> None:
        self._note()


LINES = 10.0
"""Seconds between two lines, where there is no terminal for a bar."""

_Counts = tuple[int, int]
"""Samples that are done, and how many of them were there before."""


class ProgressBar:
    """A bar on the terminal while the context lasts; where there is no terminal a line now and then."""

    def __init__(self, output: str) -> None:
        self._output = output
        self._every = _every(output)
        self._notes: dict[str, tuple[str, _Counts]] = {}
        """of objects, by name: which version was read, and what stood there"""
        self._terminal = sys.stderr  # which may be another one when the thread begins
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> ProgressBar:
        self._thread.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        with tqdm(
            desc="listing",
            unit=" images",
            file=self._terminal,
            disable=None,
            smoothing=0.1,
            dynamic_ncols=True,
        ) as bar:
            began = time.monotonic()
            while not self._stop.wait(LINES if bar.disable else self._every):
                if bar.total is None and (plan := self._plan()):
                    bar.total = sum(p.sources * len(plan.copies(s)) for s, p in plan.splits.items())
                    began = time.monotonic()
                    bar.set_description("writing")
                    bar.unpause()
                if bar.disable:
                    self._terminal.write(_line(*self._samples(), bar.total, time.monotonic() - began))
                else:
                    self._show(bar)
            if not (bar.disable or files.is_remote(self._output)):  # where a last look would hold up the end
                self._show(bar)

    def _show(self, bar: tqdm) -> None:
        done, kept = self._samples()
        new = kept - bar.initial
        bar.initial, bar.n, bar.last_print_n = kept, bar.n + new, bar.last_print_n + new
        bar.update(done - bar.n)

    def _plan(self) -> Plan | None:
        with contextlib.suppress(OSError):
            return saved_plan(self._output)
        return None

    def _samples(self) -> _Counts:
        if files.is_remote(self._output):
            return self._remote_samples()
        noted: list[_Counts] = []
        try:
            with os.scandir(os.path.join(self._output, PROGRESS)) as notes:
                for note in notes:
                    with open(note.path, encoding="ascii") as file:
                        noted.append(_counts(file.read()))
        except FileNotFoundError:
            pass
        return _sum(noted)

    def _remote_samples(self) -> _Counts:
        notes = os.path.join(self._output, PROGRESS)
        with contextlib.suppress(OSError):  # the job has its own requests; this one can wait
            for entry in files.below(notes):
                if self._stop.is_set():
                    break
                if entry.name not in self._notes or self._notes[entry.name][0] != entry.version:
                    noted = _counts(files.read(os.path.join(notes, entry.name)).decode())
                    self._notes[entry.name] = entry.version, noted
        return _sum(noted for _, noted in self._notes.values())


def _counts(note: str) -> _Counts:
    done, kept = map(int, note.split() or (0, 0))  # nothing stands there while it is written anew
    return done, kept


def _sum(counts: Iterable[_Counts]) -> _Counts:
    each = list(counts)
    return sum(done for done, _ in each), sum(kept for _, kept in each)


def _line(done: int, kept: int, total: float | None, seconds: float) -> str:
    """How far a run is after so many seconds of writing; `total` is None while it lists."""
    if total is None:
        return "augshard: listing\n"
    rate = (done - kept) / max(seconds, 1)
    left = f", {tqdm.format_interval((total - done) / rate)} left" if rate else ""
    return f"augshard: {done:,} of {total:,.0f} images, {rate:,.0f} images/s{left}\n"
