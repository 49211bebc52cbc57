"""COCO: what its files say of images, in their own layout, and what is wrong with some."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from augment.errors import RequestError
from augment.targets import UNIT, Annotation, Object, Vocabulary
from pipelines import packets
from pipelines.annotations import annotations_of, json_stream
from pipelines.annotations import coco as reader
from pipelines.annotations.json_stream import BadFile, items
from pipelines.annotations.parted import Parted
from tests.pipelines.annotated import assert_beam_finds_the_same, look, put, put_json

CATEGORIES = [
    {"supercategory": "animal", "id": 18, "name": "dog"},
    {"supercategory": "person", "id": 1, "name": "person"},
]
KEYPOINTS = ["nose", "left_eye", "right_eye"]


def image(number: int, name: str, **others: Any) -> dict[str, Any]:
    return {"id": number, "file_name": name, "width": 640, "height": 480, "license": 1, **others}


def thing(number: int, image_id: int, bbox: list[Any], category: int = 18, **others: Any) -> dict[str, Any]:
    said = {"id": number, "image_id": image_id, "category_id": category, "bbox": bbox}
    return said | {"segmentation": [], "area": 1.5, "iscrowd": 0} | others


def coco(images: list[Any], annotations: list[Any], categories: Any = CATEGORIES) -> dict[str, Any]:
    about = {"info": {"year": 2017}, "licenses": [{"id": 1, "name": "free"}]}
    return {**about, "images": images, "annotations": annotations, "categories": categories}


def official(root: Path) -> None:
    """As cocodataset.org has it: two splits, instances with polygons, a crowd by runs of pixels."""
    put(root, "train2017/000000000009.jpg", "train2017/000000000025.jpg", "val2017/000000000139.jpg")
    train = coco(
        [image(25, "000000000025.jpg"), image(9, "000000000009.jpg")],
        [
            thing(
                1,
                9,
                [199.84, 200.46, 77.71, 70.88],
                segmentation=[[239.97, 260.24, 222.04, 270.49, 199.84, 253.41]],
            ),
            thing(2, 25, [1, 2, 3, 4], 1),
            thing(
                900100,
                9,
                [0.5, 0, 12, 7],
                1,
                iscrowd=1,
                segmentation={"counts": [4, 3, 5], "size": [480, 640]},
            ),
        ],
    )
    put_json(root, "annotations/instances_train2017.json", train)
    put_json(root, "annotations/instances_val2017.json", coco([image(139, "000000000139.jpg")], []))


def test_coco_s_own_layout_gives_splits_boxes_and_polygons(tmp_path):
    official(tmp_path)
    found = look(tmp_path)
    assert not found.refused
    assert not found.rejects
    assert found.places == {("train", "unlabeled"): 2, ("validation", "unlabeled"): 1}
    assert found.vocabulary == Vocabulary(
        frozenset([(1, "person"), (18, "dog")]), has=frozenset(["boxes", "polygons"])
    )
    hundredths = [-(-n * UNIT * 2 - 100) // 200 for n in (19984, 20046, 27755, 27134)]
    assert found.annotation("train2017/000000000009.jpg") == Annotation(
        (
            Object(
                "dog",
                (13096714, 13137347, 18189517, 17782538),
                ((15726674, 17055089, 14551613, 17726833, 13096714, 16607478),),
            ),
            Object("person", (UNIT // 2, 0, 25 * UNIT // 2, 7 * UNIT), crowd=True),
        ),
        size=(480, 640),
    )
    assert [
        abs(a - b) <= 1 for a, b in zip(hundredths, (13096714, 13137347, 18189517, 17782538), strict=True)
    ]
    assert found.annotation("val2017/000000000139.jpg") == Annotation(size=(480, 640))


def test_two_decimals_come_back(tmp_path):
    official(tmp_path)
    x0, y0, x1, y1 = look(tmp_path).annotation("train2017/000000000009.jpg").objects[0].box
    back = [round(n / UNIT, 2) for n in (x0, y0, x1 - x0, y1 - y0)]
    assert back == [199.84, 200.46, 77.71, 70.88]


def test_keypoints_have_names_and_pairs_by_left_and_right(tmp_path):
    put(tmp_path, "images/a.jpg", "images/b.jpg")
    person = {"id": 1, "name": "person", "keypoints": KEYPOINTS, "skeleton": [[1, 2]]}
    things = [
        thing(1, 1, [0, 0, 9, 9], 1, keypoints=[4, 5, 2, 6, 3, 1, 0, 0, 0], num_keypoints=2),
        thing(2, 2, [0, 0, 9, 9], 1),
    ]
    images = [image(1, "a.jpg"), image(2, "b.jpg")]
    put_json(tmp_path, "annotations/person_keypoints_train2017.json", coco(images, things, [person]))
    found = look(tmp_path)
    assert found.vocabulary.keypoints == tuple(KEYPOINTS)
    assert found.vocabulary.pairs == {(1, 2)}
    assert found.vocabulary.has == {"boxes", "keypoints"}
    assert found.annotation("images/a.jpg").objects[0].keypoints == (
        *((4 * UNIT, 5 * UNIT, 2), (6 * UNIT, 3 * UNIT, 1), (0, 0, 0)),
    )
    assert found.annotation("images/b.jpg").objects[0].keypoints == ((0, 0, 0),) * 3


def test_images_lie_beside_their_file_too(tmp_path):
    for folder in ("train", "valid"):
        put(tmp_path, f"{folder}/a.jpg")
        put_json(tmp_path, f"{folder}/_annotations.coco.json", coco([image(0, "a.jpg")], []))
    found = look(tmp_path, ".")
    assert {source.id: source.split for source in found.sources.values()} == {
        "train/a.jpg": "train",
        "valid/a.jpg": "validation",
    }


def test_splits_are_made_by_hash_where_there_are_none(tmp_path):
    names = [f"images/{name}.jpg" for name in "abcdefghijklmnop"]
    put(tmp_path, *names)
    put_json(tmp_path, "all.json", coco([image(i, name) for i, name in enumerate(names)], []))
    fractions = {"train": "0.5", "test": "0.5"}
    found = look(tmp_path, "all.json", fractions=fractions)
    assert sum(found.places.values()) == 16
    assert {source.split for source in found.sources.values()} == {"train", "test"}
    official(tmp_path)
    [refused] = look(tmp_path, fractions=fractions).refused
    assert refused == "--split-fractions: the images have splits already (train, validation)"


def test_the_job_finds_what_is_found_in_memory(tmp_path):
    official(tmp_path)
    put(tmp_path, "train2017/more.jpg", "test2017/x.jpg", "train2017/.hidden.jpg")
    assert_beam_finds_the_same(tmp_path, "annotations")


def test_what_does_not_fit_is_a_reject_and_everything_else_stays(tmp_path):
    names = [f"{name}.jpg" for name in ("good", "nan", "class", "short", "odd", "twice", "unlisted")]
    put(tmp_path, *(f"train2017/{name}" for name in names), "test2017/other.jpg")
    things = [
        thing(1, 0, [-5, 0, 9999, 0]),
        thing(2, 1, [float("nan"), 0, 1, 1]),
        thing(3, 2, [0, 0, 1, 1], 77),
        thing(4, 3, [0, 0, 1]),
        thing(5, 4, [0, 0, 1, 1], segmentation=[[1, 2, 3, 4, 5]]),
        thing(6, 55, [0, 0, 1, 1]),
        thing(7, 55, [0, 0, 1, 1]),
    ]
    images = [image(i, name) for i, name in enumerate(names[:5])]
    images += [image(60, "twice.jpg"), image(61, "twice.jpg"), image(70, "gone.jpg"), image(80, "../a.jpg")]
    put_json(tmp_path, "annotations/instances_train2017.json", coco(images, things))
    found = look(tmp_path)
    file = "annotations/instances_train2017.json"
    assert not found.refused
    assert list(found.sources) == ["train2017/good.jpg"]
    assert found.annotation("train2017/good.jpg").objects[0].box == (-5 * UNIT, 0, 9994 * UNIT, 0)
    assert found.passed_over == {".json": 1, "(elsewhere)": 1}
    assert found.rejects == {
        "train2017/nan.jpg": (
            "bad_annotation",
            f"{file}#1 has an annotation (2) whose bbox is nan, which is no place in an image",
        ),
        "train2017/class.jpg": (
            "bad_annotation",
            f"{file}#2 has an annotation (3) whose category_id is 77, which is none of its categories",
        ),
        "train2017/short.jpg": (
            "bad_annotation",
            f"{file}#3 has an annotation (4) whose bbox is [0, 0, 1]; it must be [x, y, width, height]",
        ),
        "train2017/odd.jpg": (
            "bad_annotation",
            f"{file}#4 has an annotation (5) whose segmentation has a polygon of 5 numbers; "
            "it takes 6, 8, 10, ...",
        ),
        "train2017/twice.jpg": ("named_twice", f"'{file}#60' and '{file}#61' speak of it"),
        "train2017/unlisted.jpg": ("not_annotated", "the annotations do not list it"),
        f"{file}#55": ("no_image", "2 annotations are of an image of this id, which the file does not list"),
        f"{file}#70": ("no_image", "there is no image train2017/gone.jpg of which it speaks"),
        f"{file}#80": (
            "bad_annotation",
            "it has the file_name '../a.jpg', which is no path below the input",
        ),
    }


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"\xff\xfe", "it is not UTF-8 (invalid start byte)"),
        (b"[1]", "it is no JSON object, {...}"),
        (
            b'{"images": [{"id": 1]}',
            "it is not the JSON that it should be: expecting ',' delimiter, at character 20",
        ),
        (b'{"images": [', "it is not the JSON that it should be: expecting value, at character 12"),
        (b'{"images": {}, "annotations": []}', "it has 'images' that is no list"),
        (b'{"info": {}}', "it has no list of 'images', as COCO's files have"),
        (
            b'{"images": []}',
            "it has no list of 'annotations' and 'categories'; COCO's files of instances and keypoints are "
            "read, which have 'images', 'annotations' and 'categories'",
        ),
        (json.dumps(coco([], [], [{"id": 1, "name": " "}])), "it has a category, 1, without a name"),
        (
            json.dumps(coco([], [], [{"id": 1, "name": "a"}, {"id": 2, "name": "a"}])),
            "it has two categories with the name 'a'; give each a name of its own",
        ),
        (
            json.dumps(coco([image(1, "a.jpg")], [])),
            "its first images are not there: the first is none of 'IN/a.jpg', 'IN/all/a.jpg', "
            "'IN/images/all/a.jpg' and 'IN/images/a.jpg'; give --input the folder in which its images have "
            "their file_name",
        ),
    ],
)
def test_a_file_that_is_none_of_coco_s_is_refused_in_a_sentence(tmp_path, content, sentence):
    put(tmp_path, "in/x.jpg")
    put(tmp_path, "all.json", content=content)
    [refused] = look(tmp_path / "in", "../all.json").refused
    path = str(tmp_path / "in").replace("/in", "/all.json")
    assert refused.replace(str(tmp_path / "in"), "IN") == f"annotations {path}: {sentence}"


def test_two_files_of_one_split_are_refused(tmp_path):
    for kind in ("instances", "person_keypoints"):
        put_json(tmp_path, f"annotations/{kind}_train2017.json", coco([], []))
    [refused] = look(tmp_path).refused
    assert refused.endswith(
        "'instances_train2017.json' and 'person_keypoints_train2017.json' are all of the split 'train'; give "
        "one of them, or a folder with one file a split"
    )


def test_what_is_no_annotations_is_refused_before_any_work(tmp_path):
    put(tmp_path, "notes.txt", "labels/train/a.txt", content="0 0.5 0.5 1 1")
    for path, said in (
        ("notes.txt", ".txt is of no format"),
        ("none", "there is no such file, and no folder with files"),
        ("labels", "give the data.yaml that names them"),
    ):
        with pytest.raises(RequestError, match=said):
            annotations_of(str(tmp_path / path))
    official(tmp_path)
    assert str(annotations_of(str(tmp_path / "annotations"))).startswith("COCO annotations in /")


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9) | st.just('{"a": 1}, {"'),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=50)
@given(ANY_JSON, st.lists(ANY_JSON, max_size=9), st.integers(1, 7) | st.just(1000), st.booleans())
def test_a_stream_of_json_gives_what_the_whole_does_however_it_is_cut(other, listed, block, spaced):
    text = json.dumps({"a": other, "images": listed, "b": -12.5e3}, indent=1 if spaced else None).encode()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_stream, "_BLOCK", block)
        found = list(items(io.BytesIO(text), frozenset(["images"])))
    assert found[:2] == [("a", other), ("images", [])]
    assert [item for key, several in found if key == "images" for item in several] == listed
    assert found[-1][1] == -12500


def test_a_value_that_is_too_long_is_refused(monkeypatch):
    monkeypatch.setattr(json_stream, "MOST", 1 << 20)
    monkeypatch.setattr(json_stream, "_BLOCK", 1 << 18)
    text = json.dumps({"images": ["x" * (1 << 22)]}).encode()
    with pytest.raises(BadFile, match="one value takes more than 1,048,576 characters"):
        list(items(io.BytesIO(text), frozenset(["images"])))


def test_names_that_nobody_could_write_down_are_refused(tmp_path):
    put(tmp_path, "a.jpg", "in/b.jpg")
    half = [{"id": 1, "name": "\ud800"}]
    put_json(tmp_path, "all.json", coco([image(1, "a.jpg"), image("\ud800", "\ud800.jpg")], [], half))
    [refused] = look(tmp_path, "all.json").refused
    assert refused.endswith("all.json: it has a category, 1, without a name")
    put(tmp_path, "in/metadata.jsonl", content='{"file_name": "b.jpg", "note": "\\ud800"}\n')
    [refused] = look(tmp_path / "in", "metadata.jsonl").refused
    assert refused.endswith("in line 1, where a JSON object, {...}, is due")


@settings(max_examples=30)
@given(
    st.lists(st.tuples(st.sampled_from("abcdefgh"), st.integers() | st.lists(st.floats(allow_nan=False)))),
    st.integers(1, 5),
    st.sampled_from([0, 40, 1 << 20]),
)
def test_things_come_together_by_key_however_few_are_held(things, parts, held):
    expected: dict[str, list[Any]] = {}
    for key, one in things:
        expected.setdefault(key, []).append(one)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(packets, "_HELD", held)
        with Parted(parts) as parting:
            for key, one in things:
                parting.add(key, one, 40)
            found = list(parting.by_key())
    assert dict(found) == expected
    assert len(found) == len(expected)


def test_c8_a_file_is_understood_part_by_part(tmp_path, tmp_path_factory, monkeypatch):
    """Images before, behind and between their annotations; nothing is held, and packets are small."""
    put(tmp_path, *(f"deep/{number}.jpg" for number in range(40)), "top.jpg")
    images = [image(number, f"deep/{number}.jpg") for number in range(40)]
    things = [thing(n, n * 7 % 40, [n, 2, 3, 4], segmentation=[[1, 2, n, 4, 5, 6]]) for n in range(200)]
    document = {"images": images[:9], "annotations": things, "categories": CATEGORIES}
    text = json.dumps(document)[:-1] + ', "images": ' + json.dumps(images[9:]) + "}"
    put(tmp_path, "all.json", content=text)
    expected = look(tmp_path, "all.json")
    assert [len(expected.annotation(f"deep/{number}.jpg").objects) for number in range(40)] == [5] * 40
    assert [thing.box[0] for thing in expected.annotation("deep/7.jpg").objects] == [
        UNIT * n for n in (1, 41, 81, 121, 161)
    ]
    monkeypatch.setattr(reader, "_PART", 1000)
    monkeypatch.setattr(packets, "_HELD", 0)
    assert look(tmp_path, "all.json") == expected
    assert_beam_finds_the_same(tmp_path, "all.json")
    waiting = tmp_path_factory.mktemp("waiting")
    assert_beam_finds_the_same(tmp_path, "all.json", waiting=str(waiting))
    assert any(waiting.iterdir())
