"""The comparison as one HTML file, as JSON, and as what a README shows.

It names no path of the machine; times and rates in it are those of the runs. Equal
directories of runs give equal reports.
"""

from __future__ import annotations

import os
import shlex
from typing import Any

import yaml

from pipelines.format.manifest import json_text
from pipelines.page.figures import standalone
from pipelines.page.page import render, write_page
from pipelines.train import plots, words
from pipelines.train.compare import Comparison, OneArm, as_json
from pipelines.train.results import Finished

HTML, JSON = "report.html", "report.json"
PICTURE, TABLE = "accuracy.svg", "table.md"


def write_report(comparison: Comparison, directory: str) -> str:
    """Writes report.html and report.json, if they say anything new; the path of the first.

    Raises RequestError if that is not possible.
    """
    path = os.path.join(directory, HTML)
    _write(path, report(comparison))
    _write(os.path.join(directory, JSON), json_text(as_json(comparison)))
    return path


def write_excerpts(comparison: Comparison, directory: str) -> list[str]:
    """Writes table.md, and accuracy.svg if there are shards: what a README shows. Their paths.

    Raises RequestError if that is not possible.
    """
    texts = {TABLE: table(comparison)}
    picture = plots.of_copies(comparison)
    if picture:
        texts[PICTURE] = standalone(picture)
    for name, text in texts.items():
        _write(os.path.join(directory, name), text)
    return [os.path.join(directory, name) for name in texts]


def _write(path: str, text: str) -> None:
    try:
        with open(path, encoding="utf-8", newline="\n") as file:
            if file.read() == text:
                return
    except (OSError, ValueError):
        pass
    write_page(path, text)


def report(comparison: Comparison) -> str:
    """The report as HTML."""
    status, word, said = words.identity(comparison)
    sentences = [said, words.accuracy(comparison), words.speed(comparison), words.unfinished(comparison)]
    if not comparison.arms:
        status, word = "unsure", "No run is finished"
        sentences = [words.unfinished(comparison)]
    model = comparison.requests[0]["model"]
    context: dict[str, Any] = {
        "title": f"{model}: training compared",
        "kicker": "augshard train",
        "heading": f"{model}, fed in {_counted(len(comparison.arms), 'way')}",
        "verdict": {"status": status, "word": word, "sentences": [s for s in sentences if s]},
        "facts": _facts(comparison),
        "sections": _SECTIONS if comparison.arms else [],
        "comparison": comparison,
        "words": words,
        "digits": words.accuracy_digits(comparison),
        "against": _against(comparison),
        "measured": comparison.measured,
        "several": len(comparison.requests) > 1,
        "asked": _asked(comparison),
        "recipe": _recipe(comparison),
        "commands": _commands(comparison),
    }
    if comparison.arms:
        context |= {
            "curves": {
                what: [(arm, plots.of_curves(arm, what, comparison)) for arm in comparison.arms]
                for what in plots.NAMES
            },
            "copies_figure": plots.of_copies(comparison),
            "speed_figure": plots.of_speed(comparison),
        }
    return render("train/report.html.j2", **context)


_SECTIONS = [
    ("curves", "Learning curves"),
    ("accuracy", "Accuracy"),
    ("speed", "Speed"),
    ("cost", "Cost"),
    ("identity", "Bit-identity"),
    ("how", "How it was run"),
    ("again", "Run it again"),
]


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def _facts(comparison: Comparison) -> list[tuple[str, str]]:
    runs, request = comparison.runs, comparison.requests[0]
    facts = [
        ("arms", f"{len(comparison.arms):,}"),
        ("runs", f"{len(runs):,}"),
        ("train seeds", f"{len({run.train_seed for run in runs}):,}"),
        ("augmentation seeds", ", ".join(str(one["seed"]) for one in comparison.requests)),
        ("epochs", f"{request['epochs']:,}"),
        ("batch size", f"{request['batch_size']:,}"),
        ("tested images", f"{comparison.images:,}" if comparison.images else "none"),
    ]
    if runs:
        document = runs[0].document
        facts[5:5] = [("images an epoch", f"{document['epochs'][0]['images']:,}")]
        facts += [
            ("classes", f"{len(document['classes']):,}"),
            ("parameters of the model", f"{document['parameters']:,}"),
        ]
    return facts


def _against(comparison: Comparison) -> list[Any]:
    """All differences, those of the reference first, each written as the arm less the other."""
    reference = comparison.reference
    first, rest = [], []
    for found in comparison.differences:
        if reference and found.arm == reference.label:
            first.append(comparison.between(found.other, found.arm))
        elif reference and found.other == reference.label:
            first.append(found)
        else:
            rest.append(found)
    return first + rest


_LEFT_OUT = ("recipe", "seed", "shards", "plugins", "images")


def _asked(comparison: Comparison) -> list[tuple[str, str]]:
    """What the runs were asked for, and where they ran."""
    request = comparison.requests[0]
    rows = [
        (name.replace("_", " "), _pairs(value) if name == "split_fractions" else _plainly(value))
        for name, value in request.items()
        if name not in _LEFT_OUT and value is not None
    ]
    if comparison.runs:
        environments = [run.document["environment"] for run in comparison.runs]
        began = sorted({environment["began"] for environment in environments})
        rows += [
            ("platform", ", ".join(sorted({environment["platform"] for environment in environments}))),
            ("python", ", ".join(sorted({environment["python"] for environment in environments}))),
            ("began", began[0] if len(began) == 1 else f"{began[0]} to {began[-1]}"),
        ]
    return rows


def _plainly(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _recipe(comparison: Comparison) -> str:
    return yaml.safe_dump(comparison.requests[0]["recipe"], sort_keys=False)


def _commands(comparison: Comparison) -> list[str]:
    """What to type for the same runs. Names in capitals stand for places, which are nobody's business."""
    commands = []
    several = len(comparison.requests) > 1
    for request in comparison.requests:
        runs = [run for run in comparison.runs if run.seed == request["seed"]]
        if not runs:
            continue
        number = f"-{request['seed']}" if several else ""
        data = ["--input", "DIR", "--recipe", "recipe.yaml", "--seed", str(request["seed"])]
        if request["layout"] != "auto":
            data += ["--layout", request["layout"]]
        if request["split_fractions"]:
            data += ["--split-fractions", _pairs(request["split_fractions"])]
        for plugin in request["plugins"]:
            data += ["--plugin", plugin]
        if request["shards"]:
            copies = max((run.arm.copies or 0 for run in runs), default=0) or 1
            line = ["augshard", "materialize", *data, "--copies", str(copies), "--output", f"SHARDS{number}"]
            commands.append(
                shlex.join(line + ["--include-originals"] * any(run.arm.originals for run in runs))
            )
        commands.append(shlex.join(["augshard", "train", *data, *_of_training(request, runs, number)]))
    if several:
        outputs = [f"RUNS-{request['seed']}" for request in comparison.requests]
        commands.append(shlex.join(["augshard", "compare", *outputs, "--output", "COMPARISON"]))
    return commands


def _pairs(fractions: list[list[str]]) -> str:
    return ",".join(f"{split}={fraction}" for split, fraction in fractions)


def _of_training(request: dict[str, Any], runs: list[Finished], number: str) -> list[str]:
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
    if not request["deterministic"]:
        line.append("--no-determinism")
    return [*line, "--output", f"RUNS{number}"]


def table(comparison: Comparison) -> str:
    """The arms as a table in Markdown, with what its numbers mean below it."""
    digits, reference = words.accuracy_digits(comparison), comparison.reference
    costs = {cost.arm: cost for cost in reversed(comparison.costs)}
    split = comparison.measured or "training"
    head = ["arm", "runs", f"{split} accuracy"]
    if reference:
        head.append(f"against {reference.label}, in points")
    head += ["images/s", "waiting for input", "disk"]
    lines = [head, ["---"] * len(head)]
    for arm in comparison.arms:
        line = [arm.label, str(len(arm.runs)), words.measured_range(arm.accuracy[_split(comparison)], digits)]
        if reference:
            line.append(_against_reference(comparison, arm, reference, digits))
        cost = costs.get(arm.label)
        line += [
            f"{arm.images_per_second.middle:,.0f}",
            words.percent(arm.input_wait.middle),
            words.size(cost.bytes) if cost else "",
        ]
        lines.append(line)
    text = "".join(f"| {' | '.join(line)} |\n" for line in lines)
    return f"{text}\n{_legend(comparison)}\n"


def _split(comparison: Comparison) -> str:
    return comparison.measured or "train"


def _against_reference(comparison: Comparison, arm: OneArm, reference: OneArm, digits: int) -> str:
    if arm is reference:
        return ""
    found = comparison.between(arm.label, reference.label)
    if found is None:
        return ""
    said = words.difference(found, digits)
    return f"**{said}**" if found.exceeds else said


def _legend(comparison: Comparison) -> str:
    request = comparison.requests[0]
    seeds = _counted(len({run.train_seed for run in comparison.runs}), "train seed")
    said = (
        f"`{request['model']}`, {request['epochs']} epochs, {seeds}; accuracies are means, with the least "
        "and the largest run in brackets."
    )
    if comparison.reference:
        said += (
            " A difference is taken seed by seed; ± is half of its 95 % interval, by train seeds"
            + (f" and by the {comparison.images:,} tested images" if comparison.measured == "test" else "")
            + ". Those in bold are larger than that; the others rank nothing."
        )
    return said + " Rates are medians over epochs."
