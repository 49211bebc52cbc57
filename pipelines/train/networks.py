"""The networks of the presets, as well-known tutorials have them.

Each takes levels from 0 to 255 and scales them by itself, so that every arm feeds it
the same numbers. Two classes of images are told apart by one sigmoid unit, more by a softmax.
"""

from __future__ import annotations

import math

import keras

from augment.recipe import Shape

_RARE = 0.01
"""How sure a cell is of a class before training."""


def vgg16(shape: Shape, classes: int) -> keras.Model:
    """A frozen VGG16 and a small head: Kaggle's course "Computer Vision"."""
    base = keras.applications.VGG16(include_top=False, weights=None, input_shape=shape, name="base")
    base.trainable = False
    image = _image(shape)
    x = keras.applications.vgg16.preprocess_input(image)  # what its published weights were trained on
    x = keras.layers.Flatten()(base(x, training=False))
    x = keras.layers.Dense(6, activation="relu")(x)
    return keras.Model(image, _probabilities(x, classes), name="vgg16")


def convnet_bn(shape: Shape, classes: int) -> keras.Model:
    """Six batch-normalized convolutions, each with a pooling behind it."""
    image = _image(shape)
    x = keras.layers.Rescaling(1 / 255)(image)
    for filters in (16, 32, 64, 128, 256, 512):
        x = keras.layers.Conv2D(filters, 3, padding="same", activation="relu")(x)
        x = keras.layers.BatchNormalization()(x)
        x = keras.layers.MaxPooling2D()(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(image, _probabilities(x, classes), name="convnet_bn")


def small_cnn(shape: Shape, classes: int) -> keras.Model:
    """TensorFlow's tutorial "Image classification", on photos of flowers."""
    image = _image(shape)
    x = keras.layers.Rescaling(1 / 255)(image)
    for filters in (16, 32, 64):
        x = keras.layers.Conv2D(filters, 3, padding="same", activation="relu")(x)
        x = keras.layers.MaxPooling2D()(x)
    x = keras.layers.Dropout(0.2)(x)
    x = keras.layers.Flatten()(x)
    x = keras.layers.Dense(128, activation="relu")(x)
    return keras.Model(image, _probabilities(x, classes), name="small_cnn")


def cifar_cnn(shape: Shape, classes: int) -> keras.Model:
    """TensorFlow's tutorial "Convolutional Neural Network (CNN)", on CIFAR-10."""
    image = _image(shape)
    x = keras.layers.Rescaling(1 / 255)(image)
    x = keras.layers.Conv2D(32, 3, activation="relu")(x)
    for filters in (64, 64):
        x = keras.layers.MaxPooling2D()(x)
        x = keras.layers.Conv2D(filters, 3, activation="relu")(x)
    x = keras.layers.Flatten()(x)
    x = keras.layers.Dense(64, activation="relu")(x)
    return keras.Model(image, _probabilities(x, classes), name="cifar_cnn")


def unet(shape: Shape, classes: int) -> keras.Model:
    """A small U-Net (arXiv:1505.04597), batch-normalized: for each pixel, how likely each class is."""
    down, right = (-side % 4 for side in shape[:2])
    image = _image(shape)
    x = keras.layers.Rescaling(1 / 255)(image)
    x = keras.layers.ZeroPadding2D(((0, down), (0, right)))(x)
    beside = []
    for filters in (8, 16):
        beside.append(_two_convolutions(x, filters))
        x = keras.layers.MaxPooling2D()(beside[-1])
    x = _two_convolutions(x, 32)
    for filters in (16, 8):
        x = keras.layers.Conv2DTranspose(filters, 2, strides=2)(x)
        x = _two_convolutions(keras.layers.Concatenate()([beside.pop(), x]), filters)
    x = keras.layers.Cropping2D(((0, down), (0, right)))(keras.layers.Conv2D(classes, 1)(x))
    return keras.Model(image, keras.layers.Softmax(dtype="float32")(x), name="unet")


def _two_convolutions(x: keras.KerasTensor, filters: int) -> keras.KerasTensor:
    for _ in range(2):
        x = keras.layers.Conv2D(filters, 3, padding="same", use_bias=False)(x)
        x = keras.layers.BatchNormalization(momentum=0.9)(x)  # of which short trainings know enough too
        x = keras.layers.ReLU()(x)
    return x


def center_grid(shape: Shape, classes: int) -> keras.Model:
    """Cells of about 8x8 pixels, which say what has its middle there: `objectives.Boxes` says how."""
    image = _image(shape)
    x = keras.layers.Rescaling(1 / 255)(image)
    for filters in (16, 32, 64):
        x = keras.layers.Conv2D(filters, 3, padding="same", activation="relu")(x)
        x = keras.layers.MaxPooling2D(padding="same")(x)
    for _ in range(3):  # until a cell sees what is as large as 64 pixels
        x = keras.layers.Conv2D(64, 3, padding="same", activation="relu")(x)
    # At first no cell is sure of anything, for nearly all are empty: as RetinaNet has it (arXiv:1708.02002).
    rare = keras.initializers.Constant(-math.log((1 - _RARE) / _RARE))
    logits = keras.layers.Conv2D(classes, 1, bias_initializer=rare)(x)
    places = keras.layers.Conv2D(4, 1, activation="sigmoid")(x)
    both = keras.layers.Concatenate()([logits, places])
    return keras.Model(image, keras.layers.Activation("linear", dtype="float32")(both), name="center_grid")


def _image(shape: Shape) -> keras.KerasTensor:
    return keras.Input(shape, name="image")


def _probabilities(x: keras.KerasTensor, classes: int) -> keras.KerasTensor:
    """In float32 whatever the policy, for float16 has no room for small ones."""
    units, activation = (1, "sigmoid") if classes == 2 else (classes, "softmax")
    x = keras.layers.Dense(units)(x)
    return keras.layers.Activation(activation, dtype="float32")(x)
