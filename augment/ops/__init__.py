"""The ops, by family. Importing this package registers all of them."""

from augment.ops import affine, color, compose, degrade, erase, geometry, jitter, policy, quality, sizes, warp
from augment.ops.base import Draw, Op, Size, op_types
from augment.ops.hazards import Hazard

__all__ = [
    "Draw",
    "Hazard",
    "Op",
    "Size",
    "affine",
    "color",
    "compose",
    "degrade",
    "erase",
    "geometry",
    "jitter",
    "op_types",
    "policy",
    "quality",
    "sizes",
    "warp",
]
