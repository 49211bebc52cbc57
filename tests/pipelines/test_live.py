"""Live images: what cannot be used is left out and on record, and nothing else is."""

from __future__ import annotations

import dataclasses
import errno
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from augment.augmenter import augment_image
from augment.errors import RequestError
from augment.ops.base import Op
from augment.recipe import Recipe, load_recipe, parse_recipe
from augment.tfdata import augment_usable
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


class Touchy(Op):
    """Fails on images that are red."""

    def kernels(self, draw, size):
        return (Touched(),)


@dataclasses.dataclass(frozen=True)
class Touched:
    def on_host(self, image):
        if image[..., 0].min() == 255:
            raise ValueError("too red")
        return image


def test_an_op_that_fails_leaves_no_image_out(root, recipe):
    """Only files that cannot be used may be."""
    Image.fromarray(np.full((9, 9, 3), 255, np.uint8)).save(root / "cat" / "4.png")
    with_op = Recipe("x", (*recipe.ops, Touchy()), recipe.storage)
    with pytest.raises(tf.errors.InvalidArgumentError) as raised:
        live_ids(root, with_op)
    assert ": SampleError: cat/4.png: OpError: kernel Touched: ValueError: too red\n" in raised.value.message


def test_what_is_left_out_without_a_reason_of_its_own_is_an_error(root, recipe):
    def forgetful(files: tf.data.Dataset) -> tf.data.Dataset:
        return augment_usable(files, recipe, seed=0, copy=0).filter(lambda e: e["source"] != "cat/4.png")

    listed = tf.data.Dataset.from_tensor_slices({"source": NAMES})
    samples = live.accounted(listed, tf.constant(NAMES), live.Account(str(root)), forgetful)
    with pytest.raises(tf.errors.OpError, match=r"cat/4.png can be decoded, and no sample came of it"):
        list(samples)


def test_how_many_images_there_are_is_known_before_and_those_of_no_use_are_missing(root, recipe, capfd):
    (root / NAMES[3]).write_bytes(b"hello")
    dataset = datasets.from_images(str(root), recipe, seed=0)
    assert len(dataset) == len(NAMES)
    assert len(list(dataset)) == len(NAMES) - 1
    assert "Traceback" not in capfd.readouterr().err


def test_pairs_and_batches_are_those_of_the_dictionaries(root, recipe):
    expected = list(datasets.from_images(str(root), recipe, seed=0))
    batches = datasets.from_images(str(root), recipe, seed=0, as_supervised=True, batch_size=10)
    assert len(batches) == 3
    images, labels = (np.concatenate(part) for part in zip(*batches.as_numpy_iterator(), strict=True))
    np.testing.assert_array_equal(images, [e["image"] for e in expected])
    np.testing.assert_array_equal(labels, [e["label"] for e in expected])


def test_a_batch_has_at_least_one_sample(root, recipe):
    with pytest.raises(RequestError, match="batch_size is 0; it must be a whole number from 1, or None"):
        datasets.from_images(str(root), recipe, seed=0, batch_size=0)


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
        lambda files: augment_usable(files, load_recipe("flowers"), seed=0, copy=1),
    )
    assert list(stateful_ops(samples)) == []
