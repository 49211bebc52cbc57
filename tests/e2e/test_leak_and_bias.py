"""What an audit finds in a dataset as a whole: leaks, biased draws, copies that are equal."""

from __future__ import annotations

import json
import shutil

import pytest

from augment.draws import Uniforms
from pipelines.audit.findings import open_audit
from pipelines.audit.statistics import statistics
from pipelines.report.audit.page import page


def test_an_image_in_two_splits_is_a_finding_with_both_names(gallery):
    assert gallery.ended.status == 1
    [leak] = json.loads(gallery.json.read_text())["findings"]
    assert leak["kind"] == "leak"
    assert leak["source"] == "train/rose/0.png"
    assert leak["message"] == (
        "the same image is in split train and, as validation/rose/leaked.png, in split validation"
    )
    assert "train/rose/0.png: the same image is in split train and" in gallery.ended.out


def test_statistics_count_records_variety_duplicates_and_rejects(gallery):
    audit = open_audit(str(gallery.output), None)
    found = statistics(audit, audit.manifest)
    assert found.records["train"]["daisy"] == 15
    assert found.records["validation"]["rose"] == 2
    assert (found.duplicates.across, found.duplicates.within, found.duplicates.labels) == (1, 1, 0)
    assert [[place.source for place in group] for group in found.duplicates.groups] == [
        ["train/daisy/1.png", "train/daisy/again.png"],
        ["train/rose/0.png", "validation/rose/leaked.png"],
    ]
    assert found.rejects == {"not_an_image": 1}
    train = found.variety["train"]
    assert (train.sources, train.copies) == (14, 42)
    assert train.distinct == 42
    assert {fit.draws for fit in found.fits} == {42}
    assert list(found.variety) == ["train"]


@pytest.fixture
def biased(monkeypatch):
    """A generator whose numbers never exceed one half, while a dataset is made and while it is audited."""
    true = Uniforms.word
    monkeypatch.setattr(Uniforms, "word", lambda self, counter: true(self, counter) // 2)


def test_a_generator_that_never_exceeds_one_half_is_a_finding_even_where_it_agrees_with_itself(
    biased, tmp_path, images, materialize, run_command
):
    output = materialize(images, "--copies", 5, into=tmp_path / "out")
    ended = run_command("audit", output, "--input", images, "--json", tmp_path / "audit.json")
    assert ended.status == 1
    findings = json.loads((tmp_path / "audit.json").read_text())["findings"]
    assert {finding["kind"] for finding in findings} == {"bias"}
    named = {finding["message"].partition(":")[0] for finding in findings}
    assert named >= {"flip.horizontal", "rotation.degrees", "brightness.delta", "saturation.factor"}
    assert "the recipe promises [-0.3, 0.3]" in ended.out


def test_copies_that_are_equal_are_counted(tmp_path, images, run_command):
    (tmp_path / "still.yaml").write_text("ops: [resize: {height: 8, width: 8}]\n")
    output = tmp_path / "out"
    options = ("--recipe", tmp_path / "still.yaml", "--copies", 2)
    assert run_command("materialize", "--input", images, "--output", output, *options).status == 0
    audit = open_audit(str(output), None)
    found = statistics(audit, audit.manifest)
    assert audit.clean
    assert found.fits == []
    train = found.variety["train"]
    assert (train.sources, train.copies, train.distinct, train.repeated) == (20, 40, 20, 20)


def test_what_a_damaged_samples_file_said_is_left_out_and_the_rest_is_counted(gallery, tmp_path):
    output = tmp_path / "out"
    shutil.copytree(gallery.output, output)
    (output / "samples/train_c1-00000-of-00001.parquet").write_bytes(b"PAR1 nothing PAR1")
    audit = open_audit(str(output), None)
    found = statistics(audit, audit.manifest)
    assert found.unread == ["samples/train_c1-00000-of-00001.parquet"]
    assert found.variety["train"].copies == 28
    audit.statistics = found
    assert f"whose rows are left out below: {found.unread[0]}." in page(audit)
