"""Contact sheets: which rows there are, and what stands under the pictures."""

from __future__ import annotations

import numpy as np
import pytest

from augment.augmenter import Augmenter
from augment.ops import Flip, Invert, OneOf, RandAugment, RandomResizedCrop, Resize
from augment.ops.operations import OPERATIONS
from augment.recipe import Recipe
from pipelines.preview import _copies, _op_rows
from pipelines.report.numbers import short


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
    made = list(_op_rows(Recipe("mine", ops), 0, "a.png", image, 3))
    assert [name for name, _ in made] == rows


def test_whole_numbers_are_written_in_full_and_operations_by_name(photo_of):
    assert short(np.int32(1324)) == "1324"
    assert short(np.float32(0.123456)) == "0.123"
    augmenter = Augmenter(Recipe("mine", [Resize(20, 20), OneOf([RandAugment()])]), 0)
    [picture] = _copies(augmenter, "a.png", photo_of(33, 40), 1)
    written = dict(line.split(" ") for line in picture.caption[1:])
    assert written["one_of/rand_augment.op_1"] in OPERATIONS
