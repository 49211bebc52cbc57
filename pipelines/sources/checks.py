"""What a listing says before any image is opened: what is there, what is wrong, what to mind."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from augment.codec import reads_heif
from augment.errors import did_you_mean
from pipelines.sources.found import UNLABELED, Listing, Place
from pipelines.sources.groups import column_of
from pipelines.sources.layout import Layout
from pipelines.sources.names import class_errors, split_errors
from pipelines.sources.rules import HEIF, PACKED, PICTURES
from pipelines.sources.words import MOST, counted, listed, named

WANTED = "it must be DIR/<class>/... or DIR/<split>/<class>/..."

EMPTY = "there are no images in it"

_CONTAINERS = (".tar", ".tfrec")
"""How extensions begin of files that hold images."""

EXTRA = "the extra heic, which is not installed here (make install EXTRAS=heic)"


def folder_errors(listing: Listing, *, layout: Layout, fractions: Iterable[str] | None) -> list[str]:
    """What the folders alone show to be wrong; of a listing of the top folders, or of all of it.

    `fractions` are the splits that are to be made by hash.
    """
    refused = sorted(guess.sentence for guess in listing.guesses if guess.refused)
    if refused:
        return refused
    folders = {split: {label for s, label in listing.counts if s == split} for split, _ in listing.counts}
    flat = {name: count for name, count in sorted(listing.loose.items()) if name and name not in folders}
    if not folders:
        loose = sum(listing.loose.values())
        if listing.first_reject and not loose:
            return [f"nothing in it can be used: {_rejected(listing)}"]
        there = listing.passed_over()
        said = f"; it holds {counted(there)}: {what}" if (what := _unread(there)) else ""
        return [
            f"it has no class folders{f' ({loose:,} images lie in none)' if loose else ''}; {WANTED}{said}"
        ]
    errors = [
        f"split folder {name!r} holds {count:,} images and no class folders: put them into class folders, "
        f"{name}/<class>/..., or move it out of the input"
        for name, count in flat.items()
    ]
    wrong = list(class_errors(label for labels in folders.values() for label in labels))
    errors += wrong[:MOST]
    errors += [f"{len(wrong) - MOST:,} more names of classes are wrong"] * (len(wrong) > MOST)
    if fractions:
        return errors + list(split_errors(fractions))
    return errors + list(split_errors(folders)) + ([] if layout == "splits" else list(_disjoint(folders)))


def _disjoint(folders: Mapping[str, set[str]]) -> Iterator[str]:
    """Splits that have no class of any other's."""
    apart = [
        split
        for split, labels in sorted(folders.items())
        if all(labels.isdisjoint(others) for other, others in folders.items() if other != split)
    ]
    if len(folders) > 1 and apart:
        there = "; ".join(f"{split!r} has {listed(sorted(folders[split]))}" for split in apart[:MOST])
        yield (
            f"{named('split', apart)}: no class in common with another split ({there}); give classes one "
            "name in all splits, or say --layout splits if it is meant so"
        )


def content_errors(listing: Listing, *, fractions: bool, group_by: str | None = None) -> list[str]:
    """What the files show to be wrong: classes that can have no sample."""
    if not any(listing.counts.values()):
        if listing.first_reject:
            return [f"nothing in it can be used: {_rejected(listing)}"]
        there = listing.passed_over()
        only = f"there are only files in it that are not read, {counted(there)}; {_advice(there)}"
        return [only if there else EMPTY]
    if listing.ungrouped:
        return [_ungrouped(listing, column_of(group_by or ""))]
    several = len({split for split, _ in listing.counts}) > 1 and not fractions
    errors = []
    for (split, label), images, ignored, unusable in _class_folders(listing, fractions=fractions):
        folder = repr(f"{split}/{label}" if several else label)
        if not images:
            others = f"only files that are not read, {counted(ignored)}; {_advice(ignored)}"
            errors.append(
                f"class folder {folder} has {others if ignored else 'no images; fill it or remove it'}"
            )
        elif sum(unusable.values()) == images:
            what = _advice(unusable) if HEIF & unusable.keys() else "fill it or remove it"
            errors.append(f"class folder {folder} has no image that can be used: {counted(unusable)}; {what}")
    if len(errors) > MOST:
        errors[MOST:] = [f"{len(errors) - MOST:,} more class folders have no images that can be used"]
    return errors + ([_rejected(listing)] if errors and listing.first_reject else [])


def _rejected(listing: Listing) -> str:
    return f"{listing.rejects:,} rejected, first {listing.first_reject}"


def _ungrouped(listing: Listing, column: str | None) -> str:
    images = sum(listing.counts.values())
    few, first = f"{listing.ungrouped:,} of {images:,} images", listing.first_ungrouped
    if column is None:
        return (
            f"--group-by: {few} do not say of which group they are, {first!r} first; change the "
            "expression, so that its group is in every path"
        )
    there = sorted(listing.vocabulary.columns) if listing.vocabulary else []
    if column not in there:
        said = did_you_mean(column, there) if there else "it has none that passes through"
        return f"--group-by column:{column}: there is no column {column!r}; {said}"
    return (
        f"--group-by column:{column}: {few} have nothing in that column, {first!r} first; give each a "
        "value, an image that belongs to no other one of its own"
    )


def _class_folders(
    listing: Listing, *, fractions: bool
) -> Iterator[tuple[Place, int, Mapping[str, int], Mapping[str, int]]]:
    """Each class folder with its images, and by kind with what was passed over, and what is unusable."""
    if not fractions:
        for place, images in sorted(listing.counts.items()):
            yield place, images, listing.ignored.get(place, {}), _unusable(listing, place)
        return
    for label, images in listing.classes():
        places = [place for place in listing.ignored | listing.counts if place[1] == label]
        ignored = _added(listing.ignored.get(place, {}) for place in places)
        yield ("", label), images, ignored, _added(_unusable(listing, place) for place in places)


def _unusable(listing: Listing, place: Place) -> dict[str, int]:
    found = listing.unusable.get(place, {})
    return {kind: count for kind, count in found.items() if kind not in HEIF or not reads_heif()}


def _added(several: Iterable[Mapping[str, int]]) -> dict[str, int]:
    total: dict[str, int] = {}
    for kinds in several:
        for kind, count in kinds.items():
            total[kind] = total.get(kind, 0) + count
    return total


def advice(kinds: Mapping[str, int]) -> str:
    """What to do about files that are not read, by kind; empty if none of them is a picture."""
    if HEIF & kinds.keys():
        return f"{', '.join(sorted(HEIF & kinds.keys()))} takes {EXTRA}, or convert them"
    if PICTURES & kinds.keys():
        return f"convert {', '.join(sorted(PICTURES & kinds.keys()))} files to PNG or JPEG"
    return ""


def _unread(kinds: Mapping[str, int]) -> str:
    """The same where nothing else is there, so that the pictures may be within; empty if they cannot be."""
    if said := advice(kinds):
        return said
    if PACKED & kinds.keys():
        return f"unpack {', '.join(sorted(PACKED & kinds.keys()))} files"
    if any(kind.startswith(_CONTAINERS) for kind in kinds):
        return (
            "tars and TFRecord files are an input where they lie at its top or in folders of splits, with no "
            "images beside them"
        )
    return ""


def _advice(kinds: Mapping[str, int]) -> str:
    return _unread(kinds) or "docs/images.md says what is read"


def warnings(listing: Listing) -> list[str]:
    """What to mind before the work, each kind in one sentence."""
    said = sorted(guess.sentence for guess in listing.guesses if not guess.refused)
    labels = [label for label, _ in listing.classes()]
    if len(labels) == 1 and labels != [UNLABELED]:
        said.append(f"there is only one class, {labels[0]!r}: a classifier learns nothing from it")
    for split in sorted({split for split, _ in listing.counts}):
        missing = [label for label in labels if not listing.counts.get((split, label))]
        if missing and len(labels) > 1:
            said.append(
                f"split {split!r} has no images of {named('class', missing, 'classes')}"
                + (f", {len(missing):,} of {len(labels):,}" if len(missing) > 1 else "")
            )
    loose = sum(listing.loose.values())
    if loose:
        where = listed(sorted(folder or "the top folder" for folder in listing.loose))
        said.append(
            f"{loose:,} images lie in no class folder, and are rejected as no_class; they are in {where}"
        )
    pictures = {kind: n for kind, n in listing.passed_over().items() if kind in PICTURES}
    if pictures:
        said.append(f"pictures of these kinds are not read: {counted(pictures)}; convert them to PNG or JPEG")
    unusable = _added(_unusable(listing, place) for place in listing.unusable)
    empty = unusable.pop("empty", 0)
    if unusable:
        said.append(f"{counted(unusable)}: rejected, for they take {EXTRA}")
    if empty:
        said.append(
            f"{empty:,} {'image has' if empty == 1 else 'images have'} no bytes, and will be rejected"
        )
    return said


def described(counts: Mapping[Place, int], ignored: Mapping[str, int]) -> str:
    """What there is, in a few lines: classes, splits and what is passed over."""
    splits = _added({split: count} for (split, _), count in counts.items())
    classes = _added({label: count} for (_, label), count in counts.items())
    shown = ", ".join(f"{label} {count:,}" for label, count in sorted(classes.items())[:MOST])
    if len(classes) > MOST:
        low, high = min(classes.values()), max(classes.values())
        shown += f" and {len(classes) - MOST:,} more, each of {low:,} to {high:,}"
    lines = [f"{sum(splits.values()):,} images: {', '.join(f'{s} {n:,}' for s, n in sorted(splits.items()))}"]
    if classes.keys() != {UNLABELED}:
        lines.append(f"{len(classes):,} {'class' if len(classes) == 1 else 'classes'}: {shown}")
    if ignored:
        lines.append(f"passed over: {counted(ignored)}")
    return "".join(f"augshard: {line}\n" for line in lines)
