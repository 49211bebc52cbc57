"""The figures of the report."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from augment.ops.operations import OPERATIONS
from pipelines.audit.distributions import Fit
from pipelines.report.audit.parameters import Parameters
from pipelines.report.figures import BAR, INK, as_percent, as_svg, ticks
from pipelines.report.numbers import short, within

_WIDTH, _HEIGHT = 3.1, 1.3
_OF_PIXELS = {"width": 4.2, "height": 1.6}
_NAMED = 6
"""Values that are named on an axis, at most."""


def of_parameter(fit: Fit, parameters: Parameters) -> str:
    """Its draws as bars, and the promise as a line over them; a policy's operations by name."""
    if parameters.kind(fit.name) == "operation":
        return _of_operations(fit)
    bins = fit.bins

    def draw(figure: Figure) -> None:
        axes = figure.add_subplot()
        if bins.values is None:
            edges = np.array(bins.edges)
            ticks(axes.xaxis, written=lambda value: within((edges[0], edges[-1]), value))
        else:
            edges = np.arange(len(bins.values) + 1) - 0.5
            every = -(-len(bins.values) // _NAMED)
            axes.set_xticks(
                range(0, len(bins.values), every),
                [parameters.value(fit.name, v) for v in bins.values[::every]],
            )
        _compared(axes, bins.observed, bins.promised, edges)

    said = _in_words(fit) if parameters.kind(fit.name) == "amount" else _of_values(fit)
    return as_svg(draw, width=_WIDTH, height=_HEIGHT, alternative=said)


def _of_operations(fit: Fit) -> str:
    """How often each of a policy's operations was drawn, by name."""
    numbers = [int(value) for value in fit.bins.values or ()]

    def draw(figure: Figure) -> None:
        axes = figure.add_subplot()
        at = np.arange(len(numbers))
        axes.barh(at, fit.bins.observed, height=0.7, color=BAR)
        axes.vlines(fit.bins.promised, at - 0.42, at + 0.42, color=INK, linewidth=1.3)
        axes.set_yticks(at, [OPERATIONS[number] for number in numbers])
        axes.invert_yaxis()
        axes.margins(y=0.01)
        ticks(axes.xaxis, written=as_percent)

    return as_svg(draw, width=_WIDTH, height=0.4 + 0.17 * len(numbers), alternative=_of_values(fit))


def of_levels(before: np.ndarray | None, after: np.ndarray) -> str:
    """Pixels by their gray level, [32] each, of sources and of their copies."""

    def draw(figure: Figure) -> None:
        axes = figure.add_subplot()
        edges = np.linspace(0, 256, 33)
        axes.set_xticks([0, 64, 128, 192, 256], ["0", "64", "128", "192", "255"])
        line = after if before is None else before
        _compared(axes, (after / after.sum()).tolist(), (line / line.sum()).tolist(), edges)

    sources = "" if before is None else f", of sources {_middle(before)}"
    return as_svg(
        draw,
        **_OF_PIXELS,
        alternative=f"Histogram of gray levels: the median of copies is about {_middle(after)}{sources}",
    )


def of_differences(differences: np.ndarray) -> str:
    """Copies by their mean absolute difference to their source, in levels: [n]."""
    counts, edges = np.histogram(differences, bins=32, range=(0, max(float(differences.max()), 8.0)))

    def draw(figure: Figure) -> None:
        axes = figure.add_subplot()
        axes.stairs(counts, edges, fill=True, color=BAR)
        axes.set_yticks([])
        axes.margins(x=0)
        ticks(axes.xaxis)

    low, middle, high = np.quantile(differences, [0.1, 0.5, 0.9])
    return as_svg(
        draw,
        **_OF_PIXELS,
        alternative="Histogram of the mean absolute difference of copies to their sources: "
        f"the median is {middle:.1f} levels, and 80 % lie between {low:.1f} and {high:.1f}",
    )


def _compared(axes: Axes, observed: Sequence[float], line: Sequence[float], edges: np.ndarray) -> None:
    axes.stairs(observed, edges, fill=True, color=BAR)
    axes.stairs(line, edges, color=INK, linewidth=1.1, baseline=None)
    axes.set_yticks([])
    axes.set_ylim(0, 1.12 * max(*observed, *line))
    axes.margins(x=0.01)


def _middle(levels: np.ndarray) -> int:
    return int(8 * np.searchsorted(np.cumsum(levels), levels.sum() / 2) + 4)


def _of_values(fit: Fit) -> str:
    """Of values that are no amounts, and have no mean."""
    return f"Histogram of {fit.title}: {fit.draws:,} draws; the largest deviation is {fit.deviation:.3f}"


def _in_words(fit: Fit) -> str:
    (low, high), (first, last) = fit.observed_range, fit.promised_range
    return (
        f"Histogram of {fit.title}: {fit.draws:,} draws from {short(low)} to {short(high)}, mean "
        f"{short(fit.observed_mean)}; promised from {short(first)} to {short(last)}, mean "
        f"{short(fit.promised_mean)}"
    )
