"""Which annotations are meant, and in which format they are."""

from __future__ import annotations

import dataclasses
import itertools
from collections import Counter
from collections.abc import Iterator

from augment.errors import RequestError
from pipelines import storage
from pipelines.format.request import AnnotationFormat
from pipelines.sources.rules import dropping, extension, is_image

_IN_WORDS: dict[AnnotationFormat, str] = {
    "coco": "COCO annotations",
    "yolo": "YOLO labels",
    "voc": "Pascal VOC annotations",
    "masks": "masks",
    "table": "a table",
}

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

_LOOKED_AT = 1000
"""So many files of a folder within the one that was given tell what it holds."""


@dataclasses.dataclass(frozen=True)
class Annotations:
    """What lies beside the images of an input."""

    path: str
    """a file or a folder, absolute, or a URL"""
    format: AnnotationFormat

    def __str__(self) -> str:
        return f"{_IN_WORDS[self.format]} in {self.path}"


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
