"""Contact sheets: pictures in rows, with captions, as one image."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from augment.errors import RequestError
from pipelines import storage
from pipelines.report.thumbnail import as_image

TILE = 160  # pixels that a picture is brought near to
MARGIN, LINE = 10, 13
_PAPER, _INK, _FAINT = (255, 255, 255), (30, 30, 30), (120, 120, 120)


class Picture(NamedTuple):
    """One tile: uint8 [H, W, 1 or 3] and what stands under it."""

    pixels: np.ndarray
    caption: list[str]


Row = tuple[str, list[Picture]]


def save_sheet(sheet: Image.Image, output: str) -> None:
    """Writes a sheet as PNG. Raises RequestError if it cannot be written."""
    storage.on_disk(output, "a sheet is written to")
    try:
        os.makedirs(os.path.dirname(os.path.abspath(output)), exist_ok=True)
        sheet.save(output, "PNG")
    except OSError as error:
        raise RequestError(f"output {output}: it cannot be written ({error.strerror})") from None


def draw_sheet(rows: Sequence[Row], title: str) -> Image.Image:
    """Rows of pictures, each with its label above it."""
    font, bold = ImageFont.load_default(size=10), ImageFont.load_default(size=14)
    tiles = [[_tile(picture) for picture in pictures] for _, pictures in rows]
    column = max(tile.width for row in tiles for tile in row) + MARGIN
    heights = [
        max(tile.height for tile in row) + LINE * (2 + max(len(p.caption) for p in pictures))
        for row, (_, pictures) in zip(tiles, rows, strict=True)
    ]
    width = MARGIN + column * max(map(len, tiles))
    sheet = Image.new("RGB", (width, 3 * MARGIN + LINE + sum(heights)), _PAPER)
    ink = ImageDraw.Draw(sheet)
    ink.text((MARGIN, MARGIN), title, _INK, bold)
    top = 2 * MARGIN + LINE
    for row, height, (label, pictures) in zip(tiles, heights, rows, strict=True):
        ink.text((MARGIN, top), label, _INK, font)
        for i, (tile, picture) in enumerate(zip(row, pictures, strict=True)):
            left = MARGIN + i * column
            sheet.paste(tile, (left, top + LINE + 2))
            for line, text in enumerate(picture.caption):
                y = top + LINE + 4 + tile.height + line * LINE
                ink.text((left, y), _fitting(text, column - 4, font), _FAINT if line else _INK, font)
        top += height
    return sheet


def _tile(picture: Picture) -> Image.Image:
    """A picture near TILE pixels: small ones grow by a whole factor, so that pixels stay pixels."""
    image = as_image(picture.pixels)
    longest = max(image.size)
    if longest <= TILE:
        return image.resize(
            (image.width * (TILE // longest), image.height * (TILE // longest)), Image.Resampling.NEAREST
        )
    return image.reduce(-(-longest // (2 * TILE))) if longest > 2 * TILE else image


def _fitting(text: str, width: int, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> str:
    while font.getlength(text) > width:
        text = text[:-2] + "…"
    return text
