"""In what order the sources of a page stand, and what they can be found by."""

from __future__ import annotations

import dataclasses
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from augment.ops.operations import OPERATIONS
from augment.ops.policy import operation_columns
from augment.recipe import Recipe
from pipelines.audit.findings import Finding
from pipelines.audit.statistics import Duplicates
from pipelines.report.audit.gallery import Card
from pipelines.report.numbers import short


class Ops:
    """By which ops copies are to be found, and how their parameters are written."""

    def __init__(self, recipe: Recipe, parameters: Sequence[str]) -> None:
        self.parameters = tuple(parameters)
        self._operations = {
            name for _, one in recipe.distinct() for name in operation_columns(one.ops, parameters)
        }

    def is_operation(self, parameter: str) -> bool:
        """Whether its values are the numbers of a policy's operations."""
        return parameter in self._operations

    def of(self, drawn: Mapping[str, Any]) -> tuple[str, ...]:
        """The ops that were applied, without those whose coins all said no; operations of policies too."""
        by_op: dict[str, dict[str, Any]] = defaultdict(dict)
        for column, value in drawn.items():
            path, _, name = column.rpartition(".")
            by_op[path][name] = value
        found = []
        for path, values in by_op.items():
            if values.pop("applied", True) and not (values and all(v is False for v in values.values())):
                found.append(path)
                named = (v for name, v in values.items() if f"{path}.{name}" in self._operations)
                found += sorted({f"{path}:{OPERATIONS[v]}" for v in named})
        return tuple(found)

    def written(self, drawn: Mapping[str, Any]) -> tuple[str, ...]:
        """The values of all parameters; empty where there is none."""
        return tuple(self._written(name, drawn.get(name)) for name in self.parameters)

    def _written(self, name: str, value: Any) -> str:
        if value is None:
            return ""
        return OPERATIONS[value] if name in self._operations else short(value)


def cards(shown: Sequence[Card], findings: Sequence[Finding], duplicates: Duplicates) -> list[Card]:
    """With their findings; those first, then one of each class, then a second one of each, and so on."""
    kinds: dict[tuple[str | None, int | None], set[str]] = defaultdict(set)
    for finding in findings:
        kinds[finding.source, finding.copy].add(finding.kind)
    for places in duplicates.groups:
        for place in places:
            kinds[place.source, None].add("leak" if len({place.split for place in places}) > 1 else "twice")

    def of(source: str, copy: int | None) -> tuple[str, ...]:
        return tuple(sorted(kinds[source, copy]))

    ranks: Counter[tuple[str, str]] = Counter()
    ordered = []
    for one in shown:
        tiles = tuple(
            tile if tile.copy is None else dataclasses.replace(tile, findings=of(one.source, tile.copy))
            for tile in one.tiles
        )
        card = dataclasses.replace(one, tiles=tiles, kinds=of(one.source, None))
        ordered.append(((not card.alarming, ranks[one.split, one.label], one.label, one.source), card))
        ranks[one.split, one.label] += 1
    return [card for _, card in sorted(ordered, key=lambda pair: pair[0])]
