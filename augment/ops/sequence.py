"""Ops in a row: which of them are one step, what they draw, how they are applied.

A group is an op that holds ops. Its branches are rows of their own, so that groups
nest. An op within groups is known by its path, `one_of/rotation`, and draws by it as
an op of the recipe draws by its id: where it stands, and which ops stand beside it,
changes nothing.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Annotated, Any, ClassVar

from pydantic import FieldSerializationInfo, field_serializer

from augment.array_api import Array
from augment.draws import Draw, Uniforms, uniforms_of_each
from augment.errors import OpError
from augment.kernels.kinds import Kernels, when
from augment.keys import Words, fold_in_each
from augment.labels.hazards import Hazard
from augment.ops.affine import LARGEST_REACH, Affine, AffineOp
from augment.ops.base import Op, Size
from augment.ops.entries import read_entry, repeated_id, written_entry
from augment.ops.settings import Checked, EntryError


@dataclasses.dataclass(frozen=True)
class Step:
    """What is applied at once: one op, or a run of affine ops that are one resampling."""

    ops: tuple[Op, ...]
    size: Size | None
    """the size of the images that it is given, None where they differ"""

    @property
    def deterministic(self) -> bool:
        """Whether it does the same to every copy: it draws nothing and always applies."""
        return all(op.deterministic for op in self.ops)

    @functools.cached_property
    def drawing(self) -> tuple[str, ...]:
        """The paths of those ops that are not."""
        return tuple(path for path, op in paths(self.ops) if not op.deterministic)

    def kernels(self, draw: Draw, size: Size) -> Kernels:
        """What it comes to, given what a row's ops drew, by their ids; empty if it is deterministic.

        `size` is that of the images, as for `Op.kernels`. Raises OpError for whatever the op raises.
        """
        op, size = self.ops[0], self.size or size
        drawn = draw.get(op.id, {})
        try:
            if self._may_be_skipped:
                return when(drawn["applied"], functools.partial(op.kernels, drawn, size))
            return op.kernels(drawn, size)
        except OpError:
            raise
        except Exception as error:
            raise OpError(f"op {op.id}: {type(error).__name__}: {error}") from error

    @functools.cached_property
    def _may_be_skipped(self) -> bool:
        """A skipped affine op is the identity."""
        return self.ops[0].p < 1 and not isinstance(self.ops[0], AffineOp)


def row_kernels(steps: Iterable[Step], draw: Draw, size: Size) -> Kernels:
    """What steps in a row come to; draw and size as for `Step.kernels`."""
    kernels: Kernels = ()
    for step in steps:
        kernels += step.kernels(draw, size)
        if step.size is None:
            size = step.ops[0].output_size(size) or size
    return kernels


def _branch_kernels(steps: Iterable[Step], draw: Draw, size: Size) -> Kernels:
    """The same of a branch of a group, whose ops keep the size: so none has to be asked for it."""
    kernels: Kernels = ()
    for step in steps:
        kernels += step.kernels(draw, size)
    return kernels


def runs(ops: tuple[Op, ...]) -> list[tuple[Op, ...]]:
    """The ops in order, neighbouring affine ones together if they compose."""
    found: list[tuple[Op, ...]] = []
    for op in ops:
        if found and _composes(found[-1], op):
            found[-1] = (*found[-1], op)
        else:
            found.append((op,))
    return found


def _composes(run: tuple[Op, ...], op: Op) -> bool:
    if not (isinstance(op, AffineOp) and all(isinstance(o, AffineOp) for o in run)):
        return False
    if run[0].resampling() != op.resampling():  # type: ignore[attr-defined]
        return False
    reach = op.reach()
    for earlier in run:
        reach *= earlier.reach()  # type: ignore[attr-defined]
    return reach <= LARGEST_REACH


def _entries(value: Any) -> tuple[Op, ...]:
    if not (isinstance(value, (list, tuple)) and value):
        raise ValueError("it must be a list of one op or more")
    ops = []
    for position, entry in enumerate(value, start=1):
        try:
            ops.append(entry if isinstance(entry, Op) else read_entry(entry))
        except ValueError as error:
            raise EntryError(f"op {position}: {error}") from None
        if not ops[-1].keeps_size:
            raise EntryError(
                f"op {position}: {ops[-1].name} sets the size of the image; within a group, ops must keep it"
            )
    repeated = repeated_id(tuple(ops))
    if repeated:
        raise EntryError(repeated)
    return tuple(ops)


class Group(Op):
    """An op made of ops, each known by its path: the group's id, `/`, its own id."""

    abstract: ClassVar[bool] = True

    ops: Annotated[
        tuple[Op, ...],
        Checked(
            _entries,
            requirement="a list of one op or more",
            schema={"type": "array", "items": {"$ref": "#/definitions/op_within"}, "minItems": 1},
        ),
    ]
    """ops, written as those of a recipe; they must keep the size of the image"""

    @field_serializer("ops")
    def _written(self, ops: tuple[Op, ...], info: FieldSerializationInfo) -> list[dict[str, Any]]:
        return [written_entry(op, brief=info.exclude_defaults) for op in ops]

    @property
    def deterministic(self) -> bool:
        return super().deterministic and all(op.deterministic for op in self.ops)

    def branches(self, size: Size | None) -> list[tuple[Step, ...]]:
        """The rows of steps of which some are applied; by default, each op is one."""
        return [(Step((op,), size),) for op in self.ops]

    @functools.cached_property
    def _rows(self) -> list[tuple[Step, ...]]:
        """The branches, which are asked for with every sample."""
        return self.branches(None)

    def taken(self, draw: Draw) -> list[Array | None]:
        """For each branch, to which samples it is applied: bool [...], or None for all."""
        raise NotImplementedError(f"{type(self).__name__} does not define taken()")

    def kernels(self, draw: Draw, size: Size) -> Kernels:
        within = draw.get("ops", {})
        kernels: Kernels = ()
        for branch, taken in zip(self._rows, self.taken(draw), strict=True):
            row = functools.partial(_branch_kernels, branch, within, size)
            kernels += row() if taken is None else when(taken, row)
        return kernels

    def output_size(self, size: Size | None) -> Size | None:
        for position, op in enumerate(self.ops, start=1):
            try:
                output = op.output_size(size)
            except ValueError as error:
                raise ValueError(f"op {position} ({op.name}): {error}") from None
            if output != size:
                raise ValueError(
                    f"op {position} ({op.name}): it changes the size of the image; within a group, "
                    "ops must keep it"
                )
        return size

    def hazards(self, size: Size | None) -> Iterator[Hazard]:
        return (hazard.inside(op.id) for op in self.ops if op.p > 0 for hazard in op.hazards(size))


def paths(ops: Iterable[Op], within: str = "") -> Iterator[tuple[str, Op]]:
    """The ops, and those within them, each with its path."""
    for op in ops:
        yield within + op.id, op
        if isinstance(op, Group):
            yield from paths(op.ops, f"{within}{op.id}/")


def draw_steps(
    steps: tuple[Step, ...], key: Words, *, uniforms_of: Callable[[Words], Uniforms] | None = None
) -> Draw:
    """Draws for a block of samples: by the ops' ids, what each of them drew.

    Args:
        steps: a recipe's.
        key: of the samples, uint32 [...].
        uniforms_of: the random words of an op's key, by default Threefry's; others are for those
            who examine what a recipe draws.

    `applied` says whether an op is applied, for ops that are not always.
    """
    drawing = [path for step in steps for path in step.drawing]
    if not drawing:
        return _drawn(steps, {})
    keys = fold_in_each(key, drawing)
    if uniforms_of is None:
        each = uniforms_of_each(keys)
    else:
        each = [uniforms_of((keys[0][i], keys[1][i])) for i in range(len(drawing))]
    return _drawn(steps, dict(zip(drawing, each, strict=True)))


def _drawn(
    steps: tuple[Step, ...],
    uniforms: Mapping[str, Uniforms],
    *,
    within: str = "",
    reached: Array | None = None,
) -> Draw:
    """What a recipe's steps draw, or a branch's of a group.

    Args:
        steps: see above.
        uniforms: the random words of an op by its path, if it draws.
        within: the path of the group, with a final `/`.
        reached: to which samples the branch is applied, bool [...]; None for all.
    """
    draw: Draw = {}
    for step in steps:
        affine: Affine | None = None
        for op in step.ops:
            path = within + op.id
            drawn: Draw = {}
            draw[op.id], applied = drawn, reached
            u = uniforms.get(path)
            if u is not None:
                drawn |= op.draw(u, step.size)
                applied = _both(reached, u.fires(op.p) if op.p < 1 else None)
            if applied is not None:
                drawn["applied"] = applied
            if isinstance(op, AffineOp):
                inverse = op.inverse(drawn, op.known(step.size))
                if op.p < 1:
                    inverse = inverse.where(applied)
                affine = inverse if affine is None else affine.after(inverse)
            if isinstance(op, Group):
                drawn["ops"] = {}
                for branch, taken in zip(op.branches(step.size), op.taken(drawn), strict=True):
                    reaches = _both(applied, taken)
                    drawn["ops"] |= _drawn(branch, uniforms, within=f"{path}/", reached=reaches)
        if affine is not None:
            draw[step.ops[0].id]["_transform"] = affine.about_the_corner(step.ops[0].known(step.size))
    return draw


def _both(one: Array | None, other: Array | None) -> Array | None:
    if one is None or other is None:
        return other if one is None else one
    return one & other
