"""Images a second of several contestants in several rounds, as a table and in a file."""

from __future__ import annotations

import json
import os
import statistics
import sys
from pathlib import Path

Rates = dict[tuple[str, str], list[float]]
"""By what is done and who does it, one of each round."""


def report(rates: Rates, *, done: str, ours: str, file: Path | None) -> None:
    """Prints the table, and writes every figure to a file.

    Args:
        done: what the first of the two names is called there.
        ours: who of the contestants the others are compared with.
    """
    sys.stdout.write(table(rates, ours))
    if file:
        listed = [{done: what, "contestant": who, "images_per_second": v} for (what, who), v in rates.items()]
        file.write_text(json.dumps({"cores": os.cpu_count(), "rates": listed}, indent=2) + "\n")


def table(rates: Rates, ours: str) -> str:
    """Medians, and our rate as a multiple of each: the median of the ratios within a round."""
    first, second = (max(map(len, names)) + 2 for names in zip(*rates, strict=True))
    lines = [f"{'':{first}}{'':{second}}{'images/s':>10}{'from':>8}{'to':>8}{'ours is':>9}\n"]
    for (what, who), measured in rates.items():
        ratio = statistics.median(a / b for a, b in zip(rates[what, ours], measured, strict=True))
        figures = (statistics.median(measured), min(measured), max(measured))
        cells = "".join(f"{figure:>{width},.0f}" for figure, width in zip(figures, (10, 8, 8), strict=True))
        is_ours = who == ours
        shown = what if is_ours else ""
        lines.append(f"{shown:{first}}{who:{second}}{cells}{'' if is_ours else f'{ratio:8.2f}x'}\n")
    return "".join(lines)
