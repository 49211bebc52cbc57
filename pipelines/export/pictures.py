"""Formats whose images are files of their own, and for each shard a list of them."""

from __future__ import annotations

import hashlib
import json
import os
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

from pipelines import storage
from pipelines.export.formats import Format, Item, Lines, numbered
from pipelines.format.layout import Shard
from pipelines.storage import disk

LISTS = "_files"
"""Where the lists are. No split has this name, for none begins with _."""


class Pictures(Format):
    """The file of a shard is a list: a line of JSON an image, by which all that belongs to it is there."""

    @abstractmethod
    def files_of(self, split: str, item: Item) -> Sequence[tuple[str, bytes]]:
        """The files of a sample with their paths, its image first."""

    def about(self, item: Item) -> dict[str, Any]:
        """What stands in its line beside its files and where it is from."""
        return {}

    def file(self, shard: Shard) -> str:
        return f"{LISTS}/{numbered(shard)}.jsonl"

    def writer(self, path: str, shard: Shard, beside: str) -> _Files:
        return _Files(path, shard, self, beside)

    def files_beside(self, lists: dict[str, Lines]) -> int:
        return sum(1 + len(line.get("beside", ())) for lines in lists.values() for line in lines())


class _Files:
    """Writes the files where they will lie, and then the list of them."""

    def __init__(self, path: str, shard: Shard, form: Pictures, beside: str) -> None:
        self._list = disk.create(path)
        self._shard, self._form, self._beside = shard, form, storage.at(beside)
        self._folders: set[str] = set()

    def write(self, item: Item) -> None:
        files = self._form.files_of(self._shard.split, item)
        for name, content in files:
            if self._beside.is_file_system:
                self._write_here(self._beside.to(name), content)
            else:
                self._beside.write(name, content)
        image, *others = (_named(name, content) for name, content in files)
        line = {
            "file": image.pop("file"),
            "source": item.record.source,
            "copy": item.record.copy,
            **self._form.about(item),
            **image,
            **({"beside": others} if others else {}),
        }
        self._list.write((json.dumps(line, ensure_ascii=False) + "\n").encode())

    def close(self) -> None:
        """All is synced at once, for a sync of each file would take most of the time."""
        self._list.close()
        disk.sync_all()

    def _write_here(self, path: str, content: bytes) -> None:
        """The folder gets its name when all is there, so the file may have its own at once."""
        folder = os.path.dirname(path)
        if folder not in self._folders:
            disk.make_folders(folder)
            self._folders.add(folder)
        with disk.create(path) as file:
            file.write(content)


def _named(name: str, content: bytes) -> dict[str, Any]:
    return {"file": name, "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
