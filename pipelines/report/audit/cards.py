"""The contact sheets of the report: a card for each source that is shown, with what it can be found by."""

from __future__ import annotations

import dataclasses
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from augment.augmenter import NOT_AUGMENTED
from augment.ops import Op
from augment.ops.operations import OPERATIONS
from augment.ops.policy import Policy
from augment.ops.sequence import Group
from augment.recipe import Recipe
from pipelines.audit.findings import Finding
from pipelines.audit.statistics import Duplicates
from pipelines.report.audit.gallery import GalleryCopy, GallerySource
from pipelines.report.numbers import short
from pipelines.report.thumbnail import Thumbnail

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
    picture: Thumbnail | None
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
        policies = {path for path, op in _paths(recipe.ops) if isinstance(op, Policy)}
        self._operations = {
            column
            for column in parameters
            for path, _, name in [column.rpartition(".")]
            if path in policies and name.startswith("op_")
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
        if isinstance(value, bool):
            return "yes" if value else "no"
        return OPERATIONS[value] if name in self._operations else short(value)


def _paths(ops: tuple[Op, ...], within: str = "") -> Iterator[tuple[str, Op]]:
    for op in ops:
        yield within + op.id, op
        if isinstance(op, Group):
            yield from _paths(op.ops, f"{within}{op.id}/")


def cards(
    shown: Sequence[GallerySource], findings: Sequence[Finding], duplicates: Duplicates, ops: Ops
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
            picture, notes = one.original.thumbnail, one.original.pixels.notes
            tiles.insert(0, Tile("source", one.source, picture, (), notes, False, ()))
        found = bool(kinds - NOTES.keys()) or any(of_copy[one.source, copy.copy] for copy in one.copies)
        card = Card(one.source, one.label, one.split, tuple(sorted(kinds)), tuple(tiles))
        ordered.append(((not found, ranks[one.split, one.label], one.label, one.source), card))
        ranks[one.split, one.label] += 1
    return [card for _, card in sorted(ordered, key=lambda pair: pair[0])]


def _tile(one: GallerySource, copy: GalleryCopy, findings: set[str], ops: Ops) -> Tile:
    return Tile(
        caption="stored" if copy.copy == NOT_AUGMENTED else f"copy {copy.copy}",
        place=f"{copy.file} record {copy.record}",
        picture=copy.picture.thumbnail if copy.picture else None,
        ops=ops.of(copy.drawn),
        kinds=(*sorted(findings), *copy.notes),
        findings=bool(findings),
        drawn=ops.written(copy.drawn),
    )
