"""Contact sheets: pictures in rows, with captions, as one image."""

from __future__ import annotations

import functools
import importlib.util
import os
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont, features

from augment.errors import RequestError
from pipelines import storage
from pipelines.report.drawing import Overlay
from pipelines.report.thumbnail import as_image

TILE = 160
"""Pixels that a picture is brought near to; a column is no narrower, so that captions fit."""
MARGIN, LINE = 12, 15
_PAPER, _INK, _FAINT = (255, 255, 255), (30, 30, 30), (100, 100, 100)

_SHAPES = features.check("raqm") and features.check("fribidi")
"""Whether Pillow orders letters by their scripts. Where it does not, all are written from the left anyway."""

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


class Picture(NamedTuple):
    """One tile: uint8 [H, W, 1 or 3], what it is, in words what was done to it, and what is drawn over it."""

    pixels: np.ndarray
    title: str
    words: str = ""
    overlay: Overlay | None = None


Row = tuple[str, list[Picture]]


def check_sheet(output: str) -> None:
    """Raises RequestError for what no sheet can be written to, by its name."""
    storage.on_disk(output, "a sheet is written to")
    if not output.lower().endswith(".png"):
        raise RequestError(f"output {output}: a sheet is a PNG; give the name of a file that ends in .png")


def save_sheet(sheet: Image.Image, output: str) -> None:
    """Writes a sheet as PNG. Raises RequestError if it cannot be written."""
    check_sheet(output)
    try:
        os.makedirs(os.path.dirname(os.path.abspath(output)), exist_ok=True)
        sheet.save(output, "PNG")
    except OSError as error:
        raise RequestError(f"output {output}: it cannot be written ({error.strerror})") from None


def draw_sheet(rows: Sequence[Row], title: str) -> Image.Image:
    """Rows of pictures, each with its label above it."""
    font, bold = _font(12), _font(16)
    tiles = [[_tile(picture) for picture in pictures] for _, pictures in rows]
    column = max(TILE, *(tile.width for row in tiles for tile in row)) + MARGIN
    captions = [
        [[picture.title, *_wrapped(picture.words, column - MARGIN, font)] for picture in pictures]
        for _, pictures in rows
    ]
    heights = [
        LINE + 4 + max(tile.height for tile in row) + 4 + LINE * max(map(len, texts)) + MARGIN
        for row, texts in zip(tiles, captions, strict=True)
    ]
    head = 2 * MARGIN + LINE
    width = MARGIN + column * max(map(len, tiles))
    sheet = Image.new("RGB", (width, head + sum(heights)), _PAPER)
    ink = ImageDraw.Draw(sheet)
    _write(ink, (MARGIN, MARGIN // 2), _fitting(title, width - 2 * MARGIN, bold), _INK, bold)
    top = head
    for row, height, texts, (label, _) in zip(tiles, heights, captions, rows, strict=True):
        _write(ink, (MARGIN, top), _fitting(label, width - 2 * MARGIN, font), _INK, font)
        for i, (tile, lines) in enumerate(zip(row, texts, strict=True)):
            left = MARGIN + i * column
            sheet.paste(tile, (left, top + LINE + 4))
            for number, line in enumerate(lines):
                y = top + LINE + 8 + tile.height + number * LINE
                color = _FAINT if number else _INK
                _write(ink, (left, y), _fitting(line, column - MARGIN, font), color, font)
        top += height
    return sheet


def _write(
    ink: ImageDraw.ImageDraw, place: tuple[int, int], text: str, color: tuple[int, int, int], font: Font
) -> None:
    """From left to right as a whole: a path whose first folder is Arabic or Hebrew still begins with it."""
    ink.text(place, text, color, font, direction="ltr" if _SHAPES else None)


def _tile(picture: Picture) -> Image.Image:
    """A picture near TILE pixels: small ones grow by a whole factor, so that pixels stay pixels."""
    image = as_image(picture.pixels)
    longest = max(image.size)
    parts = -(-longest // (2 * TILE))
    if picture.overlay is not None:
        scale = round(TILE / longest) if longest <= TILE else 1 / parts
        return Image.fromarray(picture.overlay.drawn(picture.pixels, scale))
    if longest <= TILE:
        factor = round(TILE / longest)
        return image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST)
    return image.reduce(parts) if parts > 1 else image


@functools.cache
def _font(size: int) -> Font:
    """DejaVu, which has the letters of most alphabets and comes with Matplotlib; else Pillow's own."""
    matplotlib = importlib.util.find_spec("matplotlib")
    for folder in (matplotlib and matplotlib.submodule_search_locations) or ():
        path = os.path.join(folder, "mpl-data", "fonts", "ttf", "DejaVuSans.ttf")
        if os.path.exists(path):
            return ImageFont.truetype(path, size)
    return ImageFont.load_default(size=size)


def _wrapped(words: str, width: int, font: Font) -> list[str]:
    """Lines of what fits, broken at blanks."""
    lines: list[str] = []
    for word in words.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and font.getlength(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def _fitting(text: str, width: int, font: Font) -> str:
    """The text as the font can write it, without the middle of what is too long."""
    text = "".join(letter if _writes(font, letter) else _escaped(letter) for letter in text)
    if font.getlength(text) <= width:
        return text
    kept = len(text)
    while kept > 2 and font.getlength(_shortened(text, kept)) > width:
        kept -= 1
    return _shortened(text, kept)


def _shortened(text: str, kept: int) -> str:
    return f"{text[: kept // 2]}…{text[len(text) - (kept - kept // 2) :]}"


def _escaped(letter: str) -> str:
    """What tells it from others that the font cannot write either."""
    return letter.encode("unicode_escape").decode()


@functools.lru_cache(maxsize=4096)
def _writes(font: Font, letter: str) -> bool:
    if letter.isascii():
        return letter.isprintable()
    return bytes(font.getmask(letter)) != bytes(font.getmask(_NO_LETTER)) and letter.isprintable()


_NO_LETTER = "\U0010fffe"
"""Which no font has: what stands for it stands for all that a font lacks."""
