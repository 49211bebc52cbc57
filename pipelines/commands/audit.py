"""`augshard audit`: checks what was typed, verifies, and says what came of it."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import cast, get_args

from augment import backends
from augment.errors import RequestError, did_you_mean, require
from pipelines import storage
from pipelines.audit.findings import open_audit
from pipelines.commands.checks import annotations_beside
from pipelines.format.manifest import json_text, read_manifest
from pipelines.format.request import load_plugins
from pipelines.report.audit.summary import as_json, as_text
from pipelines.sources import check_root
from pipelines.sources.groups import checked_groups

SAMPLES = 200
"""How many samples are derived again, if nothing is said."""


def audit_command(
    directory: str,
    *,
    root: str | None,
    samples: str | None = None,
    report: str | None = None,
    json: str | None = None,
    sample: str | None = None,
    copy: int | None = None,
    strip: str | None = None,
    backend: str | None = None,
    group_by: str | None = None,
    duplicates: bool = False,
    annotations: str | None = None,
    plugins: Sequence[str] = (),
) -> None:
    """Audits a dataset, or replays one sample of it.

    Raises RequestError for a wrong request; exits with status 1 if something was found.
    """
    load_plugins(plugins)
    if sample is None and copy is None:
        if strip:
            raise RequestError(f"--strip {strip}: it takes the pictures of a replay; add --sample and --copy")
        return _audit(
            directory,
            root=root,
            samples=samples,
            report=report,
            json=json,
            backend=backend,
            group_by=group_by,
            duplicates=duplicates,
            annotations=annotations,
        )
    if sample is None or copy is None:
        raise RequestError("one sample is given by --sample SOURCE and --copy K together")
    if samples or report or json or backend or group_by or duplicates:
        raise RequestError(
            "--sample replays one sample; leave --samples, --report, --json, --backend, --group-by and "
            "--duplicates out"
        )
    return _replay(
        directory, root=root, annotations=annotations, sample=sample, copy=copy, strip=strip or "replay.png"
    )


def _audit(
    directory: str,
    *,
    root: str | None,
    samples: str | None,
    report: str | None,
    json: str | None,
    backend: str | None,
    group_by: str | None,
    duplicates: bool,
    annotations: str | None,
) -> None:
    if samples is not None and root is None:
        raise RequestError(f"--samples {samples}: samples are derived from their sources; add --input DIR")
    if backend is not None and backend not in get_args(backends.Name):
        raise RequestError(f"--backend is {backend!r}; {did_you_mean(backend, get_args(backends.Name))}")
    if backend is not None and root is None:
        raise RequestError(f"--backend {backend}: samples are derived from their sources; add --input DIR")
    if duplicates and root is None:
        raise RequestError("--duplicates: it is the sources that are compared; add --input DIR")
    if group_by is not None:
        checked_groups(group_by, table=True)
    count = _count(samples)
    _check_outputs(directory, {"--report": report, "--json": json})
    if report is not None:
        require("Matplotlib", "--report")
    if root is not None:
        check_root(root)
    audit = open_audit(directory, root)
    beside = annotations_beside(directory, audit.manifest, root, annotations)
    from pipelines.audit.verify import verify
    from pipelines.report.page import write_page

    by = cast("backends.Name | None", backend)
    verify(audit, count, backend=by, group_by=group_by, pictures=duplicates, annotations=beside)
    if report is not None:
        from pipelines.report.audit.page import page

        write_page(report, page(audit))
    if json is not None:
        write_page(json, json_text(as_json(audit)), what="--json")
    sys.stdout.write(as_text(audit, json=json, report=report))
    if not audit.clean:
        sys.exit(1)


def _replay(
    directory: str, *, root: str | None, annotations: str | None, sample: str, copy: int, strip: str
) -> None:
    _check_outputs(directory, {"--strip": strip})
    if root is None:
        raise RequestError(f"--sample {sample}: it is derived from its source; add --input DIR")
    root, manifest = check_root(root), read_manifest(directory)
    from pipelines.audit.replay import replay
    from pipelines.report.audit import replay as report

    beside = annotations_beside(directory, manifest, root, annotations)
    found = replay(directory, manifest, root=root, source=sample, copy=copy, annotations=beside)
    report.write_strip(found, strip)
    sys.stdout.write(report.as_text(found, strip))
    if not found.matches:
        sys.exit(1)


def _count(samples: str | None) -> int | None:
    """How many samples, None for all."""
    if samples is None:
        return SAMPLES
    if samples == "all":
        return None
    if not samples.isascii() or not samples.isdigit() or int(samples) == 0:
        raise RequestError(f"--samples is {samples!r}; it must be a number from 1, or all")
    return int(samples)


def _check_outputs(directory: str, outputs: dict[str, str | None]) -> None:
    """Raises RequestError for a file that cannot be written, or would be one of the dataset's."""
    storage.check_text(os.path.abspath(directory), "dataset")
    inside = os.path.join(os.path.realpath(directory), "")
    for option, path in outputs.items():
        if path is None:
            continue
        folder = os.path.dirname(os.path.abspath(path))
        if not os.path.isdir(folder):
            raise RequestError(f"{option} {path}: there is no directory {folder}")
        if os.path.isdir(path):
            raise RequestError(f"{option} {path}: it is a directory; give a file")
        if os.path.join(os.path.realpath(folder), "").startswith(inside):
            raise RequestError(f"{option} {path}: it would lie in the dataset, which it is no part of")
        if not os.access(path if os.path.exists(path) else folder, os.W_OK):
            raise RequestError(f"{option} {path}: it cannot be written (permission denied)")
