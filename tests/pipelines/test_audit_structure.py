"""How records are told from rows, and a damaged shard is read as far as it goes."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.audit.align import align, longest_rising
from pipelines.audit.findings import KEPT, Audit, Finding, Findings
from pipelines.format.example import Record, serialize, unpack
from pipelines.format.records import ShardReader, ShardWriter, framed
from pipelines.report.audit.summary import as_text

NAMES = list("abcdefgh")
orders = st.permutations(NAMES)


def test_what_is_in_order_is_all_pairs():
    found = align(NAMES, NAMES, whole=True)
    assert found.pairs == [(i, i) for i in range(8)]
    assert [found.repeated, found.stray, found.missing, found.moved] == [[], [], [], []]


def test_one_record_moved_is_one_finding_and_not_seven():
    assert align(list("bcdefgha"), NAMES, whole=True).moved == [(7, 0)]
    assert align(list("habcdefg"), NAMES, whole=True).moved == [(0, 7)]


@given(st.lists(st.sampled_from([*NAMES, "x", "y"]), max_size=14), st.integers(0, 8))
def test_every_record_and_every_row_is_accounted_for_once(found, rows_there):
    expected = NAMES[:rows_there]
    alignment = align(found, expected, whole=True)
    paired, rows = [n for n, _ in alignment.pairs], [row for _, row in alignment.pairs]
    assert sorted(paired + alignment.repeated + alignment.stray) == list(range(len(found)))
    assert sorted(rows + alignment.missing) == list(range(len(expected)))
    assert all(found[number] == expected[row] for number, row in alignment.pairs)
    assert set(alignment.moved) <= set(alignment.pairs)
    left = [row for pair in alignment.pairs if pair not in alignment.moved for row in pair[1:]]
    assert left == sorted(left)


@given(orders)
def test_the_rising_positions_rise_and_none_can_be_added(order):
    values = [NAMES.index(name) for name in order]
    kept = sorted(longest_rising(values))
    rising = [values[position] for position in kept]
    assert rising == sorted(rising)
    for position in set(range(8)) - set(kept):
        longer = [values[p] for p in sorted([*kept, position])]
        assert longer != sorted(longer)


def test_a_record_that_cannot_be_read_is_taken_for_its_rows():
    found = align(["a", None, "c"], ["a", "b", "c"], whole=True)
    assert found.pairs == [(0, 0), (1, 1), (2, 2)]
    found = align(["a", None, "b"], ["a", "b", "c"], whole=True)  # the row of its number is another's
    assert found.pairs == [(0, 0), (2, 1)]
    assert found.missing == [2]


def test_rows_behind_the_end_of_a_truncated_shard_are_not_missing_one_by_one():
    assert align(["a", "b"], NAMES, whole=False).missing == []


@pytest.fixture
def shard(tmp_path) -> Path:
    with ShardWriter(str(tmp_path / "writing")) as writer:
        for data in (b"one", b"", b"three"):
            writer.write(framed(data))
        writer.finish()
        return (tmp_path / "writing").rename(tmp_path / "shard")


def test_a_sound_shard_is_read_whole(shard):
    reader = ShardReader(str(shard), SIZE)
    assert [(frame.data, frame.sound) for frame in reader] == [(b"one", True), (b"", True), (b"three", True)]
    assert not reader.damage
    content = shard.read_bytes()
    assert (reader.size, reader.sha256) == (len(content), hashlib.sha256(content).hexdigest())


def test_the_place_of_a_record_is_where_its_data_begin(shard):
    content = shard.read_bytes()
    for frame in ShardReader(str(shard), SIZE):
        assert content[frame.start :].startswith(frame.data)


def test_a_flipped_bit_is_seen_wherever_it_is(shard):
    content = shard.read_bytes()
    for bit in range(8 * len(content)):
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << bit % 8
        shard.write_bytes(flipped)
        reader = ShardReader(str(shard), SIZE)
        frames = list(reader)
        assert reader.damage or not all(frame.sound for frame in frames), bit
        assert reader.sha256 == hashlib.sha256(flipped).hexdigest()  # of all of it, damaged or not


@pytest.mark.parametrize("cut", [1, 4, 6, 20])
def test_a_shard_that_ends_too_early_says_so(shard, cut):
    shard.write_bytes(shard.read_bytes()[:-cut])
    reader = ShardReader(str(shard), SIZE)
    assert [frame.data for frame in reader] == [b"one", b""]
    assert reader.damage.startswith("the file ends within the")


SIZE = (4, 4)
RECORD = Record(image=b"pixels", label=2, source="a/ä.png", copy=-1)


def test_a_record_is_unpacked_to_what_was_packed():
    assert unpack(serialize(**RECORD._asdict())) == RECORD


@pytest.mark.parametrize("data", [b"", b"\xff", serialize(**RECORD._asdict()) + b"\x00", b"\x0a\x00"])
def test_bytes_that_serialize_does_not_make_are_no_record(data):
    assert unpack(data) is None


def test_findings_are_counted_without_end_and_kept_with_one():
    findings = Findings()
    for number in range(KEPT + 5):
        findings.add(Finding("crc", "damaged", "shard", number))
    findings.add(Finding("digest", "another", "shard"))
    assert len(findings) == KEPT + 6
    assert findings.counts == {"crc": KEPT + 5, "digest": 1}
    assert len(list(findings)) == KEPT + 1


@pytest.mark.parametrize(
    ("finding", "where"),
    [
        (Finding("crc", "", "shard", 3, "a.png", 0), "shard record 3, a.png, copy 0"),
        (Finding("digest", "", "shard"), "shard"),
        (Finding("vanished", "", source="a.png"), "a.png"),
        (Finding("label", "", "shard", 0, "a.png", -1), "shard record 0, a.png"),
        (Finding("listing", ""), ""),
    ],
)
def test_a_finding_says_where_it_is_as_far_as_it_knows(finding, where):
    assert finding.where == where


def test_no_kind_hides_behind_hundreds_of_another():
    audit = Audit("out", None)
    for number in range(300):
        audit.findings.add(Finding("crc", "damaged", "shard", number))
    audit.findings.add(Finding("leak", "the same image is in two splits"))
    text = as_text(audit, json=None, report=None)
    assert "verdict  301 findings" in text
    assert "leak  the same image is in two splits" in text
    assert "and 281 more; --json FILE has them" in text
