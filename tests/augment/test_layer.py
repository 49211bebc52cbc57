"""The layer: the pixels of one image in a batch within a model, saved, distributed, at inference."""

from __future__ import annotations

import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

import augment
from augment.augmenter import Augmenter, augment_image
from augment.errors import RequestError
from augment.layer import AugmentLayer, BringToSize, export_inference, source_words
from augment.recipe import load_recipe, parse_recipe

SOURCES = [f"train/roses/{i}.png" for i in range(6)]


@pytest.fixture(scope="module")
def batch(photo_of) -> dict[str, np.ndarray]:
    """Six images of 40x50 in copies 0 to 4, and one that is not augmented."""
    return {
        "image": np.stack([photo_of(40, 50, seed=i) for i in range(6)]),
        "key": source_words(SOURCES),
        "copy": np.array([0, 1, 2, 3, 4, -1], np.int32),
    }


def one_by_one(recipe, batch, seed=7):
    return np.stack(
        [
            augment_image(image, recipe, seed=seed, source=source, copy=int(copy))
            for image, source, copy in zip(batch["image"], SOURCES, batch["copy"], strict=True)
        ]
    )


def inputs_of(height, width):
    return {
        "image": keras.Input([height, width, 3], dtype="uint8", name="image"),
        "key": keras.Input([2], dtype="uint32", name="key"),
        "copy": keras.Input([], dtype="int32", name="copy"),
    }


def classifier(recipe, size=(40, 50)):
    inputs = inputs_of(*size)
    x = AugmentLayer(recipe, seed=7)(inputs)
    x = keras.layers.Rescaling(1 / 255)(x)
    x = keras.layers.Conv2D(4, 3, strides=4)(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    outputs = keras.layers.Dense(2, activation="softmax", dtype="float32")(x)
    model = keras.Model(inputs, outputs)
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


# ---------------------------------------------------------------- equal pixels


@pytest.mark.parametrize("name", ["cifar10", "five_looks", "flowers"])
def test_c1_a_batch_in_the_layer_has_the_pixels_of_one_image_each(name, batch):
    recipe = load_recipe(name)
    layer = AugmentLayer(recipe, seed=7)
    expected = one_by_one(recipe, batch)
    assert layer(batch, training=True).dtype == tf.float32
    for call in (layer, tf.function(layer)):
        np.testing.assert_array_equal(call(batch, training=True), expected)


def test_c1_so_it_does_for_every_op(any_op, make_recipe, batch):
    recipe = make_recipe(any_op, height=40, width=50)
    layer = AugmentLayer(recipe, seed=7)
    np.testing.assert_array_equal(layer(batch, training=True), one_by_one(recipe, batch))


@pytest.mark.parametrize("number", range(2))
def test_c1_so_it_does_for_random_recipes(number, every_op, make_recipe, batch):
    entries = [entry for entry in every_op if "resize" not in entry and "crop" not in entry]
    chosen = np.random.default_rng(number).choice(entries, 6, replace=False)
    recipe = make_recipe(*chosen, height=37, width=44)
    layer = tf.function(AugmentLayer(recipe, seed=7))
    np.testing.assert_array_equal(layer(batch, training=True), one_by_one(recipe, batch))


def test_c1_the_place_in_a_batch_and_its_company_do_not_matter(batch):
    layer = AugmentLayer(load_recipe("five_looks"), seed=7)
    whole = layer(batch, training=True).numpy()
    backwards = layer({name: values[::-1] for name, values in batch.items()}, training=True)
    np.testing.assert_array_equal(backwards[::-1], whole)
    alone = layer({name: values[2:3] for name, values in batch.items()}, training=True)
    np.testing.assert_array_equal(alone[0], whole[2])


def test_c2_draws_in_a_graph_are_those_of_numpy(batch):
    recipe = load_recipe("five_looks")
    augmenter = Augmenter(recipe, seed=7)
    words, copy = batch["key"], batch["copy"]
    expected = augmenter.recorded(augmenter.draw((words[:, 0], words[:, 1]), copy))
    layer = AugmentLayer(recipe, seed=7)
    drawn = tf.function(layer.draw)(tf.constant(words), tf.constant(copy))
    assert drawn.keys() == expected.keys()
    for name, values in expected.items():
        assert drawn[name].dtype == values.dtype
        np.testing.assert_array_equal(drawn[name], values)


def test_images_of_a_size_that_only_the_batch_knows(batch):
    recipe = load_recipe("car_or_truck_convnet")
    inputs = inputs_of(None, None)
    model = keras.Model(inputs, AugmentLayer(recipe, seed=7)(inputs))
    assert model.output_shape == (None, 128, 128, 3)
    np.testing.assert_array_equal(model(batch, training=True), one_by_one(recipe, batch))


# ---------------------------------------------------------------- types of numbers


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "uint8"])
def test_every_level_survives_lower_precision(policy, batch):
    recipe = load_recipe("cifar10")
    layer = AugmentLayer(recipe, seed=7, dtype=policy)
    out = layer(batch, training=True)
    assert out.dtype.name == policy.removeprefix("mixed_")
    np.testing.assert_array_equal(tf.cast(out, tf.uint8), one_by_one(recipe, batch))
    levels = tf.range(256)
    np.testing.assert_array_equal(tf.cast(tf.cast(levels, out.dtype), tf.int32), levels)


def test_a_model_trains_under_a_mixed_precision_policy(batch):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = classifier(load_recipe("cifar10_layers"))
        history = model.fit(batch, np.zeros(6), batch_size=3, epochs=1, verbose=0)
    finally:
        keras.config.set_dtype_policy(before)
    assert np.isfinite(history.history["loss"]).all()


# ---------------------------------------------------------------- a model with the layer


@pytest.fixture(scope="module")
def trained(batch):
    """A classifier trained for two epochs, whose samples have another copy in each."""
    model = classifier(load_recipe("five_looks"))
    samples = tf.data.Dataset.from_tensor_slices(({**batch, "copy": np.zeros(6, np.int32)}, np.arange(6) % 2))

    def epoch(number):
        copy = tf.cast(number, tf.int32)
        return samples.map(lambda inputs, label: ({**inputs, "copy": copy}, label)).batch(3)

    model.fit(tf.data.Dataset.range(2).flat_map(epoch), epochs=2, steps_per_epoch=2, verbose=0)
    return model


def test_a_model_is_trained_saved_loaded_and_evaluated(trained, batch, tmp_path):
    trained.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    [layer] = [layer for layer in loaded.layers if isinstance(layer, AugmentLayer)]
    assert layer.recipe.fingerprint() == load_recipe("five_looks").fingerprint()
    assert layer.seed == 7
    np.testing.assert_array_equal(loaded.predict(batch, verbose=0), trained.predict(batch, verbose=0))
    np.testing.assert_array_equal(loaded(batch, training=True), trained(batch, training=True))
    labels = np.arange(6) % 2
    assert loaded.evaluate(batch, labels, verbose=0) == trained.evaluate(batch, labels, verbose=0)


def test_training_sees_the_augmented_samples(batch):
    """The sum over a sample's pixels, as the loss sees it, is that of augment_image."""
    recipe = load_recipe("five_looks")
    inputs = inputs_of(40, 50)
    model = keras.Model(inputs, AugmentLayer(recipe, seed=7)(inputs))
    seen = []

    class Seen(keras.losses.Loss):
        def call(self, y_true, y_pred):
            tf.numpy_function(lambda y: seen.append(y) or np.int64(0), [y_pred], tf.int64)
            return tf.reduce_mean(y_pred, axis=[1, 2, 3])

    model.compile(loss=Seen())
    model.fit(batch, np.zeros([6, 1, 1, 1], np.float32), batch_size=6, shuffle=False, verbose=0)
    np.testing.assert_array_equal(seen[-1], one_by_one(recipe, batch))


def test_the_whole_range_of_seeds_survives_a_configuration():
    layer = AugmentLayer(load_recipe("cifar10"), seed=2**64 - 1)
    again = AugmentLayer.from_config(layer.get_config())
    assert (again.seed, again.recipe.name) == (2**64 - 1, "cifar10")
    assert again.recipe.canonical() == layer.recipe.canonical()


# ---------------------------------------------------------------- inference


@pytest.mark.parametrize("name", ["car_or_truck_convnet", "flowers", "six_looks"])
def test_at_inference_images_are_brought_to_size_and_no_more(name, batch):
    recipe = load_recipe(name)
    expected = one_by_one(recipe, {**batch, "copy": np.full(6, -1)})
    layer = AugmentLayer(recipe, seed=7)
    for given in (batch, batch["image"], {"image": batch["image"]}):
        np.testing.assert_array_equal(layer(given, training=False), expected)
        np.testing.assert_array_equal(layer(given), expected)
    np.testing.assert_array_equal(BringToSize(recipe)(batch["image"]), expected)


def test_a_model_for_images_alone_says_the_same_and_shares_the_weights(trained, batch, tmp_path):
    for _ in range(2):  # it leaves the model as it was
        alone = export_inference(trained)
    assert [tensor.name for tensor in alone.inputs] == ["image"]
    expected = trained(batch, training=False)
    for training in (False, True):
        np.testing.assert_array_equal(alone(batch["image"], training=training), expected)
    assert {id(v) for v in alone.variables} == {id(v) for v in trained.variables if "seed" not in v.name}
    alone.save(tmp_path / "alone.keras")
    loaded = keras.saving.load_model(tmp_path / "alone.keras")
    assert [layer for layer in loaded.layers if isinstance(layer, BringToSize)]
    np.testing.assert_array_equal(loaded(batch["image"]), expected)


def test_a_model_for_images_alone_becomes_tflite_and_says_the_same(batch, tmp_path):
    recipe = parse_recipe(
        "storage: {format: png}\nops:\n  - resize: {height: 30, width: 32}\n"
        "  - resize: {id: again, height: 20, width: 24, method: nearest}\n",
        name="twice",
    )
    inputs = inputs_of(40, 50)
    pixels = keras.layers.Identity()(AugmentLayer(recipe, seed=7)(inputs))
    served = export_inference(keras.Model(inputs, pixels))
    served.export(tmp_path / "served", verbose=False)
    converted = tf.lite.TFLiteConverter.from_saved_model(str(tmp_path / "served")).convert()
    lite = tf.lite.Interpreter(model_content=converted)
    [given], [got] = lite.get_input_details(), lite.get_output_details()
    lite.resize_tensor_input(given["index"], batch["image"].shape)
    lite.allocate_tensors()
    lite.set_tensor(given["index"], batch["image"])
    lite.invoke()
    np.testing.assert_array_equal(lite.get_tensor(got["index"]), served(batch["image"]))


def test_other_inputs_and_several_outputs_stay(batch):
    inputs = inputs_of(40, 50)
    augmented = AugmentLayer(load_recipe("cifar10"), seed=7)(inputs)
    weight = keras.Input([1], name="weight")
    mean = keras.layers.GlobalAveragePooling2D()(augmented)
    both = keras.layers.Concatenate()([mean, weight])
    model = keras.Model({**inputs, "weight": weight}, {"mean": mean, "both": both})
    extra = np.arange(6, dtype=np.float32)[:, np.newaxis]
    expected = model({**batch, "weight": extra}, training=False)
    got = export_inference(model)({"image": batch["image"], "weight": extra})
    assert got.keys() == expected.keys()
    for name in expected:
        np.testing.assert_array_equal(got[name], expected[name])


def test_a_model_without_the_layer_has_nothing_to_export():
    model = keras.Sequential([keras.layers.Dense(2)], name="plain")
    with pytest.raises(RequestError) as error:
        export_inference(model)
    assert str(error.value) == (
        "model plain: 0 of its own layers are AugmentLayers; export_inference takes a functional model "
        "in which one is called once, with image, key and copy"
    )


# ---------------------------------------------------------------- XLA


@pytest.mark.parametrize(
    "entry",
    [
        "contrast: {factor: 0.5}",
        "saturation: {factor: [0, 3]}",
        "rotation: {factor: 0.3}",
        "resize: {id: again, height: 17, width: 23}",
        "random_resized_crop: {height: 17, width: 23, antialias: false}",
        "random_resized_crop: {height: 17, width: 23, method: nearest}",
    ],
)
def test_c10_what_supports_jit_gives_the_same_pixels(make_recipe, batch, entry):
    recipe = make_recipe(entry, height=40, width=50)
    layer = AugmentLayer(recipe, seed=7)
    assert layer.supports_jit
    compiled = tf.function(layer, jit_compile=True)(batch, training=True)
    np.testing.assert_array_equal(compiled.numpy(), one_by_one(recipe, batch))


@pytest.mark.parametrize(
    "entry",
    [
        "jpeg_quality: {quality: [10, 90]}",
        "sometimes: {p: 0.5, ops: [jpeg_quality: {quality: [10, 90]}]}",
        "random_resized_crop: {height: 17, width: 23}",  # by a table of all lengths, which may be too large
    ],
)
def test_what_xla_cannot_do_does_not_support_it(make_recipe, entry):
    assert not AugmentLayer(make_recipe(entry, height=40, width=50)).supports_jit


def test_a_model_that_supports_it_trains_under_xla(batch):
    model = classifier(load_recipe("car_or_truck"))
    model.compile("sgd", "sparse_categorical_crossentropy", jit_compile=True)
    assert model.jit_compile
    history = model.fit(batch, np.zeros(6), batch_size=3, verbose=0)
    assert np.isfinite(history.history["loss"]).all()


# ---------------------------------------------------------------- several devices

MIRRORED = """
import keras, numpy as np, tensorflow as tf

[cpu] = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)

import augment

recipe, sources = augment.load_recipe("five_looks"), [str(i) for i in range(8)]
images = np.random.default_rng(0).integers(0, 256, [8, 20, 30, 3]).astype(np.uint8)
batch = {"image": images, "key": augment.source_words(sources), "copy": np.arange(8, dtype=np.int32)}
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
assert strategy.num_replicas_in_sync == 2
with strategy.scope():
    inputs = {
        "image": keras.Input([20, 30, 3], dtype="uint8", name="image"),
        "key": keras.Input([2], dtype="uint32", name="key"),
        "copy": keras.Input([], dtype="int32", name="copy"),
    }
    augmented = augment.AugmentLayer(recipe, seed=7)(inputs)
    pooled = keras.layers.GlobalAveragePooling2D()(augmented)
    model = keras.Model(inputs, keras.layers.Dense(1)(keras.layers.Rescaling(1 / 255)(pooled)))
    model.compile("sgd", "mse")
layer = keras.Model(inputs, augmented)
distributed = strategy.experimental_distribute_dataset(tf.data.Dataset.from_tensors(batch).unbatch().batch(8))
run = tf.function(lambda part: strategy.run(lambda given: layer(given, training=True), [part]))
for part in distributed:
    halves = strategy.experimental_local_results(run(part))
assert [len(half) for half in halves] == [4, 4]
got = np.concatenate([half.numpy() for half in halves])
for image, source, copy in zip(images, sources, range(8)):
    expected = augment.augment_image(image, recipe, seed=7, source=source, copy=copy)
    assert (got[copy] == expected).all(), copy
loss = model.fit(batch, np.zeros([8, 1]), batch_size=8, epochs=2, verbose=0).history["loss"]
assert np.isfinite(loss).all()
"""


@pytest.mark.slow
def test_c1_replicas_of_a_mirrored_strategy_see_the_same_samples():
    """In a process of its own, for devices can only be split before anything runs."""
    ended = subprocess.run([sys.executable, "-c", MIRRORED], capture_output=True, text=True, timeout=240)
    assert ended.returncode == 0, ended.stderr


# ---------------------------------------------------------------- refusals


def test_a_recipe_that_stores_jpeg_is_refused():
    recipe = parse_recipe("storage: {format: jpeg}\nops: [{resize: {height: 8, width: 8}}]", name="lossy")
    with pytest.raises(RequestError) as error:
        AugmentLayer(recipe)
    assert str(error.value) == (
        "recipe lossy: it stores JPEG, and that round trip cannot be made within a model; "
        "let its storage be png or raw, or augment in tf.data with augment_dataset"
    )


@pytest.mark.parametrize("seed", [-1, 2**64, 0.5])
def test_a_seed_is_a_whole_number_of_64_bits(seed):
    with pytest.raises(RequestError, match="must be a whole number from 0 to 2\\*\\*64 - 1"):
        AugmentLayer(load_recipe("cifar10"), seed=seed)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"key": None}, "the layer's input 'key' is missing; it must be uint32 [B, 2]"),
        ({"copy": None}, "the layer's input 'copy' is missing; it must be int32 [B]"),
        (
            {"image": np.zeros([6, 4, 4, 3], np.float32)},
            "the layer's input 'image' is float32 [6, 4, 4, 3]; it must be uint8 [B, H, W, 3]",
        ),
        (
            {"image": np.zeros([4, 4, 3], np.uint8)},
            "the layer's input 'image' is uint8 [4, 4, 3]; it must be uint8 [B, H, W, 3]",
        ),
        (
            {"key": np.zeros([6, 2], np.int64)},
            "the layer's input 'key' is int64 [6, 2]; it must be uint32 [B, 2]",
        ),
        (
            {"copy": np.zeros([6, 1], np.int32)},
            "the layer's input 'copy' is int32 [6, 1]; it must be int32 [B]",
        ),
    ],
)
def test_inputs_of_another_type_or_shape_are_refused(batch, change, sentence):
    given = {name: values for name, values in {**batch, **change}.items() if values is not None}
    with pytest.raises(RequestError) as error:
        AugmentLayer(load_recipe("cifar10"), seed=7)(given, training=True)
    assert sentence in str(error.value)  # Keras adds where it was called


def test_augment_hands_out_the_layer():
    assert augment.AugmentLayer is AugmentLayer
    assert augment.export_inference is export_inference


# ---------------------------------------------------------------- images alone


def test_of_images_alone_each_is_its_call_and_its_place(batch):
    recipe, images = load_recipe("cifar10"), batch["image"]
    alone, named = AugmentLayer(recipe, seed=7), AugmentLayer(recipe, seed=7)
    for call in range(2):
        key = np.array([[call, row] for row in range(6)], np.uint32)
        expected = named({"image": images, "key": key, "copy": np.zeros(6, np.int32)}, training=True)
        assert np.array_equal(alone(images, training=True), expected)
        alone(images)  # inference counts no call
    assert np.array_equal(alone(images.astype(np.float32)), alone(images))


def test_in_a_plain_sequential_it_trains_and_goes_on_where_it_was_saved(batch, tmp_path):
    layers = [keras.layers.Rescaling(1 / 255), keras.layers.Flatten(), keras.layers.Dense(2)]
    model = keras.Sequential([AugmentLayer(load_recipe("cifar10"), seed=7), *layers])
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(batch["image"], np.arange(6) % 2, batch_size=2, epochs=2, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    images = batch["image"]
    assert np.array_equal(loaded.predict(images, verbose=0), model.predict(images, verbose=0))
    first, second = (one.layers[0](images, training=True) for one in (loaded, model))
    assert np.array_equal(first, second)
    fresh = AugmentLayer(load_recipe("cifar10"), seed=7)(images, training=True)
    assert not np.array_equal(first, fresh)


def test_floats_from_0_to_1_are_no_levels(batch):
    layer = AugmentLayer(load_recipe("cifar10"), seed=7)
    with pytest.raises((RequestError, tf.errors.InvalidArgumentError), match="levels are floats from 0 to 1"):
        layer(batch["image"] / np.float32(255), training=True)
    assert np.array_equal(layer(batch["image"] * 0.0), layer(batch["image"] * np.uint8(0)))  # black is


def test_a_layer_that_knows_its_samples_has_no_state(batch):
    layer = AugmentLayer(load_recipe("cifar10"), seed=7)
    layer(batch, training=True)
    assert not layer.variables
    with pytest.raises(RequestError, match="give all three, or make a layer for images alone"):
        layer(batch["image"], training=True)
