"""The JSON Schema of recipe files, by which editors complete and check them while one types.

It follows from the classes of the ops. What JSON Schema cannot say (low <= high, the
size of the images, ids that differ) only reading a recipe checks.
"""

from __future__ import annotations

import inspect
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from augment.ops import Op, op_types
from augment.ops.settings import Checked, descriptions
from augment.recipe import NAME, Storage

_TYPES = {bool: "boolean", int: "integer", float: "number", str: "string"}
_BOUNDS = {"ge": "minimum", "gt": "exclusiveMinimum", "le": "maximum", "lt": "exclusiveMaximum"}


def recipe_schema() -> dict[str, Any]:
    """The schema (draft 7) of a recipe file, for all ops that are registered."""
    known = op_types()
    properties: dict[str, Any] = {
        "name": {
            "type": "string",
            "pattern": f"^{NAME.pattern}$",
            "description": "The recipe's name, and the dataset's; the file's name if absent.",
        },
        "description": {"description": "A text. It changes no pixel."},
        "channels": {
            "enum": [1, 3],
            "default": 3,
            "description": "Of every image: 3, or 1 for gray ones.",
        },
        "decode": {
            "enum": ["whole", "reduced"],
            "default": "whole",
            "description": "How JPEG sources are read: reduced, to no less than twice what resize makes.",
        },
        "storage": {"description": "How a shard holds pixels.", **_settings(Storage)},
        "acknowledge": {
            "type": "array",
            "items": {"type": "string", "pattern": r"^[A-Za-z][\w/]*\.[a-z_]+$"},
            "description": "Hazards to labels that are meant, as augshard lint names them.",
        },
        "ops": {
            "type": "array",
            "items": {"$ref": "#/definitions/op"},
            "minItems": 1,
            "description": "Applied in this order.",
        },
    }
    own = {"type": "object", "additionalProperties": False}
    properties["recipe_for"] = {
        "type": "array",
        "items": {
            "anyOf": [
                {
                    **own,
                    "required": ["classes", "recipe"],
                    "properties": {**_OF, "recipe": {"type": "string"}},
                },
                {**own, "required": ["classes", "ops"], "properties": {**_OF, **properties}},
            ]
        },
        "description": "Other recipes, for some classes: in full, or by the name or path of each.",
    }
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "augshard recipe",
        "type": "object",
        "additionalProperties": False,
        "required": ["ops"],
        "properties": properties,
        "definitions": {
            "op": _entry(known),
            "op_within": _entry({name: op for name, op in known.items() if op.keeps_size}),
            **{f"op_{name}": _op(op) for name, op in known.items()},
        },
    }


_OF = {"classes": {"type": "array", "items": {"type": "string"}, "minItems": 1}}


def _entry(ops: dict[str, type[Op]]) -> dict[str, Any]:
    """One item of a list of ops: its name with its settings, or its name alone."""
    alone = [name for name, op in ops.items() if _stands_alone(op)]
    settings = {name: {"$ref": f"#/definitions/op_{name}"} for name in ops}
    return {
        "anyOf": [
            {
                "type": "object",
                "additionalProperties": False,
                "minProperties": 1,
                "maxProperties": 1,
                "properties": settings,
            },
            {"enum": alone},
        ]
    }


def _stands_alone(op: type[Op]) -> bool:
    """Whether the op is complete without any settings."""
    try:
        op.model_validate({"id": op.name})
    except ValidationError:
        return False
    return True


def _op(op: type[Op]) -> dict[str, Any]:
    schema = _settings(op)
    settings = schema["properties"]
    settings["id"] |= {"default": op.name, "description": "names the op and its random numbers"}
    settings["p"].setdefault("description", "the probability with which it is applied to a sample")
    if not op.keeps_size:
        settings["p"] = {"const": 1, "description": "always applied: it sets the size of the image"}
    if _stands_alone(op):
        schema["type"] = ["object", "null"]
    return {"description": inspect.getdoc(op) or "", **schema}


def _settings(model: type[BaseModel]) -> dict[str, Any]:
    fields = model.model_fields
    return {
        "type": "object",
        "additionalProperties": False,
        "required": [name for name, field in fields.items() if field.is_required()],
        "properties": {name: _field(field, descriptions(model).get(name)) for name, field in fields.items()},
    }


def _field(field: FieldInfo, description: str | None) -> dict[str, Any]:
    schema: dict[str, Any] = {"description": description} if description else {}
    if not field.is_required():
        default = field.default
        schema["default"] = list(default) if isinstance(default, tuple) else default
    if get_origin(field.annotation) is Literal:
        return {**schema, "enum": list(get_args(field.annotation))}
    checked = next((mark for mark in field.metadata if isinstance(mark, Checked)), None)
    if checked is not None:
        return {**schema, **checked.schema}
    if field.annotation in _TYPES:
        schema["type"] = _TYPES[field.annotation]
    for mark in field.metadata:
        limits = {_BOUNDS[name]: getattr(mark, name, None) for name in _BOUNDS}
        schema |= {name: limit for name, limit in limits.items() if limit is not None}
        if getattr(mark, "pattern", None):
            schema["pattern"] = mark.pattern
    return schema
