"""Folders in an object store, which are what stands before the slashes of objects' names."""

from __future__ import annotations

from collections.abc import Iterator

from pipelines import storage
from pipelines.sources.found import Folder, Found, Ignored, Reject, Source
from pipelines.sources.names import by_name
from pipelines.sources.rules import dropped_as, dropping


def children(root: str, folder: str) -> Iterator[str | Found]:
    """What lies in a folder given by its id, empty for the root: names of folders, and what the rest is.

    Split and label of sources are still to be set. Raises OSError if it cannot be listed.
    """
    url, prefix = (f"{root.rstrip('/')}/{folder}", f"{folder}/") if folder else (root, "")
    for entry in storage.at(url).list(deep=False):
        if entry.size is not None:
            yield _object(entry.name, entry.size, prefix)
        elif entry.name and not dropping(entry.name, folder=True):
            yield entry.name
        else:  # what is dropped with all that is in it, or has no name
            for inside in storage.at(f"{url}/{entry.name}/").list():
                yield _object(f"{entry.name}/{inside.name}", inside.size or 0, prefix)


def below(root: str, folder: Folder) -> Iterator[Found]:
    """Every object below a class folder."""
    for entry in storage.at(f"{root.rstrip('/')}/{folder.id}").list():
        yield _object(entry.name, entry.size or 0, folder.id + "/")


def _object(name: str, size: int, prefix: str) -> Source | Reject | Ignored:
    """What one object is, by its name behind `prefix`."""
    if kind := dropped_as(name):
        return Ignored(kind)
    if not all(name.split("/")):
        return Reject(prefix + name, "bad_name", "its name ends in a slash or has two in a row")
    return by_name(prefix + name, size)
