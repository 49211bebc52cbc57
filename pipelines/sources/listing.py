"""Walking the input, wherever it lies."""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType

from pipelines import storage
from pipelines.sources import local, objects
from pipelines.sources.found import Folder, Found, Ignored, Source


def children(root: str, folder: str) -> Iterator[str | Found]:
    """What lies in a folder given by its id, empty for the root: names of folders, and what the rest is.

    Split and label of sources are still to be set. Raises OSError if it cannot be listed.
    """
    return _walker(root).children(root, folder)


def list_folder(root: str, folder: Folder) -> Iterator[Found]:
    """Every file below a class folder; links are followed, and a circle is a reject."""
    for found in _walker(root).below(root, folder):
        if isinstance(found, Source | Ignored):
            yield found._replace(split=folder.split, label=folder.label)
        else:
            yield found


def _walker(root: str) -> ModuleType:
    return local if storage.at(root).is_file_system else objects
