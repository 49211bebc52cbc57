"""Image folders: <split>/<class>/<source>__c<copy>.jpg, and for each shard a list of its images."""

from __future__ import annotations

import hashlib
import json
import os

from pipelines import storage
from pipelines.export.formats import Format, Item, numbered
from pipelines.format.layout import Shard
from pipelines.storage import disk

LISTS = "_files"
"""Where the lists are. No split has this name, for none begins with _."""


class Folders(Format):
    """What keras.utils.image_dataset_from_directory and torchvision's ImageFolder read, a split at a time."""

    name = "folders"
    files_a_record = 1

    def file(self, shard: Shard) -> str:
        return f"{LISTS}/{numbered(shard)}.jsonl"

    def writer(self, path: str, shard: Shard, beside: str) -> _Pictures:
        return _Pictures(path, shard, self, beside)

    def how_to_read(self, output: str) -> str:
        split = os.path.join(output, next(iter(self.manifest.splits)))
        return f"keras.utils.image_dataset_from_directory({split!r}, image_size={self.manifest.image_size})"


class _Pictures:
    """Writes the images where they will lie, and then the list of them, by which they are all there."""

    def __init__(self, path: str, shard: Shard, form: Folders, beside: str) -> None:
        self._list = disk.create(path)
        self._shard, self._form, self._beside = shard, form, storage.at(beside)
        self._folders: set[str] = set()

    def write(self, item: Item) -> None:
        name, content = self._form.picture_name(self._shard.split, item), self._form.picture(item.record)
        if self._beside.is_file_system:
            self._write_here(self._beside.to(name), content)
        else:
            self._beside.write(name, content)
        line = {
            "file": name,
            "source": item.record.source,
            "copy": item.record.copy,
            "class": item.label,
            "label": item.record.label,
            "bytes": len(content),
            "sha256": hashlib.sha256(content).hexdigest(),
        }
        self._list.write((json.dumps(line, ensure_ascii=False) + "\n").encode())

    def close(self) -> None:
        """All is synced at once, for a sync of each image would take most of the time."""
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
