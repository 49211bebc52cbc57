"""Annotations in an object store: what is found there is what is found on a disk."""

from __future__ import annotations

from collections import Counter

import pytest

from pipelines.annotations import annotations_of, everything_annotated
from tests.pipelines.annotated import found_in, look
from tests.pipelines.test_annotations_coco import official
from tests.pipelines.test_annotations_masks import put
from tests.pipelines.test_annotations_table import ROWS, put_table
from tests.pipelines.test_annotations_voc import devkit
from tests.pipelines.test_annotations_yolo import coco8
from tests.pipelines.test_storage_objects import memory  # noqa: F401 (a fixture)


def with_masks(root):
    put(root, "images/train/a.png", "images/val/b.png", "masks/train/a.png", "masks/val/b.png")


def with_tables(root):
    for split in ("train", "test"):
        put(root, f"{split}/a.png", f"{split}/deep/b.png")
        put_table(root, f"{split}/metadata.parquet", ROWS)


@pytest.mark.parametrize(
    ("write", "path"),
    [
        (official, "annotations"),
        (coco8, "data.yaml"),
        (devkit, "Annotations"),
        (with_masks, "masks"),
        (with_masks, "."),
        (with_tables, "."),
    ],
)
def test_a_store_gives_what_a_disk_does(tmp_path, memory, write, path):  # noqa: F811
    write(tmp_path)
    memory.download = lambda bucket, key, version, file: file.write(memory.read(bucket, key))
    for file in tmp_path.rglob("*"):
        if file.is_file():
            memory.write("bucket", f"in/{file.relative_to(tmp_path)}", file.read_bytes())
    root = "s3://bucket/in"
    annotations = annotations_of(root if path == "." else f"{root}/{path}")
    assert Counter(everything_annotated(root, annotations, None)) == found_in(tmp_path, path)
    assert look(tmp_path, path).sources
