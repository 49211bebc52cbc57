"""Randomness by the pixel: as it is written down, and without a pattern."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from augment.kernels.streams import grain8, grain8_within, grain16
from tests.streams import stream

KEY = np.array([0xFEDCBA98, 0x76543210], np.uint32)


@pytest.mark.parametrize(("grain", "bits"), [(grain8, 8), (grain16, 16)])
def test_c10_a_row_has_the_documented_stream_everywhere(grain, bits):
    rows, count = 6, 15
    expected = stream(tuple(KEY.tolist()), rows, count * bits // 8).view(f"<u{bits // 8}")
    np.testing.assert_array_equal(grain(KEY, rows, count), expected)
    np.testing.assert_array_equal(grain(np.stack([KEY[::-1], KEY]), rows, count)[1], expected)
    for compiled in (False, True):
        traced = tf.function(lambda key: grain(key, rows, count), jit_compile=compiled)
        np.testing.assert_array_equal(traced(tf.constant(KEY)), expected)


def test_a_part_is_cut_out_of_the_whole():
    whole = grain8(KEY, 30, 41)
    np.testing.assert_array_equal(grain8_within(KEY, (7, 23), (5, 38)), whole[7:23, 5:38])


def test_no_bit_tells_of_another_beside_or_below():
    """Of 65,536 pairs each, deviations in standard deviations: 10 million bits, and none is seen."""
    words = np.ascontiguousarray(grain16(KEY, 256, 514)).view(np.uint32).astype(np.uint64)
    bits = (words[..., np.newaxis] >> np.arange(32, dtype=np.uint64) & 1).astype(np.float32) * 2 - 1
    here, beside, below = bits[:-1, :-1], bits[:-1, 1:], bits[1:, :-1]
    assert np.abs(bits.mean((0, 1))).max() * np.sqrt(words.size) < 5
    for other in (beside, below):
        pairs = np.tensordot(here, other, ((0, 1), (0, 1))) / np.sqrt(here[..., 0].size)
        assert np.abs(pairs).max() < 5


def test_bytes_and_pairs_of_them_are_uniform():
    drawn = grain8(KEY, 512, 4096).astype(np.int64)
    for values, count in ((drawn, 256), (256 * drawn[:, ::2] + drawn[:, 1::2], 65536)):
        expected = values.size / count
        chi_squared = ((np.bincount(values.ravel(), minlength=count) - expected) ** 2 / expected).sum()
        assert abs(chi_squared - (count - 1)) < 5 * np.sqrt(2 * count)
