"""Asking for another runner: what is missing is said before anything is begun."""

from __future__ import annotations

import socket

import pytest

from augment.errors import RequestError
from pipelines.materialize import runners
from pipelines.materialize.launch import _failure


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
