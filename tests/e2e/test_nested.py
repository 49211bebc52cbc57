"""A whole run of a recipe with groups and a policy: shards equal live training, and say what was chosen."""

from __future__ import annotations

import pyarrow.parquet as pq

from augment import load_recipe
from pipelines import datasets

RECIPE = """
ops:
  - resize: {height: 20, width: 24}
  - one_of:
      ops:
        - rotation: {factor: 0.1}
        - contrast: {factor: 0.3}
  - sometimes:
      p: 0.5
      ops: [flip: {horizontal: 0.5}, some_of: {count: [0, 2], ops: [invert, grayscale]}]
  - rand_augment: {layers: 2, magnitude: 15}
"""


def test_c3_groups_and_policies_are_equal_in_shards_and_live_and_on_record(
    images, run_command, samples_of, tmp_path
):
    path, output = tmp_path / "nested.yaml", tmp_path / "out"
    path.write_text(RECIPE)
    request = ("--input", images, "--output", output, "--recipe", path, "--copies", 2, "--shards", 2)
    ended = run_command("materialize", *request)
    assert ended.status == 0, ended.err
    recipe = load_recipe(path)
    for split, copy in (("train", 0), ("train", 1), ("test", -1)):
        stored = samples_of(datasets.from_shards(str(output), split=split, copies=[copy]))
        assert stored == samples_of(datasets.from_images(str(images), recipe, seed=0, split=split, copy=copy))
        assert len(stored) == {"train": 20, "test": 6}[split]

    table = pq.read_table(output / "samples").to_pylist()
    augmented = [row for row in table if row["copy"] >= 0]
    assert len(augmented) == 40
    for row in augmented:
        assert row["one_of/rotation.applied"] != row["one_of/contrast.applied"]
        both = row["sometimes/some_of/invert.applied"] + row["sometimes/some_of/grayscale.applied"]
        assert both == (row["sometimes/some_of.count"] if row["sometimes.applied"] else 0)
        assert 0 <= row["rand_augment.op_2"] <= 14
    assert {row["one_of/rotation.applied"] for row in augmented} == {True, False}
    plain = [row for row in table if row["copy"] == -1]
    assert all(row["one_of/rotation.applied"] is None for row in plain)
