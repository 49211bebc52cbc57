"""The audit's rate beside the job's: every sample of one dataset, first written, then derived again.

    python -m benchmarks.audit --input DIR [--recipe cifar10] [--images 10000] [--copies 5] [--repeats 1]

Both are timed as a user would, from the start of the command to its end.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from benchmarks.photos import draw_photos, find_photos, lay_out

AIM = 0.25
"""How much of the job's rate the audit of all samples is to reach at least."""


class Taken(NamedTuple):
    """What a command took."""

    seconds: float
    cpu: float
    """seconds of processor time on all cores, which suffer less from a busy machine"""


def timed(*arguments: object) -> Taken:
    """Runs `augshard ...`. Raises CalledProcessError unless it ends well."""
    began, cpu = time.perf_counter(), _cpu()
    command = [sys.executable, "-m", "pipelines.cli", *map(str, arguments)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return Taken(time.perf_counter() - began, _cpu() - cpu)


def _cpu() -> float:
    """Seconds of processor time that all processes of ours took that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--input", type=Path, metavar="DIR", help="JPEGs; else some are drawn")
    parser.add_argument("--recipe", default="cifar10", help="a preset, or a file [%(default)s]")
    parser.add_argument("--images", type=int, default=10_000, metavar="N", help="sources [%(default)s]")
    parser.add_argument("--copies", type=int, default=5, metavar="K", help="of each [%(default)s]")
    parser.add_argument("--repeats", type=int, default=1, metavar="N", help="rounds [%(default)s]")
    arguments = parser.parse_args()
    samples = arguments.images * arguments.copies
    ratios = []
    sys.stdout.write(f"{'':20} {'seconds':>9} {'samples/s':>10} {'CPU':>9}\n")
    with tempfile.TemporaryDirectory(prefix="augshard-benchmark-") as scratch:
        photos = (
            find_photos(arguments.input) if arguments.input else draw_photos(Path(scratch, "a", "photos"))
        )
        root = lay_out(photos, Path(scratch, "input"), arguments.images)
        for repeat in range(arguments.repeats):
            output = Path(scratch, f"output-{repeat}")
            recipe = ("--recipe", arguments.recipe, "--copies", arguments.copies)
            taken = {
                "materialize": timed("materialize", "--input", root, "--output", output, *recipe),
                "audit": timed("audit", output),
                "audit --samples all": timed("audit", output, "--input", root, "--samples", "all"),
            }
            for name, (seconds, cpu) in taken.items():
                sys.stdout.write(f"{name:20} {seconds:7.1f} s {samples / seconds:10,.0f} {cpu:7.1f} s\n")
            ratios.append(
                [a / b for a, b in zip(taken["materialize"], taken["audit --samples all"], strict=True)]
            )
    by_time, by_cpu = (statistics.median(column) for column in zip(*ratios, strict=True))
    sys.stdout.write(
        f"all is {by_time:.2f} times as fast as the job, {by_cpu:.2f} times by CPU; aim >= {AIM:g}\n"
    )


if __name__ == "__main__":
    main()
