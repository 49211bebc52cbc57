"""Kernels on a processor: NumPy and OpenCV, one image at a time, without TensorFlow.

Each function computes its namesake in `formulas.py` to the bit, and says where that is not
plain to see. OpenCV is called where what it computes is a formula in integers, or in floats
that are exact.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np

from augment.errors import OpError
from augment.kernels import kinds
from augment.kernels.host import color, filters, grain, index, jpeg, levels, resize, warp


def apply(kernels: kinds.Kernels, image: np.ndarray) -> np.ndarray:
    """Runs kernels in order on uint8 [H, W, C]; what is returned may share memory with the image.

    Those that only take pixels from elsewhere (Window, Orient, Resize and Warp with nearest) run on int32
    [H, W, 1] as well.
    """
    for kernel in kernels:
        image = _KERNELS.get(type(kernel), _custom)(kernel, image)
    return image


def _custom(kernel: Any, image: np.ndarray) -> np.ndarray:
    try:
        out = kernel.on_host(image)
    except Exception as error:
        raise OpError(f"kernel {type(kernel).__name__}: {type(error).__name__}: {error}") from error
    if not isinstance(out, np.ndarray) or out.dtype != np.uint8 or out.shape != image.shape:
        raise OpError(kinds.not_kept(kernel, image, out))
    return out


def _choose(k: kinds.Choose, image: np.ndarray) -> np.ndarray:
    return apply(k.branches[int(k.index)], image)


def _blend(k: kinds.Blend, image: np.ndarray) -> np.ndarray:
    total: Any = np.zeros(image.shape, np.float32)  # 65536ths of levels: 24 bits, which float32 holds exactly
    for weight, branch in zip(k.weights.tolist(), k.branches, strict=True):
        if weight:
            total = cv2.scaleAdd(apply(branch, image).astype(np.float32), weight / 65536, total)
    return cv2.convertScaleAbs(total).reshape(image.shape)


_KERNELS: dict[type[kinds.Kernel], Callable[[Any, np.ndarray], np.ndarray]] = {
    kinds.Window: index.window,
    kinds.Orient: index.orient,
    kinds.Channels: index.channels,
    kinds.Warp: warp.warp,
    kinds.Resize: resize.resize,
    kinds.Levels: levels.levels,
    kinds.Adapt: levels.adapt,
    kinds.Gray: color.gray,
    kinds.Hue: color.hue,
    kinds.Saturation: color.saturation,
    kinds.Enhance: filters.enhance,
    kinds.Blur: filters.blur,
    kinds.Noise: grain.noise,
    kinds.Fill: grain.fill,
    kinds.Jpeg: jpeg.jpeg,
    kinds.Choose: _choose,
    kinds.Blend: _blend,
}
