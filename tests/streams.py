"""The stream of random words that a row of an image has, in Python's own integers."""

from __future__ import annotations

import numpy as np

_ALL = 0xFFFFFFFF


def lowbias32(x: int, within: int = 0) -> int:
    x = (x ^ x >> 16) * 0x7FEB352D & _ALL
    x = ((x ^ x >> 15) + within) * 0x846CA68B & _ALL
    return x ^ x >> 16


def word(key: tuple[int, int], row: int, number: int) -> int:
    a = lowbias32(key[0] + row & _ALL)
    return lowbias32(a + number * 0x9E3779B9 & _ALL, within=a ^ key[1])


def stream(key: tuple[int, int], rows: int, count: int) -> np.ndarray:
    """uint8 [rows, count]: the bytes of each row's words in turn, the lowest of a word first."""
    words = [[word(key, row, number) for number in range(-(-count // 4))] for row in range(rows)]
    return np.array(words, "<u4").view(np.uint8)[:, :count]
