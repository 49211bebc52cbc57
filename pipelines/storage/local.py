"""A directory or a file on a disk of this machine, or one that is mounted here."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import BinaryIO

from augment.errors import RequestError
from pipelines.storage import disk
from pipelines.storage.flock import Flock
from pipelines.storage.location import Entry, Location, Lock, no_folder

SCRATCH = ".unfinished/scratch"
"""Where in a directory lies what is not finished, so that moving it takes no time."""


class Local(Location):
    """See `Location`."""

    is_file_system = True
    ahead = 0
    look_every = 0.25

    def to(self, name: str) -> str:
        return os.path.join(self.path, name) if name else self.path

    def absolute(self) -> str:
        return os.path.abspath(self.path)

    def real(self) -> str:
        return os.path.realpath(self.path)

    def check_readable(self) -> None:
        try:
            if not stat.S_ISDIR(os.stat(self.path).st_mode):
                raise no_folder(self.path)
        except PermissionError:
            pass  # of a folder above it
        except OSError:
            raise RequestError(f"input {self.path}: there is no such directory") from None
        if not os.access(self.path, os.R_OK | os.X_OK):
            raise RequestError(f"input {self.path}: it cannot be read (permission denied)")

    def check_writable(self) -> None:
        if self.is_file():
            raise RequestError(f"output {self.path}: it is a file; give a directory")
        parent = self.absolute()
        while not os.access(parent, os.F_OK):
            parent = os.path.dirname(parent)
        if not os.access(parent, os.W_OK | os.X_OK) and os.path.exists(parent):
            raise RequestError(f"output {self.path}: {parent} cannot be written to (permission denied)")

    def is_file(self) -> bool:
        """Whether something else than a folder lies there, asked once: another run may just remove it."""
        try:
            return not stat.S_ISDIR(os.stat(self.path).st_mode)
        except OSError:
            return False

    def list(self, name: str = "", *, deep: bool = True) -> Iterator[Entry]:
        pending = [""]
        while pending:
            inside = pending.pop()
            try:
                entries = os.scandir(os.path.join(self.to(name), inside))
            except FileNotFoundError:
                continue
            with entries:
                for entry in entries:
                    if not entry.is_dir(follow_symlinks=False):
                        about = entry.stat(follow_symlinks=False)
                        version = f"{about.st_ino} {about.st_mtime_ns} {about.st_size}"
                        yield Entry(inside + entry.name, about.st_size, version)
                    elif deep:
                        pending.append(f"{inside}{entry.name}/")
                    else:
                        yield Entry(entry.name, None, "")

    def tree(self, without: str = "") -> Iterator[str]:
        for folder, folders, names in os.walk(self.path):
            inside = os.path.relpath(folder, self.path)
            if inside == "." and without in folders:
                folders.remove(without)
            names += [name for name in folders if os.path.islink(os.path.join(folder, name))]
            yield from (os.path.normpath(os.path.join(inside, name)) for name in names)

    def names(self, name: str = "") -> set[str]:
        path = self.to(name)
        with contextlib.suppress(FileNotFoundError):  # it is gone since, as a lock's folder may be
            if os.path.isdir(path):
                return set(os.listdir(path))
        return set()

    def size(self, name: str = "") -> int | None:
        path = self.to(name)
        return os.path.getsize(path) if os.path.isfile(path) else None

    def sizes(self, names: Iterable[str]) -> dict[str, int | None]:
        return {name: self.size(name) for name in names}

    def read(self, name: str = "") -> bytes:
        with open(self.to(name), "rb") as file:
            return file.read()

    def read_part(self, offset: int, size: int) -> bytes:
        parts = []
        with self.open(buffering=0) as file:
            while size and (part := os.pread(file.fileno(), size, offset)):
                parts.append(part)
                offset, size = offset + len(part), size - len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def open(self, name: str = "", buffering: int = -1, version: str | None = None) -> BinaryIO:
        file = open(self.to(name), "rb", buffering, opener=_at_once)  # noqa: SIM115 (closed by the caller)
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            file.close()
            raise OSError(errno.EINVAL, "it is a pipe, a socket or a device", self.to(name))
        return file

    def bring(self, names: Sequence[str], total: int) -> dict[str, str]:
        return {}

    def write(self, name: str, content: str | bytes) -> None:
        with self.writing(name) as file:
            file.write(content.encode() if isinstance(content, str) else content)

    @contextmanager
    def writing(self, name: str, part: str | None = None) -> Iterator[BinaryIO]:
        """`part` is the name of the file as long as it is not finished; else it has one of its own."""
        with self.scratch() if part is None else contextlib.nullcontext(self.path) as folder:
            unfinished = os.path.join(folder, part or uuid.uuid4().hex)
            try:
                with disk.create(unfinished) as file:
                    yield file
                self.place(unfinished, name)
                self.settle(os.path.dirname(name))
            except BaseException:
                with contextlib.suppress(OSError):
                    disk.remove_file(unfinished)
                raise

    def place(self, finished: str, name: str, sha256: str | None = None) -> None:
        path = self.to(name)
        folder = os.path.dirname(path) or os.curdir
        disk.make_folders(folder)
        disk.sync(finished)
        disk.rename(finished, path)

    def settle(self, *folders: str) -> None:
        for folder in folders:
            with contextlib.suppress(FileNotFoundError):  # in what is not there, nothing was
                disk.sync(self.to(folder) or os.curdir)

    def note(self, name: str, text: str) -> None:
        with contextlib.suppress(OSError):
            os.makedirs(os.path.dirname(self.to(name)), exist_ok=True)
            with open(self.to(name), "w", encoding="ascii") as file:
                file.write(text)

    def is_whole(self, name: str, size: int, sha256: str) -> bool:
        return self.size(name) == size and self.digest(name) == sha256

    def remove(self, name: str = "") -> None:
        path = self.to(name)
        if os.path.isdir(path) and not os.path.islink(path):
            for inside in os.listdir(path):
                self.remove(os.path.join(name, inside))
            disk.remove_folder(path)
        elif os.path.lexists(path):
            disk.remove_file(path)

    def remove_empty(self, name: str = "") -> None:
        try:
            disk.remove_folder(self.to(name))
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                raise

    @contextmanager
    def scratch(self) -> Iterator[str]:
        try:
            disk.make_folders(self.to(SCRATCH))
            yield self.to(SCRATCH)
        except OSError as error:  # of a disk that is full, which names no file
            error.filename = error.filename or self.path
            raise

    def locked(self, name: str) -> AbstractContextManager[Lock]:
        return Flock(self.path, name)


def _at_once(path: str, flags: int) -> int:
    """Without waiting for a writer, where it is a pipe."""
    return os.open(path, flags | os.O_NONBLOCK)
