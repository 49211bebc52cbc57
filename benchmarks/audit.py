"""The audit's rate beside the job's: every sample of one dataset, first written, then derived again.

    python -m benchmarks.audit --input DIR [--recipe cifar10] [--images 10000] [--copies 5] [--repeats 1]

Both are timed as a user would, from the start of the command to its end.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.photos import draw_photos, find_photos, lay_out

AIM = 0.25
"""How much of the job's rate the audit of all samples is to reach at least."""


def timed(*arguments: object) -> float:
    """Seconds that `augshard ...` takes. Raises CalledProcessError unless it ends well."""
    began = time.perf_counter()
    command = [sys.executable, "-m", "pipelines.cli", *map(str, arguments)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - began


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
    with tempfile.TemporaryDirectory(prefix="augshard-benchmark-") as scratch:
        photos = (
            find_photos(arguments.input) if arguments.input else draw_photos(Path(scratch, "a", "photos"))
        )
        root = lay_out(photos, Path(scratch, "input"), arguments.images)
        for repeat in range(arguments.repeats):
            output = Path(scratch, f"output-{repeat}")
            recipe = ("--recipe", arguments.recipe, "--copies", arguments.copies)
            written = timed("materialize", "--input", root, "--output", output, *recipe)
            structure = timed("audit", output)
            derived = timed("audit", output, "--input", root, "--samples", "all")
            ratios.append(written / derived)
            for name, seconds in (
                ("materialize", written),
                ("audit", structure),
                ("audit --samples all", derived),
            ):
                sys.stdout.write(f"{name:20} {seconds:8.1f} s {samples / seconds:8,.0f} samples/s\n")
    sys.stdout.write(f"{'all by materialize':20} {statistics.median(ratios):8.2f}x, aim >= {AIM:g}x\n")


if __name__ == "__main__":
    main()
