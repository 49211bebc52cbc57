"""Masks, boxes and keypoints go where torchvision's go.

The answers in torchvision_targets.json are those of torchvision.transforms.v2.functional, in the
version that stands there, to float64 tv_tensors, in pixels. Keypoints are put half a pixel
further before it resizes or warps them and back afterwards, for it then takes whole numbers for
edges of pixels, as with boxes, and for middles when it flips. Its masks are resized by
NEAREST_EXACT, which has the pixels' middles where its images have them. An elastic map's
displacement is of (4 x - 2 y + 1) / 32 pixels across and (2 x - 4 y + 1) / 32 down.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from augment.kernels import kinds, maps
from augment.targets import UNIT, Geometry

DOCUMENT = json.loads(Path(__file__).with_name("torchvision_targets.json").read_text())
HEIGHT, WIDTH = len(DOCUMENT["mask"]), len(DOCUMENT["mask"][0])
FILL = 255


def ids(rows: list[str]) -> np.ndarray:
    return np.array([[FILL if c == "." else int(c, 36) for c in row] for row in rows], np.uint8)


def window(top: int, left: int, height: int, width: int, border: Any = "constant") -> kinds.Window:
    return kinds.Window(top=np.int32(top), left=np.int32(left), height=height, width=width, border=border)


def turned(transposed: bool, rows: bool, columns: bool) -> kinds.Orient:
    return kinds.Orient(transposed=np.bool_(transposed), rows=np.bool_(rows), columns=np.bool_(columns))


def padded(border: Any) -> kinds.Window:
    return window(-1, -3, HEIGHT + 3, WIDTH + 8, border)


def warped(case: dict[str, Any]) -> kinds.Warp:
    """By torchvision's map from the output to the image, with whole numbers at the edges of pixels."""
    edges = np.array([*case["inverse"], 0, 0, 1][:9] if len(case["inverse"]) == 6 else [*case["inverse"], 1])
    half = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])
    middles = np.linalg.inv(half) @ edges.reshape(3, 3) @ half
    if len(case["inverse"]) == 6:
        return kinds.Warp(map=maps.Affine(fixed(middles[:2], maps.AFFINE_BITS)), border="constant")
    return kinds.Warp(map=maps.Projective(fixed(middles, maps.PROJECTIVE_BITS)), border="constant")


def fixed(matrix: np.ndarray, bits: int) -> np.ndarray:
    return np.rint(matrix.ravel() * 2.0**bits).astype(np.int64)


def displaced(case: dict[str, Any]) -> kinds.Warp:
    x, y = np.meshgrid(np.arange(WIDTH, dtype=np.int32), np.arange(HEIGHT, dtype=np.int32))
    return kinds.Warp(
        map=maps.Displaced(rows=2 * x - 4 * y + 1, columns=4 * x - 2 * y + 1), border="constant"
    )


OURS: dict[str, Callable[[dict[str, Any]], kinds.Kernel]] = {
    "horizontal_flip(x)": lambda _: turned(False, False, True),
    "vertical_flip(x)": lambda _: turned(False, True, False),
    "crop(x, 2, 5, 8, 10)": lambda _: window(2, 5, 8, 10),
    "crop(x, -3, 8, 10, 13)": lambda _: window(-3, 8, 10, 13),
    "pad(x, [3, 1, 5, 2], fill=255)": lambda _: padded("constant"),
    'pad(x, [3, 1, 5, 2], padding_mode="edge")': lambda _: padded("edge"),
    'pad(x, [3, 1, 5, 2], padding_mode="reflect")': lambda _: padded("reflect"),
    'pad(x, [3, 1, 5, 2], padding_mode="symmetric")': lambda _: padded("symmetric"),
    "rotate(x, 90, expand=True)": lambda _: turned(True, True, False),
    "rotate(x, 180)": lambda _: turned(False, True, True),
    "rotate(x, 270, expand=True)": lambda _: turned(True, False, True),
    "resize(x, [6, 27])": lambda _: kinds.Resize(height=6, width=27),
    "resize(x, [7, 11])": lambda _: kinds.Resize(height=7, width=11),
    "resized_crop(x, 2, 5, 8, 10, [20, 15])": lambda _: kinds.Resize(
        height=20, width=15, box=np.array([2, 5, 8, 10], np.int32)
    ),
}
CASES = {case["call"]: case for case in DOCUMENT["cases"]}


def geometry_of(call: str) -> Geometry:
    default = displaced if call.startswith("elastic") else warped
    return Geometry((OURS.get(call, default)(CASES[call]),), (HEIGHT, WIDTH))


@pytest.mark.parametrize("call", CASES)
def test_a_mask_is_torchvisions(call):
    geometry = geometry_of(call)
    fill = 0 if call.startswith("crop") else FILL  # its crop has no fill
    moved = geometry.mask(ids(DOCUMENT["mask"]), fill)
    assert geometry.size == tuple(CASES[call]["size"])
    np.testing.assert_array_equal(moved, ids(CASES[call]["mask"]), strict=True)
    wide = geometry.mask(ids(DOCUMENT["mask"]).astype(np.int32)[..., np.newaxis] - 100_000, fill - 100_000)
    np.testing.assert_array_equal(wide[..., 0] + 100_000, moved)


EXACT = [call for call in CASES if not call.startswith("elastic") and "boxes" in CASES[call]]
NEAR = 0.5 / UNIT + 2e-4
"""Pixels: half of what we round to, and torchvision's own rounding."""


def in_parts(pixels: list[Any]) -> np.ndarray:
    return np.array(np.array(pixels) * UNIT, np.int64)


@pytest.mark.parametrize("call", EXACT)
def test_keypoints_are_torchvisions(call):
    theirs = np.array(CASES[call]["keypoints"])
    height, width = CASES[call]["size"]
    places, inside = geometry_of(call).points(in_parts(DOCUMENT["keypoints"]))
    np.testing.assert_allclose(places / UNIT, theirs, rtol=0, atol=NEAR)
    expected = ((theirs >= -0.5) & (theirs < [width - 0.5, height - 0.5])).all(axis=1)
    np.testing.assert_array_equal(inside, expected)


@pytest.mark.parametrize("call", EXACT)
def test_boxes_are_torchvisions_but_narrower_where_the_frame_cuts_what_was_turned(call):
    theirs = np.array(CASES[call]["boxes"])
    boxes, part, _ = geometry_of(call).boxes(in_parts(DOCUMENT["boxes"]))
    turned = call.startswith(("rotate(x, 30", "affine", "perspective"))
    for ours, their, share in zip(boxes / UNIT, theirs, part, strict=True):
        if share == 0:
            assert (their[2] - their[0]) * (their[3] - their[1]) == pytest.approx(0, abs=1e-3)
        elif share == 1 or not turned:
            np.testing.assert_allclose(ours, their, rtol=0, atol=NEAR)
        else:
            assert (ours[:2] >= their[:2] - NEAR).all()
            assert (ours[2:] <= their[2:] + NEAR).all()


def test_elastic_moves_as_torchvisions_does_to_the_first_order():
    """It looks displacements up at the place in the image, we where the output shows that place. They
    are of two pixels at most, and change by an eighth from one pixel to the next."""
    [call] = (call for call in CASES if call.startswith("elastic"))
    geometry, theirs = geometry_of(call), CASES[call]
    within = slice(0, 3)  # the others leave the frame
    places, inside = geometry.points(in_parts(DOCUMENT["keypoints"][within]))
    assert inside.all()
    np.testing.assert_allclose(places / UNIT, theirs["keypoints"][within], rtol=0, atol=2 / 8)
    boxes, part, _ = geometry.boxes(in_parts(DOCUMENT["boxes"][within]))
    np.testing.assert_array_equal(part, 1)
    np.testing.assert_allclose(boxes / UNIT, theirs["boxes"][within], rtol=0, atol=3 / 8)
