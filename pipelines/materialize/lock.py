"""One run at a time for an output: two requests that write to one at once would leave neither.

On a disk the system keeps the lock, and lets go of it however a process ends. A store has nothing of the
kind: there an object says who writes, and is written anew now and then. A run that finds one which nobody
renewed for a while takes it over; the store itself says which of two comes first.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from augment.errors import RequestError
from pipelines import files
from pipelines.format.layout import JOB, LOCK, PLAN, WORK

RENEWED = 30
"""Seconds after which a lock in a store is written anew."""

STALE = 150
"""Seconds after which a lock that was not is nobody's."""


@contextmanager
def only_run(output: str) -> Iterator[None]:
    """Holds the output for one run. Raises RequestError if another run has it.

    What was never begun, or is finished, is left without traces of the work.
    """
    with _lease(output) if files.is_remote(output) else _flock(output):
        yield


@contextmanager
def _flock(output: str) -> Iterator[None]:
    new = not os.path.isdir(output)
    os.makedirs(os.path.join(output, WORK), exist_ok=True)
    with open(os.path.join(output, WORK, LOCK), "w", encoding="ascii") as lock:
        files.hold(lock, output)
        try:
            yield
        finally:
            if not _begun(output):
                files.remove(os.path.join(output, WORK))
                if new and not os.listdir(output):
                    os.rmdir(output)


@contextmanager
def _lease(output: str) -> Iterator[None]:
    lease = _Lease(output)
    try:
        lease.take()
    except OSError as error:
        raise RequestError(f"output {output}: {files.reason(error)}") from None
    ended = threading.Event()
    renewing = threading.Thread(target=lease.renew, args=(ended,), daemon=True)
    renewing.start()
    try:
        yield
    finally:
        ended.set()
        renewing.join()
        if lease.held:
            files.remove(os.path.join(output, WORK, LOCK) if _begun(output) else os.path.join(output, WORK))


def _begun(output: str) -> bool:
    """Whether there is something to go on with: a plan, or a job that nobody waits for."""
    return any(files.size(os.path.join(output, name)) is not None for name in (PLAN, JOB))


class _Lease:
    """A lock in a store."""

    def __init__(self, output: str) -> None:
        self._output, self._url = output, os.path.join(output, WORK, LOCK)
        self._version: str | None = None

    @property
    def held(self) -> bool:
        """Whether nobody took it over."""
        return self._version is not None

    def take(self) -> None:
        """Raises RequestError if another run has it, and OSError."""
        self._version = files.version(self._url)
        if self._version is not None:
            holder = json.loads(files.read(self._url))
            silent = time.time() - holder["renewed"]
            if silent < STALE and not _died_here(holder["host"], holder["process"]):
                raise RequestError(
                    f"output {self._output}: another run is writing to it (process {holder['process']} on "
                    f"{holder['host']}); wait for its end or, if it was killed, for {STALE - silent:.0f} s"
                )
        self._write()
        if not self.held:
            raise RequestError(f"output {self._output}: another run is writing to it; wait for its end")

    def renew(self, ended: threading.Event) -> None:
        """Until it is no longer needed, or another run has taken it over."""
        while self.held and not ended.wait(RENEWED):
            with contextlib.suppress(OSError):  # there is time to try it again
                self._write()

    def _write(self) -> None:
        holder = {"host": platform.node(), "process": os.getpid(), "renewed": time.time()}
        self._version = files.replace(self._url, json.dumps(holder).encode(), self._version)


def _died_here(host: str, process: int) -> bool:
    """Whether a process was on this machine, and is no more."""
    if host != platform.node():
        return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass
    return False
