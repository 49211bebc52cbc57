"""Live images: what cannot be used is left out and on record, and nothing else is."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from augment.augmenter import augment_image
from augment.errors import RequestError
from augment.recipe import Recipe, load_recipe, parse_recipe
from augment.tfdata import augment_dataset
from pipelines import datasets, live
from pipelines.sources import Reject, read_source
from pipelines.storage import store
from tests.graphs import stateful_ops

NAMES = [f"{label}/{i}.png" for label in ("cat", "dog") for i in range(12)]


@pytest.fixture
def root(tmp_path: Path, photo_of) -> Path:
    for i, name in enumerate(NAMES):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.fromarray(photo_of(20, 24, i)).save(tmp_path / name)
    return tmp_path


@pytest.fixture
def recipe() -> Recipe:
    return parse_recipe("ops:\n  - resize: {height: 8, width: 8}\n  - flip: {horizontal: 0.5}\n", name="x")


def live_ids(root: Path, recipe: Recipe, **options: object) -> list[str]:
    dataset = datasets.from_images(str(root), recipe, seed=0, **options)
    return [element["source"].decode() for element in dataset.as_numpy_iterator()]


def test_c6_images_that_cannot_be_used_are_said_and_the_rest_keeps_its_order(root, recipe, capsys):
    order = live_ids(root, recipe)
    assert sorted(order) == sorted(NAMES)
    assert "left out" not in capsys.readouterr().err
    for name in (order[0], order[5], order[6], order[-1]):  # the first and the last, and two in a row
        (root / name).write_bytes((root / name).read_bytes()[:100])
    (root / order[9]).write_bytes(b"hello")
    for _ in range(2):
        assert live_ids(root, recipe) == [
            name for i, name in enumerate(order) if i not in (0, 5, 6, 9, len(order) - 1)
        ]
        said = capsys.readouterr().err
        assert said.count("is left out, truncated") == 1
        assert f"{order[9]} is left out, not_an_image: its first bytes are 68 65 6c 6c 6f" in said
        assert f"5 images of {root} are left out: 4 truncated, 1 not_an_image" in said


def test_c6_a_caller_is_told_of_each_image_once(root, recipe, capsys):
    order = live_ids(root, recipe)
    (root / order[3]).write_bytes(b"")
    with open(root / "cat" / "huge.jpg", "wb") as file:
        file.truncate(20 << 30)
    told: list[Reject] = []
    dataset = datasets.from_images(str(root), recipe, seed=0, on_reject=told.append)
    for _ in range(2):
        assert len(list(dataset)) == len(NAMES) - 1
    assert [(reject.source, reject.reason) for reject in told] == [
        ("cat/huge.jpg", "too_large"),
        (order[3], "empty"),
    ]
    assert "left out" not in capsys.readouterr().err


def test_live_pixels_are_those_of_one_image(root, recipe):
    for element in datasets.from_images(str(root), recipe, seed=3, copy=2).take(5):
        source = element["source"].numpy().decode()
        contents = read_source(str(root), source)
        np.testing.assert_array_equal(
            element["image"], augment_image(contents, recipe, seed=3, source=source, copy=2)
        )


def test_a_fault_that_passes_leaves_no_image_out(root, recipe, monkeypatch, capsys):
    faults: Iterator[Exception] = iter(
        [
            OSError(errno.EIO, "input/output error"),
            store.no_credentials("ExpiredToken"),
            ValueError("checksum"),
        ]
    )

    def read(root: str, source: str) -> bytes:
        for fault in faults:
            raise fault
        return read_source(root, source)

    monkeypatch.setattr(live, "read_source", read)
    monkeypatch.setattr(live.time, "sleep", lambda _: None)
    assert sorted(live_ids(root, recipe)) == sorted(NAMES)
    said = capsys.readouterr().err
    assert ".png: input/output error; trying again" in said
    assert "takes no credentials that are here (ExpiredToken); see docs/stores.md; trying again" in said
    assert "ValueError: checksum; trying again" in said


def test_a_fault_that_stays_is_raised_with_its_file(root, recipe, monkeypatch):
    def read(root: str, source: str) -> bytes:
        if source == "dog/7.png":
            raise OSError(errno.EIO, "input/output error")
        return read_source(root, source)

    monkeypatch.setattr(live, "read_source", read)
    monkeypatch.setattr(live.time, "sleep", lambda _: None)
    with pytest.raises(tf.errors.OpError, match=r"dog/7.png cannot be read \(input/output error\)"):
        live_ids(root, recipe)


def test_an_op_that_fails_leaves_no_image_out(root, recipe):
    """Only files that cannot be used may be."""

    def failing(files: tf.data.Dataset) -> tf.data.Dataset:
        def check(element):
            tf.debugging.assert_none_equal(element["source"], "cat/4.png")
            return element

        return augment_dataset(files, recipe, seed=0, copy=0).map(check)

    listed = tf.data.Dataset.from_tensor_slices({"source": NAMES})
    samples = live.accounted(listed, tf.constant(NAMES), live.Account(str(root)), failing)
    with pytest.raises(tf.errors.OpError, match=r"cat/4.png can be decoded, and no sample came of it"):
        list(samples)


def test_a_file_that_goes_after_the_listing_is_raised_at_once(root, recipe):
    """As the job fails for it: that a file is gone, or may not be read, says nothing of the image."""
    dataset = datasets.from_images(str(root), recipe, seed=0)
    (root / NAMES[4]).unlink()
    said = rf"{NAMES[4]} cannot be read \(no such file or directory\), which says nothing of the image"
    with pytest.raises(tf.errors.OpError, match=said):
        list(dataset)


def test_live_refuses_what_the_job_refuses(root, recipe):
    (root / "Cat").mkdir()
    (root / "Cat" / "1.png").write_bytes(b"x")
    with pytest.raises(RequestError, match="classes 'Cat' and 'cat' differ only by case"):
        datasets.from_images(str(root), recipe, seed=0)


@pytest.mark.parametrize("root_url", ["/somewhere", "s3://bucket/photos"])
def test_no_op_in_a_mapped_graph_is_stateful(root_url):
    listed = tf.data.Dataset.from_tensor_slices({"source": NAMES})
    samples = live.accounted(
        listed,
        tf.constant(NAMES),
        live.Account(root_url),
        lambda files: augment_dataset(files, load_recipe("flowers"), seed=0, copy=1),
    )
    assert list(stateful_ops(samples)) == []
