"""The corpus of the fuzzer, and small damage to it, in seconds: what it looks for holds for these."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest

from tests.fuzz.__main__ import NAMES
from tests.fuzz.corpus import seeds
from tests.fuzz.targets import TARGETS

_NUMBERS = (b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\xff\xff\xff\x7f", b"\x80\0\0\0")
_WORDS = (b"10000000000", b"-1", b"1e999", b'"../x"', b"[[[[", b"null", b"NaN")


def _damaged(data: bytes, chance: random.Random) -> bytes:
    """One of a few kinds of damage, with which any mutation of a file begins."""
    at = chance.randrange(len(data) + 1)
    kind = chance.randrange(5)
    if kind == 0:
        return data[:at]
    if kind == 1:
        return data[:at] + bytes([chance.randrange(256)]) + data[at + 1 :]
    if kind == 2:
        return data[:at] + chance.choice(_NUMBERS) + data[at + 4 :]
    if kind == 3:
        return data[:at] + data[at : at + 50] * chance.choice((0, 2, 40)) + data[at + 50 :]
    numbers = list(re.finditer(rb"\d+", data[:5000])) or [re.match(b"", data)]
    number = chance.choice(numbers)
    return data[: number.start()] + chance.choice(_WORDS) + data[number.end() :]


def test_the_command_knows_all_targets():
    assert tuple(TARGETS) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_what_must_hold_for_any_bytes_holds_for_the_corpus_and_damage_to_it(name):
    chance = random.Random(name)
    for data in seeds(name):
        TARGETS[name](data)
        for _ in range(20):
            TARGETS[name](_damaged(data, chance))


def test_every_seed_is_small():
    assert all(len(data) < 20_000 for name in NAMES for data in seeds(name))
    found = Path(__file__).parent / "found"
    assert {path.name for path in found.glob("*")} <= set(NAMES)
