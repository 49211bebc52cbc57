"""What the images of a directory are annotated with, moved with them in live training."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from augment.by_class import ByClass
from augment.codec import DecodeError, Rejection
from augment.draws import Draw
from augment.kernels.maps import Size
from augment.recipe import Recipe, Shape
from pipelines.format.example import features
from pipelines.format.parsing import parse_targets
from pipelines.images import Images
from pipelines.sources import Reject
from pipelines.targets import TargetsDeriver

ANNOTATION = "annotation"
"""The entry of an element that has what its image is annotated with."""


def targets_beside(images: Images, recipe: Recipe, seed: int) -> TargetsBeside | None:
    """What moves with images; None where nothing is annotated. Raises RequestError for what cannot move."""
    if images.targets is None or images.annotations is None:
        return None
    deriver = TargetsDeriver(ByClass(recipe, seed), images.targets, images.annotations.path)
    return TargetsBeside(deriver, recipe, {one.id: one.annotation for one in images.sources})


class TargetsBeside:
    """See `augment.beside.Beside`: what a record of the same sample has beside its image."""

    def __init__(self, deriver: TargetsDeriver, recipe: Recipe, annotations: dict[str, bytes]) -> None:
        self._deriver, self._recipe, self._annotations = deriver, recipe, annotations

    def taken(self, element: dict[str, Any]) -> tf.Tensor:
        return element[ANNOTATION]

    def moved(self, taken: bytes, source: str, label: str, size: Size, draw: Draw | None) -> bytes:
        annotated = self._deriver.read(source, taken, size)
        if isinstance(annotated, Reject):
            raise DecodeError(Rejection(annotated.reason, annotated.detail))
        return features(self._deriver.sample(annotated, size, draw, label).entries)

    def given(self, element: dict[str, Any], moved: tf.Tensor) -> dict[str, Any]:
        shape: Shape = self._recipe.image_shape
        others = {name: part for name, part in element.items() if name != ANNOTATION}
        return others | parse_targets(moved, self._deriver.targets, shape)

    def look(self, source: str, contents: bytes) -> Reject | None:
        """Why the targets of an image that can be decoded cannot be used."""
        size = self._recipe.decode_source(contents).shape[:2]
        found = self._deriver.read(source, self._annotations[source], size)
        return found if isinstance(found, Reject) else None
