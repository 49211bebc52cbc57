"""Images of 16 bits that use little of their range, named by class."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from augment.codec.depth import highest_level
from pipelines.sources import Listing
from pipelines.sources.depth import dim
from tests.pipelines.test_sources import found_in, put


def save_deep(path: Path, levels: int, form: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    values = (np.arange(48 * 64).reshape(48, 64) * 21 % levels).astype("<u2")
    values[0, 0] = levels - 1
    Image.fromarray(values).save(path, form)


@pytest.mark.parametrize(("form", "name"), [("PNG", "1.png"), ("TIFF", "1.tif"), ("PPM", "1.pgm")])
@pytest.mark.parametrize(("levels", "highest"), [(1024, 3), (4096, 15), (8192, 31), (65536, 255)])
def test_classes_of_images_that_use_a_16th_of_their_16_bits_are_named(tmp_path, form, name, levels, highest):
    save_deep(tmp_path / "deep" / name, levels, form)
    put(tmp_path, "plain/1.png")
    assert highest_level((tmp_path / "deep" / name).read_bytes()) == highest
    listing = Listing()
    for found in found_in(tmp_path):
        listing.add(found)
    said = dim(str(tmp_path), listing)
    assert len(said) == (highest < 16)
    if said:
        assert said[0].startswith("class 'deep': images of 16 bits that use little of that range.")
        assert f"reach level {highest} of 255" in said[0]


def test_files_of_8_bits_are_not_looked_at_for_their_range(tmp_path):
    Image.fromarray(np.zeros((4, 4), np.uint8)).save(tmp_path / "black.png")
    assert highest_level((tmp_path / "black.png").read_bytes()) is None
    assert highest_level(b"P5 1 1 255\n\0") is None
    assert highest_level(b"") is None
