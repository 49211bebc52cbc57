"""What a contestant takes: time, processor time, and memory with its children's.

Each (`run`) runs in a process of its own, on two sizes of input. The line through the two
has the steady state for its slope, and start-up is what does not depend on the size.
"""

from __future__ import annotations

import dataclasses
import os
import platform
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any

import psutil

ROOT = Path(__file__).resolve().parents[1]


@dataclasses.dataclass(frozen=True)
class Run:
    """What one process took."""

    images: int
    """how many it wrote"""
    importing: float
    """seconds until its modules were imported, and from its last image to its end"""
    seconds: float
    """the rest of its time"""
    cpu: float
    """seconds of processor time, on all cores"""
    peak: int
    """bytes of memory that it and its children held at most"""


@dataclasses.dataclass(frozen=True)
class Steady:
    """What two runs of one contestant come to."""

    rate: float
    """images/s in steady state"""
    cpu: float
    """seconds of processor time for an image"""
    startup: float
    """seconds that do not depend on the number of images"""
    peak: int
    """bytes, of the larger run"""


def steady(small: Run, large: Run) -> Steady:
    """The line through two runs."""
    images = large.images - small.images
    per_image = (large.seconds - small.seconds) / images
    return Steady(
        rate=1 / per_image,
        cpu=(large.cpu - small.cpu) / images,
        startup=large.importing + large.seconds - large.images * per_image,
        peak=large.peak,
    )


def machine() -> dict[str, Any]:
    """What figures were taken on."""
    return {"cores": os.cpu_count(), "machine": platform.machine(), "python": platform.python_version()}


def aligned(rows: Sequence[Sequence[str]], left: int = 1) -> str:
    """Rows of cells as lines of a table, of which the first columns stand left and the others right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = (f"{cell:{'<' if i < left else '>'}{widths[i]}}" for i, cell in enumerate(row))
        lines.append("  ".join(cells).rstrip() + "\n")
    return "".join(lines)


def timed(main: Callable[..., None], *arguments: str) -> None:
    """Runs a contestant whose modules are imported, and prints how many seconds it took."""
    began = time.perf_counter()
    main(*arguments)
    sys.stdout.write(f"{time.perf_counter() - began}\n")


def run(module: str, *arguments: object, images: int) -> Run:
    """Runs a contestant that writes so many images. Raises SystemExit with its words if it fails."""
    os.sync()  # what the last one wrote is not this one's burden
    command = [sys.executable, "-m", f"benchmarks.{module}", *map(str, arguments)]
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        began = time.perf_counter()
        process = subprocess.Popen(command, cwd=ROOT, stdout=out, stderr=err)
        with _Watch(process.pid) as watch:
            # wait4 knows the process's own highest mark, which sampling would miss.
            _, status, usage = os.wait4(process.pid, 0)
            whole = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            last = _text(err).splitlines()[-20:]
            raise SystemExit("\n".join([f"{' '.join(command)} failed, and said last:", *last]))
        seconds = float(_text(out).splitlines()[-1])
    own = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    cpu = usage.ru_utime + usage.ru_stime
    return Run(images, whole - seconds, seconds, cpu, max(own, watch.peak))


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode(errors="replace")


class _Watch:
    """Samples the memory of a process and its children, ten times a second."""

    def __init__(self, pid: int) -> None:
        self.peak = 0
        self._pid = pid
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._sample)

    def __enter__(self) -> _Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _sample(self) -> None:
        while not self._done.wait(0.1):
            try:
                parent = psutil.Process(self._pid)
                family = [parent, *parent.children(recursive=True)]
                self.peak = max(self.peak, sum(process.memory_info().rss for process in family))
            except psutil.NoSuchProcess:  # it ended between two looks
                continue
