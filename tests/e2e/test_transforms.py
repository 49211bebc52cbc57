"""Augmentation and datasets in a Beam pipeline of one's own."""

from __future__ import annotations

import json
import re
from pathlib import Path

import apache_beam as beam
import numpy as np
import pytest
from apache_beam.metrics.metric import MetricsFilter
from apache_beam.testing.util import assert_that

from augment.augmenter import augment_image
from augment.errors import RequestError
from augment.recipe import load_recipe
from pipelines import transforms

PAGE = Path(__file__).parents[2] / "docs" / "transforms.md"


def files_below(root: Path) -> dict[str, bytes]:
    return {
        path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()
    }


def test_c4_the_example_on_the_page_writes_what_the_job_writes(
    images, recipe_file, materialize, tmp_path, capfd
):
    code = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    names = {"PHOTOS": str(images), "RECIPE": str(recipe_file("png")), "OUT": str(tmp_path / "out")}
    exec("\n".join(code), names)
    ours, jobs = files_below(tmp_path / "out"), files_below(materialize(images, "--copies", 3))
    assert ours.pop("run.json")
    assert jobs.pop("run.json")
    assert ours == jobs
    assert "('train/cat/000.png', 2, (20, 24, 3))" in capfd.readouterr().out
    counted = names["pipeline"].result.metrics().query(MetricsFilter().with_namespace("augshard"))
    told = {one.key.metric.name: one.committed for one in counted["counters"]}
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_bytes())
    assert told["records done"] == manifest["records"]


@pytest.mark.parametrize("storage", ["png", "jpeg"])
def test_c1_samples_are_those_of_augment_image_and_rejects_say_why(images, recipe_file, storage):
    recipe = load_recipe(str(recipe_file(storage)))
    contents = (images / "train/cat/000.png").read_bytes()
    files = [transforms.SourceFile("a.png", "cat", contents), transforms.SourceFile("b.png", "cat", b"no")]

    def check_samples(made):
        samples = sorted(made, key=lambda one: one.copy)
        assert [one[:3] for one in samples] == [("a.png", "cat", 0), ("a.png", "cat", 1)]
        for one in samples:
            expected = augment_image(contents, recipe, seed=4, source="a.png", copy=one.copy)
            np.testing.assert_array_equal(one.image, expected)
            assert "rotation.applied" in one.parameters

    def check_rejects(rejects):
        assert [one.source for one in rejects] == ["b.png"]

    with beam.Pipeline() as pipeline:
        made = pipeline | beam.Create(files) | transforms.Augment(recipe, seed=4, copies=2)
        assert_that(made.samples, check_samples, "samples")
        assert_that(made.rejects, check_rejects, "rejects")


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ([("cat/1.png", "cat", b"1"), ("cat/1.png", "cat", b"2")], "came more than once"),
        ([("1.png", "cat", b"1")], "its id does not say so"),
        ([("../cat/1.png", "cat", b"1")], "transforms.SourceFile"),
    ],
)
def test_sources_that_no_dataset_can_have_fail_the_pipeline(recipe_file, tmp_path, files, sentence):
    with pytest.raises(Exception, match=sentence), beam.Pipeline() as pipeline:
        pipeline | beam.Create(files) | transforms.WriteDataset(str(tmp_path / "o"), str(recipe_file("png")))


def test_what_cannot_be_asked_for_is_refused_at_once(recipe_file, tmp_path):
    (tmp_path / "there").write_text("")
    with pytest.raises(RequestError, match="it holds 'there'"):
        transforms.WriteDataset(str(tmp_path), str(recipe_file("png")))
    with pytest.raises(RequestError, match="seed"):
        transforms.Augment(str(recipe_file("png")), seed=-1)
