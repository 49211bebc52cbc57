"""The queries of docs/queries.md that need nothing but what augshard installs."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path

import pyarrow.parquet as pq

DOCUMENT = (Path(__file__).parents[2] / "docs" / "queries.md").read_text(encoding="utf-8")


def test_the_query_with_pyarrow_finds_what_it_says(tmp_path, monkeypatch, save_photos, run_command):
    [query] = [code for code in re.findall(r"```python\n(.*?)```", DOCUMENT, re.DOTALL) if "pyarrow" in code]
    for number, label in enumerate(("roses", "tulips")):
        save_photos(tmp_path / "photos" / label, 6, seed=10 * number)
    monkeypatch.chdir(tmp_path)
    options = ("--recipe", "flowers_layers", "--copies", 2)
    assert run_command("materialize", "--input", "photos", "--output", "out", *options).status == 0
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(query, {})
    rows = pq.read_table("out/samples").to_pylist()
    degrees = sorted((row["rotation.degrees"] for row in rows if row["class"] == "roses"), reverse=True)
    shown = [eval(line) for line in printed.getvalue().splitlines()]
    assert [row["rotation.degrees"] for row in shown] == [d for d in degrees if abs(d) > 15][:3]
    assert all(row["source"].startswith("roses/") for row in shown)
