"""Where sources lie, and what they hold."""

from __future__ import annotations

import errno
import os
import re
import stat

from augment import codec
from pipelines import storage
from pipelines.sources.found import Reject

MAX_BYTES = 1 << 29
"""The largest file that is read, 512 MiB: as many bytes as the largest image takes in 16-bit RGB."""


ID_BYTES = 4096
"""The longest id of a source: as long as a path may be."""


def check_root(root: str) -> str:
    """The input directory as an absolute path, or URL. Raises RequestError if it cannot be listed."""
    location = storage.at(root)
    location.check_readable()
    storage.check_text(location.absolute(), "input")
    return location.absolute()


def source_path(root: str, source: str) -> str:
    """Where a source or folder lies: on a disk its name is the id's UTF-8, whatever the locale says.

    Raises ValueError for an id that leads out of the root, as none does.
    """
    if not storage.at(root).is_file_system:  # names there lead nowhere: they are keys
        return f"{root.rstrip('/')}/{source}"
    if not is_id(source):
        raise ValueError(f"{source!r} is no path below {root}")
    return os.fsdecode(os.path.join(os.fsencode(root), source.encode()))


def is_id(source: str) -> bool:
    """Whether a text can be the id of a source: a relative path of at most ID_BYTES that goes down only."""
    try:
        long = len(source.encode()) > ID_BYTES
    except UnicodeEncodeError:
        return False
    return not long and "\0" not in source and not {"", ".", ".."} & set(source.split("/"))


def place_in(file: str, offset: int, size: int) -> str:
    """Where so many bytes lie within a file below the root, as `read_source` takes it: no id is like it."""
    return f"{file}//{offset}+{size}"


_PLACE = re.compile(r"(.+)//(\d{1,18})\+(\d{1,18})", re.DOTALL)


def read_source(root: str, source: str) -> bytes:
    """A source's contents, by its id or its place within a file.

    Raises OSError; also, without waiting, for what is no file, such as a pipe. With `errno.EFBIG` for more
    than MAX_BYTES, of which no more are read.
    """
    if place := _PLACE.fullmatch(source):
        return _read_part(source_path(root, place[1]), int(place[2]), int(place[3]))
    path = source_path(root, source)
    if not storage.at(root).is_file_system:
        contents: bytes | None = storage.at(path).read()  # which the listing had the size of
        size = len(contents or b"")
    else:
        contents, size = _read_local(path)
    if contents is None or len(contents) > MAX_BYTES:
        raise OSError(errno.EFBIG, too_large(size), path)
    return contents


def _read_local(path: str) -> tuple[bytes | None, int]:
    """Contents, None if they are too large, and their size. A file object would take twice as many calls."""
    number = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        status = os.fstat(number)
        if stat.S_ISDIR(status.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "it is a pipe, a socket or a device", path)
        if status.st_size > MAX_BYTES:
            return None, status.st_size
        contents = os.read(number, status.st_size + 1)
        # Else it grew, or comes bit by bit.
        while len(contents) != status.st_size and (more := os.read(number, 1 << 20)):
            contents += more
            if len(contents) > MAX_BYTES:
                return None, len(contents)
        return contents, len(contents)
    finally:
        os.close(number)


def _read_part(path: str, offset: int, size: int) -> bytes:
    if size > MAX_BYTES:
        raise OSError(errno.EFBIG, too_large(size), path)
    contents = storage.at(path).read_part(offset, size)
    if len(contents) != size:
        wrong = f"it has no {size:,} bytes from byte {offset:,} on, as it had when it was listed"
        raise OSError(errno.EIO, wrong, path)
    return contents


def rejected(source: str, error: OSError) -> Reject | None:
    """As what a source is rejected that cannot be read; None where that says nothing of the image.

    What was listed and is gone, or may not be read, may be back, like the mount that it lies on.
    """
    return Reject(source, "too_large", error.strerror or "") if error.errno == errno.EFBIG else None


def too_large(size: int) -> str:
    """What is wrong with a file of so many bytes."""
    return f"{size:,} bytes; at most {MAX_BYTES:,} are read: shrink the image, or take it out"


def contents_or_reject(root: str, source: str, place: str = "") -> bytes | Reject:
    """A source's bytes, if they can be read and decoded. Raises OSError for a fault that may pass.

    `place`: where it lies, if not by its id.
    """
    try:
        contents = read_source(root, place or source)
    except OSError as error:
        reject = rejected(source, error)
        if reject is None:
            raise
        return reject
    rejection = codec.examine(contents)
    return contents if rejection is None else Reject(source, rejection.reason, rejection.detail)
