"""Augmentation policies: RandAugment, TrivialAugment, AutoAugment.

What they are made of are not the ordinary ops but Pillow's operations (operations.py).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable, Iterator
from importlib import resources
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import yaml
from pydantic import Field, model_validator

from augment.array_api import cast, take, where
from augment.draws import Draw, Uniforms
from augment.kernels.kinds import Kernels
from augment.labels.hazards import Hazard
from augment.ops.affine import Rotation, Shear, Translation
from augment.ops.base import Op, Size
from augment.ops.color import Invert
from augment.ops.jitter import ColorJitter
from augment.ops.operations import Space
from augment.ops.quality import Autocontrast, Equalize, Posterize, Sharpness, Solarize
from augment.ops.sequence import paths

NONE = np.zeros(1)
"""The magnitudes of an operation that has none."""


class Policy(Op):
    """An op that chooses among Pillow's operations. It needs to know the size of its images.

    By default it applies those that it drew one after the other.
    """

    abstract: ClassVar[bool] = True

    fill_value: Annotated[int, Field(ge=0, le=255)] = 0
    """the level outside the image where an operation moves it"""

    def output_size(self, size: Size | None) -> Size:
        return self.known(size)

    def magnitudes(self, size: Size) -> dict[str, np.ndarray]:
        """Of each operation, for images of `size`: float64 [indices], or [1] where there is none."""
        raise NotImplementedError(f"{type(self).__name__} does not define magnitudes()")

    def space(self, size: Size) -> Space:
        """The operations, with their magnitudes for images of `size`."""
        return _space(self, size)

    def kernels(self, draw: Draw, size: Size) -> Kernels:
        return sum(self.space(size).kernels(draw["_choices"], self.fill_value), ())

    def needs_color(self) -> list[str]:
        return ["its operation color"] * ("color" in self.space((1, 1)).names)

    def hazards(self, size: Size | None) -> Iterator[Hazard]:
        height, width = self.known(size)
        found = (
            hazard
            for name, magnitudes in self.magnitudes((height, width)).items()
            for op in _like(name, magnitudes.min(), magnitudes.max(), height, width)
            for hazard in op.hazards(size)
        )
        instead = f"instead of {self.name}, choose harmless ops by one_of"
        for change in dict.fromkeys(hazard.change for hazard in found):
            yield Hazard(change, instead)


@functools.lru_cache(maxsize=256)
def _space(policy: Policy, size: Size) -> Space:
    return Space.of(policy.magnitudes(size), size)


def operation_columns(ops: Iterable[Op], columns: Iterable[str]) -> set[str]:
    """Those columns of the samples table whose values are numbers of a policy's operations."""
    policies = {path for path, op in paths(ops) if isinstance(op, Policy)}
    split = ((column, column.rpartition(".")) for column in columns)
    return {column for column, (path, _, name) in split if path in policies and name.startswith("op_")}


def _like(name: str, low: float, high: float, height: int, width: int) -> list[Op]:
    """The ordinary op that comes nearest to an operation, with the same range of magnitudes."""
    between = (float(low), float(high))
    ops: dict[str, Callable[[], Op]] = {
        "autocontrast": Autocontrast,
        "equalize": Equalize,
        "invert": Invert,
        "rotate": lambda: Rotation(factor=(between[0] / 360, between[1] / 360)),
        "posterize": lambda: Posterize(bits=(max(int(low), 1),)),
        "solarize": lambda: Solarize(threshold=between),
        "color": lambda: ColorJitter(saturation=between),
        "contrast": lambda: ColorJitter(contrast=between),
        "brightness": lambda: ColorJitter(brightness=between),
        "sharpness": lambda: Sharpness(factor=between),
        "shear_x": lambda: Shear(x=between),
        "shear_y": lambda: Shear(y=between),
        "translate_x": lambda: Translation(width=_part(between, width)),
        "translate_y": lambda: Translation(height=_part(between, height)),
    }
    return [ops[name]()] if name in ops else []


def _part(pixels: tuple[float, float], side: int) -> tuple[float, float]:
    return max(pixels[0] / side, -1.0), min(pixels[1] / side, 1.0)


def either(amounts: np.ndarray) -> np.ndarray:
    """Amounts by level, each with both signs: index 2 i is amount i, 2 i + 1 its opposite."""
    return np.stack([amounts, -amounts], axis=-1).ravel().astype(np.float64) + 0.0  # makes -0.0 plain 0.0


def alike(amounts: np.ndarray) -> np.ndarray:
    """Amounts by level that have no sign."""
    return np.repeat(amounts, 2).astype(np.float64)


def _strengths(
    level: np.ndarray,
    last: int,
    *,
    shear: float,
    across: np.ndarray,
    down: np.ndarray,
    degrees: float,
    change: float,
    bits: int,
) -> dict[str, np.ndarray]:
    """RandAugment's operations at levels, int [n] from 0 to `last`, given the ends of their ranges.

    `across` and `down` are whole pixels, int [n]. At level 0, all of them but autocontrast
    and equalize leave the image as it is.
    """
    part = level / last
    factors = 1 + either(change * part)
    return {
        "identity": NONE,
        "autocontrast": NONE,
        "equalize": NONE,
        "rotate": either(degrees * part),
        "posterize": alike(8 - np.rint(bits * part)),
        "solarize": alike(256 - 256 * level // last),
        "color": factors,
        "contrast": factors,
        "brightness": factors,
        "sharpness": factors,
        "shear_x": either(shear * part),
        "shear_y": either(shear * part),
        "translate_x": either(across),
        "translate_y": either(down),
    }


class RandAugment(Policy):
    """Applies N operations, each drawn anew from 14, all of magnitude M.

    Cubuk et al., "RandAugment: Practical automated data augmentation with a reduced
    search space" (2019). An operation is drawn uniformly and with replacement. Magnitude
    `highest` is the end of the ranges of AutoAugment (table 6 there): shears by 0.3,
    translations by 150/331 of the side in whole pixels, rotations by 30 degrees,
    factors 1 - 0.9 and 1 + 0.9, 4 of 8 bits, threshold 0; 0 leaves the image as it is.
    Signs are drawn. By default magnitudes count to 30, as in torchvision, so that 9 is 30 % of
    the ranges; in the scale of the paper and its code, which counts to 10, 9 is 90 % of them.

    `op_<i>` records the i-th operation as a number: 0 identity, 1 autocontrast,
    2 equalize, 3 invert, 4 rotate, 5 posterize, 6 solarize, 7 color, 8 contrast,
    9 brightness, 10 sharpness, 11 shear_x, 12 shear_y, 13 translate_x, 14 translate_y.
    `magnitude_<i>` records what Pillow is given: degrees counter-clockwise, kept bits, a
    threshold, a factor of which 1 leaves the image, the coefficient of a shear, pixels to
    the left or up; 0 where the operation takes nothing. Given that, Pillow makes the same
    pixels.
    """

    layers: Annotated[int, Field(ge=1, le=16)] = 2
    """N: how many operations are applied, one after the other"""
    magnitude: Annotated[int, Field(ge=0, le=30)] = 9
    """M: how strong all of them are"""
    highest: Literal[10, 30] = 30
    """the magnitude at the end of the ranges: 30 as in torchvision, 10 as in the paper"""

    @model_validator(mode="after")
    def _within_the_scale(self) -> RandAugment:
        if self.magnitude > self.highest:
            raise ValueError(f"magnitude is {self.magnitude}; it must be at most highest, {self.highest}")
        return self

    def magnitudes(self, size: Size) -> dict[str, np.ndarray]:
        level = np.array([self.magnitude])
        height, width = size
        return _strengths(
            level,
            self.highest,
            shear=0.3,
            across=150 * width * level // (331 * self.highest),
            down=150 * height * level // (331 * self.highest),
            degrees=30.0,
            change=0.9,
            bits=4,
        )

    def draw(self, u: Uniforms, size: Size | None) -> Draw:
        space = self.space(self.known(size))
        return space.drawn(
            {
                f"{i + 1}": (u.integer(2 * i, len(space.names)), u.integer(2 * i + 1, 2))
                for i in range(self.layers)
            }
        )


class TrivialAugment(Policy):
    """Applies one operation, drawn from 14, of drawn magnitude. It has nothing to tune.

    Müller and Hutter, "TrivialAugment: Tuning-free yet state-of-the-art data
    augmentation" (2021), with its wide space: magnitudes 0 to 30, of which 30 shears
    by 0.99, translates by 32 pixels, rotates by 135 degrees, has factors 1 - 0.99 and
    1 + 0.99, keeps 2 of 8 bits, and solarizes from 0 on. Signs are drawn.

    Operation and magnitude are recorded as those of rand_augment.
    """

    def magnitudes(self, size: Size) -> dict[str, np.ndarray]:
        level = np.arange(31)
        pixels = 32 * level // 30
        return _strengths(
            level, 30, shear=0.99, across=pixels, down=pixels, degrees=135.0, change=0.99, bits=6
        )

    def draw(self, u: Uniforms, size: Size | None) -> Draw:
        space = self.space(self.known(size))
        index = 2 * u.integer(1, 31) + u.integer(2, 2)
        return space.drawn({"1": (u.integer(0, len(space.names)), index)})


class AutoAugment(Policy):
    """Applies one of the 25 sub-policies, pairs of operations, that were found for a dataset.

    Cubuk et al., "AutoAugment: Learning augmentation policies from data" (2018),
    tables 7 to 9. Each of the two operations is applied with its own probability.
    Levels 0 to 9 divide the ranges of its table 6 evenly: shears to 0.3, translations to
    150/331 of the side in whole pixels, rotations to 30 degrees, all three with a drawn
    sign; factors from 0.1 to 1.9; 8 to 4 bits; thresholds from 256 down to 0. So does
    torchvision; the authors' code for CIFAR-10 counts tenths of the ranges instead, so that level 9
    is 90 % of them, and translates by up to 10 pixels.

    `sub_policy` records the position in the table, from 0. Operations and magnitudes are
    recorded as those of rand_augment, one that is not applied as identity.
    """

    policy: Literal["cifar10", "imagenet", "svhn"]
    """the dataset for which it was found"""

    def magnitudes(self, size: Size) -> dict[str, np.ndarray]:
        level = np.arange(10)
        height, width = size
        factors = alike(0.1 + 1.8 * level / 9)
        magnitudes = {
            "identity": NONE,
            "autocontrast": NONE,
            "equalize": NONE,
            "invert": NONE,
            "rotate": either(30.0 * level / 9),
            "posterize": alike(8 - np.rint(4 * level / 9)),
            "solarize": alike(256 - 256 * level // 9),
            "color": factors,
            "contrast": factors,
            "brightness": factors,
            "sharpness": factors,
            "shear_x": either(0.3 * level / 9),
            "shear_y": either(0.3 * level / 9),
            "translate_x": either(150 * width * level // (331 * 9)),
            "translate_y": either(150 * height * level // (331 * 9)),
        }
        used = {"identity"} | {name for pair in sub_policies(self.policy) for name, _, _ in pair}
        return {name: values for name, values in magnitudes.items() if name in used}

    def draw(self, u: Uniforms, size: Size | None) -> Draw:
        space = self.space(self.known(size))
        pairs = sub_policies(self.policy)
        chosen = u.integer(0, len(pairs))
        operations = {}
        for i in range(2):
            positions = np.array([space.names.index(pair[i][0]) for pair in pairs], np.int32)
            starts = np.array([math.ceil(pair[i][1] * 2**32) for pair in pairs], np.int64)
            levels = np.array([pair[i][2] for pair in pairs], np.int32)
            fires = cast(u.word(1 + 2 * i), np.int64) < take(starts, chosen)
            position = where(fires, take(positions, chosen), chosen * 0)
            index = where(fires, 2 * take(levels, chosen) + u.integer(2 + 2 * i, 2), chosen * 0)
            operations[f"{i + 1}"] = (position, index)
        return {"sub_policy": chosen, **space.drawn(operations)}


SubPolicy = list[tuple[str, float, int]]


@functools.cache
def sub_policies(dataset: str) -> tuple[SubPolicy, ...]:
    """What was found for a dataset: pairs of (operation, probability, level)."""
    text = resources.files("augment.ops").joinpath("sub_policies.yaml").read_text(encoding="utf-8")
    found: Any = yaml.safe_load(text)[dataset]
    return tuple([(name, float(p), level) for name, p, level in pair] for pair in found)
