"""What lies in a tar and in an Example, by their structure alone."""

from __future__ import annotations

import io
import tarfile

import numpy as np
import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st

from pipelines.containers.examples import BadExample, features
from pipelines.containers.tar import BLOCK, DamagedTar, Member, Unended, members
from pipelines.format.example import entry_of_bytes, entry_of_floats, entry_of_numbers
from pipelines.format.example import features as example

NAMES = ("a.jpg", "deep/" * 40 + "b.jpg", "ü" * 90 + ".cls", "c" * 300 + ".json")


def tar_of(form: int, contents: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=form) as tar:
        folder = tarfile.TarInfo("deep")
        folder.type = tarfile.DIRTYPE
        tar.addfile(folder)
        for name, content in contents.items():
            about = tarfile.TarInfo(name)
            about.size = len(content)
            tar.addfile(about, io.BytesIO(content))
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, "a.jpg"
        tar.addfile(link)
    return file.getvalue()


def members_of(data: bytes) -> list[Member]:
    return list(members(lambda at, count: data[at : at + count], len(data)))


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_members_lie_where_the_tar_library_finds_them(form):
    names = NAMES[:2] if form == tarfile.USTAR_FORMAT else NAMES
    data = tar_of(form, {name: name.encode() * 7 for name in names})
    found = members_of(data)
    assert [one.kind for one in found] == ["folder", *["file"] * len(names), "other"]
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        expected = [(one.name.encode(), one.offset_data, one.size) for one in tar.getmembers()]
    assert [(one.name.rstrip(b"/"), one.offset, one.size) for one in found] == expected
    for member in found[1:-1]:
        assert data[member.offset : member.offset + member.size] == member.name * 7


def test_links_that_say_a_size_and_long_maps_of_holes_are_passed_as_the_tar_library_does():
    linked, holes = tarfile.TarInfo("linked"), tarfile.TarInfo("holes")
    linked.type, linked.linkname, linked.size = tarfile.LNKTYPE, "a", 700
    holes.type, holes.size = tarfile.GNUTYPE_SPARSE, BLOCK
    header = bytearray(holes.tobuf(tarfile.GNU_FORMAT))
    header[386:410], header[482] = b"%011o\0%011o\0" % (0, BLOCK), 1  # its map goes on
    header[483:495], header[148:156] = b"%011o\0" % BLOCK, b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    maps = (bytes(504) + b"\1").ljust(BLOCK, b"\0") + bytes(BLOCK)
    data = tar_of(tarfile.GNU_FORMAT, {"a": b"1" * 700})
    end = members_of(data)[-1].offset
    behind = tar_of(tarfile.GNU_FORMAT, {"b": b"2" * 700})
    data = data[:end] + linked.tobuf(tarfile.GNU_FORMAT) + header + maps + b"x" * BLOCK + behind
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        theirs = [(one.name.encode(), one.offset_data) for one in tar.getmembers()]
    assert [(one.name.rstrip(b"/"), one.offset) for one in members_of(data)] == theirs
    assert [name for name, _ in theirs][3:7] == [b"linked", b"holes", b"deep", b"b"]


def test_a_tar_that_was_cut_off_gives_its_whole_members_and_says_so():
    data = tar_of(tarfile.PAX_FORMAT, {"a": b"1" * 700, "ü": b"2" * 10})
    whole = members_of(data)
    for end in range(0, whole[-1].offset, 100):
        cut, found = io.BytesIO(data[:end]), list[Member]()
        with pytest.raises(DamagedTar):
            found.extend(members(lambda at, n, cut=cut: cut.getvalue()[at : at + n], end))
        assert found == whole[: len(found)]
        assert all(one.offset + one.size <= end for one in found)
    with pytest.raises(Unended, match="ends without the mark of an end"):
        members_of(data[: whole[-1].offset])


def test_a_damaged_header_is_told_from_the_end_of_a_tar():
    data = bytearray(tar_of(tarfile.GNU_FORMAT, {"a": b"1", "b": b"2"}))
    data[3 * BLOCK + 5] ^= 1
    with pytest.raises(DamagedTar, match="has no header at byte 1,536, where one is due"):
        members_of(bytes(data))


def test_features_are_read_whatever_their_order_and_form():
    tf = pytest.importorskip("tensorflow")
    their = tf.train.Example()
    their.features.feature["b"].bytes_list.value.extend([b"one", b""])
    their.features.feature["f"].float_list.value.extend([0.5, -1e30])
    their.features.feature["i"].int64_list.value.extend([0, -1, 2**63 - 1, -(2**63)])
    their.features.feature["none"].SetInParent()
    their.features.feature["empty"].int64_list.SetInParent()
    ours = example(
        entry_of_numbers(b"i", [0, -1, 2**63 - 1, -(2**63)])
        + entry_of_bytes(b"b", b"left behind")
        + entry_of_floats(b"f", np.array([0.5, -1e30]))
        + b"\n\x10\n\x01b\x12\x0b\n\x09\n\x03one\n\x00\x18\x01"  # the last counts; an unknown field
        + entry_of_numbers(b"empty", [])
        + b"\n\x08\n\x04none\x12\x00"
    )
    unpacked = b"\n\x12\n\x10\n\x01i\x12\x0b\x1a\x09\x08\x05\x08\xac\x02\x0a\x02\x01\x02"
    for data in (their.SerializeToString(), ours):
        found = features(data)
        assert set(found) == {"b", "f", "i", "none", "empty"}
        assert [data[begin:end] for begin, end in found["b"].spans()] == [b"one", b""]
        assert found["f"].floats().tolist() == [0.5, float(np.float32(-1e30))]
        assert found["i"].numbers() == [0, -1, 2**63 - 1, -(2**63)]
        assert found["empty"].numbers() == found["none"].numbers() == found["b"].numbers() == []
    assert features(unpacked)["i"].numbers() == [5, 300, 1, 2]
    assert tf.train.Example.FromString(unpacked).features.feature["i"].int64_list.value == [5, 300, 1, 2]


@given(
    st.dictionaries(
        st.text(max_size=3),
        st.one_of(
            st.lists(st.binary(max_size=5), max_size=3),
            st.lists(st.floats(width=32, allow_nan=False), max_size=3),
            st.lists(st.integers(-(2**63), 2**63 - 1), max_size=3),
        ),
        max_size=3,
    ),
    st.integers(0, 60),
    st.integers(0, 255),
)
def test_damaged_or_not_an_example_says_what_tensorflow_reads_in_it(wanted, place, byte):
    tf = pytest.importorskip("tensorflow")
    made = tf.train.Example()
    for name, values in wanted.items():
        kind = {bytes: "bytes_list", float: "float_list", int: "int64_list"}[type((values or [0])[0])]
        getattr(made.features.feature[name], kind).value.extend(values)
    data = bytearray(made.SerializeToString())
    if place < len(data):
        data[place] = byte
    try:
        theirs, found = tf.train.Example.FromString(bytes(data)), features(bytes(data))
    except (BadExample, DecodeError):
        assert place < len(data)
        return
    assert set(found) == set(theirs.features.feature)
    for name, feature in theirs.features.feature.items():
        ours = found[name]
        assert [data[slice(*span)] for span in ours.spans()] == list(feature.bytes_list.value)
        np.testing.assert_array_equal(ours.floats(), list(feature.float_list.value))
        assert ours.numbers() == list(feature.int64_list.value)


def test_a_feature_of_something_else_than_a_name_and_values_is_no_example():
    for entry in (b"\x08\0\x12\2\x1a\0", b"\n\1a\x12\2\x1a\0\x1a\0"):
        feature = b"\n" + bytes([len(entry)]) + entry
        with pytest.raises(BadExample, match="something else than a name and values"):
            features(b"\n" + bytes([len(feature)]) + feature)


def test_what_is_longer_than_what_holds_it_is_no_example():
    whole = example(entry_of_bytes(b"image", b"x" * 200))
    for end in range(1, len(whole)):
        with pytest.raises(BadExample):
            features(whole[:end])
