"""`augshard materialize`: checks what was typed, launches, and says what came of it."""

from __future__ import annotations

import collections
import json
import logging
import sys
from collections.abc import Mapping, Sequence
from typing import cast, get_args

from augment import backends
from augment.errors import RequestError, did_you_mean, require
from augment.labels.findings import findings, summary
from augment.recipe import NAME, Recipe
from pipelines import storage
from pipelines.annotations import annotations_for, features_named
from pipelines.commands.checks import check_range, checked_duplicates, checked_group_by
from pipelines.engines import choose
from pipelines.engines.engine import JobFailed
from pipelines.format.bounds import MOST_GROUPS, NAME_LENGTH
from pipelines.format.copies import in_words
from pipelines.format.layout import REJECTS
from pipelines.format.manifest import Manifest
from pipelines.format.request import Request, load_plugins
from pipelines.format.tfds import how_to_read
from pipelines.materialize.launch import launch
from pipelines.materialize.run import Outcome
from pipelines.plan import Plan, describe, parse_balance, parse_bytes, parse_copies, parse_fractions
from pipelines.recipes import asked_recipe
from pipelines.report.table import Table
from pipelines.sources import check_root, checked_layout, class_folders
from pipelines.sources.checks import advice
from pipelines.sources.words import counted


def materialize_command(
    *,
    root: str,
    output: str,
    recipe: str,
    recipe_for: Sequence[str] = (),
    seed: int = 0,
    copies: str | None = None,
    balance: str | None = None,
    include_originals: bool = False,
    name: str | None = None,
    augment_splits: str | None = None,
    split_fractions: str | None = None,
    group_by: str | None = None,
    duplicates: str | None = None,
    annotations: str | None = None,
    layout: str = "auto",
    shards: int | None = None,
    shard_size: str = "128MiB",
    max_rejects: float = 0.01,
    plugins: Sequence[str] = (),
    overwrite: bool = False,
    backend: str = "host",
    runner: str = "embedded",
    beam_arguments: Sequence[str] = (),
    our_options: Sequence[str] = (),
) -> None:
    """Raises RequestError for a wrong request; exits with status 1 if the work fails."""
    every, by_class = parse_copies(copies)
    balanced = parse_balance(balance, copies)
    check_range("--seed", seed, 0, 2**64 - 1)
    check_range("--shards", shards, 1, MOST_GROUPS)
    check_range("--max-rejects", max_rejects, 0, 1)
    folders = checked_layout(layout)
    if backend not in get_args(backends.Name):
        raise RequestError(f"--backend is {backend!r}; {did_you_mean(backend, get_args(backends.Name))}")
    if backend == "device":
        require("TensorFlow", "--backend device")
    # Beam warns of what this job does not use, and shows a failure on the terminal, which we sum up and
    # keep in a file; some of its loggers have levels of their own.
    logging.disable(logging.CRITICAL)
    engine = choose(runner, beam_arguments)
    beside = {} if annotations is None or features_named(annotations) else {"--annotations": annotations}
    engine.check({"--input": root, "--output": output} | beside, our_options)
    if not engine.dry_run:
        check_root(root)
    told = annotations_for(root, annotations, look=not engine.dry_run)
    digests = load_plugins(list(plugins))
    loaded = asked_recipe(recipe, recipe_for)
    name = name if name is not None else loaded.name
    if not NAME.fullmatch(name) or len(name) > NAME_LENGTH:
        raise RequestError(
            f"--name is {name!r}; TFDS reads names of lower-case letters, digits and _ "
            f"that begin with a letter, here of {NAME_LENGTH} at most"
        )
    request = Request(
        name=name,
        recipe_name=loaded.name,
        recipe=loaded.canonical(),
        seed=seed,
        copies=every,
        class_copies=by_class,
        balance=balanced,
        originals=include_originals,
        augment_splits=tuple(s.strip() for s in augment_splits.split(",")) if augment_splits else None,
        split_fractions=parse_fractions(split_fractions) if split_fractions else None,
        group_by=checked_group_by(group_by, split_fractions, told),
        duplicates=checked_duplicates(duplicates, split_fractions),
        annotations=told.format if told else None,
        features=dict(told.features) or None if told else None,
        layout=folders,
        shards=shards,
        shard_bytes=parse_bytes(shard_size),
        plugins=digests,
    )
    try:
        outcome = launch(
            request,
            root=root,
            output=output,
            max_rejects=max_rejects,
            overwrite=overwrite,
            engine=engine,
            backend=cast(backends.Name, backend),
            annotations=told,
            before_work=lambda: _warn_by_folders(loaded, root, request),
            tell=lambda plan: _tell(loaded, plan),
        )
    except JobFailed as failure:
        sys.stderr.write(f"augshard: {failure}\n")
        sys.exit(1)
    for warning in outcome.warnings:
        sys.stderr.write(f"augshard: warning: {warning}\n")
    rows = _table(outcome, outcome.manifest, output) if outcome.manifest else outcome.elsewhere
    sys.stdout.write(Table((), list(rows.items())).text)


def _warn_by_folders(recipe: Recipe, root: str, request: Request) -> None:
    """Where no folders are classes, a listing has to show their names."""
    if not request.annotations:
        _warn_of_labels(recipe, class_folders(root, request.layout))


def _tell(recipe: Recipe, plan: Plan) -> None:
    sys.stderr.write(describe(plan))
    if plan.request.annotations:
        _warn_of_labels(recipe, plan.classes)


_MOST_WARNINGS = 3


def _warn_of_labels(recipe: Recipe, classes: Sequence[str]) -> None:
    """What augshard lint finds, on stderr; the work goes on."""
    sentences = summary(findings(recipe, classes))
    for sentence in sentences[:_MOST_WARNINGS]:
        sys.stderr.write(f"augshard: warning: {sentence} (augshard lint says more)\n")
    if len(sentences) > _MOST_WARNINGS:
        more = len(sentences) - _MOST_WARNINGS
        sys.stderr.write(f"augshard: warning: augshard lint finds {more} more of the kind\n")


def _table(outcome: Outcome, manifest: Manifest, output: str) -> dict[str, str]:
    new = manifest.records - outcome.kept
    kept = f"{outcome.kept:,} kept, " if outcome.kept else ""
    size = sum(file.bytes for file in manifest.files.values())
    images = ", ".join(f"{counts.written:,} {split}" for split, counts in manifest.splits.items())
    rows = {
        "images": images,
        **({"targets": str(manifest.targets)} if manifest.targets else {}),
        "copies": _copies(manifest),
        "records": f"{manifest.records:,}" + (f" ({kept}{new:,} new)" if new else ""),
        "rejects": _rejects(manifest, output) if manifest.rejects else "0",
        **({"ignored": _ignored(manifest.ignored)} if manifest.ignored else {}),
        "size": f"{size / 1e6:,.1f} MB in {len(manifest.files):,} files",
    }
    if new and outcome.seconds:
        rate = new / outcome.seconds
        by = f" in {outcome.processes} processes" if outcome.processes > 1 else ""
        rows["time"] = f"{outcome.seconds:,.1f} s{by}, {rate:,.0f} records/s"
    else:
        rows["time"] = "nothing was left to do"
    return {**rows, "dataset": output, "next": "\n".join(how_to_read(output, manifest))}


def _rejects(manifest: Manifest, output: str) -> str:
    lines = storage.at(output).read(REJECTS).splitlines()
    reasons = collections.Counter(json.loads(line)["reason"] for line in lines)
    return f"{manifest.rejects:,}: {counted(reasons)} ({output}/{REJECTS} names them)"


def _ignored(kinds: Mapping[str, int]) -> str:
    said = advice(kinds)
    return counted(kinds) + (f" ({said})" if said else "")


def _copies(manifest: Manifest) -> str:
    augmented = [split for split, counts in manifest.splits.items() if counts.augmented]
    originals = " and the originals" if manifest.request.originals else ""
    if manifest.request.by_class:
        return "; ".join(
            f"{in_words(manifest.splits[split].classes or {})}{originals} of {split}" for split in augmented
        )
    return f"{manifest.request.copies}{originals} of {', '.join(augmented) or 'none'}"
