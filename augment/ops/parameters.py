"""What an op draws: parameters, declared with their kind and range.

The j-th parameter that an op declares is made of its counter j. From a declaration
follow the draw, the column of the samples table, and what the documentation says.
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np

from augment.array_api import Array, take
from augment.draws import Uniforms, table, uniform_between

Table = tuple[Callable[..., np.ndarray], Any]
"""A function of (quantiles, low, high) in float64, and to which dtype its values are rounded."""


class Parameter(ABC):
    """One number that is drawn for each sample."""

    @abstractmethod
    def draw(self, u: Uniforms, counter: int, name: str) -> dict[str, Array]:
        """[...] under `name`, and working values with it, whose names begin with an underscore."""

    @abstractmethod
    def __str__(self) -> str:
        """What can be drawn, in words."""


@dataclasses.dataclass(frozen=True, init=False)
class Real(Parameter):
    """float32, uniform in an interval, or what a function makes of that.

    `also` are tables for which the same position is looked up: what `apply` needs
    of the parameter, computed in float64 and not from its rounded value.
    """

    interval: tuple[float, float]
    values: Callable[..., np.ndarray]
    also: dict[str, Table]

    def __init__(
        self,
        interval: tuple[float, float],
        values: Callable[..., np.ndarray] = uniform_between,
        **also: Table,
    ) -> None:
        object.__setattr__(self, "interval", interval)
        object.__setattr__(self, "values", values)
        object.__setattr__(self, "also", also)

    def draw(self, u: Uniforms, counter: int, name: str) -> dict[str, Array]:
        if self.values is uniform_between:
            drawn = {name: u.real(counter, *self.interval)}
        else:
            drawn = {name: take(table(self.values, np.float32, *self.interval), u.index(counter))}
        for working, (function, dtype) in self.also.items():
            drawn[working] = take(table(function, dtype, *self.interval), u.index(counter))
        return drawn

    def __str__(self) -> str:
        low, high = self.values(np.array([0.0, 1.0]), *self.interval)
        return f"{low:.6g}" if low == high else f"a number from {low:.6g} to {high:.6g}"


@dataclasses.dataclass(frozen=True)
class Whole(Parameter):
    """int32, one of `count` whole numbers from `low` on, each as likely."""

    count: int
    low: int = 0

    @classmethod
    def between(cls, interval: tuple[int, int]) -> Whole:
        """Both ends are drawn too."""
        low, high = interval
        return cls(high - low + 1, low)

    def draw(self, u: Uniforms, counter: int, name: str) -> dict[str, Array]:
        return {name: u.integer(counter, self.count) + self.low}

    def __str__(self) -> str:
        return f"a whole number from {self.low} to {self.low + self.count - 1}"


@dataclasses.dataclass(frozen=True)
class Choice(Parameter):
    """int32, one of several values, each as likely; `also`, by name, values that go with them."""

    values: tuple[int, ...]
    also: dict[str, np.ndarray] = dataclasses.field(default_factory=dict)

    def draw(self, u: Uniforms, counter: int, name: str) -> dict[str, Array]:
        index = u.integer(counter, len(self.values))
        drawn = {name: take(np.array(self.values, np.int32), index)}
        return drawn | {working: take(values, index) for working, values in self.also.items()}

    def __str__(self) -> str:
        if len(self.values) == 1:
            return str(self.values[0])
        shown = map(str, self.values[:8])
        return f"one of {', '.join(shown)}" + (f" ... ({len(self.values)})" if len(self.values) > 8 else "")


@dataclasses.dataclass(frozen=True)
class Coin(Parameter):
    """bool, true with a probability."""

    p: float

    def draw(self, u: Uniforms, counter: int, name: str) -> dict[str, Array]:
        return {name: u.coin(counter, self.p)}

    def __str__(self) -> str:
        return f"true with probability {self.p:g}"


@dataclasses.dataclass(frozen=True)
class Word(Parameter):
    """uint32: random bits, such as half of a sub-key."""

    def draw(self, u: Uniforms, counter: int, name: str) -> dict[str, Array]:
        return {name: u.word(counter)}

    def __str__(self) -> str:
        return "32 random bits"


KEY = {"key_high": Word(), "key_low": Word()}
"""A sub-key, of which as much randomness is made as is needed (`augment.kernels.streams`)."""
