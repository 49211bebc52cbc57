"""A lock in an object store, which has none that ends with a process.

An object says who writes, and is written anew now and then. Who finds one watches it: whether it is ever
another version, by the clock of this machine alone, says whether its run goes on. One that nobody renews is
taken over; the store itself says which of two comes first. A run whose lock was taken over, since its
machine slept for one, ends.
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
from types import TracebackType
from typing import TYPE_CHECKING, Any

from augment.errors import RequestError
from pipelines.storage.location import reason

if TYPE_CHECKING:
    from pipelines.storage.objects import Objects

RENEWED = 30.0
"""Seconds after which a lock is written anew."""

STALE = 150.0
"""Seconds after which a lock that was not is nobody's."""

LOOK = 5.0
"""Seconds between two looks at the lock of another run."""


class Lease:
    """Holds a directory of a store by an object in it."""

    def __init__(self, directory: Objects, name: str) -> None:
        self._directory, self._name = directory, name
        self._token = uuid.uuid4().hex
        self._version: str | None = None
        self._written = 0
        self._one_at_a_time = threading.Lock()  # a run may ask while it is renewed
        self._ended = threading.Event()
        self._renewing = threading.Thread(target=self._renew, daemon=True)

    def __enter__(self) -> Lease:
        try:
            self._version = self._look_for_another()
            if not self.is_held():
                raise self._other("another run is writing to it; wait for its end")
        except OSError as error:
            raise self._other(reason(error)) from None
        self._renewing.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._renewing.join()
        with contextlib.suppress(OSError):  # how the run ended is what the user has to know
            if self.is_held():  # else it is another run's by now
                self._directory.remove(self._name)
                self._directory.remove_empty(self._name.rpartition("/")[0])

    def is_held(self) -> bool:
        """Writes it anew, each time with other contents: to some stores a version is what is in an object."""
        with self._one_at_a_time:
            self._written += 1
            said = {**_machine(), "process": os.getpid(), "token": self._token, "written": self._written}
            version = self._directory.replace(self._name, json.dumps(said).encode(), self._version)
            if version is None:  # perhaps it was, and the answer got lost: clients ask again by themselves
                version, there = self._look()
                if there.get("token") != self._token:
                    return False
            self._version = version
            return True

    def _look_for_another(self) -> str | None:
        """The version of what is there and is nobody's, None if nothing is. Raises RequestError."""
        version, said = self._look()
        if "process" not in said or _died_here(said):
            return version
        who = f"(process {said['process']} on {said.get('host')})"
        sys.stderr.write(
            f"augshard: output {self._directory.path}: another run has it {who}; whether it goes on shows "
            f"within {STALE:.0f} s\n"
        )
        since = time.monotonic()
        while time.monotonic() - since < STALE:
            time.sleep(LOOK)
            now = self._directory.version(self._name)
            if now is None:
                return None
            if now != version:
                raise self._other(f"another run is writing to it {who}; wait for its end")
        return version

    def _renew(self) -> None:
        """Until it is no longer needed. Ends the process if another run has taken it over.

        By then the other writes, perhaps what another request asks for. Nothing softer will do: the work
        is in the hands of an engine, and a mark for workers to stop would stop those of the other.
        """
        while not self._ended.wait(RENEWED):
            with contextlib.suppress(OSError):  # there is time to try it again
                if not self.is_held():
                    sys.stderr.write(
                        f"augshard: output {self._directory.path}: this run's lock is gone, as when another "
                        f"takes over after {STALE:.0f} s of silence; this run ends here\n"
                    )
                    sys.stderr.flush()
                    os._exit(1)

    def _look(self) -> tuple[str | None, dict[str, Any]]:
        """The version of what is there, None if nothing is, and what it says."""
        version = self._directory.version(self._name)
        if version is None:
            return None, {}
        try:
            return version, json.loads(self._directory.read(self._name))
        except FileNotFoundError:  # its run has ended since
            return None, {}
        except ValueError:  # the lock of a disk, empty, which was copied up with all else
            return version, {}

    def _other(self, why: str) -> RequestError:
        return RequestError(f"output {self._directory.path}: {why}")


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
