"""How far a piece of work is: a bar on a terminal; elsewhere, as in a log, a line now and then."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

from tqdm import tqdm

Item = TypeVar("Item")

LINES = 10.0
"""Seconds between two lines, where there is no terminal for a bar."""


class Bar(tqdm):
    """Counts from `initial`, which took none of this work's time, to `total`, if that is known."""

    def __init__(self, what: str, unit: str, total: int | None = None, initial: int = 0) -> None:
        self._terminal, self._what, self._unit = sys.stderr, what, unit
        self._began = self._said = time.monotonic()
        super().__init__(
            desc=what, unit=f" {unit}", total=total, initial=initial, file=self._terminal, disable=None,
            smoothing=0.1, dynamic_ncols=True,
        )  # fmt: skip
        self.n = self.initial = initial  # which one without a terminal lacks

    def begin(self, what: str, unit: str, total: int) -> None:
        """What was looked for is known, and the work begins."""
        self._what, self._unit, self.total, self._began = what, unit, total, time.monotonic()
        self.unit = f" {unit}"
        self.n = self.initial = self.last_print_n = 0
        self.set_description(what)
        self.unpause()

    def name(self, what: str) -> None:
        """Says what it is at by now."""
        self._what = what
        self.set_description(what, refresh=False)

    def keep(self, initial: int) -> None:
        """So many were there before, as is known by now."""
        if not self.disable:
            self.last_print_n += initial - self.initial
        self.n, self.initial = self.n + initial - self.initial, initial

    def over(self, work: Iterable[Item]) -> Iterator[Item]:
        """Each of some pieces of work, which is then done."""
        with self:
            for piece in work:
                yield piece
                self.update()

    @property
    def due(self) -> bool:
        """Whether it would show what is done by now."""
        return not self.disable or time.monotonic() - self._said >= LINES

    def update(self, n: float | None = 1) -> Any:
        """Adds so many that are done."""
        if not self.disable:
            return super().update(n)
        self.n += n or 0
        if self.due:
            self._said = time.monotonic()
            self._terminal.write(f"augshard: {self._line(self._said - self._began)}\n")
        return None

    def _line(self, seconds: float) -> str:
        if self.total is None:
            return f"{self._what}{f', {self.n:,} {self._unit}' if self.n else ''}"
        rate = (self.n - self.initial) / max(seconds, 1)
        left = f", {self.format_interval((self.total - self.n) / rate)} left" if rate > 0 else ""
        each = f"{rate:,.0f}" if rate >= 10 or not rate else f"{rate:.2g}"
        more = f", {said}" if (said := getattr(self, "postfix", None)) else ""
        return f"{self._what}: {self.n:,} of {self.total:,} {self._unit}, {each} {self._unit}/s{left}{more}"
