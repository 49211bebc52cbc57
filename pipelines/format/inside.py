"""The files of a dataset directory, which may be anybody's: each lies in it, of a size that it may have."""

from __future__ import annotations

import errno
import os
import stat
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from augment.errors import RequestError
from pipelines import storage
from pipelines.format.bounds import RECORD_BYTES, first_fault

_Record = TypeVar("_Record", bound=BaseModel)


def path_in(directory: str, name: str) -> str:
    """The path of a dataset's file, by its name in the directory.

    Raises OSError if a link leads out of the directory, whose files would be taken for the dataset's, or if
    it is no file, such as a pipe, on which a reader would wait. That it is there is not looked at.
    """
    path = os.path.join(directory, name)
    if not storage.at(directory).is_file_system:
        return path
    root, real = os.path.realpath(directory), os.path.realpath(path)
    if os.path.commonpath([root, real]) != root:
        raise OSError(errno.EPERM, "a link leads out of the directory; put the file itself there", path)
    if os.path.lexists(real) and stat.S_IFMT(os.lstat(real).st_mode) not in (stat.S_IFREG, stat.S_IFDIR):
        raise OSError(errno.EINVAL, "it is not a file", path)
    return path


def read_in(directory: str, name: str, most: int) -> bytes:
    """All of a file that has no reason to be larger than `most` bytes. Raises OSError, also if it is."""
    path = path_in(directory, name)
    size = storage.at(path).size()
    if size is not None and size > most:
        raise OSError(errno.EFBIG, f"it has {size:,} bytes; at most {most:,} are read", path)
    return storage.at(path).read()


def read_record(directory: str, name: str, kind: type[_Record]) -> _Record:
    """A small file in JSON that a run keeps in its output.

    Raises RequestError if it is not within its bounds, and OSError as `read_in` does.
    """
    try:
        return kind.model_validate_json(read_in(directory, name, RECORD_BYTES))
    except ValidationError as error:
        raise RequestError(
            f"{os.path.join(directory, name)}: augshard did not write it so, at {first_fault(error)}; see "
            "where it is from, and remove it"
        ) from None
