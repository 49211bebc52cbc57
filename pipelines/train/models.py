"""Which models can be trained: the presets, and one's own.

Keras is imported late: what is wrong with a name is said before that.
"""

from __future__ import annotations

import importlib
import os
import sys
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from augment.errors import RequestError, did_you_mean
from augment.ops import Size
from augment.recipe import Shape
from pipelines.train.learned import BOXES, CLASSES, MASKS, Task

if TYPE_CHECKING:
    import keras

Build = Callable[[Shape, int], "keras.Model"]
"""Makes a model from the height, width and channels of its images and the number of classes."""


class Preset(NamedTuple):
    """What is known of a preset before it is built."""

    smallest: int
    """height and width of which its poolings leave anything"""
    early_stopping: bool = False
    """whether it comes with early stopping"""
    color: bool = False
    """whether it takes images of three channels alone"""
    task: str = "classes"
    """what it learns, as `learned.TASKS` names it"""


PRESETS = {
    "vgg16": Preset(smallest=32, color=True),
    "convnet_bn": Preset(smallest=64, early_stopping=True),
    "small_cnn": Preset(smallest=8),
    "cifar_cnn": Preset(smallest=18),
    "unet": Preset(smallest=4, task="masks"),
    "center_grid": Preset(smallest=8, task="boxes"),
}


class Model(NamedTuple):
    """A model by its name."""

    name: str
    build: Build
    early_stopping: bool = False
    task: str | None = None
    """what it learns; None for whatever its output is right for"""


def find_model(name: str, *, shape: Shape, weights: str | None = None) -> Model:
    """The model that `--model` names: a preset, or `package.module:function`.

    Args:
        name: what was typed.
        shape: height, width and channels of the images.
        weights: a file with the weights of vgg16's base.

    Raises RequestError if there is none, or if it cannot take images of that shape.
    """
    if weights is not None and name != "vgg16":
        raise RequestError(f"--weights {weights}: they are for --model vgg16, and --model is {name}")
    if ":" in name:
        return Model(name, _own(name))
    if name not in PRESETS:
        raise RequestError(
            f"--model: there is no model {name!r}; {did_you_mean(name, PRESETS)} "
            "(one of your own is given as package.module:function)"
        )
    preset = PRESETS[name]
    if preset.color and shape[2] != 3:
        raise RequestError(
            f"--model {name}: its base takes images of three channels, and the recipe makes gray ones "
            "(channels: 1); take another model, or leave channels out of the recipe"
        )
    if min(shape[:2]) < preset.smallest:
        raise RequestError(
            f"--model {name}: it needs images of {preset.smallest}x{preset.smallest} or more, and the recipe "
            f"makes {shape[0]}x{shape[1]}; take a recipe of larger images, or another model"
        )
    if weights is not None and not os.path.isfile(weights):
        raise RequestError(f"--weights {weights}: there is no such file")

    def build(shape: Shape, classes: int) -> keras.Model:
        from pipelines.train import networks

        model = getattr(networks, name)(shape, classes)
        if weights is not None:
            _load_base(model, weights)
        return model

    return Model(name, build, preset.early_stopping, preset.task)


def _load_base(model: keras.Model, weights: str) -> None:
    base = model.get_layer("base")
    kernels = [variable for variable in base.weights if variable.name == "kernel"]
    before = [kernel.numpy() for kernel in kernels]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of parts that are missing, which we look for ourselves
            base.load_weights(weights)
        if any((kernel.numpy() == old).all() for kernel, old in zip(kernels, before, strict=True)):
            raise ValueError("it has not all of its layers")
    except Exception as error:  # noqa: BLE001 (HDF5, zip and Keras fail each in its own way)
        raise RequestError(
            f"--weights {weights}: it does not fit VGG16 without its top ({_first_line(error)}); give a file "
            "of Keras's such as vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5"
        ) from None


def _own(name: str) -> Build:
    """A user's function, imported when it is called, for it imports Keras; and a check of what it returns."""

    def build(shape: Shape, classes: int) -> keras.Model:
        import keras

        model = _imported(name)(shape[:2], classes)
        if not isinstance(model, keras.Model):
            raise RequestError(
                f"--model {name}: it returned {type(model).__name__}; it must return a keras.Model"
            )
        if type(model).train_step is not keras.Model.train_step:
            raise RequestError(
                f"--model {name}: it has a train_step of its own, which would not be the same in every arm; "
                "leave it out, and compile the model with its loss and optimizer"
            )
        return model

    return build


def _imported(name: str) -> Callable[[Size, int], keras.Model]:
    module, _, function = name.partition(":")
    sys.path.insert(0, os.getcwd())  # as for a script; an installed command does not look there
    try:
        build: Callable[[Size, int], keras.Model] = getattr(importlib.import_module(module), function)
    except Exception as error:  # noqa: BLE001 (importing runs whatever a user wrote)
        raise RequestError(
            f"--model {name}: it cannot be imported ({_first_line(error)}); give package.module:function, "
            "with the package's folder in PYTHONPATH"
        ) from None
    finally:
        sys.path.pop(0)
    return build


def check_model(
    name: str, model: keras.Model, *, shape: Shape, classes: int, task: Task = CLASSES
) -> keras.KerasTensor:
    """Builds a model for images of a shape; its output for `keras.Input(shape)`.

    Raises RequestError if it cannot take such images, if its output does not fit the
    classes and the task, or if Keras could not save it.
    """
    import keras

    try:
        output = model(keras.Input(shape))
        made = tuple(output.shape)
        keras.saving.serialize_keras_object(model)
    except Exception as error:  # noqa: BLE001 (it runs whatever a user wrote)
        raise RequestError(
            f"--model {name}: it cannot be used ({_first_line(error)}); it must be a model that Keras can "
            f"save, and take levels from 0 to 255 as [B, {', '.join(map(str, shape))}]"
        ) from None
    if not _fits(made, shape, classes, task):
        form = "[" + ", ".join("B" if side is None else str(side) for side in made) + "]"
        forms = {
            CLASSES: f"{'[B, 1] or ' * (classes == 2)}[B, {classes}]",
            MASKS: f"[B, {shape[0]}, {shape[1]}, {classes}]",
            BOXES: f"[B, rows, columns, {classes + 4}]",
        }
        what = "" if task is CLASSES else f"{task.name} of "
        raise RequestError(
            f"--model {name}: its output is {form}; for {what}{classes} classes it must be {forms[task]}"
        )
    return output


def _fits(made: tuple[int | None, ...], shape: Shape, classes: int, task: Task) -> bool:
    if task is CLASSES:
        return made == (None, classes) or (classes == 2 and made == (None, 1))
    if task is MASKS:
        return made == (None, *shape[:2], classes)
    return len(made) == 4 and made[3] == classes + 4 and all(made[1:3])


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
