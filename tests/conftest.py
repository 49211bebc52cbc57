"""Small generated pictures, shared by all tests."""

from __future__ import annotations

import os
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import settings

from pipelines import progress

progress.LINES = 3600.0  # so that what a command says does not depend on how long it takes

# The first call of much that is tested loads kernels or builds tables; and no test is about time.
settings.register_profile("augshard", deadline=None)
settings.load_profile("augshard")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")


@pytest.fixture(scope="session")
def photo_of() -> Callable[..., np.ndarray]:
    """Makes uint8 [height, width, 3]: a smooth colorful gradient with noise."""

    def make(height: int, width: int, seed: int = 0) -> np.ndarray:
        rng = np.random.default_rng(seed)
        y, x = np.mgrid[0:height, 0:width]
        phases = rng.uniform(0, 6, 3)
        waves = [np.sin(x / (5 + c) + y / (9 - 2 * c) + phase) for c, phase in enumerate(phases)]
        levels = 128 + 110 * np.stack(waves, -1) + rng.normal(0, 12, (height, width, 3))
        return np.clip(levels, 0, 255).astype(np.uint8)

    return make


@pytest.fixture(scope="session")
def photo(photo_of: Callable[..., np.ndarray]) -> np.ndarray:
    """uint8 [40, 56, 3]."""
    return photo_of(40, 56)
