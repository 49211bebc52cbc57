"""Whole runs on object stores: the same bytes as on a disk, from anywhere to anywhere, whatever happens."""

from __future__ import annotations

import contextlib
import hashlib
import http.server
import json
import os
import signal
import sys
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from augment.errors import RequestError
from augment.recipe import load_recipe
from pipelines import datasets, live, storage
from pipelines.format.layout import LOCK, MANIFEST, RUN, WORK
from pipelines.format.manifest import read_manifest
from pipelines.sources import Folder, Listing, list_folder, top_folders
from pipelines.storage import clients, lease, objects
from pipelines.storage.copies import Copies
from pipelines.storage.store import AT_ONCE, silent
from tests import emulators
from tests.in_process import augshard

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
        clients.forget()
        for scheme in SCHEMES:
            emulators.make_bucket(scheme, "data")
        yield environment
    patch.undo()
    clients.forget()


@pytest.fixture
def new_clients() -> Iterator[None]:
    """For a test that changes what clients are made of."""
    clients.forget()
    yield
    clients.forget()


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
                    storage.at(there[scheme]).write(str(path.relative_to(messy)), path.read_bytes())
            for folder in ("", "train/", "train/cat/", "train/cat/deep/"):
                storage.at(f"{there[scheme]}/{folder}").write("", b"")
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
    names = sorted(storage.at(where).tree(without=WORK))
    return {name: storage.at(where).read(name) for name in names if name != RUN}


@pytest.mark.parametrize("scheme", SCHEMES)
def test_c4_same_bytes_in_a_store_as_on_a_disk(scheme, stored, run, local):
    output = f"{scheme}://data/same"
    run(stored(scheme), output, "--copies", 2, "--shards", 2)
    assert tree(output) == tree(local)
    assert not [entry for entry in storage.at(output).list() if entry.name.startswith(WORK)]
    about = json.loads(storage.at(output).read(RUN))
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
        storage.at(root).write(name, b"" if name in ("cat/", "cat/.e/") else b"some")
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
    while sum(entry.name.startswith("samples/") for entry in storage.at(output).list()) < 7:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()

    store = clients.store(scheme)
    for name in storage.at(output).tree(without=WORK):
        said = store.status("data", f"killed/{name}")
        assert said.sha256 == hashlib.sha256(storage.at(output).read(name)).hexdigest()
    with pytest.raises(RequestError, match=r"holds no manifest\.json, so it is no finished dataset"):
        read_manifest(output)

    before = {entry.name: entry.version for entry in storage.at(output).list()}
    run(stored(scheme), output, *request)
    run(messy, tmp_path / "out", *request)
    assert tree(output) == tree(tmp_path / "out")
    if scheme == "gs":  # whose versions tell one writing from the next
        after = {entry.name: entry.version for entry in storage.at(output).list()}
        kept = [name for name in before if after.get(name) == before[name]]
        assert sum(name.startswith("samples/") for name in kept) >= 7


@pytest.mark.parametrize("scheme", SCHEMES)
def test_c7_an_upload_that_breaks_off_leaves_no_object(scheme, emulated, tmp_path, monkeypatch, new_clients):
    content = tmp_path / "shard"
    content.write_bytes(os.urandom(12 << 20))
    broken = storage.at(f"{scheme}://data/broken")
    variable = {"s3": "AWS_ENDPOINT_URL", "gs": "STORAGE_EMULATOR_HOST"}[scheme]
    narrow = emulators.Narrow(int(emulated[variable].rpartition(":")[2]), 3 << 20)
    monkeypatch.setenv(variable, f"http://127.0.0.1:{narrow.port}")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "2")
    if scheme == "gs":
        monkeypatch.setattr("google.cloud.storage.retry.DEFAULT_RETRY._timeout", 2)
    with contextlib.closing(narrow), pytest.raises(OSError, match="the store"):
        broken.place(str(content), "shard")
    monkeypatch.setenv(variable, emulated[variable])
    clients.forget()
    assert broken.size("shard") is None
    assert content.exists()
    broken.place(str(content), "shard")
    assert broken.size("shard") == 12 << 20
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
    client = clients.store("s3")._client  # another program
    client.put_object(Bucket="data", Key="copied/whole", Body=content)
    client.put_object(Bucket="data", Key="copied/other", Body=content[:-1] + b"!")
    copied = storage.at("s3://data/copied")
    assert copied.is_whole("whole", len(content), digest)
    assert not copied.is_whole("other", len(content), digest)
    assert not copied.is_whole("none", len(content), digest)


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
def test_c4_images_in_a_tar_are_read_by_their_places_and_give_the_same_bytes(scheme, run, images, tmp_path):
    (tmp_path / "in").mkdir()
    with tarfile.open(tmp_path / "in/train.tar", "w") as tar:
        for number, path in enumerate(sorted(images.rglob("*.png"))):
            tar.add(path, f"{number:03}.png")
    storage.at(f"{scheme}://data/tars").write("train.tar", (tmp_path / "in/train.tar").read_bytes())
    run(tmp_path / "in", tmp_path / "out")
    run(f"{scheme}://data/tars", f"{scheme}://data/of_tars")
    assert tree(f"{scheme}://data/of_tars") == tree(tmp_path / "out")


@pytest.mark.parametrize("scheme", SCHEMES)
def test_an_audit_reads_dataset_and_images_from_a_store(scheme, stored, run, run_command, tmp_path):
    output = f"{scheme}://data/audited"
    storage.at(f"{output}/").write("", b"")  # a folder that was made in a console
    run(stored(scheme), output, "--copies", 2, "--shards", 2)
    storage.at(f"{output}/samples/").write("", b"")
    report = tmp_path / "audit.html"
    ended = run_command("audit", output, "--input", stored(scheme), "--samples", "all", "--report", report)
    assert ended.status == 0, ended.out + ended.err
    assert "follow from their sources bit for bit" in ended.out
    assert report.read_text().count("data:image/webp") > 4
    storage.at(output).write("stray", b"")
    storage.at(output).remove("label.labels.txt")
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
    storage.at(output).write(f"{WORK}/{LOCK}", json.dumps({"host": "elsewhere", "process": 1, **changes}))
    return output


@pytest.mark.parametrize("scheme", SCHEMES)
def test_of_two_runs_one_writes_and_one_whose_end_came_unseen_is_replaced(
    scheme, stored, recipe_file, monkeypatch
):
    output = lock(scheme)
    request = ("--input", stored(scheme), "--output", output, "--recipe", recipe_file("png"))
    monkeypatch.setattr(lease, "LOOK", 0.01)
    with monkeypatch.context() as renewed:
        renewed.setattr(lease.time, "sleep", lambda _: lock(scheme, renewed=time.time()))
        ended = augshard("materialize", *request, "--max-rejects", 0.2)
    assert ended.status == 2
    assert "another run is writing to it (process 1 on elsewhere); wait for its end" in ended.err
    assert storage.at(output).names() == {WORK}
    monkeypatch.setattr(lease, "STALE", 0.1)
    assert augshard("materialize", *request, "--max-rejects", 0.2).status == 0
    assert read_manifest(output)
    lock(scheme, **lease._machine(), process=2**22 + 1)  # more than Linux numbers
    monkeypatch.setattr(lease, "STALE", 1e9)
    assert augshard("materialize", *request, "--max-rejects", 0.2).status == 0


@pytest.mark.parametrize("scheme", SCHEMES)
def test_one_of_two_that_write_a_lock_at_once_loses(scheme):
    data = objects.Objects(f"{scheme}://data")
    first = data.replace("raced", b"first", None)
    assert data.replace("raced", b"second", None) is None
    second = data.replace("raced", b"second", first)
    assert data.replace("raced", b"third", first) is None
    assert second != first
    assert data.read("raced") == b"second"


def test_secrets_do_not_go_into_run_json(stored, run, emulated, monkeypatch, new_clients):
    for name in ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    options = [
        *("--s3_endpoint_url", emulated["AWS_ENDPOINT_URL"], "--s3_access_key_id", "id-of-mine"),
        *("--s3_secret_access_key=secret-of-mine", "--s3_region_name=us-east-1"),
    ]
    run("s3://data/in put", "s3://data/secret", *options)
    said = storage.at("s3://data/secret").read(RUN).decode()
    assert "of-mine" not in said
    assert json.loads(said)["beam_options"][3] == "(hidden)"
    assert emulated["AWS_ENDPOINT_URL"] in said
    storage.use_options([])


@pytest.mark.parametrize("scheme", SCHEMES)
def test_copies_on_this_disk_are_let_go_of_where_room_is_needed(scheme, monkeypatch):
    copies, room = Copies(), storage.at(f"{scheme}://data/room")
    copies.room = 2500
    monkeypatch.setattr(objects, "copies", lambda: copies)
    for name in "abc":
        room.write(name, name.encode() * 1000)
    with room.open("a") as first:
        for name in "bca":
            with room.open(name) as file:
                assert file.read() == name.encode() * 1000
            assert copies._taken <= 2500
            assert len(os.listdir(copies._folder.name)) <= 2
        assert first.read() == b"a" * 1000
    room.write("large", b"x" * 3000)
    with pytest.raises(OSError, match="has room for 2,500 bytes of copies, and it takes 3,000; set TMPDIR"):
        room.open("large")


@pytest.mark.parametrize("scheme", SCHEMES)
def test_an_object_that_was_replaced_is_brought_anew_or_refused(scheme):
    data = storage.at(f"{scheme}://data/replaced")
    data.write("shard", b"before")
    versions = data.bring(["shard"], 6)
    data.write("shard", b"after!")
    with data.open("shard", version=versions["shard"]) as file:
        assert file.read() == b"before"
    with data.open("shard") as file:
        assert file.read() == b"after!"
    data.write("other", b"before")
    gone = clients.store(scheme).status("data", "replaced/other").version
    data.write("other", b"after!")
    with pytest.raises(OSError, match="it was replaced meanwhile"):
        data.open("other", version=gone)


def test_a_live_read_waits_out_a_fault_that_passes(stored, monkeypatch, capsys, recipe_file, samples_of):
    faults = iter([silent("http://127.0.0.1:9")])
    client = clients.store("gs")
    real = client.read

    def faulty(bucket: str, key: str) -> bytes:
        for fault in faults:
            raise fault
        return real(bucket, key)

    recipe = load_recipe(str(recipe_file("png")))
    samples = datasets.from_images(stored("gs"), recipe, seed=0, split="test")  # which looks at a few
    monkeypatch.setattr(client, "read", faulty)
    monkeypatch.setattr(live.time, "sleep", lambda _: None)
    assert len(samples_of(samples)) == 6
    assert capsys.readouterr().err.count("the store does not answer at 127.0.0.1:9; trying again") == 1


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
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for _ in range(3):
            assert set(pool.map(storage.at(f"{scheme}://data").read, ["x"] * AT_ONCE)) == {b"ab"}
    assert counting.connections < 1.5 * AT_ONCE  # a few break while so many come at once


def test_what_arrives_damaged_is_a_fault_that_passes():
    from google.cloud.storage.exceptions import DataCorruption

    store, why = clients.store("gs"), r"the store cannot be used \(Checksum mismatch"
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
        self.wfile.write(b"" if self.command == "HEAD" else body)

    do_HEAD = do_GET

    def log_message(self, *_: object) -> None:
        pass


@pytest.mark.parametrize("scheme", SCHEMES)
def test_what_cannot_be_used_is_said_in_a_sentence(
    scheme, run_command, recipe_file, images, tmp_path, monkeypatch, new_clients
):
    def said(root: object, output: object) -> str:
        clients.forget()
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
    storage.at(f"{scheme}://data").write("one.tar", b"x")
    assert "it is a file; give the folder of" in said(f"{scheme}://data/one.tar", out)
    storage.at(f"{scheme}://data").write("others/thing", b"")
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
        storage.at(f"{scheme}://data").read(MANIFEST)
    audit = run_command("audit", f"{scheme}://data/out")
    assert audit.status == 1
    assert audit.err.startswith(f"augshard: {scheme}://data/out")
    assert "the store does not answer at 127.0.0.1:" in audit.err


@pytest.mark.parametrize("to", ["folders", "webdataset"])
@pytest.mark.parametrize("scheme", SCHEMES)
def test_c4_an_export_has_the_same_bytes_in_a_store_as_on_a_disk(
    scheme, to, stored, run, run_command, local, tmp_path
):
    out, here, there = f"{scheme}://data/exported", tmp_path / to, f"{scheme}://data/as_{to}"
    if storage.at(out).size(MANIFEST) is None:
        run(stored(scheme), out, "--copies", 2, "--shards", 2)
    for dataset, output in ((local, here), (out, there)):
        ended = run_command("export", dataset, "--to", to, "--output", output)
        assert ended.status == 0, ended.err
    assert tree(there) == tree(here)
    assert not [entry for entry in storage.at(there).list() if entry.name.startswith(WORK)]
    again = run_command("export", out, "--to", to, "--output", there)
    assert (again.status, "nothing was left to do" in again.out) == (0, True), again.err


@pytest.mark.parametrize("scheme", SCHEMES)
def test_numpy_reads_a_store_as_it_reads_a_disk(scheme, stored, run, local):
    out = f"{scheme}://data/read"
    run(stored(scheme), out, "--copies", 2, "--shards", 2)
    mine, theirs = datasets.numpy(out, shuffle=0), datasets.numpy(str(local), shuffle=0)
    assert mine.sources.tolist() == theirs.sources.tolist()
    assert all((a["image"] == b["image"]).all() for a, b in zip(mine, theirs, strict=True))
