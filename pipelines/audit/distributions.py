"""What a recipe promises of its draws, and how far those of a dataset are from it.

The promise is not read off the settings, which would have to be said again for every
op, but drawn: by the ops themselves, from words that are spread as evenly as can be and
come from no generator of ours. A generator with a bias therefore shows, even if all that
is computed from it agrees with itself.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from augment.draws import TABLE_SIZE, Uniforms, recorded
from augment.labels.findings import listed
from augment.ops.sequence import draw_steps
from augment.recipe import Recipe

REFERENCE = 1 << 17
"""Draws that stand for the promise. Twice the entries of a table, so that a parameter that is made
of one word has exactly its distribution."""

ALARM = 1e-6
"""Up to which chance, over all parameters together, a deviation is taken for a fault."""


class EvenWords(Uniforms):
    """Each word takes REFERENCE values at even distances, in an order that NumPy's generator shuffles.

    All that `Uniforms` promises is said again here in float64, lest a fault there be in both.
    """

    def word(self, counter: int) -> np.ndarray:
        if counter not in self._words:
            high, low = (int(word.flat[0]) for word in self._key)
            step = 2**32 // REFERENCE
            even = np.arange(REFERENCE, dtype=np.uint32) * np.uint32(step) + np.uint32(step // 2)
            self._words[counter] = np.random.default_rng([high, low, counter]).permutation(even)
        return self._words[counter]

    def words(self, first: int, count: int) -> np.ndarray:
        return np.stack([self.word(first + i) for i in range(count)], -1)

    def _unit(self, counter: int) -> np.ndarray:
        return self.word(counter).astype(np.float64) / 2**32

    def index(self, counter: int) -> np.ndarray:
        return np.floor(self._unit(counter) * TABLE_SIZE).astype(np.int32)

    def real(self, counter: int, low: float, high: float) -> np.ndarray:
        quantile = (self.index(counter) + 0.5) / TABLE_SIZE
        return (low + quantile * (high - low)).astype(np.float32)

    def integer(self, counter: int, count: int) -> np.ndarray:
        return np.floor(self._unit(counter) * count).astype(np.int32)

    def coin(self, counter: int, p: float) -> np.ndarray:
        return self._unit(counter) < p


@dataclasses.dataclass(frozen=True)
class Bins:
    """A distribution in a few bins, promised and observed, for a plot."""

    edges: tuple[float, ...]
    """one more than there are bins; for `values`, in their midst"""
    values: tuple[float, ...] | None
    """those of a parameter that takes few"""
    promised: tuple[float, ...]
    observed: tuple[float, ...]
    """shares that add up to 1"""


@dataclasses.dataclass(frozen=True)
class Fit:
    """How one parameter's draws agree with the promise."""

    name: str
    classes: tuple[str, ...]
    """whose own recipe it is of; none where it is that of all others"""
    draws: int
    deviation: float
    """the largest distance between the two distribution functions (Kolmogorov-Smirnov's statistic);
    for yes and no, the difference of the rates"""
    p_value: float
    """an upper bound of the chance of such a deviation, times the number of parameters (Bonferroni)"""
    noticeable: float
    """the least deviation that would be taken for a fault in so many draws; above 1, none would"""
    promised_mean: float
    observed_mean: float
    promised_range: tuple[float, float]
    observed_range: tuple[float, float]
    yes_or_no: bool
    bins: Bins

    @property
    def title(self) -> str:
        """The name, with the classes."""
        return self.name + (f" of {listed(self.classes)}" if self.classes else "")

    @property
    def biased(self) -> bool:
        return self.p_value < ALARM


class Tally:
    """Counts one parameter's draws by where they lie among the promised values."""

    def __init__(self, name: str, promised: np.ndarray, classes: Sequence[str] = ()) -> None:
        self.name, self.classes = name, tuple(classes)
        self.yes_or_no = promised.dtype == np.bool_
        self.values, self._promised = np.unique(promised.astype(np.float64), return_counts=True)
        # Cell 2 i is below value i and above the one before it, cell 2 i + 1 is value i.
        self._cells = np.zeros(2 * len(self.values) + 1, np.int64)
        self._sum, self._low, self._high = 0.0, math.inf, -math.inf

    def add(self, drawn: np.ndarray) -> None:
        """More draws: [n], numbers or bool."""
        if len(drawn) == 0:
            return
        drawn = drawn.astype(np.float64)
        cell = np.searchsorted(self.values, drawn, "left") + np.searchsorted(self.values, drawn, "right")
        self._cells += np.bincount(cell, minlength=len(self._cells))
        self._sum += float(drawn.sum())
        self._low, self._high = min(self._low, float(drawn.min())), max(self._high, float(drawn.max()))

    def fit(self, parameters: int) -> Fit | None:
        """The agreement, judged as one of so many parameters; None if nothing was drawn."""
        draws = int(self._cells.sum())
        if draws == 0:
            return None
        promised = np.cumsum(self._promised) / REFERENCE
        observed = np.cumsum(self._cells) / draws
        before = np.concatenate([[0.0], promised[:-1]])
        deviation = float(
            max(
                np.abs(observed[1::2] - promised).max(),
                np.abs(observed[:-1:2] - before).max(),
                1 - observed[-2],
            )
        )
        # The promise is a sample too, and a parameter made of several words is known no better than it.
        effective = draws * REFERENCE / (draws + REFERENCE)
        promised_mean = float(self.values @ self._promised / REFERENCE)
        if self.yes_or_no:
            p_value = _rate_bound(self._sum / draws, promised_mean, effective)
        else:
            p_value = _distance_bound(deviation, effective)
        return Fit(
            name=self.name,
            classes=self.classes,
            draws=draws,
            deviation=deviation,
            p_value=min(p_value * parameters, 1.0),
            noticeable=math.sqrt(math.log(math.e * parameters / ALARM) / (2 * effective)),
            promised_mean=promised_mean,
            observed_mean=self._sum / draws,
            promised_range=(float(self.values[0]), float(self.values[-1])),
            observed_range=(self._low, self._high),
            yes_or_no=self.yes_or_no,
            bins=self._bins(draws),
        )

    def _bins(self, draws: int) -> Bins:
        low, high = self.values[0], self.values[-1]
        few = len(self.values) <= _FEW
        if few:
            edges = np.concatenate([[low], (self.values[1:] + self.values[:-1]) / 2, [high]])
        elif np.array_equal(self.values, np.rint(self.values)):
            step = np.ceil((high - low + 1) / _BINS)  # as many whole numbers in each bin
            edges = np.arange(low - 0.5, high + step, step)
        else:
            edges = np.linspace(low, high, _BINS + 1)
        # What was drawn between two promised values is shown with the lower one.
        at = np.concatenate([[low], np.repeat(self.values, 2)])

        def bin_of(values: np.ndarray) -> np.ndarray:
            return np.clip(np.searchsorted(edges, values, "right") - 1, 0, len(edges) - 2)

        observed = np.bincount(bin_of(at), self._cells, len(edges) - 1) / draws
        promised = np.bincount(bin_of(self.values), self._promised, len(edges) - 1) / REFERENCE
        return Bins(
            tuple(edges.tolist()),
            tuple(self.values.tolist()) if few else None,
            tuple(promised.tolist()),
            tuple(observed.tolist()),
        )


_FEW, _BINS = 24, 32


def _distance_bound(deviation: float, draws: float) -> float:
    """Dvoretzky, Kiefer and Wolfowitz's inequality: it holds for any number of draws and for whole numbers
    too, with e for the factor where two samples are compared (Wei and Dudley, "Two-sample
    Dvoretzky-Kiefer-Wolfowitz inequalities", 2012)."""
    return math.e * math.exp(-2 * draws * deviation**2)


def _rate_bound(observed: float, promised: float, draws: float) -> float:
    """Chernoff's bound of the binomial distribution's two tails, sharp for rare events too."""
    divergence = 0.0
    for q, p in ((observed, promised), (1 - observed, 1 - promised)):
        if q > 0:
            if p == 0:
                return 0.0
            divergence += q * math.log(q / p)
    return 2 * math.exp(-draws * max(divergence, 0.0))


def promised(recipe: Recipe, classes: Sequence[str] = ()) -> list[Tally]:
    """A tally for each parameter that the samples table records of a recipe, in the order of its columns.

    `classes` are those whose own it is.
    """
    none = np.zeros([REFERENCE], np.uint32)
    draw = draw_steps(recipe.steps, (none, none), uniforms_of=EvenWords)
    return [Tally(name, np.asarray(values), classes) for name, values in recorded(draw).items()]
