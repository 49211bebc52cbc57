"""Containers: files that hold images, and what is known of them: tars, and records of TensorFlow."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar
from urllib.parse import quote_from_bytes

from pipelines import storage
from pipelines.annotations.asked import Annotations, container_format
from pipelines.annotations.json_stream import BadFile
from pipelines.annotations.numbers import is_text
from pipelines.annotations.pieces import ELSEWHERE, Rules
from pipelines.annotations.reader import Begun, Reader, Task, View
from pipelines.format.layout import EXPORT
from pipelines.sources.found import Found, Guess, Ignored, Reject
from pipelines.sources.layout import ONLY_SPLIT
from pipelines.sources.rules import PACKED, dropped_as, extension, is_image, role

_Said = TypeVar("_Said")

_COMPRESSED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd")
"""How files begin that gzip, bzip2, xz and Zstandard make."""


class Contained(Reader):
    """See `Reader`. One container is one task; what all of them have is found out from the first of them."""

    rules = Rules(alone=None)
    around = True

    def __init__(self, root: str, annotations: Annotations) -> None:
        self._root, self._format = root, annotations.format
        self._asked = dict(annotations.features)

    def begin(self) -> Iterator[Begun]:
        try:
            yield from self._begun()
        except OSError as error:
            yield refused(error.filename or self._root, f"cannot be read: {storage.reason(error)}")
        except BadFile as error:
            yield refused("it", str(error))

    @abstractmethod
    def _begun(self) -> Iterator[Begun]:
        """As `begin`. Raises BadFile, and OSError, for what ends the run."""

    def _walk(self, names: list[str]) -> Iterator[Found]:
        """Appends the names of the containers in the input; what becomes of every other file there."""
        for entry in storage.at(self._root).list():
            if not is_text(entry.name):
                name = quote_from_bytes(entry.name.encode(errors="surrogateescape"))
                yield Reject(name, "bad_name", "its name is not UTF-8")
                continue
            last, kind = entry.name.rpartition("/")[2], extension(entry.name)
            if entry.name == EXPORT:
                raise BadFile(
                    "is what augshard exported, whose images are augmented already: give those it was made of"
                )
            if dropped := dropped_as(entry.name):
                yield Ignored(dropped)
            elif container_format(last) == self._format:
                names.append(entry.name)
            elif kind in PACKED and (kind == ".tgz" or container_format(last[: -len(kind)])):
                raise BadFile(f"has {entry.name}, of which no part can be read by itself: unpack it first")
            else:
                yield Ignored(ELSEWHERE if is_image(last) else kind or "(none)")
        names.sort()

    def _first_of(self, names: Sequence[str], first: Callable[[str], _Said]) -> _Said:
        """What the first container says that says anything. Raises BadFile."""
        why = ""
        for name in names:
            try:
                return first(name)
            except BadFile as error:
                why = why or f"has nothing to read: {name} {error}"
        raise BadFile(why or "has no files of the kind")

    def _damaged(self, name: str, why: str) -> BadFile:
        """What is wrong with a file that is no container, or begins as none."""
        with storage.at(self._root).open(name) as file:
            packed = file.read(6).startswith(_COMPRESSED)
        return BadFile(
            "is compressed, so that no part can be read by itself: unpack it first" if packed else why
        )

    def _tasks(self, names: Sequence[str], settings: Any) -> Iterator[Begun]:
        for name in names:
            split = _split_of(name)
            yield View(f"{name}/", split)
            yield Task((name,), settings=(split, settings))

    def _lost(self, name: str, why: str) -> Iterator[Found]:
        """Of a container that cannot be read any further: how many images are behind is not known."""
        yield Reject(name, "damaged", f"it {why}; what is behind is lost")
        yield Guess(f"{name} {why}: images behind are lost, however many they were", refused=False)


def refused(path: str, why: str) -> Guess:
    return Guess(f"{path} {why}", refused=True)


def _split_of(name: str) -> str:
    """The split of a container: by a word of its own name, or else of the folders it lies in."""
    for part in reversed(name.split("/")):
        words = re.findall("[a-z]+", re.sub("(?<=[a-z])(?=[A-Z])", "_", part).lower())
        found = {split for word in words if (split := role(word))}
        if len(found) == 1:
            return found.pop()
    return ONLY_SPLIT
