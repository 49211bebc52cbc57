"""The report of a comparison: what it says, what it needs, and what it does with odd names and runs."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ElementTree

import pytest

from pipelines.format.manifest import json_text
from pipelines.report.training.files import table, write_excerpts, write_report
from pipelines.report.training.page import page as report
from pipelines.report.training.summary import as_json
from pipelines.train.arms import Arm
from pipelines.train.compare import compare
from pipelines.train.results import read_outputs
from tests.trained import many, write_dataset, write_request, write_run

EVIL = "evil:<img src=x onerror=alert(1)>"


def compared(*directories):
    return compare(read_outputs([str(directory) for directory in directories]))


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    root = tmp_path_factory.mktemp("many")
    return many(root / "runs", write_dataset(root / "shards", copies=4))


@pytest.fixture(scope="module")
def page(runs):
    return report(compared(runs))


def section(page, anchor):
    """The words of a section."""
    found = re.search(rf'<section id="{anchor}">(.*?)</section>', page, re.DOTALL)
    return " ".join(re.sub(r"<[^>]*>", " ", found[1]).split())


def test_equal_runs_give_equal_reports_wherever_they_are(runs, page, tmp_path):
    other = many(tmp_path / "elsewhere", write_dataset(tmp_path / "s", copies=4))
    assert write_report(compared(other), str(tmp_path / "a")) == str(tmp_path / "a/report.html")
    assert (tmp_path / "a/report.html").read_text(encoding="utf-8") == page
    assert json.loads((tmp_path / "a/report.json").read_text()) == json.loads(
        json_text(as_json(compared(runs)))
    )
    assert str(runs.parent) not in page


def test_a_report_that_says_nothing_new_is_left_alone(tmp_path):
    write_request(tmp_path / "runs")
    write_run(tmp_path / "runs", Arm("live"))
    write_report(compared(tmp_path / "runs"), str(tmp_path / "report"))
    stamps = {path: path.stat().st_mtime_ns for path in (tmp_path / "report").iterdir()}
    assert {path.name for path in stamps} == {"report.html", "report.json"}
    write_report(compared(tmp_path / "runs"), str(tmp_path / "report"))
    assert {path: path.stat().st_mtime_ns for path in stamps} == stamps


def test_nothing_is_loaded_from_elsewhere(page):
    assert not re.findall(r'(?:src|href)="(?!#|data:)', page)
    assert not re.findall(r"url\((?!#)|@import", page)
    assert "default-src 'none'" in page


def test_the_verdict_stands_on_top(page):
    top = page[: page.index("<main>")]
    assert "Bit-identical" in top
    assert "shards-k1, shards-k2, shards-k4, live-layer: those of live, bit by bit" in top
    assert "<th>differences</th>" in top


def test_every_arm_has_its_curves_and_its_lines_in_every_table(page):
    labels = ["none", "shards-k1", "shards-k2", "shards-k4", "shards-originals-k1", "live", "live-layer"]
    for label in labels:
        assert page.count(f"<figcaption><b>{label}</b>") == 2
        for anchor in ("accuracy", "speed"):
            assert label in section(page, anchor)
    assert "accuracy of live by epoch: training ends at 80.0 %, validation ends at 71.0 %" in page
    assert section(page, "cost").count("epoch ") >= 5
    assert "shards-k2 live 0 2 the same, bit by bit" in section(page, "identity")
    assert "shards-originals-k1 live 0 0 nothing to compare" in section(page, "identity")


def test_figures_say_in_words_what_is_to_be_seen(page):
    [copies] = re.findall(r'aria-label="(test accuracy against[^"]*)"', page)
    assert copies.startswith("test accuracy against the number of copies: none 5")
    assert copies.endswith("live 68.0 %")
    [speed] = re.findall(r'aria-label="(Seconds of an epoch[^"]*)"', page)
    assert "live 3" in speed
    assert "40.0 % of the time waiting" in speed


def test_names_that_would_be_code_are_text(tmp_path):
    write_request(tmp_path, model=EVIL)
    write_run(tmp_path, Arm("none"))
    page = report(compared(tmp_path))
    assert "<img" not in page
    assert "evil:&lt;img" in page


@pytest.mark.parametrize("right", [60, None])
def test_one_arm_with_one_seed_has_a_report(right, tmp_path):
    write_request(tmp_path)
    write_run(tmp_path, Arm("live"), right=right, epochs=1)
    page = report(compared(tmp_path))
    assert "There is no arm of shards" in section(page, "cost")
    write_excerpts(compared(tmp_path), str(tmp_path / "excerpts"))
    assert [path.name for path in (tmp_path / "excerpts").iterdir()] == ["table.md"]


def test_runs_without_a_validation_or_a_loss_have_a_report(tmp_path):
    write_request(tmp_path)
    write_run(tmp_path, Arm("live"), right=None)
    document = tmp_path / "live/seed-0/run.json"
    run = json.loads(document.read_text())
    for row in run["epochs"]:
        row |= {"val_loss": None, "val_accuracy": None, "loss": None}
    document.write_text(json.dumps(run))
    page = report(compared(tmp_path))
    assert "no split tests or validates in every run" in page
    assert "loss of live by epoch: no number" in page


def test_what_is_not_finished_is_named_even_if_nothing_is(tmp_path):
    write_request(tmp_path)
    write_run(tmp_path, Arm("live"), finished=False, epochs=3)
    page = report(compared(tmp_path))
    assert "No run is finished" in page
    assert "live, train seed 0: 3 of 4 epochs" in section(page, "unfinished")
    assert len(table(compared(tmp_path)).splitlines()) == 4


def test_several_outputs_say_of_which_seed_they_are(tmp_path):
    for seed in (0, 1):
        write_request(tmp_path / f"{seed}", seed=seed, split_fractions=[["train", "0.9"], ["test", "0.1"]])
        write_run(tmp_path / f"{seed}", Arm("shards", 2))
        write_run(tmp_path / f"{seed}", Arm("shards", 1, originals=True))
    page = report(compared(tmp_path / "0", tmp_path / "1"))
    assert (
        section(page, "again").splitlines()[0].endswith("augshard compare RUNS-0 RUNS-1 --output COMPARISON")
    )
    assert (
        "augshard materialize --input DIR --recipe recipe.yaml --seed 1 --split-fractions train=0.9,test=0.1 "
        "--copies 2 --output SHARDS-1 --include-originals"
    ) in section(page, "again")
    assert (
        "augshard train --input DIR --recipe recipe.yaml --seed 0 --split-fractions train=0.9,test=0.1 "
        "--shards SHARDS-0 --arms shards --copies 2,originals+1 --model small_cnn --epochs 4 --batch-size 32 "
        "--train-seeds 1 --validation-fraction 0.1 --no-early-stopping --output RUNS-0"
    ) in section(page, "again")


def test_the_table_for_a_readme_is_markdown(tmp_path):
    write_request(tmp_path)
    for seed in (0, 1, 2):
        write_run(tmp_path, Arm("none"), seed, right=30 + seed)
        write_run(tmp_path, Arm("shards", 1), seed, right=64 + 2 * seed, seconds=4.0)
        write_run(tmp_path, Arm("live"), seed, right=66 + seed)
    lines = table(compared(tmp_path)).splitlines()
    assert lines[:5] == [
        "| arm | runs | test accuracy | against live, in points | images/s | waiting for input | disk |",
        "| --- | --- | --- | --- | --- | --- | --- |",
        "| none | 3 | 31.0 % (30.0 to 32.0) | **−36.0 ± 11.6** | 500 | 25.0 % |  |",
        "| shards-k1 | 3 | 66.0 % (64.0 to 68.0) | −1.0 ± 2.7 | 250 | 25.0 % |  |",
        "| live | 3 | 67.0 % (66.0 to 68.0) |  | 500 | 25.0 % |  |",
    ]
    assert lines[6].startswith("`small_cnn`, 4 epochs, 3 train seeds; ")


def test_the_picture_for_a_readme_stands_alone_in_light_and_dark(runs, tmp_path):
    write_excerpts(compared(runs), str(tmp_path))
    text = (tmp_path / "accuracy.svg").read_text(encoding="utf-8")
    picture = ElementTree.fromstring(text)
    assert picture.tag == "{http://www.w3.org/2000/svg}svg"
    assert int(picture.get("width")) > int(picture.get("height")) > 100
    assert "prefers-color-scheme: dark" in text
    assert set(re.findall(r"var\((--[a-z]+)\)", text)) <= set(re.findall(r"(--[a-z]+):", text))
