"""The comparison of all finished runs: curves, accuracy, speed, cost, and whether weights are the same.

It only reads what the runs left, so that equal directories give equal comparisons.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
import operator
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from pipelines.train.accuracy import (
    AccuracyDifference,
    accuracy_by_seed,
    accuracy_differences,
    binomial_error,
)
from pipelines.train.arms import Arm
from pipelines.train.identity import REFERENCES, WeightsMatch, weights_matches
from pipelines.train.learned import CLASSES, TASKS, Task
from pipelines.train.request import TrainingRequest
from pipelines.train.results import ArmsDataset, FinishedRun, TrainingOutput, order


def curves_of(task: Task) -> tuple[str, ...]:
    """Columns of the history that are shown by epoch."""
    return "loss", "val_loss", task.metric, f"val_{task.metric}"


class Spread(NamedTuple):
    """Several values of one thing."""

    low: float
    middle: float
    high: float


@dataclasses.dataclass(frozen=True, eq=False)
class ComparedArm:
    """An arm with all its runs."""

    arm: Arm
    runs: tuple[FinishedRun, ...]
    curves: dict[str, list[Spread | None]]
    """of `curves_of`, by epoch: least, mean and largest of the runs; None where there is no number"""
    score: dict[str, Spread | None]
    """of train, validation and test, at the end: the least, the mean and the largest of the runs"""
    by_seed: tuple[float, ...]
    """the score by which arms are compared, by train seed"""
    deviation_by_augmentation: float | None
    """of that score over seeds of the augmentation, within a train seed; None of one of them"""
    test_error: float | None
    """standard error of the test accuracy, by which images were tested; None of another metric"""
    seconds: Spread
    """of an epoch's training: quartiles over runs and epochs, as what follows"""
    images_per_second: Spread
    input_wait: Spread
    """the part of an epoch's seconds"""

    @property
    def label(self) -> str:
        return self.arm.label

    @property
    def deviation(self) -> float | None:
        """Of `by_seed`; None of one."""
        return float(np.std(self.by_seed, ddof=1)) if len(self.by_seed) > 1 else None


class Cost(NamedTuple):
    """What the shards of an arm cost, and what they save."""

    arm: str
    seed: int
    """of the augmentation"""
    bytes: int
    """of what the arm trains on"""
    seconds: float
    """to make them: of the whole job, the part of their records"""
    job_seconds: float
    job_bytes: int
    saved: Spread | None
    """seconds an epoch, against live: from the quartiles of both; None without live"""

    @property
    def pays_off(self) -> tuple[int | None, ...] | None:
        """The epoch, counted from 1, after which they have saved what they cost: at the most that is saved,
        at the middle, and at the least. None in it: never at that rate."""
        if self.saved is None:
            return None
        return tuple(math.ceil(self.seconds / rate) if rate > 0 else None for rate in reversed(self.saved))


@dataclasses.dataclass(frozen=True, eq=False)
class Comparison:
    """All that is concluded from some outputs."""

    requests: tuple[TrainingRequest, ...]
    """one of each output"""
    arms: tuple[ComparedArm, ...]
    unfinished: tuple[str, ...]
    measured: str | None
    """the split by which arms are compared: `test`, `validation`, or None"""
    images: int | None
    """of the test split"""
    differences: tuple[AccuracyDifference, ...]
    costs: tuple[Cost, ...]
    datasets: tuple[ArmsDataset, ...]
    identities: tuple[tuple[int, WeightsMatch], ...]
    """each with the seed of its augmentation"""

    @property
    def task(self) -> Task:
        return TASKS[self.requests[0].get("learns", "classes")]

    @property
    def runs(self) -> list[FinishedRun]:
        return [run for arm in self.arms for run in arm.runs]

    @property
    def reference(self) -> ComparedArm | None:
        """The arm that knows no limit on copies; None without one."""
        return next((arm for name in REFERENCES for arm in self.arms if arm.arm.name == name), None)

    def between(self, arm: str, other: str) -> AccuracyDifference | None:
        """The score of one arm less that of another."""
        for found in self.differences:
            if (found.arm, found.other) == (arm, other):
                return found
            if (found.arm, found.other) == (other, arm):
                return dataclasses.replace(found, arm=arm, other=other, mean=-found.mean)
        return None


def compare(outputs: Sequence[TrainingOutput]) -> Comparison:
    """Compares all finished runs of outputs, of which there may be none."""
    runs = sorted((run for output in outputs for run in output.runs), key=lambda run: order(run.arm))
    measured, by_seed = _measured(runs), operator.itemgetter("train_seed")
    arms = tuple(
        _one_arm(tuple(some), measured) for _, some in itertools.groupby(runs, key=lambda run: run.arm)
    )
    unfinished = tuple(
        f"{sentence}, augmentation seed {output.seed}" if len(outputs) > 1 else sentence
        for output in outputs
        for sentence in output.unfinished
    )
    return Comparison(
        requests=tuple(output.request for output in outputs),
        arms=arms,
        unfinished=unfinished,
        measured=measured,
        images=next((run.document["test"]["images"] for run in runs if run.document["test"]), None),
        differences=tuple(accuracy_differences(runs, measured) if measured else ()),
        costs=tuple(cost for output in outputs for cost in _costs(output)),
        datasets=tuple(output.dataset for output in outputs if output.dataset),
        identities=tuple(
            (output.seed, match)
            for output in outputs
            for match in weights_matches(sorted((run.document for run in output.runs), key=by_seed))
        ),
    )


def _measured(runs: Sequence[FinishedRun]) -> str | None:
    def known(split: str) -> bool:
        return bool(runs) and all(run.scores[split] is not None for run in runs)

    return next(filter(known, ("test", "validation")), None)


def _one_arm(runs: tuple[FinishedRun, ...], measured: str | None) -> ComparedArm:
    test = [run.document["test"] for run in runs if run.document["test"]]
    score = {split: _range(run.scores[split] for run in runs) for split in ("train", "validation", "test")}
    tested = score["test"] if runs[0].task is CLASSES else None
    return ComparedArm(
        arm=runs[0].arm,
        runs=runs,
        curves={column: _curve(runs, column) for column in curves_of(runs[0].task)},
        score=score,
        by_seed=tuple(accuracy_by_seed(runs, measured).values()) if measured else (),
        deviation_by_augmentation=_within_train_seeds(runs, measured) if measured else None,
        test_error=binomial_error(tested.middle, test[0]["images"]) if tested else None,
        seconds=_quartiles(runs, "seconds"),
        images_per_second=_quartiles(runs, "images_per_second"),
        input_wait=_quartiles(runs, "input_wait_share"),
    )


def _within_train_seeds(runs: Sequence[FinishedRun], measured: str) -> float | None:
    """Standard deviation over seeds of the augmentation, pooled over train seeds."""
    squares, freedom = 0.0, 0
    for train_seed in sorted({run.train_seed for run in runs}):
        values = [run.scores[measured] for run in runs if run.train_seed == train_seed]
        squares += float(np.var(np.array(values, float))) * len(values)
        freedom += len(values) - 1
    return math.sqrt(squares / freedom) if freedom else None


def _curve(runs: Sequence[FinishedRun], column: str) -> list[Spread | None]:
    epochs = max(len(run.document["epochs"]) for run in runs)
    return [
        _range(run.document["epochs"][epoch][column] for run in runs if epoch < len(run.document["epochs"]))
        for epoch in range(epochs)
    ]


def _range(values: Iterable[float | None]) -> Spread | None:
    numbers = [value for value in values if value is not None]
    return Spread(min(numbers), float(np.mean(numbers)), max(numbers)) if numbers else None


def _quartiles(runs: Sequence[FinishedRun], column: str) -> Spread:
    """Over all epochs, without the first of each run if it has others: TensorFlow prepares itself in it."""
    values = [row[column] for run in runs for row in (run.document["epochs"][1:] or run.document["epochs"])]
    return Spread(*map(float, np.quantile(values, [0.25, 0.5, 0.75])))


def _costs(output: TrainingOutput) -> list[Cost]:
    """Of the arms of shards; against live of the same output, that no other machine or hour is compared."""
    dataset = output.dataset
    if dataset is None:
        return []
    live = [run for run in output.runs if run.arm.name == "live"]
    costs = []
    for arm, runs in itertools.groupby(output.runs, key=lambda run: run.arm):
        if arm.name == "shards" and dataset.has(arm):
            costs.append(
                Cost(
                    arm=arm.label,
                    seed=output.seed,
                    bytes=dataset.shards(arm)[0],
                    seconds=dataset.seconds_for(arm),
                    job_seconds=dataset.seconds,
                    job_bytes=sum(file.bytes for file in dataset.manifest.files.values()),
                    saved=_saved(list(runs), live) if live else None,
                )
            )
    return costs


def _saved(runs: Sequence[FinishedRun], live: Sequence[FinishedRun]) -> Spread:
    ours, theirs = _quartiles(runs, "seconds"), _quartiles(live, "seconds")
    return Spread(theirs.low - ours.high, theirs.middle - ours.middle, theirs.high - ours.low)
