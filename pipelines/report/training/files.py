"""The files of a comparison: the report, its JSON, and what a README shows."""

from __future__ import annotations

import os

from pipelines.format.manifest import json_text
from pipelines.report.figures import standalone
from pipelines.report.numbers import count, counted
from pipelines.report.page import write_page
from pipelines.report.training import figures, tables
from pipelines.report.training.page import page
from pipelines.report.training.summary import as_json
from pipelines.train.compare import Comparison
from pipelines.train.learned import CLASSES

HTML, JSON = "report.html", "report.json"
PICTURE, TABLE = "accuracy.svg", "table.md"


def write_report(comparison: Comparison, directory: str) -> str:
    """Writes report.html and report.json, if they say anything new; the path of the first.

    Raises RequestError if that is not possible.
    """
    path = os.path.join(directory, HTML)
    _write(path, page(comparison))
    _write(os.path.join(directory, JSON), json_text(as_json(comparison)))
    return path


def write_excerpts(comparison: Comparison, directory: str) -> list[str]:
    """Writes table.md, and accuracy.svg if there are shards: what a README shows. Their paths.

    Raises RequestError if that is not possible.
    """
    texts = {TABLE: table(comparison)}
    picture = figures.of_copies(comparison)
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


def table(comparison: Comparison) -> str:
    """The arms as a table in Markdown, with what its numbers mean below it."""
    return f"{tables.for_readme(comparison).markdown}\n{_legend(comparison)}\n"


def _legend(comparison: Comparison) -> str:
    request = comparison.requests[0]
    seeds = counted(len({run.train_seed for run in comparison.runs}), "train seed")
    scores = "accuracies" if comparison.task is CLASSES else f"numbers of {comparison.task.words}"
    said = (
        f"`{request['model']}`, {request['epochs']} epochs, {seeds}; {scores} are means, with the least "
        "and the largest run in brackets."
    )
    if comparison.reference:
        images = f" and by the {count(comparison.images or 0)} tested images"
        by_images = comparison.measured == "test" and comparison.task is CLASSES
        said += (
            " A difference is taken seed by seed; ± is half of its 95 % interval, by train seeds"
            f"{images * by_images}. Those in bold are larger than that; the "
            "others rank nothing."
        )
    return said + " Rates are medians over epochs."
