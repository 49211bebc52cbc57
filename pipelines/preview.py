"""`augshard preview`: a contact sheet of what a recipe does, before anything is written.

Each row is one image: as it is without augmentation, then its copies, each with
what fired of the recipe, in words. With each_op, each row is one op alone; an op draws the
same alone as among others. What images are annotated with is drawn over them.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from augment.augmenter import NOT_AUGMENTED, Augmenter
from augment.by_class import ByClass
from augment.draws import Draw, at
from augment.errors import RequestError
from augment.keys import source_words
from augment.ops.base import Op
from augment.ops.sizes import Resize
from augment.program import plain_program
from augment.recipe import Recipe, check_classes
from augment.targets import Geometry, Moved, moved
from pipelines.annotations import Annotations
from pipelines.format.targets import Targets
from pipelines.images import Images, list_images
from pipelines.report.captions import UNCHANGED, said
from pipelines.report.drawing import Overlay
from pipelines.report.sheet import Picture, Row, check_sheet, draw_sheet, save_sheet
from pipelines.sources import Reject, Source
from pipelines.sources.reading import contents_or_reject
from pipelines.sources.rules import role
from pipelines.targets import TargetsDeriver


class _Shown(NamedTuple):
    """An image that is shown, with who augments it."""

    source: str
    augmenter: Augmenter
    image: np.ndarray
    """uint8 [H, W, C]"""
    known: Moved | None = None
    """what it is annotated with"""
    targets: Targets | None = None

    def overlay(self, draw: Draw | None) -> Overlay | None:
        """What is drawn over a sample; without a draw over one that is not augmented."""
        height, width, _ = self.image.shape
        return self._moved(self.augmenter.geometry((height, width), draw)) if self.known else None

    def here(self) -> Overlay | None:
        """What is drawn over the image itself."""
        return Overlay(self.known, self.targets) if self.known and self.targets else None

    def brought(self, op: Op, image: np.ndarray) -> _Shown:
        """The same with what an op made of its image, that only brought it to size."""
        height, width, _ = self.image.shape
        if self.known is None:
            return self._replace(image=image)
        after = self._moved(Geometry(plain_program((op,), {}, (height, width)), (height, width)))
        return self._replace(image=image, known=after and after.moved)

    def _moved(self, geometry: Geometry) -> Overlay | None:
        if self.known is None or self.targets is None:
            return None
        return Overlay(moved(self.known.objects, self.known.mask, geometry, self.targets.pairs), self.targets)


def preview(
    directory: str,
    recipe: Recipe,
    *,
    output: str,
    seed: int,
    copies: int,
    images: int,
    each_op: bool,
    annotations: Annotations | None = None,
) -> tuple[int, int]:
    """Writes a contact sheet as PNG; its width and height.

    Raises RequestError if there are no images, or if the sheet cannot be written.
    """
    check_sheet(output)
    there = list_images(directory, annotations=annotations)
    there.tell()
    check_classes(recipe, there.classes)
    augmenters = ByClass(recipe, seed)
    beside = None
    if annotations and there.targets and there.targets.has:
        beside = TargetsDeriver(augmenters, there.targets, annotations.path)
    shown = list(itertools.islice(_usable(there, augmenters, beside), 1 if each_op else images))
    if not shown:
        raise RequestError(f"input {directory}: none of its images can be used")
    rows: list[Row] = []
    for one in shown:
        if each_op:
            rows += _op_rows(one, copies)
        else:
            plain = Picture(one.augmenter.plain(one.image), "not augmented", overlay=one.overlay(None))
            rows.append((one.source, [plain, *_copies(one, copies)]))
    sheet = draw_sheet(rows, f"{recipe.name}, seed {seed}" + (f": {shown[0].source}" if each_op else ""))
    save_sheet(sheet, output)
    return sheet.size


def _usable(images: Images, augmenters: ByClass, beside: TargetsDeriver | None) -> Iterator[_Shown]:
    """A class after the other, in the order of the shards.

    What cannot be used is said on stderr, and passed over.
    """
    splits = images.splits()
    first = next((split for split in splits if role(split) == "train"), splits[0])
    by_class: dict[str, list[Source]] = {}
    for source in images.ordered(first, augmenters.seed):
        by_class.setdefault(source.label, []).append(source)
    in_turn = itertools.zip_longest(*(by_class[label] for label in sorted(by_class)))
    for source in itertools.chain.from_iterable(in_turn):
        if source is None:
            continue
        one = _looked_at(images, source, augmenters.of(source.label), beside)
        if isinstance(one, Reject):
            sys.stderr.write(f"augshard: warning: {source.id}: {one.reason}: {one.detail}\n")
        else:
            yield one


def _looked_at(
    images: Images, source: Source, augmenter: Augmenter, beside: TargetsDeriver | None
) -> _Shown | Reject:
    contents = contents_or_reject(images.root, source.id, source.place)
    if isinstance(contents, Reject):
        return contents
    shown = _Shown(source.id, augmenter, augmenter.recipe.decode_source(contents))
    if beside is None:
        return shown
    found = beside.read(source.id, source.annotation, shown.image.shape[:2])
    if isinstance(found, Reject):
        return found
    known = Moved(found.annotation.objects, (), (), (), found.mask)
    return shown._replace(known=known, targets=beside.targets)


def _copies(one: _Shown, copies: int) -> list[Picture]:
    augmenter, pictures = one.augmenter, []
    for copy in range(copies):
        block = augmenter.draw_copies(source_words([one.source]), copy)
        draw = at(block, 0)
        pixels = augmenter.sample(one.image, draw, augmented=True)
        fired = said(augmenter.recipe.ops, augmenter.recorded(draw))
        random = any(not op.deterministic for op in augmenter.recipe.ops)
        words = ", ".join(fired) or UNCHANGED * random
        pictures.append(Picture(pixels, f"copy {copy}", words, one.overlay(draw)))
    return pictures


def _op_rows(one: _Shown, copies: int) -> Iterator[Row]:
    """A row for each op, applied to an image that the others only brought to its size.

    One that begins the recipe by bringing it to size has none, unless it is all there is.
    """
    augmenter, recipe = one.augmenter, one.augmenter.recipe
    brings_to_size = recipe.ops[0].deterministic and not recipe.ops[0].keeps_size and len(recipe.ops) > 1
    plain = augmenter.stages(one.image, one.source, NOT_AUGMENTED)
    for position, (op, _, brought) in enumerate(plain):
        if position or not brings_to_size:
            height, width = one.image.shape[:2]
            frame = Resize(id="frame", height=height, width=width)
            alone = Recipe(recipe.name, (frame, op), recipe.storage, channels=recipe.channels)
            of_op = one._replace(augmenter=Augmenter(alone, augmenter.seed))
            after = _copies(of_op, 1 if op.deterministic else copies)
            yield op.id, [Picture(one.image, "before", overlay=one.here()), *after]
        one = one.brought(op, brought)
