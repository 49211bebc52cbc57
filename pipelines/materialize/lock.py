"""One run at a time for an output: two requests that write to one at once would leave neither.

On a disk the system keeps the lock, and lets go of it however a process ends. A store has nothing of the
kind: there an object says who writes, and is written anew now and then. A run that finds one which nobody
renewed for a while takes it over; the store itself says which of two comes first. A run whose lock was
taken over, since its machine slept for one, ends.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from augment.errors import RequestError
from pipelines import files
from pipelines.format.layout import FORMER_MANIFEST, FORMER_PLAN, JOB, LOCK, PLAN, WORK

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
        with contextlib.suppress(OSError):  # how the run ended is what the user has to know
            if lease.write():  # else it is another run's by now
                files.remove(lease.url if _begun(output) else os.path.join(output, WORK))


def _begun(output: str) -> bool:
    """Whether there is something to go on with: a plan, a job that nobody waits for, a half-empty output."""
    going_on = (PLAN, JOB, FORMER_MANIFEST, FORMER_PLAN)
    return any(files.size(os.path.join(output, name)) is not None for name in going_on)


class _Lease:
    """A lock in a store."""

    def __init__(self, output: str) -> None:
        self._output, self.url = output, os.path.join(output, WORK, LOCK)
        self._token = uuid.uuid4().hex
        self._version: str | None = None

    def take(self) -> None:
        """Raises RequestError if another run has it, and OSError."""
        self._version, said = self._look()
        silent = time.time() - said.get("renewed", 0)
        if silent < STALE and not _died_here(said):
            raise RequestError(
                f"output {self._output}: another run is writing to it (process {said['process']} on "
                f"{said['host']}); wait for its end or, if it was killed, for {STALE - silent:.0f} s"
            )
        if not self.write():
            raise RequestError(f"output {self._output}: another run is writing to it; wait for its end")

    def renew(self, ended: threading.Event) -> None:
        """Until it is no longer needed. Ends the process if another run has taken it over.

        By then the other writes, perhaps what another request asks for. Nothing softer will do: the work
        is in the hands of an engine, and a mark for workers to stop would stop those of the other.
        """
        while not ended.wait(RENEWED):
            with contextlib.suppress(OSError):  # there is time to try it again
                if not self.write():
                    sys.stderr.write(
                        f"augshard: output {self._output}: this run's lock is gone, as when another takes "
                        f"over after {STALE} s of silence; this run ends here\n"
                    )
                    sys.stderr.flush()
                    os._exit(1)

    def write(self) -> bool:
        """Whether it is this run's, written anew. Raises OSError if that is not known."""
        said = {**_machine(), "process": os.getpid(), "renewed": time.time(), "token": self._token}
        version = files.replace(self.url, json.dumps(said).encode(), self._version)
        if version is None:  # perhaps it was, and the answer got lost: clients ask again by themselves
            version, there = self._look()
            if there.get("token") != self._token:
                return False
        self._version = version
        return True

    def _look(self) -> tuple[str | None, dict[str, Any]]:
        """The version of what is there, None if nothing is, and what it says."""
        version = files.version(self.url)
        if version is None:
            return None, {}
        try:
            return version, json.loads(files.read(self.url))
        except FileNotFoundError:  # its run has ended since
            return None, {}
        except ValueError:  # the lock of a disk, empty, which was copied up with all else
            return version, {}


def _machine() -> dict[str, str]:
    """By what a process's number tells a process: the host, and if the system says so what it began as."""
    said = {"host": platform.node()}
    with contextlib.suppress(OSError):
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            said["boot"] = file.read().strip()
        said["processes"] = os.readlink("/proc/self/ns/pid")  # containers have their own
    return said


def _died_here(said: dict[str, Any]) -> bool:
    """Whether the process of a lock was on this machine, beyond doubt, and is no more."""
    here = _machine()
    if "processes" not in here or any(said.get(name) != value for name, value in here.items()):
        return False
    try:
        os.kill(said["process"], 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass
    return False
