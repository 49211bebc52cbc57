"""What a run keeps in its output for the next launcher, which may be anybody's by then."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from augment.errors import RequestError
from pipelines.engines.job import Job, saved_job
from pipelines.format.layout import JOB, OUTCOME
from pipelines.format.request import Request
from pipelines.materialize.plan_file import saved_plan
from pipelines.materialize.run import Outcome, Run, conclude, saved_outcome

REQUEST = Request(name="x", recipe_name="x", recipe={"ops": []}, seed=0, copies=1)
GIVEN = Job(
    project="example.com:my-project",
    region="us-central1",
    id="2026-01-01_00_00_00-1234567890",
    name="augshard-x-0123abcd",
    request=REQUEST,
)

NOT_SO = "augshard did not write it so, at"


def forge(output: Path, name: str, document: Any) -> None:
    (output / name).parent.mkdir(exist_ok=True)
    (output / name).write_text(document if isinstance(document, str) else json.dumps(document))


def test_what_a_run_leaves_is_read_as_it_was(tmp_path):
    assert saved_job(str(tmp_path)) is saved_outcome(str(tmp_path)) is None
    GIVEN.save(str(tmp_path))
    assert saved_job(str(tmp_path)) == GIVEN
    outcome = Outcome(errors=("a", "é"), warnings=("b",), kept=3, seconds=1.5)
    conclude(Run(input="", output=str(tmp_path), max_rejects=0, about={}, began=0), outcome)
    assert saved_outcome(str(tmp_path)) == outcome


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("project", "../other"),
        ("region", "us\x1b[2J"),
        ("id", "1" * 1000),
        ("name", ""),
        ("request", {"copies": 10**10}),
        ("command", "true"),
    ],
)
def test_a_job_that_somebody_else_wrote_is_refused_by_the_field_that_is_wrong(field, value, tmp_path):
    forge(tmp_path, JOB, {**GIVEN.model_dump(mode="json"), field: value})
    with pytest.raises(RequestError, match=rf"job\.json: {NOT_SO} '{field}") as error:
        saved_job(str(tmp_path))
    assert "\x1b" not in str(error.value)


@pytest.mark.parametrize(
    ("document", "where"),
    [
        ("[" * 100_000, "its beginning"),
        ([], "its beginning"),
        ({"errors": "abc"}, "errors"),
        ({"errors": ["no"] * 1001}, "errors"),
        ({"warnings": [1]}, "warnings.0"),
        ({"kept": -1}, "kept"),
        ('{"seconds": NaN}', "seconds|its beginning"),
        ({"more": 1}, "more"),
    ],
)
def test_an_outcome_that_somebody_else_wrote_is_refused(document, where, tmp_path):
    forge(tmp_path, OUTCOME, document)
    with pytest.raises(RequestError, match=rf"outcome\.json: {NOT_SO} '?({where})'? \("):
        saved_outcome(str(tmp_path))


@pytest.mark.parametrize("read", [saved_job, saved_outcome, saved_plan])
def test_none_of_them_is_read_beyond_its_size_or_outside_of_the_output(read, tmp_path):
    name = {saved_job: JOB, saved_outcome: OUTCOME}.get(read, ".unfinished/plan.json")
    forge(tmp_path, name, "")
    with open(tmp_path / name, "r+b") as file:
        file.truncate(1 << 40)
    with pytest.raises(OSError, match="at most"):
        read(str(tmp_path))
    (tmp_path / name).unlink()
    (tmp_path / name).symlink_to(__file__)
    with pytest.raises(OSError, match="a link leads out of the directory"):
        read(str(tmp_path))
