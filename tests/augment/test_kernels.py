"""Host and device compute what the formulas say, to the bit."""

from __future__ import annotations

import dataclasses
import pickle

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from augment.kernels import canary, device, formulas, host, maps
from augment.kernels.host.arrays import BORDERS
from augment.kernels.kinds import Enhance, Levels
from augment.kernels.tables import FACTOR_BITS
from augment.program import joined
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


@pytest.mark.parametrize("name", ["affine", "projective"])
@settings(max_examples=30)
@given(seed=st.integers(0, 2**32 - 1))
def test_c10_the_host_warps_in_blocks_as_the_formula_does_at_once(name, seed):
    [kernels], [image] = made(name, seed, (170, 280), 3, 1)
    np.testing.assert_array_equal(host.apply(kernels, image), formulas.apply(kernels, image))


@pytest.mark.parametrize("name", CASES)
@settings(max_examples=12)
@given(
    seed=st.integers(0, 2**32 - 1),
    size=SIZES,
    channels=st.sampled_from([1, 3]),
    count=st.sampled_from([1, 2, 3]),
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


_TENTHS = [0.0, 0.1, 0.3, 0.55, 0.9, 1.0, 1.1, 1.72, 1.9, 7.3]
_NEAR_FRACTIONS = [1 / 3, 254 / 255, *(1 + sign * 2.0**-bits for sign in (-1, 1) for bits in (9, 12, 15, 18))]


@pytest.mark.parametrize("factor", [*_TENTHS, *_NEAR_FRACTIONS, 2**0.5, 9.87, 9.9999, 12.3])
def test_c10_the_host_blends_every_pair_of_levels_as_the_formula_does(factor):
    """A base of gray and a level: of a red that is far brighter or darker than the gray it has."""
    red, rest = np.indices((256, 256)).astype(np.uint8)
    image = np.stack([red, rest, rest], -1)
    kernels = (Enhance(base="gray", factor=np.int64(float(np.float32(factor)) * (1 << FACTOR_BITS))),)
    np.testing.assert_array_equal(host.apply(kernels, image), formulas.apply(kernels, image))


def test_c9_the_canary_is_golden_and_the_formulas_agree_with_it():
    assert canary.differences() == []
    assert canary.outcomes(formulas.apply) == canary.of_host()
    assert canary.outcomes(lambda k, image: device.apply(k, tf.constant(image)).numpy()) == canary.of_host()


def test_c9_the_canary_names_the_kernel_that_another_machine_computes_otherwise(monkeypatch):
    monkeypatch.setitem(BORDERS, "wrap", BORDERS["edge"])
    monkeypatch.setattr(canary, "of_host", canary.of_host.__wrapped__)  # as in a process of its own
    assert canary.differences() == ["warp_wrap"]


def test_tables_after_tables_are_one_table(photo):
    rng = np.random.default_rng(0)
    kernels = tuple(Levels(table=rng.integers(0, 256, (n, 256), dtype=np.uint8)) for n in (1, 3, 1))
    [one] = joined(kernels)
    np.testing.assert_array_equal(host.apply((one,), photo), formulas.apply(kernels, photo))


def test_a_matrix_that_is_stacked_within_a_graph_is_read_as_it_is(photo):
    """TensorFlow's optimizer takes a slice of what was stacked for what was stacked, without new axes."""
    [[warp]], _ = made("affine", 1, photo.shape[:2], 3, 1)

    @tf.function(autograph=False)
    def run(images: tf.Tensor, *columns: tf.Tensor) -> tf.Tensor:
        matrix = tf.stack(columns, -1)
        return device.apply((dataclasses.replace(warp, map=maps.Affine(matrix)),), images)

    columns = [tf.constant(np.full(2, value)) for value in warp.map.matrix]
    expected = np.stack([formulas.apply((warp,), photo)] * 2)
    np.testing.assert_array_equal(run(tf.constant(np.stack([photo] * 2)), *columns), expected)


def test_kernels_travel_between_processes(photo):
    for name in CASES:
        [kernels], _ = made(name, 3, photo.shape[:2], 3, 1)
        again = pickle.loads(pickle.dumps(kernels))
        np.testing.assert_array_equal(host.apply(again, photo), host.apply(kernels, photo))
