"""An op as a recipe writes it: `contrast: {factor: 0.5}`, read strictly and written in full.

What is wrong with an entry is said in sentences that name the setting, its value
and what would be right.
"""

from __future__ import annotations

from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from augment.errors import did_you_mean
from augment.ops.base import Checked, Op, op_types


class EntryError(ValueError):
    """What is wrong with an entry within an entry; its sentence needs nothing before it."""


def read_entry(entry: Any) -> Op:
    """The op of one entry of a recipe. Raises ValueError."""
    if isinstance(entry, str):
        entry = {entry: {}}
    if not (isinstance(entry, dict) and len(entry) == 1):
        raise ValueError(f"{entry!r} is not one op with its settings, such as 'contrast: {{factor: 0.5}}'")
    [(name, settings)] = entry.items()
    known = op_types()
    if name not in known:
        raise ValueError(f"there is no op {name!r}; {did_you_mean(str(name), known)}")
    if isinstance(settings, dict | None):
        settings = {"id": name, **(settings or {})}
    try:
        return known[name].model_validate(settings)
    except ValidationError as error:
        raise ValueError(f"{name}: {explain(error, known[name])}") from None


def written_entry(op: Op) -> dict[str, Any]:
    """The entry of an op with all its settings, as JSON; `read_entry` makes an equal op of it."""
    return {op.name: op.model_dump(mode="json")}


def repeated_id(ops: tuple[Op, ...]) -> str | None:
    """What is wrong if two of these ops have the same id."""
    seen: set[str] = set()
    for op in ops:
        if op.id in seen:
            return (
                f"two ops have the id {op.id!r}; give the second one "
                f"an id of its own, such as 'id: {op.id}_2'"
            )
        seen.add(op.id)
    return None


def explain(error: ValidationError, model: type[BaseModel]) -> str:
    """pydantic's findings as sentences that name the field, its value and what would be right."""
    return "; ".join(_explain_one(finding, model) for finding in error.errors())


def _explain_one(finding: Any, model: type[BaseModel]) -> str:
    field = ".".join(map(str, finding["loc"]))
    kind, value = finding["type"], finding["input"]
    if kind == "model_type":
        return f"its settings are {value!r}; they must be pairs of name and value"
    if kind in ("extra_forbidden", "invalid_key"):
        return f"there is no setting {field!r}; {did_you_mean(field, model.model_fields)}"
    if kind == "missing":
        return f"{field} is missing; it is {_requirement(model, field)}"
    if kind == "value_error":
        error = finding["ctx"]["error"]
        return ("" if not field or isinstance(error, EntryError) else f"{field} is {value!r}; ") + str(error)
    return f"{field} is {value!r}; it must be {_requirement(model, field)}"


_KINDS = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}


def _requirement(model: type[BaseModel], field: str) -> str:
    """What a field takes, in words, and what for where the words do not tell."""
    info = model.model_fields[field.split(".")[0]]
    explained = get_origin(info.annotation) is Literal or any(isinstance(m, Checked) for m in info.metadata)
    about = f" ({info.description})" if info.description and not explained else ""
    return requirement(info) + about


def requirement(info: FieldInfo) -> str:
    """What a field takes, in words."""
    if get_origin(info.annotation) is Literal:
        return "one of " + ", ".join(map(str, get_args(info.annotation)))
    for mark in info.metadata:
        if isinstance(mark, Checked):
            return mark.requirement
    words = [_KINDS.get(info.annotation, "a value")]  # type: ignore[arg-type]
    for mark in info.metadata:
        for name, word in (("ge", "from"), ("gt", "above"), ("le", "to"), ("lt", "below")):
            bound = getattr(mark, name, None)
            if bound is not None:
                words.append(f"{word} {bound:g}")
        pattern = getattr(mark, "pattern", None)
        if pattern:
            words.append(f"that matches {pattern}")
    return " ".join(words)
