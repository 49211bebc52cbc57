"""What was asked for, as far as it decides what is written."""

from __future__ import annotations

import hashlib
import importlib
import inspect
import json
import os
import sys
from collections.abc import Iterable
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, field_serializer, field_validator

from augment.augmenter import NOT_AUGMENTED
from augment.errors import RequestError
from augment.recipe import Recipe, Storage, channels_of, recipe_from_document
from pipelines.format.bounds import (
    MOST_CLASSES,
    MOST_PATTERN,
    Balance,
    ClassName,
    Copies,
    CopiesOfClass,
    Groups,
    Module,
    Name,
    Part,
    RecipeDocument,
    Seed,
    Sha256,
    ShardBytes,
    Text,
)
from pipelines.sources import Layout

SCHEMA_VERSION: Final = 1
"""Raised when a change makes the same request write other bytes."""


Duplicates = Literal["same-split"]
"""What becomes of pictures that are equal, or nearly so."""

AnnotationFormat = Literal["coco", "yolo", "voc", "masks", "table", "tfds", "tfrecord", "webdataset"]

_HOW_MANY: Final = {"copies", "class_copies", "balance", "originals"}
"""Fields that decide which copies there are, and no byte of one."""


class PluginMissing(RequestError):
    """A dataset needs a plugin that the user has not loaded, or another than is there."""


class Request(BaseModel):
    """A request to materialize, without where from and where to."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Name
    recipe_name: Name
    recipe: RecipeDocument
    """in canonical form"""
    seed: Seed
    copies: Copies
    """of each image; with `class_copies` of those of other classes, with `balance` of the largest class"""
    class_copies: Annotated[dict[ClassName, CopiesOfClass], Field(max_length=MOST_CLASSES)] | None = None
    balance: Literal["max"] | Balance | None = None
    """how many samples of each class, exactly; "max": as many as the largest class has"""
    originals: bool = False
    """whether splits that are augmented also hold their images as they are, brought to size"""
    augment_splits: tuple[Text, ...] | None = None
    """None: train or training"""
    split_fractions: dict[Text, Part] | None = None
    """in the order in which they were given, which decides; in JSON as pairs, for objects are sorted there"""
    group_by: Annotated[str, Field(max_length=MOST_PATTERN)] | None = None
    """a regular expression whose one group, in a source's id, names what splits do not tear"""
    duplicates: Duplicates | None = None
    """whether splits do not tear pictures that are equal, or nearly so"""
    annotations: AnnotationFormat | None = None
    """what lies beside the images, or around them, and says what is in them; None: nothing"""
    features: Annotated[dict[Text, Text], Field(max_length=100)] | None = None
    """of records around the images, those that are named, by what they are"""
    layout: Layout = "auto"
    shards: Groups | None = None
    """groups a split; None: by shard_bytes"""
    shard_bytes: ShardBytes = 128 << 20
    plugins: Annotated[dict[Module, Sha256], Field(max_length=100)] = {}
    """modules with a user's own ops, with the SHA-256 of their source"""

    @field_validator("split_fractions", mode="before")
    @classmethod
    def _of_pairs(cls, value: Any) -> Any:
        return dict(value) if isinstance(value, list) else value

    @field_serializer("split_fractions")
    def _as_pairs(self, value: dict[str, str] | None) -> list[list[str]] | None:
        return None if value is None else [list(pair) for pair in value.items()]

    @property
    def recipe_for(self) -> tuple[str, ...]:
        """The classes that have recipes of their own, in a request that the user made."""
        return tuple(label for group in self.recipe.get("recipe_for", ()) for label in group["classes"])

    @property
    def storage(self) -> Storage:
        """How records hold pixels: to read them takes none of the recipe's ops."""
        return Storage.model_validate(self.recipe.get("storage", {}))

    @property
    def channels(self) -> int:
        """Of the images, which takes none of the recipe's ops either."""
        return channels_of(self.recipe)

    def parsed_recipe(self) -> Recipe:
        """The recipe, for who reads a dataset. A plugin that it needs must have been loaded by the user.

        Raises PluginMissing if one was not, for a request may come with a dataset from anybody, and to import
        what it names would run it, or if it is another than the dataset was made with; RequestError if the
        recipe is wrong.
        """
        for module, digest in self.plugins.items():
            here = _source_digest(module)
            if here is None:
                raise PluginMissing(
                    f"recipe {self.recipe_name}: it has ops of the plugin {module}, and a dataset's plugins "
                    f"are not loaded for its sake; if you trust its source, say --plugin {module}, with its "
                    "folder in PYTHONPATH (in Python: import it first)"
                )
            if here != digest:
                raise PluginMissing(
                    f"plugin {module}: its source is not the one that this dataset was made with"
                )
        return recipe_from_document(self.recipe, name=self.recipe_name, where=self.recipe_name)

    def copies_of(self, *, augmented: bool) -> tuple[int, ...]:
        """The copies that are written of the sources of a split, where all classes get the same."""
        if not augmented:
            return (NOT_AUGMENTED,)
        return (*((NOT_AUGMENTED,) if self.originals else ()), *range(self.copies))

    @property
    def by_class(self) -> bool:
        """Whether not all classes get the same copies."""
        return self.class_copies is not None or self.balance is not None

    @property
    def how_many(self) -> str:
        """Copies in words: `3 copies`, `20 copies of rare, 2 of others`, `balanced to 5,000`."""
        if self.balance is not None:
            return f"balanced to {self.balance if self.balance == 'max' else f'{self.balance:,}'}"
        if self.class_copies is None:
            return f"{self.copies} copies"
        named = list(self.class_copies.items())
        shown = [f"{copies} copies of {label}" for label, copies in named[:_NAMED]]
        return ", ".join([*shown, f"{self.copies} of others"])

    def fingerprint(self, groups: dict[str, int]) -> str:
        """SHA-256 of all that decides the bytes of a shard; not of which copies there are."""
        decides = self.model_dump(mode="json", exclude={*_HOW_MANY, "shards", "shard_bytes"})
        for later in (
            "group_by",
            "duplicates",
            "annotations",
            "features",
        ):  # which datasets from before they were there do not have
            if decides[later] is None:
                del decides[later]
        text = json.dumps(
            {"schema_version": SCHEMA_VERSION, "groups": groups, **decides},
            sort_keys=True,
            separators=(",", ":"),
        )
        return hashlib.sha256(text.encode()).hexdigest()

    def differences(self, other: Request) -> list[str]:
        """What differs from another request, which copies apart, in words."""
        mine, theirs = self._asked(), other._asked()
        return [
            f"{field} was {_short(theirs[field])}, now {_short(mine[field])}"
            for field in mine
            if mine[field] != theirs[field]
        ]

    def _asked(self) -> dict[str, Any]:
        asked = self.model_dump(mode="json", exclude=_HOW_MANY)
        return {**asked, "recipe_for": asked["recipe"].pop("recipe_for", None)}


_NAMED = 5


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 200 else text[:200] + "..."


def load_plugins(modules: Iterable[str]) -> dict[str, str]:
    """Imports modules with ops that the user names; their names with the SHA-256 of their source.

    One that lies in the working directory, `./fade.py`, is found as `fade`, behind all that is installed.
    Raises RequestError if one cannot be imported.
    """
    digests = {}
    for module in modules:
        try:
            _import(module)
            digest = _source_digest(module)
        except Exception as error:  # noqa: BLE001 (importing runs whatever a user wrote)
            raise RequestError(
                f"--plugin {module}: it cannot be imported ({error}); give the name of a Python module "
                "that lies here, or with its folder in PYTHONPATH"
            ) from None
        if digest is None or not all(part.isidentifier() for part in module.split(".")):
            raise RequestError(
                f"--plugin {module}: its source cannot be read; give the name of a Python module, "
                "with its folder in PYTHONPATH"
            )
        digests[module] = digest
    return digests


def _import(module: str) -> None:
    """Imports a module, also from the working directory, which is on the path only that long."""
    here = os.getcwd()
    sys.path.append(here)
    try:
        importlib.import_module(module)
    finally:
        sys.path.remove(here)


def job_recipe(request: Request) -> Recipe:
    """The recipe of a request that the user made, for its job: whose workers start without its plugins."""
    load_plugins(request.plugins)
    return request.parsed_recipe()


def _source_digest(module: str) -> str | None:
    """SHA-256 of the source of a module that has been imported; None if it has not, or has none."""
    try:
        return hashlib.sha256(inspect.getsource(sys.modules[module]).encode()).hexdigest()
    except (KeyError, OSError, TypeError):
        return None
