"""Files and locks on a disk. What outlasts a loss of power, tests/e2e/test_disk_faults.py tries."""

from __future__ import annotations

import errno
import fcntl
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from augment.errors import RequestError
from pipelines import storage
from pipelines.format.layout import LOCK, PLAN, WORK
from pipelines.materialize.lock import only_run
from pipelines.storage import disk, flock
from pipelines.train import output as training
from tests.disk_faults import watched

HOLDERS = [only_run, training.locked_output]


def steps_of(action) -> list[tuple[str, str]]:
    steps: list[tuple[str, str]] = []
    with watched(lambda kind, path: steps.append((kind, os.path.basename(path)))):
        action()
    return steps


def test_a_file_is_synced_before_it_has_its_name_and_its_name_after(tmp_path):
    out = storage.at(str(tmp_path))
    out.write("a", "")
    *_, synced, renamed, settled = steps_of(lambda: out.write("b", "ä"))
    assert synced == ("sync", renamed[1])
    assert renamed[0] == "rename"
    assert settled == ("sync", tmp_path.name)
    assert (tmp_path / "b").read_bytes() == "ä".encode()


def test_folders_are_made_so_that_they_last(tmp_path):
    made = steps_of(lambda: disk.make_folders(str(tmp_path / "a/b")))
    assert made == [("make_folder", "a"), ("sync", tmp_path.name), ("make_folder", "b"), ("sync", "a")]
    assert steps_of(lambda: disk.make_folders(str(tmp_path / "a/b"))) == []


def test_a_file_that_fails_while_it_is_written_leaves_what_was_there(tmp_path):
    out = storage.at(str(tmp_path))
    out.write("a", "old")
    with pytest.raises(TypeError), out.writing("a") as file:
        file.writelines([b"new", "which is no bytes"])
    assert out.read("a") == b"old"
    assert list(out.tree()) == ["a"]


def test_a_fault_in_syncing_names_the_file_and_a_file_system_that_syncs_no_folders_will_do(
    tmp_path, monkeypatch
):
    def fails(number: int) -> None:
        def fsync(_: int) -> None:
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr(os, "fsync", fsync)

    fails(errno.EIO)
    with pytest.raises(OSError, match="Input/output error") as error:
        disk.sync(str(tmp_path))
    assert error.value.filename == str(tmp_path)
    fails(errno.EINVAL)
    disk.sync(str(tmp_path))


def test_a_directory_is_listed_with_sizes_and_versions(tmp_path):
    out = storage.at(str(tmp_path))
    out.write("a/b/c", "123")
    out.write("d", "")
    assert sorted(entry[:2] for entry in out.list()) == [("a/b/c", 3), ("d", 0)]
    assert sorted(entry[:2] for entry in out.list("a", deep=False)) == [("b", None)]
    before = {entry.name: entry.version for entry in out.list()}
    out.write("d", "1")
    after = {entry.name: entry.version for entry in out.list()}
    assert before["a/b/c"] == after["a/b/c"]
    assert before["d"] != after["d"]
    assert list(out.list("none")) == []
    assert (out.names("a"), out.names("none")) == ({"b"}, set())
    assert out.sizes(["d", "none"]) == {"d": 1, "none": None}


def test_a_folder_that_goes_while_it_is_looked_at_has_no_names(tmp_path, monkeypatch):
    (tmp_path / "out").mkdir()
    real = os.path.isdir

    def and_then_it_goes(path: str) -> bool:
        there = real(path)
        os.rmdir(path)
        return there

    monkeypatch.setattr(os.path, "isdir", and_then_it_goes)
    assert storage.at(str(tmp_path / "out")).names() == set()


def test_what_is_removed_is_not_what_links_lead_to(tmp_path):
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs/thesis").touch()
    out = storage.at(str(tmp_path / "out"))
    out.write("folder/file", "")
    (tmp_path / "out/folder/link").symlink_to(tmp_path / "theirs")
    out.remove_empty("folder")
    assert out.names("folder") == {"file", "link"}
    out.remove("folder")
    out.remove("folder")
    assert out.names() == {".unfinished"}
    assert (tmp_path / "theirs/thesis").exists()


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "shard")
    with pytest.raises(OSError, match="it is a pipe, a socket or a device"):
        storage.at(str(tmp_path)).open("shard")


@pytest.mark.parametrize("only", HOLDERS)
def test_of_many_that_want_an_output_one_has_it_at_a_time(tmp_path, only):
    output, inside = str(tmp_path / "out"), tmp_path / "inside"

    def tries(_: int) -> int:
        held = 0
        for _ in range(100):
            try:
                with only(output):
                    os.close(os.open(inside, os.O_CREAT | os.O_EXCL))
                    held += 1
                    os.unlink(inside)
            except RequestError as error:
                assert "another run is writing to it; wait for its end" in str(error)  # noqa: PT017
        return held

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(tries, range(4))) > 0
    assert list(storage.at(output).tree()) == []


@pytest.mark.parametrize("only", HOLDERS)
def test_a_lock_whose_file_is_removed_before_it_is_locked_is_taken_anew(tmp_path, monkeypatch, only):
    output = str(tmp_path / "out")
    before = only(output)
    before.__enter__()
    real = fcntl.flock

    def flock_late(handle: int, how: int) -> None:
        monkeypatch.setattr(flock.fcntl, "flock", real)
        before.__exit__(None, None, None)
        real(handle, how)

    monkeypatch.setattr(flock.fcntl, "flock", flock_late)
    with only(output), pytest.raises(RequestError, match="another run is writing to it"), only(output):
        pass
    assert not os.path.exists(output)


@pytest.mark.parametrize("only", HOLDERS)
@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS])
def test_a_file_system_without_locks_is_no_other_run(tmp_path, monkeypatch, only, number):
    def without(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(flock.fcntl, "flock", without)
    with pytest.raises(RequestError, match="its file system has no locks") as error, only(str(tmp_path)):
        pass
    assert os.strerror(number).lower() in str(error.value).lower()
    assert "another run" not in str(error.value)


@pytest.mark.parametrize("only", HOLDERS)
def test_an_output_that_cannot_be_written_to_is_no_other_run(tmp_path, monkeypatch, only):
    def refused(*_: object) -> int:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(flock.os, "open", refused)
    with (
        pytest.raises(RequestError, match=r"it cannot be written to \(read-only file system\)"),
        only(str(tmp_path / "out")),
    ):
        pass


def test_a_run_that_is_to_be_resumed_keeps_its_work_and_no_lock(tmp_path):
    output = str(tmp_path / "out")
    with only_run(output):
        storage.at(output).write(PLAN, "{}")
        assert LOCK in storage.at(output).names(WORK)
    assert storage.at(output).size(PLAN) == 2
    assert LOCK not in storage.at(output).names(WORK)
    Path(output, PLAN).unlink()
    with only_run(output):
        pass
    assert storage.at(output).names() == set()
