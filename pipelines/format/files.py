"""Files as such: their digest, and whose turn it is to write among them. Needs no TensorFlow."""

from __future__ import annotations

import fcntl
import hashlib
from typing import IO

from augment.errors import RequestError


def file_digest(path: str) -> str:
    """A file's SHA-256 in hexadecimal."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def hold(lock: IO[str], output: str) -> None:
    """Takes a lock until its file is closed, however that comes; RequestError if another run has it."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise RequestError(f"output {output}: another run is writing to it; wait for its end") from None
