"""What a recipe does to the targets of a few images: objects that are lost, keypoints misnamed."""

from __future__ import annotations

import collections
import itertools
from collections.abc import Iterator
from typing import NamedTuple

from augment.augmenter import Augmenter
from augment.by_class import ByClass
from augment.recipe import Recipe
from augment.targets import moved
from pipelines.format.targets import Targets
from pipelines.images import Images
from pipelines.sources import Reject
from pipelines.sources.reading import contents_or_reject
from pipelines.targets import Annotated, TargetsDeriver

_LOOKED_AT = 100
"""Images whose targets are moved."""


class TargetsAdvice(NamedTuple):
    """Sentences."""

    wrong: list[str]
    """of what makes annotations wrong"""
    advice: list[str]
    """of what is to be known"""


def about_targets(recipe: Recipe, images: Images) -> TargetsAdvice:
    """What becomes of targets in copy 0 of some images. Raises RequestError if a recipe cannot move them."""
    targets, beside = images.targets, images.annotations
    if targets is None or beside is None or not targets.has:
        return TargetsAdvice([], [])
    augmenters = ByClass(recipe, 0)
    deriver = TargetsDeriver(augmenters, targets, beside.path)
    lost: collections.Counter[str] = collections.Counter()
    objects, looked_at, mirrored = 0, 0, False
    for augmenter, source, size, annotated in itertools.islice(
        _annotated(images, augmenters, deriver), _LOOKED_AT
    ):
        objects += len(annotated.annotation.objects)
        looked_at += 1
        there = len(annotated.annotation.objects)
        geometries = augmenter.stage_geometries(size, source, 0)
        for op, geometry in zip(augmenter.recipe.ops, geometries, strict=True):
            left = len(moved(annotated.annotation.objects, None, geometry).objects)
            lost[op.id] += max(there - left, 0)
            there, mirrored = left, mirrored or geometry.mirrored
    advice = [
        f"{op}: of {objects:,} objects in {looked_at} images, copy 0 loses {count:,} "
        f"({count / objects:.0%}): less than a tenth of each is left in the picture"
        for op, count in lost.items()
        if count
    ]
    return TargetsAdvice(list(_misnamed(targets)) if mirrored else [], advice)


def _annotated(
    images: Images, augmenters: ByClass, deriver: TargetsDeriver
) -> Iterator[tuple[Augmenter, str, tuple[int, int], Annotated]]:
    for source in sorted(images.sources):
        augmenter = augmenters.of(source.label)
        contents = contents_or_reject(images.root, source.id, source.place)
        if isinstance(contents, Reject):
            continue
        height, width, _ = augmenter.recipe.decode_source(contents).shape
        found = deriver.read(source.id, source.annotation, (height, width))
        if not isinstance(found, Reject):
            yield augmenter, source.id, (height, width), found


def _misnamed(targets: Targets) -> Iterator[str]:
    """Keypoints whose names tell left from right, and that are in no pair."""
    paired = {place for pair in targets.pairs for place in pair}
    sided = [
        name
        for place, name in enumerate(targets.keypoints)
        if place not in paired and {"left", "right"} & set(name.lower().replace("-", "_").split("_"))
    ]
    if sided:
        yield (
            f"a mirrored image has left and right exchanged, and the keypoints {', '.join(sided)} are in no "
            "pair, so that they keep their names: give the pairs (flip_idx in YOLO's data.yaml; in COCO "
            "names that differ in left and right alone), or leave the mirror out"
        )
