"""From random words to parameters, by integers and look-ups alone.

No float is computed from a drawn value: `a + u * (b - a)` differs between
NumPy, TensorFlow and XLA in its last bit. A real parameter takes the upper 16
bits of its word as the index into a table of 65,536 values, which is computed
once in float64 NumPy and rounded. Entry i stands for the middle of the i-th of
65,536 equal parts of [0, 1), so a table's mean is exact and its ends are never
quite reached.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from augment.array_api import Array, cast, shift_right, take
from augment.keys import Words, threefry2x32

TABLE_SIZE = 1 << 16
_FIRES = 0xFFFFFFFF  # the counter kept for an op's `p`


@functools.cache
def quantiles() -> np.ndarray:
    """float64 [65536]: the middles of the equal parts of [0, 1)."""
    return (np.arange(TABLE_SIZE) + 0.5) / TABLE_SIZE


@functools.lru_cache(maxsize=256)
def table(function: Callable[..., np.ndarray], dtype: type[np.generic], *settings: float) -> np.ndarray:
    """The values of `function(quantiles, *settings)`, computed in float64, then rounded to `dtype`."""
    values = function(quantiles(), *settings)
    if np.issubdtype(dtype, np.integer):
        values = np.rint(values)
    values = values.astype(dtype)
    values.flags.writeable = False
    return values


def uniform_between(u: np.ndarray, low: float, high: float) -> np.ndarray:
    return low + u * (high - low)


Draw = dict[str, Any]
"""What was drawn for a block of samples: of a recipe, `draw[op id][parameter]`, arrays [...].

Of an op, its parameters by name; `applied`, bool, where it is not always applied; and, of
one that consists of ops, `ops`, where theirs are by id. A name with a leading underscore
is a working value, looked up with the same random words as a parameter; it is not recorded.
"""


def at(draw: Draw, place: Any) -> Draw:
    """What was drawn for a part of a block, such as one sample: `values[place]` of all arrays."""
    return {
        name: at(values, place) if isinstance(values, dict) else values[place]
        for name, values in draw.items()
    }


def each(draw: Draw, axes: int) -> Iterator[Draw]:
    """What was drawn for each sample of a block of so many axes, row by row, in less time than by `at`.

    Endless where nothing was drawn.
    """
    if not draw:
        return itertools.repeat({})
    values = [
        each(drawn, axes) if isinstance(drawn, dict) else drawn.reshape(-1, *drawn.shape[axes:])
        for drawn in draw.values()
    ]
    return map(dict, map(zip, itertools.repeat(tuple(draw)), zip(*values, strict=False)))


def flat(draw: Draw, within: tuple[str, ...] = ()) -> dict[tuple[str, ...], Array]:
    """All arrays of a draw by their path."""
    values: dict[tuple[str, ...], Array] = {}
    for name, value in draw.items():
        path = (*within, name)
        values |= flat(value, path) if isinstance(value, dict) else {path: value}
    return values


def nested(values: Mapping[tuple[str, ...], Array]) -> Draw:
    """The draw of which these are the arrays."""
    draw: Draw = {}
    for (*within, name), value in values.items():
        inner = draw
        for part in within:
            inner = inner.setdefault(part, {})
        inner[name] = value
    return draw


def recorded(draw: Draw, within: str = "") -> dict[str, Array]:
    """The columns of the samples table, `<path>.<parameter>`: all of a recipe's draw but working values.

    An op within others is known by its path, `one_of/rotation`.
    """
    columns: dict[str, Array] = {}
    for op_id, drawn in draw.items():
        path = within + op_id
        parameters = {n: v for n, v in drawn.items() if n != "ops" and not n.startswith("_")}
        columns |= {f"{path}.{name}": values for name, values in parameters.items()}
        columns |= recorded(drawn.get("ops", {}), f"{path}/")
    return columns


class Uniforms:
    """The random words of one op for a block of samples.

    `key` holds uint32 arrays [...], one key a sample; everything drawn has that
    shape. Counter j is the op's parameter j, so a parameter keeps its value when
    another is added after it.
    """

    def __init__(self, key: Words, known: Iterable[Array] = ()) -> None:
        self._key = key
        self._words: dict[int, Array] = dict(enumerate(known))
        self._expected = 0

    def expect(self, count: int) -> None:
        """Has `word` make those of the counters below in one go, which takes little longer than one."""
        self._expected = count

    def word(self, counter: int) -> Array:
        """uint32 [...]: 32 uniform bits."""
        if counter not in self._words:
            counters = range(self._expected) if counter < self._expected else (counter,)
            words = _first_words((self._key[0][np.newaxis], self._key[1][np.newaxis]), counters)[0]
            self._words |= {each: words[place] for place, each in enumerate(counters)}
        return self._words[counter]

    def words(self, first: int, count: int) -> Array:
        """uint32 [..., count]: `word` for so many counters in a row, in one go."""
        high, low = (word[..., np.newaxis] for word in self._key)
        counters = np.arange(first, first + count, dtype=np.uint32)
        return threefry2x32((high, low), (np.uint32(0), counters))[0]

    def index(self, counter: int) -> Array:
        """int32 [...] uniform in [0, 65536): the position in a table."""
        return cast(shift_right(self.word(counter), 16), np.int32)

    def real(self, counter: int, low: float, high: float) -> Array:
        """float32 [...] uniform in [low, high]."""
        return take(table(uniform_between, np.float32, low, high), self.index(counter))

    def integer(self, counter: int, count: int) -> Array:
        """int32 [...] uniform in [0, count), off by at most count / 2**32."""
        return cast(shift_right(cast(self.word(counter), np.int64) * count, 32), np.int32)

    def coin(self, counter: int, p: float) -> Array:
        """bool [...], true if and only if u < p for u = word / 2**32: never at 0, always at 1."""
        return cast(self.word(counter), np.int64) < math.ceil(p * 2**32)

    def fires(self, p: float) -> Array:
        """bool [...]: whether the op is applied at all."""
        return self.coin(_FIRES, p)


def uniforms_of_each(keys: Words) -> list[Uniforms]:
    """The random words for keys uint32 [ops, ...].

    Most ops take one or two, and all of these in one go take NumPy little longer than one op's.
    """
    count = keys[0].shape[0]
    words = _first_words(keys, range(2))
    return [Uniforms((keys[0][i], keys[1][i]), (words[i][0], words[i][1])) for i in range(count)]


def _first_words(keys: Words, counters: Sequence[int]) -> Array:
    """uint32 [ops, counters, ...], for keys [ops, ...]."""
    high, low = (word[:, np.newaxis] for word in keys)
    column = np.array(counters, np.uint32).reshape([-1, *[1] * (len(keys[0].shape) - 1)])
    return threefry2x32((high, low), (np.uint32(0), column))[0]
