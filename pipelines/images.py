"""A directory of images, listed at once: for all that is no job on a cluster."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import sys
from collections.abc import Iterator, Mapping
from typing import Literal

from augment.errors import RequestError, did_you_mean
from pipelines.annotations import Annotations, everything_annotated
from pipelines.format.copies import HowMany, in_copy, with_last
from pipelines.format.copies import class_copies as copies_by_class
from pipelines.format.request import Duplicates
from pipelines.format.targets import Targets, targets_of
from pipelines.plan import places
from pipelines.plan.splitting import in_splits
from pipelines.plan.together import resplit, see_all
from pipelines.sources import (
    UNLABELED,
    Folder,
    Found,
    Layout,
    Listing,
    Reject,
    Source,
    check_root,
    list_folder,
    top_folders,
)
from pipelines.sources.checks import content_errors, described, folder_errors, warnings
from pipelines.sources.depth import dim
from pipelines.sources.groups import group_names


@dataclasses.dataclass(frozen=True)
class Images:
    """What a directory of images holds."""

    root: str
    """its absolute path"""
    groups: dict[str, str]
    """by id what of a source must not be torn by splits: what its split goes by, where it is not the id"""
    sources: list[Source]
    """in no particular order"""
    classes: tuple[str, ...]
    """by label"""
    rejects: list[Reject]
    """of files that need not be opened to see that they are of no use"""
    listing: Listing
    annotations: Annotations | None = None
    """what lies beside them and says what is in them"""

    @property
    def labeled(self) -> bool:
        """Whether images have a class."""
        return self.classes != (UNLABELED,)

    @functools.cached_property
    def targets(self) -> Targets | None:
        """What is known of images beside their class. Raises RequestError for names that clash."""
        return None if self.listing.vocabulary is None else targets_of(self.listing.vocabulary)

    @functools.cached_property
    def places(self) -> dict[str, str]:
        """Where those lie, by id, that are not files of their own."""
        return {source.id: source.place for source in self.sources if source.place}

    def splits(self) -> list[str]:
        return sorted({source.split for source in self.sources})

    def ordered(self, split: str, seed: int) -> list[Source]:
        """The sources of a split in the order of the plan. Raises RequestError if there is no such split."""
        mine = {source.id: source for source in self.sources if source.split == split}
        if not mine:
            raise RequestError(
                f"input {self.root}: there is no split {split!r}; {did_you_mean(split, self.splits())}"
            )
        return [
            mine[source] for _, source in sorted(zip(places(seed, list(mine)).tolist(), mine, strict=True))
        ]

    def tell(self) -> None:
        """Says on stderr what there is, and what to mind."""
        sys.stderr.write(described(self.listing.counts, self.listing.passed_over()))
        self.warn()

    def warn(self) -> None:
        """Says on stderr what to mind."""
        said = [*warnings(self.listing), *dim(self.root, self.listing)]
        sys.stderr.writelines(f"augshard: warning: {warning}\n" for warning in said)


def list_images(
    directory: str,
    *,
    layout: Layout = "auto",
    split_fractions: dict[str, str] | None = None,
    group_by: str | None = None,
    duplicates: Duplicates | None = None,
    annotations: Annotations | None = None,
) -> Images:
    """Lists a directory of images, by the rules of `augshard materialize`.

    Where duplicates are to be kept together, every image is read. Raises RequestError if it cannot be
    listed, and for what the job would refuse there.
    """
    root = check_root(directory)
    listing = Listing()
    sources: list[Source] = []
    rejects: list[Reject] = []
    for found in everything(root, layout, split_fractions, group_by, annotations):
        if isinstance(found, Source):
            sources.append(found)
            continue
        listing.add(found)
        if isinstance(found, Reject):
            rejects.append(found)
    names = group_names(group_by, [source.id for source in sources]) if group_by else [None] * len(sources)
    groups = {source.id: name for source, name in zip(sources, names, strict=True) if name}
    if duplicates and not listing.ungrouped:
        seen, joined = see_all(root, zip(sources, names, strict=True))
        groups = {one.source.id: joined.least(one.node) for one in seen}
        if split_fractions:
            sources = [resplit(one, joined, split_fractions) for one in seen]
    for source in sources:
        listing.add(source)
    errors = folder_errors(listing, layout=layout, fractions=split_fractions)
    errors = errors or content_errors(listing, fractions=bool(split_fractions))
    if errors:
        raise RequestError(f"input {directory}: " + "; ".join(errors))
    classes = tuple(label for label, _ in listing.classes())
    return Images(root, groups, sources, classes, rejects, listing, annotations)


def having(
    sources: list[Source],
    copy: int,
    class_copies: Mapping[str, int] | None,
    balance: Literal["max"] | int | None,
) -> list[Source]:
    """Those of all sources of a split that have a copy, where classes have copies of their own.

    Raises RequestError for a class that there is not, and for more copies than there can be.
    """
    ids: dict[str, list[str]] = {}
    for source in sources:
        ids.setdefault(source.label, []).append(source.id)
    for label in class_copies or ():
        if label not in ids:
            raise RequestError(f"class_copies: there is no class {label!r}; {did_you_mean(label, ids)}")
    asked = HowMany(class_copies=class_copies, balance=balance)
    counts = {label: len(some) for label, some in ids.items()}
    wanted = with_last(copies_by_class(asked, counts, sources[0].split) or {}, ids)
    kept = in_copy(wanted, copy, [s.id for s in sources], [s.label for s in sources])
    return [source for source, has in zip(sources, kept.tolist(), strict=True) if has]


def everything(
    root: str,
    layout: Layout,
    fractions: dict[str, str] | None,
    group_by: str | None = None,
    annotations: Annotations | None = None,
) -> Iterator[Found | Folder]:
    """All that a listing finds, as the job does it; duplicates may still be in several splits."""
    if annotations:
        yield from everything_annotated(root, annotations, fractions, group_by)
        return
    for top in top_folders(root, layout):
        if isinstance(top, Folder):
            yield from in_folder(root, top, fractions, group_by)
        else:
            yield top


def in_folder(
    root: str, folder: Folder, fractions: dict[str, str] | None, group_by: str | None = None
) -> Iterator[Found | Folder]:
    """A class folder, once for every split that it may have images in, and all that is found in it."""
    yield from in_splits(itertools.chain([folder], list_folder(root, folder)), fractions, group_by)
