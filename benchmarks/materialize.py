"""The job beside other ways to write the same images: speed, start-up and memory.

    python -m benchmarks.materialize [--input DIR] [--images 2900] [--repeats 3] [--json FILE]

README.md in this directory says what each contestant is and how to read the table.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import shutil
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.measure import Steady, aligned, machine, run, steady
from benchmarks.photos import draw_photos, find_photos, lay_out

COPIES = 4  # as in tutorial.py, which this file cannot import without TensorFlow


@dataclasses.dataclass(frozen=True)
class Contestant:
    """One way to turn a directory of photos into augmented JPEGs."""

    name: str
    module: str
    arguments: tuple[object, ...] = ()
    """what comes before input and output directory"""
    part: int = 1
    """it gets one in so many of the images, for it is slow"""


JOB = Contestant("job", "job", (COPIES, "flowers_jpeg.yaml"))
NAIVE = Contestant("(a) naive Beam", "naive", part=8)
HANDWRITTEN = Contestant("(b) tf.data by hand", "handwritten")
CEILINGS = [Contestant(f"(c) ceiling, {name}", "ceiling", (name,)) for name in ("tf.data", "pillow")]
CONTESTANTS = [JOB, NAIVE, HANDWRITTEN, *CEILINGS]

Results = dict[str, list[Steady]]
"""By a contestant's name, one a repeat."""


def compare(
    contestants: Sequence[Contestant], photos: list[Path], images: int, repeats: int, scratch: Path
) -> Results:
    """Measures all in turn, so that what else the machine does falls on all of them."""
    inputs: dict[int, Path] = {}
    results: Results = {contestant.name: [] for contestant in contestants}
    for repeat in range(1, repeats + 1):
        for contestant in contestants:
            runs = []
            most = images // contestant.part
            for count in (most // 4, most):
                if count not in inputs:
                    inputs[count] = lay_out(photos, scratch / f"input-{count}", count)
                output = scratch / "output"
                output.mkdir()
                places = (inputs[count], output)
                runs.append(run(contestant.module, *contestant.arguments, *places, images=count * COPIES))
                shutil.rmtree(output)
            results[contestant.name].append(steady(*runs))
            _say(f"{repeat}/{repeats} {contestant.name}: {results[contestant.name][-1].rate:,.0f} images/s")
    return results


def ratio(results: Results, name: str) -> float:
    """The job's rate as a multiple of a contestant's: the median of those within a repeat."""
    pairs = zip(results[JOB.name], results[name], strict=True)
    return statistics.median(ours.rate / theirs.rate for ours, theirs in pairs)


def table(results: Results) -> str:
    """Medians, aligned."""
    ceiling = max((c.name for c in CEILINGS), key=lambda name: median(results[name], "rate"))
    aims = {NAIVE.name: 10.0, HANDWRITTEN.name: 1.0, ceiling: 0.65}
    rows = [("", "images/s", "from", "to", "job is", "aim", "CPU/image", "start-up", "memory")]
    for name, measured in results.items():
        rates = [one.rate for one in measured]
        rows.append(
            (
                name,
                *(f"{figure(rates):,.0f}" for figure in (statistics.median, min, max)),
                f"{ratio(results, name):.2f}x" if name != JOB.name else "",
                f">= {aims[name]:g}x" if name in aims else "",
                f"{median(measured, 'cpu') * 1e3:.2f} ms",
                f"{median(measured, 'startup'):.1f} s",
                f"{median(measured, 'peak') / 1e6:,.0f} MB",
            )
        )
    return aligned(rows)


def median(measured: list[Steady], field: str) -> float:
    return statistics.median(getattr(one, field) for one in measured)


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--input", type=Path, metavar="DIR", help="a directory of photos; else some are drawn"
    )
    parser.add_argument("--images", type=int, default=2900, metavar="N", help="sources a run [%(default)s]")
    parser.add_argument("--repeats", type=int, default=3, metavar="N", help="rounds [%(default)s]")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where every figure goes")
    arguments = parser.parse_args()
    if arguments.images < 320 or arguments.repeats < 1:
        parser.error("--images must be at least 320, and --repeats at least 1")
    with tempfile.TemporaryDirectory(prefix="augshard-benchmark-") as scratch:
        given = find_photos(arguments.input) if arguments.input else None
        photos = given or draw_photos(Path(scratch, "photos"))
        results = compare(CONTESTANTS, photos, arguments.images, arguments.repeats, Path(scratch))
    sys.stdout.write(table(results))
    if arguments.json:
        about = {
            "images": arguments.images,
            "copies": COPIES,
            "photos": "given" if given else "drawn",
            **machine(),
        }
        figures = {
            name: {
                "job_ratio": ratio(results, name),
                "repeats": [dataclasses.asdict(one) for one in measured],
            }
            for name, measured in results.items()
        }
        arguments.json.write_text(json.dumps({**about, "contestants": figures}, indent=2) + "\n")


if __name__ == "__main__":
    main()
