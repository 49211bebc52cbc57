"""The default: Beam's in-process runner, asked for by its class.

A plain `DirectRunner` first tries to download another runner, and picks one by what the pipeline contains.
"""

from __future__ import annotations

import os
import shlex
import sys
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from augment.augmenter import CORES
from pipelines.engines.engine import Engine

if TYPE_CHECKING:
    import apache_beam as beam
    from apache_beam.options.pipeline_options import PipelineOptions
    from apache_beam.runners.runner import PipelineRunner


class Embedded(Engine):
    """In threads of this process, or in processes by --direct_running_mode=multi_processing."""

    in_memory = True

    def defaults(self, name: str, output: str) -> list[str]:
        """Workers in processes would report every step."""
        return ["--default_sdk_harness_log_level=ERROR"]

    def workers_a_machine(self) -> int:
        """Threads or processes, one unless more are asked for: at most one a core, for which 0 stands."""
        from apache_beam.options.pipeline_options import DirectOptions, PipelineOptions

        return _for_these_cores(PipelineOptions(self.arguments).view_as(DirectOptions).direct_num_workers)

    def create(self, options: PipelineOptions) -> PipelineRunner:
        """The runner, with options for its workers: those in processes would see none."""
        from apache_beam.options.pipeline_options import DirectOptions
        from apache_beam.portability.api import beam_provision_api_pb2
        from apache_beam.runners.portability.fn_api_runner import fn_runner
        from apache_beam.runners.portability.portable_runner import JobServiceHandle
        from apache_beam.transforms.environments import SubprocessSDKEnvironment

        direct, workers = options.view_as(DirectOptions), None
        if (asked := direct.direct_num_workers) > CORES:
            said = f"--direct_num_workers {asked}: there are {CORES}, one for each core"
            sys.stderr.write(f"augshard: {said}\n")
        direct.direct_num_workers = _for_these_cores(asked)
        encoded = JobServiceHandle.encode_pipeline_options(options.get_all_options())
        provision = beam_provision_api_pb2.ProvisionInfo(pipeline_options=encoded)
        if direct.direct_running_mode == "multi_processing":
            command = f"exec {shlex.quote(sys.executable)} -m pipelines.engines.worker {os.getpid()}"
            workers = SubprocessSDKEnvironment.from_command_string(command)
            direct.direct_running_mode = "in_memory"  # by which the runner leaves the choice of workers to us
        return fn_runner.FnApiRunner(workers, provision_info=fn_runner.ExtendedProvisionInfo(provision))

    def begin(self, pipeline: beam.Pipeline) -> Any:
        """In a thread: once it is interrupted, the runner waits for workers that nobody has told to stop."""
        return _InThread(pipeline)


def _for_these_cores(workers: int) -> int:
    """How many there are: each takes a second of a core to start, and one beyond the cores adds nothing."""
    return min(workers or CORES, CORES)


class _InThread:
    """A pipeline at work, which ends with this process."""

    def __init__(self, pipeline: beam.Pipeline) -> None:
        self._pipeline, self._end = pipeline, Future[None]()
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        try:
            self._pipeline.run().wait_until_finish()
        except BaseException as error:  # noqa: BLE001 (whatever a worker raised; it is raised again)
            self._end.set_exception(error)
        else:
            self._end.set_result(None)

    def wait_until_finish(self) -> None:
        """Raises what the runner raised."""
        self._end.result()

    def cancel(self) -> None:
        """Nothing is left to do."""
