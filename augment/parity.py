"""The parity class: what this process makes of small fixed arrays. Equal ones give equal pixels and bytes."""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import json

import numpy as np

from augment.backends import backend
from augment.codec import canary
from augment.draws import quantiles
from augment.kernels import canary as kernels


@functools.cache
def parity_class() -> dict[str, str]:
    """16 hexadecimal digits each for kernels, for the tables in which parameters are looked up, for codecs.

    Tried, and not assumed of versions: those are recorded beside (run.json). Pillow's alone stands for
    what it alone reads, such as WebP. Costs some tens of milliseconds, once a process.
    """
    parts = {"codec": canary.outcomes(), "kernels": _kernels(), "tables": _tables()}
    digests = {
        part: hashlib.sha256(json.dumps(outcomes, sort_keys=True).encode()).hexdigest()[:16]
        for part, outcomes in parts.items()
    }
    return {**digests, "pillow": importlib.metadata.version("pillow")}


def _kernels() -> dict[str, str]:
    if backend().name == "host":
        return kernels.of_host()
    import tensorflow as tf

    from augment.kernels import device

    with tf.device("CPU"):
        return kernels.outcomes(lambda program, image: device.apply(program, tf.constant(image)).numpy())


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
