"""The split of whatever a listing finds, where splits are made by hash."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator

from pipelines.plan.order import split_of
from pipelines.sources.found import Folder, Found, Source, Ungrouped
from pipelines.sources.groups import groups_of

_BLOCK = 1024
"""What is taken before groups are looked for, at once."""


def in_splits(
    found: Iterable[Found | Folder], fractions: dict[str, str] | None, group_by: str | None
) -> Iterator[Found | Folder]:
    """All of it, in its order: folders once for every split that they may have images in, sources in theirs.

    Without fractions everything stays in the split that it has.
    """
    found = iter(found)
    while block := list(itertools.islice(found, _BLOCK)):
        groups = iter(groups_of(group_by, [one for one in block if isinstance(one, Source)]))
        for one in block:
            if isinstance(one, Folder):
                yield from (one._replace(split=split) for split in fractions or [one.split])
                continue
            if not isinstance(one, Source):
                yield one
                continue
            group = next(groups)
            if group_by and group is None:
                yield Ungrouped(one.id)
            yield one._replace(split=split_of(group or one.id, fractions)) if fractions else one
