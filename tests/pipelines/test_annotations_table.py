"""Tables beside images: Hugging Face's layout in three kinds of files, and what is wrong with some."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from augment.targets import UNIT, Annotation, Object, Vocabulary
from pipelines.annotations.numbers import BadAnnotation
from pipelines.annotations.table_objects import objects_in, others_in
from pipelines.annotations.table_rows import object_in, text_of
from tests.pipelines.annotated import assert_beam_finds_the_same, look, put

DIFFER = 'give all classes names, or write them as texts of JSON lines, where 3 and "3" differ'
ROWS: list[dict[str, Any]] = [
    {"file_name": "a.png", "label": "cat", "labels": ["wild", "big"], "age": 3, "note": 'says "hi", twice'},
    {"file_name": "deep/b.png", "label": "dog", "labels": [], "age": None, "note": "ü\nline"},
]


def put_table(root: Path, name: str, rows: list[dict[str, Any]]) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if name.endswith(".parquet"):
        pq.write_table(pa.Table.from_pylist(rows), path)
    elif name.endswith(".jsonl"):
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        text = io.StringIO()
        writer = csv.DictWriter(text, list(dict.fromkeys(column for row in rows for column in row)))
        writer.writeheader()
        for row in rows:
            writer.writerow({k: "|".join(v) if isinstance(v, list) else v for k, v in row.items()})
        path.write_bytes(text.getvalue().encode("utf-8-sig"))


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_each_kind_of_file_says_the_same(tmp_path, kind):
    put(tmp_path, "a.png", "deep/b.png")
    put_table(tmp_path, f"metadata.{kind}", ROWS)
    found = look(tmp_path, ".")
    assert not found.refused
    assert not found.rejects
    assert found.places == {("train", "cat"): 1, ("train", "dog"): 1}
    assert found.vocabulary == Vocabulary(
        labels=frozenset(["wild", "big"]), columns=frozenset(["age", "note"])
    )
    assert found.annotation("a.png") == Annotation(
        labels=("big", "wild"), columns=(("age", "3"), ("note", 'says "hi", twice'))
    )
    assert found.annotation("deep/b.png") == Annotation(columns=(("note", "ü\nline"),))
    assert found.passed_over == {f".{kind}": 1}


def test_tables_lie_in_the_folder_of_their_split(tmp_path):
    for folder in ("train", "test"):
        put(tmp_path, f"{folder}/a.png")
        put_table(tmp_path, f"{folder}/metadata.csv", [{"file_name": "a.png", "width": 1.5}])
    found = look(tmp_path, ".")
    assert found.places == {("train", "unlabeled"): 1, ("test", "unlabeled"): 1}
    assert found.annotation("test/a.png").columns == (("width", "1.5"),)
    assert_beam_finds_the_same(tmp_path, ".")


def test_a_column_may_say_the_split_and_a_table_may_lie_elsewhere(tmp_path):
    put(tmp_path, *(f"in/{name}.png" for name in "abcd"))
    splits = {"a": "train", "b": "val", "c": "fold_1"}
    rows = [{"file_name": f"./{name}.png", "split": split, "label": 7} for name, split in splits.items()]
    put_table(tmp_path, "all.jsonl", [*rows, {"file_name": "d.png", "label": 8}])
    found = look(tmp_path / "in", "../all.jsonl")
    assert found.places == {("train", "7"): 1, ("validation", "7"): 1, ("fold_1", "7"): 1}
    assert found.rejects == {
        "d.png": ("bad_annotation", "all.jsonl#4 has the split None, which must be a word"),
    }
    [refused] = look(tmp_path / "in", "../all.jsonl", fractions={"train": "0.5", "test": "0.5"}).refused
    assert refused == "--split-fractions: the images have splits already"


def test_what_does_not_fit_is_a_reject_and_everything_else_stays(tmp_path):
    put(tmp_path, *(f"{name}.png" for name in ("good", "half", "none", "twice", "list", "unlisted")))
    rows = [
        {"file_name": "good.png", "label": "a"},
        {"file_name": "half.png", "label": 0.5},
        {"file_name": "none.png"},
        {"file_name": "twice.png", "label": "a"},
        {"file_name": "twice.png", "label": "b"},
        {"file_name": "list.png", "label": "a", "labels": {"b": 1}},
        {"file_name": "gone.png", "label": "a"},
        {"file_name": "../../etc/x.png", "label": "a"},
    ]
    put_table(tmp_path, "metadata.jsonl", rows)
    found = look(tmp_path, "metadata.jsonl")
    assert list(found.sources) == ["good.png"]
    table = "metadata.jsonl"
    assert found.rejects == {
        "half.png": ("bad_annotation", f"{table}#2 has the label 0.5; a class is a word or a whole number"),
        "none.png": ("bad_annotation", f"{table}#3 has no label"),
        "twice.png": ("named_twice", f"'{table}#4' and '{table}#5' speak of it"),
        "list.png": (
            "bad_annotation",
            f"{table}#6 has the labels {{'b': 1}}, which must be a list, or a text such as 'a|b'",
        ),
        "unlisted.png": ("not_annotated", "the table does not list it"),
        f"{table}#7": ("no_image", "there is no image gone.png of which it speaks"),
        f"{table}#8": (
            "bad_annotation",
            "its file_name is '../../etc/x.png', which is no path below the input",
        ),
    }
    assert_beam_finds_the_same(tmp_path, "metadata.jsonl")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        (
            "t.csv",
            "image,label\na.png,cat\n",
            "it has no column 'file_name', which says of which image a row is; it has 'image' and 'label'",
        ),
        ("t.csv", "", "it has no column 'file_name', which says of which image a row is; it has none"),
        ("t.csv", "file_name,file_name\n", "it has two columns 'file_name'"),
        ("t.csv", "file_name,label\na.png\n", "it has 1 fields in line 2, for 2 columns"),
        ("t.csv", 'file_name,label\n"a.png\n', "it is no CSV: unexpected end of data, in line 2"),
        ("t.csv", b"file_name,label\na.png,\xff\n", "it is not UTF-8 (invalid start byte)"),
        (
            "t.csv",
            "file_name,label\na.png,3\nb.png,cat\n",
            f"it has a label that is a number in row 2 (3) and a word in row 3 ('cat'): {DIFFER}",
        ),
        (
            "t.jsonl",
            '{"file_name": "a.png", "labels": [3]}\n{"file_name": "b.png", "labels": ["3"]}\n',
            f"it has a labels that is a number in row 1 (3) and a word in row 2 ('3'): {DIFFER}",
        ),
        (
            "t.jsonl",
            '{"file_name": "a.png"}\n[1]\n',
            "it has '[1]' in line 2, where a JSON object, {...}, is due",
        ),
        (
            "t.jsonl",
            '{"file_name": "a.png"}\n{"label": "a"}\n',
            "it has no file_name in row 2, which has 'label'; each row must have one",
        ),
        (
            "t.parquet",
            "no table at all",
            "it is no Parquet file (Parquet magic bytes not found in footer. Either the file is corrupted "
            "or this is not a parquet file.)",
        ),
    ],
)
def test_a_table_that_is_wrong_is_refused_in_a_sentence(tmp_path, name, content, said):
    put(tmp_path, "a.png", "b.png")
    put(tmp_path, name, content=content)
    assert look(tmp_path, name).refused == [f"annotations {tmp_path}/{name}: {said}"]


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_objects_are_boxes_as_in_hugging_face_s_object_detection(tmp_path, kind):
    put(tmp_path, "a.png", "b.png", "c.png")
    rows = [
        {"file_name": "a.png", "objects": {"bbox": [[302.0, 109.5, 73.0, 52.0]], "categories": [2]}},
        {"file_name": "b.png", "objects": {"bbox": [], "categories": []}},
        {"file_name": "c.png", "objects": {"bbox": [[1.0, 2.0, 3.0]], "categories": [2]}},
    ]
    put_table(tmp_path, f"metadata.{kind}", rows)
    found = look(tmp_path, ".")
    box = (302 * UNIT, 219 * UNIT // 2, 375 * UNIT, 323 * UNIT // 2)
    assert found.annotation("a.png") == Annotation((Object("2", box),))
    assert found.annotation("b.png") == Annotation()
    assert found.vocabulary == Vocabulary(frozenset([(2, "2")]), has=frozenset(["boxes"]))
    reason, detail = found.rejects["c.png"]
    assert reason == "bad_annotation"
    assert detail.startswith(f"metadata.{kind}#3 has the bbox [")
    assert detail.endswith("; it must be [x, y, width, height]")


def test_two_tables_of_one_folder_are_refused(tmp_path):
    put(tmp_path, "a.png")
    for kind in ("csv", "jsonl"):
        put_table(tmp_path, f"metadata.{kind}", [{"file_name": "a.png"}])
    [refused] = look(tmp_path, ".").refused
    assert refused.endswith("'metadata.csv' and 'metadata.jsonl' lie in one folder; leave one of them there")


def test_a_list_of_objects_says_the_same_as_lists_do():
    """As exports to WebDataset have it."""
    car = {"id": 0, "label": 1, "class": "car", "bbox": [1, 2, 3, 4]}
    things = [car, {"class": "bus", "bbox": [0, 0, 1, 1]}]
    lists = {"bbox": [[1, 2, 3, 4], [0, 0, 1, 1]], "categories": ["car", "bus"]}
    assert objects_in(things) == objects_in(lists)
    assert objects_in([]) == ()
    assert others_in(things) == {"objects/id"} == others_in({**lists, "id": [0, 1]})
    for wrong in ([{"class": "car"}], [{"bbox": [1, 2, 3, 4]}], ["car"]):
        with pytest.raises(BadAnnotation):
            objects_in(wrong)


def test_what_is_nested_too_deep_to_be_written_is_no_value():
    for depth in range(900, 1000):  # where it can still be read, and no longer be written
        object_in('{"a": ' + "[" * depth + '"\\u0041"' + "]" * depth + "}")
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(BadAnnotation, match="lies too deep in others"):
        text_of(deep)


def test_fractions_within_a_column_s_lists_are_numbers_in_lines_as_in_parquet():
    row = object_in('{"whole": 1.50, "within": [0.5, {"b": 1e999, "a": 2}]}')
    assert row is not None
    assert text_of(row["whole"]) == "1.50"
    assert text_of(row["within"]) == '[0.5,{"a":2,"b":"1E+999"}]'
    assert text_of([0.5, {"a": 2}]) == '[0.5,{"a":2}]'
