"""A recipe with a seed, where the class of an image may decide by which ops it is augmented."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from augment import backends
from augment.augmenter import Augmenter
from augment.draws import Draw, recorded
from augment.recipe import Recipe


class ByClass:
    """The augmenters of a recipe: one for each recipe that classes have in it, and one for all others.

    Args:
        recipe, seed, backend: as for `Augmenter`.
    """

    def __init__(self, recipe: Recipe, seed: int, backend: backends.Name = "host") -> None:
        self.recipe = recipe
        self.each: list[Augmenter] = []
        """first that of the classes that have no recipe of their own"""
        self._own: dict[str, Augmenter] = {}
        for labels, one in recipe.distinct():
            self.each.append(Augmenter(one, seed, backend))
            self._own |= dict.fromkeys(labels, self.each[-1])
        self._columns = recipe.columns() if self._own else {}
        self.seed = self.each[0].seed

    def of(self, label: str) -> Augmenter:
        """That of a class."""
        return self._own.get(label, self.each[0])

    def parts(self, labels: Sequence[str]) -> list[tuple[Augmenter, Sequence[int]]]:
        """The places of samples of some classes, by who makes them."""
        if not self._own:
            return [(self.each[0], range(len(labels)))]
        found: dict[Augmenter, list[int]] = {}
        for place, label in enumerate(labels):
            found.setdefault(self.of(label), []).append(place)
        return list(found.items())

    @property
    def computed_by(self) -> backends.Name:
        """The backend that makes the samples: what was asked for, or what took the host's place."""
        return self.each[0].computed_by

    @property
    def has_device(self) -> bool:
        """Whether the device backend can make all of the samples."""
        return all(augmenter.has_device for augmenter in self.each)

    def recorded(
        self, drawn: Sequence[tuple[Sequence[int], Draw]], shape: tuple[int, ...]
    ) -> dict[str, np.ndarray]:
        """The columns of the samples table, arrays of a shape.

        Of samples at some places of the first axis each draw is. Where classes have recipes of their own,
        the arrays are masked (`np.ma`) where a sample's recipe has no such column.
        """
        if not self._own:
            [(_, draw)] = drawn
            return recorded(draw)
        parts = [(list(places), recorded(draw)) for places, draw in drawn]
        columns: dict[str, np.ndarray] = {}
        for name, kind in self._columns.items():
            column = np.ma.array(np.zeros(shape, kind), mask=True)
            for places, values in parts:
                if name in values:
                    column[places] = values[name]
            columns[name] = column
        return columns
