"""Host and device compute what the formulas say, to the bit."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from augment.kernels import device, formulas, host
from tests.kernel_cases import CASES, SIZES, arrays_in, batched, made, with_arrays


@pytest.mark.parametrize("name", CASES)
@settings(max_examples=60)
@given(seed=st.integers(0, 2**32 - 1), size=SIZES, channels=st.sampled_from([1, 3]))
def test_c10_the_host_computes_the_formula(name, seed, size, channels):
    [kernels], [image] = made(name, seed, size, channels, 1)
    before = image.copy()
    expected = formulas.apply(kernels, image)
    np.testing.assert_array_equal(host.apply(kernels, image), expected, strict=True)
    np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize("name", CASES)
@settings(max_examples=12)
@given(
    seed=st.integers(0, 2**32 - 1), size=SIZES, channels=st.sampled_from([1, 3]), count=st.sampled_from([1, 2, 3])
)
def test_c10_the_device_computes_the_formula(name, seed, size, channels, count):
    kernels, images = made(name, seed, size, channels, count)
    expected = np.stack([formulas.apply(k, image) for k, image in zip(kernels, images, strict=True)])
    np.testing.assert_array_equal(device.apply(kernels[0], tf.constant(images[0])), expected[0], strict=True)
    np.testing.assert_array_equal(device.apply(batched(kernels), tf.constant(images)), expected, strict=True)


@pytest.mark.parametrize("compiled", [False, True], ids=["graph", "xla"])
@pytest.mark.parametrize("name", CASES)
def test_c10_one_graph_computes_the_formula_of_whatever_it_is_given(name, compiled):
    if compiled and name == "jpeg":
        pytest.skip("XLA has no JPEG")
    channels = 1 if compiled and name in ("affine", "equalize", "noise") else 3
    kernels, images = made(name, 5, (19, 19), channels, 6)
    like = batched(kernels[:3])

    @tf.function(jit_compile=compiled, autograph=False)
    def run(images: tf.Tensor, *arrays: tf.Tensor) -> tf.Tensor:
        return device.apply(with_arrays(like, list(arrays)), images)

    for part in (slice(0, 3), slice(3, 6)):
        expected = np.stack([formulas.apply(k, i) for k, i in zip(kernels[part], images[part], strict=True)])
        got = run(tf.constant(images[part]), *map(tf.constant, arrays_in(batched(kernels[part]))))
        np.testing.assert_array_equal(got, expected, strict=True)
