"""Which source is in which group, in what order.

A pure function of the seed, the source ids and the number of groups. A source's
place is the 64-bit hash h of seed and id; group i of N holds the i-th part of the
range of h, and within a group sources stand by (h, id). So a copy's shards, one
after the other, are the split sorted by h whatever N is, and live training has
the same order without knowing N.
"""

from __future__ import annotations

import decimal
import functools
import itertools
import math
import re
from collections.abc import Iterable, Sequence
from fractions import Fraction

import numpy as np
from pydantic import BaseModel, ConfigDict

from augment.errors import RequestError, did_you_mean
from augment.keys import name_bits, source_key, source_words
from augment.parity import parity_class
from augment.recipe import Shape, Storage
from pipelines.format.bounds import (
    MOST_GROUPS,
    MOST_SHARD_BYTES,
    ClassName,
    Count,
    Groups,
    ParityClass,
    SplitName,
)
from pipelines.format.layout import Shard
from pipelines.format.request import Request, job_recipe
from pipelines.sources import ONLY_SPLIT, Folder, Found, Listing
from pipelines.sources.checks import content_errors, described, folder_errors, warnings
from pipelines.sources.rules import role

IMAGES_A_GROUP = 256
FEWEST_GROUPS = 8


def places(seed: int, sources: Sequence[str]) -> np.ndarray:
    """uint64 [n]: the place of each source in its split's order."""
    words = source_words(sources)
    high, low = source_key(seed, (words[:, 0], words[:, 1]))
    return (high.astype(np.uint64) << np.uint64(32)) | low


def group_of(place: int, groups: int) -> int:
    """In which of `groups` equal parts of [0, 2**64) a place lies."""
    return (int(place) * groups) >> 64


def group_count(images: int, image_bytes: int, shard_bytes: int) -> int:
    """How many groups keep shards near `shard_bytes`.

    At least one for every 256 images up to eight, so that small sets run in
    parallel too.
    """
    by_size = math.ceil(images * image_bytes / shard_bytes)
    by_count = min(FEWEST_GROUPS, images // IMAGES_A_GROUP)
    return min(max(by_size, by_count, 1), MOST_GROUPS)


_BYTES_A_PIXEL = {("png", 3): 2.0, ("png", 1): 0.7, ("raw", 3): 3.0, ("raw", 1): 1.0}


def estimated_bytes(shape: Shape, storage: Storage) -> int:
    """What a record takes, by a fixed rule of thumb for photos."""
    height, width, channels = shape
    per_pixel = _BYTES_A_PIXEL.get((storage.format, channels))
    if per_pixel is None:
        detail = 0.5 if channels == 1 else 2 if storage.chroma == "4:4:4" else 1
        per_pixel = 0.2 + 0.3 * (storage.quality / 100) ** 4 * detail
    return round(height * width * per_pixel) + 100


_LEAST = decimal.Decimal("1e-28")  # the digits of decimal arithmetic


def parse_fractions(text: str) -> dict[str, str]:
    """`train=0.8,validation=0.2` as exact decimals by split.

    Raises RequestError if they are not parts of one whole.
    """
    fractions: dict[str, str] = {}
    for part in text.split(","):
        name, equals, value = part.partition("=")
        try:
            share = decimal.Decimal(value.strip())
        except decimal.InvalidOperation:
            share = decimal.Decimal("nan")
        name = name.strip()
        if not equals or not name or not share.is_finite() or not _LEAST <= share <= 1:
            raise RequestError(
                f"--split-fractions: {part.strip()!r} is not a split with its part of the images, "
                "such as train=0.8"
            )
        if len(share.normalize().as_tuple().digits) > 28:
            raise RequestError(f"--split-fractions: {part.strip()!r} has more than 28 digits")
        if name in fractions:
            raise RequestError(f"--split-fractions names {name!r} twice")
        fractions[name] = format(share.normalize(), "f")
    total = sum(map(Fraction, fractions.values()))
    if total != 1:
        shown = format(sum(map(decimal.Decimal, fractions.values())), "f")
        raise RequestError(f"--split-fractions {text!r} add up to {shown}; they must add up to 1")
    return fractions


def split_of(source: str, fractions: dict[str, str]) -> str:
    """The split of a source by the hash of its id alone: it stays when other images come or go."""
    place = name_bits(source)
    for split, bound in _bounds(tuple(fractions.items())):
        if place < bound:
            return split
    raise AssertionError("the fractions add up to 1")


@functools.lru_cache(maxsize=16)
def _bounds(fractions: tuple[tuple[str, str], ...]) -> tuple[tuple[str, int], ...]:
    """The first number of 64 bits behind each split: a job asks for every source."""
    bounds = itertools.accumulate(Fraction(share) for _, share in fractions)
    return tuple(
        (split, math.ceil(bound * 2**64)) for (split, _), bound in zip(fractions, bounds, strict=True)
    )


class SplitPlan(BaseModel):
    """One split: its sources, in how many groups, and whether they get copies."""

    model_config = ConfigDict(frozen=True)

    sources: Count
    groups: Groups
    augmented: bool


class Plan(BaseModel):
    """What is written where; with errors, nothing is."""

    model_config = ConfigDict(frozen=True)

    request: Request
    fingerprint: str = ""
    classes: tuple[ClassName, ...] = ()
    splits: dict[SplitName, SplitPlan] = {}
    images: dict[SplitName, dict[ClassName, Count]] = {}
    """how many, by split and class"""
    listing_digest: str = ""
    listing_rejects: Count = 0
    ignored: dict[str, Count] = {}
    parity_class: ParityClass = {}
    """that of all shards: a worker of another one writes none"""
    errors: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def copies(self, split: str) -> tuple[int, ...]:
        """The copies that are written of a split's sources."""
        return self.request.copies_of(augmented=self.splits[split].augmented)

    def has(self, shard: Shard) -> bool:
        """Whether it is one of those that are written."""
        planned = self.splits.get(shard.split)
        return (
            planned is not None
            and planned.groups == shard.of
            and shard.number < shard.of
            and shard.copy in self.copies(shard.split)
        )

    def place(self, source: str) -> tuple[str, str]:
        """The split and the class of a source."""
        first, second, *_ = f"{source}/".split("/")
        if self.request.split_fractions:
            return split_of(source, self.request.split_fractions), first
        return (first, second) if second in self.images.get(first, {}) else (ONLY_SPLIT, first)

    @property
    def sources(self) -> int:
        return sum(split.sources for split in self.splits.values())


def describe(plan: Plan) -> str:
    """What a plan is about to be made of, and what to mind, in lines for a terminal."""
    counts = {(split, label): n for split, labels in plan.images.items() for label, n in labels.items()}
    said = "".join(f"augshard: warning: {warning}\n" for warning in plan.warnings)
    return described(counts, plan.ignored) + said


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


def _augmented(request: Request, splits: Iterable[str]) -> set[str]:
    if request.augment_splits:
        return set(splits) & set(request.augment_splits)
    return {split for split in splits if role(split) == "train"}


def make_plan(request: Request, listing: Listing, expected_digest: str | None) -> Plan:
    """The plan for a request and what was listed; its `errors` say why there can be none.

    `expected_digest` is that of the listing which a resumed or extended dataset was
    made from.
    """
    images: dict[str, int] = {}
    for (split, _), count in sorted(listing.counts.items()):
        images[split] = images.get(split, 0) + count
    errors = folder_errors(listing, layout=request.layout, fractions=request.split_fractions)
    errors = errors or content_errors(listing, fractions=bool(request.split_fractions))
    if not errors and expected_digest not in (None, listing.hexdigest()):
        errors.append(
            "it is not what this output was made from: files came, went or changed their size since; "
            "restore them, write to another directory, or start over with --overwrite"
        )
    try:
        here = parity_class() if not errors else {}
    except RequestError as error:  # nothing on this machine can compute the pixels
        errors.append(str(error))
    if errors:
        return Plan(request=request, errors=tuple(errors))
    recipe = job_recipe(request)
    record = estimated_bytes(recipe.image_shape, recipe.storage)
    splits = {
        split: SplitPlan(
            sources=count,
            groups=request.shards or group_count(count, record, request.shard_bytes),
            augmented=split in _augmented(request, images),
        )
        for split, count in images.items()
        if count
    }
    return Plan(
        request=request,
        fingerprint=request.fingerprint({split: planned.groups for split, planned in splits.items()}),
        classes=tuple(label for label, _ in listing.classes()),
        splits=splits,
        images=_by_split(listing),
        listing_digest=listing.hexdigest(),
        listing_rejects=listing.rejects,
        ignored=listing.passed_over(),
        parity_class=here,
        warnings=tuple(warnings(listing)),
    )


def _by_split(listing: Listing) -> dict[str, dict[str, int]]:
    counts: dict[str, dict[str, int]] = {}
    for (split, label), count in sorted(listing.counts.items()):
        counts.setdefault(split, {})[label] = count
    return counts


_UNITS = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 2**10, "mib": 2**20, "gib": 2**30}


def parse_bytes(text: str) -> int:
    """`128MiB` as a number of bytes. Raises RequestError."""
    match = re.fullmatch(r"\s*(\d{1,18}(?:\.\d{1,18})?)\s*([A-Za-z]*)\s*", text)
    size = float(match[1]) * _UNITS.get(match[2].lower(), 0) if match else 0
    if not 1 <= size <= MOST_SHARD_BYTES:
        raise RequestError(f"--shard-size is {text!r}; it must be a size such as 128MiB or 1GB")
    return int(size)
