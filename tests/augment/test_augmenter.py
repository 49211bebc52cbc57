"""One image, tf.data and blocks of draws: the promises about which pixels a sample has."""

from __future__ import annotations

import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import augment
from augment.augmenter import NOT_AUGMENTED, augment_image
from augment.codec import DecodeError, encode_png
from augment.errors import RequestError
from augment.recipe import load_recipe, parse_recipe, preset_names
from augment.tfdata import augment_dataset
from tests.graphs import stateful_ops


def png(image: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture(scope="module")
def originals(photo_of) -> list[np.ndarray]:
    """Five photos of different sizes."""
    return [photo_of(30 + 7 * i, 50 - 5 * i, seed=i) for i in range(5)]


@pytest.fixture(scope="module")
def sources() -> list[str]:
    return [f"train/roses/{i}.png" for i in range(5)]


@pytest.fixture(scope="module")
def files(originals, sources) -> tf.data.Dataset:
    images = [png(image) for image in originals]
    return tf.data.Dataset.from_tensor_slices({"image": images, "source": sources, "label": range(5)})


# ---------------------------------------------------------------- one image and tf.data


def as_images(dataset: tf.data.Dataset) -> list[np.ndarray]:
    return [element["image"].numpy() for element in dataset]


@pytest.mark.parametrize("name", preset_names())
def test_c1_one_image_and_a_dataset_give_equal_pixels(name, files, originals, sources):
    recipe = load_recipe(name)
    from_files = as_images(augment_dataset(files, recipe, seed=4, copy=2))
    for image, source, got in zip(originals, sources, from_files, strict=True):
        assert got.shape == (*recipe.image_size, 3)
        assert got.dtype == np.uint8
        for given_as in (image, png(image), tf.constant(image)):
            alone = augment_image(given_as, recipe, seed=4, source=source, copy=2)
            np.testing.assert_array_equal(got, alone)


@pytest.mark.parametrize("storage", ["{format: png}", "{format: raw}", "{format: jpeg, quality: 80}"])
def test_c3_live_pixels_are_those_that_the_storage_keeps(files, originals, sources, storage):
    recipe = parse_recipe(
        f"storage: {storage}\nops: [{{resize: {{height: 20, width: 30}}}}, {{contrast: {{factor: 0.5}}}}]",
        name="r",
    )
    exact = parse_recipe("ops: [{resize: {height: 20, width: 30}}, {contrast: {factor: 0.5}}]", name="r")
    got = as_images(augment_dataset(files, recipe, seed=0, copy=0))
    for image, source, live in zip(originals, sources, got, strict=True):
        expected = augment_image(image, exact, seed=0, source=source, copy=0)
        if recipe.storage.format == "jpeg":
            assert (live != expected).any()
            stored = tf.io.encode_jpeg(expected, quality=80, chroma_downsampling=True)
            expected = tf.io.decode_image(stored).numpy()
        np.testing.assert_array_equal(live, expected)


def test_c1_pixels_do_not_depend_on_order_or_company(files, sources):
    recipe = load_recipe("five_looks")
    straight = dict(zip(sources, as_images(augment_dataset(files, recipe, seed=0, copy=0)), strict=True))
    reordered = files.shuffle(5, seed=1).repeat(40)  # more than one block
    count = 0
    for element in augment_dataset(reordered, recipe, seed=0, copy=0):
        np.testing.assert_array_equal(element["image"], straight[element["source"].numpy().decode()])
        count += 1
    assert count == 200


def test_c1_seed_copy_and_source_each_make_another_sample(photo):
    recipe = load_recipe("flowers_layers")
    base = augment_image(photo, recipe, seed=0, source="a", copy=0)
    for other in ({"seed": 1}, {"source": "b"}, {"copy": 1}):
        changed = augment_image(photo, recipe, **{"seed": 0, "source": "a", "copy": 0, **other})
        assert (changed != base).any()


def test_the_largest_seed_and_copy_are_taken(photo):
    recipe = load_recipe("cifar10")
    largest = {"seed": 2**64 - 1, "copy": 2**31 - 1}
    alone = augment_image(photo, recipe, source="a", **largest)
    dataset = tf.data.Dataset.from_tensors({"image": photo, "source": "a"})
    [live] = as_images(augment_dataset(dataset, recipe, **largest))
    np.testing.assert_array_equal(live, alone)


def test_order_and_other_entries_pass_through(photo_of):
    count = 300
    photos = np.stack([photo_of(9, 8, seed=i) for i in range(3)])[np.arange(count) % 3]
    dataset = tf.data.Dataset.from_tensor_slices(
        {
            "image": photos,
            "source": [str(i) for i in range(count)],
            "label": np.arange(count),
            "nested": {"weight": np.linspace(0, 1, count), "name": [f"n{i}" for i in range(count)]},
            "ragged": tf.RaggedTensor.from_row_lengths(tf.range(count * 2), [1, 3] * (count // 2)),
        }
    )
    recipe = parse_recipe("ops: [{resize: {height: 4, width: 4}}, {flip: {horizontal: 0.5}}]", name="r")
    out = augment_dataset(dataset, recipe, seed=0, copy=0)
    assert out.element_spec["image"] == tf.TensorSpec([4, 4, 3], tf.uint8)
    assert out.element_spec["nested"] == dataset.element_spec["nested"]
    elements = list(out)
    assert [int(e["label"]) for e in elements] == list(range(count))
    assert [e["nested"]["name"].numpy() for e in elements] == [b"n%d" % i for i in range(count)]
    assert [e["ragged"].shape[0] for e in elements] == [1, 3] * (count // 2)


def test_the_number_of_elements_is_kept(files, sources):
    live = augment_dataset(files, load_recipe("cifar10"), seed=0, copy=0)
    assert live.cardinality().numpy() == len(sources)
    endless = augment_dataset(files.repeat(), load_recipe("cifar10"), seed=0, copy=0)
    assert endless.cardinality() == tf.data.INFINITE_CARDINALITY
    next(iter(endless))
    unknown = files.filter(lambda element: True)
    assert len(list(augment_dataset(unknown, load_recipe("cifar10"), seed=0, copy=0))) == len(sources)


@pytest.mark.parametrize("batch_size", [1, 2, 5, 200, 1000])
def test_batches_are_those_of_the_samples(originals, sources, batch_size):
    ragged = tf.RaggedTensor.from_row_lengths(tf.range(800), [1, 3] * 200)
    given = tf.data.Dataset.from_tensor_slices(
        {
            "image": [png(image) for image in originals] * 80,
            "source": sources * 80,
            "nested": {"number": np.arange(400)},
            "ragged": ragged,
        }
    )
    recipe = load_recipe("cifar10")
    batches = augment_dataset(given, recipe, seed=1, copy=2, batch_size=batch_size)
    one_by_one = augment_dataset(given, recipe, seed=1, copy=2).map(lambda e: e["image"]).batch(batch_size)
    assert len(batches) == len(one_by_one)
    for batch, images, as_given in zip(batches, one_by_one, given.batch(batch_size), strict=True):
        np.testing.assert_array_equal(batch.pop("image"), images)
        del as_given["image"]
        for got, want in zip(
            *(tf.nest.flatten(e, expand_composites=True) for e in (batch, as_given)), strict=True
        ):
            np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("given_as", ["pixels", "pixels of any size"])
def test_batches_of_pixels_are_those_of_files(files, originals, given_as):
    recipe = load_recipe("cifar10")
    given, shape = (originals[:1] * 5, [30, 50, 3]) if given_as == "pixels" else (originals, [None, None, 3])
    spec = tf.TensorSpec(shape, tf.uint8)
    photos = tf.data.Dataset.from_generator(lambda: iter(given), output_signature=spec)
    dataset = tf.data.Dataset.zip(photos, files).map(lambda image, e: {**e, "image": image})
    [batch] = augment_dataset(dataset, recipe, seed=1, copy=2, batch_size=8)
    np.testing.assert_array_equal(batch["image"], as_images(augment_dataset(dataset, recipe, seed=1, copy=2)))


def test_batches_of_an_endless_dataset_are_endless(files):
    live = augment_dataset(files.repeat(), load_recipe("cifar10"), seed=0, copy=0, batch_size=3)
    assert live.cardinality() == tf.data.INFINITE_CARDINALITY
    assert next(iter(live))["image"].shape[0] == 3


@pytest.mark.parametrize("batch_size", [0, -1, 2.0, "2"])
def test_a_batch_size_is_a_whole_number_from_1(files, batch_size):
    with pytest.raises(RequestError) as error:
        augment_dataset(files, load_recipe("cifar10"), seed=0, copy=0, batch_size=batch_size)
    assert str(error.value) == f"batch_size is {batch_size!r}; it must be a whole number from 1, or None"


@pytest.fixture
def with_a_fault(originals, sources) -> tf.data.Dataset:
    images = [png(image) if place != 3 else b"hello" for place, image in enumerate(originals)]
    return tf.data.Dataset.from_tensor_slices({"image": images, "source": sources})


@pytest.mark.parametrize("batch_size", [None, 2])
def test_a_sample_that_cannot_be_made_is_an_error_that_says_which_and_why(with_a_fault, batch_size):
    live = iter(augment_dataset(with_a_fault, load_recipe("cifar10"), seed=0, copy=0, batch_size=batch_size))
    for _ in range(3 // (batch_size or 1)):
        next(live)
    why = "not_an_image: its first bytes are 68 65 6c 6c 6f"
    with pytest.raises(tf.errors.InvalidArgumentError) as raised:
        next(live)
    assert f": SampleError: train/roses/3.png: DecodeError: {why}\n" in raised.value.message


@pytest.mark.parametrize(("batch_size", "left"), [(None, [0, 1, 2, 4]), (2, [0, 1, 4])])
def test_what_ignores_errors_ends(with_a_fault, sources, batch_size, left):
    live = augment_dataset(with_a_fault, load_recipe("cifar10"), seed=0, copy=0, batch_size=batch_size)
    got = np.hstack([element["source"] for element in live.ignore_errors().as_numpy_iterator()])
    assert got.tolist() == [sources[place].encode() for place in left]


def test_a_dataset_that_fails_before_ends_too_where_errors_are_ignored(files):
    failing = files.map(lambda e: {**e, "image": tf.io.read_file(tf.constant("none.png"))})
    assert len(failing) == 5
    live = augment_dataset(failing, load_recipe("cifar10"), seed=0, copy=0)
    assert list(live.ignore_errors()) == []


def test_ids_of_tfds_are_source_ids(files, originals, sources):
    as_tfds = files.map(lambda e: {"image": e["image"], "tfds_id": e["source"], "label": 3})
    recipe = load_recipe("cifar10")
    live = list(augment_dataset(as_tfds, recipe, seed=1, copy=2))
    assert [e["tfds_id"].numpy().decode() for e in live] == list(sources)
    for element, image, source in zip(live, originals, sources, strict=True):
        alone = augment_image(image, recipe, seed=1, source=source, copy=2)
        np.testing.assert_array_equal(element["image"], alone)


def test_epochs_can_be_joined_to_one_dataset(files):
    recipe = load_recipe("cifar10_layers")
    epochs = [augment_dataset(files, recipe, seed=0, copy=copy) for copy in range(2)]
    one_after_the_other = as_images(epochs[0].concatenate(epochs[1]))
    np.testing.assert_array_equal(one_after_the_other, as_images(epochs[0]) + as_images(epochs[1]))


# ---------------------------------------------------------------- not augmented


@pytest.mark.parametrize("name", preset_names())
def test_copy_minus_one_is_brought_to_size_and_nothing_else(name, files, originals, sources):
    recipe = load_recipe(name)
    got = as_images(augment_dataset(files, recipe, seed=0, copy=NOT_AUGMENTED))
    for image, source, live in zip(originals, sources, got, strict=True):
        assert live.shape == (*recipe.image_size, 3)
        for seed in (0, 1):
            alone = augment_image(image, recipe, seed=seed, source=source, copy=-1)
            np.testing.assert_array_equal(live, alone)


def test_not_augmented_pixels_are_the_resized_ones(photo):
    got = augment_image(photo, load_recipe("flowers_layers"), seed=0, source="a", copy=-1)
    expected = np.rint(tf.image.resize(photo, [180, 180]).numpy())
    assert np.abs(got - expected).max() <= 1  # weights in 2048ths


# ---------------------------------------------------------------- statelessness


@pytest.mark.parametrize("copy", [0, NOT_AUGMENTED])
@pytest.mark.parametrize("storage", ["png", "jpeg"])
@pytest.mark.parametrize("batch_size", [None, 2])
def test_no_op_in_a_mapped_graph_is_stateful(every_op, files, storage, copy, batch_size):
    """One would make every ordered map serial, even in a branch that is never taken."""
    entries = [entry for entry in every_op if not entry.startswith("random_crop")]
    lines = [
        "crop_or_pad: {id: given, height: 40, width: 56}",
        *entries,
        "hue: {delta: [0, 0.1], p: 0.5, id: h}",
    ]
    text = f"storage: {{format: {storage}}}\nops:\n" + "".join(f"  - {line}\n" for line in lines)
    recipe = parse_recipe(text, name="everything")
    live = augment_dataset(files, recipe, seed=0, copy=copy, batch_size=batch_size)
    assert list(stateful_ops(live)) == []


def test_the_search_for_stateful_ops_finds_one():
    dataset = tf.data.Dataset.range(3).map(lambda i: tf.random.uniform([]) + tf.cast(i, tf.float32))
    assert any("RandomUniform" in found for found in stateful_ops(dataset))


# ---------------------------------------------------------------- refusals


@pytest.mark.parametrize("seed", [-1, 2**64, 0.5, "0", None])
def test_a_seed_is_a_whole_number_of_64_bits(photo, seed):
    with pytest.raises(RequestError) as error:
        augment_image(photo, load_recipe("cifar10"), seed=seed, source="a", copy=0)
    assert str(error.value) == f"seed is {seed!r}; it must be a whole number from 0 to 2**64 - 1"


@pytest.mark.parametrize("copy", [-2, 2**31, 0.5, "0", None])
def test_a_copy_is_a_whole_number(photo, files, copy):
    sentence = f"copy is {copy!r}; it must be a whole number from 0, or -1 for no augmentation"
    with pytest.raises(RequestError) as error:
        augment_image(photo, load_recipe("cifar10"), seed=0, source="a", copy=copy)
    assert str(error.value) == sentence
    with pytest.raises(RequestError) as error:
        augment_dataset(files, load_recipe("cifar10"), seed=0, copy=copy)
    assert str(error.value) == sentence


def test_numbers_of_numpy_are_taken(photo):
    recipe = load_recipe("cifar10")
    expected = augment_image(photo, recipe, seed=3, source="a", copy=2)
    got = augment_image(photo, recipe, seed=np.int64(3), source="a", copy=np.int32(2))
    np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize(
    ("image", "found"),
    [
        (np.zeros([4, 4, 3], np.float32), "float32 [4, 4, 3]"),
        (np.zeros([4, 4, 3], np.int64), "int64 [4, 4, 3]"),
        (np.zeros([4, 4], np.uint8), "uint8 [4, 4]"),
        (np.zeros([4, 4, 4], np.uint8), "uint8 [4, 4, 4]"),
        (np.zeros([2, 4, 4, 3], np.uint8), "uint8 [2, 4, 4, 3]"),
        ([b"a", b"b"], "string [2]"),
    ],
)
def test_pixels_of_another_type_or_shape_are_refused(image, found):
    recipe = load_recipe("cifar10")
    with pytest.raises(RequestError) as error:
        augment_image(image, recipe, seed=0, source="a", copy=0)
    right = "it must be a file's bytes, its path, or uint8 [H, W, 3]"
    assert str(error.value) == f"the image is {found.replace('string', 'bytes8')}; {right}"
    dataset = tf.data.Dataset.from_tensors({"image": image, "source": "a"})
    with pytest.raises(RequestError) as error:
        augment_dataset(dataset, recipe, seed=0, copy=0)
    assert str(error.value) == f"the image is {found}; it must be a file's bytes or uint8 [H, W, 3]"


def test_bytes_that_are_no_image_are_refused_with_their_reason():
    with pytest.raises(DecodeError) as error:
        augment_image(b"neither fish nor fowl", load_recipe("cifar10"), seed=0, source="a", copy=0)
    assert error.value.rejection.reason == "not_an_image"


@pytest.mark.parametrize(
    ("elements", "sentence"),
    [
        ({"image": [b"a"]}, "the dataset's elements have 'image'; they must have 'image' and 'source'"),
        ({"source": ["a"]}, "the dataset's elements have 'source'; they must have 'image' and 'source'"),
        (
            ([b"a"], [1]),
            "the dataset's elements are no dictionaries; they must be, with 'image' and "
            "'source' (from TFDS: leave out as_supervised, and give ReadConfig(add_tfds_id=True))",
        ),
    ],
)
def test_a_dataset_must_have_an_image_and_a_source(elements, sentence):
    with pytest.raises(RequestError) as error:
        augment_dataset(tf.data.Dataset.from_tensor_slices(elements), load_recipe("cifar10"), seed=0, copy=0)
    assert str(error.value) == sentence


def test_a_source_must_be_a_text(photo):
    dataset = tf.data.Dataset.from_tensors({"image": photo, "source": 3})
    with pytest.raises(RequestError) as error:
        augment.augment_dataset(dataset, load_recipe("cifar10"), seed=0, copy=0)
    assert str(error.value) == "the dataset's 'source' is int32; it must be string"


def test_an_image_may_be_given_by_its_path(tmp_path, make_recipe, photo_of):
    path = tmp_path / "a.png"
    path.write_bytes(encode_png(photo_of(20, 33)))
    recipe = make_recipe("contrast: {factor: 0.5}", height=20, width=33)
    expected = augment_image(path.read_bytes(), recipe, seed=0, source="b", copy=1)
    for given in (path, str(path)):
        np.testing.assert_array_equal(augment_image(given, recipe, seed=0, source="b", copy=1), expected)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ("photos/none.jpg", r"the image 'photos/none.jpg' cannot be read \(No such file or directory\)"),
        (None, r"the image is a NoneType; it must be a file's bytes, its path, or uint8 \[H, W, 3\]"),
    ],
)
def test_what_is_no_image_is_refused_in_a_sentence(given, sentence, make_recipe):
    recipe = make_recipe("invert", height=20, width=33)
    with pytest.raises(RequestError, match=sentence):
        augment_image(given, recipe, seed=0, source="a", copy=0)
