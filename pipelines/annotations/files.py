"""Many small files, and lines of long ones."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

from pipelines import storage
from pipelines.annotations.json_stream import BadFile
from pipelines.annotations.numbers import is_text
from pipelines.sources.rules import dropped_as, dropping

BLOCK = 256
"""So many files are one task."""

LONGEST = 1 << 20
"""Of a line, in bytes."""


def files_near(path: str) -> Iterator[str]:
    """The names of the files in a folder and in the folders there; one that is empty if it is a file."""
    location = storage.at(path)
    if location.size() is not None:
        yield ""
        return
    for entry in location.list(deep=False):
        if entry.size is not None:
            yield entry.name
        elif not dropping(entry.name, folder=True):
            inner = location.list(entry.name, deep=False)
            yield from (f"{entry.name}/{one.name}" for one in inner if one.size is not None)


def files_of(path: str, within: str) -> Iterator[str]:
    """The names of all files in a folder of a folder, relative to the latter; without what systems leave."""
    prefix = f"{within}/" if within else ""
    for entry in storage.at(path).list(within):
        if not dropped_as(entry.name) and is_text(entry.name):  # which no image's id would be
            yield prefix + entry.name


def blocks(names: Iterable[str], size: int) -> Iterator[tuple[str, ...]]:
    """All of them, in order, so many at once."""
    names = iter(names)
    while block := tuple(itertools.islice(names, size)):
        yield block


def contents_of(path: str, names: Iterable[str]) -> Iterator[tuple[str, bytes]]:
    """Each file's name and contents; where reads take their time, several are under way."""
    location = storage.at(path)
    if not location.ahead:
        yield from ((name, location.read(name)) for name in names)
        return
    with ThreadPoolExecutor(location.ahead) as pool:
        names = list(names)
        yield from zip(names, pool.map(location.read, names), strict=True)


def lines_of(path: str) -> Iterator[str]:
    """Of a file of UTF-8, without their ends. Raises BadFile, and OSError."""
    with storage.at(path).open() as file:
        first = True
        while line := file.readline(LONGEST):
            try:
                text = line.decode("utf-8-sig" if first else "utf-8")
            except UnicodeDecodeError as error:
                raise BadFile(f"is not UTF-8 ({error.reason})") from None
            first = False
            yield text.rstrip("\r\n")
