"""Ops made of ops: one of several, some of several, all or none.

    - one_of:
        ops:
          - rotation: {factor: 0.1}
          - contrast: {factor: 0.3}

Every op within draws for every sample, applied or not, under its own path
(`one_of/rotation`), and `<path>.applied` records whether it was applied.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Annotated, Any

import numpy as np
from pydantic import model_validator

from augment.array_api import Array, cast, stack
from augment.draws import Draw, Uniforms
from augment.ops.base import Size
from augment.ops.sequence import Group, Step, runs
from augment.ops.settings import Checked, Probability, pair_of

_WEIGHTS = "a list of numbers above 0, one for each op"


def _weights(value: Any) -> tuple[float, ...]:
    numbers = isinstance(value, (list, tuple)) and all(
        isinstance(v, (int, float)) and not isinstance(v, bool) and math.isfinite(v) and v > 0 for v in value
    )
    if not numbers:
        raise ValueError(f"it must be {_WEIGHTS}")
    return tuple(float(v) for v in value)


class OneOf(Group):
    """Applies one of its ops, chosen anew for every sample.

    Each op within a group is known by its path: the group's id, `/`, and its own id,
    which defaults to its name. By it, it draws for every sample, applied or not, and
    `<path>.applied` records whether it was applied. Groups nest.
    """

    weights: Annotated[
        tuple[float, ...],
        Checked(
            _weights,
            requirement=_WEIGHTS,
            schema={"type": "array", "items": {"type": "number", "exclusiveMinimum": 0}},
        ),
    ] = ()
    """how often each op is chosen, in proportion to the others; all alike by default"""

    @model_validator(mode="after")
    def _a_weight_for_each(self) -> OneOf:
        if self.weights and len(self.weights) != len(self.ops):
            raise ValueError(f"weights are {len(self.weights)} numbers; give one for each op of the list")
        return self

    def draw(self, u: Uniforms, size: Size | None) -> Draw:
        shares = [Fraction(weight) for weight in self.weights or [1.0] * len(self.ops)]
        word = cast(u.word(0), np.int64)
        chosen = word * 0
        for after in range(1, len(shares)):
            start = math.ceil(sum(shares[:after]) / sum(shares) * 2**32)
            chosen = chosen + cast(word >= start, np.int64)
        return {"_chosen": cast(chosen, np.int32)}

    def taken(self, draw: Draw) -> list[Array | None]:
        return [draw["_chosen"] == i for i in range(len(self.ops))]


_COUNT = "a whole number from 0, or [low, high] of them with low <= high"
_NUMBER = {"type": "integer", "minimum": 0}


def _count(value: Any) -> tuple[int, int]:
    value = (value, value) if type(value) is int else value
    if not (isinstance(value, (list, tuple)) and len(value) == 2 and all(type(v) is int for v in value)):
        raise ValueError(f"it must be {_COUNT}")
    low, high = value
    if not 0 <= low <= high:
        raise ValueError(f"it must be {_COUNT}")
    return low, high


class SomeOf(Group):
    """Applies a drawn number of its ops, chosen anew for every sample, in the order of the list.

    Which ones, every choice of so many is as likely. Paths are as for one_of.
    """

    count: Annotated[
        tuple[int, int],
        Checked(_count, requirement=_COUNT, schema={"anyOf": [_NUMBER, pair_of(_NUMBER)]}),
    ]
    """how many; each number in the interval, its ends included, is as likely"""

    @model_validator(mode="after")
    def _enough_ops(self) -> SomeOf:
        if self.count[1] > len(self.ops):
            raise ValueError(f"count goes up to {self.count[1]}, which is more than there are ops")
        return self

    def draw(self, u: Uniforms, size: Size | None) -> Draw:
        low, high = self.count
        count = u.integer(0, high - low + 1) + low
        # Each op draws a number; those with the least are applied, on a tie the earlier one.
        lots = [cast(u.word(1 + i), np.int64) * len(self.ops) + i for i in range(len(self.ops))]
        taken = []
        for lot in lots:
            rank = count * 0
            for other in lots:
                rank = rank + cast(other < lot, np.int32)
            taken.append(rank < count)
        return {"count": count, "_taken": stack(taken)}

    def taken(self, draw: Draw) -> list[Array | None]:
        return [draw["_taken"][..., i] for i in range(len(self.ops))]


class Sometimes(Group):
    """Applies all of its ops in the order of the list, or, by one coin for all of them, none.

    Neighboring affine ops are one resampling, as in a recipe. Paths are as for one_of.
    """

    p: Probability
    """how often they are applied"""

    def branches(self, size: Size | None) -> list[tuple[Step, ...]]:
        return [tuple(Step(run, size) for run in runs(self.ops))]

    def taken(self, draw: Draw) -> list[Array | None]:
        return [None]
