"""What every format of annotations can do."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator
from typing import Any, NamedTuple

from pipelines import storage
from pipelines.annotations.json_stream import BadFile
from pipelines.annotations.pieces import Keyed, Rules
from pipelines.sources.found import Folder, Found, Guess, Source
from pipelines.sources.reading import is_id
from pipelines.sources.words import listed


class View(NamedTuple):
    """A folder of the input, with all that is below it."""

    prefix: str
    """of the ids in it: empty for the input itself, or with a slash at its end"""
    split: str = ""
    """of its images; empty where the annotations say it"""
    images: bool = True
    """whether what it holds are images; off for a folder of masks"""


class Task(NamedTuple):
    """Annotations that one worker reads."""

    names: tuple[str, ...]
    """files, relative to the annotations"""
    prefix: str = ""
    """of the ids of their images"""
    settings: Any = None
    """what else the format has to know"""


Begun = View | Task | Found | Folder
Read = Keyed | Found | Folder


class Reader(ABC):
    """A format: the steps from annotations to pieces, each with what it finds besides.

    None raises for bad input.
    """

    rules: Rules
    around = False
    """whether what it reads holds the images too, and does not lie beside them"""

    @abstractmethod
    def begin(self) -> Iterator[Begun]:
        """What is to be read, and where the images lie: a quick look."""

    @abstractmethod
    def read(self, task: Task) -> Iterator[Read]:
        """A task's annotations."""

    def key(self, source: str) -> str:
        """By what a source meets its annotation: its id, or that without extension, for partners by stem."""
        return source

    def finished(self, source: Source) -> Found:
        """A source with its annotation packed, where more of the image has to be known for it."""
        return source


def refused(path: str, why: str | OSError | BadFile) -> Guess:
    """What is wrong with annotations as a whole."""
    if isinstance(why, OSError):
        why = storage.reason(why)
    elif isinstance(why, BadFile):
        why = f"it {why}"
    return Guess(f"annotations {path}: {why}", refused=True)


def left_out(features: Collection[str], why: str = "how to move {} is not known") -> Guess:
    """That features of images are of no use; `why` has a place for `it` or `them`."""
    noun, them = ("feature is", "it") if len(features) == 1 else ("features are", "them")
    said = f"{listed(sorted(features))}: the {noun} not taken along: {why.format(them)}"
    return Guess(said, refused=False)


def inside(root: str, path: str) -> str | None:
    """Where a path lies below the input, both absolute: as of an id; None if it does not."""
    if path == root:
        return ""
    above = root.rstrip("/") + "/"
    return path.removeprefix(above) if path.startswith(above) else None


def where_of(root: str, path: str, others: str) -> str:
    """A file's name in what is on record: as of an id in the input, or within the folder of annotations."""
    return inside(root, path) or inside(others, path) or path.rpartition("/")[2]


def path_below(given: Any) -> str | None:
    """Where an image lies below its folder, as a file says it; None if that is no such path."""
    if not isinstance(given, str):
        return None
    name = given.replace("\\", "/").removeprefix("./")
    return name if is_id(name) else None


def exists(root: str, source: str) -> bool:
    return storage.at(root).size(source) is not None
