"""The whole job beside Albumentations in as many processes, which writes no digests and no tables.

    python -m benchmarks.beside --input DIR [--images 2900] [--repeats 3]

README.md in this directory says how to get Albumentations.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
import tempfile
from pathlib import Path

from benchmarks.measure import Steady, aligned, run, steady
from benchmarks.photos import draw_photos, find_photos, lay_out

COPIES = 4
RECIPE = "convnet_jpeg.yaml"
CONTESTANTS = {"job": ("job", COPIES, RECIPE), "Albumentations": ("albumentations_job", COPIES)}


def compare(photos: list[Path], images: int, repeats: int, scratch: Path) -> dict[str, list[Steady]]:
    """Both in turn, so that what else the machine does falls on both."""
    results: dict[str, list[Steady]] = {name: [] for name in CONTESTANTS}
    inputs = {count: lay_out(photos, scratch / f"input-{count}", count) for count in (images // 4, images)}
    for repeat in range(1, repeats + 1):
        for name, (module, *arguments) in CONTESTANTS.items():
            runs = []
            for count, root in inputs.items():
                output = scratch / "output"
                output.mkdir()
                runs.append(run(str(module), *arguments, root, output, images=count * COPIES))
                shutil.rmtree(output)
            results[name].append(steady(*runs))
            sys.stderr.write(f"{repeat}/{repeats} {name}: {results[name][-1].rate:,.0f} images/s\n")
    return results


def table(results: dict[str, list[Steady]]) -> str:
    """Medians; the job's rate as a multiple of the other's is the median of those within a repeat."""
    pairs = zip(results["job"], results["Albumentations"], strict=True)
    ratio = statistics.median(ours.rate / theirs.rate for ours, theirs in pairs)
    rows = [("", "images/s", "CPU/image", "start-up", "job is")]
    for name, measured in results.items():
        rate, cpu, startup = (
            statistics.median(getattr(one, field) for one in measured) for field in ("rate", "cpu", "startup")
        )
        is_ours = name == "job"
        rows.append(
            (
                name,
                f"{rate:,.0f}",
                f"{cpu * 1e3:.2f} ms",
                f"{startup:.1f} s",
                "" if is_ours else f"{ratio:.2f}x",
            )
        )
    return aligned(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--input", type=Path, metavar="DIR", help="a directory of photos; else some are drawn"
    )
    parser.add_argument("--images", type=int, default=2900, metavar="N", help="sources a run [%(default)s]")
    parser.add_argument("--repeats", type=int, default=3, metavar="N", help="rounds [%(default)s]")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="augshard-benchmark-") as scratch:
        photos = (arguments.input and find_photos(arguments.input)) or draw_photos(Path(scratch, "photos"))
        sys.stdout.write(table(compare(photos, arguments.images, arguments.repeats, Path(scratch))))


if __name__ == "__main__":
    main()
