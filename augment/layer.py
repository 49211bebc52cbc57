"""Augmentation inside a model: a Keras layer that draws and applies a recipe on its own device.

    layer = AugmentLayer(load_recipe("flowers_layers"), seed=0)
    inputs = {
        "image": keras.Input([200, 220, 3], dtype="uint8", name="image"),
        "key": keras.Input([2], dtype="uint32", name="key"),
        "copy": keras.Input([], dtype="int32", name="copy"),
    }
    outputs = rest_of_the_model(layer(inputs))

A sample is still who it is, and not where it stands in a batch: `key` holds the
64 bits of its source id (strings do not pass through `fit`; `source_words` makes
keys of them), `copy` is the epoch's number.

Given images alone, as in a plain `Sequential`, the layer cannot know who they are. Then it does what
Keras's own layers do, draws anew with every call:

    model = keras.Sequential([keras.Input([200, 220, 3], dtype="uint8"), layer, *rest_of_the_layers])
"""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from augment.augmenter import NOT_AUGMENTED, Augmenter
from augment.errors import RequestError
from augment.kernels import device
from augment.kernels.kinds import Kernels
from augment.keys import Words, source_words
from augment.mixing.batch import Mixer, check_input
from augment.mixing.tfdata import mixed_batch
from augment.recipe import Recipe, check_recipe, recipe_from_document

__all__ = ["AugmentLayer", "BringToSize", "MixLayer", "export_inference", "source_words"]


def _inputs(channels: int) -> dict[str, tuple[str, list[int | None], str]]:
    """What the layer takes, by name: dtype, shape, and the shape in words."""
    return {
        "image": ("uint8", [None, None, None, channels], f"[B, H, W, {channels}]"),
        "key": ("uint32", [None, 2], "[B, 2]"),
        "copy": ("int32", [None], "[B]"),
    }


@keras.saving.register_keras_serializable(package="augshard")
class BringToSize(keras.layers.Layer):
    """Brings images to the recipe's size, as inference and evaluation see them.

    Takes uint8 [B, H, W, C] of any one size, where C is the recipe's `channels`; returns
    [B, height, width, C], as AugmentLayer.
    """

    def __init__(self, recipe: Recipe, **kwargs: Any) -> None:
        _check_backend()
        super().__init__(**kwargs)
        self.recipe = check_recipe(recipe)
        self._augmenter = Augmenter(recipe, seed=0)

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        images = self._named(inputs, False)["image"]
        return tf.cast(self._plain(_levels(images)), self.compute_dtype)

    def _plain(self, images: tf.Tensor) -> tf.Tensor:
        return device.apply(self._augmenter.plain_kernels({}, device.size_of(images)), images)

    @property
    def supports_jit(self) -> bool:
        """Whether XLA compiles the whole recipe, to the same pixels: whether it has all of its kernels.

        It has no JPEG; and what is resampled from boxes whose size is drawn, with a filter that
        widens, takes a look-up that XLA lacks where images are large.
        """
        return device.compiles(self._all_kernels())

    @supports_jit.setter
    def supports_jit(self, value: bool) -> None:
        pass  # Layer's constructor sets it to True

    def _named(self, inputs: Any, training: bool | None) -> dict[str, Any]:
        """The inputs by name, after a look at those that are needed."""
        given = inputs if isinstance(inputs, dict) else {"image": inputs}
        alone = given is not inputs
        for name in ("image", "key", "copy") if training and not alone else ("image",):
            _check(name, given.get(name), self.recipe.channels, or_float=alone)
        return given

    def _all_kernels(self) -> Kernels:
        return self._augmenter.plain_kernels({}, self.recipe.image_size)

    def compute_output_spec(self, inputs: Any, training: bool | None = None) -> keras.KerasTensor:
        image = self._named(inputs, training)["image"]
        return keras.KerasTensor((image.shape[0], *self.recipe.image_shape), dtype=self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        recipe = {"name": self.recipe.name, **self.recipe.canonical()}
        return {**super().get_config(), "recipe": recipe}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> BringToSize:
        document = config["recipe"]
        recipe = recipe_from_document(document, name=document["name"], where="of the saved layer")
        return cls(**{**config, "recipe": recipe})


@keras.saving.register_keras_serializable(package="augshard")
class AugmentLayer(BringToSize):
    """Augments in training, as `augment_image` does; brings to size, and no more, at inference.

    Args:
        recipe: see `load_recipe`. Its storage must be lossless.
        seed: in [0, 2**64).

    Call arguments:
        inputs: a dictionary of `image`, uint8 [B, H, W, C] of any one size; `key`, uint32
            [B, 2], from `source_words`; and `copy`, int32 [B], from 0, or -1 for samples
            that are not augmented. Or the images alone, whose levels may then be floats from 0 to 255,
            as `image_dataset_from_directory` yields them: they are rounded.
        training: whether to augment.

    Of images alone, what is drawn follows from the seed, from how often the layer was called to augment
    before (a state that is saved with a model), and from the place in the batch: another order gives other
    samples, as with `keras.layers.RandomFlip`, and none of them is a stored copy.

    Returns [B, height, width, C] of the recipe's size: whole levels from 0 to 255 in the
    layer's compute dtype, every one of which float16 and bfloat16 hold exactly;
    `dtype="uint8"` gives uint8. They are the pixels of `augment_image` to the bit, on
    processors and GPUs, compiled by XLA or not.

    Raises RequestError for inputs of other types or shapes, and for a recipe that stores JPEG.
    """

    def __init__(self, recipe: Recipe, seed: int = 0, **kwargs: Any) -> None:
        if check_recipe(recipe).storage.format == "jpeg":
            raise RequestError(
                f"recipe {recipe.name}: it stores JPEG, and that round trip cannot be made within a model; "
                "let its storage be png or raw, or augment in tf.data with augment_dataset"
            )
        super().__init__(recipe, **kwargs)
        self._augmenter = Augmenter(recipe, seed)
        self.seed = self._augmenter.seed

    def build(self, input_shape: Any) -> None:
        """Makes what counts the calls, where they have images alone; what stores copies has no state."""
        self._calls = None
        if not isinstance(input_shape, dict):
            self._calls = self.add_weight(
                shape=(),
                dtype="int32",
                initializer="zeros",
                trainable=False,
                aggregation="only_first_replica",
                name="calls",
            )
        self.built = True

    def call(self, inputs: Any, training: bool | None = None) -> tf.Tensor:
        given = self._named(inputs, training)
        if given is not inputs:
            images = _levels(given["image"])
            given = self._numbered(images) if training else {"image": images}
        pixels = self._augmented(given) if training else self._plain(given["image"])
        return tf.cast(pixels, self.compute_dtype)

    def _numbered(self, images: tf.Tensor) -> dict[str, tf.Tensor]:
        """Images as those of nobody: each is its call and its place."""
        if self._calls is None:
            raise RequestError(
                "the layer was built for images with key and copy, and is given images alone; give all "
                "three, or make a layer for images alone"
            )
        call = tf.convert_to_tensor(self._calls)
        self._calls.assign(call + 1)
        context = tf.distribute.get_replica_context()
        replica = tf.cast(context.replica_id_in_sync_group if context else 0, tf.int32)
        rows = tf.range(tf.shape(images)[0], dtype=tf.int32)
        key = tf.stack([tf.zeros_like(rows) + call, replica * (1 << 24) + rows], axis=-1)
        return {"image": images, "key": tf.cast(key, tf.uint32), "copy": tf.zeros_like(rows)}

    def _augmented(self, given: dict[str, tf.Tensor]) -> tf.Tensor:
        images, copy = given["image"], given["copy"]
        draw = self._augmenter.draw(_words(given["key"]), copy)
        pixels = device.apply(self._augmenter.kernels(draw, device.size_of(images)), images)
        left_alone = copy == NOT_AUGMENTED

        def some_plain() -> tf.Tensor:
            return tf.where(left_alone[:, tf.newaxis, tf.newaxis, tf.newaxis], self._plain(images), pixels)

        return tf.cond(tf.reduce_any(left_alone), some_plain, lambda: pixels)

    def draw(self, key: tf.Tensor, copy: tf.Tensor) -> dict[str, tf.Tensor]:
        """What is drawn for samples: [B] under `<op id>.<parameter>`, the columns of the samples table.

        Takes the inputs `key` and `copy`.
        """
        return self._augmenter.recorded(self._augmenter.draw(_words(key), copy))

    def _all_kernels(self) -> Kernels:
        nobody = self._augmenter.draw_copies(source_words([]), 0)  # of a batch, with all that can be chosen
        return self._augmenter.kernels(nobody, self.recipe.image_size) + super()._all_kernels()

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "seed": self.seed}


@keras.saving.register_keras_serializable(package="augshard")
class MixLayer(keras.layers.Layer):
    """Mixes a batch in training, as `mix_batch` does; leaves its images alone at inference.

    Args:
        mixing: `mixup:ALPHA`, `cutmix:ALPHA` or `mosaic`.
        classes: how many there are.
        seed: as for AugmentLayer.

    Call arguments:
        inputs: a dictionary of `image`, uint8 [B, H, W, C], as AugmentLayer with dtype="uint8" returns;
            `label`, whole numbers [B]; and in training `key` and `copy`, as for AugmentLayer.
        training: whether to mix.

    Returns a dictionary of `image`, [B, H, W, C], whole levels in the layer's compute dtype, and `label`,
    float32 [B, classes], of which a row adds up to 1 exactly. Both are those of `mix_batch` to the bit.

    Raises RequestError for inputs of other types or shapes.
    """

    def __init__(self, mixing: str, classes: int, seed: int = 0, **kwargs: Any) -> None:
        _check_backend()
        super().__init__(**kwargs)
        self._mixer, self.classes = Mixer(mixing, seed), classes

    def call(self, inputs: dict[str, tf.Tensor], training: bool | None = None) -> dict[str, tf.Tensor]:
        for name in ("image", "label", "key", "copy") if training else ("image", "label"):
            check_input(name, inputs.get(name))
        image, label = inputs["image"], tf.one_hot(inputs["label"], self.classes)
        if training:
            mixed = mixed_batch(self._mixer, inputs, self.classes)
            image, label = mixed["image"], mixed["label"]
        return {"image": tf.cast(image, self.compute_dtype), "label": label}

    def compute_output_spec(self, inputs: Any, training: bool | None = None) -> dict[str, keras.KerasTensor]:
        image = inputs["image"]
        label = keras.KerasTensor((image.shape[0], self.classes), dtype="float32")
        return {"image": keras.KerasTensor(image.shape, dtype=self.compute_dtype), "label": label}

    def get_config(self) -> dict[str, Any]:
        mixing, seed = str(self._mixer.mixing), self._mixer.seed
        return {**super().get_config(), "mixing": mixing, "classes": self.classes, "seed": seed}


def _check_backend() -> None:
    if keras.backend.backend() != "tensorflow":
        raise RequestError(
            f"Keras runs on {keras.backend.backend()}; augshard's layers need KERAS_BACKEND=tensorflow"
        )


def _levels(images: tf.Tensor) -> tf.Tensor:
    """uint8 of images that may be floats. Those from 0 to 1 are an error, but in XLA, which cannot tell."""
    if not images.dtype.is_floating:
        return images
    whole = tf.reduce_all(images == tf.round(images))
    sentence = (
        "the images' levels are floats from 0 to 1; the layer takes levels from 0 to 255: let it stand "
        "before Rescaling(1 / 255)"
    )
    with tf.control_dependencies([tf.debugging.Assert(whole | (tf.reduce_max(images) > 1), [sentence])]):
        return tf.cast(tf.round(tf.clip_by_value(images, 0, 255)), tf.uint8)


def _check(name: str, found: Any, channels: int, *, or_float: bool) -> None:
    dtype, shape, form = _inputs(channels)[name]
    if found is None:
        raise RequestError(f"the layer's input {name!r} is missing; it must be {dtype} {form}")
    is_dtype = keras.backend.standardize_dtype(found.dtype)
    right = is_dtype == dtype or (or_float and "float" in is_dtype)
    if not right or not tf.TensorShape(found.shape).is_compatible_with(shape):
        is_shape = "[" + ", ".join("B" if side is None else str(side) for side in found.shape) + "]"
        raise RequestError(f"the layer's input {name!r} is {is_dtype} {is_shape}; it must be {dtype} {form}")


def _words(key: tf.Tensor) -> Words:
    return key[:, 0], key[:, 1]


def export_inference(model: keras.Model) -> keras.Model:
    """The same model for images alone: in the augmentation's place, they are brought to size.

    Args:
        model: a functional model whose AugmentLayer is given the model's own inputs.

    Returns a model that shares the layers behind the augmentation, and their weights. Of
    the inputs, `key` and `copy` are gone; without others, it takes the images themselves.

    Raises RequestError if there is no such layer.
    """
    layers = [layer for layer in model.layers if isinstance(layer, AugmentLayer)]
    try:
        [layer] = layers
        tensors = dict(zip(("copy", "image", "key"), layer.input, strict=True))  # Keras sorts dictionaries
    except (AttributeError, TypeError, ValueError):
        raise RequestError(
            f"model {model.name}: {len(layers)} of its own layers are AugmentLayers; export_inference "
            "takes a functional model in which one is called once, with image, key and copy"
        ) from None
    gone = {id(tensor) for tensor in tensors.values()}
    others = [tensor for tensor in model.inputs if id(tensor) not in gone]
    rest = keras.Model([layer.output, *others], model.output, name=f"{model.name}_after_{layer.name}")
    image = keras.Input(batch_shape=tensors["image"].shape, dtype="uint8", name="image")
    to_size = BringToSize(layer.recipe, dtype=layer.dtype_policy)
    inputs = {"image": image, **{tensor.name: tensor for tensor in others}} if others else image
    return keras.Model(inputs, rest([to_size(image), *others]), name=model.name)
