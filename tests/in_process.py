"""The command in this process, which spares the start of TensorFlow."""

from __future__ import annotations

import contextlib
import io
import sys
from pathlib import Path
from typing import NamedTuple

from pipelines.cli import main
from pipelines.materialize.run import Run


class Ended(NamedTuple):
    """How a command ended."""

    status: int
    out: str
    err: str


def augshard(*arguments: object) -> Ended:
    """Runs `augshard ...`."""
    out, err, argv = io.StringIO(), io.StringIO(), sys.argv
    sys.argv = ["augshard", *map(str, arguments)]
    status = 0
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            main()
    except SystemExit as stop:
        status = stop.code if isinstance(stop.code, int) else int(bool(stop.code))
    finally:
        sys.argv = argv
    return Ended(status, out.getvalue(), err.getvalue())


def run_of(root: Path | str, output: Path | str) -> Run:
    """A run from one place to another, of which nothing else matters."""
    return Run(str(root), str(output), 0.0, {}, 0.0)
