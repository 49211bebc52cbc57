"""Who computes kernels, to the same bits: the host (NumPy, OpenCV) or the device (TensorFlow)."""

from __future__ import annotations

import functools
import sys
from collections.abc import Sequence
from typing import Literal, Protocol

import cv2
import numpy as np

from augment.draws import Draw, at
from augment.errors import require
from augment.kernels import canary, host
from augment.program import Describe

Name = Literal["host", "device"]


class Backend(Protocol):
    """Computes samples. Used by several threads at once."""

    @property
    def name(self) -> Name: ...

    def run(self, describe: Describe, image: np.ndarray, draw: Draw) -> np.ndarray:
        """uint8 [H, W, C], contiguous, of uint8 [H, W, C] and one sample's draw (scalars)."""

    def run_each(self, describe: Describe, images: Sequence[np.ndarray], draw: Draw) -> list[np.ndarray]:
        """The same of images, of whatever sizes, and the draw of as many samples (arrays [n])."""


class Host:
    """See `augment.kernels.host`."""

    name: Literal["host"] = "host"

    def __init__(self) -> None:
        # Samples are many and small, and callers have threads of their own, which OpenCV's would wait for.
        cv2.setNumThreads(1)
        self._alike = functools.lru_cache(maxsize=256)(lambda describe, size: describe({}, size))

    def run(self, describe: Describe, image: np.ndarray, draw: Draw) -> np.ndarray:
        height, width, _ = image.shape
        size = height, width
        # What draws nothing is described once for each size.
        kernels = describe(draw, size) if draw else self._alike(describe, size)
        return np.ascontiguousarray(host.apply(kernels, image))

    def run_each(self, describe: Describe, images: Sequence[np.ndarray], draw: Draw) -> list[np.ndarray]:
        return [self.run(describe, image, at(draw, number)) for number, image in enumerate(images)]


@functools.cache
def backend(name: Name = "host") -> Backend:
    """The backend of this name, one a process.

    A host whose kernels do not give what they give elsewhere (`canary`) is not used: it is said on
    stderr, and the device backend takes its place.

    Raises RequestError where that is to be it and TensorFlow is not installed.
    """
    if name == "host":
        different = canary.differences()
        if not different:
            return Host()
        why = f"OpenCV and NumPy give other levels here than elsewhere ({', '.join(different)})"
        require("TensorFlow", f"{why}, and what takes their place")
        sys.stderr.write(f"augshard: warning: {why}; TensorFlow takes their place, which is slower\n")
    require("TensorFlow", "the device backend")
    from augment.graphs import Device

    return Device()
