"""In which group the rows of a samples table are, as `--group-by` tells it."""

from __future__ import annotations

import pyarrow as pa

from augment.errors import RequestError, did_you_mean
from pipelines.format.manifest import Manifest
from pipelines.format.targets import TABLE
from pipelines.sources.groups import checked_groups, column_of, group_names


def check_told(group_by: str, manifest: Manifest) -> None:
    """Raises RequestError if nothing in a dataset's rows tells such groups."""
    columns = manifest.targets.columns if manifest.targets else ()
    checked_groups(group_by, table=True)
    column = column_of(group_by)
    if column is not None and column not in columns:
        what = did_you_mean(column, columns) if columns else "it has none of a table beside its images"
        raise RequestError(f"--group-by {group_by}: the samples table has no such column; {what}")


def told_by(group_by: str) -> str:
    """The column of the samples table that tells it."""
    column = column_of(group_by)
    return "source" if column is None else TABLE + column


def groups_in(rows: pa.Table, group_by: str | None) -> list[str | None]:
    """The group of each row; None where nothing says it, and of all where no groups are asked for."""
    if group_by is None:
        return [None] * len(rows)
    values: list[str | None] = rows[told_by(group_by)].to_pylist()
    if column_of(group_by) is not None:
        return [value or None for value in values]
    return group_names(group_by, [value or "" for value in values])
