"""What the path of a source says that must not be torn: a patient, a video, a scene."""

from __future__ import annotations

import re
from collections.abc import Sequence

from augment.errors import RequestError

_AN_EXAMPLE = "such as '([^/]+)/[^/]*$' for the folder that a file lies in"


def checked_pattern(pattern: str) -> str:
    """A regular expression with one group. Raises RequestError if it is none.

    It is RE2's, whose time is bounded for any expression and any name: a dataset's may be anybody's.
    """
    import pyarrow as pa

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
