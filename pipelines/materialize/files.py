"""Writing files of a dataset so that a reader never sees half of one."""

from __future__ import annotations

import os
import tempfile
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from pipelines import files
from pipelines.format.layout import SCRATCH


@contextmanager
def scratch(output: str) -> Iterator[str]:
    """A local folder for what is not finished: within a local output, so that moving it takes no time."""
    if files.is_remote(output):
        with tempfile.TemporaryDirectory(prefix="augshard-", ignore_cleanup_errors=True) as folder:
            yield folder
    else:
        folder = os.path.join(output, SCRATCH)
        try:
            os.makedirs(folder, exist_ok=True)
            yield folder
        except OSError as error:  # of a disk that is full, which names no file
            error.filename = error.filename or output
            raise


def write_file(output: str, name: str, text: str | Iterable[str]) -> None:
    """Writes a file of the dataset directory, whole or in parts, elsewhere, then puts it in its place."""
    with scratch(output) as folder:
        temporary = os.path.join(folder, uuid.uuid4().hex)
        with open(temporary, "w", encoding="utf-8", newline="") as file:
            file.writelines([text] if isinstance(text, str) else text)
        files.place(temporary, os.path.join(output, name))
