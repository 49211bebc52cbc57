"""A directory of images, listed at once: for all that is no job on a cluster."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterator

from augment.errors import RequestError, did_you_mean
from pipelines.plan import places, split_of
from pipelines.sources import (
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


@dataclasses.dataclass(frozen=True)
class Images:
    """What a directory of images holds."""

    root: str
    """its absolute path"""
    sources: list[Source]
    """in no particular order"""
    classes: tuple[str, ...]
    """by label"""
    rejects: list[Reject]
    """of files that need not be opened to see that they are of no use"""
    listing: Listing

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
    directory: str, *, layout: Layout = "auto", split_fractions: dict[str, str] | None = None
) -> Images:
    """Lists a directory of images, by the rules of `augshard materialize`.

    Raises RequestError if it cannot be listed, and for what the job would refuse there.
    """
    root = check_root(directory)
    listing = Listing()
    sources: list[Source] = []
    rejects: list[Reject] = []
    for found in everything(root, layout, split_fractions):
        listing.add(found)
        if isinstance(found, Source):
            sources.append(found)
        elif isinstance(found, Reject):
            rejects.append(found)
    errors = folder_errors(listing, layout=layout, fractions=split_fractions)
    errors = errors or content_errors(listing, fractions=bool(split_fractions))
    if errors:
        raise RequestError(f"input {directory}: " + "; ".join(errors))
    return Images(root, sources, tuple(label for label, _ in listing.classes()), rejects, listing)


def everything(root: str, layout: Layout, fractions: dict[str, str] | None) -> Iterator[Found | Folder]:
    """All that a listing finds, as the job does it."""
    for top in top_folders(root, layout):
        if isinstance(top, Folder):
            yield from in_folder(root, top, fractions)
        else:
            yield top


def in_folder(root: str, folder: Folder, fractions: dict[str, str] | None) -> Iterator[Found | Folder]:
    """A class folder, once for every split that it may have images in, and all that is found in it."""
    for split in fractions or [folder.split]:
        yield folder._replace(split=split)
    for found in list_folder(root, folder):
        if isinstance(found, Source) and fractions:
            yield found._replace(split=split_of(found.id, fractions))
        else:
            yield found
