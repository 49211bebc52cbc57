"""One kind of object store, as its client speaks to it, and the sentences for what goes wrong there.

An object appears whole or not at all: stores show what is uploaded only when all of it is there, and keep it
once they have said so. Every failure is an OSError: FileNotFoundError and PermissionError are lasting ones,
and its strerror is a sentence.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator, Sequence
from typing import IO, NamedTuple, Protocol
from urllib.parse import urlsplit

from pipelines.storage.location import Entry

DIGEST = "sha256"
"""Under what an object's metadata say the SHA-256 that it was uploaded with."""

AT_ONCE = 32
"""Requests that may well be under way at once."""


class Status(NamedTuple):
    """One object as it is now."""

    size: int
    sha256: str | None
    """None if it was not uploaded by augshard"""
    version: str


class Store(Protocol):
    """One kind of store. A key is a path below the bucket; every method may raise OSError."""

    def list(self, bucket: str, prefix: str, *, deep: bool) -> Iterator[Entry]:
        """What keys begin with a prefix, which is empty or ends with /: all objects, or one folder."""

    def status(self, bucket: str, key: str) -> Status | None: ...

    def read(self, bucket: str, key: str) -> bytes: ...

    def read_part(self, bucket: str, key: str, offset: int, size: int) -> bytes:
        """So many bytes, at least one, of an object from a place within it on."""

    def download(self, bucket: str, key: str, version: str, file: IO[bytes]) -> None:
        """Raises FileExistsError if it is of another version by now."""

    def write(self, bucket: str, key: str, content: bytes, sha256: str) -> None: ...

    def replace(self, bucket: str, key: str, content: bytes, version: str | None) -> str | None:
        """Writes an object if it still has a version, None: if there is none; its version, None if not."""

    def upload(self, bucket: str, key: str, path: str, sha256: str) -> None:
        """Writes an object from a local file."""

    def remove(self, bucket: str, keys: Sequence[str]) -> None: ...


def missing(what: str) -> OSError:
    return FileNotFoundError(errno.ENOENT, what)


def refused(why: str) -> OSError:
    return PermissionError(errno.EACCES, f"the store refuses it to the credentials in use ({why})")


def no_credentials(why: str) -> OSError:
    # Not EPERM, by which Python makes a PermissionError: a token expires, and the next one does.
    return OSError(errno.EIO, f"the store takes no credentials that are here ({why}); see docs/stores.md")


def silent(url: str) -> OSError:
    return OSError(errno.EHOSTUNREACH, f"the store does not answer at {urlsplit(url).netloc}")


def failed(error: BaseException) -> OSError:
    said = str(error).strip().splitlines() or [type(error).__name__]
    return OSError(errno.EIO, f"the store cannot be used ({said[0]})")


def replaced() -> OSError:
    return FileExistsError(errno.EEXIST, "it was replaced meanwhile")
