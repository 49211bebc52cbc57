"""How far a run is: each worker notes what is done in a file, the launcher adds up; and its end by Ctrl-C.

Files serve alike in one process, in several, and on a cluster. In an object store every one of them is a
request, so there they are written and looked at more seldom, and only notes that changed are read.

A runner's counters tell less: Flink's job server has none before a job's end, nor has the embedded runner.
"""

from __future__ import annotations

import contextlib
import threading
import time
import uuid
from collections.abc import Callable
from typing import Any

from pipelines import storage
from pipelines.format.layout import PLANNED, PROGRESS, STOP
from pipelines.materialize.plan_file import saved_plan
from pipelines.plan import Plan
from pipelines.progress import Bar


class Stopped(Exception):
    """The launcher was stopped."""


def stop(output: str) -> None:
    """Has all workers leave a run alone. Flink's job server, for one, has no way to end a job."""
    storage.at(output).write(STOP, "")


class Listed:
    """Counts the files that one worker has listed. Called for each."""

    def __init__(self, output: str) -> None:
        self._output, self._name = storage.at(output), f"{PROGRESS}/{_LISTED}-{uuid.uuid4().int}"
        self._files, self._noted = 0, time.monotonic()

    def __call__(self) -> None:
        self._files += 1
        if time.monotonic() - self._noted > self._output.look_every:
            self._noted = time.monotonic()
            self._output.note(self._name, f"{self._files} 0")


class Progress:
    """Counts the samples that are done of one group. Called with how many more there are.

    `kept` are those that were there before: no part of what a run does in its time, nor of what `counter`
    is told, which is the runner's.
    Entering it, and now and then a call, raises Stopped if the run was stopped.
    """

    def __init__(self, output: str, group: str, counter: Callable[[int], Any] = lambda _: None) -> None:
        self._output, self._name, self._counter = storage.at(output), f"{PROGRESS}/{group}", counter
        self._done, self._kept, self._noted = 0, 0, time.monotonic()

    def __call__(self, samples: int, *, kept: bool = False) -> None:
        self._done += samples
        self._kept += samples * kept
        if not kept:
            self._counter(samples)
        if time.monotonic() - self._noted > self._output.look_every:
            self._note()
            self._check()

    def _check(self) -> None:
        with contextlib.suppress(OSError):  # a store that does not answer; the next look is soon
            if self._output.size(STOP) is not None:
                raise Stopped

    def _note(self) -> None:
        self._noted = time.monotonic()
        self._output.note(self._name, f"{self._done} {self._kept}")

    def __enter__(self) -> Progress:
        self._check()
        return self

    def __exit__(self, *_: Any) -> None:
        self._note()


_LISTED = "listed"
"""Begins the names of notes on the listing."""
_Counts = tuple[int, int]
"""Samples that are done, or files that are listed, and how many of them were there before."""


class ProgressBar:
    """A bar on the terminal while the context lasts; where there is no terminal a line now and then.

    `tell` is given the plan as soon as there is one, terminal or not.
    """

    def __init__(self, output: str, tell: Callable[[Plan], object]) -> None:
        self._output, self._tell = storage.at(output), tell
        self._plan: Plan | None = None
        self._notes: dict[str, tuple[str, _Counts]] = {}
        """by name: which version was read, and what stood there"""
        self._bar = Bar("listing", "files")
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> ProgressBar:
        self._thread.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        with self._bar as bar:
            while not self._stop.wait(self._output.look_every):
                if self._plan is None:
                    self._look_for_plan(bar)
                if bar.due:
                    self._show(bar)
            if self._plan is None:
                self._look_for_plan(bar)
            if not (bar.disable or self._output.ahead):  # where a last look would hold up the end
                self._show(bar)

    def _show(self, bar: Bar) -> None:
        done, kept = self._samples() if self._plan else self._noted(listing=True)
        bar.keep(kept)
        bar.update(done - bar.n)

    def _look_for_plan(self, bar: Bar) -> None:
        with contextlib.suppress(OSError):
            if self._output.size(PLANNED) is not None:
                self._plan = saved_plan(self._output.path)
        if self._plan is None:
            return
        bar.clear()
        self._tell(self._plan)
        total = sum(t.sources * len(t.copies) for s in self._plan.splits for t in self._plan.tiers(s))
        bar.begin("writing", "records", total)

    def _samples(self) -> _Counts:
        return self._noted(listing=False)

    def _noted(self, *, listing: bool) -> _Counts:
        with contextlib.suppress(OSError):  # the job has its own requests; this one can wait
            for entry in self._output.list(PROGRESS):
                if self._output.ahead and self._stop.is_set():
                    break
                if entry.name not in self._notes or self._notes[entry.name][0] != entry.version:
                    note = self._output.read(f"{PROGRESS}/{entry.name}").split()
                    done, kept = map(int, note or (0, 0))  # nothing stands there while it is written anew
                    self._notes[entry.name] = entry.version, (done, kept)
        noted = [counts for name, (_, counts) in self._notes.items() if name.startswith(_LISTED) == listing]
        return sum(done for done, _ in noted), sum(kept for _, kept in noted)
