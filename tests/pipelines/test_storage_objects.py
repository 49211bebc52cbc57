"""What holds in any object store, seen in one in memory; tests/e2e/test_stores.py has real ones."""

from __future__ import annotations

import json
import os
import platform
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import IO

import pytest

from augment.errors import RequestError
from augment.recipe import load_recipe
from pipelines import storage
from pipelines.format.layout import LOCK, PLAN, PROGRESS, WORK
from pipelines.format.request import Request
from pipelines.materialize.derive import Deriver, Member, PassingFault
from pipelines.materialize.lock import only_run
from pipelines.materialize.progress import ProgressBar
from pipelines.sources import check_root, place_in, read_source
from pipelines.storage import clients, lease, objects, store
from pipelines.storage.copies import Copies
from pipelines.storage.store import Status

OUT = "s3://bucket/out"


class Memory:
    """A store. A key's version counts its writings."""

    def __init__(self) -> None:
        self.objects: dict[str, tuple[bytes, int]] = {}
        self.reads = 0

    def list(self, bucket: str, prefix: str, *, deep: bool) -> Iterator[storage.Entry]:
        folders = set()
        for key, (content, version) in sorted(self.objects.items()):
            name = key.removeprefix(prefix)
            if not key.startswith(prefix):
                continue
            if deep or "/" not in name:
                yield storage.Entry(name, len(content), str(version))
            elif (folder := name.partition("/")[0]) not in folders:
                folders.add(folder)
                yield storage.Entry(folder, None, "")

    def status(self, bucket: str, key: str) -> Status | None:
        if key not in self.objects:
            return None
        content, version = self.objects[key]
        return Status(len(content), None, str(version))

    def read(self, bucket: str, key: str) -> bytes:
        self.reads += 1
        if key not in self.objects:
            raise store.missing("there is no such object")
        return self.objects[key][0]

    def read_part(self, bucket: str, key: str, offset: int, size: int) -> bytes:
        return self.read(bucket, key)[offset : offset + size]

    def write(self, bucket: str, key: str, content: bytes, sha256: str = "") -> None:
        self.objects[key] = content, self.objects.get(key, (b"", 0))[1] + 1

    def replace(self, bucket: str, key: str, content: bytes, version: str | None) -> str | None:
        status = self.status(bucket, key)
        if version != (status and status.version):
            return None
        self.write(bucket, key, content)
        return str(self.objects[key][1])

    def remove(self, bucket: str, keys: Sequence[str]) -> None:
        for key in keys:
            self.objects.pop(key, None)


@pytest.fixture
def memory(monkeypatch) -> Iterator[Memory]:
    """The store behind s3://."""
    made, kept = Memory(), Copies()
    monkeypatch.setattr(objects, "copies", lambda: kept)
    monkeypatch.setitem(clients.STORES, "s3", ("aws", lambda _: made))
    clients.forget()
    yield made
    clients.forget()


@pytest.mark.parametrize("bucket", ["{bucket}", "my bucket!", "-mine", "mine_"])
def test_what_can_be_no_bucket_is_named(bucket):
    with pytest.raises(RequestError, match="no bucket can be named") as error:
        check_root(f"gs://{bucket}/photos")
    assert str(error.value).startswith(f"gs://{bucket}/photos: ")
    assert clients.split("gs://a.b_c-1/photos") == ("gs", "a.b_c-1", "photos")


def test_of_many_threads_one_makes_the_client(monkeypatch):
    made = []

    def slow(_: object) -> Memory:
        made.append(1)
        time.sleep(0.05)
        return Memory()

    monkeypatch.setitem(clients.STORES, "s3", ("aws", slow))
    clients.forget()
    with ThreadPoolExecutor(8) as pool:
        assert len(set(map(id, pool.map(clients.store, ["s3"] * 8)))) == 1
    assert len(made) == 1
    clients.forget()


def test_a_part_of_an_object_is_read_alone(memory):
    memory.write("bucket", "out/a.tar", b"0123456789")
    assert read_source(OUT, place_in("a.tar", 2, 3)) == b"234"
    assert read_source(OUT, place_in("a.tar", 2, 0)) == b""
    with pytest.raises(OSError, match="it has no 3 bytes from byte 8 on, as it had when it was listed"):
        read_source(OUT, place_in("a.tar", 8, 3))


def test_objects_that_mark_a_folder_are_no_files(memory):
    for name, content in {"out/": b"", "out/cat/": b"", "out/cat/a.png": b"a", "out/cat/empty": b""}.items():
        memory.write("bucket", name, content)
    assert sorted(storage.at(OUT).tree(without=WORK)) == ["cat/a.png", "cat/empty"]
    assert storage.at(OUT).names() == {"cat"}
    storage.at(OUT).remove()
    assert memory.objects == {}
    memory.write("bucket", "out/", b"")
    assert storage.at(OUT).names() == set()


def test_expired_credentials_reject_no_image():
    fault = store.no_credentials("ExpiredToken")
    recipe = load_recipe("flowers").canonical()
    request = Request(name="x", recipe_name="flowers", recipe=recipe, seed=0, copies=1)
    deriver = Deriver(request, ["cat"], "s3://bucket")
    with pytest.raises(PassingFault, match="takes no credentials that are here"):
        deriver.derive([Member("cat/a.jpg", "cat", fault)], [0])


def held(**changes: object) -> bytes:
    """What the lock of a run that is no more says, on this machine."""
    gone = 2**22 + 1  # more than Linux numbers
    return json.dumps({**lease._machine(), "process": gone, **changes}).encode()


class Clock:
    """The clock of a machine that does nothing but wait; `then` is called at each moment."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.then: Callable[[], object] = lambda: None

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.then()


@pytest.fixture
def clock(monkeypatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(lease, "time", clock)
    return clock


OTHERS = [{"host": "elsewhere"}, {"boot": "another"}, {"processes": "pid:[1]"}, {"process": os.getpid()}]


@pytest.mark.skipif("processes" not in lease._machine(), reason="needs Linux's /proc")
@pytest.mark.parametrize("changes", OTHERS)
def test_only_a_process_that_surely_died_is_replaced_at_once(changes, memory, clock, capsys):
    memory.write("bucket", f"out/{WORK}/{LOCK}", held(**changes))
    with only_run(OUT):
        assert clock.now >= 1000 + lease.STALE
    assert f"augshard: output {OUT}: another run has it (process " in capsys.readouterr().err
    began = clock.now
    memory.write("bucket", f"out/{WORK}/{LOCK}", held())
    with only_run(OUT):
        assert clock.now == began
    assert memory.objects == {}


def test_a_lock_that_is_renewed_is_another_runs(memory, clock):
    key, lock = f"out/{WORK}/{LOCK}", held(host="elsewhere")
    memory.write("bucket", key, lock)
    clock.then = lambda: clock.now < 1000 + lease.RENEWED or memory.write("bucket", key, lock)
    with pytest.raises(RequestError, match=r"another run is writing to it .* on elsewhere"), only_run(OUT):
        pass
    assert 1000 + lease.RENEWED <= clock.now < 1000 + 2 * lease.RENEWED
    assert memory.objects[key][0] == lock


def test_a_lock_that_goes_while_it_is_watched_is_taken(memory, clock):
    memory.write("bucket", f"out/{WORK}/{LOCK}", held(host="elsewhere"))
    clock.then = memory.objects.clear
    with only_run(OUT):
        assert clock.now == 1000 + lease.LOOK


def test_of_two_that_watch_a_lock_of_nobodys_one_takes_it(memory, clock):
    key = f"out/{WORK}/{LOCK}"
    memory.write("bucket", key, held(host="elsewhere"))

    def taken_last() -> None:
        if clock.now >= 1000 + lease.STALE:
            memory.write("bucket", key, held(host="another", token="another"))

    clock.then = taken_last
    with pytest.raises(RequestError, match="another run is writing to it"), only_run(OUT):
        pass


def test_a_lock_by_host_name_alone_is_waited_for(memory, clock):
    said = {"host": platform.node(), "process": 2**22 + 1}
    memory.write("bucket", f"out/{WORK}/{LOCK}", json.dumps(said).encode())
    with only_run(OUT):
        assert clock.now >= 1000 + lease.STALE


def test_a_lock_that_was_copied_from_a_disk_is_nobodys(memory):
    memory.write("bucket", f"out/{PLAN}", b"{}")
    memory.write("bucket", f"out/{WORK}/{LOCK}", b"")
    with only_run(OUT):
        assert json.loads(storage.at(OUT).read(f"{WORK}/{LOCK}"))["process"] == os.getpid()
    assert list(memory.objects) == [f"out/{PLAN}"]


def test_a_lock_that_goes_while_it_is_looked_at_is_taken(memory, monkeypatch):
    memory.write("bucket", f"out/{WORK}/{LOCK}", held())
    real = memory.read

    def read(bucket: str, key: str) -> bytes:
        memory.objects.pop(key)
        monkeypatch.setattr(memory, "read", real)
        return real(bucket, key)

    monkeypatch.setattr(memory, "read", read)
    with only_run(OUT):
        assert storage.at(OUT).size(f"{WORK}/{LOCK}")


def wait_until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_a_lost_answer_to_a_renewal_gives_up_no_lock(memory, monkeypatch):
    """The store did what was asked, and refuses it when the client asks again."""
    monkeypatch.setattr(lease, "RENEWED", 0.01)
    monkeypatch.setattr(lease.os, "_exit", lambda _: pytest.fail("the run ended"))
    real, lost = memory.replace, []

    def replace(bucket: str, key: str, content: bytes, version: str | None) -> str | None:
        answer = real(bucket, key, content, version)
        if answer and len(lost) < 3:  # the first is that to taking it
            lost.append(answer)
            return None
        return answer

    monkeypatch.setattr(memory, "replace", replace)
    with only_run(OUT):
        wait_until(lambda: memory.objects[f"out/{WORK}/{LOCK}"][1] > 6)
        assert len(lost) == 3
    assert memory.objects == {}


def test_a_run_whose_lock_was_taken_over_ends_and_leaves_it(memory, monkeypatch, capfd):
    ended: list[int] = []
    gone = threading.Event()

    def leave(status: int) -> None:
        ended.append(status)
        gone.set()

    monkeypatch.setattr(lease, "RENEWED", 0.01)
    monkeypatch.setattr(lease.os, "_exit", leave)
    other = held(host="elsewhere", token="another")
    with only_run(OUT):
        memory.write("bucket", f"out/{WORK}/{LOCK}", other)
        assert gone.wait(20)
    assert ended[0] == 1
    assert memory.objects[f"out/{WORK}/{LOCK}"][0] == other
    assert f"augshard: output {OUT}: this run's lock is gone" in capfd.readouterr().err


def test_a_store_that_fails_at_the_end_does_not_hide_how_the_run_ended(memory, monkeypatch):
    def fails(*_: object) -> None:
        raise store.failed(OSError("gone"))

    monkeypatch.setattr(memory, "remove", fails)
    with pytest.raises(KeyboardInterrupt), only_run(OUT):
        raise KeyboardInterrupt


def test_without_a_terminal_no_notes_are_read(memory, monkeypatch):
    monkeypatch.setattr("pipelines.storage.objects.Objects.look_every", 0.005)
    for group in range(20):
        memory.write("bucket", f"out/{PROGRESS}/{group}", b"5")
    with ProgressBar(OUT, lambda _: None) as bar:
        time.sleep(0.05)
    assert bar._notes == {}


def test_the_end_of_a_run_does_not_wait_for_notes(memory):
    for group in range(20):
        memory.write("bucket", f"out/{PROGRESS}/{group}", b"5 1")
    bar = ProgressBar(OUT, lambda _: None)
    assert bar._samples() == (100, 20)
    for group in range(20):
        memory.write("bucket", f"out/{PROGRESS}/{group}", b"9 1")
    bar._stop.set()
    assert bar._samples() == (100, 20)
    assert memory.reads == 20


def test_a_lock_that_is_written_anew_never_has_the_contents_that_it_had(memory, monkeypatch):
    """What some stores call a version follows from the contents."""
    monkeypatch.setattr(lease, "RENEWED", 0.001)
    seen: list[bytes] = []
    real = memory.write

    def write(bucket: str, key: str, content: bytes, sha256: str = "") -> None:
        seen.append(content)
        real(bucket, key, content, sha256)

    monkeypatch.setattr(memory, "write", write)
    with only_run(OUT):
        wait_until(lambda: len(seen) > 5)
    assert len(set(seen)) == len(seen)


def test_a_copy_is_brought_once_for_each_version(memory):
    brought: list[str] = []

    def download(bucket: str, key: str, version: str, file: IO[bytes]) -> None:
        brought.append(version)
        file.write(memory.objects[key][0])

    memory.download = download
    out = storage.at(OUT)
    out.write("shard", b"before")
    versions = out.bring(["shard"], 6)
    for _ in range(2):
        with out.open("shard") as file:
            assert file.read() == b"before"
    out.write("shard", b"after")
    with out.open("shard") as file:
        assert file.read() == b"after"
    with out.open("shard", version=versions["shard"]) as file:
        assert file.read() == b"before"
    assert brought == ["1", "2"]
    with pytest.raises(OSError, match="it was replaced meanwhile") as error:
        out.open("shard", version="0")
    assert error.value.filename == f"{OUT}/shard"


def test_an_object_that_is_replaced_on_its_way_is_brought_anew(memory):
    def download(bucket: str, key: str, version: str, file: IO[bytes]) -> None:
        if version == "1":
            memory.write(bucket, key, b"after")
            raise store.replaced()
        file.write(memory.objects[key][0])

    memory.download = download
    storage.at(OUT).write("shard", b"before")
    with storage.at(OUT).open("shard") as file:
        assert file.read() == b"after"
