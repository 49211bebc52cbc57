"""The settings of an op: what they take, in which forms they are written, and what is wrong with one.

A setting that is an interval, one of several values or a probability also declares what is
drawn from it (`Op.parameters`).
"""

from __future__ import annotations

import ast
import contextlib
import dataclasses
import functools
import inspect
import itertools
import math
import textwrap
from collections.abc import Callable, Mapping
from importlib import resources
from typing import Annotated, Any, Literal, get_args, get_origin

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic.fields import FieldInfo

from augment.errors import RequestError, did_you_mean
from augment.ops.parameters import Choice, Coin, Parameter, Real, Whole

Interval = tuple[float, float]
WholeInterval = tuple[int, int]
Side = Annotated[int, Field(ge=1, le=16384)]
Level = Annotated[int, Field(ge=0, le=255)]
Probability = Annotated[float, Field(ge=0, le=1)]


@dataclasses.dataclass(frozen=True)
class Drawn:
    """Marks a field from whose value a parameter of the same name is drawn."""

    kind: Callable[[Any], Parameter]


Chance = Annotated[Probability, Drawn(Coin)]
"""The probability with which a parameter of the same name is drawn as true."""


class Settings(BaseModel):
    """A frozen record of settings, read strictly; what is wrong with one is a RequestError's sentence."""

    # Each process that starts imports dozens of these, and uses a few.
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, defer_build=True)

    def __init__(self, *values: Any, **named: Any) -> None:
        """Takes settings by name, or by position in the order in which they are described."""
        about = type(self).__name__
        order = self.in_order()
        if len(values) > len(order):
            raise RequestError(f"{about}: {len(values)} settings are given by position; it has {len(order)}")
        for name, value in zip(order, values, strict=False):
            if name in named:
                raise RequestError(f"{about}: {name} is given twice, by position and by name")
            named[name] = value
        try:
            super().__init__(**named)
        except ValidationError as error:
            raise RequestError(f"{about}: {explain(error, type(self))}") from None

    # So that pydantic, when it reads YAML, validates by itself, and errors name the entry.
    __init__.__pydantic_base_init__ = True  # type: ignore[attr-defined]

    @classmethod
    def in_order(cls) -> list[str]:
        """The settings as they are described: first those without a default, and a class's own."""
        own = inspect.get_annotations(cls)
        fields = cls.model_fields.items()
        return [
            name
            for name, _ in sorted(fields, key=lambda item: (not item[1].is_required(), item[0] not in own))
        ]


@functools.cache
def descriptions(model: type[BaseModel]) -> dict[str, str]:
    """What stands below the settings of a model in its class, and in those that it derives from, by name.

    Read from their source, and only here, for that takes longer than to make the classes.
    """
    found: dict[str, str] = {}
    for base in reversed(model.__mro__):
        if base is BaseModel or not issubclass(base, BaseModel):
            continue
        with contextlib.suppress(OSError, TypeError, SyntaxError):  # of what was typed there is no source
            [tree] = ast.parse(textwrap.dedent(inspect.getsource(base))).body
            body = getattr(tree, "body", [])
            for field, text in itertools.pairwise(body):
                match field, text:
                    case (ast.AnnAssign(target=ast.Name(name)), ast.Expr(ast.Constant(str(words)))):
                        found[name] = inspect.cleandoc(words)
    return found


class EntryError(ValueError):
    """What is wrong with an entry within an entry; its sentence needs nothing before it."""


@dataclasses.dataclass(frozen=True)
class Checked(BeforeValidator):
    """A validator that can say what it requires."""

    requirement: str = ""
    schema: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """the same as JSON Schema, as far as that can say it"""
    drawn: Callable[[Any], Parameter] | None = None
    """what is drawn from the field's value, under its name"""


def _listed(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def choices(*allowed: int) -> Checked:
    """Marks a field as one or several of `allowed`, from which one is drawn uniformly."""

    def check(value: Any) -> tuple[int, ...]:
        values = _listed(value)
        values = values if isinstance(values, tuple) else (values,)
        if not values or any(type(v) is not int or v not in allowed for v in values):
            raise ValueError(f"it must be one or a list of {', '.join(map(str, allowed))}")
        if len(set(values)) < len(values):
            raise ValueError("it names one value twice")
        return values

    one = {"enum": list(allowed)}
    several = {"type": "array", "items": one, "minItems": 1, "uniqueItems": True}
    return Checked(
        check,
        requirement=f"one or a list of {', '.join(map(str, allowed))}",
        schema={"anyOf": [one, several]},
        drawn=Choice,
    )


def interval(around: float | None, low: float, high: float, *, open_low: bool = False) -> Checked:
    """Marks a field as an interval from which a parameter is drawn.

    Written `[low, high]`, or, where `around` is given, also as a number f for
    `[around - f, around + f]`. Kept as a pair of floats.
    """
    bracket = "(" if open_low else "["
    bounds = f"{bracket}{low:g}, {high:g}]"
    forms = f"[low, high] with low <= high within {bounds}"
    if around is not None:
        widest = min(around - low, high - around)
        forms = f"a number from 0 to {widest:g}, or {forms}"

    def check(value: Any) -> tuple[float, float]:
        value = _listed(value)
        if around is not None and _is_number(value) and value >= 0:
            value = (round(around - value, 12), round(around + value, 12))  # 1 - 0.7 means 0.3
        if not (isinstance(value, tuple) and len(value) == 2 and all(map(_is_number, value))):
            raise ValueError(f"it must be {forms}")
        first, last = (float(v) for v in value)
        inside = low < first if open_low else low <= first
        if not (inside and first <= last <= high):
            raise ValueError(f"it must be {forms}")
        return first, last

    bound = {"type": "number", "exclusiveMinimum" if open_low else "minimum": low, "maximum": high}
    schema = pair_of(bound)
    if around is not None:
        schema = {"anyOf": [{"type": "number", "minimum": 0, "maximum": widest}, schema]}
    return Checked(check, requirement=forms, schema=schema, drawn=Real)


def pair_of(bound: Mapping[str, Any]) -> dict[str, Any]:
    """The JSON Schema of `[low, high]`."""
    return {"type": "array", "items": bound, "minItems": 2, "maxItems": 2}


def whole_interval(low: int, high: int) -> Checked:
    """Marks a field as an interval of whole numbers `[low, high]`, both ends of which are drawn too."""
    form = f"[low, high], whole numbers with low <= high within [{low}, {high}]"

    def check(value: Any) -> tuple[int, int]:
        value = _listed(value)
        if not (isinstance(value, tuple) and len(value) == 2 and all(type(v) is int for v in value)):
            raise ValueError(f"it must be {form}")
        first, last = value
        if not low <= first <= last <= high:
            raise ValueError(f"it must be {form}")
        return first, last

    bound = {"type": "integer", "minimum": low, "maximum": high}
    return Checked(check, requirement=form, schema=pair_of(bound), drawn=Whole.between)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


@functools.cache
def foreign() -> dict[str, Any]:
    """What other libraries call ops and settings: `ops`, `mixing` and, by op, `settings`."""
    text = resources.files("augment.ops").joinpath("foreign.yaml").read_text(encoding="utf-8")
    found: dict[str, Any] = yaml.safe_load(text)
    return found


def explain(error: ValidationError, model: type[BaseModel]) -> str:
    """pydantic's findings as sentences that name the field, its value and what would be right."""
    return "; ".join(_explain_one(finding, model) for finding in error.errors())


def _explain_one(finding: Any, model: type[BaseModel]) -> str:
    field = ".".join(map(str, finding["loc"]))
    kind, value = finding["type"], finding["input"]
    if kind == "model_type":
        return f"its settings are {value!r}; they must be pairs of name and value"
    if kind in ("extra_forbidden", "invalid_key"):
        here = foreign()["settings"].get(getattr(model, "name", ""), {}).get(field)
        meant = f"here it is {here}" if here else did_you_mean(field, model.model_fields)
        return f"there is no setting {field!r}; {meant}"
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
    about = descriptions(model).get(field.split(".")[0], "")
    return requirement(info) + (f" ({about})" if about and not explained else "")


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
