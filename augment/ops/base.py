"""What an op is, and the register of them.

An op is a frozen record: its settings are its fields. It *draws* parameters,
then *applies* them to pixels. Adding one is one class in one file: its name in
YAML (the class name in snake case), validation, the columns of the samples
table and the documentation all follow from the class.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from augment.arrays import Array, tf
from augment.draws import Uniforms
from augment.ops.hazards import Hazard

Size = tuple[int, int]
"""Height and width in pixels."""

Draw = dict[str, Array]
"""Named numbers, one a sample. Names with a leading underscore are working
values looked up with the same random words as the named one; they are not
recorded."""

ROWS, COLUMNS = -3, -2  # axes of [..., H, W, 3]

Interval = tuple[float, float]
WholeInterval = tuple[int, int]
Side = Annotated[int, Field(ge=1, le=16384)]
Probability = Annotated[float, Field(ge=0, le=1)]

_registry: dict[str, type[Op]] = {}


class Op(BaseModel):
    """One transform of uint8 RGB images.

    Fields of every op:
        id: names the op within its recipe, and with it its random numbers; by
            default the op's name. A second op of one name needs its own.
        p: the probability with which the op is applied to a sample. Its
            parameters are drawn even when it is not.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True)

    name: ClassVar[str]
    keeps_size: ClassVar[bool] = True
    """Whether output and input have the same size; only then may `p` be less than 1."""

    id: Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]*$")] = ""
    p: Probability = 1.0

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        if "abstract" in cls.__dict__:
            return
        cls.name = re.sub(r"(?<!^)(?=[A-Z])", "_", cls.__name__).lower()
        known = _registry.get(cls.name)
        if known is not None and (known.__module__, known.__qualname__) != (
            cls.__module__,
            cls.__qualname__,
        ):
            raise TypeError(
                f"{cls.__module__}.{cls.__qualname__}: an op named {cls.name} is already "
                f"defined in {known.__module__}; give the class another name"
            )
        _registry[cls.name] = cls

    @model_validator(mode="after")
    def _p_keeps_size(self) -> Op:
        if self.p < 1 and not self.keeps_size:
            raise ValueError(f"p is {self.p:g}; {self.name} sets the size of the image, so p must be 1")
        return self

    @property
    def deterministic(self) -> bool:
        """Whether it does the same to every copy: it draws nothing and always applies."""
        return self.p == 1 and type(self).draw is Op.draw

    def draw(self, u: Uniforms, size: Size | None) -> Draw:
        """Draws this op's parameters for a block of samples.

        Args:
            u: the op's random words, shaped [...].
            size: the size of the image that the op will be given, or None where
                it differs from image to image.

        Returns arrays shaped [...], made by integer arithmetic and table look-ups
        alone. Runs in NumPy and in TensorFlow graphs and gives the same bits.
        """
        return {}

    def apply(self, image: tf.Tensor, draw: Draw) -> tf.Tensor:
        """Transforms uint8 [..., H, W, 3] with one set of parameters an image ([...])."""
        raise NotImplementedError(f"{type(self).__name__} does not define apply()")

    def plain(self, image: tf.Tensor) -> tf.Tensor:
        """What becomes of an image that is not augmented, [..., H, W, 3].

        The image itself, unless the op sets the size that the recipe promises:
        then its deterministic counterpart (a random crop crops the centre).
        """
        return image

    def output_size(self, size: Size | None) -> Size | None:
        """The size of the output for an input of `size` (None: not known beforehand).

        Raises ValueError if the op cannot take images of that size.
        """
        return size

    def hazards(self, size: Size | None) -> Iterable[Hazard]:
        """How the op, with its settings, can change what a picture of `size` means.

        Each change at most once, and only those that these settings bring about:
        a rotation by some degrees is harmless. An op that consists of others
        passes theirs on, each with the path to it (`Hazard.inside`).
        """
        return ()

    def known(self, size: Size | None) -> Size:
        """`size`, for ops that cannot do without. Raises ValueError where it is not known."""
        if size is None:
            raise ValueError(
                f"{self.name} needs to know the size of its images; put resize, crop_or_pad "
                "or random_resized_crop before it"
            )
        return size


def op_types() -> dict[str, type[Op]]:
    """All ops by name, in the order of their definition."""
    return dict(_registry)


def as_float(image: tf.Tensor) -> tf.Tensor:
    return tf.cast(image, tf.float32)


def as_uint8(pixels: tf.Tensor) -> tf.Tensor:
    """Clips float levels to [0, 255] and rounds half to even."""
    return tf.cast(tf.round(tf.clip_by_value(pixels, 0.0, 255.0)), tf.uint8)


def fixed_as_uint8(pixels: tf.Tensor, bits: int) -> tf.Tensor:
    """Rounds int32 levels with `bits` fractional bits half to even, and clips them to [0, 255]."""
    odd = tf.bitwise.right_shift(pixels, bits) & 1
    whole = tf.bitwise.right_shift(pixels + (odd + ((1 << (bits - 1)) - 1)), bits)
    return tf.cast(tf.clip_by_value(whole, 0, 255), tf.uint8)


def per_image(parameter: tf.Tensor) -> tf.Tensor:
    """[...] to [..., 1, 1, 1], so that it broadcasts against images."""
    return tf.convert_to_tensor(parameter)[..., tf.newaxis, tf.newaxis, tf.newaxis]


def changed_where(condition: Array, change: Callable[[tf.Tensor], tf.Tensor], image: tf.Tensor) -> tf.Tensor:
    """`change(image)` for the images [...] whose condition holds, the others as they are.

    Neither size nor type may change. One image takes one branch, which in tf.data is
    several times faster than computing both and choosing level by level.
    """
    if image.shape.rank == 3:
        return tf.cond(tf.convert_to_tensor(condition), lambda: change(image), lambda: image)
    return tf.where(per_image(condition), change(image), image)


def changed_by(
    index: Array, changes: Sequence[Callable[[tf.Tensor], tf.Tensor]], image: tf.Tensor
) -> tf.Tensor:
    """For each of the images [...], `changes[index](image)`; index is int32 [...].

    Neither size nor type may change. One image takes one branch; for a batch all are
    computed, and chosen from.
    """
    if image.shape.rank == 3:
        branches = [functools.partial(change, image) for change in changes]
        return tf.ensure_shape(tf.switch_case(tf.convert_to_tensor(index), branches), image.shape)
    changed = image
    for i, change in enumerate(changes):
        changed = tf.where(per_image(index == i), change(image), changed)
    return changed


@dataclasses.dataclass(frozen=True)
class Checked(BeforeValidator):
    """A validator that can say what it requires."""

    requirement: str = ""
    schema: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """the same as JSON Schema, as far as that can say it"""


def _listed(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def choices(*allowed: int) -> BeforeValidator:
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
    )


def interval(around: float | None, low: float, high: float, *, open_low: bool = False) -> BeforeValidator:
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
    return Checked(check, requirement=forms, schema=schema)


def pair_of(bound: Mapping[str, Any]) -> dict[str, Any]:
    """The JSON Schema of `[low, high]`."""
    return {"type": "array", "items": bound, "minItems": 2, "maxItems": 2}


def whole_interval(low: int, high: int) -> BeforeValidator:
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
    return Checked(check, requirement=form, schema=pair_of(bound))


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
