"""Random kernels with images for them, for all that is held to the formulas."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import strategies as st

from augment.kernels import kinds, maps, tables, weights

Made = tuple[kinds.Kernel, ...]

BORDERS = ("constant", "edge", "symmetric", "reflect", "wrap")
FACTOR = 1 << tables.FACTOR_BITS


def images(rng: np.random.Generator, height: int, width: int, channels: int) -> np.ndarray:
    """uint8 [height, width, channels]: noise, few levels, a ramp, or one level."""
    kind = rng.integers(4)
    shape = (height, width, channels)
    if kind == 0:
        return rng.integers(0, 256, shape, dtype=np.uint8)
    if kind == 1:
        return rng.choice(np.array([0, 7, 128, 250, 255], np.uint8), shape)
    if kind == 2:
        return (
            np.add.outer(np.arange(height), np.arange(width))[..., None] + rng.integers(0, 99, channels)
        ).astype(np.uint8)
    return np.full(shape, rng.integers(0, 256, channels), np.uint8)


def _affine(rng: np.random.Generator, height: int, width: int) -> maps.Affine:
    linear = np.eye(2) + rng.normal(0, rng.choice([0, 0.1, 1, 8]), (2, 2))
    shift = rng.normal(0, rng.choice([0.0, 5.0, 100.0, 40000.0], p=[0.2, 0.4, 0.35, 0.05]), 2)
    matrix = np.concatenate([linear, shift[:, np.newaxis]], 1).ravel()
    return maps.Affine(np.rint(matrix * 2.0**24).astype(np.int64))


def _projective(rng: np.random.Generator, height: int, width: int) -> maps.Projective:
    affine = _affine(rng, height, width).matrix / 2.0**24
    lean = rng.uniform(-0.3, 0.3, 2) / [width, height]
    return maps.Projective(
        np.rint(np.array([*affine, *lean, 1.0]) * 2.0**maps.PROJECTIVE_BITS).astype(np.int64)
    )


def _key(rng: np.random.Generator) -> np.ndarray:
    return rng.integers(0, 1 << 32, 2, dtype=np.uint32)


def _warp(make: Callable[..., maps.Map]) -> Callable[..., Made]:
    def warp(rng: np.random.Generator, height: int, width: int, alike: Any) -> Made:
        interpolation, border, fill = (
            alike.choice(["bilinear", "nearest"]),
            alike.choice(BORDERS),
            alike.integers(256),
        )
        map_ = make(rng, height, width)
        return (kinds.Warp(map=map_, interpolation=str(interpolation), border=str(border), fill=int(fill)),)

    return warp


def _elastic(rng: np.random.Generator, height: int, width: int) -> maps.Displaced:
    return maps.elastic(_key(rng), np.int64(rng.integers(0, 31457)), 3, (height, width))


def _window(rng: np.random.Generator, height: int, width: int, alike: Any) -> Made:
    size = [int(alike.integers(1, 2 * side + 2)) for side in (height, width)]
    at = [np.int32(rng.integers(-2 * side - 1, 2 * side + 1)) for side in (height, width)]
    border, fill = str(alike.choice(BORDERS)), int(alike.integers(256))
    return (kinds.Window(top=at[0], left=at[1], height=size[0], width=size[1], border=border, fill=fill),)


def _orient(rng: np.random.Generator, height: int, width: int, alike: Any) -> Made:
    transposed = (rng if height == width else alike).integers(2) == 1
    return (
        kinds.Orient(
            transposed=np.bool_(transposed), rows=rng.integers(2) == 1, columns=rng.integers(2) == 1
        ),
    )


def _resize(rng: np.random.Generator, height: int, width: int, alike: Any) -> Made:
    size = [int(alike.integers(1, 40)) for _ in range(2)]
    method, antialias = str(alike.choice([*weights.FILTERS, "nearest"])), bool(alike.integers(2))
    box = None
    if alike.integers(2):
        sides = [rng.integers(1, side + 1) for side in (height, width)]
        at = [rng.integers(0, full - side + 1) for full, side in zip((height, width), sides, strict=True)]
        box = np.array([*at, *sides], np.int32)
    return (kinds.Resize(height=size[0], width=size[1], method=method, antialias=antialias, box=box),)


def _levels(rng: np.random.Generator, height: int, width: int, alike: Any) -> Made:
    return (kinds.Levels(table=rng.integers(0, 256, (1, 256), dtype=np.uint8)),)


def _adapt(rule: tables.Rule) -> Callable[..., Made]:
    def adapt(rng: np.random.Generator, height: int, width: int, alike: Any) -> Made:
        return (kinds.Adapt(rule=rule, factor=np.int64(rng.uniform(0, rng.choice([1, 2, 10])) * FACTOR)),)

    return adapt


def _enhance(base: str) -> Callable[..., Made]:
    def enhance(rng: np.random.Generator, height: int, width: int, alike: Any) -> Made:
        drawn = rng.uniform(0, rng.choice([1, 2, 10])), round(rng.uniform(0, 2), 2)  # sums near whole numbers
        return (kinds.Enhance(base=base, factor=np.int64(np.float32(rng.choice(drawn)) * FACTOR)),)

    return enhance


def _blur(rng: np.random.Generator, height: int, width: int, alike: Any) -> Made:
    reach = int(alike.integers(0, 9))
    return (kinds.Blur(weights=weights.gaussian(rng.uniform(0, reach / 3 + 0.2), reach)),)


def _noise(rng: np.random.Generator, height: int, width: int, alike: Any) -> Made:
    table = np.rint(rng.normal(0, rng.choice([1, 20, 300]), 4096)).astype(np.int16)
    return (kinds.Noise(key=_key(rng), table=table, monochrome=bool(alike.integers(2))),)


def _fill(rng: np.random.Generator, height: int, width: int, alike: Any) -> Made:
    holes, keyed = int(alike.integers(1, 4)), bool(alike.integers(2))
    at = np.stack([rng.integers(-side - 1, side + 2, holes) for side in (height, width)], -1)
    boxes = np.concatenate([at, at + rng.integers(0, 9, (holes, 2))], -1).astype(np.int32)
    return (kinds.Fill(boxes=boxes, level=int(alike.integers(256)), key=_key(rng) if keyed else None),)


def _blend(rng: np.random.Generator, height: int, width: int, alike: Any) -> Made:
    cuts = np.sort(rng.integers(0, 65537, 2))
    shares = np.diff([0, *cuts, 65536]).astype(np.int32)
    branches = ((), _levels(rng, height, width, alike), _warp(_affine)(rng, height, width, alike))
    return (kinds.Blend(weights=shares, branches=branches),)


def _choose(rng: np.random.Generator, height: int, width: int, alike: Any) -> Made:
    branches = (
        (),
        (kinds.Gray(),),
        (*_levels(rng, height, width, alike), *_noise(rng, height, width, alike)),
    )
    return (kinds.Choose(index=np.int32(rng.integers(3)), branches=branches),)


def _in_turn(rng: np.random.Generator, height: int, width: int, alike: Any) -> Made:
    """Several kernels that differ in their arrays alone."""

    def one() -> kinds.Choose:
        flip = kinds.Orient(transposed=np.False_, rows=rng.integers(2) == 1, columns=np.True_)
        branches = ((), (kinds.Gray(), flip), _levels(rng, height, width, alike))
        return kinds.Choose(index=np.int32(rng.integers(3)), branches=branches)

    shares = np.array([20000, 30000, 15536, 0], np.int32)[rng.permutation(4)]
    chains = ((), *((one(), one()) for _ in range(3)))
    return (one(), one(), one(), kinds.Blend(weights=shares, branches=chains))


CASES: dict[str, Callable[[np.random.Generator, int, int, Any], Made]] = {
    "window": _window,
    "orient": _orient,
    "channels": lambda rng, *_: (kinds.Channels(order=rng.permutation(3).astype(np.int32)),),
    "affine": _warp(_affine),
    "projective": _warp(_projective),
    "elastic": _warp(_elastic),
    "resize": _resize,
    "levels": _levels,
    "contrast": _adapt(tables.CONTRAST),
    "contrast_with_gray": _adapt(tables.CONTRAST_WITH_GRAY),
    "equalize": _adapt(tables.EQUALIZE),
    "autocontrast": _adapt(tables.AUTOCONTRAST),
    "gray": lambda *_: (kinds.Gray(),),
    "hue": lambda rng, *_: (kinds.Hue(sixths=np.int32(rng.integers(0, (6 << 16) + 1))),),
    "saturation": lambda rng, *_: (
        kinds.Saturation(distances=tables.distances(np.int64(rng.uniform(0, rng.choice([1, 10])) * FACTOR))),
    ),
    "color": _enhance("gray"),
    "sharpness": _enhance("smooth"),
    "blur": _blur,
    "noise": _noise,
    "fill": _fill,
    "jpeg": lambda rng, *_: (kinds.Jpeg(quality=np.int32(rng.integers(1, 101))),),
    "blend": _blend,
    "choose": _choose,
    "in_turn": _in_turn,
}
"""Makes kernels for images of a size: what may differ within a batch from the first generator,
what must be alike from the last."""

SIZES = st.one_of(
    st.sampled_from([(1, 1), (1, 9), (8, 1), (2, 2), (3, 3), (16, 16), (31, 17)]),
    st.tuples(st.integers(1, 40), st.integers(1, 40)),
)


def made(
    name: str, seed: int, size: tuple[int, int], channels: int, count: int
) -> tuple[list[Made], np.ndarray]:
    """Kernels for each of `count` images, and the images."""
    kernels, pictures = [], []
    for i in range(count):
        rng = np.random.default_rng([seed, i])
        kernels.append(CASES[name](rng, *size, np.random.default_rng(seed)))
        pictures.append(images(rng, *size, channels))
    return kernels, np.stack(pictures)


def batched(kernels: list[Any]) -> Any:
    """Kernels of single images as those of a batch."""
    first = kernels[0]
    if isinstance(first, tuple):
        return tuple(batched(list(each)) for each in zip(*kernels, strict=True))
    if not dataclasses.is_dataclass(first) or isinstance(first, tables.Rule):
        return first
    joint = {}
    for field in dataclasses.fields(first):
        values = [getattr(kernel, field.name) for kernel in kernels]
        if "rank" in field.metadata:
            joint[field.name] = None if values[0] is None else np.stack(values)
        else:
            joint[field.name] = batched(values)
    return type(first)(**joint)


def arrays_in(kernels: Any) -> list[np.ndarray]:
    """The arrays that kernels hold, in order."""
    if isinstance(kernels, tuple):
        return [array for kernel in kernels for array in arrays_in(kernel)]
    if not dataclasses.is_dataclass(kernels) or isinstance(kernels, tables.Rule):
        return []
    found: list[np.ndarray] = []
    for field in dataclasses.fields(kernels):
        value = getattr(kernels, field.name)
        if "rank" not in field.metadata:
            found += arrays_in(value)
        elif value is not None:
            found.append(value)
    return found


def with_arrays(kernels: Any, arrays: list[Any]) -> Any:
    """The same kernels with other arrays, which are taken from the front of a list."""
    if isinstance(kernels, tuple):
        return tuple(with_arrays(kernel, arrays) for kernel in kernels)
    if not dataclasses.is_dataclass(kernels) or isinstance(kernels, tables.Rule):
        return kernels
    changed = {}
    for field in dataclasses.fields(kernels):
        value = getattr(kernels, field.name)
        if "rank" not in field.metadata:
            changed[field.name] = with_arrays(value, arrays)
        elif value is not None:
            changed[field.name] = arrays.pop(0)
    return type(kernels)(
        **{**{f.name: getattr(kernels, f.name) for f in dataclasses.fields(kernels)}, **changed}
    )
