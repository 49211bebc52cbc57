"""For every op, settings, and what users of Albumentations, or of Pillow, call for the same."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from benchmarks.measure import PEERS

sys.path.append(str(PEERS))

import albumentations as A
import cv2
import numpy as np
from PIL import Image

from benchmarks import pillow_policies
from benchmarks.pillow_policies import Drawn

SIDE = 224
PHOTO = (333, 500)
"""Height and width of what is resized."""


class Case(NamedTuple):
    """One op, and its counterpart."""

    op: str
    settings: dict[str, Any]
    library: str
    theirs: Callable[[Sequence[Drawn]], Callable[[Any], Any]]
    """what is called for an image, given what we drew, which Albumentations does not need"""
    given: Callable[[np.ndarray], Any]
    """an image as it takes it"""
    size: tuple[int, int]
    """height and width of the images"""

    def entries(self) -> list[dict[str, Any]]:
        """Our recipe: the op, after one that says the size of the images, which most ops have to know."""
        frame = {"crop_or_pad": {"id": "frame", "height": SIDE, "width": SIDE}}
        return [*([frame] if self.size == (SIDE, SIDE) else []), {self.op: self.settings}]


def _case(op: str, settings: dict[str, Any], *transforms: Any, size: tuple[int, int] = (SIDE, SIDE)) -> Case:
    def composed(_: Sequence[Drawn]) -> Callable[[np.ndarray], np.ndarray]:
        compose = A.Compose(list(transforms), seed=0)
        return lambda image: compose(image=image)["image"]

    return Case(op, settings, "Albumentations", composed, np.asarray, size)


def _policy(op: str, settings: dict[str, Any]) -> Case:
    return Case(op, settings, "Pillow", pillow_policies.in_turn, Image.fromarray, (SIDE, SIDE))


_MIRRORED: dict[str, Any] = {"border_mode": cv2.BORDER_REFLECT, "p": 1}
_LARGER = (256, 256)
_SQUARE: dict[str, Any] = {"height": SIDE, "width": SIDE}
_AS_THEIRS = {"antialias": False}  # ours by default, and slower

_BRIGHTNESS = A.RandomBrightnessContrast(brightness_limit=0.2, contrast_limit=0, p=1)
_CONTRAST = A.RandomBrightnessContrast(brightness_limit=0, contrast_limit=0.5, p=1)
_FLIP = A.HorizontalFlip(p=1)
_GAMMA = A.RandomGamma((70, 140), p=1)
_OURS: dict[str, dict[str, Any]] = {
    "brightness": {"delta": 0.2},
    "contrast": {"factor": 0.5},
    "flip": {"horizontal": 1},
    "gamma": {"gamma": [0.7, 1.4]},
}
_SOME = [{name: settings} for name, settings in _OURS.items()]
_SOME_OF_THEIRS = [_BRIGHTNESS, _CONTRAST, _FLIP, _GAMMA]


def _axis(x: tuple[float, float], y: tuple[float, float]) -> Any:
    return A.Affine(scale={"x": x, "y": y}, **_MIRRORED)


CASES = [
    _case("rotation", {"factor": 0.1}, A.Rotate(36, **_MIRRORED)),
    _case("translation", {"height": 0.1, "width": 0.1}, A.Affine(translate_percent=(-0.1, 0.1), **_MIRRORED)),
    _case("zoom", {"scale": 0.2}, A.Affine(scale=(0.8, 1.2), keep_ratio=True, **_MIRRORED)),
    _case("width", {"scale": 0.2}, _axis((0.8, 1.2), (1, 1))),
    _case("height", {"scale": 0.2}, _axis((1, 1), (0.8, 1.2))),
    _case("shear", {"x": 0.2}, A.Affine(shear={"x": (-11, 11), "y": 0}, **_MIRRORED)),
    _case(
        "perspective",
        {"strength": 0.2},
        A.Perspective(scale=(0.05, 0.1), border_mode=cv2.BORDER_REPLICATE, p=1),
    ),
    _case("elastic", {"strength": [0.1, 0.2]}, A.GridElasticDeform(num_grid_xy=(4, 4), magnitude=10, p=1)),
    _case("flip", _OURS["flip"], _FLIP),
    _case("rot90", {}, A.RandomRotate90(p=1)),
    _case("crop_or_pad", _SQUARE, A.CenterCrop(SIDE, SIDE, pad_if_needed=True, p=1), size=_LARGER),
    _case("central_crop", {"fraction": 0.875}, A.CenterCrop(196, 196, p=1)),
    _case("random_crop", {"height": 196, "width": 196}, A.RandomCrop(196, 196, p=1)),
    _case("pad_and_crop", {"padding": 4}, A.Pad(4, p=1), A.RandomCrop(SIDE, SIDE, p=1)),
    _case("resize", _SQUARE | _AS_THEIRS, A.Resize(SIDE, SIDE, p=1), size=PHOTO),
    _case("random_resized_crop", _SQUARE | _AS_THEIRS, A.RandomResizedCrop((SIDE, SIDE), p=1), size=PHOTO),
    _case("brightness", _OURS["brightness"], _BRIGHTNESS),
    _case("contrast", _OURS["contrast"], _CONTRAST),
    _case("gamma", _OURS["gamma"], _GAMMA),
    _case("invert", {}, A.InvertImg(p=1)),
    _case("posterize", {"bits": [4]}, A.Posterize(4, p=1)),
    _case("solarize", {"threshold": [128, 128]}, A.Solarize((0.5, 0.5), p=1)),
    _case("equalize", {}, A.Equalize(p=1)),
    _case("autocontrast", {}, A.AutoContrast(p=1)),
    _case("grayscale", {}, A.ToGray(p=1)),
    _case("channel_shuffle", {}, A.ChannelShuffle(p=1)),
    _case("saturation", {"factor": [0.7, 1.3]}, A.HueSaturationValue(0, 30, 0, p=1)),
    _case("hue", {"delta": [-0.1, 0.1]}, A.HueSaturationValue(20, 0, 0, p=1)),
    _case(
        "color_jitter",
        {"brightness": 0.4, "contrast": 0.4, "saturation": 0.4, "hue": 0.1},
        A.ColorJitter((0.6, 1.4), (0.6, 1.4), (0.6, 1.4), (-0.1, 0.1), p=1),
    ),
    _case("sharpness", {"factor": 0.9}, A.Sharpen(p=1)),
    _case("blur", {"sigma": [0.5, 3]}, A.GaussianBlur(sigma_limit=(0.5, 3), p=1)),
    _case("noise", {"sigma": [0.05, 0.2]}, A.GaussNoise((0.05, 0.2), p=1)),
    _case("jpeg_quality", {"quality": [50, 95]}, A.ImageCompression(quality_range=(50, 95), p=1)),
    _case("cutout", {"side": 56}, A.CoarseDropout((1, 1), (56, 56), (56, 56), p=1)),
    _case("random_erasing", {"area": [0.02, 0.33]}, A.Erasing(fill="random", p=1)),
    _case("one_of", {"ops": _SOME}, A.OneOf(_SOME_OF_THEIRS, p=1)),
    _case("some_of", {"count": 2, "ops": _SOME}, A.SomeOf(_SOME_OF_THEIRS, n=2, p=1)),
    _case("sometimes", {"p": 1, "ops": _SOME}, A.Sequential(_SOME_OF_THEIRS, p=1)),
    _policy("rand_augment", {}),
    _policy("trivial_augment", {}),
    _policy("auto_augment", {"policy": "imagenet"}),
    _policy("aug_mix", {}),
]
