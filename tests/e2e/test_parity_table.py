"""`augshard parity` over all there is: the whole table that the documentation speaks of."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from augment.ops import op_types
from augment.recipe import preset_names


@pytest.mark.slow
def test_c3_c10_every_op_and_preset_has_equal_pixels_in_every_way(tmp_path):
    # In a process of its own: a test elsewhere may have defined ops.
    command = [sys.executable, "-m", "pipelines.cli", "parity", "--json", str(tmp_path / "table.json")]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=1500, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    rows = json.loads((tmp_path / "table.json").read_text())["rows"]
    ours = {name for name, op in op_types().items() if op.__module__.startswith("augment.")}
    assert {row["name"] for row in rows} == ours | set(preset_names())
    for row in rows:
        for way, cell in row["ways"].items():
            assert cell in ({"levels": 0, "pixels": 0.0}, {"problem": "not compilable"}), (row["name"], way)
            assert way == "xla" or "levels" in cell, (row["name"], way)
