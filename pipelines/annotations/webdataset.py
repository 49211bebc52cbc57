"""WebDataset: tars in which the files of a sample have one name up to its first dot, and stand together.

One of them is the image. `cls` is its class, `json` has what a row of a table has, `txt` is a text, and
`seg.png` or `mask.png` a mask. Whether images have classes, masks and boxes, the first sample tells.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any, NamedTuple
from urllib.parse import quote_from_bytes

from augment.codec.formats import EXTENSIONS
from augment.targets import Annotation, Vocabulary
from pipelines import storage
from pipelines.annotations.contained import Contained, refused
from pipelines.annotations.features import class_of_image
from pipelines.annotations.json_stream import BadFile
from pipelines.annotations.numbers import BadAnnotation, is_text, shown
from pipelines.annotations.reader import Begun, Read, Task
from pipelines.annotations.table import labels_of
from pipelines.annotations.table_objects import OBJECTS, objects_in
from pipelines.annotations.table_rows import text_of
from pipelines.containers.tar import DamagedTar, Member, Unended, members
from pipelines.sources import UNLABELED, is_id, place_in
from pipelines.sources.found import Found, Guess, Ignored, Reject, Source
from pipelines.sources.rules import dropping
from pipelines.sources.words import listed

_MASKS = ("seg.png", "mask.png")
_CLASS, _ABOUT, _TEXT = "cls", "json", "txt"
_LABEL, _LABELS = "label", "labels"
_LONGEST = 1 << 20
"""Of what is read beside an image, in bytes."""

_WORDS = ("class", "list of classes", "list of objects", "mask")
"""What samples have or have not, in the order of `_Has`."""

_Pread = Callable[[int, int], bytes]


class Part(NamedTuple):
    """A file of a sample."""

    name: str
    """within its tar"""
    offset: int
    size: int


class Sample(NamedTuple):
    """The files of one name, each by what stands behind its first dot, in lower case."""

    name: str
    files: dict[str, Part]


class _Has(NamedTuple):
    """What all samples have, by the first."""

    label: bool
    labels: bool
    objects: bool
    mask: bool


class WebDataset(Contained):
    """See `Reader`."""

    def _begun(self) -> Iterator[Begun]:
        if self._asked:
            raise BadFile("has tars, whose files have no features: leave --annotations out")
        names: list[str] = []
        yield from self._walk(names)
        yield from self._tasks(names, self._first_of(names, self._first))

    def _first(self, name: str) -> _Has:
        with storage.at(self._root).open(name, buffering=0) as file:
            read = _reader(file.fileno())
            try:
                for one in samples_in(members(read, _size(file.fileno())), []):
                    if isinstance(one, Sample) and _images(one):
                        row = _row(one, read)
                        return _Has(_LABEL in row, _LABELS in row, OBJECTS in row, bool(_mask(one)))
            except (BadAnnotation, DamagedTar) as error:
                raise BadFile(f"{error}") from None
        raise BadFile("has no sample with an image")

    def read(self, task: Task) -> Iterator[Read]:
        [file], (split, has) = task.names, task.settings
        known = _Names(set(), set(), set(), set())
        try:
            with storage.at(self._root).open(file, buffering=0) as opened:
                read = _reader(opened.fileno())
                pending: list[Sample] = []
                try:
                    for one in samples_in(members(read, _size(opened.fileno())), pending):
                        if isinstance(one, Sample):
                            yield from _found(file, one, split, has, read, known)
                        else:
                            yield _within(file, one)
                except Unended as error:
                    yield Guess(f"{file} {error}: if it was cut off, images behind are lost", refused=False)
                    for one in pending:
                        yield from _found(file, one, split, has, read, known)
                except DamagedTar as error:
                    for one in pending:
                        yield Reject(
                            f"{file}/{one.name}", "damaged", "the tar is damaged within it or behind it"
                        )
                    yield from self._lost(file, str(error))
        except OSError as error:
            yield refused(file, f"cannot be read: {storage.reason(error)}")
        kinds = [*(["boxes"] if has.objects else []), *(["mask"] if has.mask else [])]
        vocabulary = Vocabulary(
            frozenset(known.classes),
            labels=frozenset(known.labels),
            columns=frozenset(known.columns),
            has=frozenset(kinds),
        )
        if vocabulary != Vocabulary() or has.labels:
            yield vocabulary


class _Names(NamedTuple):
    """That the samples of a tar use."""

    samples: set[str]

    classes: set[tuple[int, str]]
    labels: set[str]
    columns: set[str]


def samples_in(found: Iterator[Member], pending: list[Sample]) -> Iterator[Sample | Reject | Ignored]:
    """The samples of a tar, each when its last file has come, and what becomes of other members.

    `pending` has the one whose files are coming. Names and ids are as within the tar.
    """
    for member in found:
        if member.kind == "folder":
            continue
        name = _decoded(member.name)
        if name is None or not is_id(name):
            shown_name = quote_from_bytes(member.name)
            yield Reject(shown_name, "bad_name", "its name is not UTF-8, or no path that goes down only")
            continue
        *folders, last = name.split("/")
        kinds = [dropping(part, folder=True) for part in folders] + [dropping(last, folder=False)]
        if kind := next(filter(None, kinds), None):
            yield Ignored(kind)
            continue
        if member.kind != "file":
            yield Reject(name, "not_a_file", "it is a link, a device, or a file with holes")
            continue
        stem, _, extension = last.partition(".")
        key = "/".join([*folders, stem])
        if pending and pending[0].name != key:
            yield pending.pop()
        if not pending:
            pending.append(Sample(key, {}))
        if extension.lower() in pending[0].files:
            yield Reject(name, "named_twice", "its sample has two files of this name")
        else:
            pending[0].files[extension.lower()] = Part(name, member.offset, member.size)
    if pending:
        yield pending.pop()


def _decoded(name: bytes) -> str | None:
    try:
        return name.decode().removeprefix("./")
    except UnicodeDecodeError:
        return None


def _within(file: str, found: Reject | Ignored) -> Found:
    return found._replace(source=f"{file}/{found.source}") if isinstance(found, Reject) else found


def _found(file: str, sample: Sample, split: str, has: _Has, read: _Pread, known: _Names) -> Iterator[Found]:
    """What becomes of a sample and of each of its files."""
    where = f"{file}/{sample.name}"
    images, mask = _images(sample), _mask(sample)
    used = {_CLASS, _ABOUT, _TEXT} & sample.files.keys()
    if not images and not used and not mask:  # it is no sample
        yield from (Ignored(f".{kind}" if kind else "(none)") for kind in sample.files)
        return
    others = sample.files.keys() - used - set(_MASKS) - {kind for kind, _ in images}
    yield from (Ignored(f".{kind}" if kind else "(none)") for kind in sorted(others))
    if not images:
        yield Reject(where, "no_image", f"there is no image among its files, {listed(sorted(sample.files))}")
        return
    image = images[0][1]
    reject = f"{file}/{image.name}"
    if len(images) > 1 or sample.name in known.samples:
        names = listed([part.name for _, part in images])
        why = (
            f"{names} are images of one sample" if len(images) > 1 else "its tar has two samples of the name"
        )
        yield Reject(where, "named_twice", why)
    elif not is_id(reject):
        yield Reject(where, "bad_name", "its name and its tar's are longer than a path may be")
    else:
        try:
            label, annotation = _said(file, _row(sample, read), mask, has, known)
        except BadAnnotation as error:
            reason = "no_partner" if has.mask and not mask else "bad_annotation"
            yield Reject(reject, reason, f"it {error}")
        else:
            place = place_in(file, image.offset, image.size)
            yield Source(reject, split, label, image.size, annotation, place)
    known.samples.add(sample.name)


def _said(file: str, row: dict[str, Any], mask: Part | None, has: _Has, known: _Names) -> tuple[str, bytes]:
    """The class, and the annotation if there is one. Raises BadAnnotation."""
    there = _Has(_LABEL in row, _LABELS in row, OBJECTS in row, bool(mask))
    for what, expected, its in zip(_WORDS, has, there, strict=True):
        if its != expected:
            raise BadAnnotation(
                f"has {'a' if its else 'no'} {what}, unlike the first sample of the first tar"
            )
    label = class_of_image(_class(row[_LABEL])) if has.label else UNLABELED
    objects = objects_in(row[OBJECTS]) if has.objects else ()
    labels = labels_of(row)
    ours = (_LABEL, _LABELS, OBJECTS)
    columns = tuple(sorted((name, text_of(value)) for name, value in row.items() if name not in ours))
    known.classes.update((place, thing.name) for place, thing in objects)
    known.labels.update(labels)
    known.columns.update(name for name, _ in columns)
    things = tuple(thing for _, thing in objects)
    annotation = Annotation(things, place_in(file, mask.offset, mask.size) if mask else "", labels, columns)
    return label, annotation.packed() if annotation != Annotation() else b""


def _row(sample: Sample, read: _Pread) -> dict[str, Any]:
    """What stands beside an image, as a row of a table has it. Raises BadAnnotation."""
    row: dict[str, Any] = {}
    if _ABOUT in sample.files:
        text = _text(sample, _ABOUT, read)
        try:
            row = json.loads(text, parse_float=Decimal)
        except (ValueError, RecursionError):
            row = {}
        if not isinstance(row, dict) or not row.keys() or ("\\u" in text and not is_text(text_of(row))):
            raise BadAnnotation(f"has {shown(text)} in its json, where a JSON object, {{...}}, is due")
        row = {name: value for name, value in row.items() if value is not None}
    if _TEXT in sample.files:
        row[_TEXT] = _text(sample, _TEXT, read)
    if _CLASS in sample.files:
        row[_LABEL] = _text(sample, _CLASS, read).strip()
    return row


def _text(sample: Sample, kind: str, read: _Pread) -> str:
    part = sample.files[kind]
    if part.size > _LONGEST:
        raise BadAnnotation(f"has a {kind} of {part.size:,} bytes; at most {_LONGEST:,} are read")
    try:
        return read(part.offset, part.size).decode()
    except UnicodeDecodeError:
        raise BadAnnotation(f"has a {kind} that is not UTF-8") from None


def _class(given: Any) -> str:
    if isinstance(given, bool) or not isinstance(given, int | str):
        raise BadAnnotation(f"has the class {shown(given)}; it must be a word or a whole number")
    return str(given)


def _images(sample: Sample) -> list[tuple[str, Part]]:
    """The files that are images by their extension, without masks."""
    return [(kind, part) for kind, part in sample.files.items() if f".{kind}" in EXTENSIONS]


def _mask(sample: Sample) -> Part | None:
    return next((sample.files[kind] for kind in _MASKS if kind in sample.files), None)


def _reader(number: int) -> _Pread:
    return lambda at, count: os.pread(number, count, at)


def _size(number: int) -> int:
    return os.fstat(number).st_size
