"""What stands on the terminal when all runs are finished, and a comparison for programs."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from pipelines.report.training import tables
from pipelines.train.accuracy import half_interval
from pipelines.train.compare import ComparedArm, Comparison
from pipelines.train.identity import RunDocument, weights_matches


def as_text(runs: Sequence[RunDocument]) -> str:
    """A table of the runs, and whether arms that see the same copies have the same weights."""
    found = tables.identities([(0, match) for match in weights_matches(runs)])
    return tables.runs(runs).text + (f"\n{found.text}\n" if found else "")


def as_json(comparison: Comparison) -> dict[str, Any]:
    """All that a comparison concludes."""
    return {
        "requests": list(comparison.requests),
        "unfinished": list(comparison.unfinished),
        "measured": comparison.measured,
        "test_images": comparison.images,
        "arms": {arm.label: _arm(arm, comparison.task.metric) for arm in comparison.arms},
        "differences": [
            {**dataclasses.asdict(found), "error": found.error, "exceeds_error": found.exceeds}
            for found in comparison.differences
        ],
        "costs": [
            {**cost._asdict(), "saved": cost.saved and cost.saved._asdict(), "pays_off": cost.pays_off}
            for cost in comparison.costs
        ],
        "bit_identity": [{"seed": seed, **match._asdict()} for seed, match in comparison.identities],
    }


def _arm(arm: ComparedArm, metric: str) -> dict[str, Any]:
    return {
        "runs": [{"seed": run.seed, "train_seed": run.train_seed, metric: run.scores} for run in arm.runs],
        "curves": {column: [at and at._asdict() for at in curve] for column, curve in arm.curves.items()},
        metric: {split: spread and spread._asdict() for split, spread in arm.score.items()},
        "deviation_by_train_seed": arm.deviation,
        "deviation_by_augmentation_seed": arm.deviation_by_augmentation,
        "test_standard_error": arm.test_error,
        "interval_by_train_seed": half_interval(np.array(arm.by_seed)),
        "seconds_an_epoch": arm.seconds._asdict(),
        "images_per_second": arm.images_per_second._asdict(),
        "input_wait_share": arm.input_wait._asdict(),
    }
