"""Exports are read by what their formats are made for, pixels and labels equal; complete or absent."""

from __future__ import annotations

import glob
import hashlib
import importlib.metadata
import io
import json
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds
from PIL import Image

from pipelines import datasets
from pipelines.export import commit
from pipelines.export.formats import Format
from pipelines.export.known import FORMATS
from pipelines.format.example import unpack
from pipelines.format.manifest import read_manifest

Samples = list[tuple[str, int, int, bytes]]
SHARDS = ("--copies", 2, "--shards", 3, "--include-originals")
EVERY = ["arrayrecord", "folders", "parquet", "webdataset"]
"""Those for any dataset; see test_export_annotated.py for the others."""


@pytest.fixture(scope="module", params=["png", "jpeg", "raw"])
def storage(request) -> str:
    return request.param


@pytest.fixture(scope="module")
def out(materialize, images, storage) -> Path:
    """20 sources of train in copies -1, 0 and 1, and 6 of test, in three shards each."""
    return materialize(images, *SHARDS, storage=storage)


@pytest.fixture(scope="module")
def exported(run_command, tmp_path_factory) -> Callable[..., Path]:
    """Exports a dataset; each request is run once."""
    done: dict[tuple[object, ...], Path] = {}

    def run(out: Path, to: str, *options: object, into: Path | None = None) -> Path:
        if into is None and (out, to, options) in done:
            return done[out, to, options]
        output = into or tmp_path_factory.mktemp("exports") / to
        ended = run_command("export", out, "--to", to, "--output", output, *options)
        assert ended.status == 0, ended.err
        return done.setdefault((out, to, options), output) if into is None else output

    return run


@pytest.fixture(scope="module")
def png(materialize, images) -> Path:
    return materialize(images, *SHARDS)


def stored(out: Path, split: str, copies: Iterable[int] = (-1, 0, 1), *, decode: bool = True) -> Samples:
    """What is in the shards, sorted; of JPEG the levels of the accurate transform, as Pillow decodes."""
    found = []
    for copy in copies:
        samples = datasets.numpy(str(out), split=split, copies=[copy])
        for sample, record in zip(samples, samples.records(np.arange(len(samples))), strict=True):
            image = unpack(record).image
            lossy = image.startswith(b"\xff\xd8")
            pixels = np.asarray(Image.open(io.BytesIO(image))) if lossy and decode else sample["image"]
            found.append((sample["source"], int(sample["label"]), copy, pixels.tobytes()))
    return sorted(found)


def of_name(path: str, split: str) -> tuple[str, int]:
    """The source and the copy of `.../train/cat/001__c1.png`."""
    _, label, name = path.rsplit("/", 2)
    stem, _, copy = name.rpartition(".")[0].rpartition("__")
    number = int(stem)
    copy = -1 if copy == "original" else int(copy.removeprefix("c"))
    return f"{split}/{label}/{number:03}.{'jpg' if number % 2 else 'png'}", copy


def test_keras_reads_folders(out, exported):
    to = exported(out, "folders")
    for split in ("train", "test"):
        read = tf.keras.utils.image_dataset_from_directory(
            str(to / split), image_size=(20, 24), batch_size=None, shuffle=False, verbose=False
        )
        assert read.class_names == ["cat", "dog"]
        found = []
        for path, (image, label) in zip(read.file_paths, read.as_numpy_iterator(), strict=True):
            source, copy = of_name(path, split)
            assert (image == image.astype(np.uint8)).all()
            found.append((source, int(label), copy, image.astype(np.uint8).tobytes()))
        copies = (-1, 0, 1) if split == "train" else (-1,)
        assert sorted(found) == stored(out, split, copies, decode=False)


def test_webdataset_reads_tars(out, exported):
    webdataset = pytest.importorskip("webdataset", reason="webdataset is not installed")
    to = exported(out, "webdataset")
    found: dict[str, Samples] = {"train": [], "test": []}
    paths = sorted(glob.glob(f"{to}/*.tar"))
    for sample in webdataset.WebDataset(paths, shardshuffle=False).decode("rgb8"):
        about = sample["json"]
        assert sample["cls"] == about["label"] == ["cat", "dog"].index(about["class"])
        pixels = sample["jpg" if "jpg" in sample else "png"].tobytes()
        split = about["file"].partition("/")[0]
        assert of_name(about["file"], split) == (about["source"], about["copy"])
        found[split].append((about["source"], about["label"], about["copy"], pixels))
    assert sorted(found["train"]) == stored(out, "train")
    assert sorted(found["test"]) == stored(out, "test", [-1])


def of_rows(rows: Iterable[dict[str, Any]], decode: Callable[[Any], Any]) -> Samples:
    found = []
    for row in rows:
        pixels = np.asarray(decode(row["image"])).tobytes()
        found.append((row["source"], row["label"], row["copy"], pixels))
    return sorted(found)


def test_hugging_face_shows_the_pictures_of_parquet(out, exported, tmp_path):
    hub = pytest.importorskip("datasets", reason="Hugging Face's datasets are not installed")
    to = exported(out, "parquet")
    files = {split: f"{to}/{split}*.parquet" for split in ("train", "test")}
    read = hub.load_dataset("parquet", data_files=files, cache_dir=str(tmp_path))
    assert read["train"].features["label"].names == ["cat", "dog"]
    assert type(read["train"].features["image"]).__name__ == "Image"
    assert of_rows(read["train"], lambda image: image) == stored(out, "train")
    assert of_rows(read["test"], lambda image: image) == stored(out, "test", [-1])
    by_folder = hub.load_dataset(str(to), cache_dir=str(tmp_path))
    assert {split: len(rows) for split, rows in by_folder.items()} == {"train": 60, "test": 6}


def test_pyarrow_and_pandas_read_parquet(out, exported):
    to = exported(out, "parquet")

    def opened(image: dict[str, Any]) -> Image.Image:
        return Image.open(io.BytesIO(image["bytes"]))

    tables = [pq.read_table(path) for path in sorted(to.glob("train*.parquet"))]
    assert of_rows((row for table in tables for row in table.to_pylist()), opened) == stored(out, "train")
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    frame = pandas.concat(pandas.read_parquet(path) for path in sorted(to.glob("train*.parquet")))
    assert of_rows(frame.to_dict("records"), opened) == stored(out, "train")


def test_array_record_and_tfds_read_array_records_by_number(out, exported):
    records = pytest.importorskip(
        "array_record.python.array_record_data_source", reason="the extra arrayrecord"
    )
    to = exported(out, "arrayrecord")
    paths = [f"{to}/{file}" for file in json.loads((to / "_export.json").read_text())["files"]]
    with records.ArrayRecordDataSource(sorted(p for p in paths if "train_c1" in p)) as source:
        mine = datasets.numpy(str(out), copies=[1])
        assert [source[i] for i in range(len(source))] == mine.records(np.arange(len(mine))).tolist()
    for split, copy in (("train", 0), ("train", -1), ("test", -1)):
        name = f"{split}_c{copy}" if copy >= 0 else split
        source = tfds.builder_from_directory(str(to)).as_data_source(split=name)
        assert source.dataset_info.features["label"].names == ["cat", "dog"]
        found = [
            (s["source"].decode(), int(s["label"]), int(s["copy"]), s["image"].tobytes()) for s in source
        ]
        assert sorted(found) == stored(out, split, [copy])  # without TensorFlow it decodes as Pillow does


def test_grain_reads_array_records(png, exported):
    grain = pytest.importorskip("grain.python", reason="grain is not installed")
    pytest.importorskip("array_record", reason="the extra arrayrecord")
    to = exported(png, "arrayrecord")
    source = grain.ArrayRecordDataSource(sorted(map(str, to.glob("*train_c0.array_record*"))))
    mine = datasets.numpy(str(png), copies=[0])
    assert [source[i] for i in range(len(source))] == mine.records(np.arange(len(mine))).tolist()


@pytest.mark.parametrize("to", EVERY)
def test_c4_an_export_is_the_same_bytes_however_it_is_run(png, exported, tree, tmp_path, to):
    needs(to)
    first = exported(png, to)
    for number, options in enumerate(
        [(), ("--direct_running_mode=multi_threading", "--direct_num_workers=3")],
    ):
        again = exported(png, to, *options, into=tmp_path / str(number))
        assert tree(again) == tree(first)


@pytest.mark.parametrize("to", EVERY)
def test_the_manifest_names_the_dataset_and_every_file(png, exported, tree, to):
    needs(to)
    there = exported(png, to)
    document = json.loads((there / "_export.json").read_text())
    manifest = read_manifest(str(png))
    assert document["request"]["dataset"] == manifest.digest
    assert document["records"] == manifest.records == 66
    files = {name: content for name, content in tree(there).items() if name != "_export.json"}
    images = {}
    for name, listed in document["files"].items():
        content = files.pop(name)
        assert (listed["bytes"], listed["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())
        if to == "folders":
            images |= {line["file"]: line for line in map(json.loads, content.splitlines())}
    assert sum(listed.get("records", 0) for listed in document["files"].values()) == 66
    assert files.keys() == images.keys()
    for name, content in files.items():
        assert images[name]["sha256"] == hashlib.sha256(content).hexdigest()
        assert of_name(name, name.partition("/")[0]) == (images[name]["source"], images[name]["copy"])


@pytest.mark.parametrize(
    "to", ["folders", *(pytest.param(to, marks=pytest.mark.slow) for to in EVERY if to != "folders")]
)
def test_c7_an_export_that_is_killed_is_absent_and_can_be_gone_on_with(
    materialize, many_images, exported, start_command, tree, tmp_path, to
):
    needs(to)
    out = materialize(many_images, "--copies", 3, "--shards", 40)
    expected = tree(exported(out, to))
    process = start_command("export", out, "--to", to, "--output", tmp_path / "x")
    whole, deadline = tmp_path / "x/.unfinished/whole", time.monotonic() + 60
    while sum(path.is_file() for path in whole.rglob("*")) < 2 and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.002)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert set(os.listdir(tmp_path / "x")) == {".unfinished"}
    exported(out, to, into=tmp_path / "x")
    assert tree(tmp_path / "x") == expected


@pytest.mark.parametrize("moved", [0, 1])
def test_c7_an_export_that_ends_while_files_get_their_names_is_finished_by_the_next_run(
    png, exported, run_command, tree, tmp_path, monkeypatch, moved
):
    expected = tree(exported(png, "folders"))
    with monkeypatch.context() as patch:
        patch.setattr(commit, "finish", lambda _: (_ for _ in ()).throw(OSError(28, "the disk is full")))
        ended = run_command("export", png, "--to", "folders", "--output", tmp_path / "x")
    assert ended.status == 1
    assert not (tmp_path / "x/_export.json").exists()
    for name in sorted(os.listdir(tmp_path / "x/.unfinished/whole"))[:moved]:
        (tmp_path / "x/.unfinished/whole" / name).rename(tmp_path / "x" / name)
    exported(png, "folders", into=tmp_path / "x")
    assert tree(tmp_path / "x") == expected


def test_a_finished_export_is_left_alone_and_says_so(png, exported, run_command, tmp_path):
    to = exported(png, "webdataset", into=tmp_path / "x")
    before = {path: path.stat().st_mtime_ns for path in to.rglob("*")}
    ended = run_command("export", png, "--to", "webdataset", "--output", to)
    assert (ended.status, "66 (nothing was left to do)" in ended.out) == (0, True)
    assert {path: path.stat().st_mtime_ns for path in to.rglob("*")} == before


def test_splits_and_copies_can_be_chosen(png, exported):
    to = exported(png, "folders", "--splits", "train", "--copies", "1")
    assert sorted(os.listdir(to)) == ["_export.json", "_files", "train"]
    names = [path.name for path in (to / "train").rglob("*.png")]
    assert len(names) == 20
    assert all(name.endswith("__c1.png") for name in names)
    both = exported(png, "folders", "--copies=-1,0")
    assert len(list((both / "train").rglob("*.png"))) == 40
    assert len(list((both / "test").rglob("*.png"))) == 6


def test_names_keep_the_extension_where_two_sources_differ_in_nothing_else(
    photo_of, materialize, exported, tmp_path
):
    (tmp_path / "in/train/cat/sub").mkdir(parents=True)
    for name in ("cat/1.png", "cat/1.jpg", "cat/sub/a.b.png", "cat/1__c0.png"):
        Image.fromarray(photo_of(24, 30)).save(tmp_path / "in/train" / name)
    out = materialize(tmp_path / "in", "--copies", 1, "--include-originals", into=tmp_path / "out")
    to = exported(out, "folders")
    names = {str(path.relative_to(to / "train")) for path in (to / "train").rglob("*.png")}
    stems = ["cat/1.png", "cat/1.jpg", "cat/sub/a.b.png", "cat/1__c0.png"]
    assert names == {f"{stem}__{copy}.png" for stem in stems for copy in ("c0", "original")}


def test_files_of_others_are_never_touched(png, exported, run_command, tree, tmp_path):
    theirs = tmp_path / "theirs"
    (theirs / "train/cat").mkdir(parents=True)
    (theirs / "train/cat/mine.png").write_bytes(b"mine")
    begun = tmp_path / "begun"
    (begun / ".unfinished/whole").mkdir(parents=True)
    (begun / ".unfinished/whole/mine.png").write_bytes(b"mine")
    named = tmp_path / "named"
    named.mkdir()
    (named / "_export.json").write_text("{}")
    other = exported(png, "webdataset")
    for place, said in {
        theirs: "it holds files that are no export of augshard's (train)",
        begun: "it holds files that are no export of augshard's (.unfinished/whole)",
        named: "_export.json: it is no manifest of an export of augshard's",
        other: "it holds another export: to was webdataset, now folders",
        png: "it lies in the dataset, or the dataset in it",
        png / "inside": "it lies in the dataset, or the dataset in it",
        png.parent: "it lies in the dataset, or the dataset in it",
    }.items():
        before = tree(place)
        ended = run_command("export", png, "--to", "folders", "--output", place)
        assert (ended.status, said in ended.err) == (2, True), ended.err
        assert tree(place) == before
    again = run_command("materialize", "--input", png, "--output", other, "--recipe", "flowers")
    assert again.status == 2


def test_a_file_among_those_of_an_export_that_is_not_finished_is_found(
    png, run_command, tmp_path, monkeypatch
):
    to = tmp_path / "x"
    with monkeypatch.context() as patch:
        patch.setattr(commit, "finish", lambda _: (_ for _ in ()).throw(OSError(28, "the disk is full")))
        run_command("export", png, "--to", "folders", "--output", to)
    (to / ".unfinished/done.json").unlink()
    (to / ".unfinished/whole/train/cat/mine.png").write_bytes(b"mine")
    ended = run_command("export", png, "--to", "folders", "--output", to)
    assert ended.status == 1
    assert "it holds 79 files, and the export has 78" in ended.err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--to", "folder"), "--to is 'folder'; did you mean folders?"),
        (
            ("--to", "hdf5"),
            "--to is 'hdf5'; there is arrayrecord, coco, folders, parquet, voc, webdataset, yolo",
        ),
        (("--to", "folders", "--splits", "tset"), "there is no split 'tset'; did you mean test?"),
        (("--to", "folders", "--copies", "2"), "there is no copy 2; it has -1 to 1"),
        (("--to", "folders", "--copies", "1,x"), "--copies is '1,x'; it must be numbers with commas"),
        (("--to", "folders", "--no_such"), "there is no option --no_such"),
        (("--to", "folders", "--runner", "embeded"), "did you mean embedded?"),
    ],
)
def test_what_cannot_be_is_a_clear_sentence(png, run_command, tmp_path, options, said):
    ended = run_command("export", png, "--output", tmp_path / "x", *options)
    assert (ended.status, said in ended.err) == (2, True), ended.err
    assert not (tmp_path / "x").exists()


def test_what_is_no_finished_dataset_is_a_clear_sentence(png, run_command, tmp_path):
    shutil.copytree(png, tmp_path / "unfinished")
    (tmp_path / "unfinished/manifest.json").unlink()
    (tmp_path / "file").write_bytes(b"")
    for place, said in {
        tmp_path / "nowhere": "there is no such directory",
        tmp_path / "unfinished": "it holds no manifest.json, so it is no finished dataset",
        tmp_path / "file": "it is not a directory",
    }.items():
        ended = run_command("export", place, "--to", "folders", "--output", tmp_path / "x")
        assert (ended.status, said in ended.err) == (2, True), ended.err
    ended = run_command("export", png, "--to", "folders", "--output", tmp_path / "file")
    assert (ended.status, "it is a file; give a directory" in ended.err) == (2, True)


@pytest.mark.parametrize("to", EVERY)
def test_a_damaged_shard_ends_it_and_once_mended_it_goes_on(png, exported, run_command, tree, tmp_path, to):
    needs(to)
    out = tmp_path / "out"
    shutil.copytree(png, out)
    shard = sorted(out.glob("*train_c1.tfrecord-00001*"))[0]
    content = shard.read_bytes()
    shard.write_bytes(content[:200] + b"!" + content[201:])
    ended = run_command("export", out, "--to", to, "--output", tmp_path / "x")
    assert ended.status == 1
    assert f"{shard}: it is not what the manifest says; augshard audit {out} says what is wrong" in ended.err
    assert set(os.listdir(tmp_path / "x")) == {".unfinished"}
    shard.write_bytes(content)
    assert tree(exported(out, to, into=tmp_path / "x")) == tree(exported(png, to))


def test_an_export_that_was_changed_is_not_called_finished(png, exported, run_command, tmp_path):
    to = exported(png, "webdataset", into=tmp_path / "x")
    next(to.glob("*train_c1*")).unlink()
    ended = run_command("export", png, "--to", "webdataset", "--output", to)
    assert (ended.status, "it was exported, and is gone or changed" in ended.err) == (2, True)


def test_a_library_that_is_not_there_is_asked_for_by_its_extra(png, run_command, tmp_path, monkeypatch):
    def missing(form: Format) -> dict[str, str]:
        raise importlib.metadata.PackageNotFoundError("array_record")

    monkeypatch.setattr(FORMATS["arrayrecord"], "versions", missing)
    ended = run_command("export", png, "--to", "arrayrecord", "--output", tmp_path / "x")
    assert ended.status == 2
    assert "it needs the extra arrayrecord, which is not installed (array_record)" in ended.err
    assert "make install EXTRAS=arrayrecord" in ended.err


def needs(to: str) -> None:
    """Skips where the library of a format is not installed."""
    if FORMATS[to].extra:
        pytest.importorskip("array_record", reason="the extra arrayrecord")
