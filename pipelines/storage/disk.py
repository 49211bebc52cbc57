"""The few steps by which anything on a disk comes, lasts and goes: a run takes no other.

A name may outlast a loss of power where what it names does not, and a file where its name does not, unless
each is synced. Faults name the path.
"""

from __future__ import annotations

import contextlib
import errno
import os
from typing import BinaryIO


def create(path: str, buffering: int = -1) -> BinaryIO:
    """A new file for writing."""
    return open(path, "wb", buffering)


def sync(path: str) -> None:
    """What is in a file, or which names are in a folder, lasts from now on."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno != errno.EINVAL:  # of a file system that syncs no folders
            error.filename = path
            raise
    finally:
        os.close(handle)


def sync_all() -> None:
    """All that was written by now lasts: for many small files, of which syncing each takes far longer."""
    os.sync()


def rename(path: str, to: str) -> None:
    """Takes the place of what has that name, if anything has."""
    os.replace(path, to)


def make_folder(path: str) -> None:
    """Raises FileExistsError if there is one."""
    os.mkdir(path)


def make_folders(path: str) -> list[str]:
    """Makes a folder and those above it that are missing, so that they last; which, outermost first."""
    if os.path.isdir(path):
        return []
    parent = os.path.dirname(path) or os.curdir
    made = make_folders(parent)
    with contextlib.suppress(FileExistsError):  # another one made it since
        make_folder(path)
        made.append(path)
    sync(parent)
    return made


def remove_file(path: str) -> None:
    os.remove(path)


def remove_folder(path: str) -> None:
    """Raises OSError unless it is empty."""
    os.rmdir(path)
