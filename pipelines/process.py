"""How a command speaks and ends: its streams, and the signals that stop it.

Nothing here is imported that takes time.
"""

from __future__ import annotations

import errno
import faulthandler
import gc
import io
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TextIO

_GONE = (errno.EPIPE, errno.EIO, errno.EBADF)
"""What is said of a stream that nobody reads any more: a pipe, a terminal that was closed."""

_AT_ONCE = 1.0
"""Seconds within which two signals are one: `timeout`, for one, sends each to a process and to its group."""


def in_utf_8() -> None:
    """Begins this process anew where Python takes the names of files for another encoding than UTF-8.

    As PYTHONUTF8=0 and the locales of old have it: what was typed would have other names than what is found.
    The streams keep their encoding.
    """
    if sys.getfilesystemencoding() == "utf-8":
        return
    os.environ.setdefault("PYTHONIOENCODING", sys.stdout.encoding if sys.stdout else "utf-8")
    os.environ["PYTHONUTF8"] = "1"  # for workers
    os.execv(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]])  # noqa: S606


class _Stream(io.TextIOWrapper):
    """Where text goes: any text, and that nobody reads it stops no work."""

    def __init__(self, number: int, before: TextIO | None, *, must_arrive: bool) -> None:
        raw = io.FileIO(number, "w", closefd=False)
        encoding = before.encoding if before else "utf-8"
        lines = raw.isatty() or not must_arrive
        super().__init__(io.BufferedWriter(raw), encoding, "backslashreplace", line_buffering=lines)
        self._must_arrive = must_arrive

    def write(self, text: str, /) -> int:
        """As of any stream."""
        with self._outliving():
            super().write(text)
        return len(text)

    def flush(self) -> None:
        """As of any stream."""
        with self._outliving():
            super().flush()

    @contextmanager
    def _outliving(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.fileno())  # from now on, also for what is still in buffers
            os.close(nowhere)
            if self._must_arrive and error.errno not in _GONE:  # but on a full disk, say
                raise OSError(error.errno, error.strerror, "standard output") from None


@contextmanager
def streams() -> Iterator[None]:
    """Has sys.stdout and sys.stderr take any text, and outlive their readers, while the context lasts.

    What libraries in C write to stderr meanwhile (of a damaged image, say, without its name) is dropped;
    Python's own errors, and where it crashed, are not.
    """
    for number in range(3):  # a closed one would be the next file that is opened, and get what is printed
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    before, terminal = (sys.stdout, sys.stderr), os.dup(2)
    try:
        if sys.stdout is sys.__stdout__:  # else it is somebody's who calls us, as in tests
            sys.stdout = _Stream(1, sys.stdout, must_arrive=True)
        if sys.stderr is sys.__stderr__:
            sys.stderr = _Stream(terminal, sys.stderr, must_arrive=False)
            faulthandler.enable(terminal, all_threads=False)
        with unheard():
            yield
        sys.stdout.flush()
    finally:
        sys.stdout, sys.stderr = before


@contextmanager
def unheard(into: int | None = None) -> Iterator[None]:
    """Drops what is written to the descriptor of stderr, or has it written to another one."""
    sys.stderr.flush()
    stderr, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere if into is None else into, 2)
    try:
        yield
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
        os.close(nowhere)


@contextmanager
def starting() -> Iterator[None]:
    """Python looks for no garbage while the context lasts, or until `started`.

    To import Beam and to build a pipeline takes many objects, which stay: to look through them time and
    again is a fifth of the start.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.unfreeze()
        gc.enable()


def started() -> None:
    """What there is by now is not looked at again; what comes from here on is."""
    if not gc.isenabled():
        gc.freeze()
        gc.enable()


class Signals:
    """Which signal asked a command to stop."""

    def __init__(self) -> None:
        self.number = 0
        """0: none did"""
        self._came = 0.0

    def stop(self, number: int, _: FrameType | None) -> None:
        """The handler: the first one stops as Ctrl-C does, another one ends the process at once."""
        if not self.number:
            self.number, self._came = number, time.monotonic()
            raise KeyboardInterrupt
        if time.monotonic() - self._came > _AT_ONCE:
            os._exit(128 + number)

    def stop_as_ctrl_c(self, number: int, frame: FrameType | None) -> None:
        """The same for other signals, by way of whoever handles SIGINT by now: Beam, to end a job server."""
        handler = signal.getsignal(signal.SIGINT)
        if callable(handler) and handler != self.stop:
            handler(number, frame)
        self.stop(number, frame)

    @property
    def status(self) -> int:
        """The exit status of a command that was stopped."""
        return 128 + (self.number or signal.SIGINT)


@contextmanager
def signals() -> Iterator[Signals]:
    """Has SIGTERM and SIGHUP stop a command as SIGINT does while the context lasts: by KeyboardInterrupt."""
    stopped, before = Signals(), {}
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) != signal.SIG_IGN:  # as nohup has it, or a shell
                stop = stopped.stop if number == signal.SIGINT else stopped.stop_as_ctrl_c
                before[number] = signal.signal(number, stop)
    try:
        yield stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
