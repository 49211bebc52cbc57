"""Tars and TFRecord files as an input: what is found in them, and what is damaged or means nothing."""

from __future__ import annotations

import gzip
import io
import json

import numpy as np
import pytest
from PIL import Image

from augment.errors import RequestError
from augment.targets import UNIT, Annotation, Vocabulary
from pipelines.annotations import annotations_for
from pipelines.format.records import framed
from pipelines.sources import read_source
from pipelines.sources.found import Guess
from tests.pipelines.annotated import png, put
from tests.pipelines.contained import (
    assert_beam_finds_the_same,
    contents,
    found_in,
    look,
    put_records,
    put_tar,
    record,
)


def test_files_of_a_tar_that_have_one_name_are_one_sample(tmp_path):
    for split, number in (("train", 0), ("val", 1)):
        files: dict[str, bytes | str] = {}
        for i in range(2):
            key = f"./deep/{number}{i}"
            image = png(4 + i, 6)
            about = {"score": 0.50, "seen": None, "of": [1, 2], "label": "left behind"}
            files |= {f"{key}.PNG": image, f"{key}.cls": f"c{i}\n", f"{key}.json": json.dumps(about)}
            files |= {f"{key}.txt": "a cat", f"{key}.seg.png": png(4 + i, 6), f"{key}.npy": b""}
        put_tar(tmp_path, f"{split}/flowers-000{number}.tar", {"readme.md": "", ".hidden.jpg": b"", **files})
    put(tmp_path, "notes.txt", "train/._flowers.tar")
    found = look(tmp_path)
    assert not found.refused
    assert not found.rejects
    assert found.passed_over == {".md": 2, "(hidden)": 2, ".npy": 4, ".txt": 1, "._*": 1}
    assert found.places == {(split, label): 1 for split in ("train", "validation") for label in ("c0", "c1")}
    images = contents(tmp_path, found)
    name = "train/flowers-0000.tar/deep/01.PNG"
    assert images[name] == png(5, 6)
    assert found.sources[name].size == len(png(5, 6))
    annotation = found.annotation(name)
    assert annotation.columns == (("of", "[1,2]"), ("score", "0.5"), ("txt", "a cat"))
    assert read_source(str(tmp_path), annotation.mask) == png(5, 6)
    assert found.vocabulary == Vocabulary(columns=frozenset(("of", "score", "txt")), has=frozenset(["mask"]))
    assert_beam_finds_the_same(tmp_path)


def test_what_is_wrong_with_a_sample_is_a_reject_with_its_reason(tmp_path):
    files = {
        "a.jpg": b"1",
        "a.cls": "cat",
        "b.jpg": b"2",
        "b.png": b"3",
        "b.cls": "cat",
        "c.cls": "cat",
        "d.jpg": b"4",
        "e.jpg": b"5",
        "e.cls": "a/b",
        "f.jpg": b"6",
        "f.json": "[1]",
        "g.jpg": b"7",
        "g.cls": "..",
        "../h.jpg": b"8",
        "a.webp": b"9",
        "a.txt": "again",
        "i.jpg": b"10",
        "i.cls": "cat",
        "i.json": "{}",
        "a.gif": b"11",
    }
    put_tar(tmp_path, "x.tar", files)
    found = look(tmp_path)
    assert {name: source.label for name, source in found.sources.items()} == {
        "x.tar/a.jpg": "cat",
        "x.tar/e.jpg": "a_b",
        "x.tar/i.jpg": "cat",
    }
    assert all(found.annotation(name) == Annotation() for name in found.sources)
    assert found.rejects == {
        "x.tar/b": ("named_twice", "'b.jpg' and 'b.png' are images of one sample"),
        "x.tar/c": ("no_image", "there is no image among its files, 'cls'"),
        "x.tar/d.jpg": ("bad_annotation", "it has no class, unlike the first sample of the first tar"),
        "x.tar/f.jpg": ("bad_annotation", "it has '[1]' in its json, where a JSON object, {...}, is due"),
        "x.tar/g.jpg": ("bad_annotation", "it has the class '..', which no folder could be called"),
        "x.tar/../h.jpg": ("bad_name", "its name is not UTF-8, or no path that goes down only"),
        "x.tar/a": ("named_twice", "its tar has two samples of the name"),
    }


def test_a_first_sample_that_says_nothing_is_a_reject_like_any_other(tmp_path):
    put_tar(tmp_path, "a.tar", {"0.png": png(), "0.json": "[]"})
    assert look(tmp_path).refused == [
        "it has nothing to read: a.tar has '[]' in its json, where a JSON object, {...}, is due"
    ]
    put_tar(tmp_path, "a.tar", {"0.png": png(), "0.json": "[]", "1.png": png(), "1.json": '{"label": "a"}'})
    found = look(tmp_path)
    assert list(found.sources) == ["a.tar/1.png"]
    assert found.rejects["a.tar/0.png"][0] == "bad_annotation"


def test_json_in_a_tar_has_what_a_row_of_a_table_has(tmp_path):
    objects = {"bbox": [[1, 1, 2, 2.5]], "categories": ["dog"], "iscrowd": [1]}
    about = json.dumps({"label": 3, "labels": ["b", "a"], "objects": objects, "id": 7})
    put_tar(tmp_path, "a.tar", {"a.jpg": b"1", "a.json": about})
    found = look(tmp_path)
    [source] = found.sources.values()
    assert source.label == "3"
    annotation = found.annotation("a.tar/a.jpg")
    assert annotation.objects[0].box == (UNIT, UNIT, 3 * UNIT, 7 * UNIT // 2)
    assert (annotation.labels, annotation.columns) == (("a", "b"), (("id", "7"),))
    assert found.vocabulary == Vocabulary(
        frozenset([(0, "dog")]), labels=frozenset("ab"), columns=frozenset(["id"]), has=frozenset(["boxes"])
    )
    said = "'objects/iscrowd': the feature is not taken along: how to move it is not known"
    assert Guess(said, refused=False) in found_in(tmp_path)


def test_a_damaged_tar_gives_what_is_before_the_damage(tmp_path):
    files = {f"{name}.{kind}": b"x" for name in "abc" for kind in ("jpg", "cls")}
    put_tar(tmp_path, "a.tar", files)
    whole = (tmp_path / "a.tar").read_bytes()
    (tmp_path / "a.tar").write_bytes(whole[: 9 * 512])  # c.cls is gone, and the half of c.jpg
    found = look(tmp_path)
    assert list(found.sources) == ["a.tar/a.jpg"]
    assert found.rejects == {
        "a.tar/b": ("damaged", "the tar is damaged within it or behind it"),
        "a.tar": ("damaged", "it ends within what begins at byte 4,096; what is behind is lost"),
    }
    (tmp_path / "a.tar").write_bytes(whole[: 12 * 512])  # without the mark of its end
    found = look(tmp_path)
    assert len(found.sources) == 3
    assert not found.rejects


def test_a_tar_of_one_sample_without_the_mark_of_an_end_is_read(tmp_path):
    put_tar(tmp_path, "a.tar", {"0.png": png(), "0.cls": "cat"})
    whole = (tmp_path / "a.tar").read_bytes().rstrip(b"\0")
    (tmp_path / "a.tar").write_bytes(whole.ljust(-(-len(whole) // 512) * 512, b"\0"))
    found = look(tmp_path)
    assert {source.label for source in found.sources.values()} == {"cat"}
    assert not found.refused


def test_a_tar_that_was_joined_of_two_has_the_samples_of_both(tmp_path):
    for name in ("a", "b"):
        put_tar(tmp_path, f"{name}.tar", {f"{name}.png": png(), f"{name}.cls": name})
    (tmp_path / "a.tar").write_bytes((tmp_path / "a.tar").read_bytes() + (tmp_path / "b.tar").read_bytes())
    (tmp_path / "b.tar").unlink()
    found = look(tmp_path)
    assert {name: source.label for name, source in found.sources.items()} == {
        "a.tar/a.png": "a",
        "a.tar/b.png": "b",
    }
    assert contents(tmp_path, found)["a.tar/b.png"] == png()
    assert not found.rejects


def test_tars_that_augshard_exported_are_refused(tmp_path):
    put_tar(tmp_path, "a.tar", {"0.png": png(), "0.cls": "cat"})
    (tmp_path / "_export.json").write_text("{}")
    assert "is what augshard exported, whose images are augmented already" in look(tmp_path).refused[0]


def test_records_with_usual_names_are_read_as_they_are(tmp_path):
    boxes = {
        f"image__object__bbox__{side}": np.float32([place])
        for side, place in zip(("xmin", "xmax", "ymin", "ymax"), (0.25, 0.5, 0.5, 1.0), strict=True)
    }
    about = {"image__object__class__text": "dog", "image__object__class__label": [4], "image__height": 40}
    for name in ("train-00000-of-00002", "train-00001-of-00002", "val.tfrecord"):
        put_records(tmp_path, name, record(image__encoded=png(40, 60), **boxes, **about, many=[1, 2, 3]))
    found = look(tmp_path)
    assert not found.rejects
    assert found.places == {("train", "unlabeled"): 2, ("validation", "unlabeled"): 1}
    name = "train-00001-of-00002/0"
    assert contents(tmp_path, found)[name] == png(40, 60)
    annotation = found.annotation(name)
    assert [(one.name, one.box) for one in annotation.objects] == [
        ("dog", (15 * UNIT, 20 * UNIT, 30 * UNIT, 40 * UNIT))
    ]
    assert annotation.size == (40, 60)
    assert annotation.columns == (("image/height", "40"), ("image/object/class/label", "4"))
    assert found.vocabulary is not None
    assert found.vocabulary.has == {"boxes"}
    assert found.vocabulary.classes == {(0, "dog")}


def test_features_that_the_first_record_leaves_out_are_those_of_records_near_it(tmp_path):
    boxed = {"objects__bbox": np.float32([0, 0, 0.5, 0.5]), "objects__label": "cat"}
    nothing = record(image=png(), objects__bbox=np.float32([]))
    put_records(
        tmp_path, "a.tfrecord", record(image=png()), b"\x07", nothing, record(image=png(8, 8), **boxed)
    )
    found = look(tmp_path)
    assert [len(found.annotation(f"a.tfrecord/{i}").objects) for i in (0, 2, 3)] == [0, 0, 1]
    assert found.vocabulary is not None
    assert found.vocabulary.has == {"boxes"}
    put_records(tmp_path, "a.tfrecord", *[record(image=png())] * 100, record(image=png(), **boxed))
    assert not look(tmp_path).vocabulary
    [guess] = [one for one in found_in(tmp_path) if isinstance(one, Guess)]
    assert guess == Guess(
        "'objects/bbox' and 'objects/label': the features are not taken along: the first records do not have "
        "them",
        refused=False,
    )


def test_features_of_other_names_can_be_told(tmp_path):
    put_records(
        tmp_path,
        "a.tfrecord",
        *(
            record(left=png(2, 3), right=png(4, 5), what=f"k{i}", ids=png(2, 3), score=np.float32([0.1]))
            for i in range(2)
        ),
    )
    [refused] = look(tmp_path).refused
    assert refused == (
        "it has nothing to read: a.tfrecord has records with several pictures, 'ids', 'left' and 'right'; "
        "say which is the image, --annotations image=ids"
    )
    found = look(tmp_path, "image = left, label=what,mask=ids")
    assert {source.label for source in found.sources.values()} == {"k0", "k1"}
    assert contents(tmp_path, found)["a.tfrecord/1"] == png(2, 3)
    annotation = found.annotation("a.tfrecord/1")
    assert read_source(str(tmp_path), annotation.mask) == png(2, 3)
    assert annotation.columns == (("score", "0.1"),)
    [refused] = look(tmp_path, "image=up").refused
    assert "a.tfrecord has no feature 'up' for image; it has 'ids', 'left'" in refused


@pytest.mark.parametrize("given", ["image=a,b", "image=a,image=b", "image=a,colour=b"])
def test_what_names_no_feature_is_refused(tmp_path, given):
    with pytest.raises(RequestError, match="names no feature; each part must be WHAT=NAME"):
        annotations_for(str(tmp_path), given)
    with pytest.raises(RequestError, match=r"in .* there are none: neither a dataset of TFDS nor TFRecord"):
        annotations_for(str(tmp_path), "image=a")


def test_damaged_records_are_rejects_and_the_others_are_read(tmp_path):
    records = [framed(record(image=png(), label=i)) for i in range(4)]
    size = len(records[0])
    data = bytearray(b"".join([*records, framed(b"\x07"), framed(record(image=png()))]))
    data[size + 40] ^= 1
    put(tmp_path, "a.tfrecord", content=bytes(data))
    found = look(tmp_path)
    assert list(found.sources) == ["a.tfrecord/0", "a.tfrecord/2", "a.tfrecord/3"]
    assert found.rejects == {
        "a.tfrecord/1": ("damaged", "its data do not have their CRC-32C"),
        "a.tfrecord/4": ("bad_annotation", "it is no tf.train.Example: there is no field of type 7"),
        "a.tfrecord/5": ("bad_annotation", "it has no classes in the feature 'label', not one"),
    }
    data[2 * size] ^= 1
    put(tmp_path, "a.tfrecord", content=bytes(data))
    found = look(tmp_path)
    assert list(found.sources) == ["a.tfrecord/0"]
    why = "is damaged behind 2 records (the length of the record does not have its CRC)"
    assert found.rejects["a.tfrecord"] == ("damaged", f"it {why}; what is behind is lost")


def test_boxes_of_an_image_that_its_exif_turns_are_refused_for_nobody_knows_what_they_are_of(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    file = io.BytesIO()
    Image.new("RGB", (6, 4)).save(file, "JPEG", exif=exif)
    box = np.float32([[0, 0, 1, 1]])
    put_records(tmp_path, "a.tfrecord", record(image=file.getvalue(), objects__bbox=box, objects__label=[0]))
    [(reason, detail)] = look(tmp_path).rejects.values()
    assert reason == "bad_annotation"
    assert "its EXIF turns" in detail


def test_what_lies_in_folders_of_classes_is_no_container(tmp_path):
    put(tmp_path, "cat/a.png")
    put_tar(tmp_path, "all.tar", {"a.png": b""})
    assert annotations_for(str(tmp_path), None) is None
    put(tmp_path / "splits", "train/cat/a.png", "val/cat/a.png")
    put_tar(tmp_path / "splits", "all.tar", {"a.png": b""})
    put_tar(tmp_path / "splits", "train/all.tar", {"a.png": b""})
    assert annotations_for(str(tmp_path / "splits"), None) is None
    put(tmp_path / "flat", "a.png")
    put_tar(tmp_path / "flat", "all.tar", {"a.png": b""})
    assert annotations_for(str(tmp_path / "flat"), None) is None
    assert annotations_for(str(tmp_path / "missing"), None) is None
    put_tar(tmp_path / "both", "a.tar", {})
    put_records(tmp_path / "both", "a.tfrecord")
    with pytest.raises(RequestError, match="it holds tars and TFRecord files; give it one of them"):
        annotations_for(str(tmp_path / "both"), None)


def test_containers_that_are_compressed_or_hold_nothing_are_refused(tmp_path):
    put_tar(tmp_path, "a.tar", {"a.txt": "no image"})
    assert look(tmp_path).refused == ["it has nothing to read: a.tar has no sample with an image"]
    put(tmp_path, "b.tar.gz", content=b"")
    [refused] = look(tmp_path).refused
    assert refused == "it has b.tar.gz, of which no part can be read by itself: unpack it first"
    for name in ("a.tar", "a.tfrecord"):  # though their names do not say it
        put(tmp_path / "zipped" / name, name, content=gzip.compress(framed(record(image=png()))))
        [refused] = look(tmp_path / "zipped" / name).refused
        assert refused.startswith(
            f"it has nothing to read: {name} is compressed, so that no part can be read"
        )


def test_splits_are_made_where_containers_have_none(tmp_path):
    put_tar(tmp_path, "a.tar", {f"{i}.jpg": b"x" for i in range(40)})
    made = look(tmp_path, fractions={"train": "0.5", "test": "0.5"})
    assert {split for split, _ in made.places} == {"train", "test"}
    put_tar(tmp_path, "test.tar", {"a.jpg": b"x"})
    [refused] = look(tmp_path, fractions={"train": "0.5", "test": "0.5"}).refused
    assert refused.endswith("the images have splits already (test, train)")
