"""The ops, by family. Importing this package registers all of them.

    from augment.ops import Flip, Resize

Each is a record of its settings, which are given by name, or by position in the order
in which they are documented: `Resize(128, 128)`.
"""

from augment.draws import Draw
from augment.kernels.kinds import Custom, Kernels, Levels
from augment.labels.hazards import Hazard
from augment.ops.affine import Height, Rotation, Shear, Translation, Width, Zoom
from augment.ops.base import Op, Size, op_types
from augment.ops.color import Brightness, Contrast, Gamma, Grayscale, Hue, Invert, Saturation
from augment.ops.compose import OneOf, SomeOf, Sometimes
from augment.ops.degrade import Blur, JpegQuality, Noise
from augment.ops.erase import Cutout, RandomErasing
from augment.ops.geometry import Flip, Perspective, Rot90
from augment.ops.jitter import ChannelShuffle, ColorJitter
from augment.ops.mixture import AugMix
from augment.ops.policy import AutoAugment, RandAugment, TrivialAugment
from augment.ops.quality import Autocontrast, Equalize, Posterize, Sharpness, Solarize
from augment.ops.sizes import CentralCrop, CropOrPad, PadAndCrop, RandomCrop, RandomResizedCrop, Resize
from augment.ops.warp import Elastic

__all__ = [
    "AugMix",
    "AutoAugment",
    "Autocontrast",
    "Blur",
    "Brightness",
    "CentralCrop",
    "ChannelShuffle",
    "ColorJitter",
    "Contrast",
    "CropOrPad",
    "Custom",
    "Cutout",
    "Draw",
    "Elastic",
    "Equalize",
    "Flip",
    "Gamma",
    "Grayscale",
    "Hazard",
    "Height",
    "Hue",
    "Invert",
    "JpegQuality",
    "Kernels",
    "Levels",
    "Noise",
    "OneOf",
    "Op",
    "PadAndCrop",
    "Perspective",
    "Posterize",
    "RandAugment",
    "RandomCrop",
    "RandomErasing",
    "RandomResizedCrop",
    "Resize",
    "Rot90",
    "Rotation",
    "Saturation",
    "Sharpness",
    "Shear",
    "Size",
    "Solarize",
    "SomeOf",
    "Sometimes",
    "Translation",
    "TrivialAugment",
    "Width",
    "Zoom",
    "op_types",
]
