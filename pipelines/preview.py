"""`augshard preview`: a contact sheet of what a recipe does, before anything is written.

Each row is one image: as it is without augmentation, then its copies, each with
what was drawn for it. With each_op, each row is one op alone; an op draws the
same alone as among others.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator

import numpy as np

from augment.augmenter import NOT_AUGMENTED, Augmenter
from augment.by_class import ByClass
from augment.draws import at
from augment.errors import RequestError
from augment.keys import source_words
from augment.ops.operations import OPERATIONS
from augment.ops.policy import operation_columns
from augment.ops.sizes import Resize
from augment.recipe import Recipe, check_classes
from pipelines.images import Images, list_images
from pipelines.report.numbers import short
from pipelines.report.sheet import Picture, Row, draw_sheet, save_sheet
from pipelines.sources import Reject, Source
from pipelines.sources.reading import contents_or_reject
from pipelines.sources.rules import role


def preview(
    directory: str, recipe: Recipe, *, output: str, seed: int, copies: int, images: int, each_op: bool
) -> tuple[int, int]:
    """Writes a contact sheet as PNG; its width and height.

    Raises RequestError if there are no images, or if the sheet cannot be written.
    """
    there = list_images(directory)
    there.tell()
    check_classes(recipe, there.classes)
    augmenters = ByClass(recipe, seed)
    sources = list(itertools.islice(_usable(there, augmenters), 1 if each_op else images))
    if not sources:
        raise RequestError(f"input {directory}: none of its images can be used")
    rows: list[Row] = []
    for source, augmenter, image in sources:
        if each_op:
            rows += _op_rows(augmenter.recipe, seed, source, image, copies)
        else:
            plain = Picture(augmenter.plain(image), ["not augmented"])
            rows.append((source, [plain, *_copies(augmenter, source, image, copies)]))
    sheet = draw_sheet(rows, f"{recipe.name}, seed {seed}" + (f": {sources[0][0]}" if each_op else ""))
    save_sheet(sheet, output)
    return sheet.size


def _usable(images: Images, augmenters: ByClass) -> Iterator[tuple[str, Augmenter, np.ndarray]]:
    """Source ids, who augments them, and their pixels, a class after the other, in the order of the shards.

    What cannot be used is said on stderr, and passed over.
    """
    splits = images.splits()
    first = next((split for split in splits if role(split) == "train"), splits[0])
    by_class: dict[str, list[Source]] = {}
    for source in images.ordered(first, augmenters.seed):
        by_class.setdefault(source.label, []).append(source)
    in_turn = itertools.zip_longest(*(by_class[label] for label in sorted(by_class)))
    for source in itertools.chain.from_iterable(in_turn):
        if source is not None:
            contents = contents_or_reject(images.root, source.id)
            if isinstance(contents, Reject):
                sys.stderr.write(f"augshard: warning: {source.id}: {contents.reason}: {contents.detail}\n")
            else:
                augmenter = augmenters.of(source.label)
                yield source.id, augmenter, augmenter.recipe.decode_source(contents)


def _copies(augmenter: Augmenter, source: str, image: np.ndarray, copies: int) -> list[Picture]:
    pictures = []
    for copy in range(copies):
        block = augmenter.draw_copies(source_words([source]), copy)
        draw = at(block, 0)
        pixels = augmenter.sample(image, draw, augmented=True)
        recorded = augmenter.recorded(draw)
        operations = operation_columns(augmenter.recipe.ops, recorded)
        caption = [
            f"{name} {OPERATIONS[value] if name in operations else short(value)}"
            for name, value in recorded.items()
        ]
        pictures.append(Picture(pixels, [f"copy {copy}", *caption]))
    return pictures


def _op_rows(recipe: Recipe, seed: int, source: str, image: np.ndarray, copies: int) -> Iterator[Row]:
    """A row for each op, applied to an image that the others only brought to its size.

    One that begins the recipe by bringing it to size has none, unless it is all there is.
    """
    brings_to_size = recipe.ops[0].deterministic and not recipe.ops[0].keeps_size and len(recipe.ops) > 1
    plain = Augmenter(recipe, seed).stages(image, source, NOT_AUGMENTED)
    for position, (op, _, brought) in enumerate(plain):
        if position or not brings_to_size:
            height, width = image.shape[:2]
            frame = Resize(id="frame", height=height, width=width)
            alone = Recipe(recipe.name, (frame, op), recipe.storage, channels=recipe.channels)
            after = _copies(Augmenter(alone, seed), source, image, 1 if op.deterministic else copies)
            yield op.id, [Picture(image, ["before"]), *after]
        image = brought
