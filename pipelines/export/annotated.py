"""What COCO, YOLO and Pascal VOC have in common: images beside files that say what is in them."""

from __future__ import annotations

import re

from pipelines.export.formats import Item, copy_name, without_extension
from pipelines.export.pictures import Pictures
from pipelines.format.targets import Targets
from pipelines.sources.rules import role

_ABOVE = ("images", "JPEGImages")
"""Folders of these names are made here anyway."""
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\ufffe\uffff]")
"""Characters that end a line, or that XML or YAML cannot have."""


class Annotated(Pictures):
    """The pictures of datasets whose records have targets."""

    @property
    def targets(self) -> Targets:
        return self.manifest.targets or Targets(has=())

    @property
    def fits(self) -> bool:
        """Whether records have what can be written beside images."""
        return self.targets.has_objects

    def why_not(self) -> str | None:
        for name in (*self.targets.classes, *self.targets.keypoints):
            if _UNPRINTABLE.search(name):
                return f"{name!r} has a character that such files cannot have"
        if self.fits:
            return None
        masks = "mask" in self.targets.has
        return (
            "its records have no boxes, polygons or keypoints, so there is nothing to write beside images; "
            + ("export it --to voc, which has masks" if masks else "materialize it with --annotations")
            + ", or export it --to folders, webdataset, parquet or arrayrecord"
        )

    def stem(self, source: str, split: str) -> str:
        """`a/001` for `images/train/a/001.jpg` or `train2017/images/a/001.jpg` of the split train."""
        if self.keeps_extensions:
            return _UNPRINTABLE.sub(_code, source)
        folder, slash, name = source.rpartition("/")
        above = folder.split("/") if slash else []
        while above and (above[0] in (*_ABOVE, split) or role(above[0]) == (role(split) or split)):
            above = above[1:]
        return _UNPRINTABLE.sub(_code, without_extension("/".join([*above, name])))

    def sample_name(self, split: str, item: Item) -> str:
        """`train/a/001__c2`: its files' names without folder and extension."""
        return f"{split}/{self.stem(item.record.source, split)}__{copy_name(item.record.copy)}"


def _code(character: re.Match[str]) -> str:
    return f"%{ord(character[0]):02X}"
