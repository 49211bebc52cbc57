"""How far a run is: each worker notes its samples in a file, the launcher adds up; and its end by Ctrl-C.

Files serve alike in one process, in several, and on a cluster. In an object store every one of them is a
request, so there they are written and looked at more seldom, and only notes that changed are read.
"""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from typing import Any

from tqdm import tqdm

from pipelines import storage
from pipelines.format.layout import PROGRESS, STOP
from pipelines.materialize.plan_file import saved_plan
from pipelines.plan import Plan


class Stopped(Exception):
    """The launcher was stopped."""


def stop(output: str) -> None:
    """Has all workers leave a run alone. Flink's job server, for one, has no way to end a job."""
    storage.at(output).write(STOP, "")


class Progress:
    """Counts the samples that are done of one group. Called with how many more there are.

    Entering it, and now and then a call, raises Stopped if the run was stopped.
    """

    def __init__(self, output: str, group: str) -> None:
        self._output, self._name = storage.at(output), f"{PROGRESS}/{group}"
        self._done, self._noted = 0, time.monotonic()

    def __call__(self, samples: int) -> None:
        self._done += samples
        if time.monotonic() - self._noted > self._output.look_every:
            self._note()
            self._check()

    def _check(self) -> None:
        with contextlib.suppress(OSError):  # a store that does not answer; the next look is soon
            if self._output.size(STOP) is not None:
                raise Stopped

    def _note(self) -> None:
        self._noted = time.monotonic()
        self._output.note(self._name, str(self._done))

    def __enter__(self) -> Progress:
        self._check()
        return self

    def __exit__(self, *_: Any) -> None:
        self._note()


class ProgressBar:
    """A bar on the terminal while the context lasts; nothing where there is no terminal."""

    def __init__(self, output: str) -> None:
        self._output = storage.at(output)
        self._notes: dict[str, tuple[str, int]] = {}
        """by name: which version was read, and what stood there"""
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
            if bar.disable:
                return
            while not self._stop.wait(self._output.look_every):
                if bar.total is None and (plan := self._plan()):
                    bar.total = sum(p.sources * len(plan.copies(s)) for s, p in plan.splits.items())
                    bar.set_description("writing")
                    bar.unpause()
                bar.update(self._samples() - bar.n)
            if not self._output.ahead:  # else a last look would hold up the end
                bar.update(self._samples() - bar.n)

    def _plan(self) -> Plan | None:
        with contextlib.suppress(OSError):
            return saved_plan(self._output.path)
        return None

    def _samples(self) -> int:
        with contextlib.suppress(OSError):  # the job has its own requests; this one can wait
            for entry in self._output.list(PROGRESS):
                if self._output.ahead and self._stop.is_set():
                    break
                if self._notes.get(entry.name, ("", 0))[0] != entry.version:
                    samples = int(self._output.read(f"{PROGRESS}/{entry.name}") or 0)
                    self._notes[entry.name] = entry.version, samples
        return sum(samples for _, samples in self._notes.values())
