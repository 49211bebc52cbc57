"""The trainer's loop: it is Keras's training, and a stop anywhere changes nothing of what comes after."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.framework import config

from augment.errors import RequestError
from augment.keys import source_words
from augment.mixing import mix_batch, parse_mixing
from pipelines.train import checkpoint, run
from pipelines.train.arms import Arm
from pipelines.train.early import MIN_DELTA, PATIENCE
from pipelines.train.learned import CLASSES as CLASSES_OF_IMAGES
from pipelines.train.models import Model
from pipelines.train.output import write_whole
from pipelines.train.run import Settings, finished_run, train_run
from pipelines.train.trainer import Trainer

SIZE, CLASSES, BATCH = (6, 7), ("a", "b", "c"), 8


class Noise:
    """A Feed of pictures that are made up, others in every epoch."""

    arm, image_shape, layer, seed, task = Arm("live"), (*SIZE, 3), None, 9, CLASSES_OF_IMAGES

    def __init__(self, classes=CLASSES, validation="validation", test="test", samples=21) -> None:
        self.classes, self.validation, self.test, self.train_samples = classes, validation, test, samples

    def copy(self, epoch):
        return self.arm.copy(epoch)

    def epochs(self, first, *, batch, train_seed, named=False):
        def of_epoch(number):
            made = lambda number: self.made((train_seed, int(number)))  # noqa: E731
            images, labels = tf.numpy_function(made, [number], [tf.uint8, tf.int64], stateful=False)
            samples = tf.ensure_shape(images, [None, *SIZE, 3]), tf.ensure_shape(labels, [None])
            if named:
                who = {"key": tf.constant(self.keys), "copy": tf.fill([self.train_samples], number)}
                samples = (*samples, who)
            return tf.data.Dataset.from_tensor_slices(samples).batch(batch)

        return tf.data.Dataset.range(first, 1000).flat_map(of_epoch)

    def epoch(self, number, *, batch, train_seed):
        batches = -(-self.train_samples // batch)
        one = self.epochs(number, batch=batch, train_seed=train_seed).take(batches)
        return one.apply(tf.data.experimental.assert_cardinality(batches))

    def evaluation(self, split, *, batch):
        return tf.data.Dataset.from_tensor_slices(self.made((len(split), 1000))).batch(batch)

    @property
    def keys(self):
        return source_words(map(str, range(self.train_samples)))

    def made(self, seed):
        rng = np.random.default_rng(seed)
        images = rng.integers(0, 256, [self.train_samples, *SIZE, 3]).astype(np.uint8)
        return images, rng.integers(0, len(self.classes), self.train_samples)


def with_everything(shape, classes):
    """Batch normalization, dropout, and a loss on weights."""
    x = image = keras.Input(shape)
    x = keras.layers.Rescaling(1 / 255)(x)
    x = keras.layers.Conv2D(4, 3, activation="relu", kernel_regularizer="l2")(x)
    x = keras.layers.BatchNormalization()(x)
    x = keras.layers.Dropout(0.4)(keras.layers.Flatten()(x))
    one_unit = classes == 2
    x = keras.layers.Dense(1 if one_unit else classes, activation="sigmoid" if one_unit else "softmax")(x)
    return keras.Model(image, x)


def compiled(shape, classes):
    model = with_everything(shape, classes)
    model.layers[-1].activation = keras.activations.linear
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9), loss)
    return model


def settings(**changes):
    given = {
        "model": Model("mine", with_everything),
        "epochs": 4,
        "batch": BATCH,
        "learning_rate": 0.01,
        "early_stopping": False,
        "mixed_precision": False,
    }
    return Settings(**{**given, **changes})


def trainer(feed=None, model=with_everything, **changes):
    given = {"seed": 5, "batch": BATCH, "learning_rate": 0.01, "mixed_precision": False}
    strategy = tf.distribute.get_strategy()
    return Trainer(Model("mine", model), feed or Noise(), **{**given, **changes}, strategy=strategy)


def train(directory, feed=None, *, initial=None, **changes):
    return train_run(
        feed or Noise(),
        settings(**changes),
        seed=5,
        directory=str(directory),
        initial=initial,
        environment={},
        strategy=tf.distribute.get_strategy(),
    )


@pytest.fixture(autouse=True)
def deterministic():
    """As the command has it, for these tests alone."""
    keras.utils.set_random_seed(0)
    tf.config.experimental.enable_op_determinism()
    yield
    config.disable_op_determinism()


# ---------------------------------------------------------------- steps


@pytest.mark.parametrize(
    ("classes", "model"), [(2, with_everything), pytest.param(3, compiled, marks=pytest.mark.slow)]
)
@pytest.mark.filterwarnings("ignore:`shuffle=True`")
def test_the_loop_is_the_training_and_the_evaluation_of_keras(classes, model):
    feed = Noise(CLASSES[:classes])
    ours = trainer(feed, model)
    epochs = [ours.train(epoch, lambda loss: None) for epoch in range(3)]
    answers = ours.answers("validation")

    keras.backend.clear_session()
    keras.utils.set_random_seed(5)
    theirs = model((*SIZE, 3), classes)
    loss = "binary_crossentropy" if classes == 2 else "sparse_categorical_crossentropy"
    if not theirs.compiled:
        theirs.compile(keras.optimizers.Adam(0.01), loss)
    theirs.compile(theirs.optimizer, theirs.loss, metrics=["accuracy"], jit_compile=False)
    histories = [theirs.fit(feed.epoch(n, batch=BATCH, train_seed=5), verbose=0).history for n in range(3)]
    variables = [*theirs.variables, *theirs.optimizer.variables]
    assert checkpoint.digest(ours.variables) == checkpoint.digest(variables)
    for epoch, history in zip(epochs, histories, strict=True):
        assert [[epoch.loss], [epoch.score]] == [history["loss"], history["accuracy"]]
    judged = theirs.evaluate(feed.evaluation("validation", batch=BATCH), verbose=0)
    np.testing.assert_allclose([answers.loss, answers.score], judged, rtol=1e-6)


def kerass(feed, **compiled):
    """A model of Keras's own that begins as ours does."""
    keras.backend.clear_session()
    keras.utils.set_random_seed(5)
    model = with_everything((*SIZE, 3), len(feed.classes))
    model.compile(keras.optimizers.Adam(0.01), jit_compile=False, **compiled)
    return model


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.filterwarnings("ignore:`shuffle=True`")
def test_mixed_batches_are_trained_on_with_the_shares_of_their_classes(classes):
    feed = Noise(CLASSES[:classes])
    ours = trainer(feed, mixing=parse_mixing("cutmix:1.0"))
    epoch = ours.train(0, lambda loss: None)
    answers = ours.answers("validation")

    theirs = kerass(feed, loss="binary_crossentropy" if classes == 2 else "categorical_crossentropy")
    images, labels = feed.made((5, 0))
    batches = []
    for first in range(0, feed.train_samples, BATCH):
        part = slice(first, first + BATCH)
        given = {"seed": feed.seed, "key": feed.keys[part], "copy": 0, "classes": classes}
        x, y = mix_batch(images[part], labels[part], "cutmix:1.0", **given)
        batches.append((x, y[:, 1:] if classes == 2 else y))
    samples = tuple(map(np.concatenate, zip(*batches, strict=True)))
    mixed = tf.data.Dataset.from_tensor_slices(samples).batch(BATCH)
    history = theirs.fit(mixed, verbose=0).history
    variables = [*theirs.variables, *theirs.optimizer.variables]
    assert checkpoint.digest(ours.variables) == checkpoint.digest(variables)
    assert [epoch.loss] == history["loss"]
    x, y = feed.made((10, 1000))
    shares = np.eye(classes, dtype=np.float32)[y]
    judged = theirs.evaluate(x, shares[:, 1:] if classes == 2 else shares, batch_size=BATCH, verbose=0)
    np.testing.assert_allclose(answers.loss, judged, rtol=1e-6)


@pytest.mark.filterwarnings("ignore:`shuffle=True`")
def test_class_weights_are_those_of_keras():
    feed = Noise()
    feed.class_weights = np.array([2.0, 0.5, 1.25], np.float32)
    ours = trainer(feed, class_weights=True)
    epoch = ours.train(0, lambda loss: None)
    theirs = kerass(feed, loss="sparse_categorical_crossentropy")
    weights = dict(enumerate(feed.class_weights.tolist()))
    batches = feed.epoch(0, batch=BATCH, train_seed=5)
    history = theirs.fit(batches, class_weight=weights, verbose=0).history
    variables = [*theirs.variables, *theirs.optimizer.variables]
    assert checkpoint.digest(ours.variables) == checkpoint.digest(variables)
    assert [epoch.loss] == history["loss"]


def test_an_epoch_says_how_many_images_it_saw_and_how_long_it_waited_for_them():
    ticks = []
    epoch = trainer(Noise(samples=21)).train(0, ticks.append)
    assert epoch.images == 21
    assert len(ticks) == 3
    assert 0 < epoch.input_wait_seconds < epoch.seconds
    assert ticks[-1] == epoch.loss


def test_the_seed_decides_the_first_weights_and_nothing_of_before_does():
    first = checkpoint.digest(trainer().variables)
    np.random.seed(77)
    keras.layers.Dense(3).build([None, 2])
    assert checkpoint.digest(trainer().variables) == first
    assert checkpoint.digest(trainer(seed=6).variables) != first


def test_mixed_precision_computes_in_half_and_keeps_weights_in_single():
    ours = trainer(mixed_precision=True)
    assert ours.model.layers[2].compute_dtype == "bfloat16"
    assert {variable.dtype for variable in ours.model.trainable_variables} == {"float32"}
    assert keras.config.dtype_policy().name == "float32"
    before = checkpoint.digest(ours.variables)
    assert np.isfinite(ours.train(0, lambda loss: None).loss)
    assert checkpoint.digest(ours.variables) != before


# ---------------------------------------------------------------- checkpoints


def test_a_checkpoint_holds_every_variable_with_dropout_and_the_optimizer(tmp_path):
    path, state = str(tmp_path / "x.npz"), {"some": ["state", 1.5, None]}
    ours = trainer()
    ours.train(0, lambda loss: None)
    names = [variable.path for variable in ours.variables]
    for part in ("kernel", "moving_variance", "seed_generator_state", "iteration", "momentum", "velocity"):
        assert any(part in name for name in names), part
    best = [np.arange(6).reshape(2, 3), np.float32(0.5)]
    checkpoint.save(path, ours.variables, best, state)
    saved = checkpoint.digest(ours.variables)
    after = ours.train(1, lambda loss: None).loss

    other = trainer()
    read, read_state = checkpoint.restore(path, other.variables)
    assert read_state == state
    for array, expected in zip(read, best, strict=True):
        np.testing.assert_array_equal(array, expected)
        assert array.dtype == expected.dtype
    assert checkpoint.digest(other.variables) == saved
    assert other.train(1, lambda loss: None).loss == after
    assert checkpoint.digest(other.variables) == checkpoint.digest(ours.variables)


def test_a_checkpoint_holds_bfloat16(tmp_path):
    variable = keras.Variable([0.1, 1e30], dtype="bfloat16", name="half")
    checkpoint.save(str(tmp_path / "x.npz"), [variable], [], {})
    before = checkpoint.digest([variable])
    variable.assign([1, 2])
    checkpoint.restore(str(tmp_path / "x.npz"), [variable])
    assert checkpoint.digest([variable]) == before


def test_a_checkpoint_of_another_model_or_a_damaged_one_is_refused(tmp_path):
    path = tmp_path / "x.npz"
    variable = keras.Variable([1.0, 2.0], name="a")
    checkpoint.save(str(path), [variable], [], {})
    for other, said in (
        ([keras.Variable([1.0], name="a")], "it has a, float32 [2] where the model has a, float32 [1]"),
        ([variable, variable], "it has nothing where the model has a, float32 [2]"),
        ([], "it has a, float32 [2] where the model has nothing"),
    ):
        with pytest.raises(RequestError) as refused:
            checkpoint.restore(str(path), other)
        assert str(refused.value) == f"{path}: {said}; remove it to train that arm anew"
    contents = path.read_bytes()
    for damaged in (contents[:-30], contents.replace(b"\x80?", b"\x81?"), b""):
        path.write_bytes(damaged)
        with pytest.raises(RequestError, match="it cannot be read"):
            checkpoint.restore(str(path), [variable])


def test_a_file_is_whole_or_as_it_was(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(b"old")

    def fails(file):
        file.write(b"half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_whole(str(path), fails)
    assert path.read_bytes() == b"old"
    write_whole(str(path), lambda file: file.write(b"new"))
    assert path.read_bytes() == b"new"


# ---------------------------------------------------------------- runs


class Stopped(BaseException):
    """A kill, as far as a process can survive it."""


def stop_at(monkeypatch, place, count):
    """Lets the `count`-th call of a function of pipelines.train.run be the last."""
    calls, original = [], getattr(run, place)

    def stopping(*arguments):
        calls.append(place)
        if len(calls) == count:
            raise Stopped
        return original(*arguments)

    monkeypatch.setattr(run, place, stopping)


def without_times(document):
    """run.json without what is measured."""
    measured = ("seconds", "images_per_second", "input_wait_seconds", "input_wait_share")
    epochs = [{name: v for name, v in row.items() if name not in measured} for row in document["epochs"]]
    return {**document, "epochs": epochs}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    keras.utils.set_random_seed(0)
    tf.config.experimental.enable_op_determinism()
    directory = tmp_path_factory.mktemp("undisturbed")
    return directory, train(directory)


def test_a_run_leaves_its_history_its_answers_and_its_model(undisturbed):
    directory, document = undisturbed
    assert sorted(os.listdir(directory)) == [
        "history.csv",
        "model.keras",
        "run.json",
        "test.csv",
    ]
    assert json.loads((directory / "run.json").read_text()) == document == finished_run(str(directory))
    assert [row["epoch"] for row in document["epochs"]] == [0, 1, 2, 3]
    with open(directory / "history.csv", newline="") as file:
        lines = list(csv.DictReader(file))
    assert [{name: str(value) for name, value in row.items()} for row in document["epochs"]] == lines
    assert len({row["weights_sha256"] for row in document["epochs"]}) == 4
    model = keras.saving.load_model(directory / "model.keras")
    batches = list(Noise().evaluation("test", batch=BATCH))
    predicted = np.concatenate([np.argmax(model(x), axis=1) for x, _ in batches])
    labels = np.concatenate([y for _, y in batches])
    with open(directory / "test.csv", newline="") as file:
        answers = [(int(row["label"]), int(row["predicted"])) for row in csv.DictReader(file)]
    assert answers == list(zip(labels, predicted, strict=True))
    assert document["test"]["accuracy"] == np.mean(labels == predicted)
    assert document["kept_epoch"] == 3


def test_a_run_that_was_stopped_again_and_again_ends_as_if_it_had_not_been(
    tmp_path, monkeypatch, undisturbed
):
    directory, document = undisturbed
    for place, count in (("_save", 2), ("_publish", 1), ("_one_epoch_more", 2), ("_finish", 1)):
        with monkeypatch.context() as patch:
            stop_at(patch, place, count)
            with pytest.raises(Stopped):
                train(tmp_path)
        assert finished_run(str(tmp_path)) is None
    assert without_times(train(tmp_path)) == without_times(document)
    assert (tmp_path / "test.csv").read_text() == (directory / "test.csv").read_text()


def test_a_stop_in_the_middle_of_an_epoch_keeps_the_epochs_before(tmp_path, undisturbed):
    class StopsLater(Noise):
        def made(self, seed):
            if seed == (5, 2):
                raise ValueError("a shard is damaged")
            return super().made(seed)

    with pytest.raises(tf.errors.OpError, match="a shard is damaged"):
        train(tmp_path, StopsLater())
    with open(tmp_path / "history.csv", newline="") as file:
        assert len(list(csv.DictReader(file))) == 2
    assert without_times(train(tmp_path)) == without_times(undisturbed[1])


def test_a_checkpoint_whose_values_are_not_those_of_its_epoch_is_refused(tmp_path, monkeypatch):
    stop_at(monkeypatch, "_one_epoch_more", 2)
    with pytest.raises(Stopped):
        train(tmp_path)
    path = tmp_path / "checkpoint.npz"
    variables = trainer().variables
    best, state = checkpoint.restore(str(path), variables)
    variables[0].assign(variables[0] + 1e-7)
    checkpoint.save(str(path), variables, best, state)
    with pytest.raises(RequestError) as refused:
        train(tmp_path)
    assert str(refused.value) == f"{path}: it is damaged; remove it to train that arm anew"


def test_a_model_that_begins_otherwise_each_time_is_refused(tmp_path):
    with pytest.raises(RequestError) as refused:
        train(tmp_path, initial="of another arm")
    assert str(refused.value) == (
        "--model mine: it begins with other weights each time it is made with one seed; let Keras's "
        "initializers draw them, which follow the seed"
    )
    assert train(tmp_path / "same", epochs=1, initial=checkpoint.digest(trainer().variables))


def test_without_a_validation_or_test_split_there_is_nothing_of_them(tmp_path):
    document = train(tmp_path, Noise(validation=None, test=None), epochs=1)
    assert document["test"] is None
    assert document["epochs"][0]["val_loss"] is None
    assert not (tmp_path / "test.csv").exists()


# ---------------------------------------------------------------- early stopping


@pytest.mark.slow
def test_early_stopping_survives_a_stop_and_goes_back_to_the_best_weights(tmp_path, monkeypatch):
    whole = train(tmp_path / "whole", epochs=40, early_stopping=True, learning_rate=0.05)
    losses = [row["val_loss"] for row in whole["epochs"]]
    kept = whole["kept_epoch"]
    assert len(losses) == kept + 1 + PATIENCE < 40
    assert min(losses[: kept + 1]) == losses[kept]
    assert min(losses) > losses[kept] - MIN_DELTA

    with monkeypatch.context() as patch:
        stop_at(patch, "_one_epoch_more", kept + 4)
        with pytest.raises(Stopped):
            train(tmp_path / "stopped", epochs=40, early_stopping=True, learning_rate=0.05)
    resumed = train(tmp_path / "stopped", epochs=40, early_stopping=True, learning_rate=0.05)
    assert without_times(resumed) == without_times(whole)

    shorter = train(tmp_path / "shorter", epochs=kept + 1, learning_rate=0.05)
    assert shorter["epochs"][-1]["weights_sha256"] == whole["epochs"][kept]["weights_sha256"]
    assert shorter["test"] == whole["test"]


# ---------------------------------------------------------------- several devices

ON_TWO_DEVICES = """
import sys
import keras
import numpy as np
import tensorflow as tf

[cpu] = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
tf.config.experimental.enable_op_determinism()

from augment.mixing import parse_mixing
from pipelines.train import checkpoint
from pipelines.train.models import Model
from pipelines.train.trainer import Trainer
from test_train_runs import BATCH, Noise, trainer, with_everything


def plain(shape, classes):
    layers = [keras.Input(shape), keras.layers.Flatten(), keras.layers.Rescaling(1 / 255)]
    return keras.Sequential([*layers, keras.layers.Dense(classes, activation="softmax")])


def on(strategy, build, samples, **more):
    model, feed = Model("mine", build), Noise(samples=samples)
    feed.class_weights = np.array([2.0, 0.5, 1.25], np.float32)
    how = {"seed": 5, "batch": BATCH, "learning_rate": 0.01, "mixed_precision": False, **more}
    return Trainer(model, feed, strategy=strategy, **how)


def weights(trainer):
    return np.concatenate([np.ravel(variable) for variable in trainer.model.trainable_variables])


both = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])

# Two devices with half of each batch learn what one learns of all of it, and see the same loss.
two, one = on(both, plain, 22), on(tf.distribute.get_strategy(), plain, 22)
before = weights(one)
np.testing.assert_array_equal(weights(two), before)
a, b = (trainer.train(0, lambda loss: None) for trainer in (two, one))
assert a.images == b.images == 22
np.testing.assert_allclose([a.loss, a.score], [b.loss, b.score], rtol=1e-5)
np.testing.assert_allclose(weights(two), weights(one), atol=2e-5)
assert np.abs(weights(two) - before).max() > 1e-2
np.testing.assert_allclose(two.answers("test").loss, one.answers("test").loss, rtol=1e-4)

# A last batch that leaves a device without images is left out; all else is as on one device.
first = on(both, with_everything, 17)
assert first.train(0, lambda loss: None).images == 16
checkpoint.save(sys.argv[1], first.variables, [], {})
first.train(1, lambda loss: None)
again = on(both, with_everything, 17)
checkpoint.restore(sys.argv[1], again.variables)
assert np.isfinite(again.train(1, lambda loss: None).loss)
assert checkpoint.digest(again.variables) == checkpoint.digest(first.variables)
assert np.isfinite(again.answers("test").loss)

# Classes weigh on two devices what they weigh on one; what is mixed on two is the same each time.
two, one = (on(strategy, plain, 22, class_weights=True) for strategy in (both, tf.distribute.get_strategy()))
a, b = (trainer.train(0, lambda loss: None) for trainer in (two, one))
np.testing.assert_allclose(a.loss, b.loss, rtol=1e-5)
np.testing.assert_allclose(weights(two), weights(one), atol=2e-5)
two, again = (on(both, plain, 22, mixing=parse_mixing("cutmix:1.0")) for _ in range(2))
assert two.train(0, lambda loss: None).loss == again.train(0, lambda loss: None).loss
assert checkpoint.digest(two.variables) == checkpoint.digest(again.variables)
"""


@pytest.mark.slow
def test_several_devices_share_each_batch_and_resume_to_the_same_weights(tmp_path):
    ended = subprocess.run(
        [sys.executable, "-c", ON_TWO_DEVICES, str(tmp_path / "x.npz")],
        env={**os.environ, "PYTHONPATH": os.path.dirname(__file__), "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert ended.returncode == 0, ended.stderr
