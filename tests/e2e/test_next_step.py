"""What a finished run and a clean audit suggest next works as it stands."""

from __future__ import annotations

import importlib.util

from tests.in_process import augshard


def suggested(out: str) -> list[str]:
    """The lines from `next` on."""
    lines = out.splitlines()
    first = next(i for i, line in enumerate(lines) if line.startswith("next "))
    return [line.removeprefix("next").strip() for line in lines[first:]]


def read(line: str) -> int:
    """How many records, or splits of them, the line gives."""
    names: dict[str, object] = {}
    exec(line, names)
    return len(names["stored"])  # type: ignore[arg-type]


def test_each_line_that_a_run_and_its_audit_suggest_reads_what_was_written(images, recipe_file, tmp_path):
    output = tmp_path / "out"
    made = augshard("materialize", "--input", images, "--output", output, "--recipe", recipe_file("png"))
    lines = suggested(made.out)
    assert "datasets.from_shards" in lines[0]
    assert [read(line) for line in lines] == [20, 2]  # records of train, and TFDS's splits
    audited = augshard("audit", output, "--input", images, "--samples", "all")
    assert suggested(audited.out) == lines


def test_tfds_is_suggested_only_where_it_is_installed(images, recipe_file, tmp_path, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "tensorflow_datasets" else find(name)
    )
    made = augshard(
        "materialize", "--input", images, "--output", tmp_path / "out", "--recipe", recipe_file("png")
    )
    assert len(suggested(made.out)) == 1


def test_a_dataset_without_a_split_train_is_read_by_the_one_that_has_copies(images, recipe_file, tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in/training").symlink_to(images / "train")
    (tmp_path / "in/test").symlink_to(images / "test")
    made = augshard(
        *("materialize", "--input", tmp_path / "in", "--output", tmp_path / "out"),
        *("--recipe", recipe_file("png")),
    )
    assert [read(line) for line in suggested(made.out)] == [20, 2]


def test_an_export_suggests_to_read_splits_that_it_has(images, recipe_file, tmp_path):
    output = tmp_path / "out"
    augshard("materialize", "--input", images, "--output", output, "--recipe", recipe_file("png"))
    words = {"folders": "/train', image_size", "parquet": "data_files={'train': '", "webdataset": "[[]1]/"}
    for to, word in words.items():
        made = augshard("export", output, "--to", to, "--splits", "train", "--output", tmp_path / f"{to} [1]")
        [line] = suggested(made.out)
        assert word in line
        assert "test" not in line.replace(str(tmp_path), "")
