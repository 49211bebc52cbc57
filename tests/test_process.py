"""How a command speaks and ends, whatever becomes of its terminal, its readers and itself."""

from __future__ import annotations

import gc
import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable

import psutil
import pytest
from PIL import Image

from pipelines import process

STARTS = (
    "import signal, sys, time; signal.signal(signal.SIGINT, signal.default_int_handler); "
    "from pipelines import cli, process; sys.argv = ['augshard', *{words!r}]; "
)
WAITS = "print('begun', flush=True); time.sleep(60)"


@pytest.fixture
def start() -> Callable[..., subprocess.Popen]:
    """Starts a command whose work is the given Python, by way of a shell if there are redirections."""

    def started(work: str, *words: str, redirected: str = "", **environment: str) -> subprocess.Popen:
        code = STARTS.format(words=words) + f"cli.app = lambda words: exec({work!r}); cli.main()"
        return subprocess.Popen(
            ["bash", "-c", f'exec "$@" {redirected}', "", sys.executable, "-c", code],
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return started


INTERRUPTED = f"try:\n  {WAITS}\nexcept KeyboardInterrupt:\n  sys.exit(130)"  # as typer has it


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_a_signal_stops_every_command_with_a_word(start, number, status):
    for command, more in (("audit", ""), ("train", "; run the same command again to go on")):
        running = start(INTERRUPTED, command)
        assert running.stdout.readline() == "begun\n"
        running.send_signal(number)
        assert running.communicate(timeout=30) == ("", f"augshard: stopped{more}\n")
        assert running.returncode == status


def test_a_signal_that_cuts_an_import_short_is_no_error(start):
    running = start(f"try:\n  {WAITS}\nexcept KeyboardInterrupt:\n  raise ImportError('cut short')", "audit")
    assert running.stdout.readline() == "begun\n"
    running.terminate()
    assert running.communicate(timeout=30)[1] == "augshard: stopped\n"
    assert running.returncode == 143


def test_a_second_signal_ends_at_once_but_not_one_that_comes_with_the_first(start):
    work = f"try:\n  {WAITS}\nexcept KeyboardInterrupt:\n  print('told', flush=True); time.sleep(60)"
    running = start(f"process._AT_ONCE = 0.5\n{work}", "materialize")
    assert running.stdout.readline() == "begun\n"
    running.terminate()
    assert running.stdout.readline() == "told\n"
    running.terminate()  # as `timeout` does
    time.sleep(0.6)
    assert running.poll() is None
    running.terminate()
    assert running.communicate(timeout=30) == ("", "")
    assert running.returncode == 143


def test_a_signal_that_a_shell_has_turned_off_stays_off():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with process.signals():
            os.kill(os.getpid(), signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


def test_signals_go_by_way_of_who_handles_ctrl_c_by_then():
    told: list[int] = []
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with process.signals() as stopped:
        first = signal.getsignal(signal.SIGINT)

        def end_server(number: int, frame: object) -> None:  # as Beam does it
            told.append(number)
            first(number, frame)

        signal.signal(signal.SIGINT, end_server)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGTERM)
    assert (told, stopped.status) == ([signal.SIGTERM], 143)
    assert signal.getsignal(signal.SIGINT) != end_server


@pytest.mark.parametrize(
    "redirected", [">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-", "| head -c 0", "2> /dev/full"]
)
def test_work_is_done_and_its_status_true_whoever_reads(start, tmp_path, redirected):
    done = tmp_path / "done"
    work = (
        f"sys.stderr.write('listing\\n'); file = open({str(done)!r}, 'w')\n"
        "for _ in range(3): print('x' * 100_000); sys.stderr.write('y' * 100_000)\n"
        "file.write(str(file.fileno())); file.close(); sys.exit(7)"
    )
    piped = "|" in redirected
    code = STARTS.format(words=()) + f"cli.app = lambda words: exec({work!r}); cli.main()"
    shell = f'"$@" {redirected}' + ("; exit ${PIPESTATUS[0]}" if piped else "")
    ended = subprocess.run(
        ["bash", "-c", shell, "", sys.executable, "-c", code], capture_output=True, text=True
    )
    assert ended.returncode == 7, ended.stderr
    assert int(done.read_text()) > 2  # what is printed goes to no file of ours
    assert "Traceback" not in ended.stderr
    assert "Exception ignored" not in ended.stderr


def test_what_a_full_disk_does_not_take_is_said(start):
    ended = start("print('the verdict')", "audit", redirected="> /dev/full")
    assert ended.communicate(timeout=30) == ("", "augshard: standard output: no space left on device\n")
    assert ended.returncode == 1


@pytest.mark.parametrize(("encoding", "shown"), [("ascii", r"caf\xe9 \u65e5"), ("latin-1", "café \\u65e5")])
def test_a_terminal_that_cannot_show_a_name_shows_its_characters_numbers(start, encoding, shown):
    ended = start(
        "print('café 日', chr(0xdcff)); print('日', file=sys.stderr)", "audit", PYTHONIOENCODING=encoding
    )
    ended.stdout.reconfigure(encoding=encoding)
    out, err = ended.communicate(timeout=30)
    assert (out, err) == (f"{shown} \\udcff\n", "\\u65e5\n")


def test_what_libraries_say_of_a_file_without_its_name_is_not_shown(capfd):
    packed = io.BytesIO()
    Image.effect_noise((64, 64), 90).save(packed, "TIFF", compression="tiff_lzw")
    broken = packed.getvalue()[:2000] + bytes(200) + packed.getvalue()[2200:]

    def decode() -> None:
        with pytest.raises(OSError, match="decoder error"):
            Image.open(io.BytesIO(broken)).load()

    decode()
    assert "LZWDecode" in capfd.readouterr().err
    with process.streams():
        decode()
    assert capfd.readouterr().err == ""


def test_where_python_crashed_is_shown(start):
    ended = start("__import__('os').abort()", "audit")
    _, err = ended.communicate(timeout=30)
    assert err.startswith("Fatal Python error: Aborted")
    assert ended.returncode == -signal.SIGABRT


def test_a_worker_ends_once_its_launcher_is_no_more():
    child = (
        "import sys; from pipelines.engines.worker import end_with; print(flush=True); "
        "end_with(int(sys.argv[1]))"
    )
    launches = (
        "import os, subprocess, sys; words = [sys.executable, '-c', sys.argv[1], str(os.getpid())]; "
        "made = subprocess.Popen(words, stdout=subprocess.PIPE); made.stdout.readline(); "
        "print(made.pid, flush=True); made.wait()"
    )
    launcher = subprocess.Popen([sys.executable, "-c", launches, child], stdout=subprocess.PIPE, text=True)
    worker = psutil.Process(int(launcher.stdout.readline()))
    launcher.kill()
    launcher.communicate()
    worker.wait(timeout=30)


def test_what_is_typed_is_utf_8_whatever_the_locale():
    old = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONIOENCODING"} | old
    ended = subprocess.run(
        [sys.executable, "-m", "pipelines.cli", "recipes", "\u0440\U0001f337"],
        env=environment,
        capture_output=True,
        check=False,
    )
    assert ended.returncode == 2
    assert ended.stderr.startswith(rb"augshard: there is no preset '\u0440\U0001f337';")


def test_garbage_is_looked_for_once_a_start_is_over():
    assert gc.isenabled()
    with process.starting():
        assert not gc.isenabled()
        process.started()
        assert gc.isenabled()
        assert gc.get_freeze_count() > 0
    assert gc.isenabled()
    assert gc.get_freeze_count() == 0
    process.started()
    assert gc.get_freeze_count() == 0
    with pytest.raises(OSError, match="full"), process.starting():
        raise OSError("full")
    assert gc.isenabled()
