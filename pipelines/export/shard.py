"""The work on one shard of the dataset: its records to one file of the export, or with folders to many."""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Iterator
from typing import NamedTuple

from augment.errors import RequestError
from pipelines import storage
from pipelines.export.formats import Item
from pipelines.export.known import form_of
from pipelines.export.request import ExportRequest
from pipelines.format.example import unpack
from pipelines.format.inside import path_in
from pipelines.format.layout import STOP, WORK, Shard, shard_file
from pipelines.format.manifest import File, read_manifest
from pipelines.format.records import ShardReader
from pipelines.format.targets import unpacked
from pipelines.sources import is_id
from pipelines.storage import disk

WHOLE = f"{WORK}/whole"
"""Where the files of an export are until all of them are there: then their folders get their names."""


class ExportFailed(Exception):
    """Why a shard cannot be exported, in a sentence for the user; another attempt would not help."""


class Stopped(Exception):
    """The launcher was stopped."""


class Written(NamedTuple):
    """What one shard came to."""

    name: str
    """its file in the export"""
    file: File | None = None
    fault: str = ""
    """why there is none"""


def unfinished(out: storage.Location, name: str = "") -> str:
    """What a file of an export is called until all are there: on a disk, where moving one takes no time, it
    lies in a folder of ours."""
    return "/".join(filter(None, (WHOLE, name))) if out.is_file_system else name


class ShardExporter:
    """Exports shards of one dataset. Built once a process.

    Raises ExportFailed where the dataset, or a library that decides bytes, is not the one of the request.
    """

    def __init__(self, request: ExportRequest, directory: str, output: str) -> None:
        self._directory, self._out = directory, storage.at(output)
        try:
            self.manifest = read_manifest(directory)
            self.form = form_of(request, self.manifest)
        except RequestError as error:
            raise ExportFailed(str(error)) from None
        versions = self.form.versions()
        if self.manifest.digest != request.dataset:
            raise ExportFailed(f"{directory}: it is not the dataset any more that it was; export it anew")
        if versions != request.libraries:
            raise ExportFailed(
                f"a worker has {versions} where the launcher has {request.libraries}, so its bytes may "
                "differ; make all workers alike and run the same command again"
            )

    def export(self, shard: Shard) -> Written:
        """Brings the file of a shard into place; one that is there is whole, and is left alone."""
        name, source = self.form.file(shard), shard_file(self.manifest.request.name, *shard)
        placed = unfinished(self._out, name)
        size = self._out.size(placed)
        if size is not None:
            records = self.manifest.files[source].records
            return Written(name, File(bytes=size, sha256=self._out.digest(placed), records=records))
        with self._out.scratch() as folder:
            path = os.path.join(folder, uuid.uuid4().hex)
            try:
                file = self._write(path, shard, source)
                self._out.place(path, placed, file.sha256)
            finally:
                with contextlib.suppress(FileNotFoundError):
                    disk.remove_file(path)
        return Written(name, file)

    def _write(self, path: str, shard: Shard, source: str) -> File:
        writer = self.form.writer(path, shard, self._out.to(unfinished(self._out)))
        count = 0
        try:
            for item in self._items(shard, source):
                writer.write(item)
                count += 1
        finally:
            writer.close()
        return File(bytes=os.path.getsize(path), sha256=storage.at(path).digest(), records=count)

    def _items(self, shard: Shard, source: str) -> Iterator[Item]:
        """The samples of a shard, which is known at the end to be the one of the manifest."""
        manifest = self.manifest
        reader = ShardReader(path_in(self._directory, source), manifest.image_size)
        for number, frame in enumerate(reader):
            if number % _LOOKS == 0 and self._out.size(STOP) is not None:
                raise Stopped
            item = self._item(number, frame.data) if frame.sound else None
            if item is None or item.record.copy != shard.copy:
                raise self._damaged(source)
            yield item
        listed = manifest.files[source]
        if reader.damage or (reader.size, reader.sha256) != (listed.bytes, listed.sha256):
            raise self._damaged(source)

    def _item(self, number: int, data: bytes) -> Item | None:
        """What a record holds; None if it is none of the dataset."""
        manifest, record = self.manifest, unpack(data)
        label = (record and record.label) or 0
        if record is None or not is_id(record.source) or not 0 <= label < len(manifest.classes):
            return None
        item = Item(number, data, record, manifest.classes[label])
        if manifest.targets is None:
            return item
        try:
            read = unpacked(record.targets, manifest.targets, manifest.image_shape)
        except ValueError:
            return None
        return item._replace(annotation=read.annotation, ids=read.ids, mask=read.mask)

    def _damaged(self, source: str) -> ExportFailed:
        path = os.path.join(self._directory, source)
        return ExportFailed(
            f"{path}: it is not what the manifest says; augshard audit {self._directory} says what is wrong"
        )


_LOOKS = 256
"""Records between two looks whether the launcher was stopped."""
