"""A lock that the system keeps, and lets go of however a process ends."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
from types import TracebackType

from augment.errors import RequestError
from pipelines.storage import disk
from pipelines.storage.location import reason

_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EINVAL)
_ATTEMPTS = 1000
"""How often what had the lock's name may be gone before it is locked; each time another run has ended."""


class Flock:
    """Holds a directory by a file in it, which is there for as long.

    To hold a file is to hold its inode, which need not be the one that has the name any more: who held it
    before removes it, and others make one anew. So it counts only if it is what the name stands for.
    """

    def __init__(self, directory: str, name: str) -> None:
        self._directory, self._path = directory, os.path.join(directory, name)
        self._handle = -1
        self._made: list[str] = []
        """folders that were not there before, the innermost last"""

    def __enter__(self) -> Flock:
        try:
            for _ in range(_ATTEMPTS):
                if self._take():
                    return self
            raise OSError(errno.EDEADLK, "its lock was removed whenever it was taken")
        except OSError as error:
            self._remove_folders()
            raise RequestError(
                f"output {self._directory}: it cannot be written to ({reason(error)})"
            ) from None
        except RequestError:
            self._remove_folders()
            raise

    def is_held(self) -> bool:
        return True

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            with contextlib.suppress(OSError):  # how the run ended is what the user has to know
                disk.remove_file(self._path)
        finally:
            os.close(self._handle)
        self._remove_folders()

    def _take(self) -> bool:
        """Whether it is taken; if not, what had the name has gone since."""
        handle = -1
        try:
            self._made += disk.make_folders(os.path.dirname(self._path))
            handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
            self._lock(handle)
            if os.path.samestat(os.fstat(handle), os.stat(self._path)):
                self._handle, handle = handle, -1
                return True
        except FileNotFoundError:  # who held it removed it, and its folder
            return False
        finally:
            if handle >= 0:
                os.close(handle)
        return False

    def _lock(self, handle: int) -> None:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RequestError(
                f"output {self._directory}: another run is writing to it; wait for its end"
            ) from None
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
            raise RequestError(
                f"output {self._directory}: its file system has no locks ({reason(error)}), without which "
                "two runs at once would spoil it; write to another, and copy what is finished"
            ) from None

    def _remove_folders(self) -> None:
        """Those that are empty of the lock's own and of those that were made for it."""
        own = os.path.dirname(self._path)
        for path in dict.fromkeys([*([own] if own != self._directory else []), *reversed(self._made)]):
            with contextlib.suppress(OSError):
                disk.remove_folder(path)
