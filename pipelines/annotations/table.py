"""A table beside the images, as Hugging Face's image folder has it: a row a file.

`file_name` is relative to the table, or to the input where the table does not lie in it. `label` is the
class, `labels` are several, `objects` are boxes with classes; `split` is what it says, where there is such a
column. All other columns pass through.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from augment.targets import Annotation, Object, Vocabulary
from pipelines import storage
from pipelines.annotations.asked import TABLES, Annotations
from pipelines.annotations.files import files_near
from pipelines.annotations.json_stream import BadFile
from pipelines.annotations.numbers import BadAnnotation, shown
from pipelines.annotations.pieces import Keyed, Rules, Said
from pipelines.annotations.reader import (
    Begun,
    Read,
    Reader,
    Task,
    View,
    inside,
    left_out,
    path_below,
    refused,
    where_of,
)
from pipelines.annotations.table_objects import OBJECTS, objects_in, others_in
from pipelines.annotations.table_rows import FILE_NAME, columns_of, rows_of, text_of
from pipelines.sources.found import UNLABELED, Folder, Reject
from pipelines.sources.layout import ONLY_SPLIT
from pipelines.sources.rules import extension, role
from pipelines.sources.words import listed

_LABEL, _LABELS, _SPLIT = "label", "labels", "split"
_OURS = frozenset((FILE_NAME, _LABEL, _LABELS, _SPLIT, OBJECTS))


class Table(Reader):
    """See `Reader`."""

    rules = Rules(alone=("not_annotated", "the table does not list it"))

    def __init__(self, root: str, annotations: Annotations) -> None:
        self._root, self._path = root, annotations.path

    def begin(self) -> Iterator[Begun]:
        try:
            by_folder: dict[str, list[str]] = {}
            for name in self._names():
                by_folder.setdefault(name.rpartition("/")[0], []).append(name)
            for names in by_folder.values():
                if len(names) > 1:
                    yield refused(self._path, f"{listed(names)} lie in one folder; leave one of them there")
                else:
                    yield from self._begun(names[0])
        except OSError as error:
            yield refused(self._path, error)

    def _names(self) -> list[str]:
        near = files_near(self._path)
        return sorted(name for name in near if not name or name.rpartition("/")[2] in TABLES)

    def _begun(self, name: str) -> Iterator[Begun]:
        path = storage.at(self._path).to(name)
        try:
            columns = columns_of(path)
        except BadFile as error:
            yield refused(path, error)
            return
        folder = inside(self._root, path.rpartition("/")[0]) or ""
        prefix = f"{folder}/" if folder else ""
        split = "" if _SPLIT in columns else _split_of(path, folder)
        yield View(prefix, split)
        if split and _LABEL not in columns:
            yield Folder(folder, split, UNLABELED)
        yield Task((name,), prefix, settings=(split, _LABEL in columns, OBJECTS in columns))

    def read(self, task: Task) -> Iterator[Read]:
        path = storage.at(self._path).to(task.names[0])
        where = where_of(self._root, path, self._path)
        split, labeled, boxed = task.settings
        kinds = _Kinds(typed=extension(path) != ".csv")
        labels, columns, others, classes = set[str](), set[str](), set[str](), set[tuple[int, str]]()
        try:
            for number, row in rows_of(path):
                columns |= row.keys() - _OURS
                name = path_below(row[FILE_NAME])
                if name is None:
                    why = f"its file_name is {shown(row[FILE_NAME])}, which is no path below the input"
                    yield Reject(f"{where}#{number}", "bad_annotation", why)
                    continue
                try:
                    objects = objects_in(row[OBJECTS]) if OBJECTS in row else ()
                    said = _said(f"{where}#{number}", row, objects, split, labeled=labeled)
                    labels.update(labels_of(row))
                    others |= others_in(row.get(OBJECTS))
                    classes.update((place, thing.name) for place, thing in objects)
                except BadAnnotation as error:
                    said = Said(f"{where}#{number}", fault=str(error))
                else:
                    kinds.add(number, row)
                yield Keyed(task.prefix + name, said)
        except (OSError, BadFile) as error:
            yield refused(path, error)
        if others:
            yield left_out(others)
        has = frozenset(["boxes"] if boxed else [])
        yield Vocabulary(frozenset(classes), labels=frozenset(labels), columns=frozenset(columns), has=has)


def _said(
    where: str, row: Mapping[str, Any], objects: Sequence[tuple[int, Object]], split: str, *, labeled: bool
) -> Said:
    """Raises BadAnnotation."""
    if not split:
        given = row.get(_SPLIT)
        if not isinstance(given, str):
            raise BadAnnotation(f"has the split {shown(given)}, which must be a word")
        split = role(given) or given
    if labeled and _LABEL not in row:
        raise BadAnnotation("has no label")
    columns = sorted((name, text_of(value)) for name, value in row.items() if name not in _OURS)
    things = tuple(thing for _, thing in objects)
    annotation = Annotation(things, labels=labels_of(row), columns=tuple(columns))
    return Said(where, annotation.packed(), split, _class(row[_LABEL]) if labeled else "")


def labels_of(row: Mapping[str, Any]) -> tuple[str, ...]:
    """Each once, sorted, for they are a set; of a text, what its bars part. Raises BadAnnotation."""
    given = row.get(_LABELS, [])
    if isinstance(given, str):
        given = [word.strip() for word in given.split("|") if word.strip()]
    if not isinstance(given, list):
        raise BadAnnotation(f"has the labels {shown(given)}, which must be a list, or a text such as 'a|b'")
    return tuple(sorted(set(map(_class, given))))


def _class(given: Any) -> str:
    if isinstance(given, bool) or not isinstance(given, int | str):
        raise BadAnnotation(f"has the label {shown(given)}; a class is a word or a whole number")
    return str(given)


class _Kinds:
    """Whether labels are numbers or words: the first row of each."""

    def __init__(self, *, typed: bool) -> None:
        self._typed, self._first = typed, dict[bool, tuple[str, int, Any]]()

    def add(self, number: int, row: Mapping[str, Any]) -> None:
        """Raises BadFile where there are both."""
        several = row.get(_LABELS, ())
        several = [word.strip() for word in several.split("|")] if isinstance(several, str) else several
        for column, values in ((_LABEL, [row[_LABEL]] if _LABEL in row else []), (_LABELS, several)):
            for value in values:
                self._first.setdefault(self._is_number(value), (column, number, value))
        if len(self._first) == 2:
            (_, row_of, digits), (column, row_of_word, word) = self._first[True], self._first[False]
            raise BadFile(
                f"has a {column} that is a number in row {row_of} ({digits}) and a word in row {row_of_word} "
                f"({word!r}): give all classes names, or write them as texts of JSON lines, where {digits} "
                f'and "{digits}" differ'
            )

    def _is_number(self, value: Any) -> bool:
        return not isinstance(value, str) if self._typed else bool(re.fullmatch(r"-?\d+", value.strip()))


def _split_of(path: str, folder: str) -> str:
    """By a table's own name or that of the folder in the input that it lies in."""
    stem = path.rpartition("/")[2].rpartition(".")[0]
    return role(stem) or role(folder.rpartition("/")[2]) or ONLY_SPLIT
