"""From text to a recipe: presets, files, YAML and what a manifest says, read strictly and within bounds."""

from __future__ import annotations

import functools
import itertools
import os
import re
import reprlib
from collections.abc import Callable, Iterable
from importlib import resources
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from augment.errors import RequestError, did_you_mean
from augment.ops.entries import read_entry
from augment.ops.settings import explain
from augment.recipe.recipe import NAME, Recipe, Storage, channels_of

MOST_BYTES, MOST_VALUES, MOST_DEPTH, MOST_OPS = 1 << 20, 50_000, 64, 1_000
"""A recipe may come from anybody: how long its text is, how many values it has and how deep, how many ops."""


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read(MOST_BYTES + 1)


def load_recipe(name_or_path: str | Path, *, read: Callable[[str], bytes] = _read) -> Recipe:
    """Reads a preset by its name, or a recipe file by its path, which `read` turns into its contents.

    Raises RequestError if there is none, or if what it says is wrong.
    """
    if not isinstance(name_or_path, (str, Path)):
        raise RequestError(
            f"a {type(name_or_path).__name__} stands where a preset's name or a recipe's path has to"
        )
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
    files = resources.files("augment.recipe").joinpath("presets").iterdir()
    return sorted(f.name.removesuffix(".yaml") for f in files if f.name.endswith(".yaml"))


def preset_text(name: str) -> str:
    """The YAML of a preset."""
    return (resources.files("augment.recipe") / "presets" / f"{name}.yaml").read_text(encoding="utf-8")


def parse_recipe(
    text: str, *, name: str, where: str | None = None, load: Callable[[str], Recipe] | None = None
) -> Recipe:
    """Parses YAML. `where` names the text in errors, `load` reads what it names. Raises RequestError."""
    where = where or name
    if not isinstance(text, str):
        raise RequestError(
            f"recipe {where}: a {type(text).__name__} stands where its YAML has to, a str; "
            "augment.Recipe makes one of ops"
        )
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
