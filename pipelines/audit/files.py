"""The files of a dataset directory against its manifest, but for what is in shards."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping

from augment.recipe import Recipe
from pipelines import storage
from pipelines.audit.findings import Audit, Finding
from pipelines.format import tfds
from pipelines.format.bounds import LINE_BYTES
from pipelines.format.inside import path_in
from pipelines.format.layout import (
    DATASET_INFO,
    FEATURES,
    MANIFEST,
    REJECTS,
    RUN,
    WORK,
)
from pipelines.format.manifest import File, Manifest, json_text
from pipelines.sources import Reject


def check_file(
    audit: Audit, name: str, listed: File, size: int, digest: str, owner: Mapping[str, str] | None = None
) -> bool:
    """A file's size and digest against the manifest's.

    False if its bytes are those of another file, by `owner`, which names files by digest.
    """
    audit.checked["files"] += 1
    audit.checked["bytes"] += size
    if digest == listed.sha256 and size == listed.bytes:
        return True
    whose = (owner or {}).get(digest)
    if whose:
        audit.findings.add(Finding("swapped", f"it holds the bytes of {whose}", name))
        return False
    if size != listed.bytes:
        message = f"it has {size:,} bytes; by the manifest it has {listed.bytes:,}"
        audit.findings.add(Finding("size", message, name))
    else:
        audit.findings.add(Finding("digest", "its SHA-256 is not the manifest's", name))
    return True


def check_whole_file(audit: Audit, name: str, listed: File) -> bool:
    """A file of which nothing but the digest is looked at; whether it is as the manifest says."""
    before = len(audit.findings)
    try:
        path = path_in(audit.directory, name)
        size = storage.at(path).size()
        if size is None:
            audit.findings.add(Finding("missing", "the file is not there", name))
            return False
        check_file(audit, name, listed, size, storage.at(path).digest())
    except OSError as error:
        message = f"it cannot be read ({storage.reason(error)})"
        audit.findings.add(Finding("unreadable", message, name))
    return len(audit.findings) == before


def check_small_files(audit: Audit, manifest: Manifest, recipe: Recipe) -> frozenset[Reject] | None:
    """What TFDS reads, and the rejects, which are returned; None if they cannot be read.

    Their content is looked at where they have the manifest's digest: it must follow from the manifest.
    """
    features = tfds.features(recipe.image_shape, recipe.storage, manifest.classes, manifest.targets)
    expected = {FEATURES: json_text(features)}
    for name, labels in tfds.label_files(manifest.classes, manifest.targets).items():
        expected[name] = "".join(f"{label}\n" for label in labels)
    for name, text in expected.items():
        if check_whole_file(audit, name, manifest.files[name]):
            with storage.at(audit.directory).open(name) as file:
                if file.read(len(text.encode()) + 1) != text.encode():
                    message = "it does not say what the manifest says of names, sizes and counts"
                    audit.findings.add(Finding("content", message, name))
    _check_dataset_info(audit, manifest)
    if not check_whole_file(audit, REJECTS, manifest.files[REJECTS]):
        return None
    return _read_rejects(audit, manifest)


_LAST_STEP = "a run ended before its last step, which the same augshard materialize does"


def _check_dataset_info(audit: Audit, manifest: Manifest) -> None:
    """What tells TFDS of the splits, which follows from the manifest and is written after it."""
    expected = tfds.dataset_info(manifest.request.name, manifest.shard_lengths(), manifest.supervised)
    text = json_text(expected).encode()
    try:
        with storage.at(path_in(audit.directory, DATASET_INFO)).open() as file:
            content = file.read(len(text) + 1)
    except FileNotFoundError:
        message = f"the file is not there: {_LAST_STEP}"
        audit.findings.add(Finding("missing", message, DATASET_INFO))
        return
    except OSError as error:
        message = f"it cannot be read ({storage.reason(error)})"
        audit.findings.add(Finding("unreadable", message, DATASET_INFO))
        return
    audit.checked["files"] += 1
    audit.checked["bytes"] += len(content)
    if content == text:
        return
    message = "it does not say what the manifest says of names, sizes and counts"
    with contextlib.suppress(ValueError, TypeError, KeyError, RecursionError):
        shown = json.loads(content)
        follows = {name: expected[name] for name in ("splits", "description")}
        if {**shown, **follows} == expected and all(s in expected["splits"] for s in shown["splits"]):
            message = f"it shows TFDS fewer copies than there are: {_LAST_STEP}"
    audit.findings.add(Finding("content", message, DATASET_INFO))


def _read_rejects(audit: Audit, manifest: Manifest) -> frozenset[Reject] | None:
    rejects: list[Reject] = []
    with storage.at(audit.directory).open(REJECTS) as file:
        while line := file.readline(LINE_BYTES):
            try:
                reject = Reject(**json.loads(line))
            except (ValueError, TypeError, RecursionError):
                reject = None
            if reject is None or not all(isinstance(value, str) for value in reject):
                message = f"line {len(rejects) + 1} is no object of source, reason and detail"
                audit.findings.add(Finding("content", message, REJECTS))
                return None
            rejects.append(reject)
            if len(rejects) > manifest.rejects:
                break
    if len(set(rejects)) != manifest.rejects:
        more = " or more" if len(rejects) > manifest.rejects else ""
        message = f"it has {len(set(rejects)):,} rejects{more}; the manifest says {manifest.rejects:,}"
        audit.findings.add(Finding("count", message, REJECTS))
    return frozenset(rejects)


def check_strays(audit: Audit, manifest: Manifest) -> None:
    """Whatever lies in the directory that the manifest does not list."""
    known = {MANIFEST, RUN, DATASET_INFO, *manifest.files}
    strays = [path for path in storage.at(audit.directory).tree(without=WORK) if path not in known]
    if WORK in storage.at(audit.directory).names():
        audit.unchecked.append(
            f"a run that adds copies is under way, or did not end: {WORK} and {len(strays)} files that "
            "the manifest does not list were left out"
        )
        return
    for path in sorted(strays):
        name = os.fsencode(path).decode("utf-8", "backslashreplace")
        audit.findings.add(Finding("unexpected", "the manifest does not list it", name))
