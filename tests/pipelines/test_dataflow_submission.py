"""What is submitted to Dataflow, read back from the description of the job and the staged pipeline."""

from __future__ import annotations

import base64
import bz2
import json
import os
import pickletools
from collections.abc import Iterator
from typing import get_args

import apache_beam
import pytest
from apache_beam.portability import common_urns
from apache_beam.portability.api import beam_runner_api_pb2

from pipelines.engines import choose, dataflow_job
from pipelines.engines.engine import JobFailed
from pipelines.engines.job import Job
from pipelines.format.layout import JOB
from pipelines.format.request import Request
from pipelines.materialize.grouping import Member
from tests.in_process import augshard

pytest.importorskip("google.cloud.dataflow", reason="needs the extra gcp")
exceptions = pytest.importorskip("google.api_core.exceptions", reason="needs the extra gcp")

pytestmark = pytest.mark.stores

ASKED = (
    *("materialize", "--input", "gs://bucket/photos", "--output", "gs://bucket/out", "--recipe", "flowers"),
    *("--copies", "3", "--runner", "DataflowRunner", "--project", "my-project", "--region", "us-central1"),
    *("--temp_location", "gs://bucket/tmp", "--sdk_container_image", "place/augshard:1"),
)
BEAM = os.path.dirname(apache_beam.__file__)


@pytest.fixture(scope="module")
def described(tmp_path_factory) -> Iterator[dict]:
    """The job of a dry run, as the service would get it."""
    file = tmp_path_factory.mktemp("job") / "job.json"
    ended = augshard(*ASKED, "--dry_run", "--dataflow_job_file", file, "--worker_machine_type=n2-standard-2")
    assert (ended.status, ended.err) == (0, "")
    return json.loads(file.read_text())


@pytest.fixture(scope="module")
def pipeline() -> beam_runner_api_pb2.Pipeline:
    """The pipeline of that job."""
    from augment.recipe import load_recipe
    from pipelines.materialize import launch

    recipe = load_recipe("flowers")
    request = Request(name="flowers", recipe_name="flowers", recipe=recipe.canonical(), seed=0, copies=3)
    engine = choose("DataflowRunner", [*ASKED[11:], "--dry_run"])
    run = launch._run("gs://bucket/photos", "gs://bucket/out", 0, engine, "host", None)
    return launch._pipeline(request, run, None, engine).run().job.proto_pipeline


def pickles(pipeline: beam_runner_api_pb2.Pipeline) -> Iterator[bytes]:
    """Every function of a pipeline that is pickled."""
    for transform in pipeline.components.transforms.values():
        spec = transform.spec
        if spec.urn == common_urns.primitives.PAR_DO.urn:
            function = beam_runner_api_pb2.ParDoPayload.FromString(spec.payload).do_fn
        elif spec.urn == common_urns.composites.COMBINE_PER_KEY.urn:
            function = beam_runner_api_pb2.CombinePayload.FromString(spec.payload).combine_fn
        else:
            continue
        if function.payload:  # some of Beam's own have a name instead
            yield bz2.decompress(base64.b64decode(function.payload))


def test_a_dry_run_says_what_would_be_submitted(tmp_path):
    ended = augshard(*ASKED, "--dry_run")
    rows = dict(line.split(maxsplit=1) for line in ended.out.splitlines())
    assert rows["job"] == "augshard-flowers-84ffca10 (not submitted)"
    assert rows["project"] == "my-project in us-central1"
    assert rows["image"] == "place/augshard:1"
    assert rows["steps"] == "List, Plan, Group, Write, Commit"
    assert rows["staged"].startswith("gs://bucket/tmp/augshard-flowers-84ffca10.")
    assert rows["next"] == "the same command without --dry_run"


def test_what_beam_finds_wrong_with_a_submission_is_one_sentence():
    ended = augshard(*ASKED, "--dry_run", "--project", "12345", "--num_workers=9", "--max_num_workers=3")
    assert (ended.status, ended.out) == (2, "")
    assert ended.err == (
        "augshard: --runner DataflowRunner: Invalid Project ID (12345). Please make sure you specified the "
        "Project ID, not project number; num_workers (9) cannot exceed max_num_workers (3)\n"
    )


def test_credentials_that_are_not_there_are_named_at_once(monkeypatch, tmp_path):
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
    ended = augshard(*ASKED)
    assert (ended.status, ended.out) == (2, "")
    assert ended.err.startswith(
        "augshard: --runner DataflowRunner: there are no Google credentials here; make"
    )
    assert ended.err.count("\n") == 1


def test_the_job_names_the_image_and_one_process_a_worker(described):
    environment = described["environment"]
    [pool] = environment["workerPools"]
    [image] = pool["sdkHarnessContainerImages"]
    assert pool["workerHarnessContainerImage"] == image["containerImage"] == "place/augshard:1"
    assert pool["machineType"] == "n2-standard-2"
    assert pool["numThreadsPerWorker"] == 1
    assert {"use_runner_v2", "no_use_multiple_sdk_containers"} <= set(environment["experiments"])
    assert "use_multiple_sdk_containers" not in environment["experiments"]
    assert described["type"] == "JOB_TYPE_BATCH"


def test_options_reach_the_workers_and_no_session_does(described):
    options = described["environment"]["sdkPipelineOptions"]["options"]
    assert options["project"] == "my-project"
    assert options["pickle_library"] == "cloudpickle"
    assert options["save_main_session"] is False
    assert options["pipelineUrl"].startswith("gs://bucket/tmp/augshard-flowers-84ffca10.")
    assert options["temp_location"].startswith("gs://bucket/tmp/augshard-flowers-84ffca10.")


def test_nothing_but_the_pipeline_is_staged(described, pipeline):
    [environment] = pipeline.components.environments.values()
    assert list(environment.dependencies) == []
    assert "packages" not in described["environment"]["workerPools"][0]


def test_the_pipeline_runs_in_the_image_with_the_memory_that_it_needs(pipeline):
    [environment] = pipeline.components.environments.values()
    assert environment.urn == common_urns.environments.DOCKER.urn
    image = beam_runner_api_pb2.DockerPayload.FromString(environment.payload).container_image
    assert image == "place/augshard:1"
    assert environment.resource_hints[common_urns.resource_hints.MIN_RAM_BYTES.urn] == b"3000000000"


def test_what_is_pickled_refers_to_our_code_by_name_alone(pipeline):
    ours, by_value = set(), set()
    for pickled in pickles(pipeline):
        texts = [argument for _, argument, _ in pickletools.genops(pickled) if isinstance(argument, str)]
        ours |= {texts[i + 1] for i, text in enumerate(texts[:-1]) if text.startswith("pipelines.")}
        by_value |= {text for text in texts if text.endswith(".py")}  # in which code that is sent was written
        assert "__main__" not in texts
    assert {
        "ListTop",
        "ListFolder",
        "AssignToGroup",
        "CountFound",
        "EveryGroup",
        "WriteGroup",
        "plan_and_save",
        "commit",
    } <= ours
    assert {os.path.relpath(path, BEAM).split(os.sep)[0] for path in by_value} == {"transforms"}


def test_image_bytes_pass_through_no_shuffle(pipeline):
    components = pipeline.components

    def coder(key: str) -> str:
        found = components.coders[key]
        parts = ", ".join(map(coder, found.component_coder_ids))
        return found.spec.urn.split(":")[2] + (f"({parts})" if parts else "")

    shuffled = {
        transform.unique_name: coder(components.pcollections[key].coder_id)
        for transform in components.transforms.values()
        if transform.spec.urn == common_urns.primitives.GROUP_BY_KEY.urn
        for key in transform.inputs.values()
    }
    # A split, the first copy of a tier and a group's number; packets of these: a place, a source's id, its
    # class, the few bytes of what it is annotated with, and where it lies within a file of several.
    assert shuffled.pop("Group/By group") == "kv(tuple(string_utf8, varint, varint), bytes)"
    assert get_args(Member) == (int, str, str, bytes, str)
    # Folders; sums of what was listed.
    assert {name.split("/")[0] for name in shuffled} == {"List", "Plan"}
    # Images are read in the one step behind the shuffle of names, and what it gives on, of its files, goes
    # to the last step alone.
    [write] = [t for t in components.transforms.values() if t.unique_name == "Write/Group"]
    [written] = write.outputs.values()
    readers = {
        t.unique_name.split("/")[0] for t in components.transforms.values() if written in t.inputs.values()
    }
    assert readers == {"Commit"}


@pytest.mark.parametrize(
    "fault", [exceptions.ServiceUnavailable("try later"), exceptions.RetryError("try later", None)]
)
def test_a_service_that_fails_is_no_wrong_request(fault):
    class Pipeline:
        def run(self) -> None:
            raise fault

    with pytest.raises(OSError, match=r"could not be submitted to Dataflow \(.*try later.*\); run the same"):
        dataflow_job.submit(Pipeline(), "DataflowRunner")


def test_a_job_that_is_looked_for_in_vain_is_out_of_sight_or_forgotten(tmp_path, monkeypatch):
    request = Request(name="flowers", recipe_name="flowers", recipe={}, seed=0, copies=1)
    job = Job(project="my-project", region="us-central1", id="2026-1", name="flowers", request=request)
    output, engine = str(tmp_path), choose("DataflowRunner")
    (tmp_path / JOB).parent.mkdir()
    (tmp_path / JOB).write_text(job.model_dump_json())

    def follow(fault: Exception) -> None:
        def failing(*_: object) -> None:
            raise fault

        monkeypatch.setattr(dataflow_job, "_found", failing)
        engine.follow(engine.rejoin(request, output), output, lambda: None)

    for fault in (exceptions.ServiceUnavailable("try later"), OSError("no route")):
        with pytest.raises(OSError, match=r"^\[Errno 5\] job 2026-1 is out of sight \(.*; it goes on"):
            follow(fault)
        assert engine.rejoin(request, output)[0] == job
    with pytest.raises(JobFailed, match=r"^Dataflow knows job 2026-1 no longer; run"):
        follow(exceptions.NotFound("no such job"))
    assert engine.rejoin(request, output) is None
