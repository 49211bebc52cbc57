"""Recipes that read JPEG photos reduced: the same pixels by every way, and others than of the whole."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from augment import augment_image, load_recipe
from augment.errors import RequestError
from augment.ops import Flip, Resize
from augment.recipe import Recipe, parse_recipe
from pipelines import datasets

OPS = "ops: [{resize: {height: 20, width: 24}}, {flip: {horizontal: 0.5}}, {contrast: {factor: 0.4}}]"


@pytest.fixture
def photos(tmp_path) -> Path:
    """Four JPEG photos, of which one is turned by its EXIF and one too small to be reduced, and a PNG."""
    turned = Image.Exif()
    turned[0x0112] = 6
    sizes = {
        "a/large.jpg": (400, 300),
        "a/turned.jpg": (300, 230),
        "b/half.jpg": (260, 100),
        "b/small.jpg": (60, 50),
    }
    for number, (name, (width, height)) in enumerate(sizes.items()):
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(number).integers(
            0, 256, (height // 9 + 1, width // 9 + 1, 3), np.uint8
        )
        image = Image.fromarray(pixels).resize((width, height), Image.Resampling.BICUBIC)
        image.save(path, quality=92, exif=turned if "turned" in name else Image.Exif())
        image.save(path.with_suffix(".png")) if "small" in name else None
    return tmp_path / "photos"


def test_c3_c4_the_job_live_training_and_the_audit_read_alike(photos, tmp_path, run_command, samples_of):
    recipe = tmp_path / "reduced.yaml"
    recipe.write_text(f"decode: reduced\n{OPS}\n")
    out = {}
    for backend in ("host", "device"):
        out[backend] = tmp_path / backend
        ended = run_command(
            *("materialize", "--input", photos, "--output", out[backend], "--recipe", recipe),
            *("--copies", 2, "--include-originals", "--backend", backend),
        )
        assert ended.status == 0, ended.err
    files = {name: (out["host"] / name).read_bytes() for name in ("manifest.json", "features.json")}
    assert files == {name: (out["device"] / name).read_bytes() for name in files}
    for copy in (-1, 0, 1):
        stored = samples_of(datasets.from_shards(str(out["host"]), copies=[copy]))
        assert len(stored) == 5
        assert stored == samples_of(datasets.from_images(str(photos), load_recipe(recipe), seed=0, copy=copy))
        for source, _, _, image in stored:
            contents = (photos / source).read_bytes()
            assert (
                image
                == augment_image(contents, load_recipe(recipe), seed=0, source=source, copy=copy).tobytes()
            )
    audited = run_command("audit", out["host"], "--input", photos, "--samples", "all")
    assert audited.status == 0, audited.out
    rows = pq.read_table(out["host"] / "samples").to_pylist()
    read = {row["source"]: (row["source_height"], row["source_width"]) for row in rows}
    assert read == {
        "a/large.jpg": (75, 100),
        "a/turned.jpg": (75, 58),  # by a quarter
        "b/half.jpg": (50, 130),
        "b/small.jpg": (50, 60),
        "b/small.png": (50, 60),
    }


def test_the_pixels_are_near_those_of_the_whole_photo(photos):
    contents = (photos / "a/large.jpg").read_bytes()
    whole, reduced = (
        augment_image(contents, parse_recipe(f"decode: {how}\n{OPS}", name="x"), seed=0, source="a", copy=-1)
        for how in ("whole", "reduced")
    )
    assert 0 < np.abs(whole.astype(int) - reduced).max() < 16


def test_a_recipe_says_so_in_yaml_and_in_python():
    recipe = Recipe("x", [Resize(20, 24), Flip(horizontal=0.5)], decode="reduced")
    assert "decode: reduced" in repr(recipe)
    assert parse_recipe(repr(recipe), name="x").fingerprint() == recipe.fingerprint()
    assert Recipe("x", recipe.ops).fingerprint() != recipe.fingerprint()
    assert "decode" not in Recipe("x", recipe.ops).canonical()


def test_a_recipe_that_cannot_be_read_reduced_is_refused():
    with pytest.raises(
        RequestError, match=r"decode is reduced, and its first op is random_resized_crop; sources"
    ):
        parse_recipe("decode: reduced\nops: [{random_resized_crop: {height: 9, width: 9}}]", name="x")
    with pytest.raises(RequestError, match=r"decode is \['a'\]; it must be whole or reduced"):
        parse_recipe(f"decode: [a]\n{OPS}", name="x")
