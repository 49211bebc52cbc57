"""Contact sheets: which rows there are, and what stands under the pictures."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import features

from augment.augmenter import Augmenter
from augment.draws import at
from augment.errors import RequestError
from augment.keys import source_words
from augment.ops import (
    ChannelShuffle,
    ColorJitter,
    Contrast,
    Flip,
    Grayscale,
    Invert,
    OneOf,
    RandAugment,
    RandomResizedCrop,
    Resize,
    Rotation,
    Translation,
    base,
    op_types,
)
from augment.ops.operations import OPERATIONS
from augment.recipe import Recipe
from pipelines.parity.examples import of_op
from pipelines.preview import _copies, _op_rows, _Shown, preview
from pipelines.report.captions import UNCHANGED, said
from pipelines.report.numbers import short
from pipelines.report.sheet import LINE, MARGIN, TILE, Picture, draw_sheet


def _jitter(*values: float) -> dict[str, float]:
    names = ("brightness", "contrast", "saturation", "hue", "order")
    return {f"color_jitter.{name}": value for name, value in zip(names, values, strict=True)}


def _policy(first: str, much: float, second: str, more: float) -> dict[str, float]:
    drawn = {"op_1": OPERATIONS.index(first), "magnitude_1": much}
    drawn |= {"op_2": OPERATIONS.index(second), "magnitude_2": more}
    return {f"rand_augment.{name}": value for name, value in drawn.items()}


@pytest.mark.parametrize(
    ("ops", "rows"),
    [
        ([RandomResizedCrop(16, 20), Invert()], ["random_resized_crop", "invert"]),
        ([RandomResizedCrop(16, 20)], ["random_resized_crop"]),
        ([Resize(16, 20)], ["resize"]),
        ([Resize(16, 20), Flip(horizontal=0.5), Resize(8, 8, id="smaller")], ["flip", "smaller"]),
    ],
    ids=str,
)
def test_each_op_has_a_row_but_the_one_that_only_brings_to_size(ops, rows, photo_of):
    image = photo_of(33, 40)
    made = list(_op_rows(_Shown("a.png", Augmenter(Recipe("mine", ops), 0), image), 3))
    assert [name for name, _ in made] == rows


def test_a_caption_says_in_words_what_fired_and_nothing_of_what_did_not(photo_of):
    never = Flip(id="never", horizontal=1.0, p=0.0)
    augmenter = Augmenter(Recipe("mine", [Resize(20, 20), Flip(horizontal=1.0), never, Invert(p=1.0)]), 0)
    [picture] = _copies(_Shown("a.png", augmenter, photo_of(33, 40)), 1)
    assert (picture.title, picture.words) == ("copy 0", "mirrored")
    alone = Augmenter(Recipe("mine", [Resize(20, 20), never]), 0)
    assert _copies(_Shown("a.png", alone, photo_of(33, 40)), 1)[0].words == UNCHANGED
    still = Augmenter(Recipe("mine", [Resize(20, 20)]), 0)
    assert _copies(_Shown("a.png", still, photo_of(33, 40)), 1)[0].words == ""


@pytest.mark.parametrize(
    ("op", "drawn", "words"),
    [
        (Flip(horizontal=0.5), {"flip.horizontal": True, "flip.vertical": True}, "mirrored, upside down"),
        (Flip(horizontal=0.5), {"flip.horizontal": False, "flip.vertical": False}, ""),
        (Rotation(0.1), {"rotation.degrees": 12.04}, "turned 12 degrees left"),
        (Rotation(0.1), {"rotation.degrees": -3.14}, "turned 3.1 degrees right"),
        (
            Translation(0.1, 0.2),
            {"translation.height": 0.05, "translation.width": -0.12},
            "moved 12 % left, 5.0 % down",
        ),
        (Contrast(0.3, p=0.5), {"contrast.factor": 1.234, "contrast.applied": False}, ""),
        (Contrast(0.3), {"contrast.factor": 1.234}, "contrast 1.2"),
        (ChannelShuffle(), {"channel_shuffle.order": 312}, "channels blue, red, green"),
        (
            ColorJitter(brightness=0.3, hue=0.1),
            _jitter(1.2, 1.0, 1.0, -0.05, 4321),
            "hue by -18 degrees, brightness 1.2",
        ),
        (
            RandAugment(),
            _policy("translate_x", 4.0, "posterize", 6.0),
            "moved 4 px left, 6 bits a level",
        ),
        (RandAugment(), _policy("identity", 0.0, "solarize", 180.0), "solarized from 180"),
        (
            OneOf([Invert(), Grayscale()]),
            {"one_of/invert.applied": True, "one_of/grayscale.applied": False},
            "inverted",
        ),
    ],
    ids=str,
)
def test_what_was_drawn_is_said_in_words(op, drawn, words):
    assert ", ".join(said([op], drawn)) == words


@pytest.mark.parametrize("name", sorted(op_types()))
def test_every_op_that_fired_is_said_without_its_random_bits(name):
    recipe = of_op(name)
    assert recipe is not None
    augmenter = Augmenter(recipe, 0)
    block = augmenter.draw_copies(source_words([f"{i}.png" for i in range(20)]), 0)
    phrases = [said(recipe.ops, augmenter.recorded(at(block, i))) for i in range(20)]
    assert any(phrases) != all(op.deterministic for op in recipe.ops)
    assert "key_" not in str(phrases)


def test_an_op_of_a_plugin_is_said_by_what_it_drew():
    class Tilted(Rotation):
        """An op of one's own."""

    try:
        assert said([Tilted(0.1)], {"tilted.degrees": 3.0, "tilted.key_high": 7}) == ["tilted degrees 3"]
    finally:
        base._registry.pop("tilted")


def test_a_sheet_tells_names_in_other_scripts_apart(photo_of):
    sheets = [
        draw_sheet([(name, [Picture(photo_of(33, 40), "x")])], "t") for name in ("花", "束", "роза", "роба")
    ]
    assert len({sheet.tobytes() for sheet in sheets}) == 4


@pytest.mark.skipif(not features.check("fribidi"), reason="Pillow writes all scripts from the left here")
def test_a_path_begins_at_the_left_with_its_first_folder_in_scripts_from_the_right_too(photo_of):
    sheets = [draw_sheet([(name, [Picture(photo_of(33, 40), "x")])], "t") for name in ("בית/a.png", "בית")]
    labels = [np.asarray(sheet)[2 * MARGIN + LINE :][:LINE, MARGIN:] for sheet in sheets]
    end = int(np.flatnonzero((labels[1] < 255).any(axis=(0, 2)))[-1])
    assert (labels[0][:, :end] == labels[1][:, :end]).all()


def test_small_pictures_have_columns_wide_enough_for_their_captions(photo_of):
    words = "mirrored, turned 12 degrees left, contrast 1.2"
    sheet = draw_sheet([("a.png", [Picture(photo_of(32, 32), "copy 0", words)] * 3)], "t")
    assert sheet.width > 3 * TILE


def test_whole_numbers_are_written_in_full():
    assert short(np.int32(1324)) == "1324"
    assert short(np.float32(0.123456)) == "0.123"


def test_a_sheet_is_refused_the_name_of_another_kind_of_file_before_any_work(tmp_path):
    recipe = Recipe("tiny", [Resize(4, 4)])
    how = {"seed": 0, "copies": 1, "images": 1, "each_op": False}
    with pytest.raises(RequestError, match=r"output .*sheet\.jpg: a sheet is a PNG; give the name of a file"):
        preview(str(tmp_path / "gone"), recipe, output=str(tmp_path / "sheet.jpg"), **how)
