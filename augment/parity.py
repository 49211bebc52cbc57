"""The parity class: what this process makes of small fixed arrays. Equal ones give equal pixels and bytes."""

from __future__ import annotations

import functools
import hashlib
import json

import numpy as np

from augment import codec
from augment.backends import backend
from augment.draws import quantiles
from augment.kernels import canary


@functools.cache
def parity_class() -> dict[str, str]:
    """16 hexadecimal digits each for kernels, tables that parameters are looked up in, decoders, encoders.

    Tried, and not assumed of versions: what they are is recorded beside (run.json). Costs some tens of
    milliseconds, once a process.
    """
    parts = {"kernels": _kernels(), "tables": _tables(), **codec.outcomes()}
    return {
        part: hashlib.sha256(json.dumps(outcomes, sort_keys=True).encode()).hexdigest()[:16]
        for part, outcomes in parts.items()
    }


def _kernels() -> dict[str, str]:
    if backend().name == "host":
        return canary.outcomes()
    import tensorflow as tf

    from augment.kernels import device

    with tf.device("CPU"):
        return canary.outcomes(lambda kernels, image: device.apply(kernels, tf.constant(image)).numpy())


def _tables() -> dict[str, str]:
    """Digests of what the functions that draws are made of give, rounded as there."""
    u = quantiles()
    values = {
        "cos": np.cos(2 * np.pi * u),
        "exp": np.exp(u),
        "log": np.log(u),
        "power": 255 * np.power(u, 2.2),
        "root": np.sqrt(u),
        "sin": np.sin(2 * np.pi * u),
    }
    return {
        name: hashlib.sha256(np.rint(value * (1 << 24)).astype("<i8").tobytes()).hexdigest()[:16]
        for name, value in values.items()
    }
