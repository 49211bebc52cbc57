"""Recipes: the named, ordered list of ops with their settings, and the storage.

A recipe is written in YAML:

    description: a mirror and contrast, for photos of cars and trucks
    storage: {format: png}
    ops:
      - resize: {height: 128, width: 128, method: nearest}
      - flip: {horizontal: 0.5}
      - contrast: {factor: 0.5}

or made of the same ops in Python, with the same draws and the same pixels:

    Recipe("mine", [Resize(128, 128, method="nearest"), Flip(horizontal=0.5), Contrast(0.5)])

Classes can have recipes of their own, which make images of the same size, stored alike:

    recipe_for:
      - {classes: [left, right], ops: [{resize: {height: 128, width: 128}}]}
      - {classes: ["6"], recipe: upright.yaml}

Reading is strict: a misspelt key or op is an error that names its nearest
neighbours, a wrong value one that names its range.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import importlib
import itertools
import json
import math
import os
import re
import reprlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import numpy as np
import yaml
from pydantic import Field, ValidationError

from augment import codec
from augment.codec.rejection import MAX_PIXELS
from augment.draws import recorded
from augment.errors import RequestError, did_you_mean
from augment.labels.hazards import Change, Hazard
from augment.ops import Op, Resize, Size
from augment.ops.entries import read_entry, repeated_id, written_entry
from augment.ops.sequence import Step, draw_steps, paths, runs
from augment.ops.settings import Settings, explain

NAME = re.compile(r"[a-z][a-z0-9_]*")

Shape = tuple[int, int, int]
"""Height, width and channels."""

MOST_BYTES, MOST_VALUES, MOST_DEPTH, MOST_OPS = 1 << 20, 50_000, 64, 1_000
"""A recipe may come from anybody: how long its text is, how many values it has and how deep, how many ops."""


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


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read(MOST_BYTES + 1)


def check_recipe(recipe: object) -> Recipe:
    """The recipe. Raises RequestError for anything else, such as the name of one."""
    if isinstance(recipe, Recipe):
        return recipe
    what = f"{recipe!r:.60}" if isinstance(recipe, (str, os.PathLike)) else f"a {type(recipe).__name__}"
    given = f"{os.fspath(recipe)!r:.60}" if isinstance(recipe, (str, os.PathLike)) else "NAME_OR_FILE"
    raise RequestError(
        f"the recipe is {what}; it must be a Recipe, such as augment.load_recipe({given}) gives"
    )


def load_recipe(name_or_path: str | Path, *, read: Callable[[str], bytes] = _read) -> Recipe:
    """Reads a preset by its name, or a recipe file by its path, which `read` turns into its contents.

    Raises RequestError if there is none, or if what it says is wrong.
    """
    text = str(name_or_path)
    return _load(text, read, functools.partial(_beside, text, read))


def _load(text: str, read: Callable[[str], bytes], load: Callable[[str], Recipe] | None) -> Recipe:
    """The same; `load` reads what it names."""
    if _is_path(text):
        try:
            source = read(text).decode()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
            raise RequestError(f"recipe {text}: cannot be read ({reason})") from None
        name = re.sub(r"\W", "_", Path(text).stem).lower()
        return parse_recipe(source, name=name, where=text, load=load)
    presets = preset_names()
    if text not in presets:
        file = next((f"{text}{end}" for end in (".yaml", ".yml") if Path(f"{text}{end}").is_file()), None)
        if file:
            raise RequestError(f"there is no preset {text!r}; did you mean the file {file}?")
        raise RequestError(
            f"there is no preset {text!r}; {did_you_mean(text, presets)} "
            "(a recipe of your own is given as a path that ends in .yaml)"
        )
    return parse_recipe(preset_text(text), name=text, where=text)


def _beside(path: str, read: Callable[[str], bytes], named: str) -> Recipe:
    """What a recipe file names: a preset, or a path from where the file lies. It cannot name another one."""
    if _is_path(named) and "://" not in named:
        named = os.path.join(os.path.dirname(path), named)
    return _load(named, read, None)


def _is_path(text: str) -> bool:
    return "/" in text or "\\" in text or text.endswith((".yaml", ".yml"))


def preset_names() -> list[str]:
    files = resources.files("augment").joinpath("recipes").iterdir()
    return sorted(f.name.removesuffix(".yaml") for f in files if f.name.endswith(".yaml"))


def preset_text(name: str) -> str:
    """The YAML of a preset."""
    return (resources.files("augment") / "recipes" / f"{name}.yaml").read_text(encoding="utf-8")


def parse_recipe(
    text: str, *, name: str, where: str | None = None, load: Callable[[str], Recipe] | None = None
) -> Recipe:
    """Parses YAML. `where` names the text in errors, `load` reads what it names. Raises RequestError."""
    where = where or name
    if len(text) > MOST_BYTES:
        raise RequestError(f"recipe {where}: it is longer than {MOST_BYTES:,} characters, which no recipe is")
    try:
        document = yaml.load(text, Loader=_StrictLoader)  # noqa: S506 (a SafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f", line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or "it cannot be parsed"
        raise RequestError(f"recipe {where}{place}: not YAML: {problem}") from None
    except ValueError as error:  # such as a date in a thirteenth month
        raise RequestError(f"recipe {where}: not YAML: {error}") from None
    except RecursionError:
        raise RequestError(f"recipe {where}: it is nested more than {MOST_DEPTH} deep") from None
    if not isinstance(document, dict):
        raise RequestError(f"recipe {where}: it must be a mapping with the key 'ops'")
    return recipe_from_document(document, name=name, where=where, load=load)


def recipe_from_document(
    document: dict[str, Any], *, name: str, where: str, load: Callable[[str], Recipe] | None = None
) -> Recipe:
    """Builds a recipe from parsed YAML or from its canonical form. Raises RequestError.

    `load` reads the recipes that it names for classes; without it, they must stand in it.
    """
    excess = too_much(document)
    if excess:
        raise RequestError(f"recipe {where}: {excess}")
    keys = ("name", "description", "channels", "decode", "storage", "acknowledge", "ops", "recipe_for")
    for key in document:
        if key not in keys:
            raise RequestError(f"recipe {where}: there is no key {key!r}; {did_you_mean(str(key), keys)}")
    name = document.get("name", name)
    if not (isinstance(name, str) and NAME.fullmatch(name) and len(name) <= 128):
        by_file = "name" not in document
        raise RequestError(
            f"recipe {where}: its name{' by that of its file' * by_file} is {name!r}; a name is made of "
            "lower-case letters, digits and _, and begins with a letter"
            + "; rename the file, or say `name: ...` in it"
            * by_file
        )
    entries = document.get("ops")
    if not (isinstance(entries, list) and entries):
        raise RequestError(f"recipe {where}: 'ops' must be a list of one op or more")
    if len(entries) > MOST_OPS:
        raise RequestError(f"recipe {where}: it has {len(entries):,} ops; it can have {MOST_OPS:,}")
    try:
        channels = channels_of(document)
    except ValueError as error:
        raise RequestError(f"recipe {where}: {error}") from None
    try:
        storage = Storage.model_validate(document.get("storage", {}))
    except ValidationError as error:
        raise RequestError(f"recipe {where}: storage: {explain(error, Storage)}") from None
    acknowledge = document.get("acknowledge", [])
    if not (isinstance(acknowledge, list) and all(isinstance(key, str) for key in acknowledge)):
        raise RequestError(
            f"recipe {where}: 'acknowledge' must be a list of hazards as augshard lint names them, "
            "such as [flip.mirror]"
        )
    ops = []
    for position, entry in enumerate(entries, start=1):
        try:
            ops.append(read_entry(entry))
        except ValueError as error:
            raise RequestError(f"recipe {where}: op {position}: {error}") from None
    return Recipe(
        name=name,
        ops=tuple(ops),
        storage=storage,
        description=" ".join(str(document.get("description", "")).split()),
        acknowledge=tuple(acknowledge),
        channels=channels,
        decode=document.get("decode", "whole"),
        recipe_for=_recipe_for(document, name=name, where=where, load=load),
    )


def _recipe_for(
    document: dict[str, Any], *, name: str, where: str, load: Callable[[str], Recipe] | None
) -> dict[str, Recipe]:
    """The recipes of classes. Those that stand in the document are read and stored as it says."""
    groups = document.get("recipe_for", [])
    if not isinstance(groups, list):
        raise RequestError(
            f"recipe {where}: 'recipe_for' must be a list, such as [{{classes: [left, right], ops: [...]}}]"
        )
    shared: dict[str, Any] = {
        key: document[key] for key in ("channels", "decode", "storage") if key in document
    }
    found: dict[str, Recipe] = {}
    for number, group in enumerate(groups, start=1):
        here = f"recipe_for {number}"
        labels = group.get("classes") if isinstance(group, dict) else None
        if not (isinstance(labels, list) and labels and ("ops" in group) != ("recipe" in group)):
            raise RequestError(
                f"recipe {where}: {here}: it must have 'classes', a list of names, and either 'ops' or "
                "'recipe', a preset or a path"
            )
        for label in labels:
            if not isinstance(label, str):
                raise RequestError(
                    f"recipe {where}: {here}: class {label!r} is no text; write it in quotes: '{label}'"
                )
            if label in found or labels.count(label) > 1:
                raise RequestError(f"recipe {where}: {here}: it names class {label!r}, which stands twice")
        rest = {key: value for key, value in group.items() if key != "classes"}
        if "ops" in rest:
            own = recipe_from_document({**shared, **rest}, name=name, where=f"{where}, {here}")
        elif load is None or not isinstance(rest["recipe"], str) or len(rest) > 1:
            raise RequestError(
                f"recipe {where}: {here}: its 'recipe' is {reprlib.repr(rest['recipe'])}; it must be "
                "a preset or a path, in a recipe that is a file, with 'classes' alone beside it; else give "
                "its 'ops'"
            )
        else:
            own = load(rest["recipe"])
        found |= dict.fromkeys(labels, own)
    return found


def channels_of(document: dict[str, Any]) -> int:
    """What a recipe's document says of channels. Raises ValueError for anything but 1 and 3."""
    said = document.get("channels", 3)
    if type(said) is not int or said not in (1, 3):
        raise ValueError(f"channels is {reprlib.repr(said)}; it must be 3, or 1 for gray images")
    return said


def too_much(document: Any) -> str | None:
    """What there is too much of in a recipe as YAML or JSON; None if there is not.

    What an alias of YAML stands for counts each time: a few lines can stand for more than fits into memory.
    """
    level, count = [document], 0
    for _ in range(MOST_DEPTH):
        inside = (v.values() if isinstance(v, dict) else v for v in level if isinstance(v, dict | list))
        level = list(itertools.islice(itertools.chain.from_iterable(inside), MOST_VALUES + 1 - count))
        count += len(level)
        if count > MOST_VALUES:
            return f"it has more than {MOST_VALUES:,} values"
        if not level:
            return None
    return f"it is nested more than {MOST_DEPTH} deep"


class _StrictLoader(yaml.SafeLoader):
    """Refuses a key that stands twice, of which YAML would silently keep the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            problem = None
            if isinstance(key, Iterable) and not isinstance(key, str):
                problem = "a key must be a word"
            elif key in seen:
                problem = f"the key {key!r} stands twice"
            if problem:
                raise yaml.constructor.ConstructorError(None, None, problem, key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep)
