"""What must not be torn, a patient, a video, a scene: by the path of a source, or by a table beside it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from augment.errors import RequestError
from augment.targets import Annotation
from pipelines.sources.found import Source

_AN_EXAMPLE = "such as '([^/]+)/[^/]*$' for the folder that a file lies in"


_COLUMN = "column:"
"""Begins what names a column; an expression that begins so has no group, or can be written `(?:c)olumn:`."""


def column_of(group_by: str) -> str | None:
    """The column that is named; None for an expression."""
    return group_by.removeprefix(_COLUMN) if group_by.startswith(_COLUMN) else None


def checked_groups(pattern: str, *, table: bool) -> str:
    """A regular expression with one group or, of a `table` beside the images, `column:NAME`.

    Raises RequestError if it is neither. Expressions are RE2's, whose time is bounded for any of them and any
    name: a dataset's may be anybody's.
    """
    import pyarrow as pa

    if (column := column_of(pattern)) is not None:
        if not column:
            raise RequestError(f"--group-by {pattern}: name a column behind it, such as column:patient")
        if not table:
            raise RequestError(
                f"--group-by {pattern}: it names a column, and no table lies beside the images; give one, "
                "such as --annotations metadata.csv, or an expression for their paths"
            )
        return pattern
    try:
        groups = re.compile(pattern).groups
    except (re.error, RecursionError, OverflowError) as error:
        raise RequestError(f"--group-by {pattern!r}: it is no regular expression ({error})") from None
    if groups != 1:
        raise RequestError(
            f"--group-by {pattern!r}: it has {groups} groups; put that part of the path which names the "
            f"patient, the video or the scene into one pair of parentheses, {_AN_EXAMPLE}"
        )
    try:
        group_names(pattern, ["x"])
    except pa.ArrowException as error:
        said = str(error).splitlines()[0]
        raise RequestError(
            f"--group-by {pattern!r}: it must be in the syntax of RE2, which has neither look-around nor "
            f"references to groups ({said})"
        ) from None
    return pattern


def groups_of(group_by: str | None, sources: Sequence[Source]) -> list[str | None]:
    """The group of each source; None where nothing says it, and of all where no groups are asked for."""
    if group_by is None:
        return [None] * len(sources)
    column = column_of(group_by)
    if column is None:
        return group_names(group_by, [source.id for source in sources])
    known = (Annotation.unpacked(source.annotation) if source.annotation else None for source in sources)
    return [(dict(one.columns).get(column) or None) if one else None for one in known]


def group_names(pattern: str, sources: Sequence[str]) -> list[str | None]:
    """What the group of an expression is in each id, where it is found first; None where it is nothing."""
    import pyarrow as pa
    import pyarrow.compute as pc

    ids = pa.array(sources, pa.string())
    found = pc.match_substring_regex(ids, pattern)
    names = pc.replace_substring_regex(ids, pattern=rf"(?s)^.*?(?:{pattern}).*$", replacement=r"\1")
    return [
        name if match and name else None
        for match, name in zip(found.to_pylist(), names.to_pylist(), strict=True)
    ]
