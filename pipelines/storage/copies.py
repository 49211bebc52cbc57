"""Copies of objects on this machine's disk, where they can be sought and mapped to memory."""

from __future__ import annotations

import errno
import functools
import os
import shutil
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import BinaryIO

from pipelines.storage.store import Status


@functools.cache
def copies() -> Copies:
    """Those of this process."""
    return Copies()


class Copies:
    """Of versions of objects, those that were used last.

    They are gone when the process ends, or when others need their room: all of them take half of what was
    free on the disk.
    """

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="augshard-", ignore_cleanup_errors=True)
        self.room = shutil.disk_usage(self._folder.name).free // 2
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[str, str], tuple[str, int]] = OrderedDict()
        """by URL and version the copy's path and its size"""
        self._taken = 0
        """bytes of those that are kept or on their way"""
        self._coming: dict[tuple[str, str], threading.Lock] = {}

    def kept(self, url: str, version: str, buffering: int) -> BinaryIO | None:
        """The copy of a version, if it is here."""
        with self._lock:  # so that it is not let go of before it is open
            if (url, version) not in self._kept:
                return None
            self._kept.move_to_end((url, version))
            return open(self._kept[url, version][0], "rb", buffering)

    def open(self, url: str, status: Status, bring: Callable[[BinaryIO], None], buffering: int) -> BinaryIO:
        """The copy of an object as it is by its status; `bring` writes its contents if need be."""
        key = url, status.version
        while True:
            if file := self.kept(*key, buffering):
                return file
            with self._lock:
                coming = self._coming.setdefault(key, threading.Lock())
            with coming:  # of two threads that want one object, one brings it
                if key not in self._kept:
                    self._bring(key, status.size, bring)

    def check_room(self, wanted: int) -> None:
        """Raises OSError if there never is room for so many bytes."""
        if wanted > self.room:
            raise OSError(
                errno.ENOSPC,
                f"{self._folder.name} has room for {self.room:,} bytes of copies, and it takes {wanted:,}; "
                "set TMPDIR to a folder on a larger disk",
            )

    def _bring(self, key: tuple[str, str], size: int, bring: Callable[[BinaryIO], None]) -> None:
        self.check_room(size)
        with self._lock:
            while self._kept and self._taken + size > self.room:
                _, (oldest, freed) = self._kept.popitem(last=False)
                os.remove(oldest)  # whoever has it open goes on reading it
                self._taken -= freed
            self._taken += size
        handle, path = tempfile.mkstemp(dir=self._folder.name)
        try:
            with open(handle, "wb") as file:
                bring(file)
        except BaseException:
            os.remove(path)
            with self._lock:
                self._taken -= size
            raise
        with self._lock:
            self._kept[key] = path, size
            self._coming.pop(key, None)
