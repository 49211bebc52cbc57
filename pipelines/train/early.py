"""Early stopping, as a value that a checkpoint can hold."""

from __future__ import annotations

import dataclasses
import math

PATIENCE = 10
MIN_DELTA = 0.001


@dataclasses.dataclass(frozen=True)
class EarlyStopping:
    """Which epoch was best by its validation loss, as Keras's callback of that name decides it.

    An epoch is better if its loss is smaller by more than MIN_DELTA; after PATIENCE
    epochs without a better one, training ends.
    """

    best_loss: float = math.inf
    best_epoch: int = 0
    waited: int = 0

    def after(self, epoch: int, loss: float) -> EarlyStopping:
        """What holds after an epoch, from 0, of that validation loss, which may be no number."""
        if loss + MIN_DELTA < self.best_loss:
            return EarlyStopping(loss, epoch, 0)
        return dataclasses.replace(self, waited=self.waited + 1)

    @property
    def over(self) -> bool:
        return self.waited >= PATIENCE
