"""The ways in which a sample comes about. All ought to give what `augment_image` gives."""

from __future__ import annotations

import contextlib
import io
import os
import tempfile
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from augment import codec
from augment.augmenter import Augmenter, augment_image
from augment.draws import at
from augment.kernels import device, formulas, kinds
from augment.keys import source_words
from augment.layer import AugmentLayer
from augment.recipe import Recipe
from augment.tfdata import augment_dataset
from pipelines import datasets
from pipelines.parity.examples import COPIES, Sample, write

Launch = Callable[[Recipe, str, str, int, int], None]
"""Materializes: recipe, input, output, seed, copies."""


class Case(NamedTuple):
    """What is to be computed."""

    recipe: Recipe
    seed: int
    samples: Sequence[Sample]
    launch: Launch


class NotPossible(Exception):
    """This way does not lead to samples of this recipe; its text says why."""


Images = Sequence[np.ndarray | None]
"""uint8 [H, W, C] for each sample; None for those that a way leaves out."""


def host(case: Case) -> Images:
    """`augment_image`, one by one: the reference."""
    return [
        augment_image(sample.image, case.recipe, seed=case.seed, source=sample.source, copy=sample.copy)
        for sample in case.samples
    ]


def formula(case: Case) -> Images:
    """The formulas of the kernels as they are read, in NumPy."""
    return _by_kernels(case, formulas.apply)


def eager(case: Case) -> Images:
    """The kernels in TensorFlow, one after the other, without a graph."""
    _on_device(case)
    with tf.device("CPU"):
        return _by_kernels(case, lambda kernels, image: device.apply(kernels, tf.constant(image)).numpy())


def _on_device(case: Case) -> Augmenter:
    """Raises NotPossible for a recipe with a kernel of somebody's own that the device does not have."""
    augmenter = Augmenter(case.recipe, case.seed)
    if not augmenter.has_device:
        raise NotPossible("host alone")
    return augmenter


def _by_kernels(case: Case, apply: Callable[[kinds.Kernels, np.ndarray], np.ndarray]) -> Images:
    augmenter = Augmenter(case.recipe, case.seed)
    images = []
    for sample in case.samples:
        draw = at(augmenter.draw_copies(source_words([sample.source]), sample.copy), 0)
        kernels = augmenter.kernels(draw, (sample.image.shape[0], sample.image.shape[1]))
        images.append(codec.round_trip(apply(kernels, sample.image), case.recipe.storage))
    return images


def graph(case: Case) -> Images:
    """A tf.function for one image of any size, which draws too."""
    augmenter = _on_device(case)

    @tf.function(
        autograph=False,
        input_signature=[
            tf.TensorSpec([None, None, case.recipe.channels], tf.uint8),
            tf.TensorSpec([2], tf.uint32),
            tf.TensorSpec([], tf.int32),
        ],
    )
    def augmented(image: tf.Tensor, key: tf.Tensor, copy: tf.Tensor) -> tf.Tensor:
        draw = augmenter.draw((key[0], key[1]), copy)
        return device.apply(augmenter.kernels(draw, device.size_of(image)), image)

    with tf.device("CPU"):
        return [
            codec.round_trip(
                augmented(sample.image, source_words([sample.source])[0], sample.copy).numpy(),
                case.recipe.storage,
            )
            for sample in case.samples
        ]


def tf_data(case: Case) -> Images:
    """`augment_dataset` of a dataset of images."""
    spec = {
        "image": tf.TensorSpec([None, None, case.recipe.channels], tf.uint8),
        "source": tf.TensorSpec([], tf.string),
    }
    images: list[np.ndarray] = []
    for copy in range(COPIES):
        elements = [{"image": s.image, "source": s.source} for s in case.samples if s.copy == copy]
        dataset = tf.data.Dataset.from_generator(elements.__iter__, output_signature=spec)
        live = augment_dataset(dataset, case.recipe, seed=case.seed, copy=copy)
        images += [element["image"] for element in live.as_numpy_iterator()]
    return images


def job(case: Case) -> Images:
    """The Beam job on the embedded runner, from files to shards and back."""
    with tempfile.TemporaryDirectory() as scratch:
        root, output = os.path.join(scratch, "images"), os.path.join(scratch, "dataset")
        write(root, case.samples)
        with contextlib.redirect_stderr(io.StringIO()):  # its progress bar
            case.launch(case.recipe, root, output, case.seed, COPIES)
        stored = {
            (element["source"].decode(), int(element["copy"])): element["image"]
            for element in datasets.from_shards(output).as_numpy_iterator()
        }
    return [stored[sample.source, sample.copy] for sample in case.samples]


def layer(case: Case) -> Images:
    """The Keras layer in a tf.function, on the CPU."""
    return _in_batches(case, "CPU")


def xla(case: Case) -> Images:
    """The same, compiled by XLA; of one size of images alone, for each size takes it seconds."""
    size = case.samples[0].image.shape
    one_size = case._replace(samples=[s for s in case.samples if s.image.shape == size])
    try:
        compiled = iter(_in_batches(one_size, "CPU", jit_compile=True))
    except (tf.errors.InvalidArgumentError, tf.errors.UnimplementedError) as error:
        raise NotPossible("not compilable") from error
    return [next(compiled) if s.image.shape == size else None for s in case.samples]


def gpu(case: Case) -> Images:
    """The layer on the first GPU."""
    return _in_batches(case, "GPU:0")


def _in_batches(case: Case, device: str, jit_compile: bool = False) -> Images:
    """The layer on a batch of all samples of one size, for each size."""
    if case.recipe.storage.format == "jpeg":
        raise NotPossible("stores JPEG")
    any_size = [
        tf.TensorSpec([None, None, None, case.recipe.channels], tf.uint8),
        tf.TensorSpec([None, 2], tf.uint32),
        tf.TensorSpec([None], tf.int32),
    ]
    _on_device(case)
    augment = AugmentLayer(case.recipe, seed=case.seed, dtype="uint8")
    call = tf.function(
        lambda image, key, copy: augment({"image": image, "key": key, "copy": copy}, training=True),
        jit_compile=jit_compile,
        autograph=False,
        input_signature=None if jit_compile else any_size,
    )
    images: list[np.ndarray | None] = [None] * len(case.samples)
    for size in sorted({sample.image.shape for sample in case.samples}):
        places = [i for i, sample in enumerate(case.samples) if sample.image.shape == size]
        batch = [case.samples[i] for i in places]
        with tf.device(device):
            computed = call(
                tf.constant(np.stack([sample.image for sample in batch])),
                tf.constant(source_words(sample.source for sample in batch)),
                tf.constant([sample.copy for sample in batch], tf.int32),
            )
        for place, image in zip(places, computed.numpy(), strict=True):
            images[place] = image
    return images


WAYS: dict[str, Callable[[Case], Images]] = {
    "formula": formula,
    "eager": eager,
    "graph": graph,
    "tf.data": tf_data,
    "beam": job,
    "layer": layer,
    "xla": xla,
    "gpu": gpu,
}


def available() -> list[str]:
    """The ways that this machine has."""
    return [way for way in WAYS if way != "gpu" or tf.config.list_logical_devices("GPU")]
