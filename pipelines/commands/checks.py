"""Checks of what was typed that several commands make."""

from __future__ import annotations

import shlex
from typing import cast, get_args

from augment.errors import RequestError
from pipelines import storage
from pipelines.annotations import CONTAINERS, Annotations, annotations_for
from pipelines.format.manifest import Manifest
from pipelines.format.request import Duplicates
from pipelines.sources.groups import checked_pattern


def check_range(option: str, value: float | None, low: float, high: float) -> None:
    """Raises RequestError for a value that is given and lies outside of it."""
    if value is not None and not low <= value <= high:
        raise RequestError(f"{option} is {value}; it must be from {low} to {high}")


_TORN = (
    "; the folders that are there say which split an image is in, and augshard audit OUT{option} finds what "
    "lies in two of them. Give --split-fractions, such as train=0.8,test=0.2, or leave it out"
)


def checked_group_by(pattern: str | None, made: str | None) -> str | None:
    """The expression of --group-by; `made` is what splits are made by, if they are made.

    Raises RequestError if it is none with one group, or no splits are made.
    """
    if pattern is None:
        return None
    if not made:
        option = f" --group-by {shlex.quote(pattern)}"
        raise RequestError(
            f"--group-by {pattern!r}: it says what splits that are made must not tear, and none are made"
            + _TORN.format(option=option)
        )
    return checked_pattern(pattern)


def checked_duplicates(said: str | None, made: str | None) -> Duplicates | None:
    """What --duplicates says. Raises RequestError if it is nothing that is known, or no splits are made."""
    if said is None:
        return None
    if said not in get_args(Duplicates):
        raise RequestError(f"--duplicates is {said!r}; it must be {get_args(Duplicates)[0]}")
    if not made:
        raise RequestError(
            f"--duplicates {said}: it says what splits that are made must not tear, and none are made"
            + _TORN.format(option=" --input DIR --duplicates")
        )
    return cast(Duplicates, said)


def annotations_beside(
    directory: str, manifest: Manifest | None, root: str | None, annotations: str | None
) -> Annotations | None:
    """What lies beside the images, where a dataset was made of that. Raises RequestError if it is another."""
    made_of = manifest and manifest.request.annotations
    if annotations is None:
        if manifest and made_of in CONTAINERS and root is not None:
            asked = tuple((manifest.request.features or {}).items())
            return Annotations(storage.at(root).absolute(), made_of, asked)
        if made_of and root is not None:
            raise RequestError(
                f"{directory}: its targets come from {made_of} annotations; add --annotations FILE|DIR, "
                "which it was made with"
            )
        return None
    if root is None:
        raise RequestError(f"--annotations {annotations}: they are of sources; add --input DIR")
    beside = annotations_for(root, annotations)
    if manifest and beside and beside.format != made_of:
        was = f"{made_of} annotations" if made_of else "images alone"
        raise RequestError(
            f"--annotations {annotations}: it holds {beside.format}, and {directory} was made of {was}"
        )
    if manifest and beside and dict(beside.features) != (manifest.request.features or {}):
        raise RequestError(
            f"--annotations {annotations}: {directory} was made of other features; leave it out, for the "
            "dataset knows which"
        )
    return beside
