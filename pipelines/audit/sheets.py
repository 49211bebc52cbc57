"""The contact sheets of the report: a card for each source that is shown, with what it can be found by."""

from __future__ import annotations

import base64
import dataclasses
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from augment.augmenter import NOT_AUGMENTED
from augment.ops.operations import OPERATIONS
from augment.ops.policy import operation_columns
from augment.recipe import Recipe
from pipelines.audit.findings import Finding
from pipelines.audit.pictures import SMALL, Copy, Picture, Shown
from pipelines.audit.plots import short
from pipelines.audit.statistics import Duplicates

NOTES = {
    "saturated": "more than a quarter of its levels are 0 or 255",
    "filled": "more than half of its pixels have one and the same color",
    "uniform": "its gray levels hardly differ: their standard deviation is below 4",
    "near": "hardly differs from its source: by less than 2 levels on average",
    "twice": "the same file is there more than once, in one split",
}
"""What is noted of a picture or a source. None of it is a finding."""


@dataclasses.dataclass(frozen=True)
class Tile:
    """One picture of a card."""

    caption: str
    place: str
    """where it lies"""
    uri: str
    """empty if there is no picture"""
    height: int
    width: int
    small: bool
    """whether it is to be shown enlarged, pixel by pixel"""
    ops: tuple[str, ...]
    """by which of the ops it is to be found; none for a source"""
    kinds: tuple[str, ...]
    """of findings and notes"""
    findings: bool
    """whether there are findings among them"""
    drawn: tuple[str, ...]
    """its parameters, in the order of the columns"""


@dataclasses.dataclass(frozen=True)
class Card:
    """One source with its copies."""

    source: str
    label: str
    split: str
    kinds: tuple[str, ...]
    """of findings and notes that are of the source and of no single copy"""
    tiles: tuple[Tile, ...]


class Ops:
    """By which ops copies are to be found, and how their parameters are written."""

    def __init__(self, recipe: Recipe, parameters: Sequence[str]) -> None:
        self.parameters = tuple(parameters)
        self._operations = operation_columns(recipe.ops, parameters)

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
        if isinstance(value, bool):
            return "yes" if value else "no"
        return OPERATIONS[value] if name in self._operations else short(value)


def cards(
    shown: Sequence[Shown], findings: Sequence[Finding], duplicates: Duplicates, ops: Ops
) -> list[Card]:
    """Those that findings are about first, then one of each class, then a second one of each, and so on."""
    of_source: dict[str, set[str]] = defaultdict(set)
    of_copy: dict[tuple[str, int], set[str]] = defaultdict(set)
    for finding in findings:
        if finding.source is None:
            continue
        if finding.copy is None:
            of_source[finding.source].add(finding.kind)
        else:
            of_copy[finding.source, finding.copy].add(finding.kind)
    for places in duplicates.groups:
        for place in places:
            of_source[place.source].add("leak" if len({place.split for place in places}) > 1 else "twice")
    ranks: Counter[tuple[str, str]] = Counter()
    ordered = []
    for one in shown:
        kinds = of_source[one.source]
        tiles = [_tile(one, copy, of_copy[one.source, copy.copy], ops) for copy in one.copies]
        if one.original:
            source = _blank("source", one.source, one.original)
            tiles.insert(0, dataclasses.replace(source, kinds=one.original.look.notes))
        found = bool(kinds - NOTES.keys()) or any(of_copy[one.source, copy.copy] for copy in one.copies)
        card = Card(one.source, one.label, one.split, tuple(sorted(kinds)), tuple(tiles))
        ordered.append(((not found, ranks[one.split, one.label], one.label, one.source), card))
        ranks[one.split, one.label] += 1
    return [card for _, card in sorted(ordered, key=lambda pair: pair[0])]


def _tile(one: Shown, copy: Copy, findings: set[str], ops: Ops) -> Tile:
    caption = "stored" if copy.copy == NOT_AUGMENTED else f"copy {copy.copy}"
    return dataclasses.replace(
        _blank(caption, f"{copy.file} record {copy.record}", copy.picture),
        ops=ops.of(copy.drawn),
        kinds=(*sorted(findings), *copy.notes),
        findings=bool(findings),
        drawn=ops.written(copy.drawn),
    )


def _blank(caption: str, place: str, picture: Picture | None) -> Tile:
    height, width = picture.size if picture else (0, 0)
    uri = "data:image/webp;base64," + base64.b64encode(picture.webp).decode() if picture else ""
    return Tile(caption, place, uri, height, width, max(height, width) <= SMALL, (), (), False, ())
