"""Executes a job as Dataflow's service got it: `python -m tests.dataflow.worker JOB.json`.

The pipeline is read from where it was staged, and run on Beam's in-process runner with the options that
the job's description has for workers. In place of the image, which is not there, comes this environment.
"""

from __future__ import annotations

import hashlib
import json
import sys
from typing import Any

from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.portability import common_urns, python_urns
from apache_beam.portability.api import beam_runner_api_pb2
from apache_beam.runners.portability.fn_api_runner.fn_runner import FnApiRunner


def worker_options(job: str) -> dict[str, Any]:
    """What a job's description, as JSON, has for its workers."""
    # It has one kind of number, and the service gives back those of Python.
    described = json.loads(job, parse_float=lambda number: json.loads(number.removesuffix(".0")))
    return dict(described["environment"]["sdkPipelineOptions"]["options"])


def staged_pipeline(options: dict[str, Any]) -> beam_runner_api_pb2.Pipeline:
    """What was staged, whole: the description has its digest."""
    with FileSystems.open(options["pipelineUrl"]) as file:
        staged = file.read()
    assert hashlib.sha256(staged).hexdigest() == options["pipelineProtoHash"]
    return beam_runner_api_pb2.Pipeline.FromString(staged)


def main() -> None:
    with open(sys.argv[1], encoding="utf-8") as file:
        values = worker_options(file.read())
    options = PipelineOptions.from_dictionary(values)
    FileSystems.set_options(options)
    pipeline = staged_pipeline(values)
    for environment in pipeline.components.environments.values():
        assert environment.urn == common_urns.environments.DOCKER.urn
        environment.urn, environment.payload = python_urns.EMBEDDED_PYTHON, b""
    FnApiRunner().run_via_runner_api(pipeline, options).wait_until_finish()


if __name__ == "__main__":
    main()
