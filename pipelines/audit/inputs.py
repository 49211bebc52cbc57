"""The input directory against the dataset: what came, went or was renamed, and what was rejected."""

from __future__ import annotations

import contextlib
import hashlib
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from typing import NamedTuple

from pipelines.annotations import Annotations
from pipelines.audit.findings import Audit, Finding
from pipelines.audit.leaks import Looked, look
from pipelines.audit.structure import LISTING_REASONS
from pipelines.format.copies import in_copy
from pipelines.format.manifest import Manifest
from pipelines.images import everything
from pipelines.plan.together import resplit
from pipelines.sources import Listing, Reject, Source, read_source
from pipelines.sources.depth import dim
from pipelines.sources.reading import contents_or_reject


class Listed(NamedTuple):
    """What an input directory holds."""

    same: bool
    """whether it has the names, sizes and counts that the manifest says"""
    sources: set[str]
    """all ids that are to have a record where it has not, else none: memory grows only where it must"""
    rejects: frozenset[Reject]
    looked: Looked | None
    """its pictures, if they were looked at"""
    annotations: dict[str, bytes]
    """of each source, where it has any"""
    places: dict[str, str]
    """of each source that is not a file of its own"""


def list_input(
    root: str, manifest: Manifest, beside: Annotations | None = None, *, pictures: bool = False
) -> Listed:
    """Lists the input as the job does, and looks at all its pictures if `pictures`, or if the job did."""
    request, rejects, splits = manifest.request, set[Reject](), Counter[str]()
    listing, kept = Listing(), list[Source]()
    looks = pictures or bool(request.duplicates)
    by = request.split_fractions, request.group_by

    annotations: dict[str, bytes] = {}
    places: dict[str, str] = {}

    def add(source: Source) -> None:
        listing.add(source)
        if source.annotation:
            annotations[source.id] = source.annotation
        if source.place:
            places[source.id] = source.place
        splits[source.split] += 1

    for found in everything(root, request.layout, *by, beside):
        if not isinstance(found, Source):
            listing.add(found)
            rejects |= {found} if isinstance(found, Reject) else set()
        elif looks:
            kept.append(found)
        else:
            add(found)
    looked = None
    if looks:
        seen, looked = look(root, kept, request.group_by)
        for one in seen:
            again_split = request.duplicates and request.split_fractions
            add(resplit(one, looked.joined, again_split) if again_split else one.source)
    sys.stderr.writelines(f"augshard: warning: {sentence}\n" for sentence in dim(root, listing))
    counts = {split: planned.sources for split, planned in manifest.splits.items()}
    same = listing.hexdigest() == manifest.listing_digest and splits == counts
    again = () if same else everything(root, request.layout, *by, beside)
    ids = {found.id for found in again if isinstance(found, Source) and _has_record(found, manifest)}
    return Listed(same, ids, frozenset(rejects), looked, annotations, places)


def _has_record(source: Source, manifest: Manifest) -> bool:
    """Whether there is to be a record of a source: a class may have fewer than it has images."""
    counts = manifest.splits.get(source.split)
    if counts is None or counts.classes is None or source.label not in counts.classes:
        return True
    first = manifest.copies(source.split)[0]
    return bool(in_copy(counts.classes, first, [source.id], [source.label])[0])


def check_listing(
    audit: Audit, root: str, listed: Listed, new: set[str], vanished: Mapping[str, str]
) -> None:
    """Sources that went, came or were renamed.

    `new` are those of which the dataset has neither record nor reject, `vanished` those that
    were missed, with their SHA-256.
    """
    add = audit.findings.add
    # Only where something is missed, what is new is read, to see whether it is the same.
    now = {_digest(root, listed.places.get(one, one)): one for one in sorted(new)} if vanished else {}
    renamed = {source: now[digest] for source, digest in vanished.items() if digest in now}
    for source in sorted(vanished):
        if source in renamed:
            add(Finding("renamed", f"the source is now {renamed[source]}", source=source))
        else:
            add(Finding("vanished", "the source is not in the input any more", source=source))
    for source in sorted(new - set(renamed.values())):
        add(Finding("new", "the input has it, and the dataset has not", source=source))
    if not (
        listed.same or new or vanished or {"changed", "annotation", "reject"} & audit.findings.counts.keys()
    ):
        message = "names, sizes or counts of the files in the input are not those that the manifest says"
        add(Finding("listing", message))


def _digest(root: str, where: str) -> str | None:
    """The SHA-256 of a source by where it lies; None if it cannot be read."""
    try:
        return hashlib.sha256(read_source(root, where)).hexdigest()
    except OSError:
        return None


def check_rejects(
    audit: Audit,
    root: str,
    listed: Listed,
    rejects: frozenset[Reject],
    look: Callable[[str, bytes], Reject | None] = lambda _source, _contents: None,
) -> None:
    """Rejects looked at again: whether they still are, for the reason that stands there.

    `look` says why an image cannot be used that can be decoded.
    """
    for reject in sorted(rejects):
        audit.checked["rejects"] += 1
        if reject.reason in LISTING_REASONS:
            continue
        message = f"it was rejected as {reject.reason}, and cannot be read now"
        with contextlib.suppress(OSError, ValueError):  # a forged name may be none that a file can have
            contents = contents_or_reject(root, reject.source, listed.places.get(reject.source, ""))
            found = contents if isinstance(contents, Reject) else look(reject.source, contents)
            if found is None:
                message = f"it was rejected as {reject.reason}, and now can be decoded"
            elif found.reason == reject.reason:
                continue
            elif found.reason not in LISTING_REASONS:
                message = f"it was rejected as {reject.reason}, and now is {found.reason}"
        audit.findings.add(Finding("reject", message, source=reject.source))
    # A file that could not be read is found again when it is read, not when it is listed.
    then, now_listed = (
        {reject for reject in some if reject.reason in LISTING_REASONS and reject.reason != "unreadable"}
        for some in (rejects, listed.rejects)
    )
    for reject in sorted(then - now_listed):
        message = f"it was rejected as {reject.reason}, and is not any more"
        audit.findings.add(Finding("reject", message, source=reject.source))
    for reject in sorted(now_listed - then):
        message = f"it is rejected as {reject.reason} now, and was not"
        audit.findings.add(Finding("reject", message, source=reject.source))
