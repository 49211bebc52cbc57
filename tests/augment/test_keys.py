"""The generator: published answers, the same bits everywhere, names as documented."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from augment.keys import (
    fold_in,
    name_bits,
    name_words,
    seed_key,
    source_key,
    source_words,
    threefry2x32,
    words,
)

# Random123's kat_vectors, threefry2x32 with 20 rounds: counter, key, answer.
KNOWN_ANSWERS = {
    "zeros": ((0, 0), (0, 0), (0x6B200159, 0x99BA4EFE)),
    "ones": ((0xFFFFFFFF, 0xFFFFFFFF), (0xFFFFFFFF, 0xFFFFFFFF), (0x1CB996FC, 0xBB002BE7)),
    "digits of pi": ((0x243F6A88, 0x85A308D3), (0x13198A2E, 0x03707344), (0xC4923A9C, 0x483DF7A0)),
}


@pytest.mark.parametrize("vector", KNOWN_ANSWERS.values(), ids=KNOWN_ANSWERS)
def test_c2_threefry_meets_the_published_known_answers(vector):
    counter, key, answer = (tuple(map(np.uint32, pair)) for pair in vector)
    assert threefry2x32(key, counter) == answer
    in_tensorflow = threefry2x32(tuple(map(tf.constant, key)), tuple(map(tf.constant, counter)))
    assert tuple(word.numpy() for word in in_tensorflow) == answer


def test_c2_numpy_eager_graph_and_xla_agree_on_a_million_keys():
    million = np.random.default_rng(0).integers(0, 2**32, (4, 1_000_000), dtype=np.uint32)

    def encrypt(block):
        return tf.stack(threefry2x32((block[0], block[1]), (block[2], block[3])))

    expected = np.stack(threefry2x32((million[0], million[1]), (million[2], million[3])))
    for evaluate in (encrypt, tf.function(encrypt), tf.function(encrypt, jit_compile=True)):
        np.testing.assert_array_equal(evaluate(tf.constant(million)).numpy(), expected)


def test_c2_folding_is_not_commutative():
    zero = (np.uint32(0), np.uint32(0))
    assert fold_in(fold_in(zero, words(1)), words(2)) != fold_in(fold_in(zero, words(2)), words(1))


@given(st.text())
def test_c2_a_name_is_the_first_eight_bytes_of_its_sha256(name):
    digest = hashlib.sha256(name.encode()).hexdigest()
    assert f"{name_bits(name):016x}" == digest[:16]
    high, low = name_words(name)
    assert (int(high) << 32) + int(low) == name_bits(name)


def test_c2_source_ids_are_the_same_as_text_and_as_bytes():
    names = ["train/roses/1.jpg", "ä/ö.png", ""]
    table = source_words(names)
    assert table.dtype == np.uint32
    assert table.tolist() == [[int(word) for word in name_words(name)] for name in names]
    np.testing.assert_array_equal(table, source_words([name.encode() for name in names]))
    assert source_words([]).shape == (0, 2)


def test_c2_the_keys_of_a_sample_have_golden_values():
    """A change of these is a change of every dataset ever made: a new schema_version."""
    assert [hex(word) for word in seed_key(0)] == ["0x6b200159", "0x99ba4efe"]
    assert [hex(word) for word in seed_key(2**64 - 1)] == GOLDEN_LAST_SEED
    copy = fold_in(source_key(7, name_words("train/roses/1.jpg")), words(3))
    assert [hex(word) for word in fold_in(copy, name_words("rotation"))] == GOLDEN_OP


GOLDEN_LAST_SEED = ["0x8a8003b", "0x75cb0abb"]
GOLDEN_OP = ["0xda178cae", "0xbba09590"]
