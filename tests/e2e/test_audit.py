"""`augshard audit` on whole datasets: clean ones, and one for each thing that can be wrong."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf
from blake3 import blake3
from PIL import Image

from augment import codec
from pipelines.audit import verify
from pipelines.audit.findings import Finding, open_audit
from pipelines.audit.structure import check_manifest
from tests.forgery import Forger, samples_of

SHARD = "tiny_png-train_c1.tfrecord-00000-of-00002"
OTHER = "tiny_png-train_c1.tfrecord-00001-of-00002"
TEST_SHARD = "tiny_png-test.tfrecord-00001-of-00002"
ROWS = samples_of(SHARD)
SMALL = ("dataset_info.json", "features.json", "label.labels.txt", "rejects.jsonl")


@pytest.fixture(scope="session")
def photos(tmp_path_factory, photo_of) -> Path:
    """A small input of one format, which spares graphs, with a file that is no image."""
    root = tmp_path_factory.mktemp("photos") / "in"
    for n, (folder, count) in enumerate(
        {"train/cat": 9, "train/dog": 7, "test/cat": 2, "test/dog": 2}.items()
    ):
        (root / folder).mkdir(parents=True)
        for number in range(count):
            picture = photo_of(24 + number % 5, 30 + number % 7, seed=100 * n + number)
            Image.fromarray(picture).save(root / folder / f"{number:03}.png")
    (root / "train/cat/broken.jpg").write_bytes(b"\xff\xd8\xff broken")
    return root


@pytest.fixture(scope="session")
def dataset(photos, materialize) -> Path:
    return materialize(photos, "--copies", 2, "--shards", 2, "--max-rejects", 0.1)


@pytest.fixture
def forger(dataset, tmp_path) -> Forger:
    """A copy of the dataset, to be changed."""
    shutil.copytree(dataset, tmp_path / "out")
    return Forger(tmp_path / "out")


def audit(out: Path | Forger, root: Path | None = None, samples: int | None = None) -> list[Finding]:
    """What the command finds, without its statistics."""
    directory = out.out if isinstance(out, Forger) else out
    audited = open_audit(str(directory), None if root is None else str(root))
    verify.verify(audited, samples)
    return list(audited.findings)


def has(findings: list[Finding], kind: str, **names: Any) -> bool:
    """Whether there is a finding of a kind with these names."""
    return any(
        finding.kind == kind and all(getattr(finding, name) == value for name, value in names.items())
        for finding in findings
    )


@pytest.mark.parametrize(("storage", "samples"), [("png", None), ("jpeg", None), ("raw", 5)])
def test_a_clean_dataset_audits_clean(images, materialize, storage, samples):
    out = materialize(images, "--copies", 2, "--shards", 3, storage=storage)
    assert audit(out, images, samples) == []


def test_a_clean_dataset_with_rejects_audits_clean(dataset, photos):
    assert audit(dataset) == []
    assert audit(dataset, photos, 5) == []


def test_a_clean_dataset_with_originals_audits_clean(images, materialize):
    out = materialize(images, "--copies", 2, "--shards", 3, "--include-originals")
    assert audit(out, images, 5) == []


def test_a_clean_dataset_with_split_fractions_audits_clean(many_images, materialize):
    out = materialize(many_images, "--split-fractions", "train=0.7,validation=0.2,test=0.1")
    assert audit(out, many_images, 9) == []


def test_the_verdict_says_what_was_proven_and_what_to_do_next(dataset, photos, run_command):
    ended = run_command("audit", dataset)
    assert "the dataset is whole; no sample was derived again" in ended.out
    assert "not checked  without --input, no source was read" in ended.out
    assert f"augshard audit {dataset} --input DIR" in ended.out
    ended = run_command("audit", dataset, "--input", photos, "--samples", 10)
    assert "the dataset is whole; 10 samples follow from their sources bit for bit" in ended.out
    assert "--samples all" in ended.out
    ended = run_command("audit", dataset, "--input", photos)
    assert "all 36 samples follow" in ended.out


@pytest.mark.parametrize("name", [*SMALL, "manifest.json", SHARD, ROWS])
def test_a_flipped_byte_is_found_in_any_file(forger, name):
    size = (forger.out / name).stat().st_size
    for at in (size // 2,) if name in SMALL else (0, size // 3, size - 2):
        forger.flip(name, at)
        assert any(finding.file == name for finding in audit(forger)), at
        forger.flip(name, at)  # back


def test_a_flipped_byte_in_the_manifest_is_found_wherever_it_is(forger):
    for at in range(0, (forger.out / "manifest.json").stat().st_size, 29):
        forger.flip("manifest.json", at)
        audited = open_audit(str(forger.out), None)
        if audited.manifest is not None:
            check_manifest(audited, audited.manifest)
        assert has(list(audited.findings), "manifest", file="manifest.json"), at
        forger.flip("manifest.json", at)  # back


@pytest.mark.parametrize("name", ["manifest.json", SHARD, ROWS])
def test_what_is_found_is_named_on_the_terminal_and_in_json_and_exits_1(forger, run_command, tmp_path, name):
    forger.flip(name, 600)
    ended = run_command("audit", forger.out, "--json", tmp_path / "findings.json")
    assert ended.status == 1
    assert ended.out.startswith("verdict")
    said = json.loads((tmp_path / "findings.json").read_text())
    assert said["clean"] is False
    assert sum(said["counts"].values()) == len(said["findings"]) > 0
    for finding in said["findings"]:
        assert f"{finding['file']}" in ended.out
        assert finding["message"] in ended.out


def test_run_json_is_not_verified(forger):
    (forger.out / "run.json").unlink()
    assert audit(forger) == []


def test_a_damaged_record_is_named(forger):
    rows = forger.rows(ROWS)
    forger.flip(SHARD, -10)
    last = len(rows) - 1
    found = audit(forger)
    assert has(found, "crc", file=SHARD, record=last, source=rows[last]["source"], copy=1)
    assert {finding.kind for finding in found} == {"crc", "digest"}


def test_a_truncated_shard_is_named_with_the_record_where_it_ends(forger):
    content = (forger.out / SHARD).read_bytes()
    (forger.out / SHARD).write_bytes(content[: len(content) // 2])
    rows = forger.rows(ROWS)
    [cut] = [finding for finding in audit(forger) if finding.kind == "framing"]
    assert cut.file == SHARD
    assert cut.source == rows[cut.record]["source"]
    assert f"{len(rows) - cut.record} records from here on cannot be read" in cut.message


@pytest.mark.parametrize("name", [SHARD, ROWS, "rejects.jsonl"])
def test_a_missing_file_is_named(forger, name):
    (forger.out / name).unlink()
    assert has(audit(forger), "missing", file=name)


def test_a_file_that_the_manifest_does_not_list_is_named(forger):
    (forger.out / "samples/notes.txt").write_text("mine")
    assert has(audit(forger), "unexpected", file="samples/notes.txt")


@pytest.mark.parametrize("other", [OTHER, "tiny_png-train_c0.tfrecord-00000-of-00002"])
def test_two_shards_swapped_are_named(forger, other):
    forger.swap(SHARD, other)
    found = audit(forger)
    assert has(found, "swapped", file=SHARD, message=f"it holds the bytes of {other}")
    assert has(found, "swapped", file=other, message=f"it holds the bytes of {SHARD}")


def test_two_shards_swapped_with_their_digests_are_found_by_what_is_in_them(forger):
    forger.swap(SHARD, OTHER)
    first = forger.records(SHARD)[0].source
    forger.cover_up(SHARD, OTHER)
    found = audit(forger)
    assert has(found, "stray", file=SHARD, record=0, source=first, copy=1)
    assert any("it belongs to shard 1" in finding.message for finding in found if finding.file == SHARD)


@pytest.mark.parametrize("covered", [False, True])
def test_a_record_removed_is_named(forger, covered):
    records = forger.records(SHARD)
    forger.put_records(SHARD, records[:1] + records[2:])
    if covered:
        forger.cover_up(SHARD)
    found = audit(forger)
    assert has(found, "removed", file=SHARD, record=1, source=records[1].source, copy=1)
    assert not has(found, "moved")


@pytest.mark.parametrize("covered", [False, True])
def test_a_record_duplicated_is_named(forger, covered):
    records = forger.records(SHARD)
    forger.put_records(SHARD, [*records, records[1]])
    if covered:
        forger.cover_up(SHARD)
    found = audit(forger)
    assert has(found, "duplicated", file=SHARD, record=len(records), source=records[1].source, copy=1)


@pytest.mark.parametrize("covered", [False, True])
def test_a_record_moved_is_named(forger, covered):
    records = forger.records(SHARD)
    forger.put_records(SHARD, [*records[1:], records[0]])
    if covered:
        forger.cover_up(SHARD)
    found = [finding for finding in audit(forger) if finding.kind == "moved"]
    message = "the record was moved: the samples table has it as record 0"
    assert found == [Finding("moved", message, SHARD, len(records) - 1, records[0].source, 1)]


def test_a_record_moved_with_its_row_is_found_by_the_order_of_the_plan(forger):
    records, rows = forger.records(SHARD), forger.rows(ROWS)
    forger.put_records(SHARD, [*records[1:], records[0]])
    forger.put_rows(ROWS, [*rows[1:], rows[0]])
    forger.cover_up(SHARD)
    found = audit(forger)
    assert has(found, "order", file=ROWS, record=len(rows) - 1, source=records[0].source, copy=1)


def test_a_record_moved_to_another_shard_is_named_in_both(forger):
    here, there = forger.records(SHARD), forger.records(OTHER)
    forger.put_records(SHARD, here[1:])
    forger.put_records(OTHER, [here[0], *there])
    forger.cover_up(SHARD, OTHER)
    found = audit(forger)
    assert has(found, "removed", file=SHARD, record=0, source=here[0].source, copy=1)
    assert has(found, "stray", file=OTHER, record=0, source=here[0].source, copy=1)


def test_a_record_removed_with_its_row_is_found_by_the_other_copies(forger):
    records, rows = forger.records(SHARD), forger.rows(ROWS)
    forger.put_records(SHARD, records[1:])
    forger.put_rows(ROWS, rows[1:])
    forger.cover_up(SHARD)
    assert has(audit(forger), "copies", file=ROWS, source=records[0].source, copy=1)


@pytest.mark.parametrize("covered", [False, True])
def test_a_label_changed_with_valid_crcs_is_named(forger, covered):
    record = forger.records(SHARD)[2]
    forger.change_record(SHARD, 2, label=1 - record.label)
    if covered:
        forger.cover_up(SHARD)
    assert has(audit(forger), "label", file=SHARD, record=2, source=record.source, copy=1)


def test_a_label_changed_in_the_table_too_is_found_by_the_folder(forger):
    record = forger.records(TEST_SHARD)[0]
    label = 1 - record.label
    forger.change_record(TEST_SHARD, 0, label=label)
    forger.change_row(samples_of(TEST_SHARD), 0, label=label, **{"class": ("cat", "dog")[label]})
    forger.cover_up(TEST_SHARD)
    assert has(audit(forger), "row", file=samples_of(TEST_SHARD), record=0, source=record.source)


def test_a_copy_number_changed_is_named(forger):
    record = forger.records(SHARD)[2]
    forger.change_record(SHARD, 2, copy=0)
    forger.cover_up(SHARD)
    assert has(audit(forger), "copy", file=SHARD, record=2, source=record.source, copy=1)


def test_pixels_changed_are_found_by_their_digest(forger):
    records = forger.records(SHARD)
    forger.change_record(SHARD, 2, image=records[3].image)
    forger.cover_up(SHARD)
    assert has(audit(forger), "pixels", file=SHARD, record=2, source=records[2].source, copy=1)


def test_pixels_changed_with_their_digest_are_found_by_deriving_them(forger, photos):
    records, rows = forger.records(SHARD), forger.rows(ROWS)
    forger.change_record(SHARD, 2, image=records[3].image)
    forger.change_row(ROWS, 2, pixels_blake3=rows[3]["pixels_blake3"])
    forger.cover_up(SHARD)
    assert audit(forger) == []
    [found] = audit(forger, photos)
    assert (found.kind, found.file, found.record, found.source, found.copy) == (
        ("derived", SHARD, 2, records[2].source, 1)
    )
    assert "differs from the record in" in found.message


def test_what_is_found_stands_in_the_order_of_groups_whoever_finds_it(forger, photos):
    rows = forger.rows(ROWS)
    forger.change_record(SHARD, 2, image=forger.records(SHARD)[3].image)
    forger.change_row(ROWS, 2, pixels_blake3=rows[3]["pixels_blake3"])
    forger.cover_up(SHARD)
    forger.flip(OTHER, -10)
    found = [(finding.kind, finding.file) for finding in audit(forger, photos)]
    assert found == [("derived", SHARD), ("crc", OTHER), ("digest", OTHER)]


def test_a_lossy_record_must_be_the_bytes_that_encoding_gives(images, materialize, tmp_path):
    out = materialize(images, "--copies", 2, "--shards", 3, storage="jpeg")
    shutil.copytree(out, tmp_path / "out")
    forger, shard = Forger(tmp_path / "out"), "tiny_jpeg-train_c1.tfrecord-00001-of-00003"
    record = forger.records(shard)[0]
    pixels = 255 - tf.io.decode_jpeg(record.image)
    forger.change_record(shard, 0, image=tf.io.encode_jpeg(pixels).numpy())
    forger.change_row(samples_of(shard), 1, pixels_blake3="0" * 64)
    forger.cover_up(shard)
    first, second = audit(forger, images)
    assert (first.kind, first.record, first.source, first.copy) == ("derived", 0, record.source, 1)
    assert (second.kind, second.record, second.copy) == ("row", 1, 1)
    assert "another digest of its pixels than they have before encoding" in second.message


def test_a_lossy_image_that_cannot_be_decoded_is_named_derived_or_not(images, materialize, tmp_path):
    out = materialize(images, "--copies", 2, "--shards", 3, storage="jpeg")
    shutil.copytree(out, tmp_path / "out")
    forger, shard = Forger(tmp_path / "out"), "tiny_jpeg-train_c1.tfrecord-00001-of-00003"
    record = forger.records(shard)[0]
    forger.change_record(shard, 0, image=record.image[:20])
    forger.cover_up(shard)
    shutil.copytree(images, tmp_path / "without")
    (tmp_path / "without" / record.source).unlink()
    for root, others in ((None, set()), (images, set()), (tmp_path / "without", {"vanished"})):
        findings = audit(forger, root)
        assert has(findings, "image", file=shard, record=0, source=record.source, copy=1)
        assert {one.kind for one in findings} == {"image"} | others


def test_an_image_of_another_size_is_named(forger, photo):
    record = forger.records(SHARD)[2]
    forger.change_record(SHARD, 2, image=codec.encode_png(photo))
    forger.cover_up(SHARD)
    assert has(audit(forger), "image", file=SHARD, record=2, source=record.source, copy=1)


def edit_recipe(document: dict[str, Any]) -> None:
    rotation = next(op for op in document["request"]["recipe"]["ops"] if "rotation" in op)
    rotation["rotation"]["factor"] = [-0.2, 0.2]


def edit_fingerprint(forger: Forger) -> str:
    manifest = forger.manifest
    groups = {split: counts.groups for split, counts in manifest.splits.items()}
    fingerprint = manifest.request.fingerprint(groups)
    forger.put_manifest(lambda document: document.update(fingerprint=fingerprint))
    return fingerprint


def test_the_recipe_in_the_manifest_edited_is_found(forger):
    path = forger.out / "manifest.json"
    document = json.loads(path.read_text())
    edit_recipe(document)
    path.write_text(json.dumps(document))
    assert has(audit(forger), "manifest", file="manifest.json")
    forger.put_manifest(edit_recipe)  # with a digest that fits
    assert has(audit(forger), "fingerprint", file="manifest.json")


def test_the_recipe_edited_with_its_fingerprint_is_found_by_the_receipts_and_by_every_draw(forger):
    forger.put_manifest(edit_recipe)
    fingerprint = edit_fingerprint(forger)
    assert has(audit(forger), "receipt", file=ROWS)
    forger.cover_up(
        *(name for name, file in forger.manifest.files.items() if file.records is not None),
        fingerprint=fingerprint,
    )
    found = audit(forger)
    assert {finding.kind for finding in found} == {"draw"}
    row = forger.rows(ROWS)[0]
    assert has(found, "draw", file=ROWS, record=0, source=row["source"], copy=1)


@pytest.mark.parametrize(
    ("column", "value", "kind"),
    [
        ("brightness.delta", 0.123, "draw"),
        ("rotation.applied", None, "draw"),
        ("pixels_blake3", "0" * 64, "pixels"),
        ("source_sha256", "0" * 64, "copies"),
        ("source_width", 7, "copies"),
        ("class", "bird", "row"),
        ("label", 5, "row"),
        ("copy", 0, "row"),
        ("shard", 1, "row"),
        ("split", "test", "row"),
    ],
)
def test_a_samples_row_edited_is_named(forger, column, value, kind):
    source = forger.rows(ROWS)[2]["source"]
    forger.change_row(ROWS, 2, **{column: value})
    forger.cover_up(SHARD)
    file = SHARD if kind == "pixels" else ROWS
    assert has(audit(forger), kind, file=file, record=2, source=source, copy=1)


def test_a_row_of_a_test_split_edited_is_found_by_its_source(forger, photos):
    name = samples_of(TEST_SHARD)
    row = forger.rows(name)[0]
    forger.change_row(name, 0, source_sha256="0" * 64, source_width=row["source_width"] + 1)
    forger.cover_up(TEST_SHARD)
    found = audit(forger, photos, 1)
    assert [finding.kind for finding in found] == ["row", "row"]
    assert all(finding.source == row["source"] for finding in found)


def test_counts_changed_in_the_manifest_are_found(forger):
    def change(document: dict[str, Any]) -> None:
        document["records"] += 1
        document["splits"]["train"]["written"] += 1

    forger.put_manifest(change)
    sentences = [finding.message for finding in audit(forger) if finding.file == "manifest.json"]
    assert any(sentence.startswith("its records is 37") for sentence in sentences)
    assert any("copy 1 of split train has 16 samples; it says 17" in sentence for sentence in sentences)


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"shard_bytes": 0}, "manifest"),
        ({"split_fractions": [["train", "nan"]]}, "manifest"),
        ({"split_fractions": [["train", "0.5"]]}, "manifest"),
    ],
)
def test_a_request_that_no_job_takes_is_found(forger, photos, changes, kind):
    forger.put_manifest(lambda document: document["request"].update(changes))
    assert has(audit(forger, photos), kind, file="manifest.json")


def test_a_number_that_no_dataset_has_is_found(forger, photos, run_command, tmp_path):
    def change(document: dict[str, Any]) -> None:
        document["image_size"] = [10**30, 10**30]
        document["splits"]["train"]["sources"] = 10**400

    forger.put_manifest(change)
    run = run_command("audit", forger.out, "--input", photos, "--report", tmp_path / "report.html")
    assert run.status == 1
    assert "it is damaged at 'image_size.0' (input should be less than or equal to 16384)" in run.out


def test_small_files_that_say_something_else_than_the_manifest_are_found(forger):
    (forger.out / "label.labels.txt").write_text("dog\ncat\n")
    forger.list_again("label.labels.txt")
    assert has(audit(forger), "content", file="label.labels.txt")


def test_a_reject_that_is_left_out_is_named(forger):
    (forger.out / "rejects.jsonl").write_text("")
    forger.list_again("rejects.jsonl")
    found = audit(forger)
    assert has(found, "count", file="rejects.jsonl")
    assert has(found, "reject", source="train/cat/broken.jpg")


def test_rejects_that_are_none_are_found(forger):
    path = forger.out / "rejects.jsonl"
    path.write_text(path.read_text() + '{"source": 1}\n')
    forger.list_again("rejects.jsonl")
    assert has(audit(forger), "content", message="line 2 is no object of source, reason and detail")


@pytest.mark.parametrize("name", ["cat/a\0b", "cat/a\ud800b"])
def test_a_forged_reject_of_a_name_that_no_file_can_have_is_found(forger, photos, name):
    reject = json.dumps({"source": name, "reason": "empty", "detail": ""})
    (forger.out / "rejects.jsonl").write_text(reject + "\n")
    forger.list_again("rejects.jsonl")
    assert has(audit(forger, photos), "reject", source=name)


def test_a_forged_row_of_a_name_that_no_file_can_have_is_found(forger, photos):
    forger.change_row(ROWS, 2, source="train/cat/a\0b")
    assert has(audit(forger, photos), "unreadable", source="train/cat/a\0b")


def test_what_is_behind_the_last_record_is_found(forger):
    with open(forger.out / SHARD, "ab") as file:
        file.write(b"thirteen bytes")
    [found] = (finding for finding in audit(forger) if finding.kind == "framing")
    assert found.message.endswith("it is behind the last one")


def test_json_is_json_whatever_was_forged(forger, run_command, tmp_path):
    column = next(name for name, value in forger.rows(ROWS)[0].items() if type(value) is float)
    forger.change_row(ROWS, 2, **{column: float("inf")})
    rejects = [{"source": "a\ud800", "reason": reason, "detail": "x"} for reason in (5, "odd\ud800")]
    (forger.out / "rejects.jsonl").write_text("".join(json.dumps(reject) + "\n" for reject in rejects))
    forger.list_again("rejects.jsonl")
    run_command("audit", forger.out, "--json", tmp_path / "audit.json")

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    found = json.loads((tmp_path / "audit.json").read_text(), parse_constant=refuse)
    assert found["statistics"]["rejects"] == {"5": 1, "odd\ud800": 1}


def test_a_directory_whose_name_is_no_utf_8_is_a_clear_sentence(run_command, tmp_path):
    run = run_command("audit", os.fsdecode(os.path.join(os.fsencode(tmp_path), b"odd\xff")))
    assert run.status == 2
    assert "its name is not UTF-8" in run.err


def test_a_name_that_would_move_the_cursor_is_shown_escaped(forger, run_command):
    (forger.out / "a\x1b[2Jb\n").write_text("")
    (forger.out / os.fsdecode(b"c\xff")).write_text("")
    ended = run_command("audit", forger.out)
    assert r"a\x1b[2Jb\n: the manifest does not list it" in ended.out
    assert r"c\xff: the manifest does not list it" in ended.out


def test_what_a_run_in_progress_adds_is_left_out(forger, run_command):
    (forger.out / ".unfinished").mkdir()
    (forger.out / "tiny_png-train_c2.tfrecord-00000-of-00002").write_bytes(b"")
    ended = run_command("audit", forger.out)
    assert ended.status == 0
    assert "a run that adds copies is under way, or did not end: .unfinished and 1 files" in ended.out


@pytest.fixture
def changed(photos, tmp_path) -> Path:
    """A copy of the input, to be changed."""
    shutil.copytree(photos, tmp_path / "photos")
    return tmp_path / "photos"


def test_a_source_that_was_altered_is_named_however_few_samples_are_derived(dataset, changed):
    path = changed / "train/cat/003.png"
    content = bytearray(path.read_bytes())
    content[-20] ^= 8
    path.write_bytes(content)  # of the same name and size
    assert [(f.kind, f.source) for f in audit(dataset, changed, 1)] == [("changed", "train/cat/003.png")]


def test_a_source_that_cannot_be_decoded_any_more_is_named_with_the_reason(dataset, changed):
    (changed / "train/cat/003.png").write_bytes(b"")
    [found] = audit(dataset, changed, 1)
    assert (found.kind, found.source) == ("changed", "train/cat/003.png")
    assert "can no longer be decoded (empty: " in found.message


def test_sources_that_vanished_were_renamed_or_came_are_named(dataset, changed, photo):
    (changed / "train/cat/000.png").unlink()
    (changed / "train/cat/001.png").rename(changed / "train/dog/moved.png")
    Image.fromarray(photo).save(changed / "test/cat/new.png")
    found = audit(dataset, changed, 1)
    assert {(f.kind, f.source) for f in found} == {
        ("vanished", "train/cat/000.png"),
        ("renamed", "train/cat/001.png"),
        ("new", "test/cat/new.png"),
    }
    assert has(found, "renamed", message="the source is now train/dog/moved.png")


def test_a_rejected_file_that_can_be_decoded_now_is_named(dataset, changed, photo):
    Image.fromarray(photo).save(changed / "train/cat/broken.jpg")
    [found] = audit(dataset, changed, 1)
    assert (found.kind, found.source) == ("reject", "train/cat/broken.jpg")
    assert "and now can be decoded" in found.message


def test_a_source_left_out_of_every_copy_is_found_in_the_input(forger, photos):
    name = samples_of(TEST_SHARD)
    source = forger.records(TEST_SHARD)[0].source
    forger.put_records(TEST_SHARD, forger.records(TEST_SHARD)[1:])
    forger.put_rows(name, forger.rows(name)[1:])

    def count(document: dict[str, Any]) -> None:
        document["records"] -= 1
        for number in ("sources", "written"):
            document["splits"]["test"][number] -= 1

    forger.cover_up(TEST_SHARD)
    forger.put_manifest(count)
    assert has(audit(forger, photos), "new", source=source)


@pytest.fixture
def elsewhere(monkeypatch) -> None:
    """Another version of TensorFlow, as far as the audit can tell."""
    here = verify.parity_class()
    monkeypatch.setattr(verify, "parity_class", lambda: {**here, "tensorflow": "9.9"})


@pytest.mark.usefixtures("elsewhere")
def test_c9_in_another_parity_class_nothing_is_called_equal(dataset, photos, run_command):
    ended = run_command("audit", dataset, "--input", photos, "--samples", 7)
    assert ended.status == 0
    assert "samples were derived in another parity class" in ended.out
    assert "9.9 now: no difference was measured in 7 samples" in ended.out
    assert "bit for bit" not in ended.out


@pytest.mark.usefixtures("elsewhere")
def test_c9_in_another_parity_class_small_differences_are_measured_and_large_ones_are_findings(
    forger, photos, run_command
):
    def change(number: int, levels: int) -> None:
        record = forger.records(SHARD)[number]
        pixels = tf.io.decode_png(record.image).numpy()
        pixels[:4] = (pixels[:4].astype(int) + levels).clip(0, 255)
        forger.change_record(SHARD, number, image=codec.encode_png(pixels))
        forger.change_row(ROWS, number, pixels_blake3=blake3(pixels.tobytes()).hexdigest())

    change(1, 1)
    forger.cover_up(SHARD)
    ended = run_command("audit", forger.out, "--input", photos)
    assert ended.status == 0, ended
    assert "1 of 36 samples differ" in ended.out
    assert "by up to 1 level" in ended.out
    change(3, 60)
    forger.cover_up(SHARD)
    [found] = audit(forger, photos)
    assert (found.kind, found.record) == ("derived", 3)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--samples", "5"], "--samples 5: samples are derived from their sources; add --input DIR"),
        (["--input", "IN", "--samples", "some"], "--samples is 'some'; it must be a number from 1, or all"),
        (["--input", "nowhere"], "input nowhere: there is no such directory"),
        (["--json", "OUT/findings.json"], "it would lie in the dataset, which it is no part of"),
        (["--json", "nowhere/findings.json"], "there is no directory"),
        (["--sample", "train/cat/000.png"], "--sample SOURCE and --copy K together"),
        (["--sample", "train/cat/000.png", "--copy", "0"], "it is derived from its source; add --input DIR"),
        (["--sample", "cat.png", "--copy", "0", "--input", "IN"], "the dataset has no such source"),
        (["--sample", "train/cat/000.png", "--copy", "7", "--input", "IN"], "there are these: 0, 1"),
        (["--strip", "a.png"], "--strip a.png: it takes the pictures of a replay; add --sample and --copy"),
        (
            ["--sample", "a", "--copy", "0", "--json", "a"],
            "leave --samples, --report, --json, --backend, --group-by and --duplicates out",
        ),
    ],
)
def test_a_wrong_request_is_a_clear_sentence(dataset, photos, run_command, options, sentence):
    options = [option.replace("OUT", str(dataset)).replace("IN", str(photos)) for option in options]
    ended = run_command("audit", dataset, *options)
    assert ended.status == 2
    assert sentence in ended.err


def test_what_is_no_finished_dataset_is_a_clear_sentence(run_command, tmp_path, dataset):
    ended = run_command("audit", tmp_path / "nowhere")
    assert (ended.status, ended.err) == (2, f"augshard: {tmp_path}/nowhere: there is no such directory\n")
    ended = run_command("audit", tmp_path)
    assert ended.status == 2
    assert "it holds no manifest.json, so it is no finished dataset" in ended.err
    (tmp_path / "manifest.json").write_text('{"name": "another program"}')
    assert run_command("audit", tmp_path).status == 2


def test_a_sample_is_replayed_op_after_op(dataset, photos, run_command, tmp_path):
    strip = tmp_path / "strip.png"
    options = ["--input", photos, "--sample", "train/cat/003.png", "--copy", 1, "--strip", strip]
    ended = run_command("audit", dataset, *options)
    assert ended.status == 0, ended
    assert [line.split()[0] for line in ended.out.splitlines()[1:] if line[:1].strip()][:5] == [
        "resize",
        "flip",
        "rotation",
        "brightness",
        "saturation",
    ]
    row = next(
        row
        for shard in (SHARD, OTHER)
        for row in Forger(dataset).rows(samples_of(shard))
        if row["source"] == "train/cat/003.png"
    )
    assert f"{row['brightness.delta']:.9g}" in ended.out
    assert "match   yes: the record has the same pixels" in ended.out
    assert Image.open(strip).width > 6 * 100


def test_a_replay_says_that_the_record_is_another(forger, photos, run_command, tmp_path):
    records = forger.records(SHARD)
    forger.change_record(SHARD, 2, image=records[3].image)
    options = ["--input", photos, "--sample", records[2].source, "--copy", 1, "--strip", tmp_path / "a.png"]
    ended = run_command("audit", forger.out, *options)
    assert ended.status == 1
    assert "match   no: the record differs in" in ended.out
    forger.change_row(ROWS, 2, **{"brightness.delta": 0.2})
    assert "other values of brightness.delta" in run_command("audit", forger.out, *options).out
