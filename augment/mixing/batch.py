"""A batch, mixed: who is mixed with whom, and what comes of it.

The samples of a batch stand in a ring, in the order of 63 bits that each of them draws; a sample is mixed
with those behind it. So everybody is mixed with others, and into others as often; and with whom follows from
who is in the batch, whatever its order.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from augment.array_api import Array, argsort, axis_length, cast, counted_up, shift_right, stack, take
from augment.draws import Draw, Uniforms
from augment.errors import RequestError
from augment.keys import check_seed, fold_in, name_words, sample_key
from augment.mixing.kinds import ONE, Mixing, parse_mixing


class Mixer:
    """A mixing with a seed.

    Args:
        mixing: such as `cutmix:1.0`; see `parse_mixing`.
        seed: of the augmentation, in [0, 2**64).
    """

    def __init__(self, mixing: str | Mixing, seed: int) -> None:
        self.mixing = parse_mixing(mixing) if isinstance(mixing, str) else mixing
        self.seed = check_seed(seed)

    def draw(self, images: Array, key: Array, copy: Array) -> Draw:
        """What is drawn for a batch; of its images, only the size is looked at.

        Args:
            images: uint8 [B, H, W, C].
            key: uint32 [B, 2], from `source_words`.
            copy: whole numbers [B] from 0, the epoch's.

        Returns int32 [B] by name: `weight`, in 131,072ths, `row` and `column`; and `samples`, [B, n]: the
        places in the batch of those that a sample is made of, itself first.
        """
        name = name_words(f"mixing:{self.mixing.name}")  # which is no op's id
        u = Uniforms(fold_in(sample_key(self.seed, (key[:, 0], key[:, 1]), copy), name))
        u.expect(2)
        order = argsort(cast(u.word(0), np.int64) * (1 << 31) + cast(shift_right(u.word(1), 1), np.int64))
        return {"samples": _ring(order, self.mixing.of), **self.mixing.draw(u, _size(images))}

    def images(self, draw: Draw, images: Array) -> Array:
        """uint8 [B, H, W, C], mixed."""
        mixed = [take(images, draw["samples"][:, place]) for place in range(1, self.mixing.of)]
        return self.mixing.pixels(draw, [images, *mixed], _size(images))

    def labels(self, draw: Draw, images: Array, labels: Array, classes: int) -> Array:
        """float32 [B, classes]: the share of each class, a multiple of 2**-24; a row adds up to 1 exactly.

        Takes the batch's whole labels [B], and the images for their size.
        """
        others = self.mixing.shares(draw, _size(images))
        shares = [ONE - sum(others[1:], others[0]), *others]
        classes_of = cast(take(labels, draw["samples"]), np.int32)
        each = [
            cast(classes_of[:, place, np.newaxis] == counted_up(classes, like=labels), np.int32)
            * share[:, np.newaxis]
            for place, share in enumerate(shares)
        ]
        return cast(sum(each[1:], each[0]), np.float32) * np.float32(1 / ONE)


def _ring(order: Array, count: int) -> Array:
    """int32 [B, count]: the places of each sample and of those behind it, given who comes first and so on."""
    place, length = argsort(order), axis_length(order, 0)
    return stack([take(order, (place + behind) % length) for behind in range(count)])


def mix_batch(
    images: np.ndarray,
    labels: np.ndarray,
    mixing: str | Mixing,
    *,
    seed: int,
    key: np.ndarray,
    copy: int | np.ndarray,
    classes: int,
) -> tuple[np.ndarray, np.ndarray]:
    """A batch, mixed: uint8 [B, H, W, C], and float32 [B, classes], of which a row adds up to 1 exactly.

    Args:
        images: uint8 [B, H, W, C], augmented.
        labels: whole numbers [B] below `classes`.
        mixing: `mixup:ALPHA`, `cutmix:ALPHA` or `mosaic`.
        seed: as for `augment_image`.
        key: uint32 [B, 2], from `source_words`.
        copy: the epoch's number from 0; or [B], one each.
        classes: how many there are.

    Raises RequestError for anything else.
    """
    copies = np.full(len(key), copy) if np.ndim(copy) == 0 else np.asarray(copy)
    given = {"image": images, "label": labels, "key": key, "copy": copies}
    for name, values in given.items():
        check_input(name, values)
    lengths = {len(values) for values in given.values()}
    if len(lengths) > 1:
        raise RequestError(
            f"images, labels, key and copy are of {sorted(lengths)} samples; they must be of one batch"
        )
    if len(labels) and not 0 <= labels.min() <= labels.max() < classes:
        raise RequestError(
            f"the labels go from {labels.min()} to {labels.max()}; of {classes} classes they are 0 to "
            f"{classes - 1}"
        )
    mixer = Mixer(mixing, seed)
    draw = mixer.draw(images, key, copies)
    return mixer.images(draw, images), mixer.labels(draw, images, labels, classes)


_INPUTS = {
    "image": ("uint8", 4, "uint8 [B, H, W, C]"),
    "label": ("", 1, "whole numbers [B]"),
    "key": ("uint32", 2, "uint32 [B, 2]"),
    "copy": ("", 1, "whole numbers [B]"),
}
"""What a batch is, by name: dtype, where it is one, rank, and both in words."""


def check_input(name: str, found: Any) -> None:
    """Raises RequestError unless an array, a tensor or a description of one is what mixing takes for it."""
    wanted, rank, form = _INPUTS[name]
    if found is None:
        raise RequestError(f"the batch's {name!r} is missing; it must be {form}")
    dtype = getattr(found.dtype, "name", found.dtype)
    if len(found.shape) != rank or not (dtype == wanted or (not wanted and "int" in dtype)):
        shape = ", ".join("B" if side is None else str(side) for side in found.shape)
        raise RequestError(f"the batch's {name!r} is {dtype} [{shape}]; it must be {form}")


def _size(images: Array) -> tuple[Array, Array]:
    return axis_length(images, 1), axis_length(images, 2)
