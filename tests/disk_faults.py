"""A disk that fails, and one that loses what was not synced, for runs in this process.

All that comes, lasts and goes on a disk does so by the functions of `pipelines.storage.disk`, but for locks
and for notes of how far a run is. Here they are watched: each step of a run can be made to fail, and of each
moment of a run it is known in which states a loss of power may leave the directory.

What is assumed of a file system is little. Each name in a folder is, after a loss of power, what it was when
the folder was synced last or anything that it was since, whatever became of other names; a file that was not
synced has all of its bytes, none, or some.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pipelines.storage import disk

STEPS = ("create", "write", "sync", "rename", "make_folder", "remove_file", "remove_folder")


@contextmanager
def watched(
    before: Callable[[str, str], None], after: Callable[..., None] = lambda *_: None
) -> Iterator[None]:
    """Calls `before` with the kind and the path of each step, and `after` with all of its arguments."""

    class Watched(io.FileIO):
        def write(self, data: object) -> int:
            before("write", str(self.name))
            written = super().write(data)
            after("write", str(self.name), bytes(data)[:written])
            return written

    def create(path: str, buffering: int = -1) -> io.IOBase:
        before("create", path)
        file = Watched(path, "wb")
        after("create", path)
        return io.BufferedWriter(file) if buffering else file

    def step(kind: str) -> Callable[..., None]:
        real = getattr(disk, kind)

        def taken(path: str, *to: str) -> None:
            before(kind, path)
            real(path, *to)
            after(kind, path, *to)

        return taken

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(disk, "create", create)
        for kind in STEPS[2:]:
            patch.setattr(disk, kind, step(kind))
        yield


class Failing:
    """Has the step of a number, from 1, fail, and with `dead` all that follow, as when the disk is gone."""

    def __init__(self, number: int, error: int, *, dead: bool) -> None:
        self.number, self.taken = number, 0
        self._error, self._dead = error, dead

    def __call__(self, kind: str, path: str) -> None:
        self.taken += 1
        if self.taken == self.number or (self._dead and self.taken > self.number):
            raise OSError(self._error, os.strerror(self._error), path)


class File:
    """What a file may hold after a loss of power, the last being what it holds now."""

    def __init__(self, content: bytes, *, synced: bool) -> None:
        self.contents = [content] if synced else [b"", content[: len(content) // 2], content]


Folder = dict[str, list["File | Folder | None"]]
"""By name what may be there after a loss of power, the last being what is there now."""


class Memory:
    """What a directory may be after a loss of power, followed step by step.

    `moment` is called after each step.
    """

    def __init__(self, directory: Path, moment: Callable[[Memory], None]) -> None:
        self.root = self._read(directory)
        self._directory, self._moment = str(directory), moment
        self.steps = 0

    def _read(self, directory: Path) -> Folder:
        return {
            path.name: [self._read(path) if path.is_dir() else File(path.read_bytes(), synced=True)]
            for path in directory.iterdir()
        }

    def _now(self, path: str) -> File | Folder | None:
        """What is there now; None also for what is not followed."""
        here: File | Folder | None = self.root
        inside = os.path.relpath(path, self._directory)
        for name in [] if inside == "." else inside.split(os.sep):
            here = here.get(name, [None])[-1] if isinstance(here, dict) else None
        return here

    def after(self, kind: str, path: str, *more: str | bytes) -> None:
        self.steps += 1
        folder, name = self._now(os.path.dirname(path)), os.path.basename(path)
        if kind == "sync":
            self._sync(self._now(path))
        elif isinstance(folder, dict):
            self._change(kind, folder, name, *more)
        self._moment(self)

    @staticmethod
    def _sync(here: File | Folder | None) -> None:
        if isinstance(here, File):
            here.contents = here.contents[-1:]
        elif here is not None:
            here.update({name: history[-1:] for name, history in here.items()})

    def _change(self, kind: str, folder: Folder, name: str, *more: str | bytes) -> None:
        if kind == "create":
            self._set(folder, name, File(b"", synced=False))
        elif kind == "write":
            file, data = folder[name][-1], more[0]
            assert isinstance(file, File)
            assert isinstance(data, bytes)
            file.contents = File(file.contents[-1] + data, synced=False).contents
        elif kind == "rename":
            there = self._now(os.path.dirname(str(more[0])))
            assert isinstance(there, dict)
            self._set(there, os.path.basename(str(more[0])), folder[name][-1])
            self._set(folder, name, None)
        elif kind == "make_folder":
            self._set(folder, name, {})
        else:
            self._set(folder, name, None)

    @staticmethod
    def _set(folder: Folder, name: str, what: File | Folder | None) -> None:
        folder.setdefault(name, [None]).append(what)

    def may_be(self, name: str) -> list[bytes | None]:
        """All that may be read under a name after a loss of power; None where there is nothing."""
        folders: list[File | Folder | None] = [self.root]
        *parents, last = name.split("/")
        for parent in [*parents, last]:
            folders = [
                found
                for folder in folders
                for found in (folder.get(parent, [None]) if isinstance(folder, dict) else [None])
            ]
        contents: list[bytes | None] = []
        for found in folders:
            contents += found.contents if isinstance(found, File) else [None]
        return contents

    def left(self, directory: Path, choose: Callable[[list[object]], object]) -> None:
        """Makes one of the possible directories; `choose` takes one of what may be, the last being newest."""
        self._make(self.root, directory, choose)

    def _make(self, folder: Folder, path: Path, choose: Callable[[list[object]], object]) -> None:
        path.mkdir()
        for name, history in folder.items():
            found = choose(list(history))
            if isinstance(found, File):
                content = choose(list(found.contents))
                assert isinstance(content, bytes)
                (path / name).write_bytes(content)
            elif isinstance(found, dict):
                self._make(found, path / name, choose)


def newest(may_be: list[object]) -> object:
    """What a kill leaves."""
    return may_be[-1]


def oldest(may_be: list[object]) -> object:
    """What a loss of power leaves of which nothing was written that had not to be."""
    return may_be[0]


def by_chance(seed: int) -> Callable[[list[object]], object]:
    return random.Random(seed).choice


def check_promise(memory: Memory, output: str) -> None:
    """Whatever a loss of power leaves now: a manifest that is there is whole, and so is what it names."""
    for manifest in memory.may_be(f"{output}/manifest.json"):
        if manifest is None:
            continue
        for name, file in json.loads(manifest)["files"].items():
            for content in memory.may_be(f"{output}/{name}"):
                assert content is not None, f"{name} may be missing after step {memory.steps}"
                assert hashlib.sha256(content).hexdigest() == file["sha256"], f"{name}, step {memory.steps}"
