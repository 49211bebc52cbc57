"""Folders on a disk. Names are bytes of UTF-8, whatever the locale; links are followed, once around."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import quote_from_bytes

from pipelines.sources.found import Folder, Found, Ignored, Reject, Source
from pipelines.sources.names import by_name
from pipelines.sources.rules import dropping

Identity = tuple[int, int]


class _Subfolder(NamedTuple):
    path: bytes
    id: bytes
    identity: Identity


def children(root: str, folder: str) -> Iterator[str | Found]:
    """What lies in a folder given by its id, empty for the root: names of folders, and what the rest is.

    Split and label of sources are still to be set. Raises OSError if it cannot be listed.
    """
    path, above = os.fsencode(root), [_identity(os.fsencode(root))]
    for part in folder.encode().split(b"/") if folder else ():
        path = os.path.join(path, part)
        above.append(_identity(path))
    prefix = folder.encode() + b"/" if folder else b""
    for found in _entries(path, prefix, tuple(above)):
        if not isinstance(found, _Subfolder):
            yield found
        elif (name := _text(os.path.basename(found.id))) is None:
            yield _bad_name(found.id)
        else:
            yield name


def below(root: str, folder: Folder) -> Iterator[Found]:
    """Every file below a class folder."""
    top = os.path.join(os.fsencode(root), folder.id.encode())
    pending: list[tuple[bytes, bytes, tuple[Identity, ...]]] = [
        (top, folder.id.encode() + b"/", (_identity(os.fsencode(root)), _identity(top)))
    ]
    while pending:
        path, prefix, above = pending.pop()
        try:
            for found in _entries(path, prefix, above):
                if isinstance(found, _Subfolder):
                    pending.append((found.path, found.id + b"/", (*above, found.identity)))
                else:
                    yield found
        except OSError as error:
            yield unreadable_folder(_printable(prefix[:-1]), error)


def unreadable_folder(name: str, error: OSError) -> Reject:
    return Reject(name, "unreadable_folder", os.strerror(error.errno or 0).lower())


def _entries(path: bytes, prefix: bytes, above: tuple[Identity, ...]) -> Iterator[Found | _Subfolder]:
    with os.scandir(path) as entries:
        for entry in entries:
            kind = dropping(entry.name.decode(errors="replace"), folder=entry.is_dir(follow_symlinks=False))
            if kind:
                yield from _dropped(entry, kind)
                continue
            name = prefix + entry.name
            try:
                status = entry.stat()
            except FileNotFoundError:
                yield Reject(_printable(name), "broken_link", "it points to nothing")
            except OSError as error:
                if error.errno == errno.ELOOP:
                    yield _circular(name)
                else:
                    yield Reject(_printable(name), "unreadable", os.strerror(error.errno or 0).lower())
            else:
                yield _classified(entry, name, status, above)


def _classified(
    entry: os.DirEntry[bytes], name: bytes, status: os.stat_result, above: tuple[Identity, ...]
) -> Source | Reject | Ignored | _Subfolder:
    if stat.S_ISDIR(status.st_mode):
        here = status.st_dev, status.st_ino
        return _circular(name) if here in above else _Subfolder(entry.path, name, here)
    if not stat.S_ISREG(status.st_mode):
        return Reject(_printable(name), "not_a_file", "it is a pipe, a socket or a device")
    found = by_name(_printable(name), status.st_size)
    return _bad_name(name) if isinstance(found, Source) and _text(name) is None else found


def _dropped(entry: os.DirEntry[bytes], kind: str) -> Iterator[Ignored]:
    if not entry.is_dir(follow_symlinks=False):
        yield Ignored(kind)
        return
    for _, _, inside in os.walk(entry.path):
        yield from (Ignored(kind) for _ in inside)


def _identity(path: bytes) -> Identity:
    status = os.stat(path)
    return status.st_dev, status.st_ino


def _text(name: bytes) -> str | None:
    """A name as text; None if it is not UTF-8."""
    try:
        return name.decode()
    except UnicodeDecodeError:
        return None


def _printable(name: bytes) -> str:
    text = _text(name)
    return quote_from_bytes(name) if text is None else text


def _bad_name(name: bytes) -> Reject:
    return Reject(_printable(name), "bad_name", "its name is not UTF-8")


def _circular(name: bytes) -> Reject:
    return Reject(_printable(name), "circular_link", "it leads back to a folder that contains it")
