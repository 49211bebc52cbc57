"""Ops that change an image's colors in a drawn order: color_jitter, channel_shuffle.

The recorded `order` is a number to be read digit by digit.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator
from typing import Annotated

import numpy as np

from augment.arrays import tf
from augment.draws import Draw
from augment.labels.hazards import Hazard, recolored
from augment.ops.base import Op, Size, changed_by
from augment.ops.color import hue_turned, in_sixths
from augment.ops.parameters import Choice, Parameter, Real
from augment.ops.quality import blended, luma, mean_luma
from augment.ops.settings import Interval, interval


class ColorJitter(Op):
    """Changes brightness, contrast, saturation and hue in a drawn order, as torchvision's ColorJitter.

    Brightness blends the image with black, contrast with its mean gray, saturation
    with its own gray, as torchvision does with Pillow's images (ImageEnhance, bit
    for bit): factor 0 gives what it is blended with, 1 the image. Hue turns in HSV,
    as op `hue` does: torchvision's hue of a Pillow image is coarser, as it keeps hue
    in 8 bits. These are not the formulas of the ops `brightness`, `contrast` and
    `saturation`, which follow tf.image.

    All 24 orders are equally likely. `order` names the four by the digits 1 (brightness),
    2 (contrast), 3 (saturation) and 4 (hue): 3142 begins with saturation.
    """

    brightness: Annotated[Interval, interval(1.0, 0.0, 10.0)] = (1.0, 1.0)
    """0 gives black, 1 leaves the image"""
    contrast: Annotated[Interval, interval(1.0, 0.0, 10.0)] = (1.0, 1.0)
    """0 gives the mean gray, 1 leaves the image"""
    saturation: Annotated[Interval, interval(1.0, 0.0, 10.0)] = (1.0, 1.0)
    """0 gives gray, 1 leaves the image"""
    hue: Annotated[Interval, interval(0.0, -0.5, 0.5)] = (0.0, 0.0)
    """the turn of hue as a fraction of the color circle"""

    def parameters(self, size: Size | None) -> dict[str, Parameter]:
        return {
            "brightness": Real(self.brightness),
            "contrast": Real(self.contrast),
            "saturation": Real(self.saturation),
            "hue": Real(self.hue, _sixths=(in_sixths, np.float32)),
            "order": _order(_ORDERS),
        }

    def apply(self, image: tf.Tensor, draw: Draw) -> tf.Tensor:
        changes = [
            functools.partial(change, draw) if setting != neutral else tf.identity
            for change, setting, neutral in (
                (_brightened, self.brightness, (1.0, 1.0)),
                (_contrasted, self.contrast, (1.0, 1.0)),
                (_saturated, self.saturation, (1.0, 1.0)),
                (_hue_turned, self.hue, (0.0, 0.0)),
            )
        ]

        def step(image: tf.Tensor, index: tf.Tensor) -> tf.Tensor:
            return changed_by(index, changes, image)

        # In a graph, one function with its branches is called four times instead of built four times.
        call = step if tf.executing_eagerly() else tf.function(step, autograph=False)
        for place in range(len(changes)):
            image = call(image, draw["_order"][..., place])
        return image

    def hazards(self, size: Size | None) -> Iterator[Hazard]:
        if self.brightness[0] < 0.4 or self.brightness[1] > 2.5:
            yield Hazard("exposure", f"limit {self.name} to brightness 0.4")
        if self.contrast[0] < 0.2 or self.saturation[0] < 0.25:
            yield Hazard("gray", f"limit {self.name} to contrast 0.5 and saturation 0.5")
        for change in recolored(*self.hue):
            yield Hazard(change, f"limit {self.name} to hue 0.02")


def _brightened(draw: Draw, image: tf.Tensor) -> tf.Tensor:
    return blended(tf.zeros_like(image), image, draw["brightness"])


def _contrasted(draw: Draw, image: tf.Tensor) -> tf.Tensor:
    return blended(mean_luma(image), image, draw["contrast"])


def _saturated(draw: Draw, image: tf.Tensor) -> tf.Tensor:
    return blended(luma(image), image, draw["saturation"])


def _hue_turned(draw: Draw, image: tf.Tensor) -> tf.Tensor:
    return hue_turned(image, draw["_sixths"])


class ChannelShuffle(Op):
    """Puts the channels into a drawn order, one of six, as torchvision's RandomChannelPermutation.

    `order` names them by the digits 1 (red), 2 (green) and 3 (blue): in 312, blue has
    become red, red green, and green blue. 123 leaves the image.
    """

    def parameters(self, size: Size | None) -> dict[str, Parameter]:
        return {"order": _order(_SHUFFLES)}

    def apply(self, image: tf.Tensor, draw: Draw) -> tf.Tensor:
        return tf.gather(image, draw["_order"], axis=-1, batch_dims=image.shape.rank - 3)

    def hazards(self, size: Size | None) -> Iterator[Hazard]:
        yield Hazard("recolor", f"leave {self.name} out")


_ORDERS = np.array(list(itertools.permutations(range(4))), np.int32)
_SHUFFLES = np.array(list(itertools.permutations(range(3))), np.int32)


def _order(orders: np.ndarray) -> Choice:
    """One row of numbers from 0, under `_order`; recorded as one number, with digits from 1."""
    digits = tuple(int("".join(str(i + 1) for i in row)) for row in orders)
    return Choice(digits, {"_order": orders})
