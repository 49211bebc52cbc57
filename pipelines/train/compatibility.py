"""Whether shards are what live augmentation would give, and what an arm asks of them."""

from __future__ import annotations

import collections
import dataclasses
import json
from typing import TYPE_CHECKING

from augment.errors import RequestError
from augment.parity import parity_class
from augment.recipe import Recipe
from pipelines.format.manifest import Manifest
from pipelines.sources import Listing

if TYPE_CHECKING:
    from pipelines.images import Images
    from pipelines.train.arms import Arm
    from pipelines.train.feeding import Stored


def check_compatibility(
    directory: str,
    manifest: Manifest,
    images: Images,
    recipe: Recipe,
    seed: int,
    made_by: tuple[dict[str, str] | None, str | None, str | None],
) -> None:
    """Raises RequestError unless the dataset was made from these images, by this recipe and seed.

    Splits are made by fractions, by what these must not tear, and by what becomes of duplicates.
    """
    split_fractions, *whole = made_by
    request = manifest.request
    if request.recipe != recipe.canonical():
        raise RequestError(
            f"shards {directory}: they were made by another recipe: {_difference(request.recipe, recipe)}; "
            "give the recipe that they were made by, or materialize this one"
        )
    if request.seed != seed:
        raise RequestError(
            f"shards {directory}: they were made with seed {request.seed}, not with {seed}; "
            f"say --seed {request.seed}, or materialize them with this one"
        )
    if manifest.classes != images.classes:
        raise RequestError(
            f"shards {directory}: their classes are {', '.join(manifest.classes)}, those of input "
            f"{images.root} are {', '.join(images.classes)}; give the input that they were made from"
        )
    listed = collections.Counter(source.split for source in images.sources)
    counted = {split: counts.sources for split, counts in manifest.splits.items()}
    fractions = [list((some or {}).items()) for some in (request.split_fractions, split_fractions)]
    for option, there, here in zip(
        ("--group-by", "--duplicates"), (request.group_by, request.duplicates), whole, strict=True
    ):
        if there != here:
            raise RequestError(
                f"shards {directory}: their splits were made {_with(option, there)}, these are made "
                f"{_with(option, here)}; say what they were made by"
            )
    if counted != listed or fractions[0] != fractions[1]:  # their order decides as well
        raise RequestError(
            f"shards {directory}: their splits are {_counts(counted)}, those of input {images.root} are "
            f"{_counts(listed)}; give the input, --split-fractions and --layout that they were made from"
        )
    listing = Listing()
    for source in images.sources:
        listing.add(source)
    if listing.hexdigest() != manifest.listing_digest:
        raise RequestError(
            f"input {images.root}: it is not what shards {directory} were made from: files came, went or "
            "changed their size since; restore them, or materialize again"
        )


def check_annotations(directory: str, manifest: Manifest, images: Images) -> None:
    """Raises RequestError unless the dataset has what lies beside these images."""
    there, here = manifest.request.annotations, images.annotations.format if images.annotations else None
    if there != here:
        right = "give the annotations that they were made with" if there else "leave --annotations out"
        raise RequestError(
            f"shards {directory}: they were made {_with('--annotations', there)}, these are "
            f"{_with('--annotations', here)}; {right}, or materialize them anew"
        )
    if manifest.targets != images.targets:
        raise RequestError(
            f"shards {directory}: their annotations name other classes or keypoints than --annotations; give "
            "those that they were made with"
        )


def _difference(stored: dict[str, object], recipe: Recipe) -> str:
    """Where two recipes differ first."""
    asked = recipe.canonical()
    for key in ("channels", "decode", "recipe_for"):  # which stand there where they are not as by default
        if stored.get(key) != asked.get(key):
            there, here = (json.dumps(one.get(key)) for one in (stored, asked))
            return f"its {key} is {there}, {recipe.name} has {here}"
    theirs, ours = [*stored["ops"], stored["storage"]], [*asked["ops"], asked["storage"]]  # type: ignore[misc]
    if len(theirs) != len(ours):
        return f"it has {len(theirs) - 1} ops, {recipe.name} has {len(ours) - 1}"
    place, (there, here) = next(
        (i, pair) for i, pair in enumerate(zip(theirs, ours, strict=True)) if pair[0] != pair[1]
    )
    what = "its storage" if place == len(ours) - 1 else f"its op {place + 1}"
    return f"{what} is {json.dumps(there)}, {recipe.name} has {json.dumps(here)}"


def _with(option: str, value: str | None) -> str:
    return f"without {option}" if value is None else f"with {option} {value}"


def _counts(splits: dict[str, int]) -> str:
    return ", ".join(f"{split} of {count:,}" for split, count in sorted(splits.items()))


def limited(arm: Arm, split: str, stored: Stored | None) -> Arm:
    """An arm of shards with the number of copies that it uses. Raises RequestError if they are not there."""
    if stored is None:
        raise RequestError("arm shards: it needs shards to read; name their directory by --shards")
    manifest = stored.manifest
    if not manifest.splits[split].augmented:
        raise RequestError(
            f"shards {stored.directory}: split {split} has no copies there; materialize it with "
            f"--augment-splits {split}"
        )
    if manifest.splits[split].classes is not None:
        if arm.copies is not None:
            raise RequestError(
                f"arm {arm.label}: shards {stored.directory} have copies by class, of which an epoch has all"
                "; leave --copies out"
            )
        return arm
    there = manifest.request.copies
    copies = there if arm.copies is None else arm.copies
    if copies > there:
        raise RequestError(
            f"arm {arm.label}: shards {stored.directory} hold {there} of {copies} copies; "
            f"add the others by augshard materialize --copies {copies}"
        )
    if arm.originals and not manifest.request.originals:
        raise RequestError(
            f"arm {arm.label}: shards {stored.directory} hold no originals; "
            "add them by augshard materialize --include-originals"
        )
    return dataclasses.replace(arm, copies=copies)


def differing(manifest: Manifest) -> list[str]:
    """What differs between the parity class of a dataset and that of this process, in words."""
    here = parity_class()
    return [
        f"{what} {there} (here {here.get(what)})"
        for what, there in manifest.parity_class.items()
        if here.get(what) != there
    ]
