"""Augmentation policies: RandAugment, TrivialAugment, AutoAugment, AugMix.

What they are made of are not the ordinary ops but Pillow's operations (operations.py).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable, Iterator
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field, model_validator

from augment.arrays import Array, cast, stack, take, tf, where
from augment.draws import Draw, Uniforms, table
from augment.labels.hazards import Hazard
from augment.ops.affine import Rotation, Shear, Translation
from augment.ops.base import Op, Size, fixed_as_uint8, per_image
from augment.ops.color import Invert
from augment.ops.jitter import ColorJitter
from augment.ops.operations import Space, repeated
from augment.ops.quality import Autocontrast, Equalize, Posterize, Sharpness, Solarize
from augment.ops.sequence import paths
from augment.ops.settings import WholeInterval, whole_interval
from augment.ops.sub_policies import SUB_POLICIES

_NONE = np.zeros(1)


class Policy(Op):
    """An op that chooses among Pillow's operations. It needs to know the size of its images."""

    abstract: ClassVar[bool] = True

    fill_value: Annotated[int, Field(ge=0, le=255)] = 0
    """the level outside the image where an operation moves it"""

    def output_size(self, size: Size | None) -> Size:
        return self.known(size)

    def space(self, size: Size) -> Space:
        """The operations, with their magnitudes for images of `size`."""
        raise NotImplementedError(f"{type(self).__name__} does not define space()")

    def needs_color(self) -> list[str]:
        return ["its operation color"] * ("color" in self.space((1, 1)).names)

    def hazards(self, size: Size | None) -> Iterator[Hazard]:
        height, width = self.known(size)
        space = self.space((height, width))
        found = (
            hazard
            for name, magnitudes in zip(space.names, space.magnitudes, strict=True)
            for op in _like(name, magnitudes.min(), magnitudes.max(), height, width)
            for hazard in op.hazards(size)
        )
        instead = f"instead of {self.name}, choose harmless ops by one_of"
        for change in dict.fromkeys(hazard.change for hazard in found):
            yield Hazard(change, instead)


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


def _either(amounts: np.ndarray) -> np.ndarray:
    """Amounts by level, each with both signs: index 2 i is amount i, 2 i + 1 its opposite."""
    return np.stack([amounts, -amounts], axis=-1).ravel().astype(np.float64) + 0.0  # makes -0.0 plain 0.0


def _alike(amounts: np.ndarray) -> np.ndarray:
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
    factors = 1 + _either(change * part)
    return {
        "identity": _NONE,
        "autocontrast": _NONE,
        "equalize": _NONE,
        "rotate": _either(degrees * part),
        "posterize": _alike(8 - np.rint(bits * part)),
        "solarize": _alike(256 - 256 * level // last),
        "color": factors,
        "contrast": factors,
        "brightness": factors,
        "sharpness": factors,
        "shear_x": _either(shear * part),
        "shear_y": _either(shear * part),
        "translate_x": _either(across),
        "translate_y": _either(down),
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

    def space(self, size: Size) -> Space:
        level = np.array([self.magnitude])
        height, width = size
        return Space.of(
            _strengths(
                level,
                self.highest,
                shear=0.3,
                across=150 * width * level // (331 * self.highest),
                down=150 * height * level // (331 * self.highest),
                degrees=30.0,
                change=0.9,
                bits=4,
            )
        )

    def draw(self, u: Uniforms, size: Size | None) -> Draw:
        space = self.space(self.known(size))
        return space.drawn(
            {
                f"{i + 1}": (u.integer(2 * i, len(space.names)), u.integer(2 * i + 1, 2))
                for i in range(self.layers)
            }
        )

    def apply(self, image: tf.Tensor, draw: Draw) -> tf.Tensor:
        return self.space(_size_of(image)).operated_in_turn(image, draw, self.fill_value)


def _size_of(image: tf.Tensor) -> Size:
    height, width = image.shape[-3:-1]
    return height, width


class TrivialAugment(Policy):
    """Applies one operation, drawn from 14, of drawn magnitude. It has nothing to tune.

    Müller and Hutter, "TrivialAugment: Tuning-free yet state-of-the-art data
    augmentation" (2021), with its wide space: magnitudes 0 to 30, of which 30 shears
    by 0.99, translates by 32 pixels, rotates by 135 degrees, has factors 1 - 0.99 and
    1 + 0.99, keeps 2 of 8 bits, and solarizes from 0 on. Signs are drawn.

    Operation and magnitude are recorded as those of rand_augment.
    """

    def space(self, size: Size) -> Space:
        level = np.arange(31)
        pixels = 32 * level // 30
        return Space.of(
            _strengths(level, 30, shear=0.99, across=pixels, down=pixels, degrees=135.0, change=0.99, bits=6)
        )

    def draw(self, u: Uniforms, size: Size | None) -> Draw:
        space = self.space(self.known(size))
        index = 2 * u.integer(1, 31) + u.integer(2, 2)
        return space.drawn({"1": (u.integer(0, len(space.names)), index)})

    def apply(self, image: tf.Tensor, draw: Draw) -> tf.Tensor:
        position, index = draw["_positions"][..., 0], draw["_indices"][..., 0]
        return self.space(_size_of(image)).operated(image, position, index, self.fill_value)


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

    def space(self, size: Size) -> Space:
        level = np.arange(10)
        height, width = size
        factors = _alike(0.1 + 1.8 * level / 9)
        magnitudes = {
            "identity": _NONE,
            "autocontrast": _NONE,
            "equalize": _NONE,
            "invert": _NONE,
            "rotate": _either(30.0 * level / 9),
            "posterize": _alike(8 - np.rint(4 * level / 9)),
            "solarize": _alike(256 - 256 * level // 9),
            "color": factors,
            "contrast": factors,
            "brightness": factors,
            "sharpness": factors,
            "shear_x": _either(0.3 * level / 9),
            "shear_y": _either(0.3 * level / 9),
            "translate_x": _either(150 * width * level // (331 * 9)),
            "translate_y": _either(150 * height * level // (331 * 9)),
        }
        used = {"identity"} | {name for pair in SUB_POLICIES[self.policy] for name, _, _ in pair}
        return Space.of({name: magnitudes[name] for name in used})

    def draw(self, u: Uniforms, size: Size | None) -> Draw:
        space = self.space(self.known(size))
        pairs = SUB_POLICIES[self.policy]
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

    def apply(self, image: tf.Tensor, draw: Draw) -> tf.Tensor:
        return self.space(_size_of(image)).operated_in_turn(image, draw, self.fill_value)


_LEVELS = 256


class AugMix(Policy):
    """Mixes the image with chains of operations that start from it.

    Hendrycks et al., "AugMix: A simple data processing method to improve robustness and
    uncertainty" (2020), with alpha 1: the chains' shares are drawn from Dirichlet(1, ..., 1),
    the original's from Beta(1, 1), and all of them are mixed in one sum, rounded once.
    A chain's operations are drawn from 9, without those of color; a level is one of 256
    between 0.1 and the severity, where 10 stands for shears by 0.3, translations by a
    third of the side, rotations by 30 degrees (the latter in whole pixels and degrees),
    0 bits and threshold 0. Signs are drawn. Pixels are the nearest, where the
    paper's code interpolates.

    `weight_0` records the original's share, `weight_<c>` that of chain c, each a multiple
    of 1/65536. `op_<c>_<i>` and `magnitude_<c>_<i>` record the i-th operation of chain c as
    rand_augment does; beyond the drawn depth it is identity.
    """

    severity: Annotated[float, Field(ge=0.1, le=10)] = 3.0
    """the highest level of an operation"""
    width: Annotated[int, Field(ge=1, le=8)] = 3
    """how many chains are mixed"""
    depth: Annotated[WholeInterval, whole_interval(1, 8)] = (1, 3)
    """how many operations a chain has; each number in the interval is as likely"""

    def space(self, size: Size) -> Space:
        part = (0.1 + (self.severity - 0.1) * (np.arange(_LEVELS) + 0.5) / _LEVELS) / 10
        height, width = size
        return Space.of(
            {
                "identity": _NONE,
                "autocontrast": _NONE,
                "equalize": _NONE,
                "rotate": _either(np.floor(30 * part)),
                "posterize": _alike(4 - np.floor(4 * part)),
                "solarize": _alike(256 - np.floor(256 * part)),
                "shear_x": _either(0.3 * part),
                "shear_y": _either(0.3 * part),
                "translate_x": _either(np.floor(width / 3 * part)),
                "translate_y": _either(np.floor(height / 3 * part)),
            }
        )

    def draw(self, u: Uniforms, size: Size | None) -> Draw:
        space = self.space(self.known(size))
        shares = self._shares(u)
        draw: Draw = {f"weight_{c}": _unit(share) for c, share in enumerate(shares)}
        draw["_weights"] = stack([cast(share, np.int32) for share in shares])
        low, high = self.depth
        operations = {}
        for c in range(1, self.width + 1):
            depth = u.integer(_OF_A_CHAIN * c + 1, high - low + 1) + low
            for i in range(high):
                counter = _OF_A_CHAIN * c + 2 + 3 * i
                position = u.integer(counter, len(space.names) - 1) + 1
                index = 2 * u.integer(counter + 1, _LEVELS) + u.integer(counter + 2, 2)
                within = depth > i
                operations[f"{c}_{i + 1}"] = (
                    where(within, position, depth * 0),
                    where(within, index, depth * 0),
                )
        return draw | space.drawn(operations)

    def _shares(self, u: Uniforms) -> list[Array]:
        """int64 [...] in 65536ths: the original's share and that of each chain; they add up to one.

        Exponentials, divided by their sum, are distributed as Dirichlet(1, ..., 1).
        What rounding down leaves goes to the original.
        """
        exponentials = [
            take(table(_fixed_exponential, np.int64), u.index(_OF_A_CHAIN * c))
            for c in range(1, self.width + 1)
        ]
        total = functools.reduce(lambda one, other: one + other, exponentials)
        mixed = cast(u.index(0), np.int64)
        chains = [e * mixed // total for e in exponentials]
        return [65536 - functools.reduce(lambda one, other: one + other, chains), *chains]

    def apply(self, image: tf.Tensor, draw: Draw) -> tf.Tensor:
        space, depth = self.space(_size_of(image)), self.depth[1]
        positions, indices = draw["_positions"], draw["_indices"]
        weights = tf.convert_to_tensor(draw["_weights"])

        def chain(c: tf.Tensor, mixed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            def next_one(i: tf.Tensor, end: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
                place = c * depth + i
                position, index = tf.gather(positions, place, axis=-1), tf.gather(indices, place, axis=-1)
                return i + 1, space.operated(end, position, index, self.fill_value)

            [end] = repeated(next_one, depth, image)
            weight = tf.gather(weights, c + 1, axis=-1)
            return c + 1, mixed + tf.cast(end, tf.int32) * per_image(weight)

        own = tf.cast(image, tf.int32) * per_image(weights[..., 0])
        [mixed] = repeated(chain, self.width, own)
        return fixed_as_uint8(mixed, 16)


_OF_A_CHAIN = 64
"""Chain c draws from counter 64 c on, whatever the depth of the others."""


def _unit(share: Array) -> Array:
    return cast(share, np.float32) * np.float32(1 / 65536)  # a power of two: exact


def _fixed_exponential(u: np.ndarray) -> np.ndarray:
    return -np.log(1 - u) * (1 << 24)
