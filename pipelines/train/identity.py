"""Whether arms that see the same copies have the same weights, bit by bit, after every epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

RunDocument = Mapping[str, Any]
"""What run.json says of a finished run."""

REFERENCES = ("live", "live-layer")
"""Arms that know no limit on copies; the others are held against the first that there is."""


class WeightsMatch(NamedTuple):
    """The weights of one run held against those of another with the same train seed."""

    train_seed: int
    arm: str
    reference: str
    epochs: int
    """how many, from the first on, see the same copies in both"""
    all_epochs: bool
    """whether these are all that there are"""
    differs: int | None
    """the first of those epochs, from 0, after which weights differ"""


def weights_matches(runs: Sequence[RunDocument]) -> list[WeightsMatch]:
    """Each run of an arm that augments, held against live; none without live and live-layer."""
    augmenting = [run for run in runs if run["arm"] != "none"]
    reference = next((run["label"] for name in REFERENCES for run in augmenting if run["arm"] == name), None)
    references = {run["train_seed"]: run for run in augmenting if run["label"] == reference}
    return [
        _match(run, references[run["train_seed"]])
        for run in augmenting
        if run["label"] != reference and run["train_seed"] in references
    ]


def _match(run: RunDocument, other: RunDocument) -> WeightsMatch:
    both = list(zip(run["epochs"], other["epochs"], strict=False))
    same = next((i for i, (a, b) in enumerate(both) if a["copy"] != b["copy"]), len(both))
    weights = (a["weights_sha256"] != b["weights_sha256"] for a, b in both[:same])
    return WeightsMatch(
        train_seed=run["train_seed"],
        arm=run["label"],
        reference=other["label"],
        epochs=same,
        all_epochs=same == max(len(run["epochs"]), len(other["epochs"])),
        differs=next((epoch for epoch, differs in enumerate(weights) if differs), None),
    )
