"""What stands on the terminal when all runs are finished."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pipelines.train.verdict import verdicts

Run = Mapping[str, Any]
"""What run.json says of a finished run."""


def summary(runs: Sequence[Run]) -> str:
    """A table of the runs, and whether arms that see the same copies have the same weights."""
    table = [
        ["arm", "seed", "epochs", "loss", "accuracy", "val accuracy", "test accuracy"],
        *([run["label"], str(run["train_seed"]), *_results(run)] for run in runs),
    ]
    speeds = [["images/s", "input wait", "weights"], *map(_speed, runs)]
    lines = [[*left, *right] for left, right in zip(table, speeds, strict=True)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    text = "".join("  ".join(map(str.ljust, line, widths)).rstrip() + "\n" for line in lines)
    return text + "".join(f"{verdict.sentence}\n" for verdict in verdicts(runs))


def _results(run: Run) -> list[str]:
    """After the epoch whose weights the run kept."""
    kept, test = run["epochs"][run["kept_epoch"]], run["test"]
    values = [kept["loss"], kept["accuracy"], kept["val_accuracy"], test and test["accuracy"]]
    return [str(len(run["epochs"])), *("" if value is None else f"{value:.4f}" for value in values)]


def _speed(run: Run) -> list[str]:
    """Without the first epoch where there are others, in which TensorFlow prepares what it computes."""
    epochs = run["epochs"][1:] or run["epochs"]
    images, seconds, waited = (
        sum(row[column] for row in epochs) for column in ("images", "seconds", "input_wait_seconds")
    )
    return [f"{images / seconds:,.0f}", f"{waited / seconds:.1%}", run["epochs"][-1]["weights_sha256"][:12]]
