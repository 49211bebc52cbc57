"""Which annotations are meant, and in which format they are."""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections import Counter
from collections.abc import Iterator

from augment.errors import RequestError
from pipelines import storage
from pipelines.format.layout import DATASET_INFO, FEATURES
from pipelines.format.request import AnnotationFormat
from pipelines.sources.rules import dropping, extension, is_image, role

_IN_WORDS: dict[AnnotationFormat, str] = {
    "coco": "COCO annotations",
    "yolo": "YOLO labels",
    "voc": "Pascal VOC annotations",
    "masks": "masks",
    "table": "a table",
    "tfds": "a dataset of TFDS",
    "tfrecord": "TFRecord files",
    "webdataset": "WebDataset tars",
}

CONTAINERS: frozenset[AnnotationFormat] = frozenset(("tfds", "tfrecord", "webdataset"))
"""Formats in which images lie together with what is known of them."""

_FEATURES = ("image", "label", "labels", "mask", "boxes", "classes")
"""What `--annotations` names features for."""

_RECORDS = re.compile(r".+\.(tfrecords?|tfrec)([-.]?\d[\w-]*)?|.+-\d{5}-of-\d{5}", re.IGNORECASE)
"""The name of a TFRecord file, with or without the number of a shard."""

_BY_FILE: dict[str, AnnotationFormat] = {
    ".json": "coco",
    ".yaml": "yolo",
    ".yml": "yolo",
    ".csv": "table",
    ".jsonl": "table",
    ".parquet": "table",
}

DATA = ("data.yaml", "data.yml", "dataset.yaml", "dataset.yml")
"""What the file is called by which YOLO's tools know a folder."""

TABLES = ("metadata.csv", "metadata.jsonl", "metadata.parquet")
"""What a table is called that lies beside its images."""

_WANTED = (
    "give a COCO file (.json), YOLO's data.yaml, a table (.csv, .jsonl, .parquet), or a folder of VOC files "
    "(.xml), of COCO files or of masks"
)

_LOOKED_INTO = 3
"""So many folders, and entries of each, are looked at for datasets of TFDS."""

_LOOKED_AT = 1000
"""So many files of a folder within the one that was given tell what it holds."""


@dataclasses.dataclass(frozen=True)
class Annotations:
    """What lies beside the images of an input."""

    path: str
    """a file or a folder, absolute, or a URL"""
    format: AnnotationFormat
    features: tuple[tuple[str, str], ...] = ()
    """of records, those that were named, by what they are"""

    def __str__(self) -> str:
        return f"{_IN_WORDS[self.format]} in {self.path}"

    @property
    def has_columns(self) -> bool:
        """Whether it can say other things of an image, each by a name."""
        return self.format == "table" or self.format in CONTAINERS


def annotations_for(root: str | None, given: str | None, *, look: bool = True) -> Annotations | None:
    """What is known of the images of an input: what `--annotations` names, or what is in containers.

    Without a `look` there nothing is known of containers but what is `given`. Raises RequestError.
    """
    features = () if given is None else features_named(given)
    if given is not None and not features:
        return annotations_of(given, look=look)
    if root is None:
        return None
    absolute = storage.at(root).absolute()
    form = _contained(storage.at(root)) if look else "tfrecord" if features else None
    if form is None and features:
        raise RequestError(
            f"--annotations {given}: it names features of records, and in {root} there are none: neither a "
            "dataset of TFDS nor TFRecord files"
        )
    return None if form is None else Annotations(absolute, form, features)


def features_named(given: str) -> tuple[tuple[str, str], ...]:
    """What `--annotations image=NAME,label=NAME` says; nothing for a path. Raises RequestError."""
    if given.partition("=")[0].strip() not in _FEATURES:
        return ()
    found = {}
    for part in given.split(","):
        what, equals, name = part.partition("=")
        if not equals or what.strip() not in _FEATURES or what.strip() in found:
            raise RequestError(
                f"--annotations {given}: {part!r} names no feature; each part must be WHAT=NAME, with "
                f"WHAT one of {', '.join(_FEATURES)}, each once at most"
            )
        found[what.strip()] = name.strip()
    return tuple(sorted(found.items()))


def container_format(name: str) -> AnnotationFormat | None:
    """What a file is by its name, that may hold images; None for others."""
    if name.lower().endswith(".tar"):
        return "webdataset"
    return "tfrecord" if _RECORDS.fullmatch(name) else None


def _contained(location: storage.Location) -> AnnotationFormat | None:
    """What holds the images of an input, if no folders do: files at its top, or in folders of splits there.

    Raises RequestError where it holds containers of two kinds, or datasets of TFDS in folders.
    """
    try:
        top = list(location.list(deep=False))
        folders = [one.name for one in top if one.size is None and not dropping(one.name, folder=True)]
        names = {one.name for one in top if one.size is not None}
        if DATASET_INFO in names and FEATURES in names:
            return "tfds"
        if not all(map(role, folders)):
            if not names:
                _check_above(location, folders)
            return None
        for folder in folders:
            inside = list(itertools.islice(location.list(folder, deep=False), _LOOKED_AT))
            if any(one.size is None and not dropping(one.name, folder=True) for one in inside):
                return None  # it is one of class folders, beside which an archive of all may lie
            names.update(one.name for one in inside if one.size is not None)
    except OSError:  # which is said when it is listed
        return None
    if any(map(is_image, names)):
        return None
    formats = {form for name in names if (form := container_format(name))}
    if len(formats) > 1:
        raise RequestError(f"input {location.path}: it holds tars and TFRecord files; give it one of them")
    return formats.pop() if formats else None


def _check_above(location: storage.Location, folders: list[str]) -> None:
    """Raises RequestError if a dataset of TFDS lies in a folder, or in one within that."""
    for folder in folders[:_LOOKED_INTO]:
        inside = itertools.islice(location.list(folder, deep=False), _LOOKED_INTO)
        for one in (folder, *(f"{folder}/{entry.name}" for entry in inside if entry.size is None)):
            if location.size(f"{one}/{DATASET_INFO}") is not None:
                raise RequestError(
                    f"input {location.path}: a dataset of TFDS lies in it; give --input {location.to(one)}"
                )


def annotations_of(path: str, *, look: bool = True) -> Annotations:
    """What `--annotations` names; without a `look` there, by its name.

    Raises RequestError.
    """
    location = storage.at(path)
    absolute = location.absolute()
    storage.check_text(absolute, "annotations")
    if not look:
        if extension(path) not in _BY_FILE:
            raise RequestError(
                f"annotations {path}: the name of a folder does not tell its format, and nothing is looked "
                "at here; give a file, such as a COCO file (.json) or YOLO's data.yaml"
            )
        return Annotations(absolute, _of_file(path))
    try:
        if location.size() is not None:
            return Annotations(absolute, _of_file(path))
        names = list(_names(location))
    except OSError as error:
        raise RequestError(f"annotations {path}: {storage.reason(error)}") from None
    if not names:
        raise RequestError(f"annotations {path}: there is no such file, and no folder with files; {_WANTED}")
    data = [name for name in names if name in DATA]
    if data:
        return Annotations(storage.at(absolute).to(data[0]), "yolo")
    return Annotations(absolute, _of_folder(path, names))


def _of_file(path: str) -> AnnotationFormat:
    kind = extension(path)
    if kind not in _BY_FILE:
        raise RequestError(f"annotations {path}: {kind or 'no extension'} is of no format; {_WANTED}")
    return _BY_FILE[kind]


def _names(location: storage.Location) -> Iterator[str]:
    """Of the files in a folder, and of some in the folders there."""
    for entry in location.list(deep=False):
        if entry.size is not None:
            yield entry.name
        elif not dropping(entry.name, folder=True):
            inside = location.list(entry.name)
            yield from (f"{entry.name}/{one.name}" for one in itertools.islice(inside, _LOOKED_AT))


def _of_folder(path: str, names: list[str]) -> AnnotationFormat:
    if any(name.rpartition("/")[2] in TABLES for name in names):
        return "table"
    if any(name.startswith("Annotations/") and extension(name) == ".xml" for name in names):
        return "voc"  # as its devkit lies, whatever lies beside
    kinds = Counter("images" if is_image(name) else extension(name) for name in names)
    known: dict[str, AnnotationFormat] = {".xml": "voc", ".json": "coco"}
    formats = {known[kind] for kind in kinds.keys() & known.keys()}
    if len(formats) == 1:
        return formats.pop()
    if not formats and kinds[".txt"] >= max(1, kinds["images"]):
        raise RequestError(
            f"annotations {path}: files of YOLO (.txt) have numbers for classes; give the data.yaml that "
            "names them, as YOLO's own tools take it"
        )
    if not formats and "images" in kinds:
        return "masks"
    there = ", ".join(sorted(filter(None, kinds))) or "such files"
    raise RequestError(f"annotations {path}: what a folder with {there} is, is not clear; {_WANTED}")
