"""Asking for another runner: what is missing is said before anything is begun."""

from __future__ import annotations

import errno
import socket

import pytest
from apache_beam.runners.runner import PipelineResult, PipelineState

from augment.errors import RequestError
from pipelines import storage
from pipelines.materialize import launch, progress, runners
from pipelines.materialize.commit import Run
from pipelines.materialize.launch import JobFailed, _failure


def test_a_job_server_that_is_not_there_is_named():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    with pytest.raises(RequestError) as error:
        runners.check_runner("FlinkRunner", [f"--job_endpoint=127.0.0.1:{port}"])
    assert str(error.value) == (
        f"--job_endpoint 127.0.0.1:{port}: no job server answers there (connection refused); start one, "
        "and give its HOST:PORT (see docs/runners.md)"
    )
    for wrong in ("here", ":8099", "localhost:99999", "http://localhost:8099/"):
        with pytest.raises(RequestError, match="it must be HOST:PORT, such as localhost:8099"):
            runners.check_runner("FlinkRunner", ["--job_endpoint", wrong])


def test_flink_without_a_job_server_needs_java_and_a_jar(tmp_path, monkeypatch):
    launcher = tmp_path / "java"
    asked = [f"--job_server_java_launcher={launcher}", "--flink_job_server_jar", str(tmp_path / "none.jar")]
    with pytest.raises(RequestError, match=r"no '.*java' to run it; install Java .*--job_endpoint"):
        runners.check_runner("FlinkRunner", asked)
    launcher.touch(mode=0o755)
    with pytest.raises(RequestError, match=r"none\.jar: there is no such file; give a jar, or its URL"):
        runners.check_runner("FlinkRunner", asked)
    (tmp_path / "none.jar").touch()
    runners.check_runner("FlinkRunner", asked)


def test_what_cannot_be_downloaded_is_a_wrong_request(tmp_path):
    failure = _failure("Unable to fetch remote prism binary at https://x/y: <urlopen error>", str(tmp_path))
    assert isinstance(failure, RequestError)
    assert str(failure).startswith("--runner: Unable to fetch remote prism binary at https://x/y")


def test_the_user_has_the_last_word_on_how_long_flink_keeps_workers():
    kept = "environment_cache_millis"
    for arguments, expected in ((), "5000"), (("--environment_cache_millis", "0"), "0"):
        _, options = runners.create("FlinkRunner", arguments)
        assert options.get_all_options()[kept] == expected


def test_a_broken_connection_is_summed_up():
    class Broken(Exception):
        def details(self) -> str:
            return "Socket closed"

    assert runners.message(Broken()) == "the connection to the job server broke (Socket closed)"
    assert runners.message(ValueError()) == "ValueError"


@pytest.fixture
def silent_store(monkeypatch) -> None:
    """Nothing can be written any more."""

    def silent(*_: object) -> None:
        raise OSError(errno.EHOSTUNREACH, "The store does not answer")

    monkeypatch.setattr(storage.Local, "write", silent)


@pytest.mark.usefixtures("silent_store")
def test_what_a_worker_said_is_not_lost_to_a_store_that_does_not_answer(tmp_path, monkeypatch):
    class Pipeline:
        def run(self) -> None:
            raise RuntimeError("Traceback\n  in a worker\nPassingFault: cat/1.jpg")

    monkeypatch.setattr(launch, "_build", lambda *_: (None, Pipeline()))
    run = Run(input="", output=str(tmp_path), max_rejects=0, about={}, began=0)
    with pytest.raises(JobFailed) as error:
        launch._run_pipeline(None, run, None, "embedded", ())
    assert str(error.value) == (
        "PassingFault: cat/1.jpg (the whole error could not be kept: the store does not answer)"
    )


@pytest.mark.usefixtures("silent_store")
def test_ctrl_c_ends_a_job_whose_store_does_not_answer(tmp_path):
    class Job(PipelineResult):
        cancelled = False

        def wait_until_finish(self) -> None:
            raise KeyboardInterrupt

        def cancel(self) -> None:
            self.cancelled = True

    job = Job(PipelineState.RUNNING)
    with pytest.raises(KeyboardInterrupt):
        runners.wait(job, lambda: progress.stop(str(tmp_path)))
    assert job.cancelled
