"""The job itself, on the embedded runner.

python -m benchmarks.job COPIES INPUT OUTPUT
"""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks.measure import timed
from pipelines import cli

RECIPE = Path(__file__).with_name("flowers_jpeg.yaml")


def main(copies: str, root: str, output: str) -> None:
    options = {"--input": root, "--output": output, "--recipe": str(RECIPE), "--copies": copies}
    words = [word for option in options.items() for word in option]
    cli.app(["materialize", *words], standalone_mode=False)


if __name__ == "__main__":
    timed(main, *sys.argv[1:])
