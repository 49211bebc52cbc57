"""What the values of a parameter are, and how they are written: not each number is an amount."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from augment.ops.jitter import ChannelShuffle, ColorJitter
from augment.ops.operations import OPERATIONS
from augment.ops.parameters import KEY
from augment.ops.policy import AutoAugment, Policy
from augment.ops.sequence import paths
from augment.recipe import Recipe
from pipelines.audit.distributions import Fit
from pipelines.report.captions import said
from pipelines.report.numbers import short

Kind = Literal["amount", "yes or no", "operation", "order", "name", "magnitude", "random bits", "one value"]
"""Of a parameter: an amount, of which there is a mean; yes or no; the number of a policy's operation; an
order, digit by digit; a number that is a name; a magnitude, whose unit its operation decides; random bits;
and what the recipe leaves at one value."""

LETTERS = {ColorJitter: "BCSH", ChannelShuffle: "RGB"}
"""What the digits of an order stand for, from 1."""


class Parameters:
    """Those of a recipe, with what an audit found of them."""

    def __init__(self, recipe: Recipe, fits: Sequence[Fit]) -> None:
        self._recipe = recipe
        self._by_path = {path: op for _, one in recipe.distinct() for path, op in paths(one.ops)}
        self._fits: dict[str, list[Fit]] = defaultdict(list)
        for fit in fits:
            self._fits[fit.name].append(fit)
        kinds = {name: self.kind(name) for name in self._fits}
        self.shown = tuple(name for name, kind in kinds.items() if kind not in ("random bits", "one value"))
        """what a picture's details list"""
        self.fixed = tuple(name for name, kind in kinds.items() if kind == "one value")

    def kind(self, parameter: str) -> Kind:
        path, _, name = parameter.rpartition(".")
        op, fits = self._by_path.get(path), self._fits.get(parameter, [])
        values = {end for fit in fits for end in (*fit.promised_range, *fit.observed_range)}
        if len(values) == 1 and not any(fit.biased for fit in fits):
            return "one value"
        if isinstance(op, Policy) and name.startswith(("op_", "magnitude_")):
            return "operation" if name.startswith("op_") else "magnitude"
        if type(op) in LETTERS and name == "order":
            return "order"
        if isinstance(op, AutoAugment) and name == "sub_policy":
            return "name"
        if name in KEY:
            return "random bits"
        return "yes or no" if fits and all(fit.yes_or_no for fit in fits) else "amount"

    @property
    def kinds(self) -> set[Kind]:
        """Those that there are."""
        return {self.kind(name) for name in self._fits}

    def value(self, parameter: str, value: Any) -> str:
        """As it stands on axes and beside pictures."""
        kind = self.kind(parameter)
        if kind == "operation":
            return OPERATIONS[int(value)]
        if kind == "order":
            letters = LETTERS[type(self._by_path[parameter.rpartition(".")[0]])]
            return "".join(letters[int(digit) - 1] for digit in str(int(value)))
        return short(value)

    def applied(self, drawn: Mapping[str, Any]) -> tuple[str, ...]:
        """The ops that were applied, without those whose coins all said no; operations of policies too."""
        by_op: dict[str, dict[str, Any]] = defaultdict(dict)
        for column, value in drawn.items():
            path, _, name = column.rpartition(".")
            by_op[path][name] = value
        found = []
        for path, values in by_op.items():
            if values.pop("applied", True) and not (values and all(v is False for v in values.values())):
                found.append(path)
                named = {name: v for name, v in values.items() if self.kind(f"{path}.{name}") == "operation"}
                found += sorted({f"{path}:{OPERATIONS[v]}" for v in named.values()})
        return tuple(found)

    def words(self, drawn: Mapping[str, Any], label: str) -> str:
        """What was done to a picture of a class."""
        return ", ".join(said(self._recipe.of(label).ops, drawn))

    def written(self, drawn: Mapping[str, Any]) -> tuple[str, ...]:
        """The values of all that are shown; empty where there is none."""
        return tuple("" if drawn.get(n) is None else self.value(n, drawn[n]) for n in self.shown)
