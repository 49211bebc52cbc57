"""WebDataset: a tar for each shard, in which the files of a sample have one name and stand together."""

from __future__ import annotations

import glob
import io
import json
import os
import tarfile
from collections.abc import Sequence
from typing import Any

from pipelines.export.formats import Format, Item, numbered
from pipelines.export.objects import described
from pipelines.format.layout import Shard


class WebDataset(Format):
    """`.jpg` or `.png`, `.cls` (the label's number), `.seg.png` (the mask) and `.json` (source, copy, label,
    class, file, labels, classes, objects): as much of it as the dataset has."""

    name = "webdataset"

    def file(self, shard: Shard) -> str:
        return f"{self.manifest.request.name}-{numbered(shard)}.tar"

    def writer(self, path: str, shard: Shard, beside: str) -> _Tar:
        return _Tar(path, shard, self)

    def how_to_read(self, output: str, splits: Sequence[str]) -> str:
        paths = os.path.join(glob.escape(output), f"{self.manifest.request.name}-*.tar")
        return f"webdataset.WebDataset(sorted(glob.glob({paths!r})), shardshuffle=False).decode('rgb8')"


class _Tar:
    """Nothing is in it of when, where and by whom it was written."""

    def __init__(self, path: str, shard: Shard, form: WebDataset) -> None:
        self._tar = tarfile.open(path, "w", format=tarfile.USTAR_FORMAT)  # noqa: SIM115 (`close` closes it)
        self._shard, self._form = shard, form

    def write(self, item: Item) -> None:
        """Keys have no dot, at the first of which WebDataset ends them, and no two samples share one."""
        key = f"{numbered(self._shard)}-{item.number:07d}"
        about = {
            "source": item.record.source,
            "copy": item.record.copy,
            "file": self._form.picture_name(self._shard.split, item),
        }
        self._add(f"{key}.{self._form.extension}", self._form.picture(item.record))
        if item.record.label is not None:
            about |= {"label": item.record.label, "class": item.label}
            self._add(f"{key}.cls", str(item.record.label).encode())
        about |= self._targets(item)
        if item.mask:
            self._add(f"{key}.seg.png", item.mask)
        self._add(f"{key}.json", json.dumps(about, sort_keys=True, ensure_ascii=False).encode())

    def _targets(self, item: Item) -> dict[str, Any]:
        targets, known, found = self._form.manifest.targets, item.annotation, dict[str, Any]()
        if targets and targets.labels:
            found["labels"] = [targets.label_number[name] for name in known.labels]
            found["classes"] = known.labels
        if targets and targets.has_objects:
            found["objects"] = [
                {"id": i, "label": targets.number[thing.name], "class": thing.name}
                | described(thing, targets)
                for i, thing in zip(item.ids, known.objects, strict=True)
            ]
        return found

    def close(self) -> None:
        self._tar.close()

    def _add(self, name: str, content: bytes) -> None:
        member = tarfile.TarInfo(name)
        member.size = len(content)
        self._tar.addfile(member, io.BytesIO(content))
