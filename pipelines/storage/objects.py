"""What lies below a URL of an object store."""

from __future__ import annotations

import hashlib
import os
import tempfile
import uuid
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import BinaryIO

from augment.errors import RequestError
from pipelines.storage import clients
from pipelines.storage.copies import copies
from pipelines.storage.lease import Lease
from pipelines.storage.local import Local
from pipelines.storage.location import Entry, Location, Lock, no_folder, reason
from pipelines.storage.store import AT_ONCE, Status, Store, missing, replaced

_ATTEMPTS = 3
"""How often an object is brought that others replace meanwhile."""


class Objects(Location):
    """See `Location`.

    Folders are what stands before slashes. No listing has the empty objects that consoles make to mark one.
    """

    is_file_system = False
    ahead = AT_ONCE
    look_every = 10

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self._scheme, self._bucket, self._key = clients.split(url)

    def to(self, name: str) -> str:
        return _folder(self.path) + name if name else self.path

    def absolute(self) -> str:
        return self.path.rstrip("/")

    def real(self) -> str:
        return self.absolute()

    def check_readable(self) -> None:
        try:
            if not any(self.list(deep=False)):
                if self.size() is not None:
                    raise no_folder(self.path)
                raise RequestError(f"input {self.absolute()}: there is nothing below it")
        except OSError as error:
            raise RequestError(f"input {self.absolute()}: {reason(error)}") from None

    def check_writable(self) -> None:
        pass

    def list(self, name: str = "", *, deep: bool = True) -> Iterator[Entry]:
        prefix = _folder(self._key_of(name))
        with self._at(name) as store:
            for entry in store.list(self._bucket, prefix, deep=deep):
                if entry.size != 0 or entry.name.rpartition("/")[2]:
                    yield entry

    def tree(self, without: str = "") -> Iterator[str]:
        yield from (entry.name for entry in self.list() if not entry.name.startswith(f"{without}/"))

    def names(self, name: str = "") -> set[str]:
        return {entry.name for entry in self.list(name, deep=False)}

    def size(self, name: str = "") -> int | None:
        status = self._status(name)
        return None if status is None else status.size

    def sizes(self, names: Iterable[str]) -> dict[str, int | None]:
        there = {entry.name: entry.size for entry in self.list()}
        return {name: there.get(name) for name in names}

    def read(self, name: str = "") -> bytes:
        with self._at(name) as store:
            return store.read(self._bucket, self._key_of(name))

    def read_part(self, offset: int, size: int) -> bytes:
        with self._at("") as store:
            return store.read_part(self._bucket, self._key, offset, size) if size else b""

    def open(self, name: str = "", buffering: int = -1, version: str | None = None) -> BinaryIO:
        """A copy on this machine's disk, which is kept there: of the object as it is now, or of a version."""
        if version is not None:
            kept = copies().kept(self.to(name), version, buffering)
            return kept or self._copy(name, version, buffering)[0]
        for _ in range(_ATTEMPTS - 1):
            with suppress(FileExistsError):  # replaced on its way
                return self._copy(name, None, buffering)[0]
        return self._copy(name, None, buffering)[0]

    def bring(self, names: Sequence[str], total: int) -> dict[str, str]:
        copies().check_room(2 * total)

        def brought(name: str) -> str:
            file, version = self._copy(name, None, 0)
            file.close()
            return version

        with ThreadPoolExecutor(8) as pool:
            return dict(zip(names, pool.map(brought, names), strict=True))

    def _copy(self, name: str, version: str | None, buffering: int) -> tuple[BinaryIO, str]:
        """Opened, and which version it is of. Raises FileExistsError if there is another one by now."""
        with self._at(name) as store:
            status = store.status(self._bucket, self._key_of(name))
            if status is None:
                raise missing("there is no such object")
            if version not in (None, status.version):
                raise replaced()

            def bring(file: BinaryIO) -> None:
                store.download(self._bucket, self._key_of(name), status.version, file)

            return copies().open(self.to(name), status, bring, buffering), status.version

    def write(self, name: str, content: str | bytes) -> None:
        content = content.encode() if isinstance(content, str) else content
        with self._at(name) as store:
            digest = hashlib.sha256(content).hexdigest()
            store.write(self._bucket, self._key_of(name), content, digest)

    @contextmanager
    def writing(self, name: str) -> Iterator[BinaryIO]:
        with self.scratch() as folder:
            unfinished = os.path.join(folder, uuid.uuid4().hex)
            with open(unfinished, "wb") as file:
                yield file
            self.place(unfinished, name)

    def place(self, finished: str, name: str, sha256: str | None = None) -> None:
        """A store has it once it says so."""
        with self._at(name) as store:
            digest = sha256 or Local(finished).digest()
            store.upload(self._bucket, self._key_of(name), finished, digest)
        os.remove(finished)

    def settle(self, *folders: str) -> None:
        pass

    def note(self, name: str, text: str) -> None:
        with suppress(OSError):  # no reason to fail the work
            self.write(name, text)

    def is_whole(self, name: str, size: int, sha256: str) -> bool:
        """A store checked what it was given, and keeps that as it is.

        So of an object that was uploaded with its SHA-256 that is believed. Another is read.
        """
        status = self._status(name)
        if status is None or status.size != size:
            return False
        return (status.sha256 or self.digest(name)) == sha256

    def remove(self, name: str = "") -> None:
        key = self._key_of(name)
        with self._at(name) as store:
            inside = store.list(self._bucket, _folder(key), deep=True)  # what marks a folder too
            store.remove(self._bucket, [key, *(_folder(key) + entry.name for entry in inside)])

    def remove_empty(self, name: str = "") -> None:
        if not any(self.list(name)):
            self.remove(name)

    @contextmanager
    def scratch(self) -> Iterator[str]:
        with tempfile.TemporaryDirectory(prefix="augshard-", ignore_cleanup_errors=True) as folder:
            yield folder

    def locked(self, name: str) -> AbstractContextManager[Lock]:
        return Lease(self, name)

    def version(self, name: str = "") -> str | None:
        """An object's; None if there is none."""
        status = self._status(name)
        return None if status is None else status.version

    def replace(self, name: str, content: bytes, version: str | None) -> str | None:
        """Writes an object if it still is of a version, None: if there is none; the new one, None if not."""
        with self._at(name) as store:
            return store.replace(self._bucket, self._key_of(name), content, version)

    def _status(self, name: str) -> Status | None:
        with self._at(name) as store:
            return store.status(self._bucket, self._key_of(name))

    def _key_of(self, name: str) -> str:
        return _folder(self._key) + name if name else self._key

    @contextmanager
    def _at(self, name: str) -> Iterator[Store]:
        """The store; faults within know the URL."""
        try:
            yield clients.store(self._scheme)
        except OSError as error:
            error.filename = error.filename or self.to(name)
            raise


def _folder(key: str) -> str:
    """With what the keys of all that is in a folder begin."""
    return f"{key}/" if key and not key.endswith("/") else key
