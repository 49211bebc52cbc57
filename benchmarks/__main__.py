"""What the job does to the machine it runs on, beside what others do: one table, each row with its aim.

    python -m benchmarks [--rows flowers,start] [--rounds 5] [--small] [--input DIR] [--json FILE]

README.md in this directory says who the contestants are, and how to read the table.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.contestants import CONTESTANTS, Inputs, Taken
from benchmarks.measure import Failed, ended, machine
from benchmarks.rows import NAMES, READING, ROWS, Results, contestants, document, reading_rows, table

SMALL = 50
"""With --small, one in so many of the images: whether all of it runs, and nothing about speed."""


def reading(rounds: int, images: int, scratch: Path) -> Results:
    """The rounds of `benchmarks.feeding`."""
    told = scratch / "feeding.json"
    ended(["-m", "benchmarks.feeding", "--images", images, "--repeats", rounds, "--json", told])
    return {
        f"{one['storage']}, {one['contestant']}": [Taken(rate=rate) for rate in one["images_per_second"]]
        for one in json.loads(told.read_text())["rates"]
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], prog="python -m benchmarks")
    parser.add_argument("--rows", default=",".join(NAMES), metavar="NAMES", help="with commas [%(default)s]")
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="[%(default)s]")
    parser.add_argument("--small", action="store_true", help="few images: whether it runs, not how fast")
    parser.add_argument("--input", type=Path, metavar="DIR", help="photos; else some are drawn")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where every figure goes")
    arguments = parser.parse_args()
    names = arguments.rows.split(",")
    if unknown := set(names) - set(NAMES):
        parser.error(f"--rows: there is no {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    if arguments.rounds < 1:
        parser.error("--rounds must be at least 1")
    rows = [row for row in ROWS if row.name in names]
    about = machine()
    began = time.perf_counter()
    results: Results = {name: [] for name in contestants(rows)}
    failures: list[str] = []
    with tempfile.TemporaryDirectory(prefix="augshard-benchmark-") as folder:
        scratch = Path(folder)
        inputs = Inputs(scratch, arguments.input)
        # All in turn, so that what else the machine does falls on all of them.
        for number in range(1, arguments.rounds + 1):
            for name in results:
                started = time.perf_counter()
                try:
                    results[name].append(CONTESTANTS[name].taken(inputs, SMALL if arguments.small else 1))
                except Failed as failed:  # the others' figures are not lost for it
                    results[name].append(Taken())
                    failures.append(str(failed))
                took = time.perf_counter() - started
                sys.stderr.write(f"{number}/{arguments.rounds} {name}: {took:.1f} s\n")
        if READING in names:
            try:
                fed = reading(arguments.rounds, 256 if arguments.small else 2000, scratch)
            except Failed as failed:
                failures.append(str(failed))
            else:
                rows += reading_rows(fed)
                results |= fed
    if arguments.small:
        rows = [row.without_aims() for row in rows]
    said = ", ".join(f"{key} {value}" for key, value in about.items())
    minutes = (time.perf_counter() - began) / 60
    sys.stdout.write(f"{said}; {arguments.rounds} rounds in {minutes:.0f} minutes\n\n{table(rows, results)}")
    if arguments.json:
        taken = {**about, "rounds": arguments.rounds, "rows": document(rows, results)}
        arguments.json.write_text(json.dumps(taken, indent=2) + "\n")
    if failures:
        sys.exit("\n".join(dict.fromkeys(failures)))


if __name__ == "__main__":
    main()
