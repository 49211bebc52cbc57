"""What a notebook shows of a recipe: its YAML, and what it does to a picture that is drawn."""

from __future__ import annotations

import base64
import html
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw

from augment.augmenter import NOT_AUGMENTED, augment_image
from augment.codec import encode_png

if TYPE_CHECKING:
    from augment.recipe import Recipe

COPIES = 4
SOURCE = "example.png"


def shown(recipe: Recipe) -> str:
    """HTML: the recipe's YAML, then the example picture not augmented and in some copies, by seed 0.

    The picture is of none of the classes that have recipes of their own.
    """
    copies = 1 if all(step.deterministic for step in recipe.steps) else COPIES
    pictures = [_copy(recipe.of_others, copy) for copy in (NOT_AUGMENTED, *range(copies))]
    return f"<pre>{html.escape(repr(recipe))}</pre>\n<div>{''.join(pictures)}</div>"


def _copy(recipe: Recipe, copy: int) -> str:
    pixels = augment_image(encode_png(example()), recipe, seed=0, source=SOURCE, copy=copy)
    return picture(pixels, title(copy))


def title(copy: int) -> str:
    return "not augmented" if copy == NOT_AUGMENTED else f"copy {copy}"


def picture(pixels: np.ndarray, said: str) -> str:
    """HTML: uint8 [H, W, C], with words for who points at it or cannot see it."""
    encoded, said = base64.b64encode(encode_png(pixels)).decode(), html.escape(said)
    return (
        f'<img title="{said}" alt="{said}" style="display: inline-block; height: 128px; margin: 2px" '
        f'src="data:image/png;base64,{encoded}">'
    )


def example() -> np.ndarray:
    """A house by a road, uint8 [180, 240, 3]: with left and right, up and down, colors and fine lines."""
    down = np.linspace(0, 1, 360)[:, np.newaxis, np.newaxis]
    sky = (1 - down) * (96, 156, 224) + down * (226, 236, 244)
    image = Image.fromarray(np.repeat(sky, 480, axis=1).astype(np.uint8))
    ink = ImageDraw.Draw(image)
    ink.ellipse((380, 30, 440, 90), (250, 214, 76))
    ink.ellipse((-80, 190, 260, 420), (98, 150, 84))
    ink.ellipse((180, 210, 600, 460), (76, 128, 70))
    ink.polygon([(0, 360), (170, 360), (300, 262), (286, 262)], (128, 126, 124))
    ink.rectangle((96, 150, 226, 262), (232, 220, 196))
    ink.polygon([(82, 152), (161, 84), (240, 152)], (172, 62, 48))
    for x in range(84, 240, 6):
        ink.line((x, 152, 161, 84), (140, 44, 36))
    ink.rectangle((114, 176, 150, 212), (70, 110, 160))
    ink.rectangle((180, 190, 208, 262), (96, 62, 40))
    ink.rectangle((352, 200, 364, 292), (92, 66, 44))
    ink.ellipse((310, 112, 406, 226), (44, 104, 52))
    return np.asarray(image.reduce(2))
