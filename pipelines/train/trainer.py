"""One model that is ready for steps: built, compiled, with everything that a step changes.

XLA stays off: it may round otherwise when it compiles an augmentation together with
the model, and then arms of equal pixels would not have equal weights.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from augment.layer import MixLayer
from augment.mixing import Mixing
from pipelines.train.arms import Feed
from pipelines.train.judging import SHOWN, Judge, Shown, judge_of
from pipelines.train.models import Model, check_model
from pipelines.train.objectives import objective_of


class TrainEpoch(NamedTuple):
    """One pass over the training samples."""

    loss: float
    score: float | None
    """by the task's metric; None where that takes a whole split"""
    images: int
    seconds: float
    """of all of it, without what TensorFlow takes to make its graph"""
    input_wait_seconds: float
    """of those, waiting for batches"""


class Answers(NamedTuple):
    """What a model says of a split."""

    loss: float
    score: float
    """by the task's metric"""
    images: int
    judge: Judge
    shown: Shown


class Trainer:
    """A model with its optimizer, a pass over the training samples, and a pass that only looks.

    Args:
        model: which.
        feed: the arm.
        seed: of initial weights, dropout and the order of samples; below 2**32.
        batch: samples a step.
        learning_rate: of Adam, for a model that is not compiled.
        mixed_precision: whether to compute in half precision; see `precision`.
        class_weights: whether a rare class weighs more in the loss; see `Feed.class_weights`.
        mixing: by what a batch is mixed, if it is; each device's part of it by itself.
        strategy: how to use several devices; see `default_strategy`.

    Raises RequestError for a model that does not fit the data.
    """

    def __init__(
        self,
        model: Model,
        feed: Feed,
        *,
        seed: int,
        batch: int,
        learning_rate: float,
        mixed_precision: bool,
        class_weights: bool = False,
        mixing: Mixing | None = None,
        strategy: tf.distribute.Strategy,
    ) -> None:
        self._feed, self._seed, self._batch, self._strategy = feed, seed, batch, strategy
        self._weights = tf.constant(feed.class_weights) if class_weights else None
        self._mix = MixLayer(str(mixing), len(feed.classes), feed.seed) if mixing else None
        keras.backend.clear_session()  # so that the names of variables count from 0 again
        keras.utils.set_random_seed(seed)
        with strategy.scope(), _policy(precision() if mixed_precision else "float32"):
            self.model = model.build(feed.image_shape, len(feed.classes))
            classes, task = len(feed.classes), feed.task
            output = check_model(model.name, self.model, shape=feed.image_shape, classes=classes, task=task)
            self._objective = objective_of(task, classes, output, self.model, mixed=mixing is not None)
            optimizer = self.model.optimizer if self.model.compiled else keras.optimizers.Adam(learning_rate)
            loss = self.model.loss if self.model.compiled else self._objective.loss()
            image = keras.Input(feed.image_shape, name="image")
            self._whole = keras.Model(image, self.model(image))
            self._whole.compile(optimizer, loss, metrics=self._objective.metrics, jit_compile=False)
            self._whole.optimizer.build(self._whole.trainable_variables)
        self._train_step: Callable[[Any], tf.Tensor] | None = None
        self._ahead: tuple[int, Iterator[Any]] = (-1, iter(()))
        """The epoch that comes next, and its batches."""
        self._evaluations: dict[str, tf.data.Dataset] = {}
        self._look: Callable[[Any], tuple[tf.Tensor, tf.Tensor]] | None = None

    @property
    def variables(self) -> list[keras.Variable]:
        """All that training changes: weights, states of seed generators, and the optimizer's variables.

        Not what metrics count with, which begins anew in each epoch.
        """
        counters = {id(variable) for variable in self.model.metrics_variables}
        weights = [variable for variable in self.model.variables if id(variable) not in counters]
        return weights + list(self._whole.optimizer.variables)

    def train(self, epoch: int, tick: Callable[[float], None]) -> TrainEpoch:
        """Goes once over the training samples.

        Args:
            epoch: from 0.
            tick: called after each step, with the mean loss so far.
        """
        batches, waited = self._from(epoch)
        if self._train_step is None:
            self._train_step = self._make_train_step(batches.element_spec)
        self._whole.reset_metrics()
        images, in_steps = 0, 0.0
        for _ in range(math.ceil(self._feed.train_samples / self._batch)):
            began = time.perf_counter()
            batch = next(batches)
            arrived = time.perf_counter()
            sizes = [int(tf.shape(y)[0]) for y in self._strategy.experimental_local_results(batch[1])]
            if all(sizes):  # the last batch may leave a device without any, of which there is no mean
                tick(float(self._train_step(batch)))  # as a number: which waits for the step's end
                images += sum(sizes)
            waited += arrived - began
            in_steps += time.perf_counter() - arrived
        self._ahead = epoch + 1, batches
        results = {name: float(value) for name, value in self._whole.get_metrics_result().items()}
        return TrainEpoch(results["loss"], results.get("score"), images, waited + in_steps, waited)

    def _from(self, epoch: int) -> tuple[Any, float]:
        """The batches of an epoch and of those after it, and the seconds that it took to begin them.

        They are read ahead while the last epoch is judged; only the first has to be begun.
        """
        (there, batches), self._ahead = self._ahead, (-1, iter(()))
        if there == epoch:
            return batches, 0.0
        began = time.perf_counter()
        every = self._feed.epochs(
            epoch, batch=self._batch, train_seed=self._seed, named=self._mix is not None
        )
        batches = iter(self._strategy.experimental_distribute_dataset(every))
        return batches, time.perf_counter() - began

    def _make_train_step(self, spec: Any) -> Callable[[Any], tf.Tensor]:
        def on_device(batch: tuple[Any, ...]) -> dict[str, tf.Tensor]:
            x, y, *who = batch
            weights = () if self._weights is None else (tf.gather(self._weights, y),)
            if self._feed.layer:
                x = self._feed.layer(x, training=True)
            if self._mix:
                mixed = self._mix({"image": tf.cast(x, tf.uint8), "label": y, **who[0]}, training=True)
                x, y = mixed["image"], mixed["label"]
            return self._whole.train_step((_levels(x), self._objective.targets(y), *weights))

        def step(batch: Any) -> tf.Tensor:
            results = self._strategy.run(on_device, args=(batch,))
            return self._strategy.experimental_local_results(results["loss"])[0]

        compiled = tf.function(step, input_signature=[spec], autograph=False, jit_compile=False)
        compiled.get_concrete_function()  # now, so that no step's time has it
        return compiled

    def answers(self, split: str) -> Answers:
        """What the model says of a split's images, which are not augmented."""
        if split not in self._evaluations:  # making one takes longer than a small split does
            self._evaluations[split] = self._feed.evaluation(split, batch=self._batch)
        batches = self._evaluations[split]
        if self._look is None:
            self._look = tf.function(
                self._looked, input_signature=[batches.element_spec], autograph=False, jit_compile=False
            )
        loss, images, judge = 0.0, 0, judge_of(self._feed.task, self._feed.classes)
        shown = Shown(*[np.empty(0)] * 3)
        for batch in batches:
            batch_loss, said = self._look(batch)
            right = batch[1].numpy()
            if not images:
                shown = Shown(*(part.numpy()[:SHOWN] for part in (*batch, said)))
            loss += float(batch_loss) * len(right)
            images += len(right)
            judge.add(right, said.numpy())
        return Answers(loss / images, judge.score(), images, judge, shown)

    def _looked(self, batch: tuple[tf.Tensor, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
        x, y = _levels(batch[0]), self._objective.targets(batch[1])
        output = self.model(x, training=False)
        loss = self._whole.compute_loss(x=x, y=y, y_pred=output, training=False)
        return loss, self._objective.said(output)


def default_strategy() -> tf.distribute.Strategy:
    """All GPUs where there are several; else the one device that there is."""
    several = len(tf.config.list_logical_devices("GPU")) > 1
    return tf.distribute.MirroredStrategy() if several else tf.distribute.get_strategy()


def precision() -> str:
    """Keras's policy for mixed precision: float16 needs a GPU, and processors have bfloat16."""
    return "mixed_float16" if tf.config.list_physical_devices("GPU") else "mixed_bfloat16"


@contextmanager
def _policy(name: str) -> Iterator[None]:
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def _levels(image: tf.Tensor) -> tf.Tensor:
    """[B, H, W, C] as the float32 that models take."""
    return tf.cast(image, tf.float32)
