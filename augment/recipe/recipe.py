"""A recipe: ops in order, with how images are read and stored."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import importlib
import json
import math
import os
import re
import reprlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Literal, TypeVar

import numpy as np
import yaml
from pydantic import Field

from augment import codec
from augment.codec.rejection import MAX_PIXELS
from augment.draws import recorded
from augment.errors import RequestError, did_you_mean
from augment.labels.hazards import Change, Hazard
from augment.ops import Op, Resize, Size
from augment.ops.entries import repeated_id, written_entry
from augment.ops.sequence import Step, draw_steps, paths, runs
from augment.ops.settings import Settings

NAME = re.compile(r"[a-z][a-z0-9_]*")

Shape = tuple[int, int, int]
"""Height, width and channels."""


def check_classes(recipe: Recipe, classes: Iterable[str]) -> None:
    """Raises RequestError if a recipe has one for a class that is none of these."""
    known = list(classes)
    for label in sorted(recipe.recipe_for.keys() - set(known)):
        raise RequestError(
            f"recipe {recipe.name}: recipe_for: there is no class {label!r}; {did_you_mean(label, known)}"
        )


class Storage(Settings):
    """How a shard holds pixels."""

    format: Literal["png", "jpeg", "raw"] = "png"
    """png and raw keep every level; jpeg does not, and live training then sees its round trip"""
    quality: Annotated[int, Field(ge=1, le=100)] = 95
    """of jpeg"""
    chroma: Literal["4:2:0", "4:4:4"] = "4:2:0"
    """of jpeg: whether color is kept at half the resolution or at the full one"""


@dataclasses.dataclass(frozen=True, repr=False)
class Recipe:
    """A checked recipe.

    Its `repr` is its YAML; a notebook also shows what it does to an example picture.
    Raises RequestError if the ops do not fit each other, or if the size of the
    images is not known beforehand.
    """

    name: str
    ops: Sequence[Op]
    """one or more, in the order in which they are applied; kept as a tuple"""
    storage: Storage = dataclasses.field(default_factory=Storage)
    description: str = ""
    acknowledge: tuple[str, ...] = ()
    """hazards that are meant, as `hazards` names them; they change no pixel"""
    channels: int = 3
    """of every image from its source to its record: 3, or 1 for gray ones"""
    decode: Literal["whole", "reduced"] = "whole"
    """how JPEG sources are read: reduced, to no less than twice the size that the first op makes"""
    recipe_for: Mapping[str, Recipe] = dataclasses.field(default_factory=dict, hash=False)
    """of classes that have one of their own, which makes images of the same size, read and stored alike"""

    def __post_init__(self) -> None:
        if not (isinstance(self.name, str) and NAME.fullmatch(self.name)):
            raise RequestError(
                f"recipe {self.name}: its name is {self.name!r}; a name is made of lower-case letters, "
                "digits and _, and begins with a letter"
            )
        given = self.ops if isinstance(self.ops, (list, tuple)) else ()
        others = [op for op in given if not isinstance(op, Op)]
        if not given or others:
            what = repr(others[0] if others else self.ops)
            raise RequestError(
                f"recipe {self.name}: ops must be a list of one op or more, such as Flip(horizontal=0.5); "
                f"{what} is not"
            )
        try:
            channels_of({"channels": self.channels})
        except ValueError as error:
            raise RequestError(f"recipe {self.name}: {error}") from None
        if self.decode not in ("whole", "reduced"):
            raise RequestError(f"recipe {self.name}: decode is {self.decode!r}; it must be whole or reduced")
        object.__setattr__(self, "ops", tuple(self.ops))
        object.__setattr__(self, "acknowledge", tuple(self.acknowledge))
        repeated = repeated_id(self.ops)
        if repeated:
            raise RequestError(f"recipe {self.name}: {repeated}")
        if self.image_size is None:
            raise RequestError(
                f"recipe {self.name}: the size of its images is not known beforehand; add a resize, "
                "crop_or_pad or random_resized_crop"
            )
        if self.decode == "reduced" and not isinstance(self.ops[0], Resize):
            raise RequestError(
                f"recipe {self.name}: decode is reduced, and its first op is {self.ops[0].name}; sources can "
                "only be read reduced where they are resized first"
            )
        known = self.hazards()
        for key in self.acknowledge:
            if key not in known:
                raise RequestError(
                    f"recipe {self.name}: acknowledge: there is no hazard {key!r} in it; "
                    + (did_you_mean(key, known) if known else "its ops have none")
                )
        self._check_recipe_for()

    def _check_recipe_for(self) -> None:
        columns = self.of_others.columns() if self.recipe_for else {}
        for label, own in self.recipe_for.items():
            here = f"recipe {self.name}: recipe_for: class {label!r}"
            if not (isinstance(label, str) and label):
                raise RequestError(f"{here}: the name of a class is a text that is not empty")
            if not isinstance(own, Recipe) or own.recipe_for:
                raise RequestError(f"{here}: it must have one recipe, without a recipe_for of its own")
            for what, its, mine in (
                ("size", "x".join(map(str, own.image_size)), "x".join(map(str, self.image_size))),
                ("channels", own.channels, self.channels),
                ("storage", _flow(own.storage.model_dump()), _flow(self.storage.model_dump())),
                ("decode", own.decode, self.decode),
            ):
                if its != mine:
                    raise RequestError(
                        f"{here}: the {what} of its recipe, {own.name}, is {its}, and that of others {mine}; "
                        "all recipes of a dataset must have the same size, channels, storage and decode"
                    )
            for column, kind in own.columns().items():
                if columns.setdefault(column, kind) != kind:
                    raise RequestError(
                        f"{here}: {column} is {kind} in recipe {own.name} and {columns[column]} in another; "
                        "give one of these ops an id of its own"
                    )

    def columns(self) -> dict[str, np.dtype[Any]]:
        """What the samples table has of its draws, and as what; then what it has of other recipes' in it."""
        none = np.zeros([0], np.uint32)
        found: dict[str, np.dtype[Any]] = {}
        for _, one in self.distinct():
            drawn = recorded(draw_steps(one.steps, (none, none)))
            found |= {name: values.dtype for name, values in drawn.items() if name not in found}
        return found

    def of(self, label: str) -> Recipe:
        """The recipe of a class: its own, or else the one of all others, without a `recipe_for`."""
        return self.recipe_for.get(label, self.of_others)

    @functools.cached_property
    def of_others(self) -> Recipe:
        """The recipe of classes that have none of their own, without a `recipe_for`."""
        return dataclasses.replace(self, recipe_for={}) if self.recipe_for else self

    @functools.cached_property
    def _steps_and_size(self) -> tuple[tuple[Step, ...], Size | None]:
        steps: list[Step] = []
        size: Size | None = None
        position = 0
        for run in runs(tuple(self.ops)):
            steps.append(Step(run, size))
            for op in run:
                position += 1
                try:
                    size = op.output_size(size)
                except ValueError as error:
                    raise RequestError(f"recipe {self.name}: op {position} ({op.name}): {error}") from None
                if size and size[0] * size[1] > MAX_PIXELS:
                    raise RequestError(
                        f"recipe {self.name}: op {position} ({op.name}): its images have {size[0]}x{size[1]} "
                        f"pixels; at most {MAX_PIXELS:,} in all are decoded and made"
                    )
        return tuple(steps), size

    @property
    def steps(self) -> tuple[Step, ...]:
        """The ops as they are applied, neighbouring affine ones composed."""
        return self._steps_and_size[0]

    @property
    def image_size(self) -> Size:
        """Height and width of every image that the recipe yields."""
        return self._steps_and_size[1]  # type: ignore[return-value]  # checked when constructed

    @property
    def image_shape(self) -> Shape:
        """Height, width and channels of every image that the recipe yields."""
        return (*self.image_size, self.channels)

    def decode_source(self, contents: bytes) -> np.ndarray:
        """An image file's bytes as the ops are given them: uint8 [H, W, channels] (`augment.codec.decode`).

        Raises DecodeError.
        """
        least = None
        if self.decode == "reduced":
            least = 2 * max(self.ops[0].output_size(None) or (0,))
        return codec.decode(contents, self.channels, least)

    def hazards(self) -> dict[str, Hazard]:
        """How the ops can change what a picture means, under `<op id>.<change>`.

        That gray images are asked for is one too, `channels.gray`; what an op does to colors then is none.
        """
        found: dict[str, Hazard] = {}
        moot: Sequence[Change] = ()
        if self.channels == 1:
            found["channels.gray"] = Hazard("gray", "leave channels: 1 out")
            moot = ("tint", "recolor", "gray")
        for step in self.steps:
            for op in (op for op in step.ops if op.p > 0):
                for hazard in op.hazards(step.size):
                    if hazard.change in moot:
                        continue
                    found[f"{op.id}/{hazard.within}".rstrip("/") + f".{hazard.change}"] = hazard
        return found

    def advice(self) -> list[str]:
        """What lint says of the settings, apart from labels."""
        found = [sentence for op in self.ops for sentence in op.advice()]
        if self.channels == 1:
            idle = ((path, part) for path, op in paths(self.ops) for part in op.needs_color())
            found += [f"{path}: {part} does nothing to gray images (channels: 1)" for path, part in idle]
        return found

    def __repr__(self) -> str:
        """The recipe as a file would have it, without what is as it is by default."""
        storage = self.storage.model_dump(exclude_defaults=True)
        keys = {
            "name": self.name,
            "description": self.description,
            **self._sources(),
            "storage": storage,
            "acknowledge": list(self.acknowledge),
        }
        lines = [f"{key}: {_flow(value)}" for key, value in keys.items() if value]
        lines += ["ops:", *self._entries()]
        if self.recipe_for:
            lines.append("recipe_for:")
        for labels, own in _alike(self.recipe_for):
            said = {
                "name": own.name * (own.name != self.name),
                "description": own.description,
                "acknowledge": list(own.acknowledge),
            }
            lines.append(f"  - classes: {_flow(labels)}")
            lines += [f"    {key}: {_flow(value)}" for key, value in said.items() if value]
            lines += ["    ops:", *(f"    {entry}" for entry in own._entries())]
        return "\n".join(lines)

    def _entries(self) -> list[str]:
        """The ops as lines of YAML."""
        written = [next(iter(written_entry(op, brief=True).items())) for op in self.ops]
        return [f"  - {name}: {_flow(settings)}" if settings else f"  - {name}" for name, settings in written]

    def _repr_html_(self) -> str:
        shown: str = importlib.import_module("augment.notebook").shown(self)  # which imports this module
        return shown

    def canonical(self) -> dict[str, Any]:
        """All that decides pixels and bytes, as JSON; equal for recipes that mean the same."""
        storage = self.storage.model_dump()
        by_class = [
            {"classes": labels, "ops": [written_entry(op) for op in own.ops]}
            for labels, own in self.distinct()[1:]
        ]
        return {
            **self._sources(),
            "ops": [written_entry(op) for op in self.ops],
            "storage": storage if storage["format"] == "jpeg" else {"format": storage["format"]},
            **({"recipe_for": by_class} if by_class else {}),
        }

    def distinct(self) -> list[tuple[list[str], Recipe]]:
        """The recipes in it that differ by their ops, each without a `recipe_for`, with their classes.

        The first is that of all others, of which none is named.
        """
        own = {label: one.ops for label, one in self.recipe_for.items() if one.ops != self.ops}
        return [
            ([], self.of_others),
            *((labels, self.recipe_for[labels[0]]) for labels, _ in _alike(own)),
        ]

    def _sources(self) -> dict[str, Any]:
        """How they are read, as it is written: not at all, where it is as by default."""
        channels = {} if self.channels == 3 else {"channels": self.channels}
        return channels if self.decode == "whole" else {**channels, "decode": self.decode}

    def fingerprint(self) -> str:
        """SHA-256 of the canonical form, in hexadecimal."""
        text = json.dumps(self.canonical(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


_What = TypeVar("_What")


def _alike(by_class: Mapping[str, _What]) -> list[tuple[list[str], _What]]:
    """What there is for classes, each with those that have it, in their order."""
    groups: list[tuple[list[str], _What]] = []
    for label in sorted(by_class):
        labels = next((labels for labels, what in groups if what == by_class[label]), None)
        if labels is None:
            groups.append(([label], by_class[label]))
        else:
            labels.append(label)
    return groups


def _flow(value: Any) -> str:
    """A value as YAML, in one line."""
    text = yaml.safe_dump(value, default_flow_style=True, width=math.inf, sort_keys=False, allow_unicode=True)
    return text.removesuffix("\n").removesuffix("\n...")


def check_recipe(recipe: object) -> Recipe:
    """The recipe. Raises RequestError for anything else, such as the name of one."""
    if isinstance(recipe, Recipe):
        return recipe
    what = f"{recipe!r:.60}" if isinstance(recipe, (str, os.PathLike)) else f"a {type(recipe).__name__}"
    given = f"{os.fspath(recipe)!r:.60}" if isinstance(recipe, (str, os.PathLike)) else "NAME_OR_FILE"
    raise RequestError(
        f"the recipe is {what}; it must be a Recipe, such as augment.load_recipe({given}) gives"
    )


def channels_of(document: dict[str, Any]) -> int:
    """What a recipe's document says of channels. Raises ValueError for anything but 1 and 3."""
    said = document.get("channels", 3)
    if type(said) is not int or said not in (1, 3):
        raise ValueError(f"channels is {reprlib.repr(said)}; it must be 3, or 1 for gray images")
    return said
