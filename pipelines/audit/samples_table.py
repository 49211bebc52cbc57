"""The rows of a samples file: where, which class, in what order, and every draw computed again."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa

from augment.augmenter import NOT_AUGMENTED
from augment.by_class import ByClass
from augment.keys import source_words
from pipelines.audit.align import longest_rising
from pipelines.audit.findings import Audit, Finding
from pipelines.audit.grouping import groups_in
from pipelines.format.copies import in_copy
from pipelines.format.manifest import Manifest
from pipelines.format.samples import schema
from pipelines.format.targets import TABLE, is_parameter
from pipelines.plan import group_of, places, split_of
from pipelines.sources import ONLY_SPLIT, is_id

_OF_THE_SOURCE = (
    *("label", "class", "source_sha256", "source_height", "source_width"),
    "annotation_sha256",
)


def of_the_source(schema: pa.Schema) -> list[str]:
    """The columns that are alike in all copies of a source."""
    return [name for name in schema.names if name in _OF_THE_SOURCE or name.startswith(TABLE)]


class RowChecker:
    """Checks the rows of one dataset's samples files by what manifest, recipe and seed say."""

    def __init__(self, audit: Audit, manifest: Manifest, augmenters: ByClass) -> None:
        self._audit, self._manifest, self._augmenters = audit, manifest, augmenters
        self.schema = schema(augmenters.recipe, manifest.targets)

    def check(self, file: str, table: pa.Table, split: str, copy: int, number: int) -> None:
        """One samples file: that of a shard of a copy."""
        sources: list[str] = table.column("source").to_pylist()
        self._audit.checked["rows"] += len(sources)
        for row, message in itertools.chain(
            self._check_columns(table, split, copy, number),
            self._check_classes(table, sources, split),
            self._check_repeated(sources),
            self._check_having(table, sources, split, copy),
        ):
            self._audit.findings.add(Finding("row", message, file, row, sources[row], copy))
        self.check_order(file, sources, split, copy, number)
        self._check_draws(file, table, sources, copy)

    def group(self, split: str, copy: int, source: str) -> int:
        """The number of the shard that a copy of a source belongs to."""
        [place] = places(self._manifest.request.seed, [source]).tolist()
        return group_of(place, self._manifest.groups(split, copy))

    def _check_columns(
        self, table: pa.Table, split: str, copy: int, number: int
    ) -> Iterator[tuple[int, str]]:
        expected: dict[str, Sequence[object]] = {
            "split": [split] * len(table),
            "copy": [copy] * len(table),
            "shard": [number] * len(table),
            "record": range(len(table)),
        }
        for name, values in expected.items():
            for row, (value, right) in enumerate(zip(table.column(name).to_pylist(), values, strict=True)):
                if value != right:
                    yield row, f"its {name} is {value!r}, in this file it must be {right!r}"

    def _check_repeated(self, sources: list[str]) -> Iterator[tuple[int, str]]:
        seen: set[str] = set()
        for row, source in enumerate(sources):
            if source in seen:
                yield row, "there is another row of its source and copy before it"
            seen.add(source)

    def _check_having(
        self, table: pa.Table, sources: list[str], split: str, copy: int
    ) -> Iterator[tuple[int, str]]:
        """Whether sources have this copy, where classes have copies of their own."""
        classes = self._manifest.splits[split].classes
        if classes is None:
            return
        names = table.column("class").to_pylist()
        known = [row for row, name in enumerate(names) if name in classes]  # the others are found elsewhere
        having = in_copy(classes, copy, [sources[row] for row in known], [names[row] for row in known])
        for row in np.array(known, np.int64)[~having].tolist():
            yield (
                row,
                f"by the manifest it has no copy {copy}: not all sources of class {names[row]!r} have one",
            )

    def _check_classes(self, table: pa.Table, sources: list[str], split: str) -> Iterator[tuple[int, str]]:
        classes, fractions = self._manifest.classes, self._manifest.request.split_fractions
        labels, names = table.column("label").to_pylist(), table.column("class").to_pylist()
        groups = groups_in(table, self._manifest.request.group_by)
        if self._manifest.request.duplicates:
            fractions = None  # what a picture is like decides, and that takes the pictures
        for row, (source, label, name) in enumerate(zip(sources, labels, names, strict=True)):
            if not is_id(source):
                yield row, "its source is no path below an input, and no such file was read"
            if not 0 <= label < len(classes):
                yield row, f"its label is {label}; there are {len(classes)} classes"
            elif classes[label] != name:
                yield row, f"its class is {name!r}, and label {label} is {classes[label]!r}"
            if not self._lies_in(source, split, name):
                yield row, f"it does not lie in the folder of class {name!r}, split {split!r}"
            elif fractions and split_of(groups[row] or source, fractions) != split:
                yield row, f"by the fractions it is in split {split_of(groups[row] or source, fractions)!r}"

    def _lies_in(self, source: str, split: str, name: str) -> bool:
        """Whether an id is of a file of this class and split, as the layout reads folders."""
        request = self._manifest.request
        if request.annotations:  # which say so, wherever a file lies
            return True
        by_class, by_split = source.startswith(f"{name}/"), source.startswith(f"{split}/{name}/")
        if request.split_fractions or request.layout == "classes":
            return by_class
        if request.layout == "splits" or set(self._manifest.splits) != {ONLY_SPLIT}:
            return by_split
        return by_class or by_split  # one split may be either

    def check_order(self, file: str, sources: list[str], split: str, copy: int, number: int) -> None:
        """Whether sources belong to the shard, and stand by (place, id)."""
        groups = self._manifest.groups(split, copy)
        place = places(self._manifest.request.seed, sources).tolist()
        here = [group_of(p, groups) == number for p in place]
        order = sorted(range(len(sources)), key=lambda i: (place[i], sources[i]))
        rank = [0] * len(order)
        for position, row in enumerate(order):
            rank[row] = position
        kept = longest_rising(rank)
        for row, source in enumerate(sources):
            if not here[row]:
                message = f"it belongs to shard {group_of(place[row], groups)}"
            elif row not in kept:
                message = f"it stands at {row}; by seed and source it comes at {rank[row]}"
            else:
                continue
            self._audit.findings.add(Finding("order", message, file, row, source, copy))

    def _check_draws(self, file: str, table: pa.Table, sources: list[str], copy: int) -> None:
        """Every recorded parameter against what recipe, seed, source and copy draw."""
        names = [name for name in table.schema.names if is_parameter(name)]
        drawn = self._drawn(sources, table.column("class").to_pylist(), copy)
        for name in names:
            column = table.column(name)
            if copy == NOT_AUGMENTED:
                differ = np.asarray(column.is_valid())
                right = np.full(len(column), None)
            else:
                values = column.fill_null(False if pa.types.is_boolean(column.type) else 0).to_numpy()
                right = drawn[name]
                empty, none = np.asarray(column.is_null()), np.ma.getmaskarray(right)
                differ = (empty != none) | (~none & (_bits(values) != _bits(np.ma.getdata(right))))
            self._audit.checked["draws"] += 0 if copy == NOT_AUGMENTED else len(column)
            wrong = np.flatnonzero(differ).tolist()
            if wrong:
                row = wrong[0]
                message = (
                    f"its {name} is {_shown(column[row].as_py())}; recipe and seed draw {_shown(right[row])}"
                )
                if len(wrong) > 1:
                    message += f" (so it is with {len(wrong) - 1} more rows of this file)"
                self._audit.findings.add(Finding("draw", message, file, row, sources[row], copy))

    def _drawn(self, sources: list[str], labels: list[str], copy: int) -> dict[str, np.ndarray]:
        """What is recorded of a copy of each source: arrays [n], masked where its class has no such op."""
        words = source_words(sources)
        parts = self._augmenters.parts(labels)
        drawn = [(its, augmenter.draw_copies(words[its], copy)) for augmenter, its in parts]
        return self._augmenters.recorded(drawn, (len(sources),))


def _bits(values: np.ndarray) -> np.ndarray:
    """Floats as integers, so that what is compared is exactly what is stored."""
    return values.view(f"u{values.itemsize}") if values.dtype.kind == "f" else values


def _shown(value: object) -> str:
    if value is None or value is np.ma.masked:
        return "empty"
    return f"{value:.9g}" if isinstance(value, (float, np.floating)) else str(value)


def compare_copies(
    audit: Audit, first_name: str, first: pa.Table, file: str, table: pa.Table, copy: int
) -> None:
    """What all copies of a source share, in one copy's samples file against the first's."""
    names = of_the_source(table.schema)
    if all(table.column(name).equals(first.column(name)) for name in ("source", *names)):
        return
    said, mine = (_by_source(t) for t in (first, table))
    for source, (row, values) in mine.items():
        if source not in said:
            message = f"{first_name} has no row of this source"
            audit.findings.add(Finding("copies", message, file, row, source, copy))
            continue
        for name, value, other in zip(names, values, said[source][1], strict=True):
            if value != other:
                message = f"its {name} is {value!r}, in {first_name} {other!r}"
                audit.findings.add(Finding("copies", message, file, row, source, copy))
    for source in said.keys() - mine.keys():
        message = f"it has no row of this source, which {first_name} has"
        audit.findings.add(Finding("copies", message, file, None, source, copy))


def _by_source(table: pa.Table) -> dict[str, tuple[int, tuple[object, ...]]]:
    columns = [table.column(name).to_pylist() for name in of_the_source(table.schema)]
    sources = table.column("source").to_pylist()
    return {
        source: (row, values)
        for row, (source, values) in enumerate(zip(sources, zip(*columns, strict=True), strict=True))
    }
