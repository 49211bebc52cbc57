"""What may stand in the files of a dataset, which may be anybody's: which names, and how much of it.

A dataset is data: whoever reads one believes no number or name in it before it is within these bounds, so
that none leads out of its directory, and none asks for more memory or time than its files are large.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Annotated, Any

from pydantic import AfterValidator, Field, StringConstraints, ValidationError

from augment.codec.rejection import MAX_PIXELS
from augment.ops import Size
from augment.recipe import NAME, Storage, channels_of, too_much
from pipelines.sources import split_errors

MANIFEST_BYTES = 512 << 20
"""The largest manifest that is read: that of more than a million shards."""
LINE_BYTES = 64 << 10
"""The longest line of rejects.jsonl, and the most that is read of a small JSON file, such as run.json."""
RECORD_BYTES = 1 << 20
"""The most that is read of what a run keeps for its launcher, such as what it came to."""
TEXT_BYTES = 1 << 20
"""The longest text of the samples table that is no id."""
MOST_GROUPS = 99_999
"""Shards of a split and copy: the five digits in a shard's name; see docs/scale.md."""
MOST_COPIES = 10_000
MOST_SHARD_BYTES = 1 << 50
MOST_SPLITS = 1_000
MOST_CLASSES = 1_000_000
NAME_LENGTH = 128
MOST_PATTERN = 1_000
"""Characters of a regular expression."""


def record_bytes(size: Size) -> int:
    """The largest record of an image of a size, encoded as badly as can be."""
    height, width = size
    return 12 * height * width + (1 << 20)


def targets_bytes(size: Size) -> int:
    """The most of such a record that is not its image: with that it stays below `record_bytes`."""
    height, width = size
    return 4 * height * width + (1 << 20) - (1 << 14)


def first_fault(error: ValidationError) -> str:
    """Where something is not within its bounds, and how; short, whatever stands there."""
    first = error.errors(include_url=False, include_input=False)[0]
    where = short(".".join(map(str, first["loc"]))) if first["loc"] else "its beginning"
    return f"{where} ({first['msg'][:1].lower()}{first['msg'][1:]})"


def short(value: Any) -> str:
    """For a sentence."""
    text = ascii(value)
    return text if len(text) <= 100 else text[:100] + "..."


def _recipe(recipe: dict[str, Any]) -> dict[str, Any]:
    excess = too_much(recipe)
    if excess:
        raise ValueError(excess)
    json.dumps(recipe, ensure_ascii=False, allow_nan=False).encode()  # a ValueError for what is no JSON
    channels_of(recipe)
    Storage.model_validate(recipe.get("storage", {}))
    return recipe


def _module(name: str) -> str:
    if len(name) > 255 or not all(part.isidentifier() for part in name.split(".")):
        raise ValueError("it must be the name of a Python module")
    return name


def _class(name: str) -> str:
    if name in ("", ".", "..") or len(name.encode()) > 1024 or set(name) & set("/\0\n\r"):
        raise ValueError("it must be the name of a folder")
    return name


def _splits(names: Iterable[str]) -> Any:
    for error in split_errors(names):
        raise ValueError(error)
    return names


def _image_size(size: Size) -> Size:
    if size[0] * size[1] > MAX_PIXELS:
        raise ValueError(f"images have at most {MAX_PIXELS:,} pixels")
    return size


Count = Annotated[int, Field(strict=True, ge=0, le=10**15)]
"""Of images, records or bytes."""
Groups = Annotated[int, Field(strict=True, ge=1, le=MOST_GROUPS)]
Copies = Annotated[int, Field(strict=True, ge=1, le=MOST_COPIES)]
CopiesOfClass = Annotated[int, Field(strict=True, ge=0, le=MOST_COPIES)]
"""Of the sources of one class, which may be left out."""
Copy = Annotated[int, Field(strict=True, ge=-1, lt=MOST_COPIES)]
Balance = Annotated[int, Field(strict=True, ge=1, le=10**12)]
"""Samples of each class."""
ShardBytes = Annotated[int, Field(strict=True, ge=1, le=MOST_SHARD_BYTES)]
Seed = Annotated[int, Field(strict=True, ge=0, lt=1 << 64)]
Rank = Annotated[int, Field(strict=True, ge=0, lt=1 << 64)]
Side = Annotated[int, Field(strict=True, ge=1, le=16384)]
ImageSize = Annotated[tuple[Side, Side], AfterValidator(_image_size)]
Sha256 = Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")]
Name = Annotated[str, StringConstraints(pattern=f"^{NAME.pattern}$", max_length=NAME_LENGTH)]
Text = Annotated[str, StringConstraints(max_length=1024)]
FileName = Annotated[
    str, StringConstraints(pattern=r"^(samples/)?[A-Za-z0-9_][A-Za-z0-9_.-]*$", max_length=512)
]
"""Of a file of a dataset, in its directory."""
Module = Annotated[str, AfterValidator(_module)]
ClassName = Annotated[str, AfterValidator(_class)]
SplitName = Annotated[str, StringConstraints(max_length=255), AfterValidator(lambda name: _splits([name])[0])]
Part = Annotated[str, StringConstraints(pattern=r"^(0\.[0-9]{1,60}|1)$")]
"""Of the images, as `plan.parse_fractions` writes it."""
RecipeDocument = Annotated[dict[str, Any], AfterValidator(_recipe)]
ParityClass = Annotated[dict[Text, Text], Field(max_length=100)]
