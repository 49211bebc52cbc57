"""How far an export is."""

from __future__ import annotations

import contextlib
import threading
from typing import Any

from pipelines import storage
from pipelines.format.layout import PROGRESS
from pipelines.progress import Bar


class ProgressBar:
    """The shards that are done while the context lasts, by what workers noted."""

    def __init__(self, output: str, shards: int) -> None:
        self._out, self._shards = storage.at(output), shards
        self._bar = Bar("exporting", "shards", shards)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> ProgressBar:
        self._thread.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        with self._bar as bar:
            while not self._stop.wait(self._out.look_every):
                if bar.due:
                    with contextlib.suppress(OSError):
                        bar.update(len(self._out.names(PROGRESS)) - bar.n)
            bar.update(self._shards - bar.n)
