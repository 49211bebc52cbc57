"""What a run keeps in its output for the next launcher, which may be anybody's by then."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from augment.errors import RequestError
from pipelines.engines.job import Job, saved_job
from pipelines.format.bounds import MOST_COPIES, MOST_GROUPS
from pipelines.format.copies import SplitCopies
from pipelines.format.layout import JOB, OUTCOME, PLAN, Shard, samples_file, shard_file, shard_of
from pipelines.format.request import Request
from pipelines.materialize.belongings import check_ours
from pipelines.materialize.plan_file import saved_plan, unfinished
from pipelines.materialize.run import Outcome, Run, conclude, saved_outcome
from pipelines.plan import Plan

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


def forged_plan(output: Path) -> Plan:
    """Kept in an output, with a fingerprint that fits."""
    splits = {"train": SplitCopies(sources=1, groups=MOST_GROUPS, augmented=True)}
    request = REQUEST.model_copy(update={"copies": MOST_COPIES})
    fingerprint = request.fingerprint({"train": MOST_GROUPS})
    plan = Plan(request=request, splits=splits, fingerprint=fingerprint)
    forge(output, PLAN, plan.model_dump(mode="json"))
    return plan


def test_a_plan_of_as_many_shards_as_can_be_written_is_looked_at_by_what_is_there(tmp_path):
    plan = forged_plan(tmp_path)
    assert saved_plan(str(tmp_path)) == plan
    (tmp_path / "samples").mkdir()
    there = Shard("train", MOST_COPIES - 1, 7, MOST_GROUPS)
    for name in (samples_file(*there), shard_file("x", *there), samples_file(*there._replace(of=8))):
        (tmp_path / name).touch()
    assert unfinished(plan, str(tmp_path)) == (1, MOST_COPIES * MOST_GROUPS, 0)
    with pytest.raises(RequestError, match=r"\(samples/train_c9999-00007-of-00008.parquet\)"):
        check_ours(str(tmp_path), overwrite=True)


@pytest.mark.parametrize(
    "shard", [Shard("train", 3, 0, 2), Shard("test", -1, 99998, 99999), Shard("a_c", 0, 0, 1)]
)
def test_the_name_of_a_file_says_which_shard_it_is_of(shard):
    for path in (shard_file("tiny", *shard), samples_file(*shard)):
        assert shard_of(path, "tiny") == shard
        for other in (f"./{path}", f"{path}.part", path.upper(), path.replace("-of-", "-of_"), f"{path}\n"):
            assert shard_of(other, "tiny") is None
    assert shard_of(shard_file("other", *shard), "tiny") is None
    assert shard_of("samples/train_c03-00000-of-00002.parquet", "tiny") is None
