"""What every place where files lie can do."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import BinaryIO, NamedTuple, Protocol

from augment.errors import RequestError


class Entry(NamedTuple):
    """What a listing found."""

    name: str
    """relative to what was listed"""
    size: int | None
    """in bytes; None for a folder"""
    version: str
    """another one for other contents; empty for a folder"""


class Lock(Protocol):
    """That a location is one run's own."""

    def is_held(self) -> bool:
        """Whether it still is. Raises OSError if that is not known."""


class Location(ABC):
    """A directory or a file. Names are relative to it, with slashes; an empty one is the place itself."""

    is_file_system: bool
    """whether any program can open its paths; then folders are things of their own, made, linked, locked"""
    ahead: int
    """how many reads should be under way at once; 0 where none takes its time"""
    look_every: float
    """seconds between two looks at what may have changed"""

    def __init__(self, path: str) -> None:
        self.path = path

    @abstractmethod
    def to(self, name: str) -> str:
        """The path or URL of a name."""

    @abstractmethod
    def absolute(self) -> str:
        """The same path from any working directory."""

    @abstractmethod
    def real(self) -> str:
        """The one path that it has by whatever links."""

    @abstractmethod
    def check_readable(self) -> None:
        """Raises RequestError if it is no directory that can be listed."""

    @abstractmethod
    def check_writable(self) -> None:
        """Raises RequestError if it surely cannot become a directory that is written to."""

    @abstractmethod
    def list(self, name: str = "", *, deep: bool = True) -> Iterator[Entry]:
        """All files below a folder, or with `deep` off its own files and folders; none if it is not there."""

    @abstractmethod
    def tree(self, without: str = "") -> Iterator[str]:
        """The names of all files and links, but for those in one of its folders."""

    @abstractmethod
    def names(self, name: str = "") -> set[str]:
        """Of the files and folders in a folder; none if it is not there."""

    @abstractmethod
    def size(self, name: str = "") -> int | None:
        """A file's, in bytes; None if there is no such file."""

    @abstractmethod
    def sizes(self, names: Iterable[str]) -> dict[str, int | None]:
        """Of some files; None for one that is not there."""

    @abstractmethod
    def read(self, name: str = "") -> bytes:
        """All of a file."""

    @abstractmethod
    def read_part(self, offset: int, size: int) -> bytes:
        """So many bytes of the file from a place on, or fewer where it ends before. Raises OSError."""

    @abstractmethod
    def open(self, name: str = "", buffering: int = -1, version: str | None = None) -> BinaryIO:
        """A file for reading that can be sought and mapped; see `bring` for `version`."""

    @abstractmethod
    def bring(self, names: Sequence[str], total: int) -> dict[str, str]:
        """Has files of so many bytes in all ready for `open`, several at a time.

        Where that means anything, the version of each comes back; `open` with it is no request, and raises
        OSError for another. Raises OSError if there is no room for twice as many: a next copy is read before
        one is let go.
        """

    @abstractmethod
    def write(self, name: str, content: str | bytes) -> None:
        """Writes a file whole, by which it outlasts a loss of power; text as UTF-8."""

    @abstractmethod
    def writing(self, name: str) -> AbstractContextManager[BinaryIO]:
        """A file to be written in parts, which gets its name, as by `write`, if all goes well."""

    @abstractmethod
    def place(self, finished: str, name: str, sha256: str | None = None) -> None:
        """Moves a finished local file, whose SHA-256 may be known, to its name.

        It is whole there or not at all, and lasts once the folder is settled.
        """

    @abstractmethod
    def settle(self, *folders: str) -> None:
        """Has what was placed in folders or removed from them, by whomever, outlast a loss of power."""

    @abstractmethod
    def note(self, name: str, text: str) -> None:
        """Writes a small file for somebody who looks at it now: it need not last, nor be written at all."""

    @abstractmethod
    def is_whole(self, name: str, size: int, sha256: str) -> bool:
        """Whether a file is there with this size and this SHA-256."""

    @abstractmethod
    def remove(self, name: str = "") -> None:
        """Removes a file, or a folder with all that is in it, if it is there."""

    @abstractmethod
    def remove_empty(self, name: str = "") -> None:
        """Removes a folder if there is nothing in it."""

    @abstractmethod
    def scratch(self) -> AbstractContextManager[str]:
        """A local folder for what is not finished, from where placing it takes the least."""

    @abstractmethod
    def locked(self, name: str) -> AbstractContextManager[Lock]:
        """Keeps everybody else out by a file of this name, however the process ends.

        Raises RequestError if another run has it, or if there can be no lock.
        """

    def digest(self, name: str = "") -> str:
        """A file's SHA-256 in hexadecimal."""
        found = hashlib.sha256()
        with self.open(name) as file:
            while block := file.read(1 << 20):
                found.update(block)
        return found.hexdigest()


def no_folder(path: str) -> RequestError:
    """What is wrong with an input that is a file."""
    return RequestError(
        f"input {path}: it is a file; give the folder of the classes, or the one in which tars, TFRecord "
        "files or a dataset of TFDS lie"
    )


def check_text(path: str, what: str) -> None:
    """Raises RequestError for a path of bytes that are no text, for it could not be written down."""
    try:
        path.encode()
    except UnicodeEncodeError:
        raise RequestError(f"{what} {path!a}: its name is not UTF-8; rename it") from None


def reason(error: OSError) -> str:
    """Why, as the end of a sentence."""
    said = error.strerror or str(error.args[0] if error.args else error)
    return said[:1].lower() + said[1:]
