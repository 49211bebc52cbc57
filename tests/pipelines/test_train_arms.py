"""The arms of the trainer: the same samples in the same batches, wherever their pixels come from."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from augment.augmenter import Augmenter, augment_image
from augment.errors import RequestError
from augment.keys import source_words
from augment.layer import AugmentLayer
from augment.ops.sizes import Resize
from augment.recipe import load_recipe, parse_recipe
from pipelines import datasets
from pipelines.format.manifest import read_manifest
from pipelines.train.arms import Arm, open_feed, parse_arms
from pipelines.train.compatibility import differing
from pipelines.train.feeding import Members, model_layer
from tests.forgery import Forger
from tests.in_process import augshard

RECIPE = """
storage: {{format: {storage}}}
ops:
  - resize: {{height: 20, width: 24, method: mitchellcubic}}
  - invert
  - flip: {{horizontal: 0.5}}
  - rotation: {{factor: 0.1, p: 0.7}}
  - random_crop: {{height: 16, width: 16}}
  - resize: {{height: 12, width: 12, id: smaller}}
"""
COPIES, LAST, BATCH = 2, 2, 8


@pytest.fixture(scope="module")
def images(tmp_path_factory, photo_of) -> Path:
    """DIR/train and DIR/test with two classes each: 20 and 4 pictures, and one that cannot be used."""
    root = tmp_path_factory.mktemp("pictures")
    for number in range(24):
        folder = root / ("test" if number >= 20 else "train") / ("cat" if number % 2 else "dog")
        folder.mkdir(parents=True, exist_ok=True)
        picture = photo_of(24 + number % 5, 30 + number % 7, seed=number)
        Image.fromarray(picture).save(folder / f"{number:02}.png")
    (root / "train" / "cat" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    return root


@pytest.fixture(scope="module")
def recipe_of(tmp_path_factory):
    folder = tmp_path_factory.mktemp("recipes")

    def write(storage: str) -> Path:
        path = folder / f"tiny_{storage}.yaml"
        path.write_text(RECIPE.format(storage=storage))
        return path

    return write


@pytest.fixture(scope="module")
def shards_of(images, recipe_of, tmp_path_factory):
    """Shards in a storage, made once."""
    made: dict[str, Path] = {}

    def make(storage: str) -> Path:
        if storage not in made:
            output = tmp_path_factory.mktemp("shards") / "out"
            request = ("--input", images, "--output", output, "--recipe", recipe_of(storage), "--shards", 3)
            ended = augshard(
                *("materialize", *request, "--copies", COPIES, "--include-originals", "--max-rejects", 1)
            )
            assert ended.status == 0, ended.err
            made[storage] = output
        return made[storage]

    return make


@pytest.fixture(scope="module")
def opened(images, recipe_of, shards_of):
    """Binds an arm to all of the above."""

    def bind(arm: Arm, storage: str = "png", *, shards: Path | bool = True, **more):
        given = {"input": str(images), "recipe": load_recipe(recipe_of(storage))}
        there = shards_of(storage) if shards is True else shards
        return open_feed(arm, **{**given, "shards": str(there) if there else None, **more})

    return bind


def batches_of(feed, first=0, last=0, train_seed=5):
    """What a model sees from epoch `first` to epoch `last`: (pixels, labels) by batch."""
    augmented = tf.function(lambda x: feed.layer(x, training=True) if feed.layer else x, autograph=False)
    steps = (last - first + 1) * -(-feed.train_samples // BATCH)
    batches = feed.epochs(first, batch=BATCH, train_seed=train_seed).take(steps)
    return [(augmented(x).numpy().astype(np.uint8), y.numpy()) for x, y in batches]


def assert_equal(some, others):
    assert len(some) == len(others)
    for (pixels, labels), (other_pixels, other_labels) in zip(some, others, strict=True):
        np.testing.assert_array_equal(pixels, other_pixels)
        np.testing.assert_array_equal(labels, other_labels)


@pytest.mark.parametrize("storage", ["png", "raw", "jpeg"])
def test_all_arms_have_the_same_batches_of_the_same_pixels_in_every_epoch(opened, storage):
    limited = Arm("live", copies=COPIES)
    expected = batches_of(opened(limited, storage), 0, LAST)
    assert [len(labels) for _, labels in expected] == [8, 8, 4] * (LAST + 1)
    others = [opened(Arm("shards"), storage)]
    if storage == "png":
        others.append(opened(limited, storage, shards=False))
    if storage != "jpeg":
        others.append(opened(Arm("live-layer", copies=COPIES), storage))
    for feed in others:
        assert feed.train_samples == 20
        assert_equal(batches_of(feed, 0, LAST), expected)


def test_an_epoch_holds_the_copy_that_is_its_own_of_every_source_in_an_order_of_its_own(opened, shards_of):
    feed, orders = opened(Arm("shards")), []
    for epoch in (0, 1, 2):
        stored = datasets.from_shards(str(shards_of("png")), copies=[epoch % COPIES]).as_numpy_iterator()
        sources = {sample["image"].tobytes(): sample["source"] for sample in stored}
        seen = batches_of(feed, epoch, epoch)
        orders.append([sources[image.tobytes()] for pixels, _ in seen for image in pixels])
    assert all(len(set(order)) == 20 for order in orders)
    assert orders[0] != orders[1] != orders[2] != orders[0]


def test_what_a_batch_is_mixed_by_is_the_same_in_every_arm(opened):
    names = []
    for arm in (Arm("shards", copies=1), Arm("live"), Arm("live-layer"), Arm("none")):
        batches = opened(arm).epochs(0, batch=BATCH, train_seed=5, named=True).take(6)
        names.append([(who["key"].numpy(), who["copy"].numpy()) for _, _, who in batches])
    for others in names[1:]:
        assert_equal(others, names[0])
    keys, copies = zip(*names[0], strict=True)
    assert len(np.unique(np.concatenate(keys[:3]), axis=0)) == 20
    assert [set(numbers.tolist()) for numbers in copies] == [{0}] * 3 + [{1}] * 3


def test_epochs_follow_each_other_as_each_is_alone(opened):
    feed = opened(Arm("shards"))
    alone = [
        (x.numpy(), y.numpy()) for epoch in (1, 2, 3) for x, y in feed.epoch(epoch, batch=BATCH, train_seed=5)
    ]
    assert_equal(alone, batches_of(feed, 1, 3))


def test_the_order_depends_on_the_train_seed_and_on_no_global_one(opened):
    feed = opened(Arm("none"))
    tf.random.set_seed(1)
    before = batches_of(feed)
    tf.random.set_seed(2)
    assert_equal(batches_of(feed), before)
    other = batches_of(feed, train_seed=6)
    assert any((x != y).any() for (x, _), (y, _) in zip(before, other, strict=True))


def test_an_order_is_that_of_hashes_which_other_sources_do_not_change():
    ids = np.array([f"train/cat/{number}.png" for number in range(500)], object)
    everyone = Members("train", ids, np.zeros(500, np.int64))
    order = [ids[row] for row in everyone.order(3, 7)]
    assert sorted(order) == sorted(ids)
    fewer = everyone.where(np.arange(500) % 3 > 0)
    assert [fewer.ids[row] for row in fewer.order(3, 7)] == [i for i in order if i in set(fewer.ids)]
    assert order[:5] == [f"train/cat/{number}.png" for number in GOLDEN]


GOLDEN = (155, 270, 103, 360, 45)
"""Which of 500 come first in epoch 7 of train seed 3; another order is another training."""


def test_none_has_the_images_as_they_are_from_shards_as_from_images(opened):
    stored, live = opened(Arm("none"), "jpeg"), opened(Arm("none"), "jpeg", shards=False)
    assert_equal(batches_of(stored), batches_of(live))
    test = [[(x.numpy(), y.numpy()) for x, y in feed.evaluation("test", batch=3)] for feed in (stored, live)]
    assert_equal(*test)
    assert [len(labels) for _, labels in test[0]] == [3, 1]


def test_originals_are_the_first_of_the_pool(opened):
    arm = Arm("shards", copies=2, originals=True)
    assert [arm.copy(epoch) for epoch in range(5)] == [-1, 0, 1, -1, 0]
    feed = opened(arm)
    assert_equal(batches_of(feed, 3, 3), batches_of(opened(Arm("none")), 3, 3))
    assert feed.notes(3) == []
    assert feed.notes(4) == [
        "shards-originals-k2: 4 epochs share the originals and 2 copies; "
        "epoch e sees number e mod 3 of them, the originals being number 0"
    ]


def test_reuse_of_copies_is_said(opened):
    assert opened(Arm("shards", copies=1)).notes(2) == [
        "shards-k1: 2 epochs share 1 copy; epoch e sees copy e mod 1"
    ]
    assert opened(Arm("live")).notes(100) == []


def test_validation_carved_from_training_is_the_same_in_every_arm(opened):
    kept = {}
    every = {image.tobytes() for pixels, _ in batches_of(opened(Arm("none"))) for image in pixels}
    for arm in (Arm("shards"), Arm("live"), Arm("none")):
        feed = opened(arm, validation_fraction="0.25")
        validation = np.concatenate([x.numpy() for x, _ in feed.evaluation("validation", batch=9)])
        assert feed.validation == "validation"
        assert feed.test == "test"
        assert feed.train_samples + len(validation) == 20
        kept[arm.name] = validation.tobytes()
        assert {image.tobytes() for image in validation} < every
    trained = {image.tobytes() for pixels, _ in batches_of(feed) for image in pixels}
    assert trained == every - {image.tobytes() for image in validation}
    assert len(set(kept.values())) == 1


def test_a_source_that_vanishes_on_the_way_stops_the_training(opened, images, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(images, copy)
    feed = opened(Arm("live"), shards=False, input=str(copy))
    next((copy / "train" / "dog").glob("0*.png")).unlink()
    with pytest.raises(tf.errors.OpError, match=r"dog/0\d.png cannot be read \(no such file or directory\)"):
        batches_of(feed)


def test_a_damaged_record_stops_the_training(opened, shards_of, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(shards_of("png"), copy)
    feed = opened(Arm("shards"), shards=copy)
    shard = next(copy.glob("*train_c0.tfrecord-00001*"))
    contents = bytearray(shard.read_bytes())
    contents[len(contents) // 2] ^= 1
    shard.write_bytes(contents)
    with pytest.raises(tf.errors.OpError, match="is damaged"):
        batches_of(feed)


@pytest.mark.parametrize("method", Resize.model_fields["method"].annotation.__args__)
def test_the_layer_gets_images_on_which_what_draws_nothing_is_done_once(photo_of, method):
    text = (
        f"ops: [resize: {{height: 20, width: 24, method: {method}}}, invert, contrast: {{factor: 0.5}}, "
        "flip: {horizontal: 0.5}]"
    )
    recipe = parse_recipe(text, name="tiny")
    layer, shape = model_layer(recipe, 3)
    assert isinstance(layer, AugmentLayer)
    assert shape == (20, 24, 3)
    image = photo_of(20, 24)
    begun = Augmenter(recipe, 3).head(image)
    given = {"image": begun[None], "key": source_words(["a"]), "copy": np.array([1], np.int32)}
    expected = augment_image(image, recipe, seed=3, source="a", copy=1)
    np.testing.assert_array_equal(np.asarray(layer(given, training=True))[0], expected)


# ------------------------------------------------------------------------------ what is refused


def refused(bind, *arguments, **options) -> str:
    with pytest.raises(RequestError) as refusal:
        bind(*arguments, **options)
    return str(refusal.value)


def test_shards_of_another_request_are_refused_by_what_differs(opened, images, shards_of, tmp_path):
    shards = Arm("shards")
    assert "made with seed 0, not with 1; say --seed 0" in refused(opened, shards, seed=1)
    jpeg = refused(opened, shards, shards=shards_of("jpeg"))
    assert 'another recipe: its storage is {"chroma": "4:2:0", "format": "jpeg"' in jpeg
    shorter = parse_recipe("ops: [resize: {height: 20, width: 24}]", name="short")
    assert "it has 6 ops, short has 1" in refused(opened, shards, recipe=shorter)
    other = parse_recipe(RECIPE.format(storage="png").replace("0.7", "0.6"), name="other")
    assert "its op 4 is" in refused(opened, shards, recipe=other)

    renamed = tmp_path / "renamed"
    shutil.copytree(images, renamed)
    for split in ("train", "test"):
        (renamed / split / "dog").rename(renamed / split / "wolf")
    assert "their classes are cat, dog, those of input" in refused(opened, shards, input=str(renamed))

    fewer = tmp_path / "fewer"
    shutil.copytree(images, fewer)
    next((fewer / "test" / "dog").iterdir()).unlink()
    assert "their splits are test of 4, train of 21, those" in refused(opened, shards, input=str(fewer))
    (fewer / "test" / "dog" / "new.png").write_bytes(b"another")
    assert "files came, went or changed their size" in refused(opened, shards, input=str(fewer))


def test_what_shards_do_not_hold_is_refused(opened, images, recipe_of, shards_of, tmp_path):
    assert "hold 2 of 3 copies; add the others by augshard materialize --copies 3" in refused(
        opened, Arm("shards", copies=3)
    )
    assert "needs shards to read" in refused(opened, Arm("shards"), shards=False)
    without = tmp_path / "without"
    shutil.copytree(shards_of("png"), without)

    def leave_out(document: dict) -> None:
        document["request"]["originals"] = False
        for name in [name for name in document["files"] if "train.tf" in name or "train-" in name]:
            del document["files"][name]

    Forger(without).put_manifest(leave_out)
    assert "hold no originals; add them by augshard materialize --include-originals" in refused(
        opened, Arm("shards", copies=1, originals=True), shards=without
    )
    (without / "manifest.json").unlink()
    assert "no finished dataset" in refused(opened, Arm("shards"), shards=without)


def test_what_a_layer_cannot_do_is_refused(opened):
    layer = Arm("live-layer")
    assert "it stores JPEG" in refused(opened, layer, "jpeg")
    crop = parse_recipe("ops: [random_resized_crop: {height: 20, width: 20}]", name="crop")
    said = refused(opened, layer, shards=False, recipe=crop)
    assert "recipe crop: images have no one size" in said
    assert "before its random_resized_crop; put a resize before that" in said


@pytest.mark.parametrize("fraction", ["0.0", "1", "-0.1", "tenth", "nan", "1e-3"])
def test_a_validation_fraction_that_is_none_is_refused(opened, fraction):
    said = refused(opened, Arm("none"), validation_fraction=fraction)
    assert f"--validation-fraction is {fraction!r}; it must be a part of the training images" in said


def test_a_validation_fraction_of_zero_leaves_all_to_train(opened):
    all_train = opened(Arm("none"), validation_fraction="0")
    assert all_train.validation is None
    carved = opened(Arm("none"), validation_fraction="0.25")
    assert carved.images("validation") + carved.images() == all_train.images()


def test_validation_is_said_once(opened, images, tmp_path):
    with_validation = tmp_path / "both"
    shutil.copytree(images, with_validation)
    (with_validation / "test").rename(with_validation / "val")
    given = {"input": str(with_validation), "validation_fraction": "0.1"}
    said = refused(opened, Arm("none"), shards=False, **given)
    assert "there is a split val; leave it out" in said
    feed = opened(Arm("none"), shards=False, input=str(with_validation))
    assert (feed.validation, feed.test) == ("val", None)


def test_arms_are_parsed_in_the_order_in_which_they_are_named():
    labels = [arm.label for arm in parse_arms("none, shards,live", "1,5,originals+2")]
    assert labels == ["none", "shards-k1", "shards-k5", "shards-originals-k2", "live"]
    assert parse_arms("live-layer,shards", None) == [Arm("live-layer"), Arm("shards")]


@pytest.mark.parametrize(
    ("names", "copies", "said"),
    [
        ("shard", None, "there is no arm 'shard'; did you mean shards?"),
        ("none,none", None, "none stands there twice"),
        ("shards", "1,01", "'01' is no number of copies"),
        ("shards", "0", "'0' is no number of copies"),
        ("shards", "2,2", "shards-k2 stands there twice"),
        ("live", "2", "add shards to --arms"),
    ],
)
def test_arms_that_are_none_are_refused(names, copies, said):
    assert said in refused(parse_arms, names, copies)


def test_shards_of_another_parity_class_are_said_to_be(shards_of):
    manifest = read_manifest(str(shards_of("png")))
    assert differing(manifest) == []
    old = manifest.model_copy(update={"parity_class": {**manifest.parity_class, "pillow": "9.9"}})
    assert differing(old) == [f"pillow 9.9 (here {manifest.parity_class['pillow']})"]
