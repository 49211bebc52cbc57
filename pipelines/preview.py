"""`augshard preview`: a contact sheet of what a recipe does, before anything is written.

Each row is one image: as it is without augmentation, then its copies, each with
what was drawn for it. With each_op, each row is one op alone; an op draws the
same alone as among others.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from augment import codec
from augment.arrays import tf
from augment.augmenter import Augmenter
from augment.errors import RequestError
from augment.keys import source_words
from augment.ops.sizes import Resize
from augment.recipe import Recipe
from pipelines.plan import places
from pipelines.report.numbers import short
from pipelines.report.sheet import Picture, Row, draw_sheet, save_sheet
from pipelines.sources import Folder, Source, check_root, list_folder, read_source, top_folders


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
    sheet = draw_sheet(rows, f"{recipe.name}, seed {seed}" + (f": {sources[0][0]}" if each_op else ""))
    save_sheet(sheet, output)
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
            contents = read_source(root, source)
            if codec.examine(contents) is None:
                yield source, codec.decode(tf.constant(contents))


def _copies(augmenter: Augmenter, source: str, image: tf.Tensor, copies: int) -> list[Picture]:
    pictures = []
    for copy in range(copies):
        block = augmenter.draw_copies(source_words([source]), copy)
        draw = {name: values[0] for name, values in block.items()}
        pixels = augmenter.sample(image, draw, augmented=True).numpy()
        recorded = augmenter.recorded(draw)
        pictures.append(Picture(pixels, [f"copy {copy}", *(f"{n} {short(v)}" for n, v in recorded.items())]))
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
