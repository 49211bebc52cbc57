"""The JSON Schema of recipes says the same as reading one, where JSON Schema can."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from augment.errors import RequestError
from augment.ops import op_types
from augment.recipe import parse_recipe, preset_names, preset_text
from augment.schema import recipe_schema

SCHEMA = recipe_schema()
ROOT = Path(__file__).parents[2]
TO_SIZE = "ops:\n  - resize: {height: 8, width: 8}\n"
TYPES = {
    "object": dict,
    "array": list,
    "string": str,
    "boolean": bool,
    "null": type(None),
    "number": (int, float),
    "integer": int,
}
ABOUT = {"$schema", "title", "description", "default", "definitions"}


def is_type(value: Any, name: str) -> bool:
    return isinstance(value, TYPES[name]) and not (isinstance(value, bool) and name in ("number", "integer"))


def conforms(value: Any, schema: dict[str, Any]) -> bool:
    """Validates by the part of JSON Schema (draft 7) that the schema uses; any other keyword is an error."""
    for keyword, wanted in schema.items():
        if keyword in ABOUT or (keyword in ("properties", "additionalProperties", "required", "items")):
            ok = True
        elif keyword == "$ref":
            ok = conforms(value, SCHEMA["definitions"][wanted.removeprefix("#/definitions/")])
        elif keyword == "anyOf":
            ok = any(conforms(value, one) for one in wanted)
        elif keyword == "type":
            ok = any(is_type(value, name) for name in ([wanted] if isinstance(wanted, str) else wanted))
        elif keyword in ("enum", "const"):
            ok = any(
                type(value) is type(one) and value == one
                for one in (wanted if keyword == "enum" else [wanted])
            )
        elif keyword == "pattern":
            ok = not isinstance(value, str) or re.search(wanted, value) is not None
        elif keyword == "uniqueItems":
            ok = not isinstance(value, list) or len(set(value)) == len(value)
        elif keyword in ("minItems", "maxItems"):
            ok = not isinstance(value, list) or (
                len(value) >= wanted if keyword == "minItems" else len(value) <= wanted
            )
        elif keyword in ("minProperties", "maxProperties"):
            ok = not isinstance(value, dict) or (
                len(value) >= wanted if keyword[1] == "i" else len(value) <= wanted
            )
        elif keyword in ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"):
            compare = {"minimum": "__ge__", "maximum": "__le__", "exclusiveMinimum": "__gt__"}.get(
                keyword, "__lt__"
            )
            ok = not is_type(value, "number") or getattr(float(value), compare)(float(wanted))
        else:
            raise AssertionError(f"the schema uses {keyword!r}, which this check does not know")
        if not ok:
            return False
    if isinstance(value, list) and "items" in schema:
        return all(conforms(item, schema["items"]) for item in value)
    if isinstance(value, dict):
        properties = schema.get("properties", {})
        if not set(schema.get("required", [])) <= value.keys():
            return False
        if schema.get("additionalProperties") is False and not value.keys() <= properties.keys():
            return False
        return all(conforms(item, properties[name]) for name, item in value.items() if name in properties)
    return True


def accepted(text: str) -> bool:
    return conforms(yaml.safe_load(text), SCHEMA)


@pytest.mark.parametrize("preset", preset_names())
def test_every_preset_conforms(preset):
    assert accepted(preset_text(preset))


@pytest.mark.parametrize("path", sorted((ROOT / "benchmarks").glob("*.yaml")), ids=lambda path: path.name)
def test_recipes_of_the_repository_conform(path):
    assert accepted(path.read_text())


@pytest.mark.parametrize(
    "text",
    [
        TO_SIZE + "  - contrast: {factor: 0.5}\n",
        TO_SIZE + "  - contrast: {factor: [0, 10], p: 0.5, id: again}\n",
        TO_SIZE + "  - grayscale\n  - invert:\n",
        TO_SIZE + "  - rot90: {quarter_turns: 1}\n",
        TO_SIZE + "  - rot90: {quarter_turns: [0, 2]}\n",
        TO_SIZE + "  - one_of: {ops: [grayscale, contrast: {factor: 0.5}], weights: [1, 2.5]}\n",
        TO_SIZE + "  - some_of: {ops: [grayscale, invert], count: [0, 2]}\n",
        TO_SIZE + "  - sometimes: {ops: [one_of: {ops: [invert]}], p: 0.5}\n",
        TO_SIZE + "  - jpeg_quality: {quality: [1, 100]}\n",
        "name: mine\nstorage: {format: jpeg, quality: 1}\nacknowledge: [invert.negative]\n"
        + TO_SIZE
        + "  - invert\n",
        TO_SIZE + "recipe_for: [{classes: [a, b], name: other, ops: [{resize: {height: 8, width: 8}}]}]\n",
    ],
)
def test_what_is_read_conforms(text):
    parse_recipe(text, name="mine")
    assert accepted(text)


@pytest.mark.parametrize(
    "text",
    [
        "ops: []",
        "description: none",
        "opps: []\n" + TO_SIZE,
        "name: My Recipe\n" + TO_SIZE,
        "storage: {format: jpg}\n" + TO_SIZE,
        "storage: {format: jpeg, quality: 0}\n" + TO_SIZE,
        "storage: {qualty: 9}\n" + TO_SIZE,
        "acknowledge: flip.mirror\n" + TO_SIZE,
        TO_SIZE + "  - contrst: {factor: 0.5}\n",
        TO_SIZE + "  - contrast\n",
        TO_SIZE + "  - contrast: {}\n",
        TO_SIZE + "  - contrast: 5\n",
        TO_SIZE + "  - contrast: {factor: 3}\n",
        TO_SIZE + "  - contrast: {factor: true}\n",
        TO_SIZE + "  - contrast: {factor: [1]}\n",
        TO_SIZE + "  - contrast: {factor: 0.5, facto: 1}\n",
        TO_SIZE + "  - {invert: {}, grayscale: {}}\n",
        TO_SIZE + "  - saturation: {factor: 2}\n",
        TO_SIZE + "  - gamma: {gamma: [0, 1]}\n",
        TO_SIZE + "  - invert: {p: 2}\n",
        TO_SIZE + "  - invert: {id: a/b}\n",
        TO_SIZE + "  - resize: {height: 8, width: 8, p: 0.5, id: again}\n",
        TO_SIZE + "  - crop_or_pad: {height: 8.5, width: 1}\n",
        TO_SIZE + "  - rot90: {quarter_turns: []}\n",
        TO_SIZE + "  - rot90: {quarter_turns: [1, 1]}\n",
        TO_SIZE + "  - rotation: {factor: 0.1, fill_mode: mirror}\n",
        TO_SIZE + "  - perspective: {strength: 0}\n",
        TO_SIZE + "  - one_of: {ops: []}\n",
        TO_SIZE + "  - one_of: {ops: [random_crop: {height: 8, width: 8}]}\n",
        TO_SIZE + "  - one_of: {ops: [invert], weights: [0]}\n",
        TO_SIZE + "  - some_of: {ops: [invert], count: -1}\n",
        TO_SIZE + "  - jpeg_quality: {quality: [1, 101]}\n",
        TO_SIZE + "recipe_for: {a: flowers}\n",
        TO_SIZE + "recipe_for: [{classes: [], recipe: flowers}]\n",
        TO_SIZE + "recipe_for: [{classes: [6], ops: [{resize: {height: 8, width: 8}}]}]\n",
        TO_SIZE + "recipe_for: [{classes: [a], recipe: flowers, ops: [{resize: {height: 8, width: 8}}]}]\n",
        TO_SIZE + "recipe_for: [{classes: [a], recipe: flowers, name: other}]\n",
    ],
)
def test_what_is_refused_does_not_conform(text):
    with pytest.raises(RequestError):
        parse_recipe(text, name="mine")
    assert not accepted(text)


@pytest.mark.parametrize("op", op_types())
def test_every_op_has_its_settings_with_their_defaults(op):
    known = SCHEMA["definitions"][f"op_{op}"]
    fields = op_types()[op].model_fields
    assert known["properties"].keys() == fields.keys()
    assert known["required"] == [name for name, field in fields.items() if field.is_required()]
    assert known["description"]
    for name, field in fields.items():
        setting = known["properties"][name]
        if name != "id" and not field.is_required() and "const" not in setting:
            assert conforms(setting["default"], {k: v for k, v in setting.items() if k != "minItems"})
