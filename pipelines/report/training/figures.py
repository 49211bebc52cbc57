"""The figures of the report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pipelines.report.figures import ACCENT, BAR, INK, MUTED, as_percent, as_svg, grid, note, ticks
from pipelines.report.numbers import percent
from pipelines.train.compare import ComparedArm, Comparison, Spread

_LINE = 9.0
"""Points from one label to the next, at the least."""

_CURVES = 1.95
"""Inches of a figure of curves in height."""


class Line(NamedTuple):
    """A curve with its spread over runs."""

    name: str
    spreads: Sequence[Spread | None]
    color: str
    width: float
    dashes: str
    band: float
    """how dense; 0 for none"""


def names_of(comparison: Comparison) -> dict[str, tuple[str, str]]:
    """The figures of an arm: in words, with the columns of training and of validation."""
    task = comparison.task
    return {"loss": ("loss", "val_loss"), task.words: (task.metric, f"val_{task.metric}")}


def of_curves(arm: ComparedArm, what: str, comparison: Comparison) -> str:
    """One of `names_of` of an arm by epoch, and beside it the validation of the reference."""
    training, validation = names_of(comparison)[what]
    lines = [
        Line("training", arm.curves[training], MUTED, 1.0, "--", 0.13),
        Line("validation", arm.curves[validation], ACCENT, 1.5, "-", 0.2),
    ]
    reference = comparison.reference
    if reference and reference is not arm:
        lines.insert(1, Line(reference.label, reference.curves[validation], INK, 0.9, ":", 0.0))
    lines = [line for line in lines if any(line.spreads)]
    low, high = _limits(comparison, what)

    def draw(figure: Figure) -> None:
        axes = figure.add_subplot()
        axes.set_ylim(low, high)
        for line in lines:
            _draw_line(axes, line)
        axes.set_xlim(0.5, max(len(arm.curves[training]), 2) + 0.5)
        ticks(axes.xaxis, whole=True)
        ticks(axes.yaxis, written=None if what == "loss" else as_percent)
        axes.set_xlabel("epoch")
        axes.set_ylabel(what)
        grid(axes)
        _label_ends(axes, lines)

    said = ", ".join(f"{line.name} ends at {_number(_last(line.spreads), what)}" for line in lines)
    return as_svg(
        draw, width=3.4, height=_CURVES, alternative=f"{what} of {arm.label} by epoch: {said or 'no number'}"
    )


def _draw_line(axes: Axes, line: Line) -> None:
    epochs = [epoch for epoch, at in enumerate(line.spreads, start=1) if at]
    low, middle, high = np.transpose([at for at in line.spreads if at])
    if line.band and (low < high).any():
        axes.fill_between(epochs, low, high, color=line.color, alpha=line.band, lw=0)
    marker: dict[str, Any] = {"marker": "o" if len(epochs) == 1 else "", "markersize": 3}
    axes.plot(epochs, middle, color=line.color, linewidth=line.width, linestyle=line.dashes, **marker)


def _label_ends(axes: Axes, lines: Sequence[Line]) -> None:
    """Names lines at their right ends, as far apart as it takes to read them."""
    ends = sorted(((_last(line.spreads), line) for line in lines), key=lambda end: end[0])
    low, high = axes.get_ylim()
    height = 0.75 * 72 * _CURVES
    at = [(end - low) / (high - low) * height for end, _ in ends]
    for i in range(1, len(at)):
        at[i] = max(at[i], at[i - 1] + _LINE)
    over = max(at[-1] - height, 0) if at else 0
    for i in reversed(range(len(at))):
        ceiling = at[i + 1] - _LINE if i + 1 < len(at) else at[i] - over
        at[i] = min(at[i], ceiling)
    for y, (end, line) in zip(at, ends, strict=True):
        said = f"{line.name} ↑" if end > high else line.name  # one that is out of sight
        note(axes, said, (1, y / height), line.color, offset=(3, 0), coordinates="axes fraction")


def _limits(comparison: Comparison, what: str) -> tuple[float, float]:
    """Of all arms' curves, so that their figures can be compared."""
    values = [
        value
        for arm in comparison.arms
        for column in names_of(comparison)[what]
        for at in arm.curves[column]
        if at
        for value in (at.low, at.high)
    ] or [0.0, 1.0]
    if what == "loss":  # a loss that explodes in an epoch would hide all others
        values = [value for value in values if value <= 4 * float(np.median(values))] or values
    margin = 0.05 * (max(values) - min(values)) or 0.05
    return min(values) - margin, max(values) + margin


def of_copies(comparison: Comparison) -> str:
    """The score against the number of copies, the reference as the limit; empty without arms of shards."""
    limited = [arm for arm in comparison.arms if arm.arm.name in ("none", "shards") and arm.by_seed]
    pools = sorted({arm.arm.copies or 0 for arm in limited})
    reference = comparison.reference
    if not any(arm.arm.name == "shards" for arm in limited):
        return ""
    place = {copies: position for position, copies in enumerate(pools)}
    split = comparison.measured or ""

    def draw(figure: Figure) -> None:
        axes = figure.add_subplot()
        if reference and reference.by_seed:
            low, _, high = reference.score[split] or (0.0, 0.0, 0.0)
            axes.axhspan(low, high, color=BAR, alpha=0.35, lw=0)
            middle = float(np.mean(reference.by_seed))
            axes.axhline(middle, color=INK, linewidth=0.9, linestyle=":")
            note(axes, reference.label, (1, middle), INK, coordinates=("axes fraction", "data"))
        for originals in (False, True):
            series = [arm for arm in limited if arm.arm.originals == originals]
            if originals:
                series = [arm for arm in series if arm.arm.name == "shards"]
            _draw_series(axes, series, place, split, hollow=originals)
        axes.set_xticks(range(len(pools)), [str(copies) if copies else "none" for copies in pools])
        axes.set_xlim(-0.4, len(pools) - 0.6)
        axes.set_xlabel("copies that epochs use in turn")
        axes.set_ylabel(f"{split} {comparison.task.words}")
        ticks(axes.yaxis, 5, as_percent)
        grid(axes)
        _error_bar(axes, limited)

    said = "; ".join(
        f"{arm.label} {100 * np.mean(arm.by_seed):.1f} %"
        for arm in [*limited, *([reference] if reference and reference.by_seed else [])]
    )
    return as_svg(
        draw,
        width=3.9,
        height=2.7,
        alternative=f"{split} {comparison.task.words} against the number of copies: {said}",
    )


def _draw_series(
    axes: Axes, arms: Sequence[ComparedArm], place: dict[int, int], split: str, *, hollow: bool
) -> None:
    at = [place[arm.arm.copies or 0] + 0.12 * hollow for arm in arms]
    means = [float(np.mean(arm.by_seed)) for arm in arms]
    for x, arm in zip(at, arms, strict=True):
        values = [value for run in arm.runs if (value := run.scores[split]) is not None]
        offsets = np.linspace(-0.05, 0.05, len(values)) if len(values) > 1 else [0.0]
        axes.plot(x + np.asarray(offsets), values, "o", color=MUTED, markersize=2.8, alpha=0.7, mew=0)
    style: dict[str, Any] = {"linestyle": "--" if hollow else "-", "fillstyle": "none" if hollow else "full"}
    axes.plot(at, means, marker="o", color=ACCENT, markersize=5, linewidth=1.2, **style)
    if hollow and arms:
        said = "hollow, dashed: the originals are among the copies"
        note(axes, said, (0, 1), ACCENT, offset=(0, 10), coordinates="axes fraction")


def _error_bar(axes: Axes, arms: Sequence[ComparedArm]) -> None:
    """How far a test set's own standard error reaches, as a measure in a column of its own."""
    errors = [arm.test_error for arm in arms if arm.test_error]
    if not errors:
        return
    error = float(np.median(errors))
    low, high = axes.get_ylim()
    middle = low + 0.08 * (high - low) + error
    axes.set_ylim(low, max(high, middle + error))
    left, right = axes.get_xlim()
    axes.set_xlim(left, right + 0.3)
    axes.errorbar([right + 0.1], [middle], [error], color=MUTED, capsize=2.5, linewidth=1)
    said = "± a standard\nerror of the\ntest set"
    note(axes, said, (1, middle), MUTED, coordinates=("axes fraction", "data"))


def of_speed(comparison: Comparison) -> str:
    """Seconds of an epoch of each arm, and what part of them is spent waiting for input."""
    arms = comparison.arms

    def draw(figure: Figure) -> None:
        axes = figure.add_subplot()
        at = np.arange(len(arms))
        waiting = np.array([arm.seconds.middle * arm.input_wait.middle for arm in arms])
        whole = np.array([arm.seconds.middle for arm in arms])
        axes.barh(at, waiting, height=0.62, color=ACCENT)
        axes.barh(at, whole - waiting, left=waiting, height=0.62, color=BAR)
        axes.hlines(
            at, [a.seconds.low for a in arms], [a.seconds.high for a in arms], color=INK, linewidth=0.9
        )
        for y, arm in zip(at, arms, strict=True):
            said, end = f"{arm.images_per_second.middle:,.0f}/s", max(arm.seconds.middle, arm.seconds.high)
            note(axes, said, (end, float(y)), MUTED)
        axes.set_yticks(at, [arm.label for arm in arms])
        axes.tick_params(axis="y", labelcolor=INK)
        axes.invert_yaxis()
        axes.margins(x=0.18, y=0.02)
        axes.set_xlim(left=0)
        ticks(axes.xaxis)
        axes.set_xlabel("seconds an epoch")

    said = "; ".join(
        f"{arm.label} {arm.images_per_second.middle:,.0f} images/s, "
        f"{100 * arm.input_wait.middle:.1f} % of the time waiting"
        for arm in arms
    )
    return as_svg(
        draw, width=3.9, height=0.6 + 0.24 * len(arms), alternative=f"Seconds of an epoch by arm: {said}"
    )


def _last(spreads: Sequence[Spread | None]) -> float:
    return next(at.middle for at in reversed(spreads) if at)


def _number(value: float, what: str) -> str:
    return f"{value:.3f}" if what == "loss" else percent(value)
