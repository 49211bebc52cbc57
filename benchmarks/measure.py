"""What a process takes: time, processor time and memory, of which all of the benchmarks' table is made."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import os
import platform
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

import psutil

ROOT = Path(__file__).resolve().parents[1]
PEERS = ROOT / "build" / "peers"
"""Where `make bench` puts what peers.txt names."""
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclasses.dataclass(frozen=True)
class Ended:
    """What one process took."""

    seconds: float
    cpu: float
    """seconds of processor time, on all cores, with that of its children"""
    largest: int
    """bytes of memory that it, or one of its children, held at most"""
    peak: int
    """bytes that they held at once at most, looked at ten times a second"""
    said: str
    """on stdout"""


class Failed(Exception):
    """A contestant failed; says what it said."""


def ended(arguments: Sequence[object]) -> Ended:
    """Runs Python with these arguments. Raises Failed with its last words if it fails."""
    os.sync()  # what the last one wrote is not this one's burden
    command = [sys.executable, *map(str, arguments)]
    environment = {"TF_CPP_MIN_LOG_LEVEL": "3", **os.environ, "NO_ALBUMENTATIONS_UPDATE": "1"}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # by which our modules alone would be compiled each time
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        began = time.perf_counter()
        process = subprocess.Popen(command, cwd=ROOT, stdout=out, stderr=err, env=environment)
        with _Watch(process.pid) as watch:
            # wait4 knows the highest mark of each process, which sampling would miss.
            _, status, usage = os.wait4(process.pid, 0)
            seconds = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            last = _text(err).splitlines()[-20:]
            raise Failed("\n".join([f"{' '.join(command)} failed, and said last:", *last]))
        said = _text(out)
    largest = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return Ended(seconds, usage.ru_utime + usage.ru_stime, largest, max(largest, watch.peak), said)


def machine() -> dict[str, Any]:
    """What figures were taken on, and with what."""
    names = "augshard apache-beam numpy opencv-python-headless pillow simplejpeg tensorflow"
    peers = {d.name: d.version for d in importlib.metadata.distributions(path=[str(PEERS)])}
    return {
        "cores": CORES,
        "machine": platform.machine(),
        "processor": _processor(),
        "load": round(os.getloadavg()[0], 1),
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in names.split()},
        **({"albumentations": peers["albumentations"]} if "albumentations" in peers else {}),
    }


def _processor() -> str:
    """As the system names it, or nothing."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), "")


def aligned(rows: Sequence[Sequence[str]], left: int = 1) -> str:
    """Rows of cells as lines of a table, of which the first columns stand left and the others right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = (f"{cell:{'<' if i < left else '>'}{widths[i]}}" for i, cell in enumerate(row))
        lines.append("  ".join(cells).rstrip() + "\n")
    return "".join(lines)


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
