"""A recipe with a seed: the one door through which every sample is made."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from augment import backends, codec
from augment.array_api import Array, cast
from augment.draws import Draw, at, recorded
from augment.errors import OpError, RequestError
from augment.kernels.kinds import has_device
from augment.kernels.maps import Size
from augment.keys import Words, check_seed, sample_key, source_words
from augment.ops.base import Op
from augment.ops.sequence import Step, draw_steps
from augment.program import Describe, plain_program, program
from augment.recipe import Recipe, check_recipe
from augment.targets import Geometry, why_not

NOT_AUGMENTED = -1
"""The copy number of a sample that is only brought to size."""

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
"""Those that this process may use."""


class Augmenter:
    """Draws a recipe's parameters, and makes samples of them.

    The pixels of a sample depend on nothing but the source's bytes, the recipe,
    the seed, the source id and the copy number.

    Images have C channels, 3 or 1, as the recipe says.

    Args:
        recipe: see `load_recipe`.
        seed: in [0, 2**64).
        backend: who computes the pixels, which are the same (`augment.backends`).
    """

    def __init__(self, recipe: Recipe, seed: int, backend: backends.Name = "host") -> None:
        check_recipe(recipe)
        if recipe.recipe_for:
            label = min(recipe.recipe_for)
            raise RequestError(
                f"recipe {recipe.name}: class {label!r} has a recipe of its own in it, and here it is not "
                f"known of which class an image is; give the recipe of one, such as recipe.of({label!r})"
            )
        self.recipe = recipe
        self.seed = check_seed(seed)
        steps = recipe.steps
        first = next((i for i, step in enumerate(steps) if not step.deterministic), len(steps))
        self._shared, self._own = steps[:first], steps[first:]
        self.kernels: Describe = functools.partial(program, steps)
        """What the recipe comes to, of one sample's draw or of a batch's, for images of some size."""
        self.plain_kernels: Describe = functools.partial(plain_program, recipe.ops)
        """The same for samples that are not augmented; of the draw it takes nothing."""
        self._head = functools.partial(program, self._shared)
        self._tail = functools.partial(program, self._own)
        self._name = backend

    @functools.cached_property
    def _backend(self) -> backends.Backend:
        return backends.backend(self._name)

    @property
    def computed_by(self) -> backends.Name:
        """The backend that makes its samples: what was asked for, or what took the host's place."""
        return self._backend.name

    @property
    def has_device(self) -> bool:
        """Whether the device backend can make its samples too: not with a kernel that is the host's alone."""
        return has_device(self.kernels(self.draw_copies(source_words([]), 0), self.recipe.image_size))

    def draw(self, source: Words, copy: Array) -> Draw:
        """Draws all parameters for a block of samples.

        Args:
            source: the source ids' 64 bits as uint32 arrays [...] (high, low).
            copy: int32 [...], each from 0.

        Returns arrays [...], by op id and parameter (`augment.draws.Draw`); empty if none of its ops draws.
        """
        if not self._own:
            return {}
        return draw_steps(self.recipe.steps, sample_key(self.seed, source, copy))

    def draw_copies(self, source: Array, copy: int) -> Draw:
        """`draw` for one copy of sources [n, 2]; empty for NOT_AUGMENTED."""
        if copy == NOT_AUGMENTED:
            return {}
        return self.draw((source[:, 0], source[:, 1]), cast(source[:, 0] * 0, np.int32) + copy)

    def geometry(self, size: Size, draw: Draw | None) -> Geometry:
        """Where a sample takes what belongs to a decoded source of `size`; None draws for `plain`."""
        kernels = self.plain_kernels({}, size) if draw is None else self.kernels(draw, size)
        return Geometry(kernels, size)

    def why_no_targets(self) -> str | None:
        """Why its samples cannot have targets, as the end of a sentence; None if they can."""
        if self.recipe.decode == "reduced":
            return "decode: reduced reads images at another size than that of their annotations; leave it out"
        return why_not(self.kernels(self.draw_copies(source_words([]), 0), self.recipe.image_size))

    def recorded(self, draw: Draw) -> dict[str, Array]:
        """The columns of the samples table: `<path of the op>.<parameter>`, arrays [...]."""
        return recorded(draw)

    def head(self, image: np.ndarray) -> np.ndarray:
        """What all copies of a source share, uint8 [H, W, C]: the ops before the first that draws.

        Takes the decoded source, uint8 [H, W, C] of any size.
        """
        return self._backend.run(self._head, image, {}) if self._shared else image

    def tail(self, head: np.ndarray, draw: Draw) -> np.ndarray:
        """One copy of what `head` gave, by the rest of the ops: uint8 [H, W, C] of the recipe's size.

        `draw` is one sample's. Raises OpError where an op of one's own fails.
        """
        return self._of_size(self._backend.run(self._tail, head, draw))

    def heads(self, images: Sequence[np.ndarray]) -> list[np.ndarray]:
        """`head` of each of many sources: on the device less is done for one."""
        return self._backend.run_each(self._head, images, {})

    def tails(self, heads: Sequence[np.ndarray], draws: Draw) -> list[np.ndarray]:
        """`tail` of each of many samples, of which `draws` are, arrays [n]."""
        return list(map(self._of_size, self._backend.run_each(self._tail, heads, draws)))

    def plain(self, image: np.ndarray) -> np.ndarray:
        """A decoded source that is not augmented, brought to the recipe's size: uint8 [H, W, C]."""
        return self._of_size(self._backend.run(self.plain_kernels, image, {}))

    def sample(self, image: np.ndarray, draw: Draw, *, augmented: bool) -> np.ndarray:
        """A sample of a decoded source as a reader of the shards sees it: uint8 [H, W, C]."""
        sample = self.tail(self.head(image), draw) if augmented else self.plain(image)
        return codec.round_trip(sample, self.recipe.storage)

    def stages(self, image: np.ndarray, source: str, copy: int) -> Iterator[tuple[Op, Draw, np.ndarray]]:
        """A sample op after op: each with what it drew, by its id, and the image after it.

        Neighbouring affine ops are one resampling: the image after one of them is what the run up
        to it makes of the image before the run. Of NOT_AUGMENTED nothing is drawn.
        """
        if check_copy(copy) == NOT_AUGMENTED:
            for op in self.recipe.ops:
                image = self._backend.run(functools.partial(plain_program, (op,)), image, {})
                yield op, {}, image
            return
        [(high, low)] = source_words([source])
        key = sample_key(self.seed, (np.array([high]), np.array([low])), np.array([copy], np.int32))
        for step in self.recipe.steps:
            after = image
            for last, op in enumerate(step.ops, start=1):
                part = (Step(step.ops[:last], step.size),)
                draw = at(draw_steps(part, key), 0)
                after = self._backend.run(functools.partial(program, part), image, draw)
                yield op, {op.id: draw[op.id]}, after
            image = after

    def stage_geometries(self, size: Size, source: str, copy: int) -> Iterator[Geometry]:
        """For each op of `stages`, where all up to it take what belongs to a decoded source of `size`."""
        if check_copy(copy) == NOT_AUGMENTED:
            for count in range(1, len(self.recipe.ops) + 1):
                yield Geometry(plain_program(self.recipe.ops[:count], {}, size), size)
            return
        [(high, low)] = source_words([source])
        key = sample_key(self.seed, (np.array([high]), np.array([low])), np.array([copy], np.int32))
        for number, step in enumerate(self.recipe.steps):
            for last in range(1, len(step.ops) + 1):
                so_far = (*self.recipe.steps[:number], Step(step.ops[:last], step.size))
                yield Geometry(program(so_far, at(draw_steps(so_far, key), 0), size), size)

    def _of_size(self, sample: np.ndarray) -> np.ndarray:
        if sample.shape[:2] != self.recipe.image_size:
            made, promised = ("x".join(map(str, size)) for size in (sample.shape[:2], self.recipe.image_size))
            raise OpError(
                f"recipe {self.recipe.name}: its ops make an image of {made}, and it promises {promised}; an "
                "op's kernels must give the size that its output_size says"
            )
        return sample


def augment_image(
    image: bytes | str | os.PathLike[str] | np.ndarray,
    recipe: Recipe,
    *,
    seed: int,
    source: str,
    copy: int,
) -> np.ndarray:
    """Copy `copy` of one source: uint8 [H, W, C], equal to the record in a shard.

    Args:
        image: an image file's bytes, its path (a str or a PathLike, which decides no draw: the
            source does), or its decoded pixels, uint8 [H, W, C], as an array or a tensor; C by the recipe.
        recipe: see `load_recipe`.
        seed: in [0, 2**64).
        source: the source id, its path relative to the input root, `/`-separated.
        copy: from 0; -1 for the image brought to size but not augmented.

    Raises RequestError for other copies, seeds or images, or a file that cannot be read, and
    DecodeError for bytes that are no usable image.
    """
    augmenter = Augmenter(recipe, seed)
    block = augmenter.draw_copies(source_words([source]), check_copy(copy))
    pixels = _pixels(image, recipe)
    return augmenter.sample(pixels, at(block, 0), augmented=copy != NOT_AUGMENTED)


def _pixels(image: bytes | str | os.PathLike[str] | np.ndarray, recipe: Recipe) -> np.ndarray:
    """What a caller gives for an image, as uint8 [H, W, C]. Raises RequestError for anything else."""
    if isinstance(image, (str, os.PathLike)):
        try:
            image = Path(image).read_bytes()
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise RequestError(f"the image {os.fspath(image)!r} cannot be read ({reason})") from None
    if isinstance(image, bytes):
        return recipe.decode_source(image)
    try:
        pixels = np.asarray(image)
    except (ValueError, TypeError):
        pixels = np.empty(0, object)
    if pixels.dtype == object and isinstance(item := pixels.item() if pixels.ndim == 0 else None, bytes):
        return _pixels(item, recipe)  # a string tensor's
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[-1] != recipe.channels:
        known = pixels.size and pixels.dtype != object
        form = f"{pixels.dtype.name} {list(pixels.shape)}" if known else f"a {type(image).__name__}"
        right = pixels_form(recipe, pixels.shape)
        raise RequestError(f"the image is {form}; it must be a file's bytes, its path, or {right}")
    return pixels


def pixels_form(recipe: Recipe, shape: Sequence[int | None]) -> str:
    """What decoded pixels must be, in words, for somebody whose have this shape."""
    other = len(shape) == 3 and shape[-1] in {1, 3} - {recipe.channels}
    why = f", for recipe {recipe.name} has channels: {recipe.channels}" * other
    return f"uint8 [H, W, {recipe.channels}]{why}"


def check_copy(copy: int) -> int:
    if not (isinstance(copy, (int, np.integer)) and NOT_AUGMENTED <= copy < 2**31):
        raise RequestError(f"copy is {copy!r}; it must be a whole number from 0, or -1 for no augmentation")
    return int(copy)
