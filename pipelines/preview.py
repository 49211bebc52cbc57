"""`augshard preview`: a contact sheet of what a recipe does, before anything is written.

Each row is one image: as it is without augmentation, then its copies, each with
what was drawn for it. With each_op, each row is one op alone; an op draws the
same alone as among others.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from augment import codec
from augment.arrays import tf
from augment.augmenter import Augmenter
from augment.errors import RequestError
from augment.keys import source_words
from augment.ops.sizes import Resize
from augment.recipe import Recipe
from pipelines.plan import places
from pipelines.sources import Folder, Source, check_root, list_folder, source_path, top_folders

TILE = 160  # pixels that a picture is brought near to
MARGIN, LINE = 10, 13
_PAPER, _INK, _FAINT = (255, 255, 255), (30, 30, 30), (120, 120, 120)


class Picture(NamedTuple):
    """One tile: uint8 [H, W, 3] and what stands under it."""

    pixels: np.ndarray
    caption: list[str]


Row = tuple[str, list[Picture]]


def preview(
    directory: str, recipe: Recipe, *, output: str, seed: int, copies: int, images: int, each_op: bool
) -> tuple[int, int]:
    """Writes a contact sheet as PNG; its width and height.

    Raises RequestError if there are no images, or if the sheet cannot be written.
    """
    sources = list(itertools.islice(_usable(check_root(directory), seed), 1 if each_op else images))
    if not sources:
        raise RequestError(f"input {directory}: there are no images that can be decoded in its class folders")
    rows: list[Row] = []
    for source, image in sources:
        if each_op:
            rows += _op_rows(recipe, seed, source, image, copies)
        else:
            augmenter = Augmenter(recipe, seed)
            plain = Picture(augmenter.plain(image).numpy(), ["not augmented"])
            rows.append((source, [plain, *_copies(augmenter, source, image, copies)]))
    sheet = _sheet(rows, f"{recipe.name}, seed {seed}" + (f": {sources[0][0]}" if each_op else ""))
    try:
        os.makedirs(os.path.dirname(os.path.abspath(output)), exist_ok=True)
        sheet.save(output, "PNG")
    except OSError as error:
        raise RequestError(f"output {output}: it cannot be written ({error.strerror})") from None
    return sheet.size


def _usable(root: str, seed: int) -> Iterator[tuple[str, tf.Tensor]]:
    """Source ids with their pixels, a class after the other, in the order of the shards."""
    folders = [found for found in top_folders(root, "auto") if isinstance(found, Folder)]
    first = "train" if any(f.split == "train" for f in folders) else next((f.split for f in folders), "")
    by_class = []
    for folder in folders:
        if folder.split == first:
            ids = [found.id for found in list_folder(root, folder) if isinstance(found, Source)]
            by_class.append([source for _, source in sorted(zip(places(seed, ids), ids, strict=True))])
    for source in itertools.chain.from_iterable(itertools.zip_longest(*by_class)):
        if source is not None:
            with open(source_path(root, source), "rb") as file:
                contents = file.read()
            if codec.examine(contents) is None:
                yield source, codec.decode(tf.constant(contents))


def _copies(augmenter: Augmenter, source: str, image: tf.Tensor, copies: int) -> list[Picture]:
    pictures = []
    for copy in range(copies):
        block = augmenter.draw_copies(source_words([source]), copy)
        draw = {name: values[0] for name, values in block.items()}
        pixels = augmenter.sample(image, draw, augmented=True).numpy()
        recorded = augmenter.recorded(draw)
        pictures.append(Picture(pixels, [f"copy {copy}", *(f"{n} {_short(v)}" for n, v in recorded.items())]))
    return pictures


def _op_rows(recipe: Recipe, seed: int, source: str, image: tf.Tensor, copies: int) -> Iterator[Row]:
    """A row for each op that follows the first resize, applied to an image that nothing else touched."""
    for position, op in enumerate(recipe.ops):
        if position:
            height, width = image.shape[:2]
            frame = Resize(id="frame", height=height, width=width)
            alone = Recipe(name=recipe.name, ops=(frame, op), storage=recipe.storage)
            after = _copies(Augmenter(alone, seed), source, image, 1 if op.deterministic else copies)
            yield op.id, [Picture(image.numpy(), ["before"]), *after]
        image = op.plain(image)


def _short(value: np.generic) -> str:
    if isinstance(value, np.bool_):
        return "yes" if value else "no"
    return f"{value:.3g}"


def _sheet(rows: list[Row], title: str) -> Image.Image:
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
    image = Image.fromarray(picture.pixels)
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
