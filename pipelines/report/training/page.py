"""The comparison as one HTML file.

It names no path of the machine; times and rates in it are those of the runs. Equal
directories of runs give equal reports.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import yaml

from pipelines.report.numbers import count, counted, listed, percent
from pipelines.report.page import Headline, render
from pipelines.report.table import Table
from pipelines.report.training import figures, pictures, tables
from pipelines.report.training.again import commands, fractions
from pipelines.train.compare import Comparison

NAMED = 4
"""Differences that stand on top; the table has all."""


_EXPLAINED = {
    "masks": "For each class, the pixels that are of it and are said to be, by those that are or are said to "
    "be, over all images at once; of classes the mean. Pixels with id 255 do not count. ",
    "boxes": "For each class, the area below precision against recall, where a box is right that overlaps an "
    "object by half or more of what both cover; of classes the mean. ",
}
"""Of metrics that need it, how they are meant."""


def page(comparison: Comparison) -> str:
    """The report as HTML."""
    model, outputs = comparison.requests[0]["model"], len(comparison.requests)
    several = f", with {outputs} seeds of the augmentation" if outputs > 1 else ""
    context: dict[str, Any] = {
        "title": f"{model}: {f'{outputs} outputs' if several else 'training'} compared",
        "kicker": f"augshard {'compare' if several else 'train'}",
        "heading": f"{model}, fed in {counted(len(comparison.arms), 'way')}{several}",
        "headline": headline(comparison),
        "facts": _facts(comparison),
        "comparison": comparison,
        "measured": comparison.measured,
        "metric": comparison.task.words,
        "explained": _EXPLAINED.get(comparison.task.name, ""),
        "several": len(comparison.requests) > 1,
    }
    if comparison.arms:
        context |= {
            "curves": {
                what: [(arm, figures.of_curves(arm, what, comparison)) for arm in comparison.arms]
                for what in figures.names_of(comparison)
            },
            "pictures": pictures.lines(comparison),
            "sure": pictures.SURE,
            "copies_figure": figures.of_copies(comparison),
            "speed_figure": figures.of_speed(comparison),
            "arms": tables.arms(comparison),
            "differences": tables.differences(comparison),
            "speed": tables.speed(comparison),
            "costs": tables.costs(comparison),
            "identities": tables.identities(comparison.identities, several=len(comparison.requests) > 1),
            "asked": _asked(comparison),
            "recipe": yaml.safe_dump(comparison.requests[0]["recipe"], sort_keys=False),
            "commands": commands(comparison),
        }
    return render("training/page.html.j2", **context)


def headline(comparison: Comparison) -> Headline:
    """Whether arms that see the same copies have the same weights, and what can be told of the arms."""
    unfinished = len(comparison.unfinished)
    rest = [("not finished", f"{counted(unfinished, 'run')}, not in what follows")] if unfinished else []
    if not comparison.arms:
        return Headline("unsure", "No run is finished", rest)
    rows = [*_score(comparison), *_speed(comparison), *rest]
    held = [match for _, match in comparison.identities if match.epochs]
    if not held:
        said = "no two arms that augment see the same copies, so there is nothing to hold to the bit"
        return Headline("unsure", "No weights to compare", [("weights", said), *rows])
    differing = [match for match in held if match.differs is not None]
    names = listed(list(dict.fromkeys(match.arm for match in differing or held)), len(held))
    if not differing:
        said = f"those of {held[0].reference}, bit by bit, after every epoch that sees the same copies"
        said = f"{names}: {said} ({counted(len(held), 'pair')} of runs)"
        return Headline("good", "Bit-identical", [("weights", said), *rows])
    said = f"{names}: not those of {held[0].reference}, where both see the same copies"
    request = comparison.requests[0]
    if request["deterministic"] and request["devices"] == ["CPU"]:
        return Headline("bad", "Weights differ", [("weights", said), *rows])
    said += f"; {'on such devices' if request['deterministic'] else 'without determinism'}, that is no fault"
    return Headline("unsure", "Weights differ", [("weights", said), *rows])


def _score(comparison: Comparison) -> list[tuple[str, str]]:
    """Which arms can be told apart by their score."""
    what = f"{comparison.measured or ''} {comparison.task.words}".strip()
    apart = [found for found in comparison.differences if not found.same]
    exceeding = [found for found in apart if found.exceeds]
    if not comparison.measured:
        return [(what, "not compared: no split tests or validates in every run")]
    if not comparison.differences:
        return []
    if not apart:
        return [(what, "the same in all arms")]
    if all(found.error is None for found in apart):
        said = "not ranked: one train seed does not tell how far they move by chance; --train-seeds 3 does"
        return [*_means(comparison, what), ("differences", said)]
    number = f"{len(exceeding)} of {counted(len(apart), 'difference')}" if exceeding else "no difference"
    ranked = f"{number} larger than the error{': the arms are not ranked' if not exceeding else ''}"
    rows = [*_means(comparison, what), ("differences", ranked)]
    reference = comparison.reference.label if comparison.reference else None
    exceeding.sort(key=lambda found: reference not in (found.arm, found.other))
    digits = tables.digits_of(comparison)
    return rows + [
        (f"{found.arm} less {found.other}", f"{tables.points(found, digits)} points")
        for found in exceeding[:NAMED]
    ]


def _means(comparison: Comparison, what: str) -> list[tuple[str, str]]:
    """The score of the arms, if they are few."""
    digits = tables.digits_of(comparison)
    means = [f"{arm.label} {percent(float(np.mean(arm.by_seed)), digits)}" for arm in comparison.arms]
    return [(what, ", ".join(means))] if len(means) <= NAMED else []


def _speed(comparison: Comparison) -> list[tuple[str, str]]:
    """The shards with the most copies beside live."""
    live = next((arm for arm in comparison.arms if arm.arm.name == "live"), None)
    shards = [arm for arm in comparison.arms if arm.arm.name == "shards"]
    if live is None or not shards:
        return []
    arm = max(shards, key=lambda arm: (arm.arm.copies or 0, not arm.arm.originals))
    ours, theirs = arm.images_per_second, live.images_per_second
    apart = ours.low > theirs.high or theirs.low > ours.high
    both = "; ".join(
        f"{one.label} {one.images_per_second.middle:,.0f}, {percent(one.input_wait.middle)} waiting for input"
        for one in (arm, live)
    )
    return [("images/s", both if apart else f"{both}; quartiles overlap, so neither is called faster")]


def _facts(comparison: Comparison) -> list[tuple[str, str]]:
    runs, request = comparison.runs, comparison.requests[0]
    facts = [
        ("arms", count(len(comparison.arms))),
        ("runs", count(len(runs))),
        _listed("train seed", sorted({run.train_seed for run in runs})),
        _listed("augmentation seed", [one["seed"] for one in comparison.requests]),
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


def _listed(name: str, seeds: Sequence[int]) -> tuple[str, str]:
    return name + "s" * (len(seeds) != 1), ", ".join(map(str, seeds)) or "none"


_LEFT_OUT = ("recipe", "seed", "shards", "plugins", "images")


def _asked(comparison: Comparison) -> Table:
    """What the runs were asked for, and where they ran."""
    request = comparison.requests[0]
    rows = [
        (name.replace("_", " "), fractions(value) if name == "split_fractions" else _plainly(value))
        for name, value in request.items()
        if name not in _LEFT_OUT and value is not None
    ]
    for name in ("platform", "python", "began"):
        values = sorted({run.document["environment"][name] for run in comparison.runs})
        many = " to ".join((values[0], values[-1])) if name == "began" else ", ".join(values)
        rows.append((name, many if len(values) > 1 else values[0]))
    return Table((), rows, names=(1,))


def _plainly(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
