"""Counter-based random numbers: who a sample is decides what is drawn for it.

The generator is Threefry-2x32 with 20 rounds (Salmon, Moraes, Dror and Shaw,
"Parallel random numbers: as easy as 1, 2, 3", SC'11), the one that JAX uses by
default. Why this one:

- It is a pure function of a key and a counter. Nothing is carried from one
  draw to the next, so order, batch size, worker and runner cannot matter.
- It is additions, rotations and exclusive-ors of 32-bit words: the same bits
  in NumPy, in a TensorFlow graph, under XLA and on a GPU, for ever.
  TensorFlow's own `stateless_*` generators promise nothing across versions.
- It passes BigCrush, and its authors published known answers to test against.

A key is a pair of uint32 words. Folding data into a key encrypts the data with
it, as `jax.random.fold_in` does; the key of an op is folded from seed, source,
copy and op id, in that order, and the op's parameter j is the first word of the
encryption of the counter (0, j).

Names become 64 bits by SHA-256, cut to its first 8 bytes, big-endian: any
language can recompute them.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterable, Sequence

import numpy as np

from augment.array_api import Array, cast, is_numpy, tf
from augment.errors import RequestError

Words = tuple[Array, Array]
"""64 bits as two uint32 arrays (high, low) that broadcast against each other."""

_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
_PARITY = np.uint32(0x1BD11BDA)
# As arrays, for NumPy makes one of every number it meets, which takes as long as what is done with it.
_TURNS = [
    [(np.array(turn, np.uint32), np.array(32 - turn, np.uint32)) for turn in four] for four in _ROTATIONS
]
_BLOCKS = [np.array(number, np.uint32) for number in range(1, 6)]


def threefry2x32(key: Words, counter: Words) -> Words:
    """Encrypts a counter: Threefry-2x32, 20 rounds, on NumPy or TensorFlow uint32 arrays."""
    if all(map(is_numpy, (*key, *counter))):
        return _encrypt_in_place(*key, *counter)
    given = [tf.convert_to_tensor(word) for word in (*key, *counter)]
    encrypted = _traced()(*given)
    shape = functools.reduce(tf.broadcast_static_shape, (word.shape for word in given))
    for word in encrypted:
        word.set_shape(shape)
    return encrypted


def _encrypt_in_place(key0: Array, key1: Array, counter0: Array, counter1: Array) -> Words:
    """`_encrypt` in NumPy, whose calls, for a block of samples, take most of the time."""
    schedule = (key0, key1, key0 ^ key1 ^ _PARITY)
    shape = np.broadcast_shapes(*map(np.shape, (key0, key1, counter0, counter1)))
    x0, x1, part = np.empty(shape, np.uint32), np.empty(shape, np.uint32), np.empty(shape, np.uint32)
    np.add(key0, counter0, x0)
    np.add(key1, counter1, x1)
    for block, number in enumerate(_BLOCKS):
        for left, right in _TURNS[block % 2]:
            np.add(x0, x1, x0)  # to where it goes by position, which NumPy takes sooner than by name
            np.left_shift(x1, left, part)
            np.right_shift(x1, right, x1)
            np.bitwise_or(x1, part, x1)
            np.bitwise_xor(x1, x0, x1)
        np.add(x0, schedule[(block + 1) % 3], x0)
        np.add(x1, np.add(schedule[(block + 2) % 3], number), x1)
    return x0, x1


@functools.cache
def _traced() -> tf.types.experimental.GenericFunction:
    """`_encrypt` as one node of a graph: a recipe draws dozens of times, and building hundreds
    of nodes for each would take live training seconds a dataset."""
    any_shape = tf.TensorSpec(None, tf.uint32)
    return tf.function(_encrypt, input_signature=[any_shape] * 4, autograph=False)


def _encrypt(key0: tf.Tensor, key1: tf.Tensor, counter0: tf.Tensor, counter1: tf.Tensor) -> Words:
    """All blocks of rounds but the first are a loop, into which XLA merges nothing: else it would write
    them out anew for whatever takes a word, and again within those of the next key, for minutes."""
    schedule = key0, key1, key0 ^ key1 ^ _PARITY
    nothing = (key0 ^ key0) + (key1 ^ key1) + (counter0 ^ counter0) + (counter1 ^ counter1)  # of all shapes

    def two_blocks(
        number: tf.Tensor, x0: tf.Tensor, x1: tf.Tensor, one: tf.Tensor, two: tf.Tensor, three: tf.Tensor
    ) -> tuple[tf.Tensor, ...]:
        x0, x1 = _block(1, x0, x1, one, two + number)
        x0, x1 = _block(0, x0, x1, two, three + number + np.uint32(1))
        return number + np.uint32(2), x0, x1, three, one, two

    begun = _block(
        0, key0 + counter0 + nothing, key1 + counter1 + nothing, schedule[1], schedule[2] + np.uint32(1)
    )
    state = (tf.constant(2, tf.uint32), *begun, schedule[2], schedule[0], schedule[1])
    shapes = (tf.TensorShape([]), *[tf.TensorShape(None)] * 5)
    _, x0, x1, *_ = tf.while_loop(lambda number, *_: number < 6, two_blocks, state, shape_invariants=shapes)
    return x0, x1


def _block(odd: int, x0: tf.Tensor, x1: tf.Tensor, inject0: tf.Tensor, inject1: tf.Tensor) -> Words:
    """Four rounds, and the injection of the key behind them."""
    for rotation in _ROTATIONS[odd]:
        x0 = x0 + x1
        left, right = (tf.constant(turn, tf.uint32) for turn in (rotation, 32 - rotation))
        x1 = (tf.bitwise.left_shift(x1, left) | tf.bitwise.right_shift(x1, right)) ^ x0
    return x0 + inject0, x1 + inject1


def fold_in(key: Words, data: Words) -> Words:
    """The key of `data` under `key`; folding is not commutative."""
    return threefry2x32(key, data)


def fold_in_each(key: Words, names: Sequence[str]) -> Words:
    """The keys [names, ...] of some names under a key [...], in one go."""
    high, low = np.array([name_words(name) for name in names], np.uint32).T
    rank = len(np.shape(key[0]))
    data = (word.reshape([-1, *[1] * rank]) for word in (high, low))
    return fold_in((key[0][np.newaxis], key[1][np.newaxis]), (next(data), next(data)))


def words(value: int) -> tuple[np.uint32, np.uint32]:
    """A Python integer in [0, 2**64) as (high, low)."""
    return np.uint32(value >> 32), np.uint32(value & 0xFFFFFFFF)


@functools.cache
def seed_key(seed: int) -> Words:
    """The root of all draws, for a seed in [0, 2**64)."""
    zero = np.uint32(0)
    return fold_in((zero, zero), words(seed))


def name_bits(name: str) -> int:
    """A name (a source id, an op id) as 64 bits: the first 8 bytes of its SHA-256."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")


@functools.cache
def name_words(name: str) -> tuple[np.uint32, np.uint32]:
    return words(name_bits(name))


def source_words(sources: Iterable[str | bytes]) -> np.ndarray:
    """Source ids as a uint32 array [n, 2] of (high, low) words of their 64 bits.

    Raises RequestError for a single id, which would be taken for as many as it has letters.
    """
    if isinstance(sources, (str, bytes)):
        raise RequestError(f"the sources are {sources!r}; they must be a list of ids, such as [{sources!r}]")
    digests = b"".join(
        hashlib.sha256(source.encode() if isinstance(source, str) else source).digest()[:8]
        for source in sources
    )
    return np.frombuffer(digests, ">u4").astype(np.uint32).reshape(-1, 2)


def source_key(seed: int, source: Words) -> Words:
    """The key of a source, from which the keys of its copies are folded."""
    return fold_in(seed_key(seed), source)


def sample_key(seed: int, source: Words, copy: Array) -> Words:
    """The keys of samples, from which those of ops are folded: of sources in copies, whole numbers [...]."""
    low = cast(copy, np.uint32)
    return fold_in(source_key(seed, source), (low ^ low, low))


def check_seed(seed: int) -> int:
    """Raises RequestError for what is no seed of an augmentation."""
    if not (isinstance(seed, (int, np.integer)) and 0 <= seed < 2**64):
        raise RequestError(f"seed is {seed!r}; it must be a whole number from 0 to 2**64 - 1")
    return int(seed)
