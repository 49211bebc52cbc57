"""Whole runs on object stores: the same bytes as on a disk, from anywhere to anywhere, whatever happens."""

from __future__ import annotations

import contextlib
import hashlib
import http.server
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from augment.errors import RequestError
from augment.recipe import load_recipe
from pipelines import datasets, files, stores
from pipelines.format.layout import LOCK, MANIFEST, RUN, WORK
from pipelines.format.manifest import read_manifest
from pipelines.materialize.lock import _machine
from pipelines.sources import Folder, Listing, list_folder, top_folders
from tests import emulators

pytestmark = [
    pytest.mark.stores,
    pytest.mark.skipif(bool(emulators.missing()), reason=f"needs {', '.join(emulators.missing())}"),
]

SCHEMES = ("s3", "gs")


@pytest.fixture(scope="module", autouse=True)
def emulated(tmp_path_factory) -> Iterator[dict[str, str]]:
    """Both stores, with a bucket each, in the environment of this module's tests."""
    patch = pytest.MonkeyPatch()
    with emulators.running(tmp_path_factory.mktemp("stores")) as environment:
        for name, value in environment.items():
            patch.setenv(name, value)
        stores.forget()
        for scheme in SCHEMES:
            emulators.make_bucket(scheme, "data")
        yield environment
    patch.undo()
    stores.forget()


@pytest.fixture
def new_clients() -> Iterator[None]:
    """For a test that changes what clients are made of."""
    stores.forget()
    yield
    stores.forget()


@pytest.fixture(scope="module")
def messy(tmp_path_factory, images) -> Path:
    """The small tree, with files that are ignored or rejected, and names that are not plain."""
    root = tmp_path_factory.mktemp("messy") / "images"
    root.mkdir()
    for path in sorted(images.rglob("*.*")):
        target = root / path.relative_to(images)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    some = (images / "train/cat/000.png").read_bytes()
    for name, content in {
        "train/cat/deep/er/ä ö%20+#?&=~.png": some,
        "train/cat/empty.png": b"",
        "train/cat/.hidden.png": some,
        "train/dog/.git/objects/x.png": some,
        "train/.git/x.png": some,
        ".git/x.png": some,
        "train/stray.png": some,
        "stray.jpg": some,
        "README": b"read me",
        "train/cat/notes.TXT": b"",
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return root


@pytest.fixture(scope="module")
def stored(messy) -> Callable[[str], str]:
    """Where the tree lies in a store, with the objects that consoles make for folders."""
    there: dict[str, str] = {}

    def upload(scheme: str) -> str:
        if scheme not in there:
            there[scheme] = f"{scheme}://data/in put"
            for path in messy.rglob("*"):
                if path.is_file():
                    files.write(f"{there[scheme]}/{path.relative_to(messy)}", path.read_bytes())
            for folder in ("", "train/", "train/cat/", "train/cat/deep/"):
                files.write(f"{there[scheme]}/{folder}", b"")
        return there[scheme]

    return upload


@pytest.fixture(scope="module")
def run(run_command, recipe_file) -> Callable[..., None]:
    """Materializes, which has to succeed."""

    def materialize(root: object, output: object, *options: object) -> None:
        ended = run_command(
            *("materialize", "--input", root, "--output", output, "--recipe", recipe_file("png")),
            *("--max-rejects", 0.2, *options),
        )
        assert ended.status == 0, ended.err

    return materialize


@pytest.fixture(scope="module")
def local(messy, run, tmp_path_factory) -> Path:
    """The tree's dataset, from a disk to a disk."""
    output = tmp_path_factory.mktemp("local") / "out"
    run(messy, output, "--copies", 2, "--shards", 2)
    return output


def tree(directory: str | Path) -> dict[str, bytes]:
    """Every file with its bytes, but run.json, which may differ."""
    where = str(directory)
    names = sorted(files.tree(where, without=WORK))
    return {name: files.read(os.path.join(where, name)) for name in names if name != RUN}


@pytest.mark.parametrize("scheme", SCHEMES)
def test_c4_same_bytes_in_a_store_as_on_a_disk(scheme, stored, run, local):
    output = f"{scheme}://data/same"
    run(stored(scheme), output, "--copies", 2, "--shards", 2)
    assert tree(output) == tree(local)
    assert not [entry for entry in files.below(output) if entry.name.startswith(WORK)]
    about = json.loads(files.read(f"{output}/{RUN}"))
    assert (about["input"], about["output"]) == (stored(scheme), output)


def test_c4_same_bytes_from_one_store_to_the_other_and_to_a_disk(stored, run, local, tmp_path, messy):
    run(stored("s3") + "/", "gs://data/mixed/", "--copies", 2, "--shards", 2)
    run(stored("gs"), tmp_path / "out", "--copies", 2, "--shards", 2)
    run(messy, "s3://data/mixed", "--copies", 2, "--shards", 2)
    assert tree("gs://data/mixed") == tree(tmp_path / "out") == tree("s3://data/mixed") == tree(local)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_c6_a_store_is_listed_as_a_disk_is(scheme, stored, messy):
    def listed(root: str) -> tuple[Listing, list]:
        listing, found = Listing(), []
        for top in top_folders(root, "auto"):
            found += [top, *(list_folder(root, top) if isinstance(top, Folder) else ())]
        for one in found:
            listing.add(one)
        return listing, sorted(map(repr, found))

    assert listed(stored(scheme)) == listed(str(messy))


@pytest.mark.parametrize("scheme", SCHEMES)
def test_c6_objects_that_no_folder_could_hold_are_rejected(scheme):
    root = f"{scheme}://data/odd"
    for name in ("cat/a.png", "cat//b.png", "cat/c.png/", "/d.png", "cat/", "cat/.e/"):
        files.write(f"{root}/{name}", b"" if name in ("cat/", "cat/.e/") else b"some")
    found = [*top_folders(root, "auto"), *list_folder(root, Folder("cat", "train", "cat"))]
    rejected = {one.source: one.reason for one in found if hasattr(one, "reason")}
    assert rejected == dict.fromkeys(("cat//b.png", "cat/c.png/", "/d.png"), "bad_name")
    assert [one.id for one in found if hasattr(one, "size")] == ["cat/a.png"]


@pytest.mark.parametrize("scheme", SCHEMES)
def test_c7_a_killed_run_leaves_only_whole_objects_and_resumes(
    scheme, stored, run, messy, tmp_path, start_command, recipe_file
):
    output = f"{scheme}://data/killed"
    request = ("--copies", 5, "--shards", 6)
    process = start_command(
        *("materialize", "--input", stored(scheme), "--output", output, "--recipe", recipe_file("png")),
        *("--max-rejects", 0.2, *request),
    )
    deadline = time.monotonic() + 120
    while sum(entry.name.startswith("samples/") for entry in files.below(output)) < 7:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()

    store = stores.store(scheme)
    for name in files.tree(output, without=WORK):
        said = store.status("data", f"killed/{name}")
        assert said.sha256 == hashlib.sha256(files.read(f"{output}/{name}")).hexdigest()
    with pytest.raises(RequestError, match=r"holds no manifest\.json, so it is no finished dataset"):
        read_manifest(output)

    before = {entry.name: entry.version for entry in files.below(output)}
    run(stored(scheme), output, *request)
    run(messy, tmp_path / "out", *request)
    assert tree(output) == tree(tmp_path / "out")
    if scheme == "gs":  # whose versions tell one writing from the next
        after = {entry.name: entry.version for entry in files.below(output)}
        kept = [name for name in before if after.get(name) == before[name]]
        assert sum(name.startswith("samples/") for name in kept) >= 7


@pytest.mark.parametrize("scheme", SCHEMES)
def test_c7_an_upload_that_breaks_off_leaves_no_object(scheme, emulated, tmp_path, monkeypatch, new_clients):
    content = tmp_path / "shard"
    content.write_bytes(os.urandom(12 << 20))
    url = f"{scheme}://data/broken/shard"
    variable = {"s3": "AWS_ENDPOINT_URL", "gs": "STORAGE_EMULATOR_HOST"}[scheme]
    narrow = emulators.Narrow(int(emulated[variable].rpartition(":")[2]), 3 << 20)
    monkeypatch.setenv(variable, f"http://127.0.0.1:{narrow.port}")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "2")
    if scheme == "gs":
        monkeypatch.setattr("google.cloud.storage.retry.DEFAULT_RETRY._timeout", 2)
    with contextlib.closing(narrow), pytest.raises(OSError, match="the store"):
        files.place(str(content), url, files.file_digest(str(content)))
    monkeypatch.setenv(variable, emulated[variable])
    stores.forget()
    assert files.size(url) is None
    assert content.exists()
    files.place(str(content), url, files.file_digest(str(content)))
    assert files.size(url) == 12 << 20
    assert not content.exists()


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_dataset_in_a_store_is_extended_and_overwritten(scheme, stored, run, messy, local, tmp_path):
    output = f"{scheme}://data/grown"
    run(stored(scheme), output, "--copies", 1, "--shards", 2)
    run(stored(scheme), output, "--copies", 2, "--shards", 2)
    assert tree(output) == tree(local)
    run(stored(scheme), output, "--overwrite", "--seed", 7)
    run(messy, tmp_path / "out", "--seed", 7)
    assert tree(output) == tree(tmp_path / "out")


def test_an_object_without_its_digest_is_read_before_it_is_believed(local):
    [name] = [name for name in tree(local) if "train_c0.tfrecord-00000" in name]
    content = (local / name).read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    files.write("s3://data/copied/whole", content)
    files.write("s3://data/copied/other", content[:-1] + b"!")
    assert files.is_whole("s3://data/copied/whole", len(content), digest)
    assert not files.is_whole("s3://data/copied/other", len(content), digest)
    assert not files.is_whole("s3://data/copied/none", len(content), digest)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_shards_and_live_in_a_store_give_what_they_give_on_a_disk(
    scheme, stored, run, local, messy, recipe_file, samples_of
):
    output = f"{scheme}://data/read"
    run(stored(scheme), output, "--copies", 2, "--shards", 2)
    recipe = load_recipe(str(recipe_file("png")))
    expected = samples_of(datasets.from_shards(str(local), split="train", copies=[1]))
    assert samples_of(datasets.from_shards(output, split="train", copies=[1])) == expected
    live = datasets.from_images(stored(scheme), recipe, seed=0, split="train", copy=1)
    assert samples_of(live) == expected


@pytest.mark.parametrize("scheme", SCHEMES)
def test_an_audit_reads_dataset_and_images_from_a_store(scheme, stored, run, run_command, tmp_path):
    output = f"{scheme}://data/audited"
    files.write(f"{output}/", b"")  # a folder that was made in a console
    run(stored(scheme), output, "--copies", 2, "--shards", 2)
    files.write(f"{output}/samples/", b"")
    report = tmp_path / "audit.html"
    ended = run_command("audit", output, "--input", stored(scheme), "--samples", "all", "--report", report)
    assert ended.status == 0, ended.out + ended.err
    assert "follow from their sources bit for bit" in ended.out
    assert report.read_text().count("data:image/webp") > 4
    files.write(f"{output}/stray", b"")
    files.remove(f"{output}/label.labels.txt")
    ended = run_command("audit", output)
    assert ended.status == 1
    assert "missing" in ended.out
    assert "unexpected" in ended.out


def test_training_from_a_store_ends_in_the_weights_of_training_from_a_disk(
    stored, run, local, messy, run_command, recipe_file, tmp_path
):
    run(stored("s3"), "s3://data/trained", "--copies", 2, "--shards", 2)
    weights = []
    for number, (root, shards) in enumerate([(stored("s3"), "s3://data/trained"), (messy, local)]):
        ended = run_command(
            *("train", "--input", root, "--shards", shards, "--recipe", recipe_file("png")),
            *("--arms", "shards,live", "--model", "small_cnn", "--epochs", 2, "--batch-size", 8),
            *("--output", tmp_path / str(number)),
        )
        assert ended.status == 0, ended.err
        for kept in sorted((tmp_path / str(number)).glob("*/seed-0/run.json")):
            weights.append(json.loads(kept.read_text())["epochs"][-1]["weights_sha256"])
    assert len(weights) == 4
    assert len(set(weights)) == 1


def lock(scheme: str, **changes: object) -> str:
    """An output that a run is writing to, by its lock."""
    output = f"{scheme}://data/locked"
    held = {"host": "elsewhere", "process": 1, "renewed": time.time(), **changes}
    files.write(f"{output}/{WORK}/{LOCK}", json.dumps(held).encode())
    return output


@pytest.mark.parametrize("scheme", SCHEMES)
def test_of_two_runs_one_writes_and_one_whose_end_came_unseen_is_replaced(
    scheme, stored, run, run_command, recipe_file
):
    output = lock(scheme)
    request = ("--input", stored(scheme), "--output", output, "--recipe", recipe_file("png"))
    ended = run_command("materialize", *request, "--max-rejects", 0.2)
    assert ended.status == 2
    assert "another run is writing to it (process 1 on elsewhere); wait for its end or" in ended.err
    assert files.names(output) == {WORK}
    lock(scheme, renewed=time.time() - 1000)
    run(stored(scheme), output)
    assert read_manifest(output)
    lock(scheme, **_machine(), process=2**22 + 1)  # more than Linux numbers
    run(stored(scheme), output)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_one_of_two_that_write_a_lock_at_once_loses(scheme):
    url = f"{scheme}://data/raced"
    first = files.replace(url, b"first", None)
    assert files.replace(url, b"second", None) is None
    second = files.replace(url, b"second", first)
    assert files.replace(url, b"third", first) is None
    assert second != first
    assert files.read(url) == b"second"


def test_secrets_do_not_go_into_run_json(stored, run, emulated, monkeypatch, new_clients):
    for name in ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    options = [
        *("--s3_endpoint_url", emulated["AWS_ENDPOINT_URL"], "--s3_access_key_id", "id-of-mine"),
        *("--s3_secret_access_key=secret-of-mine", "--s3_region_name=us-east-1"),
    ]
    run("s3://data/in put", "s3://data/secret", *options)
    said = files.read(f"s3://data/secret/{RUN}").decode()
    assert "of-mine" not in said
    assert json.loads(said)["beam_options"][3] == "(hidden)"
    assert emulated["AWS_ENDPOINT_URL"] in said
    stores.use_options([])


@pytest.mark.parametrize("scheme", SCHEMES)
def test_copies_on_this_disk_are_let_go_of_where_room_is_needed(scheme, monkeypatch):
    downloads = files._Downloads()
    downloads.room = 2500
    monkeypatch.setattr(files, "_downloads", lambda: downloads)
    for name in "abc":
        files.write(f"{scheme}://data/room/{name}", name.encode() * 1000)
    with files.open_file(f"{scheme}://data/room/a") as first:
        for name in "bca":
            with files.open_file(f"{scheme}://data/room/{name}") as file:
                assert file.read() == name.encode() * 1000
            assert downloads._taken <= 2500
            assert len(os.listdir(downloads._folder.name)) <= 2
        assert first.read() == b"a" * 1000
    files.write(f"{scheme}://data/room/large", b"x" * 3000)
    with pytest.raises(OSError, match="has room for 2,500 bytes of copies, and it takes 3,000; set TMPDIR"):
        files.open_file(f"{scheme}://data/room/large")


def test_a_live_read_waits_out_a_fault_that_passes(stored, monkeypatch, capsys, recipe_file, samples_of):
    faults = iter([OSError("the store does not answer")])
    real = datasets.read

    def faulty(url: str) -> bytes:
        for fault in faults:
            raise fault
        return real(url)

    monkeypatch.setattr(datasets, "read", faulty)
    monkeypatch.setattr(datasets.time, "sleep", lambda _: None)
    recipe = load_recipe(str(recipe_file("png")))
    live = datasets.from_images(stored("gs"), recipe, seed=0, split="test")
    assert len(samples_of(live)) == 6
    assert capsys.readouterr().err.count("the store does not answer; trying again") == 1


class Counting(http.server.BaseHTTPRequestHandler):
    """Answers every GET with two bytes."""

    protocol_version = "HTTP/1.1"
    connections = 0

    def setup(self) -> None:
        super().setup()
        type(self).connections += 1

    def do_GET(self) -> None:
        time.sleep(0.05)  # so that many are under way
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ab")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def counting(monkeypatch, new_clients) -> Iterator[type[Counting]]:
    """The store of all clients."""
    handler = type("Counted", (Counting,), {})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    for variable in ("AWS_ENDPOINT_URL", "STORAGE_EMULATOR_HOST"):
        monkeypatch.setenv(variable, f"http://127.0.0.1:{server.server_port}")
    yield handler
    server.shutdown()


@pytest.mark.parametrize("scheme", SCHEMES)
def test_connections_are_kept(scheme, counting):
    with ThreadPoolExecutor(stores.AT_ONCE) as pool:
        for _ in range(3):
            assert set(pool.map(files.read, [f"{scheme}://data/x"] * stores.AT_ONCE)) == {b"ab"}
    assert counting.connections < 1.5 * stores.AT_ONCE  # a few break while so many come at once


def test_what_arrives_damaged_is_a_fault_that_passes():
    from google.cloud.storage.exceptions import DataCorruption

    store, why = stores.store("gs"), r"the store cannot be used \(Checksum mismatch"
    with pytest.raises(OSError, match=why), store._faults():
        raise DataCorruption(None, "Checksum mismatch while downloading")


class Refusing(http.server.BaseHTTPRequestHandler):
    """Answers everything as both stores answer those who may not."""

    def do_GET(self) -> None:
        body = b"<Error><Code>AccessDenied</Code><Message>no</Message></Error>"
        if "/b/" in self.path:
            body = b'{"error": {"code": 403, "message": "you do not have storage.objects.list access"}}'
        self.send_response(403)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.mark.parametrize("scheme", SCHEMES)
def test_what_cannot_be_used_is_said_in_a_sentence(
    scheme, run_command, recipe_file, images, tmp_path, monkeypatch, new_clients
):
    def said(root: object, output: object) -> str:
        stores.forget()
        ended = run_command(
            "materialize", "--input", root, "--output", output, "--recipe", recipe_file("png")
        )
        assert ended.status == 2
        assert ended.err.count("\n") == 1
        return ended.err

    out = tmp_path / "out"
    assert f"input {scheme}://absent/x: there is no such bucket" in said(f"{scheme}://absent/x", out)
    assert f"output {scheme}://absent/x: there is no such bucket" in said(images, f"{scheme}://absent/x")
    assert "there is nothing below it" in said(f"{scheme}://data/nothing", out)
    assert "it names no bucket" in said(f"{scheme}:///x", out)
    files.write(f"{scheme}://data/others/thing", b"")
    assert "holds files that are no augshard dataset" in said(images, f"{scheme}://data/others")
    assert "it lies inside the input" in said(f"{scheme}://data/others", f"{scheme}://data/others/out")
    with pytest.raises(RequestError, match=r"it holds no manifest\.json"):
        datasets.from_shards(f"{scheme}://data/others")

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Refusing)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    for variable in ("AWS_ENDPOINT_URL", "STORAGE_EMULATOR_HOST"):
        monkeypatch.setenv(variable, f"http://127.0.0.1:{server.server_port}")
    assert "the store refuses it to the credentials in use" in said(f"{scheme}://data/x", out)
    assert "the store refuses it to the credentials in use" in said(images, f"{scheme}://data/x")
    server.shutdown()
    if scheme == "s3":
        monkeypatch.setenv("AWS_ENDPOINT_URL", "localhost:9000")
        assert "s3://: Invalid endpoint: localhost:9000; AWS_ENDPOINT_URL and" in said("s3://data/x", out)
        for variable in ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.delenv(variable)
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        monkeypatch.setenv("HOME", str(tmp_path))
        assert "the store takes no credentials that are here" in said("s3://data/x", out)
    monkeypatch.setitem(sys.modules, {"s3": "boto3", "gs": "google.auth"}[scheme], None)
    extra = {"s3": "aws", "gs": "gcp"}[scheme]
    assert f"{scheme}:// needs the extra {extra}, which is not installed" in said(f"{scheme}://data/x", out)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_store_that_does_not_answer_is_named(scheme, run_command, monkeypatch, new_clients):
    for variable in ("AWS_ENDPOINT_URL", "STORAGE_EMULATOR_HOST"):
        monkeypatch.setenv(variable, f"http://127.0.0.1:{emulators.free_port()}")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(OSError, match=r"the store does not answer at 127\.0\.0\.1:"):
        files.read(f"{scheme}://data/{MANIFEST}")
    audit = run_command("audit", f"{scheme}://data/out")
    assert audit.status == 1
    assert audit.err.startswith(f"augshard: {scheme}://data/out")
    assert "the store does not answer at 127.0.0.1:" in audit.err
