"""WebDataset: tars in which the files of a sample have one name up to its first dot, and stand together.

One of them is the image. `cls` is its class, `json` has what a row of a table has, `txt` is a text, and
`seg.png` or `mask.png` a mask. Whether images have classes, masks and boxes, the first sample tells.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any, NamedTuple

from augment.targets import Annotation, Vocabulary
from pipelines import storage
from pipelines.annotations.contained import Contained, refused
from pipelines.annotations.features import class_of_image
from pipelines.annotations.json_stream import BadFile
from pipelines.annotations.numbers import BadAnnotation
from pipelines.annotations.reader import Begun, Read, Task, left_out
from pipelines.annotations.table import labels_of
from pipelines.annotations.table_objects import OBJECTS, objects_in, others_in
from pipelines.annotations.table_rows import text_of
from pipelines.annotations.webdataset_samples import (
    LABEL,
    LABELS,
    SAYING,
    Part,
    Pread,
    Sample,
    class_in,
    row_of,
    samples_in,
)
from pipelines.containers.tar import DamagedTar, Unended, members
from pipelines.sources import UNLABELED, is_id, place_in
from pipelines.sources.found import Found, Guess, Ignored, Reject, Source
from pipelines.sources.words import listed

_WORDS = ("class", "list of classes", "list of objects", "mask")
"""What samples have or have not, in the order of `_Has`."""


class _Has(NamedTuple):
    """What all samples have, by the first."""

    label: bool
    labels: bool
    objects: bool
    mask: bool


class _Names(NamedTuple):
    """That the samples of a tar use."""

    samples: set[str]
    classes: set[tuple[int, str]]
    labels: set[str]
    columns: set[str]
    others: set[str]
    """what is said of objects, and of no use"""

    def vocabulary(self, has: _Has) -> Vocabulary | None:
        """None where nothing is known of images but a class."""
        if not (self.columns or any(has[1:])):
            return None
        kinds = [*(["boxes"] if has.objects else []), *(["mask"] if has.mask else [])]
        return Vocabulary(
            frozenset(self.classes),
            labels=frozenset(self.labels),
            columns=frozenset(self.columns),
            has=frozenset(kinds),
        )


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
            read, why = _reader(file.fileno()), ""
            try:
                for one in samples_in(members(read, _size(file.fileno())), []):
                    if isinstance(one, Sample) and one.images:
                        try:
                            return _has(row_of(one, read), one.mask)
                        except BadAnnotation as error:  # which makes a reject of it, and of no other
                            why = why or f"{error}"
            except DamagedTar as error:
                raise self._damaged(name, why or f"{error}") from None
        raise BadFile(why or "has no sample with an image")

    def read(self, task: Task) -> Iterator[Read]:
        [file], (split, has) = task.names, task.settings
        known = _Names(set(), set(), set(), set(), set())
        try:
            with storage.at(self._root).open(file, buffering=0) as opened:
                told = set[Found]()  # of what has one name again and again there is one reject
                for one in self._read(file, opened.fileno(), split, has, known):
                    if one not in told:
                        yield one
                    if isinstance(one, Reject):
                        told.add(one)
        except OSError as error:
            yield refused(file, f"cannot be read: {storage.reason(error)}")
        if known.others:
            yield left_out(known.others)
        vocabulary = known.vocabulary(has)
        if vocabulary is not None:
            yield vocabulary

    def _read(self, file: str, number: int, split: str, has: _Has, known: _Names) -> Iterator[Found]:
        read, pending = _reader(number), list[Sample]()
        try:
            for one in samples_in(members(read, _size(number)), pending):
                if isinstance(one, Sample):
                    yield from _found(file, one, split, has, read, known)
                else:
                    yield one._replace(source=f"{file}/{one.source}") if isinstance(one, Reject) else one
        except Unended as error:
            yield Guess(f"{file} {error}: if it was cut off, images behind are lost", refused=False)
        except DamagedTar as error:
            for one in pending:
                where, why = f"{file}/{one.name}", "the tar is damaged within it or behind it"
                yield Reject(where, "damaged", why)
            yield from self._lost(file, str(error))


def _found(file: str, sample: Sample, split: str, has: _Has, read: Pread, known: _Names) -> Iterator[Found]:
    """What becomes of a sample and of each of its files."""
    where, images = f"{file}/{sample.name}", sample.images
    if not (images or sample.mask or SAYING & sample.files.keys()):  # it is no sample
        yield from (Ignored(f".{kind}" if kind else "(none)") for kind in sample.files)
        return
    yield from (Ignored(f".{kind}" if kind else "(none)") for kind in sample.others)
    twice = sample.name in known.samples
    known.samples.add(sample.name)
    if twice:
        yield Reject(where, "named_twice", "its tar has two samples of the name")
    elif not images:
        yield Reject(where, "no_image", f"there is no image among its files, {listed(sorted(sample.files))}")
    elif len(images) > 1:
        names = listed([part.name for part in images])
        yield Reject(where, "named_twice", f"{names} are images of one sample")
    else:
        yield _source(file, sample, images[0], split, has, read, known)


def _source(
    file: str, sample: Sample, image: Part, split: str, has: _Has, read: Pread, known: _Names
) -> Source | Reject:
    source = f"{file}/{image.name}"
    if not is_id(source):
        why = "its name and its tar's are longer than a path may be"
        return Reject(f"{file}/{sample.name}", "bad_name", why)
    try:
        label, annotation = _said(file, row_of(sample, read), sample.mask, has, known)
    except BadAnnotation as error:
        reason = "no_partner" if has.mask and not sample.mask else "bad_annotation"
        return Reject(source, reason, f"it {error}")
    place = place_in(file, image.offset, image.size)
    return Source(source, split, label, image.size, annotation.packed(), place)


def _said(
    file: str, row: dict[str, Any], mask: Part | None, has: _Has, known: _Names
) -> tuple[str, Annotation]:
    """The class, and what else is known. Raises BadAnnotation."""
    for what, expected, its in zip(_WORDS, has, _has(row, mask), strict=True):
        if its != expected:
            there = f"{'a' if its else 'no'} {what}"
            raise BadAnnotation(f"has {there}, unlike the first sample of the first tar")
    label = class_of_image(class_in(row[LABEL])) if has.label else UNLABELED
    objects = objects_in(row[OBJECTS]) if has.objects else ()
    labels, ours = labels_of(row), (LABEL, LABELS, OBJECTS)
    columns = tuple(sorted((name, text_of(value)) for name, value in row.items() if name not in ours))
    known.classes.update((place, thing.name) for place, thing in objects)
    known.labels.update(labels)
    known.others.update(others_in(row.get(OBJECTS)))
    known.columns.update(name for name, _ in columns)
    things = tuple(thing for _, thing in objects)
    return label, Annotation(things, place_in(file, mask.offset, mask.size) if mask else "", labels, columns)


def _has(row: dict[str, Any], mask: Part | None) -> _Has:
    return _Has(LABEL in row, LABELS in row, OBJECTS in row, mask is not None)


def _reader(number: int) -> Pread:
    return lambda at, count: os.pread(number, count, at)


def _size(number: int) -> int:
    return os.fstat(number).st_size
