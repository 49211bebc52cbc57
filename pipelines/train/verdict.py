"""Whether arms that see the same copies have the same weights, bit by bit, after every epoch."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

Run = Mapping[str, Any]
"""What run.json says of a finished run."""

REFERENCES = ("live", "live-layer")
"""Arms that know no limit on copies; the others are held against the first that there is."""


@dataclasses.dataclass(frozen=True)
class Verdict:
    """One arm held against another, with every train seed that both have."""

    arm: str
    reference: str
    seeds: int
    epochs: int
    """how many epochs, from the first on, see the same copies in both"""
    all_epochs: bool
    """whether these are all that there are"""
    differs: tuple[int, int] | None
    """the first train seed, and its first of those epochs, after which weights differ"""

    @property
    def sentence(self) -> str:
        arms = f"{self.arm} and {self.reference}"
        if self.differs:
            seed, epoch = self.differs
            return f"{arms}: weights differ, with train seed {seed} from epoch {epoch} on"
        if not self.epochs:
            return f"{arms}: no epoch sees the same copies in both, so there is nothing to compare"
        if self.all_epochs:
            which = "every epoch"
        elif self.epochs == 1:
            which = "the first epoch, the one that sees the same copy"
        else:
            which = f"each of the first {self.epochs} epochs, which see the same copies"
        times = f" ({self.seeds} train seeds)" if self.seeds > 1 else ""
        return f"{arms}: weights bit-identical after {which}{times}"


def verdicts(runs: Sequence[Run]) -> list[Verdict]:
    """Each arm that augments, held against live; an empty list without live and live-layer."""
    augmenting = [run for run in runs if run["arm"] != "none"]
    reference = next((run["label"] for name in REFERENCES for run in augmenting if run["arm"] == name), None)
    if reference is None:
        return []
    references = {run["train_seed"]: run for run in augmenting if run["label"] == reference}
    arms = dict.fromkeys(run["label"] for run in augmenting if run["label"] != reference)
    found = []
    for arm in arms:
        pairs = [
            (run, references[run["train_seed"]])
            for run in augmenting
            if run["label"] == arm and run["train_seed"] in references
        ]
        if pairs:
            found.append(_verdict(arm, reference, pairs))
    return found


def _verdict(arm: str, reference: str, pairs: Sequence[tuple[Run, Run]]) -> Verdict:
    epochs, all_epochs, differs = 0, True, None
    for run, other in pairs:
        same = _same_copies(run, other)
        epochs = max(epochs, same)
        all_epochs &= same == max(len(run["epochs"]), len(other["epochs"]))
        for a, b in zip(run["epochs"][:same], other["epochs"][:same], strict=True):
            if a["weights_sha256"] != b["weights_sha256"] and differs is None:
                differs = run["train_seed"], a["epoch"]
    return Verdict(arm, reference, len(pairs), epochs, all_epochs, differs)


def _same_copies(run: Run, other: Run) -> int:
    """How many epochs from the first on see the same copies."""
    count = 0
    for a, b in zip(run["epochs"], other["epochs"], strict=False):
        if a["copy"] != b["copy"]:
            break
        count += 1
    return count
