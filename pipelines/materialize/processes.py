"""Who derives the samples: processes of one thread each, for threads would wait in turn for Python's lock.

A process imports what derives a sample and no more: neither Beam nor, on the host, TensorFlow. It reads
its sources itself, and sends back records that only need to be written. It ends when its launcher's end of
the connection is closed, by whatever death.

    parent: Pool(...).derive(members, copies) -> Future[Derived]
    child:  is given what a Deriver is made of; then reads (members, copies), and writes a Derived or what was
            raised, until nothing comes any more

A process is asked for the next samples before it has handed over the last, which takes its while.
"""

from __future__ import annotations

import contextlib
import gc
import os
import queue
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from augment.augmenter import CORES
from augment.errors import OpError
from pipelines.materialize.derive import Derived, Deriver, Member, PassingFault

WORTH_IT = 2.0
"""Seconds of one core's work from which on processes are started; each takes about 0.6 until it is ready."""


ASKED_AT_ONCE = 2
"""Requests that a process has at most: the one it is deriving, and the one that comes next."""


class ProcessEnded(Exception):
    """A process that derives ended before its time; says how."""


class Pool:
    """Derives with some of the machine's cores, a part of the sources each.

    It begins in this process, and goes on in others once these are ready, if what is left is worth their
    start. With the device backend it stays here: its threads need no lock, and its memory is large.

    Args:
        count: of processes; with 1 none is started.
        sources: how many there may be in all.
        made_of: what `Deriver` takes.
    """

    def __init__(self, count: int, sources: int, *made_of: Any) -> None:
        self.here = Deriver(*made_of)
        on_device = self.here.augmenters.computed_by == "device"
        self.count = CORES if on_device else count
        self._may_start = count > 1 and not on_device
        self._sources, self._made_of = sources, made_of
        self._processes: list[_Process] = []
        self._taking_up: list[threading.Thread] = []
        self._seconds: list[float] = []
        """that a source took here, on average of those that were derived in one go"""
        self._idle: queue.SimpleQueue[Deriver | _Process] = queue.SimpleQueue()
        for _ in range(CORES if on_device else 1):
            self._idle.put(self.here)
        self._threads = ThreadPoolExecutor(ASKED_AT_ONCE * self.count)

    @property
    def processes(self) -> int:
        """How many derive by now."""
        return max(1, sum(process.ready for process in self._processes))

    def derive(self, members: Sequence[Member], copies: Sequence[int]) -> Future[Derived]:
        """As `Deriver.derive`, by whoever is free first. The outcome may also be ProcessEnded."""
        return self._threads.submit(self._derive, members, copies)

    def _derive(self, members: Sequence[Member], copies: Sequence[int]) -> Derived:
        deriver = self._idle.get()
        began = time.perf_counter()
        try:
            return deriver.derive(members, copies)
        finally:
            if self._may_start and deriver is self.here:
                self._seconds.append((time.perf_counter() - began) / len(members))
                self._start_if_worth_it()
            if deriver is not self.here or not any(process.ready for process in self._processes):
                self._idle.put(deriver)

    def _start_if_worth_it(self) -> None:
        """Not by the first time, in which libraries are loaded."""
        left = self._sources * min(self._seconds[1:], default=0)
        if self._processes or left < WORTH_IT:
            return
        self._processes = [_Process(self._made_of) for _ in range(self.count)]
        for process in self._processes:
            self._taking_up.append(threading.Thread(target=self._take_up, args=(process,), daemon=True))
            self._taking_up[-1].start()

    def _take_up(self, process: _Process) -> None:
        process.await_ready()
        for _ in range(ASKED_AT_ONCE):
            self._idle.put(process)

    def close(self) -> None:
        """Ends the processes, which hold nothing but what they are deriving."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._kill()
        self._threads.shutdown()
        self._kill()  # those that a thread was just starting
        for thread in self._taking_up:
            thread.join()
        for process in self._processes:
            process.close()

    def _kill(self) -> None:
        for process in self._processes:
            process.kill()


class _Process:
    """A `Deriver` in a process of its own."""

    def __init__(self, made_of: tuple[Any, ...]) -> None:
        self._connection, its = Pipe()
        # By the paths of this process alone: Python would look into the working directory first.
        start = f"import sys; sys.path[:] = sys.argv[2:]; from {__name__} import main; main()"
        # A session of its own, for Ctrl-C goes to all of a terminal, and the launcher is who answers it.
        self._process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-c", start, str(its.fileno()), *sys.path],
            pass_fds=[its.fileno()],
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        its.close()
        self._made_of = made_of
        self.ready = False
        self._asking, self._answering = threading.Lock(), threading.Condition()
        self._asked = self._answered = 0

    def await_ready(self) -> None:
        """Returns once it can derive, or has ended, of which the first request tells."""
        with contextlib.suppress(EOFError, OSError):
            self._connection.send(self._made_of)
            self._connection.recv()
        self.ready = True

    def derive(self, members: Sequence[Member], copies: Sequence[int]) -> Derived:
        try:
            with self._asking:
                self._connection.send((members, copies))
                place, self._asked = self._asked, self._asked + 1
            outcome = self._answer(place)
        except (EOFError, OSError):
            status = self._process.wait()
            how = f"by signal {-status}" if status < 0 else f"with status {status}"
            raise ProcessEnded(
                f"a process that derives samples ended {how}; if the machine ran out of memory, give it "
                "more, or fewer cores, and run the same command again"
            ) from None
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    def _answer(self, place: int) -> Any:
        """That of the request of this number, which comes after those before it."""
        with self._answering:
            self._answering.wait_for(lambda: self._answered == place)
            try:
                return _taken_over(self._connection)
            finally:
                self._answered += 1
                self._answering.notify_all()

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        self._connection.close()


def main() -> None:
    """What a process does, which is given the number of its end of the connection."""
    connection = Connection(int(sys.argv[1]))
    with contextlib.suppress(EOFError, OSError):  # the launcher has gone, or wants no more
        deriver = Deriver(*connection.recv())
        deriver.augmenters.computed_by  # noqa: B018 (tries the canary)
        gc.freeze()  # what is loaded by now stays, and need not be looked through again
        connection.send("ready")
        with ThreadPoolExecutor(1) as sender:
            handed_over: Future[None] | None = None
            while True:
                outcome = _outcome(deriver, *connection.recv())
                if handed_over:
                    handed_over.result()
                handed_over = sender.submit(_hand_over, connection, outcome)


def _outcome(deriver: Deriver, members: Sequence[Member], copies: Sequence[int]) -> Derived | Exception:
    try:
        return deriver.derive(members, copies)
    except (PassingFault, OpError) as fault:
        return type(fault)(str(fault))
    except Exception:  # noqa: BLE001 (it is raised again over there, with where it came from)
        return RuntimeError(traceback.format_exc())


def _hand_over(connection: Connection, outcome: Derived | Exception) -> None:
    """To the other end. Records are large: a pickle would copy them, so they go behind it as they are."""
    if not isinstance(outcome, Derived):
        connection.send((outcome, ()))
        return
    connection.send((outcome._replace(records=[]), [len(records) for records in outcome.records]))
    for records in outcome.records:
        left = memoryview(records)
        while left:
            left = left[os.write(connection.fileno(), left) :]


def _taken_over(connection: Connection) -> Any:
    """What `_hand_over` was given. Raises EOFError if its process has ended before it was through."""
    outcome, sizes = connection.recv()
    for size in sizes:
        outcome.records.append(np.empty(size, np.uint8).data)  # a bytearray would be filled with zeros first
        left = outcome.records[-1]
        while left:
            count = os.readv(connection.fileno(), [left])
            if not count:
                raise EOFError
            left = left[count:]
    return outcome
