"""YOLO: images/<split>/..., labels/<split>/... with a line an object, and data.yaml."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence

import numpy as np

from augment.targets import UNIT, Object
from pipelines.export.annotated import Annotated
from pipelines.export.digits import millionths
from pipelines.export.formats import Item, Lines
from pipelines.sources.rules import role

_KEYS = {"train": "train", "validation": "val", "test": "test"}
"""What data.yaml calls splits; it knows no others."""


class Yolo(Annotated):
    """What Ultralytics reads, for one task: pose if the dataset has keypoints, else segmentation if it has
    polygons, else detection. Objects that stand for a crowd are left out, as its own converter does."""

    name = "yolo"

    @property
    def task(self) -> str:
        has = self.targets.has
        return "pose" if "keypoints" in has else "segment" if "polygons" in has else "detect"

    def files_of(self, split: str, item: Item) -> Sequence[tuple[str, bytes]]:
        name = self.sample_name(split, item)
        lines = (self._line(thing) for thing in item.annotation.objects if not thing.crowd)
        return [
            (f"images/{name}.{self.extension}", self.picture(item.record)),
            (_label_file(f"images/{name}"), "".join(lines).encode()),
        ]

    def joined(self, lists: dict[str, Lines]) -> Iterator[tuple[str, Iterator[str]]]:
        yield "data.yaml", self._data(list(lists))

    def how_to_read(self, output: str, splits: Sequence[str]) -> str:
        model = {"detect": "yolo11n.pt", "segment": "yolo11n-seg.pt", "pose": "yolo11n-pose.pt"}[self.task]
        return f"ultralytics.YOLO({model!r}).train(data={os.path.join(output, 'data.yaml')!r})"

    def _line(self, thing: Object) -> str:
        height, width = self.manifest.image_size
        x0, y0, x1, y1 = thing.box
        if self.task == "segment":
            numbers = _places(_outline(thing), width, height)
        else:
            numbers = [
                *_places((x0 + x1, y0 + y1), 2 * width, 2 * height),
                *_places((x1 - x0, y1 - y0), width, height),
            ]
        if self.task == "pose":
            for x, y, seen in thing.keypoints or ((0, 0, 0),) * len(self.targets.keypoints):
                numbers += [*_places((x, y), width, height), str(seen)]
        return " ".join([str(self.targets.number[thing.name]), *numbers]) + "\n"

    def _data(self, splits: Sequence[str]) -> Iterator[str]:
        """Paths are relative to the file, which so can be moved. JSON is YAML."""
        for its_role, key in _KEYS.items():
            split = next((split for split in splits if role(split) == its_role), None)
            if split:
                yield f"{key}: images/{split}\n"
        targets = self.targets
        if self.task == "pose":
            flipped = list(range(len(targets.keypoints)))
            for one, other in targets.pairs:
                flipped[one], flipped[other] = other, one
            yield f"kpt_shape: [{len(flipped)}, 3]\nflip_idx: {json.dumps(flipped)}\n"
        yield f"nc: {len(targets.classes)}\nnames:\n"
        for number, name in enumerate(targets.classes):
            yield f"  {number}: {json.dumps(name, ensure_ascii=False)}\n"
        if self.task == "pose":
            names = json.dumps(list(targets.keypoints), ensure_ascii=False)
            yield "kpt_names:\n" + "".join(f"  {i}: {names}\n" for i in range(len(targets.classes)))


def _label_file(image: str) -> str:
    """Where Ultralytics looks for it: the last folder called images is called labels there."""
    folder, _, name = f"/{image}".rpartition("/images/")
    return f"{folder}/labels/{name}.txt"[1:]


def _places(places: Sequence[int], width: int, height: int) -> list[str]:
    """Of x, y, x, y, ... in units, as parts of the image's sides."""
    sides = (width * UNIT, height * UNIT)
    return [millionths(value, sides[i % 2]) for i, value in enumerate(places)]


def _outline(thing: Object) -> list[int]:
    """One line around all parts of an object, its box where it has none.

    A line has one outline, so parts are joined by a way there and back where they are nearest.
    """
    x0, y0, x1, y1 = thing.box
    parts = [polygon for polygon in thing.polygons if len(polygon) >= 6] or [(x0, y0, x1, y0, x1, y1, x0, y1)]
    whole = np.array(parts[0], np.int64).reshape(-1, 2)
    for part in parts[1:]:
        more = np.array(part, np.int64).reshape(-1, 2)
        gaps = np.hypot(*(whole[:, None] - more[None]).transpose(2, 0, 1).astype(float))
        here, there = np.unravel_index(gaps.argmin(), gaps.shape)
        round_trip = np.concatenate([more[there:], more[: there + 1]])
        whole = np.concatenate([whole[: here + 1], round_trip, whole[here:]])
    places: list[int] = whole.ravel().tolist()
    return places
