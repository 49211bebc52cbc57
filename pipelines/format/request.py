"""What was asked for, as far as it decides what is written."""

from __future__ import annotations

import hashlib
import importlib
import inspect
import json
from typing import Any

from pydantic import BaseModel, ConfigDict, field_serializer, field_validator

from augment.augmenter import NOT_AUGMENTED
from augment.errors import RequestError
from augment.recipe import Recipe, recipe_from_document
from pipelines.sources import Layout

SCHEMA_VERSION = 1
"""Raised when a change makes the same request write other bytes."""


class Request(BaseModel):
    """A request to materialize, without where from and where to."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    recipe_name: str
    recipe: dict[str, Any]
    """in canonical form"""
    seed: int
    copies: int
    originals: bool = False
    """whether splits that are augmented also hold their images as they are, brought to size"""
    augment_splits: tuple[str, ...] | None = None
    """None: train or training"""
    split_fractions: dict[str, str] | None = None
    """in the order in which they were given, which decides; in JSON as pairs, for objects are sorted there"""
    layout: Layout = "auto"
    shards: int | None = None
    """groups a split; None: by shard_bytes"""
    shard_bytes: int = 128 << 20
    plugins: dict[str, str] = {}
    """modules with a user's own ops, with the SHA-256 of their source"""

    @field_validator("split_fractions", mode="before")
    @classmethod
    def _of_pairs(cls, value: Any) -> Any:
        return dict(value) if isinstance(value, list) else value

    @field_serializer("split_fractions")
    def _as_pairs(self, value: dict[str, str] | None) -> list[list[str]] | None:
        return None if value is None else [list(pair) for pair in value.items()]

    def parsed_recipe(self) -> Recipe:
        load_plugins(self.plugins)
        return recipe_from_document(self.recipe, name=self.recipe_name, where=self.recipe_name)

    def copies_of(self, *, augmented: bool) -> tuple[int, ...]:
        """The copies that are written of the sources of a split."""
        if not augmented:
            return (NOT_AUGMENTED,)
        return (*((NOT_AUGMENTED,) if self.originals else ()), *range(self.copies))

    def fingerprint(self, groups: dict[str, int]) -> str:
        """SHA-256 of all that decides the bytes of a shard; not of which copies there are."""
        decides = self.model_dump(mode="json", exclude={"copies", "originals", "shards", "shard_bytes"})
        text = json.dumps(
            {"schema_version": SCHEMA_VERSION, "groups": groups, **decides},
            sort_keys=True,
            separators=(",", ":"),
        )
        return hashlib.sha256(text.encode()).hexdigest()

    def differences(self, other: Request) -> list[str]:
        """What differs from another request, which copies apart, in words."""
        mine = self.model_dump(mode="json", exclude={"copies", "originals"})
        theirs = other.model_dump(mode="json", exclude={"copies", "originals"})
        return [
            f"{field} was {_short(theirs[field])}, now {_short(mine[field])}"
            for field in mine
            if mine[field] != theirs[field]
        ]


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 200 else text[:200] + "..."


def load_plugins(modules: dict[str, str] | list[str]) -> dict[str, str]:
    """Imports modules that define ops; their names with the SHA-256 of their source.

    Raises RequestError if one cannot be imported, or is not the one whose digest is given.
    """
    digests = {}
    for module in modules:
        try:
            source = inspect.getsource(importlib.import_module(module))
        except Exception as error:  # noqa: BLE001 (importing runs whatever a user wrote)
            raise RequestError(
                f"--plugin {module}: it cannot be imported ({error}); give the name of a Python module, "
                "with its folder in PYTHONPATH"
            ) from None
        digests[module] = hashlib.sha256(source.encode()).hexdigest()
        if isinstance(modules, dict) and modules[module] != digests[module]:
            raise RequestError(f"plugin {module}: its source is not the one that this dataset was made with")
    return digests
