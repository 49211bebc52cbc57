"""Packets: what goes in comes out, by its key, whether it travels or waits."""

from __future__ import annotations

import os
import pickle
import tempfile
from collections import defaultdict
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines import packets
from pipelines.packets import Packets, things_of
from pipelines.sources import Ignored, Source

THINGS = st.one_of(
    st.tuples(st.integers(), st.text(), st.binary(max_size=300)),
    st.builds(Source, st.text(), st.just("train"), st.text(), st.integers(0, 9)),
    st.builds(Ignored, st.text()),
)


@given(st.lists(st.tuples(st.integers(0, 3), THINGS)), st.integers(0, 500), st.booleans())
def test_what_goes_in_comes_out_by_its_key_in_its_order(given, held, waits):
    with tempfile.TemporaryDirectory() as folder, patch.object(packets, "_HELD", held):
        taking = Packets[int](folder if waits else "")
        handed = [pair for key, thing in given for pair in taking.add(key, thing, 30)]
        handed += list(taking.rest())
        assert list(taking.rest()) == []
        found, expected = defaultdict(list), defaultdict(list)
        for key, packet in handed:
            found[key] += things_of([packet])
        for key, thing in given:
            expected[key].append(thing)
        assert found == expected
        assert [type(thing) for key in found for thing in found[key]] == [
            type(thing) for key in found for thing in expected[key]
        ]
        assert bool(os.listdir(folder)) == (waits and bool(given))


def test_c8_of_what_waits_nothing_travels_but_its_place(tmp_path):
    taking = Packets[str](str(tmp_path))
    thing = ("a", os.urandom(1 << 16))
    [*early] = [pair for _ in range(100) for pair in taking.add("key", thing, 1 << 16)]
    handed = [*early, *taking.rest()]
    assert early  # it hands on before it holds all
    assert max(len(packet) for _, packet in handed) < 120 + len(str(tmp_path))
    assert list(things_of(packet for _, packet in handed)) == [thing] * 100


def test_no_room_for_what_waits_is_an_error_that_names_the_file(tmp_path, monkeypatch):
    taking = Packets[str](str(tmp_path))
    assert list(taking.add("key", ("a", 1), 1)) == []
    full = tmp_path / "full"
    full.symlink_to("/dev/full")
    monkeypatch.setattr(taking, "_file", str(full))
    with pytest.raises(OSError, match=f"No space left on device: '{full}'"):
        list(taking.rest())


def test_a_packet_of_nothing_holds_nothing():
    assert list(things_of([pickle.dumps([]), pickle.dumps([])])) == []
