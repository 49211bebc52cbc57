"""Ops that change an image's colors in a drawn order: color_jitter, channel_shuffle.

The recorded `order` is a number to be read digit by digit.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator
from typing import Annotated

import numpy as np

from augment.draws import Draw
from augment.kernels import tables
from augment.kernels.kinds import Adapt, Channels, Enhance, Hue, Kernels, Levels, choose
from augment.labels.hazards import Hazard, recolored
from augment.ops.base import Op, Size
from augment.ops.color import in_sixths, pillow_factor
from augment.ops.parameters import Choice, Parameter, Real
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
        fixed = (pillow_factor, np.int64)
        return {
            "brightness": Real(self.brightness, _brightness=fixed),
            "contrast": Real(self.contrast, _contrast=fixed),
            "saturation": Real(self.saturation, _saturation=fixed),
            "hue": Real(self.hue, _sixths=(in_sixths, np.int32)),
            "order": _order(4, self._changing),
        }

    @functools.cached_property
    def _changing(self) -> tuple[int, ...]:
        """The numbers of the settings that are not neutral, from 0."""
        ends = self.brightness, self.contrast, self.saturation, self.hue
        neutral = (1.0, 1.0), (1.0, 1.0), (1.0, 1.0), (0.0, 0.0)
        return tuple(i for i, end in enumerate(ends) if end != neutral[i])

    def kernels(self, draw: Draw, size: Size) -> Kernels:
        all_changes: list[Callable[[], Kernels]] = [
            lambda: (Levels(table=tables.scaled(draw["_brightness"])),),
            lambda: (Adapt(rule=tables.CONTRAST_WITH_GRAY, factor=draw["_contrast"]),),
            lambda: (Enhance(base="gray", factor=draw["_saturation"]),),
            lambda: (Hue(sixths=draw["_sixths"]),),
        ]
        changes = [all_changes[i] for i in self._changing]
        if len(changes) < 2:
            return changes[0]() if changes else ()
        places = range(len(changes))
        return sum((choose(draw["_order"][..., place], changes) for place in places), ())

    def needs_color(self) -> list[str]:
        changing = self._changing
        return [f"its {name}" for i, name in ((2, "saturation"), (3, "hue")) if i in changing]

    def hazards(self, size: Size | None) -> Iterator[Hazard]:
        if self.brightness[0] < 0.4 or self.brightness[1] > 2.5:
            yield Hazard("exposure", f"limit {self.name} to brightness 0.4", limit={"brightness": 0.4})
        if self.contrast[0] < 0.2 or self.saturation[0] < 0.25:
            limit = {"contrast": 0.5, "saturation": 0.5}
            yield Hazard("gray", f"limit {self.name} to contrast 0.5 and saturation 0.5", limit=limit)
        for change in recolored(*self.hue):
            yield Hazard(change, f"limit {self.name} to hue 0.02", limit={"hue": 0.02})


class ChannelShuffle(Op):
    """Puts the channels into a drawn order, one of six, as torchvision's RandomChannelPermutation.

    `order` names them by the digits 1 (red), 2 (green) and 3 (blue): in 312, blue has
    become red, red green, and green blue. 123 leaves the image.
    """

    def parameters(self, size: Size | None) -> dict[str, Parameter]:
        return {"order": _order(3, (0, 1, 2))}

    def kernels(self, draw: Draw, size: Size) -> Kernels:
        return (Channels(order=draw["_order"]),)

    def needs_color(self) -> tuple[str, ...]:
        return ("it",)

    def hazards(self, size: Size | None) -> Iterator[Hazard]:
        yield Hazard("recolor", f"leave {self.name} out")


@functools.cache
def _order(count: int, of: tuple[int, ...]) -> Choice:
    """One row of so many numbers from 0; recorded as one number, with digits from 1.

    Under `_order`, the order in which those of some numbers are, by their places among these.
    """
    orders = list(itertools.permutations(range(count)))
    digits = tuple(int("".join(str(i + 1) for i in row)) for row in orders)
    among = np.array([[of.index(i) for i in row if i in of] for row in orders], np.int32)
    return Choice(digits, {"_order": among})
