"""What the contestants that are loops written by hand share: their files, processes, and the clock.

    python -m benchmarks.<loop> [ARGUMENTS] OUTPUT INPUT...

goes over each input in turn, the first of which is to come up to speed, and prints for each [seconds,
seconds of processor time].
"""

from __future__ import annotations

import json
import multiprocessing
import os
import resource
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.measure import CORES


class Files:
    """An input `<root>/<class>/<file>`."""

    def __init__(self, root: str) -> None:
        self.paths = sorted(str(path) for path in Path(root).glob("*/*"))
        self._labels = {name: number for number, name in enumerate(sorted(os.listdir(root)))}

    def label(self, path: str) -> int:
        return self._labels[os.path.basename(os.path.dirname(path))]


def timed(loop: Callable[[str, Files], None], output: str, roots: Sequence[str]) -> None:
    """Runs a loop, whose modules are imported, over each input, and prints what it took."""
    taken = []
    for root in roots:
        began, cpu = time.perf_counter(), _cpu()
        loop(output, Files(root))
        taken.append((time.perf_counter() - began, _cpu() - cpu))
    sys.stdout.write(f"{json.dumps(taken)}\n")


def in_processes(work: Callable[[int, Sequence[str]], None], paths: Sequence[str]) -> None:
    """`work(part, its paths)` in a process for each core. Raises SystemExit if one fails."""
    forked = multiprocessing.get_context("fork")
    processes = [forked.Process(target=work, args=(part, paths[part::CORES])) for part in range(CORES)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        if process.exitcode:
            raise SystemExit(process.exitcode)


def _cpu() -> float:
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + ended.ru_utime + ended.ru_stime
