"""Asking for another runner: what is missing is said before anything is begun."""

from __future__ import annotations

import copy
import errno
import socket

import pytest
from apache_beam.options.pipeline_options import DirectOptions, PipelineOptions, StandardOptions
from apache_beam.runners.runner import PipelineResult, PipelineState

from augment.errors import RequestError
from pipelines import storage
from pipelines.engines import choose, embedded
from pipelines.engines.engine import Engine, JobFailed
from pipelines.engines.options import Options
from pipelines.materialize import launch, progress


class Broken:
    """A pipeline that fails in its runner, and names it."""

    runner = None

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def run(self) -> None:
        raise self.error


def check_flink(arguments: list[str]) -> None:
    choose("FlinkRunner", arguments).check({}, ())


def failure(error: BaseException) -> BaseException:
    """What following a pipeline raises whose runner raises this."""
    with pytest.raises(type(error) if not isinstance(error, Exception) else Exception) as raised:
        choose().follow(Broken(error), "", lambda: None)
    return raised.value


@pytest.mark.parametrize(("asked", "there"), [(0, 3), (1, 1), (3, 3), (9, 3)])
def test_there_are_as_many_workers_as_are_asked_for_but_no_more_than_cores(asked, there, monkeypatch, capsys):
    monkeypatch.setattr(embedded, "CORES", 3)
    engine = choose("embedded", [f"--direct_num_workers={asked}"])
    assert engine.workers_a_machine() == there
    assert engine.pipeline("x", "/y").options.view_as(DirectOptions).direct_num_workers == there
    said = "augshard: --direct_num_workers 9: there are 3, one for each core\n" if asked == 9 else ""
    assert capsys.readouterr().err == said


def test_a_job_server_that_is_not_there_is_named():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    with pytest.raises(RequestError) as error:
        check_flink([f"--job_endpoint=127.0.0.1:{port}"])
    assert str(error.value) == (
        f"--job_endpoint 127.0.0.1:{port}: no job server answers there (connection refused); start one, "
        "and give its HOST:PORT (see docs/runners.md)"
    )
    for wrong in ("here", ":8099", "localhost:99999", "http://localhost:8099/"):
        with pytest.raises(RequestError, match="it must be HOST:PORT, such as localhost:8099"):
            check_flink(["--job_endpoint", wrong])


def test_flink_without_a_job_server_needs_java_and_a_jar(tmp_path, monkeypatch):
    launcher = tmp_path / "java"
    asked = [f"--job_server_java_launcher={launcher}", "--flink_job_server_jar", str(tmp_path / "none.jar")]
    with pytest.raises(RequestError, match=r"no '.*java' to run it; install Java .*--job_endpoint"):
        check_flink(asked)
    launcher.touch(mode=0o755)
    with pytest.raises(RequestError, match=r"none\.jar: there is no such file; give a jar, or its URL"):
        check_flink(asked)
    (tmp_path / "none.jar").touch()
    check_flink(asked)


def test_what_cannot_be_downloaded_is_a_wrong_request():
    said = failure(RuntimeError("Unable to fetch remote prism binary at https://x/y: <urlopen error>"))
    assert isinstance(said, RequestError)
    assert str(said).startswith("--runner: Unable to fetch remote prism binary at https://x/y")


def test_the_user_has_the_last_word_on_how_long_flink_keeps_workers():
    kept = "environment_cache_millis"
    for arguments, expected in ((), "5000"), (("--environment_cache_millis", "0"), "0"):
        options = choose("FlinkRunner", arguments).pipeline("cars", "out").options
        assert options.get_all_options()[kept] == expected


def test_a_runner_is_asked_for_as_beam_knows_it():
    for name in ("DataflowRunner", "dataflowrunner", "apache_beam.runners.dataflow.DataflowRunner"):
        assert not choose(name).workers_here
    for name in ("embedded", "FlinkRunner"):
        assert choose(name).workers_here


def test_a_broken_connection_is_summed_up():
    class Lost(Exception):
        def details(self) -> str:
            return "Socket closed"

    assert failure(Lost()).details == "the connection to the job server broke (Socket closed)"
    assert failure(ValueError()).details == "ValueError"


@pytest.fixture
def silent_store(monkeypatch) -> None:
    """Nothing can be written any more."""

    def silent(*_: object) -> None:
        raise OSError(errno.EHOSTUNREACH, "The store does not answer")

    monkeypatch.setattr(storage.Local, "write", silent)


@pytest.mark.usefixtures("silent_store")
def test_what_a_worker_said_is_not_lost_to_a_store_that_does_not_answer(tmp_path):
    said = RuntimeError("Traceback\n  in a worker\nPassingFault: cat/1.jpg")
    with pytest.raises(JobFailed) as error:
        launch._come_of(choose(), Broken(said), "in", str(tmp_path), lambda _: None)
    assert str(error.value) == (
        "PassingFault: cat/1.jpg (the whole error could not be kept: the store does not answer)"
    )


@pytest.mark.usefixtures("silent_store")
@pytest.mark.parametrize("error", [KeyboardInterrupt(), RuntimeError("a worker says: KeyboardInterrupt")])
def test_ctrl_c_ends_a_job_whose_store_does_not_answer(tmp_path, error):
    class Job(PipelineResult):
        cancelled = False

        def wait_until_finish(self) -> None:
            raise error

        def cancel(self) -> None:
            self.cancelled = True

    class Pipeline:
        runner = None
        job = Job(PipelineState.RUNNING)

        def run(self) -> Job:
            return self.job

    with pytest.raises(KeyboardInterrupt):
        choose("FlinkRunner").follow(Pipeline(), "", lambda: progress.stop(str(tmp_path)))
    assert Pipeline.job.cancelled


def test_a_job_without_a_word_is_a_failure(tmp_path):
    class Silent(Engine):
        def follow(self, *_: object) -> None:
            pass

    with pytest.raises(JobFailed, match=r"^x says that the job is done, and it left no word of its own$"):
        launch._come_of(Silent("x", ()), None, "in", str(tmp_path), lambda _: None)


def test_a_look_at_options_sees_what_another_set_and_a_copy_is_apart():
    options = Options(["--runner=FnApiRunner", "--parallelism=3"])
    options.view_as(StandardOptions).streaming = True
    copied = copy.deepcopy(options)
    copied.view_as(StandardOptions).streaming = False
    assert options.view_as(StandardOptions) is options.view_as(StandardOptions)
    assert options.view_as(StandardOptions).streaming is True
    assert copied.view_as(StandardOptions).streaming is False
    plain = PipelineOptions(["--runner=FnApiRunner", "--parallelism=3"])
    plain.view_as(StandardOptions).streaming = True
    assert options.get_all_options() == plain.get_all_options()
