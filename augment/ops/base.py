"""What an op is, and the register of them.

An op is a frozen record: its settings are its fields. It *draws* the parameters
that it declares, and says in *kernels* what they come to. Adding one is one class in one file:
its name in YAML (the class name in snake case), validation, draws, the columns of
the samples table and the documentation all follow from the class.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable
from typing import Annotated, Any, ClassVar

from pydantic import Field, model_validator

from augment.draws import Draw, Uniforms
from augment.kernels.kinds import Kernels
from augment.labels.hazards import Hazard
from augment.ops.parameters import Parameter
from augment.ops.settings import Checked, Drawn, Probability, Settings

Size = tuple[int, int]
"""Height and width in pixels."""

_registry: dict[str, type[Op]] = {}


class Op(Settings):
    """One transform of uint8 images, RGB or gray.

    Fields of every op:
        id: names the op within its recipe, and with it its random numbers; by
            default the op's name. A second op of one name needs its own.
        p: the probability with which the op is applied to a sample. Its
            parameters are drawn even when it is not.
    """

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

    @model_validator(mode="before")
    @classmethod
    def _named(cls, values: Any) -> Any:
        return {"id": cls.name, **values} if isinstance(values, dict) else values

    @model_validator(mode="after")
    def _p_keeps_size(self) -> Op:
        if self.p < 1 and not self.keeps_size:
            raise ValueError(f"p is {self.p:g}; {self.name} sets the size of the image, so p must be 1")
        return self

    @property
    def deterministic(self) -> bool:
        """Whether it does the same to every copy: it draws nothing and always applies."""
        cls = type(self)
        return self.p == 1 and cls.draw is Op.draw and cls.parameters is Op.parameters and not self._drawn()

    def parameters(self, size: Size | None) -> dict[str, Parameter]:
        """What is drawn for a sample, by name; parameter j is made of counter j.

        By default, one parameter of each setting that is an interval, several values to
        choose from, or a chance (`Chance`), under its name and in the order of the class.
        `size` is that of the image that the op will be given, None where it differs
        from image to image.
        """
        return {name: kind(getattr(self, name)) for name, kind in self._drawn().items()}

    @classmethod
    @functools.cache
    def _drawn(cls) -> dict[str, Callable[[Any], Parameter]]:
        """The settings from which a parameter is drawn, and its kind."""
        found: dict[str, Callable[[Any], Parameter]] = {}
        for name, field in cls.model_fields.items():
            for mark in field.metadata:
                if isinstance(mark, Drawn):
                    found[name] = mark.kind
                elif isinstance(mark, Checked) and mark.drawn is not None:
                    found[name] = mark.drawn
        return found

    def draw(self, u: Uniforms, size: Size | None) -> Draw:
        """Draws for a block of samples: by default, what `parameters` declares.

        Args:
            u: the op's random words, shaped [...].
            size: as for `parameters`.

        Returns arrays shaped [...], made by integer arithmetic and table look-ups
        alone. Runs in NumPy and in TensorFlow graphs and gives the same bits.
        """
        drawn: Draw = {}
        parameters = self.parameters(size)
        if len(parameters) > 1:
            u.expect(len(parameters))
        for counter, (name, parameter) in enumerate(parameters.items()):
            drawn |= parameter.draw(u, counter, name)
        return drawn

    def kernels(self, draw: Draw, size: Size) -> Kernels:
        """What the op comes to: kernels in order (`augment.kernels.kinds`), which compute pixels.

        Args:
            draw: what it drew, for one sample (NumPy scalars) or for a batch (arrays [B], NumPy or
                TensorFlow); empty for an op that is deterministic.
            size: of the image or the batch that it is given. Within a graph that does not know it,
                int32 scalar tensors, for ops that can do without (`known`).
        """
        raise NotImplementedError(f"{type(self).__name__} does not define kernels()")

    def plain_kernels(self, size: Size) -> Kernels:
        """What becomes of an image of `size` that is not augmented; `size` as for `kernels`.

        Nothing, unless the op sets the size that the recipe promises: then its deterministic
        counterpart (a random crop crops the centre).
        """
        return ()

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

    def advice(self) -> Iterable[str]:
        """What lint says of its settings, apart from labels; sentences without a full stop."""
        return ()

    def needs_color(self) -> Iterable[str]:
        """What of it does nothing to gray images, as the subject of a sentence: it, its hue."""
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
