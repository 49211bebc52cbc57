"""Files wherever they lie: on a disk, by their path, or in an object store, by `gs://` or `s3://`.

What is local takes the way it always did, and needs nothing of Beam's, which is imported only for a
store. What a store cannot do (seek, be mapped to memory) is done on a copy on this machine's disk, see
`open_file`. Every fault is an OSError with a sentence.
"""

from __future__ import annotations

import errno
import fcntl
import functools
import hashlib
import os
import shutil
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, BinaryIO

from augment.errors import RequestError

if TYPE_CHECKING:
    from pipelines.stores import Entry, Store


def is_remote(path: str) -> bool:
    """Whether it is in an object store."""
    return "://" in path


def absolute(path: str) -> str:
    """The same from any working directory. Raises RequestError for a URL of no store that is known."""
    if not is_remote(path):
        return os.path.abspath(path)
    from pipelines.stores import split

    split(path)
    return path.rstrip("/")


def reason(error: OSError) -> str:
    """Why, as the end of a sentence."""
    said = error.strerror or str(error)
    return said[:1].lower() + said[1:]


@contextmanager
def _at(url: str) -> Iterator[tuple[Store, str, str]]:
    """The store, bucket and key of a URL; faults within know its name."""
    from pipelines import stores

    scheme, bucket, key = stores.split(url)
    try:
        yield stores.store(scheme), bucket, key
    except OSError as error:
        error.filename = error.filename or url
        raise


def below(url: str, *, deep: bool = True) -> Iterator[Entry]:
    """All objects below a folder of a store, or with `deep` off its own and its folders, page after page.

    Not the empty ones that consoles make to mark a folder.
    """
    with _at(url) as (store, bucket, key):
        for entry in store.list(bucket, f"{key}/" if key and not key.endswith("/") else key, deep=deep):
            if entry.size != 0 or entry.name.rpartition("/")[2]:
                yield entry


def tree(directory: str, without: str) -> Iterator[str]:
    """The paths, relative to a directory, of all files and links in it, but for one of its folders."""
    if is_remote(directory):
        yield from (e.name for e in below(directory) if not e.name.startswith(f"{without}/"))
        return
    for folder, folders, names in os.walk(directory):
        inside = os.path.relpath(folder, directory)
        if inside == "." and without in folders:
            folders.remove(without)
        names += [name for name in folders if os.path.islink(os.path.join(folder, name))]
        yield from (os.path.normpath(os.path.join(inside, name)) for name in names)


def names(directory: str) -> set[str]:
    """Of the files and folders in a directory; none if it is not there."""
    if is_remote(directory):
        return {entry.name for entry in below(directory, deep=False)}
    return set(os.listdir(directory)) if os.path.isdir(directory) else set()


def size(path: str) -> int | None:
    """A file's, in bytes; None if there is no such file."""
    if not is_remote(path):
        return os.path.getsize(path) if os.path.isfile(path) else None
    with _at(path) as (store, bucket, key):
        status = store.status(bucket, key)
        return None if status is None else status.size


def sizes(directory: str, wanted: Iterable[str]) -> dict[str, int | None]:
    """Of some files in a directory, by their relative paths; None for one that is not there."""
    if not is_remote(directory):
        return {name: size(os.path.join(directory, name)) for name in wanted}
    there = {entry.name: entry.size for entry in below(directory)}
    return {name: there.get(name) for name in wanted}


def read(path: str) -> bytes:
    """All of a file."""
    if is_remote(path):
        with _at(path) as (store, bucket, key):
            return store.read(bucket, key)
    with open(path, "rb") as file:
        return file.read()


def write(url: str, content: bytes) -> None:
    """Writes an object."""
    with _at(url) as (store, bucket, key):
        store.write(bucket, key, content)


def replace(url: str, content: bytes, version: str | None) -> str | None:
    """Writes an object if it still is of a version, None: if there is none; the new version, None if not."""
    with _at(url) as (store, bucket, key):
        return store.replace(bucket, key, content, version)


def version(url: str) -> str | None:
    """An object's; None if there is none."""
    with _at(url) as (store, bucket, key):
        status = store.status(bucket, key)
        return None if status is None else status.version


def place(finished: str, path: str, sha256: str | None = None) -> None:
    """Moves a finished local file, whose SHA-256 may be known, to where nobody ever sees half of it."""
    if not is_remote(path):
        os.replace(finished, path)
        return
    with _at(path) as (store, bucket, key):
        store.upload(bucket, key, finished, sha256 or file_digest(finished))
        os.remove(finished)


def is_whole(path: str, length: int, sha256: str) -> bool:
    """Whether a file is there with this size and this SHA-256.

    A store checked what it was given, and keeps that as it is: so of an object that was uploaded with
    its SHA-256 that is believed. Another is read.
    """
    if not is_remote(path):
        return size(path) == length and file_digest(path) == sha256
    with _at(path) as (store, bucket, key):
        status = store.status(bucket, key)
        if status is None or status.size != length:
            return False
        return (status.sha256 or file_digest(path)) == sha256


def remove(path: str) -> None:
    """Removes a file, or a folder with all that is in it, if it is there."""
    if is_remote(path):
        with _at(path) as (store, bucket, key):
            inside = store.list(bucket, f"{key}/", deep=True)  # what marks a folder too
            store.remove(bucket, [key, *(f"{key}/{entry.name}" for entry in inside)])
    elif os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.remove(path)


def file_digest(path: str) -> str:
    """A file's SHA-256 in hexadecimal."""
    found = hashlib.sha256()
    with open_file(path) as file:
        while block := file.read(1 << 20):
            found.update(block)
    return found.hexdigest()


def hold(lock: IO[str], output: str) -> None:
    """Takes a lock until its file is closed, however that comes; RequestError if another run has it."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise RequestError(f"output {output}: another run is writing to it; wait for its end") from None


def open_file(path: str, buffering: int = -1) -> BinaryIO:
    """A file for reading, on this machine's disk.

    An object is brought there at its first use, and kept until this process ends or its room is needed
    for others: all of them take half of what was free. What becomes of it meanwhile is not seen.
    """
    return _downloads().open(path, buffering) if is_remote(path) else open(path, "rb", buffering)


def bring(urls: Sequence[str], total: int) -> None:
    """Has objects of so many bytes in all ready for `open_file`, several at a time.

    Raises OSError also if there is no room for twice as many: a next copy is read before one is let go.
    """
    downloads = _downloads()
    if 2 * total > downloads.room:
        raise downloads.full(2 * total)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda url: downloads.open(url).close(), urls))


@functools.cache
def _downloads() -> _Downloads:
    return _Downloads()


class _Downloads:
    """Copies of objects on this machine's disk, those that were used last."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="augshard-", ignore_cleanup_errors=True)
        self.room = shutil.disk_usage(self._folder.name).free // 2
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, tuple[str, int]] = OrderedDict()
        """by URL the copy's path and its size"""
        self._taken = 0
        """bytes of those that are kept or on their way"""
        self._coming: dict[str, threading.Lock] = {}

    def open(self, url: str, buffering: int = -1) -> BinaryIO:
        while True:
            with self._lock:  # so that it is not let go of before it is open
                if url in self._kept:
                    self._kept.move_to_end(url)
                    return open(self._kept[url][0], "rb", buffering)
                coming = self._coming.setdefault(url, threading.Lock())
            with coming:  # of two threads that want one object, one brings it
                if url not in self._kept:
                    self._bring(url)

    def full(self, wanted: int) -> OSError:
        return OSError(
            errno.ENOSPC,
            f"{self._folder.name} has room for {self.room:,} bytes of copies, and it takes {wanted:,}; set "
            "TMPDIR to a folder on a larger disk",
        )

    def _bring(self, url: str) -> None:
        with _at(url) as (store, bucket, key):
            status = store.status(bucket, key)
            if status is None:
                raise FileNotFoundError(errno.ENOENT, "there is no such object")
            if status.size > self.room:
                raise self.full(status.size)
            with self._lock:
                while self._kept and self._taken + status.size > self.room:
                    _, (oldest, freed) = self._kept.popitem(last=False)
                    os.remove(oldest)  # whoever has it open goes on reading it
                    self._taken -= freed
                self._taken += status.size
            handle, path = tempfile.mkstemp(dir=self._folder.name)
            try:
                with open(handle, "wb") as file:
                    store.download(bucket, key, file)
            except BaseException:
                os.remove(path)
                with self._lock:
                    self._taken -= status.size
                raise
            with self._lock:
                self._kept[url] = path, status.size
                self._coming.pop(url, None)
