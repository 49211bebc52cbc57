"""Files wherever they lie: on a disk, by their path, or in an object store, by `gs://` or `s3://`.

    out = storage.at("gs://bucket/out")
    out.write("run.json", "{}")
    out.names("samples")

What a place is like, and what it takes to keep a file there, it knows itself; nobody else asks where it
lies. Every fault is an OSError with a sentence. What is local needs nothing of Beam's, which is imported
for a store alone.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from augment.errors import RequestError
from pipelines.storage.local import Local
from pipelines.storage.location import Entry, Location, check_text, reason

__all__ = ["Entry", "Local", "Location", "at", "check_text", "on_disk", "reason", "use_options"]


def at(path: str | os.PathLike[str]) -> Location:
    """Where a path or URL leads. Raises RequestError for a URL of no store that is known, and for no path."""
    if not isinstance(path, (str, os.PathLike)):
        raise RequestError(f"a directory or file is given by its path, a str; {type(path).__name__} is none")
    path = os.fspath(path)
    if not path:  # as of a variable that is not set
        raise RequestError("a directory or file is given by its path, and here it is empty; this one is .")
    if "://" not in path:
        return Local(path)
    from pipelines.storage.objects import Objects

    return Objects(path)


def on_disk(path: str, what: str) -> Local:
    """Where a path leads, for what only a disk can hold. Raises RequestError for a URL, with `what`."""
    location = at(path)
    if not isinstance(location, Local):
        raise RequestError(f"output {path}: {what} this machine's disk; give a local path")
    return location


def use_options(arguments: Sequence[str]) -> None:
    """Has stores take these of Beam's options from now on, as Beam's workers do by themselves."""
    from pipelines.storage import clients

    clients.use_options(arguments)
