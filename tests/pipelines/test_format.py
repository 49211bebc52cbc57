"""The files of a dataset: records, TFDS's metadata, the samples table, the manifest."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds
from google.protobuf import json_format
from hypothesis import given
from hypothesis import strategies as st

from augment import codec
from augment.augmenter import Augmenter
from augment.errors import RequestError
from augment.keys import source_words
from augment.parity import parity_class
from augment.recipe import Shape, Storage, load_recipe, parse_recipe
from pipelines import storage
from pipelines.format import tfds as ours
from pipelines.format.example import Record, serialize, unpack
from pipelines.format.layout import samples_file, shard_file, tfds_split
from pipelines.format.manifest import json_text, read_manifest
from pipelines.format.parsing import parse
from pipelines.format.records import ShardWriter, framed
from pipelines.format.samples import Receipt, read_receipt, schema
from pipelines.sources import Reject
from tests.forgery import write_samples

FORMATS = ("png", "jpeg", "raw")
CLASSES = 3
NAMES = [f"class {i}" for i in range(CLASSES)]


def their_features(storage: Storage, shape: Shape) -> tfds.features.FeaturesDict:
    """The same features as a user of TFDS would declare them."""
    if storage.format == "raw":
        image = tfds.features.Tensor(shape=shape, dtype=np.uint8, encoding="bytes")
    else:
        image = tfds.features.Image(shape=shape, encoding_format=storage.format)
    return tfds.features.FeaturesDict(
        {
            "image": image,
            "label": tfds.features.ClassLabel(num_classes=CLASSES),
            "source": tfds.features.Text(),
            "copy": tfds.features.Scalar(np.int64),
        }
    )


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("stored", FORMATS)
def test_features_json_is_what_tfds_writes_itself(stored, channels):
    storage, shape = Storage(format=stored), (40, 56, channels)
    expected = json_format.MessageToDict(their_features(storage, shape).to_proto())
    assert ours.features(shape, storage, NAMES) == expected


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("stored", FORMATS)
def test_a_record_is_read_by_tf_io_and_by_tfds_alike(photo, stored, channels):
    storage, photo = Storage(format=stored), photo[..., :channels]
    encoded = codec.encode(photo, storage)
    record = serialize(image=encoded, label=2, source="a/ä b.png", copy=-1)
    parsed = parse(tf.constant(record), storage, photo.shape)
    mine = {name: value.numpy() for name, value in parsed.items()}
    theirs = their_features(storage, photo.shape).deserialize_example(tf.constant(record))
    assert mine.keys() == theirs.keys()
    for name, value in theirs.items():
        np.testing.assert_array_equal(mine[name], value.numpy())
    assert mine["label"] == 2
    assert mine["source"].decode() == "a/ä b.png"
    assert mine["copy"] == -1
    np.testing.assert_array_equal(mine["image"], codec.round_trip(photo, storage))


@given(
    st.binary(max_size=300), st.integers(-(2**63), 2**63 - 1), st.text(), st.integers(-1, 2**31), st.data()
)
def test_only_bytes_that_are_written_so_are_a_record(image, label, source, copy, data):
    source = source.encode(errors="ignore").decode()
    record = serialize(image=image, label=label, source=source, copy=copy)
    assert unpack(record) == Record(image, label, source, copy)
    at, new = data.draw(st.integers(0, len(record))), data.draw(st.binary(max_size=2))
    other = record[:at] + new + record[at + data.draw(st.integers(0, 2)) :]
    found = unpack(other)
    assert found is None or serialize(**found._asdict()) == other


@given(st.binary(), st.integers(0, 2**31), st.text(), st.integers(-1, 2**31))
def test_c4_a_record_is_the_same_bytes_every_time(image, label, source, copy):
    record = serialize(image=image, label=label, source=source, copy=copy)
    assert record == serialize(image=image, label=label, source=source, copy=copy)
    feature = tf.train.Example.FromString(record).features.feature
    assert feature["image"].bytes_list.value[:] == [image]
    assert feature["label"].int64_list.value[:] == [label]
    assert feature["source"].bytes_list.value[:] == [source.encode()]
    assert feature["copy"].int64_list.value[:] == [copy]


def test_a_shard_is_an_ordinary_tfrecord_file_with_its_size_and_digest(tmp_path):
    path = str(tmp_path / "shard")
    with ShardWriter(path) as writer:
        for record in (b"one", b"", b"three"):
            writer.write(framed(record))
        size, digest = writer.finish()
        assert writer.records == 3
        assert (size, digest) == ((tmp_path / "shard").stat().st_size, storage.at(path).digest())
        read = [record.numpy() for record in tf.data.TFRecordDataset(path)]
    assert read == [b"one", b"", b"three"]


def test_a_shard_has_the_bytes_that_tensorflow_writes(tmp_path):
    records = [bytes([i % 256]) * (i * 7919 % 700_000) for i in range(12)]
    with tf.io.TFRecordWriter(str(tmp_path / "theirs")) as theirs:
        for record in records:
            theirs.write(record)
    with ShardWriter(str(tmp_path / "ours")) as ours:
        for record in records:
            ours.write(framed(record))
        ours.finish()
        assert (tmp_path / "ours").read_bytes() == (tmp_path / "theirs").read_bytes()


def test_a_shard_that_was_not_finished_is_removed(tmp_path):
    with ShardWriter(str(tmp_path / "shard")) as writer:
        writer.write(framed(b"one"))
    assert list(tmp_path.iterdir()) == []


def test_dataset_info_leaves_out_splits_without_records():
    info = ours.dataset_info("x", {"train_c0": [(2, 30), (0, 0)], "test": [(0, 0)]})
    assert info["splits"] == [
        {
            "name": "train_c0",
            "filepathTemplate": "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}",
            "shardLengths": ["2", "0"],
            "numBytes": "30",
        }
    ]


def test_dataset_info_says_in_words_which_split_holds_what():
    two, plain = {"train_c0": [(2, 9)], "train_c1": [(2, 9)]}, {"test": [(1, 9)], "train": [(2, 9)]}
    without = ours.dataset_info("x", two)["description"]
    assert without.startswith("train_c0 to train_c1: augmented copies of the images of train")
    assert "There is no split train:" in without
    assert "--include-originals" in without
    with_originals = ours.dataset_info("x", two | plain)["description"]
    assert "train: the same images, brought to size and not augmented." in with_originals
    assert "test: images brought to size and not augmented." in with_originals
    assert "There is no split" not in with_originals


def test_dataset_info_is_understood_by_tfds(tmp_path):
    storage = Storage()
    labels = ["a", "b", "c"]
    (tmp_path / "dataset_info.json").write_text(
        json_text(ours.dataset_info("x", {"train_c0": [(1, 9), (2, 9)]}))
    )
    (tmp_path / "features.json").write_text(json_text(ours.features((4, 5, 3), storage, NAMES)))
    (tmp_path / "label.labels.txt").write_text("".join(f"{label}\n" for label in labels))
    info = tfds.builder_from_directory(str(tmp_path)).info
    assert "There is no split train" in info.description
    assert (info.name, str(info.version)) == ("x", "1.0.0")
    assert info.splits["train_c0"].num_examples == 3
    assert info.splits["train_c0"].filenames == [
        shard_file("x", "train", 0, 0, 2),
        shard_file("x", "train", 0, 1, 2),
    ]
    assert info.features["label"].names == labels
    assert info.features["image"].shape == (4, 5, 3)
    assert info.supervised_keys == ("image", "label")


def test_the_names_of_files():
    assert tfds_split("train", 3) == "train_c3"
    assert tfds_split("test", -1) == "test"
    assert shard_file("x", "train", 0, 1, 8) == "x-train_c0.tfrecord-00001-of-00008"
    assert samples_file("test", -1, 0, 1) == "samples/test-00000-of-00001.parquet"


RECIPE = """
ops:
  - resize: {height: 20, width: 24}
  - flip: {horizontal: 0.5, vertical: 0.5}
  - rotation: {factor: 0.2, p: 0.5}
  - brightness: {delta: 0.2}
  - brightness: {id: again, delta: 0.1, p: 0.3}
"""


def receipt_of(**changes) -> Receipt:
    given = {
        "fingerprint": "f" * 64,
        "split": "train",
        "copy": 0,
        "shard": 1,
        "file": "x-train_c0.tfrecord-00001-of-00002",
        "bytes": 123,
        "sha256": "0" * 64,
        "records": 4,
        "parity_class": parity_class(),
        "sources": "2" * 64,
        "rejects": (Reject("a/ü.png", "corrupt", 'it says "no"'),),
    }
    return Receipt(**{**given, **changes})


def columns_of(augmenter: Augmenter, sources: list[str], copy: int) -> dict:
    count = len(sources)
    drawn = augmenter.recorded(augmenter.draw_copies(source_words(sources), copy))
    names = [name for name in schema(augmenter.recipe).names if "." in name]
    return {
        "split": ["train"] * count,
        "copy": [copy] * count,
        "shard": [1] * count,
        "record": range(count),
        "source": sources,
        "label": [0] * count,
        "class": ["a"] * count,
        "source_sha256": ["0" * 64] * count,
        "source_height": [9] * count,
        "source_width": [9] * count,
        "pixels_blake3": ["1" * 64] * count,
        **(drawn or {name: [None] * count for name in names}),
    }


def test_the_samples_table_has_a_column_for_every_drawn_parameter(tmp_path):
    augmenter = Augmenter(parse_recipe(RECIPE, name="test"), 5)
    sources = [f"a/{number}.png" for number in range(50)]
    path = str(tmp_path / "samples.parquet")
    write_samples(path, columns_of(augmenter, sources, 3), schema(augmenter.recipe), receipt_of())
    table = pq.read_table(path)
    words = source_words(sources)
    wanted = augmenter.recorded(augmenter.draw((words[:, 0], words[:, 1]), np.full(50, 3, np.int32)))
    assert {name for name in table.column_names if "." in name} == wanted.keys()
    assert {"flip.horizontal", "rotation.applied", "again.applied", "again.delta"} <= wanted.keys()
    for name, values in wanted.items():
        np.testing.assert_array_equal(table[name].to_numpy(), values, err_msg=name)
        assert table.schema.field(name).type == pa.from_numpy_dtype(values.dtype)
    assert not any(table.schema.field(name).nullable for name in table.column_names if "." not in name)


def test_parameters_are_null_where_nothing_was_drawn(tmp_path):
    augmenter = Augmenter(parse_recipe(RECIPE, name="test"), 5)
    path = str(tmp_path / "samples.parquet")
    write_samples(path, columns_of(augmenter, ["a/1.png"], -1), schema(augmenter.recipe), receipt_of(copy=-1))
    table = pq.read_table(path)
    assert all(table[name].null_count == 1 for name in table.column_names if "." in name)


def test_c4_a_samples_file_is_the_same_bytes_every_time(tmp_path):
    for name in ("one", "two"):
        augmenter = Augmenter(parse_recipe(RECIPE, name="test"), 5)
        columns = columns_of(augmenter, [f"a/{i}.png" for i in range(300)], 0)
        write_samples(str(tmp_path / name), columns, schema(augmenter.recipe), receipt_of())
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


@pytest.mark.parametrize("changes", [{}, {"rejects": ()}, {"copy": -1, "records": 0, "bytes": 0}])
def test_a_receipt_is_read_as_it_was_written(tmp_path, changes):
    augmenter = Augmenter(load_recipe("cifar10"), 0)
    path, receipt = str(tmp_path / "samples.parquet"), receipt_of(**changes)
    write_samples(path, columns_of(augmenter, [], 0), schema(augmenter.recipe), receipt)
    assert read_receipt(path) == receipt


def _half(whole: bytes) -> bytes:
    return whole[: len(whole) // 2]


@pytest.mark.parametrize(
    "damage",
    [
        _half,
        lambda whole: b"",
        lambda whole: b"PAR1 is not all PAR1",
        lambda whole: whole[:-20] + b"\xff" * 12 + whole[-8:],
        lambda whole: whole[:-8] + b"\xff\xff\xff\x7fPAR1",
    ],
    ids=["half", "empty", "other", "footer", "length"],
)
def test_a_file_that_is_no_receipt_is_none(tmp_path, damage):
    augmenter = Augmenter(load_recipe("cifar10"), 0)
    path = tmp_path / "samples.parquet"
    write_samples(str(path), columns_of(augmenter, [], 0), schema(augmenter.recipe), receipt_of())
    path.write_bytes(damage(path.read_bytes()))
    assert read_receipt(str(path)) is None


@pytest.mark.parametrize(
    "footer", [None, b"", b"3", b"[]", b"{}", b'{"rejects": 1}', b'{"rejects": [], "x": 1}', b"\xff"]
)
def test_a_parquet_file_of_somebody_else_is_no_receipt(tmp_path, footer):
    path = str(tmp_path / "samples.parquet")
    metadata = None if footer is None else {b"augshard": footer}
    pq.write_table(pa.table({"a": [1]}).replace_schema_metadata(metadata), path)
    assert read_receipt(path) is None


def test_a_file_that_is_not_there_is_no_receipt(tmp_path):
    assert read_receipt(str(tmp_path / "gone.parquet")) is None
    assert read_receipt(str(tmp_path)) is None


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            None,
            "{directory}: it holds no manifest.json, so it is no finished dataset; "
            "finish it with the same augshard materialize",
        ),
        ("[]", "{path}: it is no manifest of augshard's, for it has no schema_version"),
        ('{"schema_version": 99}', "{path}: its schema_version is 99; this augshard reads version 1"),
        ('{"schema_version": 1}', "{path}: it is damaged at 'fingerprint' (field required)"),
    ],
)
def test_c7_a_manifest_that_cannot_be_used_is_a_clear_sentence(tmp_path, text, sentence):
    path = tmp_path / "manifest.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(RequestError) as error:
        read_manifest(str(tmp_path))
    assert str(error.value) == sentence.format(directory=tmp_path, path=path)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe"])
def test_a_manifest_that_is_no_json_is_a_clear_sentence(tmp_path, content):
    path = tmp_path / "manifest.json"
    path.write_bytes(content)
    with pytest.raises(RequestError, match=r"manifest\.json: it cannot be read"):
        read_manifest(str(tmp_path))
    with pytest.raises(RequestError, match="it is not a directory"):
        read_manifest(str(path))


def test_json_is_sorted_and_ends_in_a_line_break():
    text = json_text({"b": 1, "a": "ä"})
    assert text == '{\n "a": "ä",\n "b": 1\n}\n'
    assert json.loads(text) == {"a": "ä", "b": 1}
