"""Every op takes masks and keypoints where it takes pixels, or says that it cannot."""

from __future__ import annotations

import numpy as np
import pytest

from augment.augmenter import Augmenter
from augment.draws import Draw, at
from augment.kernels.kinds import Kernel
from augment.keys import source_words
from augment.ops.base import Op
from augment.ops.sequence import Step
from augment.program import program
from augment.targets import UNIT, Geometry, Object, moved, moved_each, why_not
from tests.augment.conftest import EVERY_OP, recipe_of

SIZE = (24, 32)
COPIES = 6


def drawn(entry: str) -> tuple[Op, Draw]:
    """The op, and what it draws for some samples."""
    recipe = recipe_of(entry, height=SIZE[0], width=SIZE[1])
    sources = source_words([f"{i}.jpg" for i in range(COPIES)])
    op = recipe.ops[-1]
    return op, Augmenter(recipe, seed=3).draw_copies(sources, 0).get(op.id, {})


def test_aug_mix_which_shows_a_thing_in_several_places_at_once_says_so_before_any_work():
    [entry] = (entry for entry in EVERY_OP if entry.startswith("aug_mix"))
    op, draw = drawn(entry)
    assert str(why_not(op.kernels(draw, SIZE))).startswith("it blends versions of the image")


@pytest.mark.parametrize("entry", [entry for entry in EVERY_OP if not entry.startswith("aug_mix")])
def test_where_a_keypoint_goes_the_moved_mask_has_what_was_there(entry):
    op, draw = drawn(entry)
    assert why_not(op.kernels(draw, SIZE)) is None
    ids = np.arange(SIZE[0] * SIZE[1], dtype=np.int32).reshape(SIZE)
    rows, columns = np.divmod(ids.ravel(), SIZE[1])
    middles = np.stack([columns, rows], -1).astype(np.int64)
    seen = 0
    for i in range(COPIES):
        kernels = op.kernels(at(draw, i), SIZE)
        geometry = Geometry(kernels, SIZE)
        places, inside = geometry.points(middles * UNIT)
        x, y = (places[inside] + UNIT // 2).T // UNIT
        there = geometry.mask(ids, fill=-1)[y, x]
        # At the edges of an image that was moved already, the nearest place may be beyond them.
        assert np.count_nonzero(there < 0) <= (0 if len(kernels) < 2 else len(there) / 20)
        found = np.stack([there % SIZE[1], there // SIZE[1]], -1)[there >= 0]
        # Each kernel may shrink to half, where half a pixel is one, and the nearest place is off by another.
        assert np.abs(found - middles[inside][there >= 0]).max(initial=0) <= 2 * max(len(kernels), 1)
        seen += len(found)
    assert seen > 0


@pytest.mark.parametrize("seed", range(12))
def test_samples_of_images_that_are_moved_at_once_become_what_each_becomes_alone(seed):
    rng = np.random.default_rng(seed)
    entries = [
        "flip: {horizontal: 0.5}",
        "rotation: {factor: 0.3, p: 0.7}",
        "elastic: {strength: [0.3, 0.3]}",
    ]
    entries += ["rot90: {quarter_turns: [0, 2], p: 0.5}", "pad_and_crop: {padding: 6, p: 0.7}"]
    geometries = []
    for i in range(COPIES):
        kernels: tuple[Kernel, ...] = ()
        for entry in rng.permutation(entries)[: rng.integers(0, 4)]:
            op, draw = drawn(str(entry))
            kernels += program((Step((op,), SIZE),), {op.id: at(draw, i)}, SIZE)
        geometries.append(Geometry(kernels, SIZE))
    ends = np.array([SIZE[1], SIZE[0]]) * UNIT
    images = []
    for _ in range(3):
        objects = []
        for _ in range(rng.integers(0, 8)):
            places = rng.integers(-UNIT * (seed % 3), ends + UNIT, (6, 2))
            box = (*places[:2].min(axis=0).tolist(), *places[:2].max(axis=0).tolist())
            outline = (tuple(places.ravel().tolist()),) * int(rng.integers(0, 3))
            objects.append(Object("car", box, outline, ((*places[0].tolist(), 2),)))
        images.append(tuple(objects))
    samples = [(objects, None, geometry) for objects in images for geometry in geometries]
    together = moved_each(samples)
    assert together == [moved(*sample) for sample in samples]
    assert len({one.objects for one in together}) > 1
    assert moved_each([]) == []
