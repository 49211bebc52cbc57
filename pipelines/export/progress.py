"""How far an export is, on a terminal."""

from __future__ import annotations

import contextlib
import sys
import threading
from typing import Any

from tqdm import tqdm

from pipelines import storage
from pipelines.format.layout import PROGRESS


class ProgressBar:
    """A bar of the shards that are done while the context lasts, by what workers noted."""

    def __init__(self, output: str, shards: int) -> None:
        self._out, self._shards, self._terminal = storage.at(output), shards, sys.stderr
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> ProgressBar:
        if self._terminal.isatty():
            self._thread.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def _watch(self) -> None:
        with tqdm(desc="exporting", unit=" shards", total=self._shards, file=self._terminal) as bar:
            while not self._stop.wait(self._out.look_every):
                with contextlib.suppress(OSError):
                    bar.update(len(self._out.names(PROGRESS)) - bar.n)
            bar.update(self._shards - bar.n)
