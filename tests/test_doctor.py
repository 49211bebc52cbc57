"""`augshard doctor`, and completion in a shell."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from augment.kernels import canary
from pipelines import doctor
from tests.in_process import augshard


def rows(out: str) -> dict[str, str]:
    return {line[:13].strip(): line[13:] for line in out.splitlines()}


def test_where_all_is_well_it_says_so_with_versions():
    ended = augshard("doctor")
    assert ended.status == 0, ended.out
    found = rows(ended.out)
    assert found["verdict"] == "all that is needed works"
    kernels = len(canary.of_host())
    assert found["host"].startswith(f"{kernels} kernels, all as everywhere (numpy 2")
    assert found["device"].startswith(f"{kernels} kernels, all as everywhere (tensorflow 2")
    assert "as everywhere" in found["codecs"]
    assert found["job"].startswith("Beam 2")


def test_what_does_not_load_is_a_line_and_a_status(monkeypatch):
    def broken() -> Iterator[doctor.Part]:
        raise ImportError("libGL.so.1: cannot open shared object file")

    monkeypatch.setitem(doctor._NEEDED, "host", broken)
    monkeypatch.setitem(doctor._NEEDED, "device", lambda: iter([doctor.Part("", "fine")]))
    ended = augshard("doctor")
    assert ended.status == 1
    found = rows(ended.out)
    assert found["verdict"] == "not all that is needed works: host"
    assert "libGL.so.1: cannot open shared object file" in found["host"]


@pytest.mark.parametrize("there", [True, False])
def test_a_host_that_computes_something_else_is_named_with_what_takes_its_place(monkeypatch, there):
    monkeypatch.setattr(canary, "differences", lambda: ["warp_edge"])
    monkeypatch.setattr(doctor.importlib.util, "find_spec", lambda name: object() if there else None)
    [part] = doctor._host()
    assert part.state.startswith("warp_edge give other levels here than elsewhere")
    assert part.works == there
    assert ("TensorFlow takes their place" in part.state) == there


def test_what_is_not_installed_says_how_to_install_it():
    part = doctor._optional(doctor.Extra("X", "no_such.module", "no-such", "pip install no-such", "nothing"))
    assert part == ("X", "not installed; for nothing: pip install no-such", True)


def test_a_shell_completes_commands():
    asked = {"_AUGSHARD_COMPLETE": "complete_bash", "COMP_WORDS": "augshard mat", "COMP_CWORD": "1"}
    code = "import sys; sys.argv = ['augshard']; from pipelines.cli import main; main()"
    ended = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **asked}, capture_output=True, text=True, check=False
    )
    assert ended.stdout.split() == ["materialize"], ended.stderr
