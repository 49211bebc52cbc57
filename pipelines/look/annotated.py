"""What sources are annotated with, by their ids: listed once, for a whole input is read to list it."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterable

from pipelines.sources import Source


class SourcesById:
    """Listed when the first is asked for, into a file that goes with this process. Used by several threads.

    Args:
        list_them: gives all sources. What it raises is raised, and who asks next lists again.
    """

    def __init__(self, list_them: Callable[[], Iterable[Source]]) -> None:
        self._list_them = list_them
        self._file: sqlite3.Connection | None = None
        self._one_at_a_time = threading.Lock()

    def __call__(self, source: str) -> Source | None:
        """None where nothing says what is in it."""
        with self._one_at_a_time:
            self._file = self._file or self._filled()
            row = self._file.execute("SELECT * FROM sources WHERE id = ?", (source,)).fetchone()
        return None if row is None else Source(*row)

    def _filled(self) -> sqlite3.Connection:
        file = sqlite3.connect("", check_same_thread=False)  # of no name: SQLite's own temporary file
        file.execute(
            "CREATE TABLE sources (id PRIMARY KEY, split, label, size, annotation, place) WITHOUT ROWID"
        )
        file.executemany("INSERT OR REPLACE INTO sources VALUES (?, ?, ?, ?, ?, ?)", self._list_them())
        return file
