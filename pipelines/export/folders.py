"""Image folders: <split>/<class>/<source>__c<copy>.jpg."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from pipelines.export.formats import Item
from pipelines.export.pictures import Pictures


class Folders(Pictures):
    """What keras.utils.image_dataset_from_directory and torchvision's ImageFolder read, a split at a time."""

    name = "folders"

    def files_of(self, split: str, item: Item) -> Sequence[tuple[str, bytes]]:
        return [(self.picture_name(split, item), self.picture(item.record))]

    def about(self, item: Item) -> dict[str, Any]:
        return {"class": item.label, "label": item.record.label} if self.manifest.labeled else {}

    def how_to_read(self, output: str, splits: Sequence[str]) -> str:
        split = os.path.join(output, splits[0])
        return f"keras.utils.image_dataset_from_directory({split!r}, image_size={self.manifest.image_size})"
