"""What is written where: splits, the copies of each source, groups, order."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence

from pydantic import BaseModel, ConfigDict

from augment.by_class import ByClass
from augment.errors import RequestError, did_you_mean
from augment.parity import parity_class
from pipelines.format.bounds import ClassName, Count, ParityClass, SplitName
from pipelines.format.copies import (
    ClassCopies,
    RankOf,
    SplitCopies,
    Tier,
    class_copies,
    in_words,
    tiers,
    tiers_of,
)
from pipelines.format.layout import Shard
from pipelines.format.request import Request, job_recipe
from pipelines.format.targets import Targets, targets_of
from pipelines.plan.asked import parse_balance, parse_bytes, parse_copies, parse_fractions
from pipelines.plan.extending import Stored, check_extends
from pipelines.plan.order import estimated_bytes, group_count, group_of, places, split_of
from pipelines.sources import ONLY_SPLIT, Folder, Found, Listing
from pipelines.sources.checks import content_errors, described, folder_errors, warnings
from pipelines.sources.found import Place
from pipelines.sources.groups import group_names
from pipelines.sources.rules import role
from pipelines.sources.words import listed
from pipelines.targets import check_moves

__all__ = [
    "Plan",
    "Stored",
    "describe",
    "estimated_bytes",
    "group_count",
    "group_of",
    "make_plan",
    "parse_balance",
    "parse_bytes",
    "parse_copies",
    "parse_fractions",
    "parted",
    "places",
    "split_of",
    "top_errors",
]


class Plan(BaseModel):
    """What is written where; with errors, nothing is."""

    model_config = ConfigDict(frozen=True)

    request: Request
    fingerprint: str = ""
    classes: tuple[ClassName, ...] = ()
    targets: Targets | None = None
    """what records have beside images; None: nothing"""
    splits: dict[SplitName, SplitCopies] = {}
    images: dict[SplitName, dict[ClassName, Count]] = {}
    """how many, by split and class"""
    listing_digest: str = ""
    listing_rejects: Count = 0
    ignored: dict[str, Count] = {}
    parity_class: ParityClass = {}
    """that of all shards: a worker of another one writes none"""
    errors: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def tiers(self, split: str) -> tuple[Tier, ...]:
        """The copies that are written of a split, those of the same sources together."""
        return tiers_of(self.request, self.splits[split])

    def copies(self, split: str) -> tuple[int, ...]:
        """The copies that are written of a split's sources."""
        return tuple(copy for tier in self.tiers(split) for copy in tier.copies)

    def tier(self, split: str, copy: int) -> Tier:
        """The tier of a copy that is written."""
        return next(tier for tier in self.tiers(split) if tier.first <= copy < tier.end)

    def has(self, shard: Shard) -> bool:
        """Whether it is one of those that are written."""
        return shard.split in self.splits and any(
            tier.first <= shard.copy < tier.end and tier.groups == shard.of and shard.number < shard.of
            for tier in self.tiers(shard.split)
        )

    def place(self, source: str) -> tuple[str, str]:
        """The split and the class of a source, by its path."""
        first, second, *_ = f"{source}/".split("/")
        if self.request.split_fractions:
            group = self.request.group_by and group_names(self.request.group_by, [source])[0]
            return split_of(group or source, self.request.split_fractions), first
        return (first, second) if second in self.images.get(first, {}) else (ONLY_SPLIT, first)

    @property
    def sources(self) -> int:
        return sum(split.sources for split in self.splits.values())


def describe(plan: Plan) -> str:
    """What a plan is about to be made of, and what to mind, in lines for a terminal."""
    counts = {(split, label): n for split, labels in plan.images.items() for label, n in labels.items()}
    said = "".join(f"augshard: warning: {warning}\n" for warning in plan.warnings)
    copies = "".join(
        f"augshard: copies of {split}: {in_words(planned.classes)}\n"
        for split, planned in plan.splits.items()
        if planned.classes is not None
    )
    targets = f"augshard: targets: {plan.targets}\n" if plan.targets else ""
    return described(counts, plan.ignored) + targets + copies + said


def top_errors(request: Request, found: Iterable[Found | Folder]) -> list[str]:
    """What `top_folders` alone shows to be wrong."""
    top, folders = Listing(), []
    for one in found:
        top.add(one)
        folders += [one] if isinstance(one, Folder) else []
    splits = sorted({folder.split for folder in folders})
    if request.split_fractions:
        if any("/" in folder.id for folder in folders):
            return [f"--split-fractions: it has split folders already ({', '.join(splits)})"]
        splits = list(request.split_fractions)
    errors = folder_errors(top, layout=request.layout, fractions=request.split_fractions)
    return errors or _unknown(request, sorted({folder.label for folder in folders}), splits)


def _unknown(request: Request, labels: Sequence[str], splits: Sequence[str]) -> list[str]:
    """What a request says of classes and splits that are not there, or that no split is augmented."""
    errors = list(_unknown_classes(request, labels))
    if errors:
        return errors
    missing = [split for split in request.augment_splits or () if split not in splits]
    if missing:
        errors.append(
            f"--augment-splits: there is no split {missing[0]!r}; {did_you_mean(missing[0], splits)}"
        )
    elif not _augmented(request, splits):
        errors.append(
            f"there is no split named train; name those to augment, such as --augment-splits {splits[0]}"
        )
    return errors


def _unknown_classes(request: Request, labels: Sequence[str]) -> Iterator[str]:
    for label in request.class_copies or ():
        if label not in labels:
            yield f"--copies: there is no class {label!r}; {did_you_mean(label, labels)}"
    for label in request.recipe_for:
        if label not in labels:
            yield f"--recipe-for: there is no class {label!r}; {did_you_mean(label, labels)}"


def _augmented(request: Request, splits: Iterable[str]) -> set[str]:
    if request.augment_splits:
        return set(splits) & set(request.augment_splits)
    return {split for split in splits if role(split) == "train"}


Last = dict[Place, RankOf]
"""By split and class, the last source of those that get one copy more."""


def make_plan(
    request: Request,
    listing: Listing,
    expected_digest: str | None,
    last: Last | None = None,
    stored: Stored | None = None,
) -> Plan:
    """The plan for a request and what was listed; its `errors` say why there can be none.

    `expected_digest` is that of the listing which a resumed or extended dataset was made from, and `stored`
    is what there is of it, or was to be; `last` is needed where a request balances classes.
    """
    images: dict[str, int] = {}
    for (split, _), count in sorted(listing.counts.items()):
        images[split] = images.get(split, 0) + count
    errors = folder_errors(listing, layout=request.layout, fractions=request.split_fractions)
    errors = errors or content_errors(
        listing, fractions=bool(request.split_fractions), group_by=request.group_by
    )
    if not errors and expected_digest not in (None, listing.hexdigest()):
        errors.append(
            "it is not what this output was made from: files came, went or changed their size since; "
            "restore them, write to another directory, or start over with --overwrite"
        )
    if not errors:
        labels = [label for label, _ in listing.classes()]
        errors = _unknown(request, labels, sorted(images.keys() | (request.split_fractions or {}).keys()))
    if errors:
        return Plan(request=request, errors=tuple(errors))
    by_split = _by_split(listing)
    augmented = _augmented(request, images)
    try:
        splits = {
            split: _split_copies(request, by_split[split], split, split in augmented, last or {})
            for split, count in images.items()
            if count
        }
        if stored:
            check_extends(Stored(request, splits), stored)
        targets = None
        if listing.vocabulary is not None:
            targets = targets_of(listing.vocabulary)
            if targets.has:
                check_moves(ByClass(job_recipe(request), request.seed))
        here = parity_class()
    except RequestError as error:
        return Plan(request=request, errors=(str(error),))
    return Plan(
        request=request,
        fingerprint=request.fingerprint({split: planned.groups for split, planned in splits.items()}),
        classes=tuple(label for label, _ in listing.classes()),
        targets=targets,
        splits=splits,
        images=by_split,
        listing_digest=listing.hexdigest(),
        listing_rejects=listing.rejects,
        ignored=listing.passed_over(),
        parity_class=here,
        warnings=tuple(warnings(listing)),
    )


def _split_copies(
    request: Request, sources: Mapping[str, int], split: str, augmented: bool, last: Last
) -> SplitCopies:
    """Raises RequestError for copies that cannot be made."""
    recipe = job_recipe(request)
    record = estimated_bytes(recipe.image_shape, recipe.storage)

    def groups(images: int) -> int:
        return request.shards or group_count(images, record, request.shard_bytes)

    total = sum(sources.values())
    alike = SplitCopies(sources=total, groups=groups(total), augmented=augmented)
    classes = class_copies(request, sources, split) if augmented else None
    if classes is None:
        return alike
    for label, one in classes.items():
        if one.more:
            classes[label] = one.model_copy(update={"last": last.get((split, label))})
    found = tuple(tiers(classes.values(), originals=request.originals, groups=groups))
    if not any(one.copies for one in classes.values()):
        raise RequestError(
            f"--copies: no class of split {split!r} gets a copy; give at least one of "
            f"{listed(sorted(classes))} a number from 1, or leave the split out of --augment-splits"
        )
    return alike.model_copy(update={"classes": classes, "tiers": found})


def parted(request: Request, listing: Listing) -> dict[Place, ClassCopies]:
    """The classes of which a part gets one copy more, by split and class; none where too many are asked."""
    found = {}
    for split in _augmented(request, {split for split, _ in listing.counts}):
        with contextlib.suppress(RequestError):  # which the plan is to say
            for label, one in (class_copies(request, _by_split(listing)[split], split) or {}).items():
                if one.more:
                    found[split, label] = one
    return found


def _by_split(listing: Listing) -> dict[str, dict[str, int]]:
    counts: dict[str, dict[str, int]] = {}
    for (split, label), count in sorted(listing.counts.items()):
        counts.setdefault(split, {})[label] = count
    return counts
