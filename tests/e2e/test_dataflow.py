"""Jobs on stand-ins of Dataflow's service and of its store: followed to their end, and left alone."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pipelines import storage
from pipelines.engines import dataflow_job
from pipelines.materialize import launch
from pipelines.storage import clients
from tests import emulators
from tests.dataflow.service import LOST, Service, served
from tests.in_process import augshard

pytestmark = [
    pytest.mark.stores,
    pytest.mark.skipif(bool(emulators.missing()), reason=f"needs {', '.join(emulators.missing())}"),
]


@pytest.fixture(scope="module")
def bucket(tmp_path_factory, images) -> Iterator[str]:
    """A bucket with the images below photos/, in an emulator to which all clients of this process go."""
    with (
        emulators.running(tmp_path_factory.mktemp("stores")) as environment,
        pytest.MonkeyPatch.context() as patch,
    ):
        for name, value in environment.items():
            patch.setenv(name, value)
        clients.forget()
        emulators.make_bucket("gs", "photographs")
        for photo in tree(str(images)):
            storage.at("gs://photographs/photos").write(photo, Path(images, photo).read_bytes())
        yield "gs://photographs"
    clients.forget()


@pytest.fixture
def service(bucket, tmp_path, monkeypatch) -> Iterator[Service]:
    """The service, for a launcher that looks at it often."""
    monkeypatch.setattr(dataflow_job, "_POLL", 0.1)
    monkeypatch.setattr(dataflow_job, "_EXPLAINS", 0.1)
    with served(tmp_path) as running:
        yield running


@pytest.fixture
def request_of(service, bucket, recipe_file) -> Callable[..., list[str]]:
    """The arguments of a request that writes to a new place in the bucket."""

    def ask(*more: object, output: str = "out") -> list[str]:
        asked = [
            *("materialize", "--input", f"{bucket}/photos", "--output", f"{bucket}/{output}"),
            *("--recipe", recipe_file("png"), "--copies", 2, "--shards", 2, "--runner", "DataflowRunner"),
            *("--project", "my-project", "--region", "us-central1", "--temp_location", f"{bucket}/tmp"),
            *("--sdk_container_image", "place/augshard:1", "--no_auth"),
            *("--dataflow_endpoint", service.endpoint, *more),
        ]
        return list(map(str, asked))

    return ask


def contents(directory: str) -> dict[str, bytes]:
    """All files of a dataset, but the one that may differ between runs."""
    return {name: storage.at(directory).read(name) for name in tree(directory) - {"run.json"}}


def tree(directory: str) -> set[str]:
    return set(storage.at(directory).tree())


def rows(text: str) -> dict[str, str]:
    return dict(line.split(maxsplit=1) for line in text.splitlines())


def test_c4_a_job_that_nobody_waits_for_writes_the_same_bytes(
    request_of, service, bucket, images, materialize, monkeypatch
):
    ended = augshard(*request_of("--no_wait_until_finish"))
    assert ended.status == 0, ended.err
    [job] = service.jobs.values()
    console = f"https://console.cloud.google.com/dataflow/jobs/us-central1/{job['id']}?project=my-project"
    assert ended.err == f"augshard: job {job['id']}: {console}\n"
    left = rows(ended.out)
    assert left["job"] == f"{job['name']} ({job['id']})"
    assert left["state"] in ("pending", "running")
    assert (
        left["cancel"] == f"gcloud dataflow jobs cancel {job['id']} --project my-project --region us-central1"
    )
    assert left["next"].startswith("the same command says what came of it")
    staged = [name for name in tree(f"{bucket}/tmp") if job["name"] in name]
    assert [os.path.basename(name) for name in staged] == ["pipeline.pb"]

    other = augshard(*request_of("--copies", 5))
    assert other.status == 2
    assert f"job {job['id']} on Dataflow, by another request, writes to it" in other.err
    over = augshard(*request_of("--overwrite", "--no_wait_until_finish"))
    assert over.status == 0, over.err  # by which it is followed, as by the command without
    assert rows(over.out)["job"] == left["job"]

    ended = augshard(*request_of())  # waits
    assert ended.status == 0, ended.err
    assert len(service.jobs) == 1
    assert f"augshard: job {job['id']}: done\n" in ended.err
    assert rows(ended.out)["records"] == "46 (46 new)"
    with monkeypatch.context() as patch:  # workers are of their kind, whatever the launcher's machine is
        patch.setattr(launch, "parity_class", lambda: {"architecture": "another"})
        assert rows(augshard(*request_of()).out)["time"] == "nothing was left to do"
    assert len(service.jobs) == 1

    local = materialize(images, "--copies", 2, "--shards", 2)
    assert contents(f"{bucket}/out") == contents(str(local))


def test_a_job_that_fails_is_told_by_its_own_words_and_the_same_command_goes_on(request_of, service, bucket):
    service.states = ("PENDING", "RUNNING", "FAILED")
    service.message = (
        "Traceback (most recent call last):\n  in process\nPassingFault: cat/1.jpg: input/output error"
    )
    ended = augshard(*request_of(output="failing"))
    [job] = service.jobs.values()
    assert (ended.status, ended.out) == (1, "")
    assert ended.err.splitlines()[1:] == [
        f"augshard: job {job['id']}: pending",
        f"augshard: job {job['id']}: running",
        f"augshard: job {job['id']}: failed",
        f"augshard: Dataflow ended job {job['id']} as failed: PassingFault: cat/1.jpg: input/output error "
        f"(the whole error: {bucket}/failing/.unfinished/error.txt)",
    ]
    service.states, service.message = ("CANCELLED",), ""
    ended = augshard(*request_of(output="failing"))
    assert ended.status == 1
    assert len(service.jobs) == 2
    assert "as cancelled; https://console.cloud.google.com/dataflow/jobs/" in ended.err
    service.states = ("DONE",)
    ended = augshard(*request_of(output="failing"))
    assert (ended.status, len(service.jobs)) == (1, 3)
    assert "augshard: DataflowRunner says that the job is done, and it left no word of its own" in ended.err


def test_overwriting_waits_until_it_was_told_what_came_of_a_job(request_of, service, bucket):
    again = request_of("--overwrite", "--no_wait_until_finish", output="over")
    assert augshard(*again).status == 0
    [job] = service.jobs.values()
    deadline = time.monotonic() + 300
    while job["currentState"] != "JOB_STATE_DONE":
        assert time.monotonic() < deadline
        time.sleep(0.1)
        service.look(job["id"])
    told = augshard(*again)
    assert rows(told.out)["records"] == "46 (46 new)", told.err
    assert len(service.jobs) == 1
    assert "manifest.json" in tree(f"{bucket}/over")
    service.states = ("RUNNING",)
    assert augshard(*again).status == 0
    assert len(service.jobs) == 2
    assert "manifest.json" not in tree(f"{bucket}/over")


def test_what_a_job_found_wrong_is_told_by_whoever_asks_after_its_end(request_of, service, bucket):
    service.states = ("RUNNING",)
    assert augshard(*request_of("--no_wait_until_finish", output="wrong")).status == 0
    text = json.dumps({"errors": [], "failure": "3 of 9 images were rejected", "warnings": []})
    storage.at(bucket).write("wrong/.unfinished/outcome.json", text)
    [job] = service.jobs.values()
    here = [*request_of(output="wrong"), "--runner", "embedded"]
    assert f"job {job['id']} on Dataflow was to write to it" in augshard(*here).err
    tried_again = augshard(*request_of("--no_wait_until_finish", output="wrong"))
    assert rows(tried_again.out)["state"] == "running"
    job["currentState"] = "JOB_STATE_FAILED"
    ended = augshard(*request_of(output="wrong"))
    assert (ended.status, ended.err.splitlines()[-1]) == (1, "augshard: 3 of 9 images were rejected")
    service.states = ("CANCELLED",)
    augshard(*request_of(output="wrong"))
    assert len(service.jobs) == 2  # and now the work goes on


def test_a_template_is_written_and_nothing_waits_or_runs(request_of, service, bucket, recipe_file, tmp_path):
    recipe = f"{bucket}/recipes/mine.yaml"  # for a launcher that has no files of its own
    storage.at(recipe).write("", recipe_file("png").read_bytes())
    where = ("--template_location", f"{bucket}/templates/out", "--recipe", recipe)
    ended = augshard(*request_of(*where, output="later"))
    assert (ended.status, ended.err, service.jobs) == (0, "", {})
    assert rows(ended.out)["template"] == f"{bucket}/templates/out"
    template = json.loads(storage.at(bucket).read("templates/out"))
    options = template["environment"]["sdkPipelineOptions"]["options"]
    assert template["name"] == options["job_name"]
    assert template["name"].startswith("augshard-mine-")
    assert storage.at(options["pipelineUrl"]).size() > 10_000
    assert tree(f"{bucket}/later") == set()

    described = tmp_path / "template.json"
    described.write_bytes(storage.at(bucket).read("templates/out"))
    command = [sys.executable, "-m", "tests.dataflow.worker", str(described)]
    worked = subprocess.run(command, capture_output=True, text=True)
    assert worked.returncode == 0, worked.stderr
    assert "manifest.json" in tree(f"{bucket}/later")
    assert ".unfinished" not in storage.at(bucket).names("later")


@pytest.mark.parametrize("code", [400, 403])
def test_what_the_service_refuses_is_a_wrong_request(request_of, service, bucket, code):
    service.refusal = code, "the workflow could not be created: no permission for place/augshard:1"
    ended = augshard(*request_of(output="refused"))
    assert (ended.status, ended.out) == (2, "")
    assert ended.err.startswith("augshard: --runner DataflowRunner: Dataflow refuses the job: ")
    assert ended.err.endswith(": the workflow could not be created: no permission for place/augshard:1\n")
    assert ended.err.count("\n") == 1
    assert tree(f"{bucket}/refused") == set()


def test_a_job_that_is_lost_from_sight_is_found_again(request_of, service, bucket):
    service.states = ("RUNNING", LOST)
    ended = augshard(*request_of(output="lost"))
    [job] = service.jobs.values()
    assert ended.status == 1
    assert f"augshard: job {job['id']} is out of sight (" in ended.err
    assert "; it goes on, and the same command finds it again: https://console" in ended.err
    ended = augshard(*request_of(output="lost"))
    assert ended.status == 2
    assert f"job {job['id']} on Dataflow cannot be looked at: " in ended.err
    service.refusal, job["currentState"] = None, "JOB_STATE_FAILED"
    ended = augshard(*request_of(output="lost"))
    assert (ended.status, len(service.jobs)) == (1, 1)
    assert f"Dataflow ended job {job['id']} as failed; https://console" in ended.err


def test_how_a_job_ended_is_told_to_one_who_may_not_see_why(request_of, service):
    service.states, service.silent = ("FAILED",), True
    ended = augshard(*request_of(output="unseen"))
    [job] = service.jobs.values()
    assert ended.status == 1
    assert f"Dataflow ended job {job['id']} as failed; https://console" in ended.err
    augshard(*request_of(output="unseen"))
    assert len(service.jobs) == 2


def test_two_jobs_of_one_name_do_not_run_at_once(request_of, service):
    service.states = ("RUNNING",)
    assert augshard(*request_of("--no_wait_until_finish", "--job_name=cars", output="one")).status == 0
    ended = augshard(*request_of("--job_name=cars", output="two"))
    assert ended.status == 2
    assert "There is already active job named cars" in ended.err


def test_a_bucket_for_staging_that_is_not_there_is_named(request_of):
    ended = augshard(*request_of("--temp_location=gs://nowhere-at-all/tmp", output="three"))
    assert ended.status == 2
    assert ended.err == "augshard: --temp_location gs://nowhere-at-all/tmp: there is no such bucket\n"


def test_ctrl_c_cancels_the_job(request_of, service, bucket, start_command):
    service.states = ("RUNNING",)
    process = start_command(*request_of(output="stopped"))
    deadline = time.monotonic() + 300
    while not service.jobs:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.1)
    [job] = service.jobs.values()
    while storage.at(bucket).size("stopped/.unfinished/job.json") is None:
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=120)
    assert job["currentState"] == "JOB_STATE_CANCELLED"
    assert process.returncode == 130
    assert err.splitlines()[-2:] == [
        f"augshard: job {job['id']}: cancelled",
        "augshard: stopped; run the same command again to go on",
    ]
    assert tree(f"{bucket}/stopped") == set()
