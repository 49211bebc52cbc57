"""What was done to a copy, in words: what fired of a recipe, and how strongly.

mirrored, turned 12 degrees left, contrast 1.2
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from augment.ops.base import Op
from augment.ops.operations import OPERATIONS
from augment.ops.policy import Policy
from augment.ops.sequence import Group, paths
from pipelines.report.numbers import short

Values = Mapping[str, Any]
"""What an op drew for one sample, by the parameter's name."""

UNCHANGED = "unchanged"
"""What a copy is of which nothing fired."""


def said(ops: Iterable[Op], drawn: Values) -> list[str]:
    """A few words for each op that fired, in their order.

    `drawn` are the columns of the samples table, those that are not null. What does the same to every copy
    is left out, and so is what was drawn without effect: a turn by nothing.
    """
    phrases: list[str] = []
    for path, op in paths(ops):
        values = {column.removeprefix(f"{path}."): v for column, v in drawn.items() if _is_of(column, path)}
        if not values or isinstance(op, Group) or not values.pop("applied", True):
            continue
        phrases += filter(None, _of_op(path, op, values))
    return phrases


def _is_of(column: str, path: str) -> bool:
    return column.rpartition(".")[0] == path


def _of_op(path: str, op: Op, values: dict[str, Any]) -> Iterator[str]:
    if op.name in _PHRASES:
        yield from _PHRASES[op.name](op, values)
    elif isinstance(op, Policy):
        yield from _policy(values)
    else:  # of a plugin
        told = [f"{name} {short(v)}" for name, v in values.items() if not name.startswith("key_")]
        yield f"{path} {', '.join(told)}".strip()


def _turned(degrees: float) -> str:
    return f"turned {_amount(abs(degrees))} degrees {'left' if degrees > 0 else 'right'}" if degrees else ""


def _moved(right: str, down: str) -> str:
    """Of amounts with a sign, such as `-3 %`; empty ones are none."""
    told = [
        f"{by.lstrip('-')} {back if by.startswith('-') else forth}"
        for by, forth, back in ((right, "right", "left"), (down, "down", "up"))
        if by
    ]
    return f"moved {', '.join(told)}" if told else ""


def _part(value: float) -> str:
    return f"{100 * value:.{0 if abs(value) >= 0.1 else 1}f} %" if abs(value) >= 5e-4 else ""


def _pixels(value: float) -> str:
    return f"{value:.0f} px" if value else ""


def _amount(value: float) -> str:
    """In two or three digits: a caption is no table."""
    return f"{value:.0f}" if abs(value) >= 10 else f"{value:.2g}"


def _factor(name: str, value: float, neutral: float = 1.0) -> str:
    return "" if value == neutral else f"{name} {_amount(value)}"


def _flip(_: Op, v: Values) -> Iterator[str]:
    yield "mirrored" if v["horizontal"] else ""
    yield "upside down" if v["vertical"] else ""


def _rot90(_: Op, v: Values) -> Iterator[str]:
    yield ("", "a quarter turn left", "a half turn", "a quarter turn right")[int(v["quarter_turns"]) % 4]


def _color_jitter(_: Op, v: Values) -> Iterator[str]:
    phrases = [_factor(name, v[name]) for name in ("brightness", "contrast", "saturation")]
    phrases.append(_hue(v["hue"]))
    yield from (phrases[int(digit) - 1] for digit in str(int(v["order"])))


def _hue(turn: float) -> str:
    return f"hue by {360 * turn:+.0f} degrees" if abs(turn) > 0.5 / 360 else ""


def _brightness(_: Op, v: Values) -> Iterator[str]:
    by = _part(v["delta"])
    yield by and f"{'darker' if by.startswith('-') else 'brighter'} by {by.lstrip('-')}"


def _channel_shuffle(_: Op, v: Values) -> Iterator[str]:
    names = ", ".join(("red", "green", "blue")[int(digit) - 1] for digit in str(int(v["order"])))
    yield "" if names == "red, green, blue" else f"channels {names}"


def _random_erasing(_: Op, v: Values) -> Iterator[str]:
    yield f"{v['height']:.0f}x{v['width']:.0f} pixels erased" if v["height"] else ""


def _cutout(op: Any, _: Values) -> Iterator[str]:
    yield f"{op.holes} holes of {op.side} pixels" if op.holes > 1 else f"a hole of {op.side} pixels"


def _posterize(_: Op, v: Values) -> Iterator[str]:
    yield _bits(v["bits"])


def _bits(bits: float) -> str:
    return f"{bits:.0f} {'bit' if bits == 1 else 'bits'} a level" if bits < 8 else ""


def _one(phrase: str, of: str) -> Callable[[Op, Values], Iterator[str]]:
    """A phrase that ends in a parameter."""

    def words(_: Op, v: Values) -> Iterator[str]:
        yield f"{phrase} {_amount(v[of])}"

    return words


def _always(phrase: str) -> Callable[[Op, Values], Iterator[str]]:
    def words(_: Op, __: Values) -> Iterator[str]:
        yield phrase

    return words


_PHRASES: dict[str, Callable[[Any, Values], Iterator[str]]] = {
    "flip": _flip,
    "rot90": _rot90,
    "rotation": lambda _, v: iter([_turned(v["degrees"])]),
    "translation": lambda _, v: iter([_moved(_part(v["width"]), _part(v["height"]))]),
    "zoom": lambda _, v: iter([_factor("zoomed by", v["scale"])]),
    "width": lambda _, v: iter([_factor("width times", v["scale"])]),
    "height": lambda _, v: iter([_factor("height times", v["scale"])]),
    "shear": lambda _, v: iter(
        [_factor("rows sheared by", v["x"], 0.0), _factor("columns sheared by", v["y"], 0.0)]
    ),
    "perspective": _always("seen from an angle"),
    "elastic": _one("bent by", "strength"),
    "random_crop": lambda _, v: iter([f"cut out {v['top']:.0f} px down, {v['left']:.0f} px right"]),
    "random_resized_crop": lambda _, v: iter([f"cropped to {100 * v['area']:.0f} %"]),
    "pad_and_crop": lambda op, v: iter(
        [_moved(_pixels(op.padding - v["left"]), _pixels(op.padding - v["top"]))]
    ),
    "brightness": _brightness,
    "contrast": _one("contrast", "factor"),
    "saturation": _one("saturation", "factor"),
    "hue": lambda _, v: iter([_hue(v["delta"])]),
    "gamma": _one("gamma", "gamma"),
    "grayscale": _always("gray"),
    "invert": _always("inverted"),
    "color_jitter": _color_jitter,
    "channel_shuffle": _channel_shuffle,
    "posterize": _posterize,
    "solarize": _one("solarized from", "threshold"),
    "equalize": _always("equalized"),
    "autocontrast": _always("autocontrast"),
    "sharpness": _one("sharpness", "factor"),
    "blur": _one("blurred by", "sigma"),
    "noise": _one("noise", "sigma"),
    "jpeg_quality": _one("JPEG quality", "quality"),
    "random_erasing": _random_erasing,
    "cutout": _cutout,
}
"""By an op's name in YAML; an op that is not here is told by its parameters."""


def _policy(values: Values) -> Iterator[str]:
    """The operations in turn; those of AugMix by chain, with the part that each has in the mixture."""
    chains: dict[str, list[str]] = {}
    for name, number in values.items():
        if name.startswith("op_"):
            place = name.removeprefix("op_")
            chain, several, _ = place.partition("_")
            words = _operation(OPERATIONS[int(number)], float(values[f"magnitude_{place}"]))
            chains.setdefault(chain if several else "", []).extend([words] if words else [])
    if "weight_0" in values:
        yield f"{100 * values['weight_0']:.0f} % as it was"
    for chain, phrases in chains.items():
        weight = values.get(f"weight_{chain}")
        yield (
            ", ".join(phrases)
            if weight is None
            else f"{100 * weight:.0f} % {' and '.join(phrases) or UNCHANGED}"
        )


def _operation(name: str, magnitude: float) -> str:
    """One of Pillow's, in words; none if it does nothing."""
    if name == "identity":
        return ""
    if name == "rotate":
        return _turned(magnitude)
    if name == "posterize":
        return _bits(magnitude)
    if name == "solarize":
        return f"solarized from {magnitude:.0f}" if magnitude < 256 else ""
    if name in ("shear_x", "shear_y"):
        rows = "rows" if name == "shear_x" else "columns"
        return _factor(f"{rows} sheared by", -magnitude + 0.0, 0.0)
    if name in ("translate_x", "translate_y"):
        by = _pixels(-magnitude + 0.0)
        return _moved(by, "") if name == "translate_x" else _moved("", by)
    if name in ("equalize", "invert"):
        return {"equalize": "equalized", "invert": "inverted"}[name]
    return name if name == "autocontrast" else _factor("saturation" if name == "color" else name, magnitude)
