"""Which samples are asked for, as it stands in a page's address."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from augment.augmenter import NOT_AUGMENTED
from augment.errors import RequestError, did_you_mean
from augment.ops.operations import OPERATIONS
from augment.ops.parameters import KEY
from augment.ops.policy import operation_columns
from pipelines.format.bounds import short
from pipelines.format.layout import Shard
from pipelines.format.manifest import Manifest
from pipelines.look.found import ANY, About, Found

FIELDS = ("split", "copy", "class", "source", "op", "parameter", "from", "to", "finding")
"""What can stand in an address; what is empty asks for nothing."""

_MOST_NAMED = 200
"""Names that a sentence may list, or a nearest one be looked for among."""


@dataclass(frozen=True)
class Filter:
    """What a sample must be to be shown; None and the empty ask for nothing."""

    split: str = ""
    copy: int | None = None
    label: str = ""
    source: str = ""
    """a part of its id"""
    op: str = ""
    """one that fired; `policy:operation` for one of a policy's"""
    parameter: str = ""
    """a column of the samples table, of an op that fired ..."""
    low: float = -math.inf
    high: float = math.inf
    """... and the range that its value is in"""
    finding: str = ""
    """a kind, or ANY"""


class Condition(NamedTuple):
    """What the rows of a shard have to meet."""

    columns: tuple[str, ...]
    """that it looks at"""
    holds: Callable[[pa.Table], np.ndarray]
    """bool [rows]"""


class Choices:
    """What can be asked of a dataset."""

    def __init__(self, manifest: Manifest, found: Found | None) -> None:
        recipe = manifest.request.parsed_recipe()
        self.splits = tuple(manifest.splits)
        self.copies = tuple(sorted({copy for split in self.splits for copy in manifest.copies(split)}))
        self.classes = manifest.classes
        self._found = found
        self.findings = dict(found.counts) if found else {}
        self.columns = tuple(recipe.columns())
        """of drawn parameters"""
        self._of: dict[str, list[str]] = {}
        for column in self.columns:
            self._of.setdefault(column.rpartition(".")[0], []).append(column)
        self._operations = {
            column for _, one in recipe.distinct() for column in operation_columns(one.ops, self.columns)
        }
        self.parameters = tuple(
            column
            for column in self.columns
            if column not in self._operations and column.rpartition(".")[2] not in ("applied", *KEY)
        )
        policies = {column.rpartition(".")[0] for column in self._operations}
        self.ops = tuple(
            name
            for op in self._of
            for name in (op, *(f"{op}:{operation}" for operation in OPERATIONS if op in policies))
        )

    def filter(self, typed: Mapping[str, str]) -> Filter:
        """What was typed, by FIELDS. Raises RequestError for what there is not."""
        given = {name: typed.get(name, "").strip() for name in FIELDS}
        _one_of("split", given["split"], self.splits)
        _one_of("copy", given["copy"], tuple(map(str, self.copies)))
        _one_of("class", given["class"], self.classes)
        _one_of("op", given["op"], self.ops)
        _one_of("parameter", given["parameter"], self.parameters)
        if given["finding"] and self._found is None:
            raise RequestError("finding: which there are is not known; start with --findings FILE")
        _one_of("finding", given["finding"], (ANY, *self.findings))
        low, high = _number("from", given["from"], -math.inf), _number("to", given["to"], math.inf)
        if not given["parameter"] and (given["from"] or given["to"]):
            raise RequestError("from and to are of a parameter; choose which")
        if low > high:
            raise RequestError(f"from is {low:g} and to is {high:g}; from must not be above to")
        return Filter(
            split=given["split"],
            copy=int(given["copy"]) if given["copy"] else None,
            label=given["class"],
            source=given["source"],
            op=given["op"],
            parameter=given["parameter"],
            low=low,
            high=high,
            finding=given["finding"],
        )

    def fits(self, wanted: Filter, shard: Shard) -> bool:
        """Whether samples of a shard can be among those that are asked for."""
        drawn = shard.copy != NOT_AUGMENTED or not (wanted.op or wanted.parameter)
        return drawn and wanted.split in ("", shard.split) and wanted.copy in (None, shard.copy)

    def conditions(self, wanted: Filter, shard: Shard) -> list[Condition]:
        """Which of a shard's rows are asked for: those that meet all of these."""
        conditions = []
        if wanted.label:
            conditions.append(Condition(("class",), _equal("class", wanted.label)))
        if wanted.source:
            conditions.append(Condition(("source",), _part("source", wanted.source)))
        if wanted.finding and self._found:
            about = self._found.about(shard, wanted.finding)
            if not about.whole:
                conditions.append(Condition(("record", "source"), _about(about)))
        op, _, operation = wanted.op.partition(":")
        if op:
            conditions.append(self._fired(op))
        if operation:
            conditions.append(self._has_operation(op, OPERATIONS.index(operation)))
        if wanted.parameter:
            conditions.append(self._fired(wanted.parameter.rpartition(".")[0]))
            within = _within(wanted.parameter, wanted.low, wanted.high)
            conditions.append(Condition((wanted.parameter,), within))
        return conditions

    def _fired(self, op: str) -> Condition:
        """That an op was applied, and not all of its coins said no."""
        columns = tuple(self._of[op])

        def holds(rows: pa.Table) -> np.ndarray:
            applied, others = f"{op}.applied", [name for name in columns if name != f"{op}.applied"]
            there = np.ones(len(rows), bool)
            if applied in columns:
                there = _true(rows[applied])
            elif others:
                there = _true(pc.is_valid(rows[others[0]]))
            if others and all(pa.types.is_boolean(rows.schema.field(name).type) for name in others):
                there &= np.logical_or.reduce([_true(rows[name]) for name in others])
            return there

        return Condition(columns, holds)

    def _has_operation(self, op: str, number: int) -> Condition:
        columns = tuple(name for name in self._of[op] if name in self._operations)
        return Condition(
            columns,
            lambda rows: np.logical_or.reduce([_true(pc.equal(rows[name], number)) for name in columns]),
        )


def _one_of(what: str, given: str, known: tuple[str, ...]) -> None:
    if given and given not in known:
        near = did_you_mean(given, known) if 0 < len(known) <= _MOST_NAMED else "there is no such here"
        raise RequestError(f"{what} is {short(given)}; {near}")


def _number(what: str, given: str, default: float) -> float:
    try:
        value = float(given) if given else default
    except ValueError:
        value = math.nan
    if math.isnan(value):
        raise RequestError(f"{what} is {short(given)}; it must be a number")
    return value


def _true(column: Any) -> np.ndarray:
    """bool [rows]; what is null is not true."""
    return pc.fill_null(column, False).to_numpy().astype(bool)


def _equal(column: str, value: str) -> Callable[[pa.Table], np.ndarray]:
    return lambda rows: _true(pc.equal(rows[column], value))


def _part(column: str, value: str) -> Callable[[pa.Table], np.ndarray]:
    return lambda rows: _true(pc.match_substring(rows[column], value))


def _within(column: str, low: float, high: float) -> Callable[[pa.Table], np.ndarray]:
    def holds(rows: pa.Table) -> np.ndarray:
        values = rows[column].cast(pa.float64())
        return _true(pc.and_(pc.greater_equal(values, low), pc.less_equal(values, high)))

    return holds


def _about(about: About) -> Callable[[pa.Table], np.ndarray]:
    records = pa.array(list(about.records), pa.int64())
    sources = pa.array(list(about.sources), pa.string())

    def holds(rows: pa.Table) -> np.ndarray:
        by_record = pc.is_in(rows["record"].cast(pa.int64()), records)
        return _true(by_record) | _true(pc.is_in(rows["source"], sources))

    return holds
