"""The whole job beside Albumentations in as many processes, which writes no digests and no tables.

    python -m benchmarks.beside --input DIR [--images 2900] [--repeats 3]

README.md in this directory says how to get Albumentations.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from benchmarks.materialize import COPIES, JOB, Contestant, Results, compare, median, ratio
from benchmarks.measure import aligned
from benchmarks.photos import draw_photos, find_photos

ALBUMENTATIONS = Contestant("Albumentations", "albumentations_job", (COPIES,))
CONTESTANTS = [Contestant(JOB.name, JOB.module, (COPIES, "convnet_jpeg.yaml")), ALBUMENTATIONS]


def table(results: Results) -> str:
    """Medians, aligned."""
    rows = [("", "images/s", "CPU/image", "start-up", "job is")]
    for name, measured in results.items():
        rate, cpu, startup = (median(measured, field) for field in ("rate", "cpu", "startup"))
        multiple = f"{ratio(results, name):.2f}x" if name != JOB.name else ""
        rows.append((name, f"{rate:,.0f}", f"{cpu * 1e3:.2f} ms", f"{startup:.1f} s", multiple))
    return aligned(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--input", type=Path, metavar="DIR", help="photos; else some are drawn")
    parser.add_argument("--images", type=int, default=2900, metavar="N", help="sources a run [%(default)s]")
    parser.add_argument("--repeats", type=int, default=3, metavar="N", help="rounds [%(default)s]")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="augshard-benchmark-") as scratch:
        photos = (arguments.input and find_photos(arguments.input)) or draw_photos(Path(scratch, "photos"))
        results = compare(CONTESTANTS, photos, arguments.images, arguments.repeats, Path(scratch))
    sys.stdout.write(table(results))


if __name__ == "__main__":
    main()
