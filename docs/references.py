"""What each op is held to: a function of another library, and its levels given the same parameters."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import cv2
import numpy as np
from PIL import Image, ImageEnhance, ImageOps

from benchmarks.pillow_policies import applied, chains, in_turn

Drawn = Mapping[str, Any]
"""What the samples table holds of the op for one sample, by parameter."""


class Reference(NamedTuple):
    """What an op is held to."""

    name: str
    """as recipes.md says it"""
    settings: str
    levels: Callable[[np.ndarray, Drawn], Any]
    """of an image, uint8 [H, W, 3], and a draw: levels [h, w, 3], floats too; NaN where it says nothing"""


# ---------------------------------------------------------------- TensorFlow and Keras


def _tf_image(name: str, parameter: str) -> Callable[[np.ndarray, Drawn], Any]:
    """A function on floats in [0, 1], with the parameter that was drawn."""

    def levels(image: np.ndarray, drawn: Drawn) -> Any:
        import tensorflow as tf

        unit = tf.constant(image, tf.float32) / 255.0
        return getattr(tf.image, name)(unit, float(drawn[parameter])).numpy() * 255.0

    return levels


def _of_tf(function: Callable[..., Any]) -> Callable[[np.ndarray, Drawn], Any]:
    """A function of TensorFlow, the image and the draw."""

    def levels(image: np.ndarray, drawn: Drawn) -> Any:
        import tensorflow as tf

        return function(tf, image, drawn).numpy()

    return levels


def _flipped(tf: Any, image: np.ndarray, drawn: Drawn) -> Any:
    flipped = tf.image.flip_left_right(image) if drawn["horizontal"] else tf.constant(image)
    return tf.image.flip_up_down(flipped) if drawn["vertical"] else flipped


def _keras(layer: str, factors: Callable[[Drawn], dict[str, float]]) -> Callable[[np.ndarray, Drawn], Any]:
    """A random layer of Keras of which both ends of each range are what was drawn."""

    def levels(image: np.ndarray, drawn: Drawn) -> Any:
        import keras
        import tensorflow as tf

        given = {name: (factor, factor) for name, factor in factors(drawn).items()}
        made = getattr(keras.layers, layer)(**given, fill_mode="reflect", interpolation="bilinear")
        return made(tf.constant(image[np.newaxis], tf.float32), training=True)[0].numpy()

    return levels


def _seen(scale: Any) -> float:
    """Keras's zoom by the part of the image that is seen."""
    return 1 / float(scale) - 1


# ---------------------------------------------------------------- Pillow and OpenCV


def _pillow(function: Callable[[Image.Image, Drawn], Any]) -> Callable[[np.ndarray, Drawn], Any]:
    return lambda image, drawn: np.asarray(function(Image.fromarray(image), drawn))


def _moved(image: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Pillow's bilinear transform by a matrix from output to input pixels; NaN where it sees no image."""
    height, width, _ = image.shape
    edge = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])  # Pillow counts from the edges of pixels
    from_edges = edge @ matrix @ np.linalg.inv(edge)
    how = Image.Transform.PERSPECTIVE, (from_edges / from_edges[2, 2]).ravel()[:8], Image.Resampling.BILINEAR
    levels = np.array(Image.fromarray(image).transform((width, height), *how), np.float64)
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    sx, sy, w = np.einsum("ij,jyx->iyx", matrix, np.stack([x, y, np.ones_like(x)]))
    inside = (sx >= 0) & (sx <= w * (width - 1)) & (sy >= 0) & (sy <= w * (height - 1))
    levels[~inside] = np.nan
    return levels


def _sheared(image: np.ndarray, drawn: Drawn) -> np.ndarray:
    height, width, _ = image.shape
    to_corner = np.array([[1, 0, (width - 1) / 2], [0, 1, (height - 1) / 2], [0, 0, 1]])
    rows = np.array([[1, drawn["x"], 0], [0, 1, 0], [0, 0, 1]], np.float64)
    columns = np.array([[1, 0, 0], [drawn["y"], 1, 0], [0, 0, 1]], np.float64)
    return _moved(image, np.linalg.inv(to_corner @ columns @ rows @ np.linalg.inv(to_corner)))


def _from_an_angle(image: np.ndarray, drawn: Drawn) -> np.ndarray:
    height, width, _ = image.shape
    last = np.array([width - 1, height - 1])
    ends = np.array([[0, 0], [1, 0], [1, 1], [0, 1]])
    corners = ("top_left", "top_right", "bottom_right", "bottom_left")
    inward = np.array([[float(drawn[f"{corner}_{axis}"]) for axis in "xy"] for corner in corners])
    points = (ends + (1 - 2 * ends) * inward) * last
    return _moved(image, cv2.getPerspectiveTransform(np.float32(ends * last), np.float32(points)))


def _jittered(image: Image.Image, drawn: Drawn) -> Image.Image:
    enhancers = (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color)
    factors = [float(drawn[name]) for name in ("brightness", "contrast", "saturation")]
    for digit in str(drawn["order"]):
        if digit != "4":  # hue, which the op `hue` is held to
            image = enhancers[int(digit) - 1](image).enhance(factors[int(digit) - 1])
    return image


def _shuffled(image: Image.Image, drawn: Drawn) -> Image.Image:
    bands = image.split()
    return Image.merge("RGB", [bands[int(digit) - 1] for digit in str(drawn["order"])])


def _blurred(image: np.ndarray, drawn: Drawn) -> np.ndarray:
    sigma = float(drawn["sigma"])
    taps = 2 * math.ceil(3 * sigma) + 1
    return cv2.GaussianBlur(image, (taps, taps), sigma, borderType=cv2.BORDER_REPLICATE)


def _by_policy(image: Image.Image, drawn: Drawn) -> Image.Image:
    return in_turn([drawn])(image)


def _mixed(image: Image.Image, drawn: Drawn) -> np.ndarray:
    return sum(weight * np.asarray(applied(chain, image), np.float64) for weight, chain in chains(drawn))


def _part(image: Image.Image, drawn: Drawn) -> Image.Image:
    """torchvision's crop, of a candidate that fits."""
    area, ratio = image.width * image.height * float(drawn["area"]), float(drawn["ratio"])
    width, height = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
    left = int(drawn["left"] * (image.width - width + 1))
    top = int(drawn["top"] * (image.height - height + 1))
    return image.crop((left, top, left + width, top + height)).resize((96, 96), Image.Resampling.BILINEAR)


def _cropped(image: np.ndarray, drawn: Drawn) -> np.ndarray:
    top, left = int(drawn["top"]), int(drawn["left"])
    padded = np.pad(image, ((20, 20), (20, 20), (0, 0)))
    return padded[top : top + image.shape[0], left : left + image.shape[1]]


REFERENCES: dict[str, list[Reference]] = {
    "resize": [
        Reference(
            "Pillow's `Image.resize`, BILINEAR",
            "{height: 54, width: 100}",
            _pillow(lambda image, _: image.resize((100, 54), Image.Resampling.BILINEAR)),
        ),
        Reference(
            "`tf.image.resize`, with `antialias: false`",
            "{height: 54, width: 100, antialias: false}",
            _of_tf(lambda tf, image, _: tf.image.resize(image, [54, 100])),
        ),
    ],
    "crop_or_pad": [
        Reference(
            "`tf.image.resize_with_crop_or_pad`",
            "{height: 90, width: 400}",
            _of_tf(lambda tf, image, _: tf.image.resize_with_crop_or_pad(image, 90, 400)),
        )
    ],
    "random_crop": [
        Reference(
            "`tf.image.crop_to_bounding_box`",
            "{height: 72, width: 96}",
            _of_tf(
                lambda tf, image, drawn: tf.image.crop_to_bounding_box(
                    image, int(drawn["top"]), int(drawn["left"]), 72, 96
                )
            ),
        )
    ],
    "pad_and_crop": [Reference("NumPy's `pad`, and a slice", "{padding: 20}", _cropped)],
    "central_crop": [
        Reference(
            "`tf.image.central_crop`",
            "{fraction: 0.6}",
            _of_tf(lambda tf, image, _: tf.image.central_crop(tf.constant(image), 0.6)),
        )
    ],
    "random_resized_crop": [
        Reference(
            "Pillow's `Image.resize`, BILINEAR, of torchvision's crop",
            "{height: 96, width: 96, area: [0.1, 0.35]}",
            _pillow(_part),
        )
    ],
    "flip": [
        Reference(
            "`tf.image.flip_left_right`, `tf.image.flip_up_down`",
            "{horizontal: 0.5, vertical: 0.5}",
            lambda image, drawn: image[
                :: -1 if drawn["vertical"] else 1, :: -1 if drawn["horizontal"] else 1
            ],
        )
    ],
    "rot90": [
        Reference(
            "`tf.image.rot90`",
            "{quarter_turns: [0, 2]}",
            _of_tf(lambda tf, image, drawn: tf.image.rot90(tf.constant(image), int(drawn["quarter_turns"]))),
        )
    ],
    "perspective": [Reference("Pillow's PERSPECTIVE, BILINEAR", "{strength: 0.5}", _from_an_angle)],
    "rotation": [
        Reference(
            "Keras's `RandomRotation`",
            "{factor: 0.1}",
            _keras("RandomRotation", lambda drawn: {"factor": float(drawn["degrees"]) / 360}),
        )
    ],
    "translation": [
        Reference(
            "Keras's `RandomTranslation`",
            "{height: 0.2, width: 0.2}",
            _keras(
                "RandomTranslation",
                lambda drawn: {
                    "height_factor": float(drawn["height"]),
                    "width_factor": float(drawn["width"]),
                },
            ),
        )
    ],
    "zoom": [
        Reference(
            "Keras's `RandomZoom`",
            "{scale: [0.6, 1.6]}",
            _keras("RandomZoom", lambda drawn: {"height_factor": _seen(drawn["scale"])}),
        )
    ],
    "width": [
        Reference(
            "Keras's `RandomZoom`",
            "{scale: [0.6, 1.6]}",
            _keras("RandomZoom", lambda drawn: {"height_factor": 0.0, "width_factor": _seen(drawn["scale"])}),
        )
    ],
    "height": [
        Reference(
            "Keras's `RandomZoom`",
            "{scale: [0.6, 1.6]}",
            _keras("RandomZoom", lambda drawn: {"height_factor": _seen(drawn["scale"]), "width_factor": 0.0}),
        )
    ],
    "shear": [Reference("Pillow's AFFINE, BILINEAR, within the image", "{x: 0.4, y: 0.2}", _sheared)],
    "brightness": [
        Reference("`tf.image.adjust_brightness`", "{delta: 0.4}", _tf_image("adjust_brightness", "delta"))
    ],
    "contrast": [
        Reference("`tf.image.adjust_contrast`", "{factor: 0.8}", _tf_image("adjust_contrast", "factor"))
    ],
    "saturation": [
        Reference(
            "`tf.image.adjust_saturation`", "{factor: [0, 3]}", _tf_image("adjust_saturation", "factor")
        )
    ],
    "hue": [Reference("`tf.image.adjust_hue`", "{delta: [-0.5, 0.5]}", _tf_image("adjust_hue", "delta"))],
    "gamma": [
        Reference("`tf.image.adjust_gamma`", "{gamma: [0.4, 2.5]}", _tf_image("adjust_gamma", "gamma"))
    ],
    "grayscale": [
        Reference(
            'Pillow\'s `convert("L")`', "{}", _pillow(lambda image, _: image.convert("L").convert("RGB"))
        ),
        Reference(
            "`tf.image.rgb_to_grayscale`",
            "{}",
            _of_tf(
                lambda tf, image, _: tf.repeat(tf.image.rgb_to_grayscale(tf.cast(image, tf.float32)), 3, -1)
            ),
        ),
    ],
    "invert": [
        Reference("Pillow's `ImageOps.invert`", "{}", _pillow(lambda image, _: ImageOps.invert(image)))
    ],
    "color_jitter": [
        Reference(
            "Pillow's `ImageEnhance`, without hue",
            "{brightness: 0.4, contrast: 0.4, saturation: 0.8}",
            _pillow(_jittered),
        )
    ],
    "channel_shuffle": [Reference("Pillow's `Image.merge`", "{}", _pillow(_shuffled))],
    "posterize": [
        Reference(
            "Pillow's `ImageOps.posterize`",
            "{bits: [1, 2, 3]}",
            _pillow(lambda image, drawn: ImageOps.posterize(image, int(drawn["bits"]))),
        )
    ],
    "solarize": [
        Reference(
            "Pillow's `ImageOps.solarize`",
            "{threshold: [60, 200]}",
            _pillow(lambda image, drawn: ImageOps.solarize(image, math.ceil(drawn["threshold"]))),
        )
    ],
    "equalize": [
        Reference("Pillow's `ImageOps.equalize`", "{}", _pillow(lambda image, _: ImageOps.equalize(image)))
    ],
    "autocontrast": [
        Reference(
            "Pillow's `ImageOps.autocontrast`", "{}", _pillow(lambda image, _: ImageOps.autocontrast(image))
        )
    ],
    "sharpness": [
        Reference(
            "Pillow's `ImageEnhance.Sharpness`",
            "{factor: [0, 10]}",
            _pillow(lambda image, drawn: ImageEnhance.Sharpness(image).enhance(float(drawn["factor"]))),
        )
    ],
    "blur": [Reference("OpenCV's `GaussianBlur`", "{sigma: [0, 3]}", _blurred)],
    "jpeg_quality": [
        Reference(
            "`tf.image.adjust_jpeg_quality`",
            "{quality: [3, 30]}",
            _of_tf(
                lambda tf, image, drawn: tf.image.adjust_jpeg_quality(
                    image, int(drawn["quality"]), dct_method="INTEGER_ACCURATE"
                )
            ),
        )
    ],
    "rand_augment": [
        Reference("Pillow, operation by operation", "{layers: 2, magnitude: 15}", _pillow(_by_policy))
    ],
    "trivial_augment": [Reference("Pillow, operation by operation", "{}", _pillow(_by_policy))],
    "auto_augment": [Reference("Pillow, operation by operation", "{policy: imagenet}", _pillow(_by_policy))],
    "aug_mix": [
        Reference("Pillow's operations, mixed in float64 and rounded once", "{severity: 8}", _pillow(_mixed))
    ],
}
"""By op; what no other library computes alike is in ALONE."""

ALONE = {
    "elastic": "Ronneberger et al. 2015 for the form; no library draws this field",
    "noise": "the normal distribution, to which its deviates are held",
    "random_erasing": "Zhong et al. 2017, in torchvision's form; what it hides is random",
    "cutout": "DeVries and Taylor 2017; every level is the image's or `fill_value`",
    "one_of": "those of its ops",
    "some_of": "those of its ops",
    "sometimes": "those of its ops",
}
"""What stands for a reference where there is none to compare levels with."""
