"""By how much two arms differ in accuracy, or another task's metric, and how much of that may be chance.

Two things are chance. Training with other seeds gives other weights: arms are compared
train seed by train seed, which share initial weights and order, and the differences
give a t interval. And another test set would have other images: that error follows from
the images on which two arms of one seed disagree, as in McNemar's test, and is smaller
than what the two accuracies' own errors would suggest. A difference is said to be one
only if it is larger than both together. Of masks and boxes the second is not known.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from pipelines.train.results import FinishedRun

LEVEL = 0.95
_NORMAL = 1.959964
"""Standard errors on either side of 95 %."""


@dataclasses.dataclass(frozen=True)
class AccuracyDifference:
    """The accuracy of an arm less that of another."""

    arm: str
    other: str
    mean: float
    """over train seeds, of each of them over the seeds of the augmentation"""
    train_seeds: int
    """that both have"""
    training: float | None
    """half of the 95 % interval by train seeds; None with one of them"""
    test: float | None
    """half of the 95 % interval by which images were tested; None if it is not known"""
    disagree: float | None
    """the part of tested images that one of the two tells right and the other wrong, in a pair of runs"""
    same: bool
    """whether the two have one accuracy in every pair, and disagree on no image"""

    @property
    def error(self) -> float | None:
        """Half of the interval by both; None if the part of the train seeds is not known."""
        return None if self.training is None else math.hypot(self.training, self.test or 0.0)

    @property
    def exceeds(self) -> bool:
        """Whether it is larger than its error."""
        return self.error is not None and abs(self.mean) > self.error


def accuracy_differences(runs: Sequence[FinishedRun], measured: str) -> list[AccuracyDifference]:
    """Of every two arms that have a train seed in common, the later less the earlier.

    `measured` names the split: `test` or `validation`. Errors by images are of `test` only.
    """
    by_arm: dict[str, list[FinishedRun]] = {}
    for run in runs:
        by_arm.setdefault(run.arm.label, []).append(run)
    found = (
        _difference(arm, other, by_arm[arm], by_arm[other], measured)
        for other, arm in itertools.combinations(by_arm, 2)
    )
    return [difference for difference in found if difference]


def _difference(
    arm: str, other: str, runs: list[FinishedRun], others: list[FinishedRun], measured: str
) -> AccuracyDifference | None:
    means, other_means = accuracy_by_seed(runs, measured), accuracy_by_seed(others, measured)
    seeds = sorted(means.keys() & other_means.keys())
    if not seeds:
        return None
    values = np.array([means[seed] - other_means[seed] for seed in seeds])
    pairs = [
        (run.seed, run.right, counterpart.right)
        for run in runs
        for counterpart in others
        if (run.seed, run.train_seed) == (counterpart.seed, counterpart.train_seed)
        and run.right is not None
        and counterpart.right is not None
    ]
    test = disagree = None
    if pairs and measured == "test":
        test = _NORMAL * _error_by_images(pairs)
        disagree = float(np.mean([a != b for _, a, b in pairs]))
    return AccuracyDifference(
        arm=arm,
        other=other,
        mean=float(values.mean()),
        train_seeds=len(seeds),
        training=half_interval(values),
        test=test,
        disagree=disagree,
        same=not values.any() and not disagree,
    )


def _error_by_images(pairs: Sequence[tuple[int, np.ndarray, np.ndarray]]) -> float:
    """The standard error of a difference by which images are tested.

    `pairs` has seeds of the augmentation, and what two runs told right, bool [n], in an order of
    images that is another with each such seed. The errors of these seeds are of the same
    images, and so are added as if they were one.
    """
    by_seed: dict[int, list[np.ndarray]] = defaultdict(list)
    for seed, a, b in pairs:
        by_seed[seed].append(a.astype(float) - b)
    means = [np.mean(values, axis=0) for values in by_seed.values()]
    return float(np.mean([math.sqrt(np.square(mean).sum()) / len(mean) for mean in means]))


def accuracy_by_seed(runs: Sequence[FinishedRun], measured: str) -> dict[int, float]:
    """The accuracy of an arm by train seed: the mean over the seeds of the augmentation."""
    values: dict[int, list[float]] = defaultdict(list)
    for run in runs:
        accuracy = run.scores[measured]
        if accuracy is not None:
            values[run.train_seed].append(accuracy)
    return {seed: float(np.mean(some)) for seed, some in values.items()}


def half_interval(values: np.ndarray) -> float | None:
    """Half of the 95 % t interval of a mean; None of one value. values: float [n]."""
    if len(values) < 2:
        return None
    return t_quantile(len(values) - 1) * float(values.std(ddof=1)) / math.sqrt(len(values))


def t_quantile(freedom: int) -> float:
    """Student's t beyond which, on both sides, lies 1 - LEVEL, for so many degrees of freedom."""
    low, high = 0.0, 1000.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _within(middle, freedom) < LEVEL else (low, middle)
    return high


def _within(t: float, freedom: int) -> float:
    """The probability of Student's t between -t and t: Abramowitz and Stegun, 26.7.3 and 26.7.4."""
    angle = math.atan(t / math.sqrt(freedom))
    cosine, odd = math.cos(angle), freedom % 2
    term, total = (cosine if odd else 1.0), 0.0
    for k in range(2 + odd, freedom + 1, 2):
        total += term
        term *= (k - 1) / k * cosine * cosine
    return 2 / math.pi * (angle + math.sin(angle) * total) if odd else math.sin(angle) * total


def binomial_error(accuracy: float, images: int) -> float:
    """The standard error of an accuracy as a part of so many images."""
    return math.sqrt(accuracy * (1 - accuracy) / images)
