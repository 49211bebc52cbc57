"""What to type for the same runs."""

from __future__ import annotations

import shlex
from typing import Any

from pipelines.train.compare import Comparison
from pipelines.train.results import FinishedRun


def commands(comparison: Comparison) -> list[str]:
    """What to type for the same runs. Names in capitals stand for places, which are nobody's business."""
    lines = []
    several = len(comparison.requests) > 1
    for request in comparison.requests:
        runs = [run for run in comparison.runs if run.seed == request["seed"]]
        if not runs:
            continue
        number = f"-{request['seed']}" if several else ""
        data = ["--input", "DIR", "--recipe", "recipe.yaml", "--seed", str(request["seed"])]
        if request.get("annotations"):
            data += ["--annotations", "ANNOTATIONS"]
        if request["layout"] != "auto":
            data += ["--layout", request["layout"]]
        if request["split_fractions"]:
            data += ["--split-fractions", fractions(request["split_fractions"])]
        for plugin in request["plugins"]:
            data += ["--plugin", plugin]
        if request["shards"]:
            copies = max((run.arm.copies or 0 for run in runs), default=0) or 1
            line = ["augshard", "materialize", *data, "--copies", str(copies), "--output", f"SHARDS{number}"]
            lines.append(shlex.join(line + ["--include-originals"] * any(run.arm.originals for run in runs)))
        lines.append(shlex.join(["augshard", "train", *data, *_of_training(request, runs, number)]))
    if several:
        outputs = [f"RUNS-{request['seed']}" for request in comparison.requests]
        lines.append(shlex.join(["augshard", "compare", *outputs, "--output", "COMPARISON"]))
    return lines


def fractions(fractions: list[list[str]]) -> str:
    return ",".join(f"{split}={fraction}" for split, fraction in fractions)


def _of_training(request: dict[str, Any], runs: list[FinishedRun], number: str) -> list[str]:
    line = ["--shards", f"SHARDS{number}"] if request["shards"] else []
    line += ["--arms", ",".join(dict.fromkeys(run.arm.name for run in runs))]
    pools = dict.fromkeys(
        f"{'originals+' * run.arm.originals}{run.arm.copies}" for run in runs if run.arm.name == "shards"
    )
    if pools:
        line += ["--copies", ",".join(pools)]
    line += ["--model", request["model"], "--epochs", str(request["epochs"])]
    line += ["--batch-size", str(request["batch_size"])]
    line += ["--train-seeds", str(max(run.train_seed for run in runs) + 1)]
    if request["weights"]:
        line += ["--weights", "WEIGHTS"]
    if request["learning_rate"] is not None:
        line += ["--learning-rate", str(request["learning_rate"])]
    if request["validation_fraction"] is not None:
        line += ["--validation-fraction", request["validation_fraction"]]
    line.append("--early-stopping" if request["early_stopping"] else "--no-early-stopping")
    if request["mixed_precision"]:
        line.append("--mixed-precision")
    if request.get("mix"):
        line += ["--mix", request["mix"]]
    if request.get("class_weights"):
        line.append("--class-weights")
    if not request["deterministic"]:
        line.append("--no-determinism")
    return [*line, "--output", f"RUNS{number}"]
