"""A dataset from somebody else is data: reading it runs nothing, leads nowhere, and ends with a sentence."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import shutil
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
from PIL import Image

from augment.errors import RequestError
from pipelines import datasets
from pipelines.audit.findings import Finding, open_audit
from pipelines.audit.verify import verify
from pipelines.format.manifest import read_manifest
from pipelines.format.records import frames_of, masked_crc
from pipelines.format.request import Request, load_plugins
from pipelines.format.samples import read_receipt, read_samples
from pipelines.format.stored import StoredCopy
from tests.forgery import Forger, samples_of, write_samples

SHARD = "tiny_png-train_c0.tfrecord-00000-of-00001"
SAMPLES = samples_of(SHARD)
MODULE = "a_module_of_the_dataset"


@pytest.fixture(scope="session")
def pictures(tmp_path_factory, photo_of) -> Path:
    root = tmp_path_factory.mktemp("hostile") / "in"
    for label in ("cat", "dog"):
        (root / label).mkdir(parents=True)
        for number in range(3):
            Image.fromarray(photo_of(24, 30, seed=number)).save(root / label / f"{number}.png")
    return root


@pytest.fixture
def forger(pictures, materialize, tmp_path) -> Forger:
    """A copy of a small dataset, to be changed."""
    shutil.copytree(materialize(pictures, "--copies", 2), tmp_path / "out")
    return Forger(tmp_path / "out")


def found(forger: Forger, root: Path | None = None) -> list[Finding]:
    audit = open_audit(str(forger.out), None if root is None else str(root))
    verify(audit, None)
    return list(audit.findings)


def refusal(forger: Forger) -> str:
    """The sentence of every reader: there is one, and it is the same."""
    sentences = set()
    for read in (datasets.from_shards, read_manifest):
        with pytest.raises(RequestError) as error:
            read(str(forger.out))
        sentences.add(str(error.value))
    [sentence] = sentences
    return sentence


def with_fingerprint(document: dict[str, Any]) -> None:
    """Makes the fingerprint fit the request, where that is one."""
    groups = {split: counts["groups"] for split, counts in document["splits"].items()}
    document["fingerprint"] = Request(**document["request"]).fingerprint(groups)


def name_a_plugin(forger: Forger, digest: str) -> None:
    def change(document: dict[str, Any]) -> None:
        document["request"]["plugins"] = {MODULE: digest}
        with_fingerprint(document)

    forger.put_manifest(change)


@pytest.fixture
def lurking(forger, monkeypatch) -> Forger:
    """A dataset that names a module as its plugin, which lies in it; its reader stands there."""
    source = "raise SystemExit('the dataset ran')\n"
    (forger.out / f"{MODULE}.py").write_text(source)
    name_a_plugin(forger, hashlib.sha256(source.encode()).hexdigest())
    monkeypatch.chdir(forger.out)
    monkeypatch.syspath_prepend(str(forger.out))
    return forger


def test_reading_a_dataset_imports_nothing_that_it_names(
    lurking, pictures, run_command, recipe_file, tmp_path
):
    assert len(list(datasets.from_shards("."))) == 12
    request = ("--input", pictures, "--recipe", recipe_file("png"))
    audited = run_command("audit", ".", "--input", pictures)
    trained = run_command(
        "train", *request, "--arms", "shards", "--shards", ".", "--model", "small_cnn", "--epochs", 1,
        "--validation-fraction", 0,
        "--output", tmp_path / "runs",
    )  # fmt: skip
    again = run_command("materialize", *request, "--copies", 3, "--output", lurking.out)
    assert MODULE not in sys.modules
    assert audited.status == 2
    assert f"if you trust its source, say --plugin {MODULE}" in audited.err
    assert trained.status == 0, trained.err
    assert again.status == 2
    assert "plugins was" in again.err


def test_a_plugin_that_the_user_names_is_loaded_and_must_be_the_one_of_the_dataset(
    forger, pictures, monkeypatch, tmp_path, run_command
):
    source = "from augment.ops import Op\n"
    (tmp_path / f"{MODULE}.py").write_text(source)
    monkeypatch.syspath_prepend(str(tmp_path))
    name_a_plugin(forger, hashlib.sha256(source.encode()).hexdigest())
    named = run_command("audit", forger.out, "--plugin", MODULE)
    assert named.status == 1  # the receipts have another fingerprint; but the plugin was taken
    assert "receipt" in named.out
    name_a_plugin(forger, "0" * 64)
    other = run_command("audit", forger.out, "--plugin", MODULE)
    assert other.status == 2
    assert f"plugin {MODULE}: its source is not the one that this dataset was made with" in other.err
    monkeypatch.delitem(sys.modules, MODULE)


def test_a_job_loads_the_plugins_of_its_own_request_in_its_workers(monkeypatch, tmp_path):
    from pipelines.format.request import job_recipe

    source = (
        "from augment.ops import Op\n\n\nclass OfAWorker(Op):\n    def apply(self, image, draw):\n"
        "        return image\n"
    )
    (tmp_path / "plugin_of_a_worker.py").write_text(source)
    monkeypatch.syspath_prepend(str(tmp_path))
    digests = load_plugins(["plugin_of_a_worker"])
    recipe = {
        "ops": [{"resize": {"height": 4, "width": 4}}, {"of_a_worker": {}}],
        "storage": {"format": "png"},
    }
    request = Request(name="x", recipe_name="x", recipe=recipe, seed=0, copies=1, plugins=digests)
    monkeypatch.delitem(sys.modules, "plugin_of_a_worker")  # as in a worker that has just begun
    with pytest.raises(RequestError, match="are not loaded for its sake"):
        request.parsed_recipe()
    from augment.ops import base

    monkeypatch.delitem(base._registry, "of_a_worker")
    assert [op.name for op in job_recipe(request).ops] == ["resize", "of_a_worker"]


def _set(*path: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(document: dict[str, Any]) -> None:
        inside = document
        for key in path[:-1]:
            inside = inside[key]
        inside[path[-1]] = value

    return change


def _rename(old: str, new: str) -> Callable[[dict[str, Any]], None]:
    def change(document: dict[str, Any]) -> None:
        document["files"] = {name.replace(old, new): file for name, file in document["files"].items()}

    return change


def _deep(document: dict[str, Any]) -> None:
    inside: list[Any] = []
    for _ in range(80):
        inside = [inside]
    document["request"]["recipe"]["ops"] = inside


@pytest.mark.parametrize(
    ("change", "where"),
    [
        (_set("splits", "train", "groups", value=10**10), "'splits.train.groups'"),
        (_set("splits", "train", "groups", value=0), "'splits.train.groups'"),
        (_set("splits", "train", "sources", value=-1), "'splits.train.sources'"),
        (_set("splits", "train", "augmented", value="perhaps"), "'splits.train.augmented'"),
        (_set("splits", "../train", value={}), "'splits.../train"),
        (_set("request", "copies", value=10**10), "'request.copies'"),
        (_set("request", "copies", value=True), "'request.copies'"),
        (_set("request", "seed", value=2**64), "'request.seed'"),
        (_set("request", "name", value="../x"), "'request.name'"),
        (_set("request", "name", value="x" * 200), "'request.name'"),
        (_set("request", "plugins", value={"os; import this": "0" * 64}), "'request.plugins"),
        (_set("request", "split_fractions", value=[["train", "1e-999999999"]]), "'request.split_fractions"),
        (_set("request", "recipe", "storage", value={"format": "pickle"}), "'request.recipe.format'"),
        (_set("request", "recipe", "channels", value=2), "'request.recipe'"),
        (_set("request", "recipe", "channels", value=True), "'request.recipe'"),
        (_set("request", "recipe", "channels", value="3" * 10**5), "'request.recipe'"),
        (_set("request", "recipe", "x", value=float("nan")), "'request.recipe'"),
        (_deep, "'request.recipe'"),
        (_set("image_size", value=[16384, 16384]), "'image_size'"),
        (_set("image_size", value=[20, 10**30]), "'image_size.1'"),
        (_set("classes", value=["cat", "../dog"]), "'classes.1'"),
        (_set("records", value=10**30), "'records'"),
        (_set("parity_class", "numpy", value="x" * 10**5), "'parity_class.numpy'"),
        (_set("files", "../../secret", value={"bytes": 1, "sha256": "0" * 64}), "'files.../../secret"),
        (_set("files", SHARD, "bytes", value=2**70), f"'files.{SHARD}.bytes'"),
        (_set("files", SHARD, "sha256", value="not one"), f"'files.{SHARD}.sha256'"),
    ],
)
def test_what_no_dataset_has_is_refused_by_readers_and_found_by_the_audit(forger, change, where):
    forger.put_manifest(change)
    sentence = refusal(forger)
    assert f"manifest.json: it is damaged at {where}" in sentence
    [finding] = found(forger)
    assert finding.kind == "manifest"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_set("request", "copies", value=10_000), "do not make the 2 shards that it lists"),
        (_set("splits", "train", "groups", value=99_999), "do not make the 2 shards that it lists"),
        (_rename("tiny_png-train_c1", "tiny_png-train_c7"), "it does not list tiny_png-train_c1"),
        (_rename("label.labels.txt", "other.txt"), "it does not list label.labels.txt"),
    ],
)
def test_the_files_of_a_manifest_are_those_that_follow_from_it(forger, change, said):
    def fitting(document: dict[str, Any]) -> None:
        change(document)
        with_fingerprint(document)

    forger.put_manifest(fitting)
    assert said in refusal(forger)
    assert any(finding.kind == "files" and said in finding.message for finding in found(forger))


def test_a_manifest_without_its_digest_is_not_believed(forger):
    path = forger.out / "manifest.json"
    path.write_text(path.read_text().replace('"seed": 0', '"seed": 1'))
    assert "it does not have the digest that stands in it: it was changed; augshard audit" in refusal(forger)


def test_a_request_of_another_fingerprint_is_not_believed(forger):
    forger.put_manifest(_set("request", "seed", value=5))
    assert "is not the one of its fingerprint" in refusal(forger)


def test_a_manifest_is_refused_by_its_size_before_it_is_read(forger):
    os.truncate(forger.out / "manifest.json", 1 << 40)  # of which next to nothing is on the disk
    assert "it has 1,099,511,627,776 bytes; at most" in refusal(forger)


@pytest.mark.parametrize("content", [b"[" * 100_000, b'{"schema_version":' * 2000, b"9" * 5000, b"\xff"])
def test_a_manifest_that_json_cannot_be_read_from_is_a_clear_sentence(forger, content):
    (forger.out / "manifest.json").write_bytes(content)
    assert "manifest.json: it cannot be read (" in refusal(forger)


@pytest.mark.parametrize("name", [SHARD, SAMPLES, "manifest.json", "samples"])
def test_a_link_that_leads_out_of_the_directory_is_not_followed(forger, tmp_path, name):
    (forger.out / name).rename(tmp_path / "elsewhere")
    (forger.out / name).symlink_to(tmp_path / "elsewhere")
    said = "a link leads out of the directory; put the file itself there"
    manifest = None if name == "manifest.json" else read_manifest(str(forger.out))
    if manifest is not None:
        with pytest.raises(RequestError, match=said):
            StoredCopy(str(forger.out), manifest, "train", 0)
    if manifest is None or name == SHARD:
        with pytest.raises(RequestError, match=said):
            datasets.from_shards(str(forger.out))
    if manifest is None:
        assert said in found(forger)[0].message
    else:
        assert any(finding.kind == "unreadable" and said in finding.message for finding in found(forger))


def test_links_within_the_directory_are_followed(forger):
    (forger.out / SHARD).rename(forger.out / "elsewhere")
    (forger.out / SHARD).symlink_to("elsewhere")
    assert len(list(datasets.from_shards(str(forger.out)))) == 12


def test_a_copy_that_is_asked_for_twice_is_read_twice(forger):
    assert len(list(datasets.from_shards(str(forger.out), copies=[0, 0]))) == 12


def test_a_pipe_in_the_place_of_a_file_is_not_waited_for(forger):
    (forger.out / SHARD).unlink()
    os.mkfifo(forger.out / SHARD)
    with pytest.raises(RequestError, match="it is not a file"):
        datasets.from_shards(str(forger.out))
    assert any("it is not a file" in finding.message for finding in found(forger))


def put_shard(forger: Forger, content: bytes, size: int | None = None) -> None:
    """Another shard, with the manifest made to fit."""
    (forger.out / SHARD).write_bytes(content)
    if size is not None:
        os.truncate(forger.out / SHARD, size)
        listed = {"bytes": size, "sha256": "0" * 64, "records": 6}
        forger.put_manifest(lambda document: document["files"].update({SHARD: listed}))
    else:
        forger.list_again(SHARD, records=6)


def test_a_shard_with_fewer_records_than_the_manifest_says_fails_and_what_ignores_errors_ends(forger):
    content = (forger.out / SHARD).read_bytes()
    with open(forger.out / SHARD, "rb") as file:
        starts, _ = frames_of(file, (20, 24))
    put_shard(forger, content[: starts[-1] - 12])
    shards = datasets.from_shards(str(forger.out))
    assert len(shards) == 12
    with pytest.raises(tf.errors.OpError, match="it has 5 records; by the manifest it has 6"):
        list(shards)
    assert len(list(shards.ignore_errors())) == 6


@pytest.mark.parametrize("length", [2**63, 2**63 - 1, 2**40, 2**33])
def test_a_record_that_claims_more_bytes_than_there_are_costs_none(forger, length):
    header = struct.pack("<Q", length)
    put_shard(forger, header + masked_crc(header) + bytes(100))
    with pytest.raises(tf.errors.OpError, match="the file ends within the record"):
        list(datasets.from_shards(str(forger.out)))
    with pytest.raises(RequestError, match="the file ends within the record"):
        StoredCopy(str(forger.out), read_manifest(str(forger.out)), "train", 0)
    assert any(finding.kind == "framing" for finding in found(forger))


def test_a_record_as_large_as_a_sparse_file_is_not_read(tmp_path):
    header, size = struct.pack("<Q", (1 << 36) - 16), (20, 24)
    (tmp_path / "shard").write_bytes(header + masked_crc(header))
    os.truncate(tmp_path / "shard", 1 << 36)
    said = "the record has 68,719,476,720 bytes; one of its images has at most"
    with open(tmp_path / "shard", "rb") as file, pytest.raises(ValueError, match=said):
        frames_of(file, size)


def test_a_shard_that_is_larger_than_the_manifest_says_is_refused_unread(forger):
    os.truncate(forger.out / SHARD, 1 << 40)
    with pytest.raises(RequestError, match=r"it has 1,099,511,627,776 bytes; by the manifest it has"):
        datasets.from_shards(str(forger.out))


def change_record(forger: Forger, **changes: Any) -> None:
    forger.change_record(SHARD, 2, **changes)
    forger.cover_up(SHARD)


def test_a_label_of_no_class_fails_where_it_is_read(forger):
    change_record(forger, label=10**12)
    with pytest.raises(tf.errors.InvalidArgumentError):
        list(datasets.from_shards(str(forger.out)))


def png_header(height: int, width: int) -> bytes:
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + body + bytes(200)


@pytest.mark.parametrize(
    "image",
    [
        png_header(30_000, 30_000),
        b"GIF89a" + struct.pack("<HH", 65_535, 65_535) + bytes(50),
        b"\xff\xd8\xff\xc0\0\x11\x08" + struct.pack(">HH", 65_500, 65_500) + b"\x03\1\x22\0\2\x11\1\3\x11\1",
    ],
    ids=["png", "gif", "jpeg"],
)
def test_an_image_that_claims_another_size_costs_nothing_and_is_found(forger, image):
    change_record(forger, image=image)
    with pytest.raises(tf.errors.InvalidArgumentError):
        list(datasets.from_shards(str(forger.out)))
    assert any(finding.kind == "image" for finding in found(forger))


def put_table(forger: Forger, change: Callable[[pa.Table], pa.Table]) -> None:
    """The samples file changed, with its receipt and all digests made to fit."""
    path = forger.out / SAMPLES
    receipt, table = read_receipt(str(path)), change(pq.ParquetFile(path).read())
    write_samples(str(path), table.to_pydict(), pa.schema(list(table.schema)), receipt)
    forger.list_again(SAMPLES)


def with_source(source: str) -> Callable[[pa.Table], pa.Table]:
    def change(table: pa.Table) -> pa.Table:
        column = [source, *table["source"].to_pylist()[1:]]
        return table.set_column(
            table.schema.get_field_index("source"), table.schema.field("source"), [column]
        )

    return change


@pytest.mark.parametrize("source", ["cat/../../secret.png", "/etc/passwd", "cat/./0.png", "cat//0.png", ""])
def test_a_source_that_leads_out_of_the_input_is_not_read(forger, pictures, source, monkeypatch):
    Image.fromarray(np.zeros([24, 30, 3], np.uint8)).save(pictures.parent / "secret.png")
    put_table(forger, with_source(source))
    opened: list[str] = []
    sys.addaudithook(lambda event, given: opened.append(str(given[0])) if event == "open" else None)
    findings = found(forger, pictures)
    assert any("its source is no path below an input" in finding.message for finding in findings)
    assert not any("secret" in path or path == "/etc/passwd" for path in opened)
    with pytest.raises(RequestError, match="a source in its samples file is no path below an input"):
        StoredCopy(str(forger.out), read_manifest(str(forger.out)), "train", 0)


def retyped(name: str, values: list[Any]) -> Callable[[pa.Table], pa.Table]:
    def change(table: pa.Table) -> pa.Table:
        at = table.schema.get_field_index(name)
        return table.set_column(at, pa.field(name, pa.array(values).type), [values])

    return change


@pytest.mark.parametrize(
    "change",
    [
        retyped("label", ["x"] * 6),
        retyped("label", [7] * 6),
        retyped("source", [[1]] * 6),
        retyped("source", [{"a": 1}] * 6),
        retyped("source", ["x" * 5000] * 6),
        lambda table: table.slice(0, 3),
        lambda table: table.drop_columns(["source"]),
        lambda table: table.append_column(table.schema.field("source"), table["source"]),
    ],
    ids=["text", "class", "list", "struct", "long", "fewer", "without", "twice"],
)
def test_a_table_of_other_columns_is_refused_and_found(forger, change, tmp_path):
    path = forger.out / SAMPLES
    receipt, table = read_receipt(str(path)), change(pq.ParquetFile(path).read())
    metadata = pq.read_schema(path).metadata
    pq.write_table(table.replace_schema_metadata(metadata), path)
    forger.list_again(SAMPLES)
    assert receipt is not None
    with pytest.raises(RequestError, match="or its samples file, is missing or damaged"):
        StoredCopy(str(forger.out), read_manifest(str(forger.out)), "train", 0)
    assert {finding.kind for finding in found(forger)} & {"unreadable", "columns", "row", "removed", "stray"}


def test_few_bytes_that_stand_for_many_rows_are_not_read(tmp_path):
    path = str(tmp_path / "samples.parquet")
    pq.write_table(pa.table({"label": pa.array(np.zeros(30_000_000, np.int8))}), path, compression="zstd")
    with pytest.raises(ValueError, match="it says that it has 30,000,000 rows"), open(path, "rb") as file:
        read_samples(file)
    text = pa.DictionaryArray.from_arrays(np.zeros(2000, np.int32), ["x" * 4000])
    pq.write_table(pa.table({"source": text}), path, compression="zstd", store_schema=False)
    with pytest.raises(ValueError, match="it says more than its size can hold"), open(path, "rb") as file:
        read_samples(file)


def test_a_receipt_is_within_bounds(forger):
    path = forger.out / SAMPLES
    table = pq.ParquetFile(path).read()
    for changes in ({"file": "../x"}, {"bytes": -1}, {"copy": 10**9}, {"split": "a/b"}, {"sha256": "x"}):
        receipt = dataclasses.replace(read_receipt(str(forger.out / samples_of(SHARD))), **changes)
        write_samples(str(forger.out / "forged"), table.to_pydict(), pa.schema(list(table.schema)), receipt)
        assert read_receipt(str(forger.out / "forged")) is None


def test_a_line_of_rejects_is_not_read_without_end(forger, pictures):
    (forger.out / "rejects.jsonl").write_bytes(b'{"source": "' + b"x" * (1 << 20))
    forger.list_again("rejects.jsonl")
    assert any("line 1 is no object" in finding.message for finding in found(forger, pictures))
