"""COCO: images/<split>/<source>__c<copy>.png and annotations/instances_<split>.json."""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Iterator, Sequence
from typing import Any

from augment.targets import Object
from pipelines.export.annotated import Annotated
from pipelines.export.formats import Item, Lines
from pipelines.export.objects import described

IMAGES = "images"


class Coco(Annotated):
    """What pycocotools and torchvision's CocoDetection read: boxes, outlines, keypoints, crowds.

    A shard's list has what is in its images, without ids. They are counted when the lists are put
    together, from 1 on in each split, in the order of shards: so no shard needs to know of another.
    """

    name = "coco"

    def files_of(self, split: str, item: Item) -> Sequence[tuple[str, bytes]]:
        name = f"{IMAGES}/{self.sample_name(split, item)}.{self.extension}"
        return [(name, self.picture(item.record))]

    def about(self, item: Item) -> dict[str, Any]:
        return {"annotations": [self._entry(thing) for thing in item.annotation.objects]}

    def joined(self, lists: dict[str, Lines]) -> Iterator[tuple[str, Iterator[str]]]:
        for split, lines in lists.items():
            yield f"annotations/instances_{split}.json", self._document(split, lines)

    def how_to_read(self, output: str, splits: Sequence[str]) -> str:
        images, instances = (
            os.path.join(output, *names)
            for names in ((IMAGES, splits[0]), ("annotations", f"instances_{splits[0]}.json"))
        )
        return f"torchvision.datasets.CocoDetection({images!r}, {instances!r})"

    @functools.cached_property
    def category_ids(self) -> tuple[int, ...]:
        """Of the classes in order: the ids that they came with, or their numbers if these can be ids.

        Else from 1 on: 0 is the background to many who read COCO, and no number of YOLO's is meant as an id.
        """
        given = self.targets.class_numbers
        are_ids = self.manifest.request.annotations == "coco" or min(given, default=0) > 0
        if given and are_ids and len(set(given)) == len(given):
            return given
        return tuple(range(1, len(self.targets.classes) + 1))

    def _entry(self, thing: Object) -> dict[str, Any]:
        """`segmentation` is there in any case: pycocotools asks for it."""
        category = self.category_ids[self.targets.number[thing.name]]
        return {"category_id": category, "segmentation": [], **described(thing, self.targets)}

    def _document(self, split: str, lines: Lines) -> Iterator[str]:
        """In parts, each of a line."""
        height, width = self.manifest.image_size
        yield '{"info": '
        yield _text({"description": f"{self.manifest.request.name}, split {split}, written by augshard"})
        yield ',\n"licenses": [],\n"categories": ['
        yield ",\n".join(_text(category) for category in self._categories())
        yield '],\n"images": ['
        for number, line in enumerate(lines(), start=1):
            image = {
                "id": number,
                "file_name": line["file"].removeprefix(f"{IMAGES}/{split}/"),
                "height": height,
                "width": width,
                "source": line["source"],
                "copy": line["copy"],
            }
            yield (",\n" if number > 1 else "\n") + _text(image)
        yield '],\n"annotations": ['
        count = 0
        for number, line in enumerate(lines(), start=1):
            for entry in line["annotations"]:
                count += 1
                yield (",\n" if count > 1 else "\n") + _text({"id": count, "image_id": number, **entry})
        yield "]}\n"

    def _categories(self) -> Iterator[dict[str, Any]]:
        for number, name in zip(self.category_ids, self.targets.classes, strict=True):
            more = {"keypoints": self.targets.keypoints, "skeleton": []} if self.targets.keypoints else {}
            yield {"id": number, "name": name, **more}


def _text(document: dict[str, Any]) -> str:
    return json.dumps(document, ensure_ascii=False)
