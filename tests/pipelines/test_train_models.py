"""The models that can be trained: what they are made of, and what is said of one that does not fit."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from augment.errors import RequestError
from pipelines.train import networks
from pipelines.train.learned import BOXES, MASKS
from pipelines.train.models import PRESETS, check_model, find_model

CLASSIFIERS = [name for name, preset in PRESETS.items() if preset.task == "classes"]


def layers(model, kind):
    return [layer for layer in model.layers if isinstance(layer, kind)]


# ---------------------------------------------------------------- presets


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_a_preset_takes_its_smallest_images_and_tells_two_classes_or_more_apart(name):
    side = PRESETS[name].smallest
    shape = (side, side + 3, 3)
    for classes, units in ((2, 1), (5, 5)):
        model = find_model(name, shape=shape, weights=None).build(shape, classes)
        assert check_model(name, model, shape=shape, classes=classes).shape == (None, units)
    levels = np.random.default_rng(0).integers(0, 256, [2, *shape]).astype(np.float32)
    probabilities = np.asarray(model(levels, training=False))
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_a_preset_refuses_images_that_its_poolings_leave_nothing_of(name):
    side = PRESETS[name].smallest
    with pytest.raises(RequestError) as refused:
        find_model(name, shape=(side, side - 1, 3))
    assert str(refused.value) == (
        f"--model {name}: it needs images of {side}x{side} or more, and the recipe makes {side}x{side - 1}; "
        "take a recipe of larger images, or another model"
    )
    if name != "vgg16":
        with pytest.raises(ValueError):
            getattr(networks, name)((side, side - 1, 3), 2)


@pytest.mark.parametrize(("name", "task"), [("unet", MASKS), ("center_grid", BOXES)])
def test_a_preset_of_masks_or_boxes_takes_images_of_any_size(name, task):
    for shape in ((PRESETS[name].smallest, 21, 3), (34, 31, 1)):
        model = find_model(name, shape=shape).build(shape, 3)
        output = check_model(name, model, shape=shape, classes=3, task=task)
        height, width = shape[:2] if task is MASKS else (-(-side // 8) for side in shape[:2])
        assert output.shape == (None, height, width, 3 if task is MASKS else 7)


@pytest.mark.parametrize(
    ("task", "sentence"),
    [
        (MASKS, "its output is [B, 2]; for masks of 2 classes it must be [B, 8, 9, 2]"),
        (BOXES, "its output is [B, 2]; for boxes of 2 classes it must be [B, rows, columns, 6]"),
    ],
)
def test_a_model_whose_output_is_no_mask_and_no_grid(task, sentence):
    flat = keras.Sequential([keras.Input((8, 9, 3)), keras.layers.Flatten(), keras.layers.Dense(2)])
    with pytest.raises(RequestError) as refused:
        check_model("mine", flat, shape=(8, 9, 3), classes=2, task=task)
    assert str(refused.value) == f"--model mine: {sentence}"


def test_the_presets_are_what_the_tutorials_have():
    vgg16 = networks.vgg16((32, 32, 3), 2)
    base = vgg16.get_layer("base")
    assert len(layers(base, keras.layers.Conv2D)) == 13
    assert [variable.shape for variable in vgg16.trainable_variables] == [(512, 6), (6,), (6, 1), (1,)]
    convnet_bn = networks.convnet_bn((64, 64, 3), 2)
    assert [c.filters for c in layers(convnet_bn, keras.layers.Conv2D)] == [16, 32, 64, 128, 256, 512]
    assert len(layers(convnet_bn, keras.layers.BatchNormalization)) == 6
    small_cnn = networks.small_cnn((32, 32, 3), 5)
    assert [c.filters for c in layers(small_cnn, keras.layers.Conv2D)] == [16, 32, 64]
    assert [d.units for d in layers(small_cnn, keras.layers.Dense)] == [128, 5]
    assert [d.rate for d in layers(small_cnn, keras.layers.Dropout)] == [0.2]
    assert networks.cifar_cnn((32, 32, 3), 10).count_params() == 122_570  # as the tutorial's summary says
    assert [name for name, preset in PRESETS.items() if preset.early_stopping] == ["convnet_bn"]


def test_vgg16_sees_what_its_published_weights_were_trained_on():
    vgg16 = networks.vgg16((32, 32, 3), 2)
    levels = np.random.default_rng(0).integers(0, 256, [2, 32, 32, 3]).astype(np.float32)
    features = keras.Model(vgg16.input, layers(vgg16, keras.layers.Flatten)[0].output)(levels)
    published = levels[..., ::-1] - np.float32([103.939, 116.779, 123.68])
    expected = vgg16.get_layer("base")(published, training=False)
    np.testing.assert_allclose(features, np.reshape(expected, [2, 512]), rtol=1e-4, atol=1e-6)


@pytest.mark.slow
def test_vgg16_takes_its_base_from_a_file(tmp_path):
    trained = keras.applications.VGG16(include_top=False, weights=None, input_shape=(48, 48, 3))
    for file in ("new.weights.h5", "old.h5"):
        path = str(tmp_path / file)
        (trained.save_weights if file == "new.weights.h5" else trained.save)(path)
        model = find_model("vgg16", shape=(32, 40, 3), weights=path).build((32, 40, 3), 2)
        for ours, theirs in zip(model.get_layer("base").weights, trained.weights, strict=True):
            np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("contents", [None, b"", b"no weights at all"])
def test_a_file_that_has_no_such_weights_is_refused(tmp_path, contents):
    path = tmp_path / "x.weights.h5"
    if contents is None:
        keras.Sequential([keras.layers.Input([3]), keras.layers.Dense(2)]).save_weights(path)
    else:
        path.write_bytes(contents)
    with pytest.raises(RequestError) as refused:
        find_model("vgg16", shape=(32, 32, 3), weights=str(path)).build((32, 32, 3), 2)
    assert str(refused.value).startswith(f"--weights {path}: it does not fit VGG16 without its top (")
    assert "\n" not in str(refused.value)


# ---------------------------------------------------------------- names


@pytest.mark.parametrize(
    ("name", "weights", "sentence"),
    [
        (
            "smal_cnn",
            None,
            "--model: there is no model 'smal_cnn'; did you mean small_cnn? "
            "(one of your own is given as package.module:function)",
        ),
        ("small_cnn", "w.h5", "--weights w.h5: they are for --model vgg16, and --model is small_cnn"),
        ("vgg16", "gone.h5", "--weights gone.h5: there is no such file"),
        (
            "no_such_module:build",
            None,
            "--model no_such_module:build: it cannot be imported (No module named 'no_such_module'); "
            "give package.module:function, with the package's folder in PYTHONPATH",
        ),
        (
            "keras.models:no_such_function",
            None,
            "--model keras.models:no_such_function: it cannot be imported (module 'keras.models' has no "
            "attribute 'no_such_function'); give package.module:function, with the package's folder in "
            "PYTHONPATH",
        ),
    ],
)
def test_names_that_lead_to_no_model(name, weights, sentence):
    with pytest.raises(RequestError) as refused:
        find_model(name, shape=(64, 64, 3), weights=weights).build((64, 64, 3), 2)
    assert str(refused.value) == sentence


# ---------------------------------------------------------------- one's own


def flat(size, units):
    return keras.Sequential(
        [keras.layers.Input([*size, 3]), keras.layers.Flatten(), keras.layers.Dense(units)]
    )


def fitting(size, classes):
    return flat(size, classes)


def no_model(size, classes):
    return classes


def own_step(size, classes):
    class Own(keras.Model):
        def train_step(self, data):
            return {}

    return Own()


def test_a_function_of_ones_own_is_called_with_the_size_and_the_classes():
    model = find_model(f"{__name__}:fitting", shape=(8, 9, 3)).build((8, 9, 3), 7)
    assert check_model("mine", model, shape=(8, 9, 3), classes=7).shape == (None, 7)


def test_a_module_in_the_working_directory_is_found(tmp_path, monkeypatch):
    (tmp_path / "model_of_a_test.py").write_text("def build(size, classes):\n    return None\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RequestError, match="it returned NoneType; it must"):
        find_model("model_of_a_test:build", shape=(8, 9, 3)).build((8, 9, 3), 2)


@pytest.mark.parametrize(
    ("function", "said"),
    [
        ("no_model", "it returned int; it must return a keras.Model"),
        (
            "own_step",
            "it has a train_step of its own, which would not be the same in every arm; "
            "leave it out, and compile the model with its loss and optimizer",
        ),
    ],
)
def test_a_function_that_returns_something_else_is_refused(function, said):
    name = f"{__name__}:{function}"
    with pytest.raises(RequestError) as refused:
        find_model(name, shape=(8, 9, 3)).build((8, 9, 3), 2)
    assert str(refused.value) == f"--model {name}: {said}"


@pytest.mark.parametrize(
    ("units", "classes", "right"), [(7, 10, "[B, 10]"), (1, 3, "[B, 3]"), (3, 2, "[B, 1] or [B, 2]")]
)
def test_an_output_that_does_not_fit_the_classes_is_refused(units, classes, right):
    with pytest.raises(RequestError) as refused:
        check_model("mine", flat((8, 9), units), shape=(8, 9, 3), classes=classes)
    assert str(refused.value) == (
        f"--model mine: its output is [B, {units}]; for {classes} classes it must be {right}"
    )


def test_a_model_of_other_images_is_refused():
    with pytest.raises(RequestError) as refused:
        check_model("mine", flat((8, 9), 2), shape=(9, 9, 3), classes=2)
    assert str(refused.value).startswith("--model mine: it cannot be used (")
    assert str(refused.value).endswith("and take levels from 0 to 255 as [B, 9, 9, 3]")
