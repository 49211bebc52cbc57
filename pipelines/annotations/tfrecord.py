"""TFRecord files of `tf.train.Example`s: the features of the first records tell which say what.

Names that are usual are found; others are told by `--annotations image=...,label=...`.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Mapping

from augment.codec.formats import file_format
from augment.targets import Vocabulary
from pipelines import storage
from pipelines.annotations.contained import Contained, refused
from pipelines.annotations.features import Boxes, Field, Schema, known_of
from pipelines.annotations.json_stream import BadFile
from pipelines.annotations.numbers import BadAnnotation
from pipelines.annotations.reader import Begun, Read, Task, left_out
from pipelines.containers.examples import BadExample, Feature, features
from pipelines.format.records import Frame, FramingError, frames, masked_crc
from pipelines.sources import MAX_BYTES
from pipelines.sources.found import Guess, Reject, Source
from pipelines.sources.words import listed

_USUAL = {
    "image": ("image", "image/encoded", "image_raw", "jpg", "png"),
    "label": ("label", "image/class/text", "image/class/label", "class"),
    "labels": ("labels",),
    "mask": ("segmentation_mask", "image/segmentation/class/encoded", "mask"),
    "boxes": ("objects/bbox", "image/object/bbox"),
    "classes": ("objects/label", "image/object/class/text", "image/object/class/label"),
}
"""What features are called that say a thing, the likeliest first."""

_SIDES = ("ymin", "xmin", "ymax", "xmax")

_BUFFER = 1 << 20

_LOOKED_AT = 100
"""So many records tell which features there are: one that is empty, as of no objects, may be left out."""

_MOST_LOST = 10_000
"""Records of one file that may be missing: each is a reject."""


class Records(Contained):
    """Containers of records, whatever tells the schema."""

    def read(self, task: Task) -> Iterator[Read]:
        [file], (split, (schema, due)) = task.names, task.settings
        classes, labels, strange, number = set[tuple[int, str]](), set[str](), set[str](), 0
        try:
            for frame in records_of(storage.at(self._root).to(file)):
                where, number = f"{file}/{number}", number + 1
                if not frame.sound:
                    yield Reject(where, "damaged", "its data do not have their CRC-32C")
                    continue
                try:
                    known = known_of(frame.data, schema, file, frame.start)
                except BadAnnotation as error:
                    yield Reject(where, "bad_annotation", f"it {error}")
                    continue
                classes |= known.classes
                labels |= known.labels
                if len(strange) < _LOOKED_AT:  # of anybody's records each may have other ones
                    strange |= known.strange
                yield Source(where, split, known.label, known.size, known.annotation, known.place)
        except FramingError as error:
            if due is None:
                yield from self._lost(file, f"is damaged behind {number:,} records ({error})")
            else:
                yield from _missing(file, number, due, str(error))
        except OSError as error:
            yield refused(file, f"cannot be read: {storage.reason(error)}")
        else:
            yield from _missing(file, number, due or 0, "the file ends")
        if strange:
            yield left_out(strange, "the first records do not have {}")
        if schema.annotated:
            yield Vocabulary(frozenset(classes), labels=frozenset(labels))

    def _settings(self, schema: Schema, left: list[str]) -> Iterator[Begun]:
        """What comes before the tasks: names, and which features are of no use."""
        if schema.annotated:
            yield schema.vocabulary()
        if left:
            yield left_out(left)


def _missing(file: str, number: int, due: int, why: str) -> Iterator[Reject | Guess]:
    """Of records that have to be in a file, `due` in all, and of which only so many are."""
    if due - number > _MOST_LOST:
        yield refused(file, f"has {number:,} records that can be read, and has to have {due:,}: {why}")
        return
    for lost in range(number, due):
        yield Reject(f"{file}/{lost}", "damaged", f"it cannot be read: behind {number:,} records {why}")


class TfRecord(Records):
    """See `Reader`."""

    def _begun(self) -> Iterator[Begun]:
        names: list[str] = []
        yield from self._walk(names)
        schema, left = self._first_of(names, self._first)
        yield from self._settings(schema, left)
        yield from self._tasks(names, (schema, None))

    def _first(self, name: str) -> tuple[Schema, list[str]]:
        found: dict[str, Feature] = {}
        why = "has no record that is sound"
        sound = (one.data for one in records_of(storage.at(self._root).to(name)) if one.sound)
        try:
            for data in itertools.islice(sound, _LOOKED_AT):
                try:
                    new = features(data)
                    for one in new.values():
                        one.check()
                except BadExample as error:  # which makes a reject of it, and of no other
                    why = f"has a record that is no tf.train.Example: {error}"
                    continue
                why = "has records without features"
                found.update(
                    (its, one) for its, one in new.items() if its not in found or found[its].is_empty
                )
        except FramingError as error:
            if not found:
                raise self._damaged(name, f"is damaged ({error})") from None
        if not found:
            raise BadFile(why)
        return _schema(found, self._asked)


def records_of(path: str) -> Iterator[Frame]:
    """All records of a file, in order. Raises FramingError where they cannot be told apart, and OSError."""
    with storage.at(path).open(buffering=_BUFFER) as file:
        for start, length in frames(
            lambda _, count: file.read(count), os.fstat(file.fileno()).st_size, 2 * MAX_BYTES
        ):
            data = file.read(length)
            yield Frame(start, data, sound=file.read(4) == masked_crc(data))


def _schema(found: Mapping[str, Feature], asked: Mapping[str, str]) -> tuple[Schema, list[str]]:
    """Which features say what, and which are of no use.

    `asked` says it by what they are: a name, or nothing for what is not to be taken. Raises BadFile.
    """
    chosen = {what: _chosen(what, found, asked) for what in _USUAL}
    image = chosen["image"] or ("" if "image" in asked else _picture(found, chosen["mask"]))
    if not image:
        raise BadFile(f"has records in which no feature is an image; they have {listed(sorted(found))}")
    boxes = _boxes(chosen["boxes"], chosen["classes"], found)
    used = {image, *filter(None, chosen.values()), *(boxes.edges if boxes else ())}
    rest = sorted(found.keys() - used)
    columns = [name for name in rest if _is_scalar(found[name])]
    label, labels, mask = (
        Field(name) if (name := chosen[what]) else None for what in ("label", "labels", "mask")
    )
    schema = Schema(image, label, labels, mask, boxes, tuple(map(Field, columns)), frozenset(found))
    return schema, [name for name in rest if name not in columns]


def _chosen(what: str, found: Mapping[str, Feature], asked: Mapping[str, str]) -> str:
    """The name of the feature that says a thing; empty where none does. Raises BadFile for one not there."""
    there = {*found, *(name.rpartition("/")[0] for name in found if name.rpartition("/")[2] in _SIDES)}
    if what in asked:
        if asked[what] and asked[what] not in there:
            raise BadFile(f"has no feature {asked[what]!r} for {what}; it has {listed(sorted(found))}")
        return asked[what]
    named = [name for name in _USUAL[what] if name in there]
    return next((name for name in named if what != "image" or found[name].kind == "bytes"), "")


def _picture(found: Mapping[str, Feature], mask: str) -> str:
    """The only feature that holds a picture. Raises BadFile where several do."""
    pictures = [
        name
        for name, feature in found.items()
        if name != mask and len(spans := feature.spans()) == 1 and file_format(feature.data[slice(*spans[0])])
    ]
    if len(pictures) > 1:
        raise BadFile(
            f"has records with several pictures, {listed(sorted(pictures))}; say which is the image, "
            f"--annotations image={sorted(pictures)[0]}"
        )
    return pictures[0] if pictures else ""


def _boxes(name: str, classes: str, found: Mapping[str, Feature]) -> Boxes | None:
    if not name:
        return None
    edges = (name,) if name in found else tuple(f"{name}/{side}" for side in _SIDES)
    return Boxes(edges, Field(classes) if classes else None, "" if classes else "object")


def _is_scalar(feature: Feature) -> bool:
    """Whether it has one value that is no picture: of texts one that is UTF-8, and not long."""
    if feature.kind != "bytes":
        return len(feature.numbers()) + len(feature.floats()) == 1
    spans = feature.spans()
    text = feature.data[slice(*spans[0])] if len(spans) == 1 else b"\xff"
    try:
        return len(text.decode()) < 1 << 16
    except UnicodeDecodeError:
        return False
