"""The recipe that findings call for: classes that an op endangers get one in which it does no harm."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from augment.errors import RequestError
from augment.labels.findings import findings
from augment.ops.base import Op
from augment.ops.entries import read_entry, written_entry
from augment.ops.sequence import Group
from augment.recipe import Recipe


def mended(recipe: Recipe, classes: Iterable[str]) -> Recipe:
    """A recipe of which `findings` finds nothing among these classes that it does not acknowledge.

    Classes that something endangers get recipes of their own, and the others keep theirs; where all are
    endangered alike, the recipe itself is mended. An op is limited as its hazard says, or else left out; the
    others draw what they drew. Raises RequestError for what is not to be mended so.
    """
    names = list(dict.fromkeys(classes))
    endangered: dict[str, list[str]] = {name: [] for name in names}
    for finding in findings(recipe, names):
        for name in finding.classes:
            endangered[name].append(finding.key)
    harmless = {name: _without(recipe.of(name), keys) for name, keys in endangered.items()}
    alike = next(iter(harmless.values()), recipe)
    if not recipe.recipe_for and all(one.ops == alike.ops for one in harmless.values()):
        return alike
    changed = {name: one for name, one in harmless.items() if one.ops != recipe.of(name).ops}
    own = {name: dataclasses.replace(one, description="") for name, one in changed.items()}
    return dataclasses.replace(recipe, recipe_for={**recipe.recipe_for, **own})


def _without(recipe: Recipe, keys: Iterable[str]) -> Recipe:
    """A recipe for one class without some hazards, but for those that it acknowledges."""
    for limiting in (True, False):  # what limits do not help is left out
        for key in keys:
            hazard = recipe.hazards().get(key)
            if hazard is None or key in recipe.acknowledge:
                continue  # its op has no such hazard, or no longer
            if key == "channels.gray":
                raise RequestError(
                    f"recipe {recipe.name}: {key} endangers labels, and no recipe by class helps: all images "
                    "of a dataset have the same channels; leave channels: 1 out, or acknowledge it"
                )
            path = key.rpartition(".")[0].split("/")
            recipe = _with_ops(recipe, _top(recipe.ops, path, hazard.limit if limiting else {}))
    return recipe


def _with_ops(recipe: Recipe, ops: Sequence[Op]) -> Recipe:
    """Another recipe's ops, and what of its hazards is acknowledged."""
    other = dataclasses.replace(recipe, ops=ops, acknowledge=())
    known = other.hazards()
    return dataclasses.replace(other, acknowledge=tuple(key for key in recipe.acknowledge if key in known))


def _top(ops: Sequence[Op], path: Sequence[str], limit: Mapping[str, Any]) -> list[Op]:
    """A recipe's ops, that of a path within a limit, or left out.

    One that sets the size of the image gives way to a resize to that size.
    """
    kept: list[Op] = []
    size = None
    for op in ops:
        size = op.output_size(size)
        entry = _mended(op, path[1:], limit) if op.id == path[0] else written_entry(op)
        if entry is None and not op.keeps_size and size:
            entry = {"resize": {"id": op.id, "height": size[0], "width": size[1]}}
        if entry is not None:
            kept.append(read_entry(entry))
    return kept


def _mended(op: Op, path: Sequence[str], limit: Mapping[str, Any]) -> dict[str, Any] | None:
    """An op's entry, or that of an op within it, within a limit; None where it is to be left out.

    Within a group an op keeps its place, so that the others are drawn as often.
    """
    [(name, settings)] = written_entry(op).items()
    if not (path and isinstance(op, Group) and path[0] in {one.id for one in op.ops}):
        return _limited(name, settings, limit)
    inside = []
    for one in op.ops:
        [(of, its)] = written_entry(one).items()
        mended = _mended(one, path[1:], limit) if one.id == path[0] else {of: its}
        inside.append({of: {**its, "p": 0}} if mended is None else mended)
    return {name: {**settings, "ops": inside}}


def _limited(name: str, settings: Mapping[str, Any], limit: Mapping[str, Any]) -> dict[str, Any] | None:
    """An op's entry within limits, its intervals as far as they lie there; None where that is nothing."""
    if not limit:
        return None
    try:
        [limited] = written_entry(read_entry({name: {**settings, **limit}})).values()
        for key in limit:
            if isinstance(limited[key], list) and len(limited[key]) == len(settings[key]) == 2:
                (low, high), (least, most) = limited[key], settings[key]
                limited[key] = [max(low, least), min(high, most)]
        return written_entry(read_entry({name: limited}))
    except ValueError:  # the intervals have nothing in common
        return None
