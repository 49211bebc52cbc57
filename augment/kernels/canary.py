"""Whether this machine's host backend computes what every other does: tried, not assumed.

Each kernel is run on a small fixed image, which takes some milliseconds in all, and the
digest of what comes out is held to `canary.json`. OpenCV's own routines may differ between
processors; where one does, the device backend takes the host's place.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Callable
from importlib import resources

import numpy as np

from augment.kernels import host, kinds, maps, tables, weights


def outcomes(apply: Callable[[kinds.Kernels, np.ndarray], np.ndarray]) -> dict[str, str]:
    """For each kernel, under its name, 16 hexadecimal digits of SHA-256 over the levels."""
    image = _image()
    return {
        name: hashlib.sha256(np.ascontiguousarray(apply((kernel,), image)).tobytes()).hexdigest()[:16]
        for name, kernel in _kernels().items()
    }


@functools.cache
def of_host() -> dict[str, str]:
    """The host's, tried once a process."""
    return outcomes(host.apply)


def differences(found: dict[str, str] | None = None) -> list[str]:
    """The names of the kernels whose outcome, by default the host's, is not the golden one."""
    golden = json.loads((resources.files("augment.kernels") / "canary.json").read_text())
    return sorted(name for name, digest in (found or of_host()).items() if golden.get(name) != digest)


def _image() -> np.ndarray:
    """uint8 [37, 53, 3]: all levels, smooth in parts, by arithmetic that no library can change."""
    row, column, channel = np.ogrid[0:37, 0:53, 0:3]
    return (
        (row * row * 3 + column * 7 * (channel + 1) + (row * column) // 5 + (column % 7) * 29) % 256
    ).astype(np.uint8)


def _kernels() -> dict[str, kinds.Kernel]:
    key, one = np.array([0x12345678, 0x9ABCDEF0], np.uint32), 1 << tables.FACTOR_BITS
    turned = maps.Affine(np.array([14529495, -8388608, 9 << 24, 8388608, 14529495, -(7 << 24)], np.int64))
    leaning = maps.Projective(
        np.array([9, 1, 40, 1, 10, 30, 0, 0, 10], np.int64) * (1 << 40) // 10
        + np.array([0, 0, 0, 0, 0, 0, 1 << 32, 1 << 31, 0])
    )
    ramp = np.arange(4096)
    return {
        "window": kinds.Window(top=np.int32(-5), left=np.int32(9), height=50, width=50, border="reflect"),
        "orient": kinds.Orient(transposed=np.True_, rows=np.True_, columns=np.False_),
        "channels": kinds.Channels(order=np.array([2, 0, 1], np.int32)),
        **{
            f"warp_{border}": kinds.Warp(map=turned, border=border)
            for border in ("constant", "edge", "symmetric", "reflect", "wrap")
        },
        "warp_nearest": kinds.Warp(map=turned, interpolation="nearest"),
        "warp_projective": kinds.Warp(map=leaning, border="edge"),
        "resize_smaller": kinds.Resize(height=20, width=31),
        "resize_larger": kinds.Resize(height=71, width=64),
        "resize_antialias": kinds.Resize(height=13, width=17, antialias=True),
        "resize_bicubic": kinds.Resize(height=13, width=60, method="bicubic", antialias=True),
        "resize_area": kinds.Resize(height=13, width=17, method="area"),
        "resize_lanczos3": kinds.Resize(height=13, width=17, method="lanczos3", antialias=True),
        "levels": kinds.Levels(table=tables.gamma(np.int64(81000))),
        "contrast": kinds.Adapt(rule=tables.CONTRAST, factor=np.int64(13 * one // 10)),
        "contrast_with_gray": kinds.Adapt(rule=tables.CONTRAST_WITH_GRAY, factor=np.int64(13 * one // 10)),
        "equalize": kinds.Adapt(rule=tables.EQUALIZE),
        "autocontrast": kinds.Adapt(rule=tables.AUTOCONTRAST),
        "gray": kinds.Gray(),
        "hue": kinds.Hue(sixths=np.int32(100000)),
        "saturation": kinds.Saturation(distances=tables.distances(np.int64(2 * one))),
        "color": kinds.Enhance(base="gray", factor=np.int64(27 * one // 20)),
        "sharpness": kinds.Enhance(base="smooth", factor=np.int64(27 * one // 20)),
        "blur": kinds.Blur(weights=weights.gaussian(1.3, 4)),
        "noise": kinds.Noise(key=key, table=(ramp % 97 - 48).astype(np.int16)),
        "fill": kinds.Fill(boxes=np.array([[3, 5, 20, 30]], np.int32), key=key),
        "jpeg": kinds.Jpeg(quality=np.int32(70)),
    }
