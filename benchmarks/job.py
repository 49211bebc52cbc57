"""The job itself, on the embedded runner.

python -m benchmarks.job COPIES RECIPE INPUT OUTPUT
"""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks.measure import timed
from pipelines import cli


def main(copies: str, recipe: str, root: str, output: str) -> None:
    """`recipe` is a file of this directory."""
    path = str(Path(__file__).with_name(recipe))
    options = {"--input": root, "--output": output, "--recipe": path, "--copies": copies}
    words = [word for option in options.items() for word in option]
    cli.app(["materialize", *words], standalone_mode=False)


if __name__ == "__main__":
    timed(main, *sys.argv[1:])
