"""Figures as SVG that stands in the page and takes its colors and its type from there.

Equal figures give equal text: no dates, and ids that follow from the content.
"""

from __future__ import annotations

import html
import io
import re
from collections.abc import Callable

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from pipelines.report.page import bundled

INK, MUTED, ACCENT, BAR, RULE = "#000001", "#000002", "#000003", "#000004", "#000005"
"""Stand for the page's colors of these names, light or dark."""

_VARIABLES = {INK: "--ink", MUTED: "--muted", ACCENT: "--accent", BAR: "--bar", RULE: "--rule"}

_PIXELS = 1.6
"""Of a figure that stands alone, for a point of its text."""

_STYLE = {
    "svg.fonttype": "none",
    "font.size": 8.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.edgecolor": MUTED,
    "axes.linewidth": 0.7,
    "axes.labelcolor": MUTED,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.major.width": 0.7,
    "xtick.major.size": 3,
    "ytick.left": False,
    "text.color": INK,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "path.simplify": False,
}


def as_svg(draw: Callable[[Figure], None], *, width: float, height: float, alternative: str) -> str:
    """What `draw` draws into an empty figure of so many inches, with the colors above.

    `alternative` says in words what is to be seen.
    """
    with mpl.rc_context({**_STYLE, "svg.hashsalt": alternative}):
        figure = Figure(figsize=(width, height), layout="constrained")
        draw(figure)
        file = io.StringIO()
        FigureCanvasSVG(figure).print_svg(file, metadata={"Date": None})
    return _for_the_page(file.getvalue(), alternative)


def ticks(
    axis: Axis, most: int = 4, written: Callable[[float], str] | None = None, *, whole: bool = False
) -> None:
    """At most so many, at round numbers, which `written` writes; `whole` ones alone."""
    axis.set_major_locator(MaxNLocator(most, integer=whole, steps=[1, 2, 5, 10]))
    if written:
        axis.set_major_formatter(lambda value, _: written(value))


def as_percent(value: float) -> str:
    """With as many digits as ticks need: none is rounded away."""
    return f"{100 * value:.4g} %"


def grid(axes: Axes) -> None:
    """Level lines behind what is drawn."""
    axes.grid(axis="y", color=RULE, linewidth=0.6)
    axes.set_axisbelow(True)


def note(
    axes: Axes,
    text: str,
    at: tuple[float, float],
    color: str,
    *,
    offset: tuple[float, float] = (4, 0),
    ha: str = "left",
    va: str = "center",
    coordinates: str | tuple[str, str] = "data",
) -> None:
    """Text so many points beside a place."""
    axes.annotate(
        text,
        at,
        xycoords=coordinates,
        xytext=offset,
        textcoords="offset points",
        ha=ha,
        va=va,
        color=color,
        annotation_clip=False,
    )


def standalone(svg: str) -> str:
    """A figure of `as_svg` as a file of its own, on the page's paper, light or dark as the system is."""
    box = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', svg)
    width, height = (float(side) * _PIXELS for side in box.groups()) if box else (0.0, 0.0)
    opening = (
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'width="{width:.0f}" height="{height:.0f}"'
    )
    style = f"<style>{bundled('theme.css')} svg {{ background: var(--paper); }}</style>"
    body = svg.removeprefix("<svg")
    after = body.index(">") + 1
    return f"{opening}{body[:after]}{style}{body[after:]}\n"


def _for_the_page(document: str, alternative: str) -> str:
    svg = document[document.index("<svg") :]
    box = re.search(r'viewBox="[^"]*"', svg)
    opening = (
        f'<svg {box and box[0]} role="img" aria-label="{html.escape(alternative)}" stroke-linejoin="round">'
    )
    svg = opening + svg[svg.index(">") + 1 :]
    svg = re.sub(r"<(metadata|style)\b.*?</\1>", "", svg, flags=re.DOTALL)  # its style is for all of a page
    svg = re.sub(r' id="[a-z0-9._]+_\d+"', "", svg)  # of groups, the same in every figure
    svg = re.sub(r"font-family: [^;\"]*", "font-family: var(--sans)", svg)
    for color, variable in _VARIABLES.items():
        svg = svg.replace(color, f"var({variable})")
    return re.sub(r"\s*\n\s*", " ", svg)
