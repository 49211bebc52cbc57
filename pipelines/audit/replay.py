"""`augshard audit --sample`: one sample again, op after op, beside its record."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pyarrow.compute as pc
import tensorflow as tf

from augment import codec
from augment.augmenter import NOT_AUGMENTED, Augmenter
from augment.draws import at, recorded
from augment.errors import RequestError
from augment.keys import fold_in, source_key, source_words
from augment.ops.base import Op
from augment.ops.sequence import Step, apply_steps, draw_steps
from augment.recipe import Recipe
from pipelines import storage
from pipelines.format.inside import path_in
from pipelines.format.layout import samples_file, shard_file
from pipelines.format.manifest import Manifest, parity_class
from pipelines.format.records import read_records, unpack
from pipelines.format.stored import read_rows
from pipelines.plan import group_of, places
from pipelines.sheet import Picture, Row, draw_sheet, save_sheet, short
from pipelines.sources import read_source

_IN_A_ROW = 6


class Stage(NamedTuple):
    """What one op did."""

    op: Op
    applied: bool
    drawn: dict[str, Any]
    """by the column of the samples table; but for whether it was applied itself"""
    pixels: np.ndarray
    """uint8 [H, W, 3] after it"""

    @property
    def parameters(self) -> dict[str, Any]:
        """What was drawn, by the names behind the op's id."""
        return {name[len(self.op.id) + 1 :]: value for name, value in self.drawn.items()}


def replay(
    directory: str, manifest: Manifest, *, root: str, source: str, copy: int, strip: str
) -> tuple[str, bool]:
    """Derives one sample op after op: what is to say of it, and whether all of it is as it should be.

    Writes the strip, a PNG with the image after each op. Raises RequestError if the dataset has no
    such sample, or the source cannot be used.
    """
    split, number, row = _find(directory, manifest, source, copy)
    contents = _contents(root, source)
    augmenter = Augmenter(manifest.request.parsed_recipe(), manifest.request.seed)
    with tf.device("CPU"):
        image = codec.decode(tf.constant(contents))
        stages = list(_stages(augmenter, image, source, copy))
        sample = codec.round_trip(tf.constant(stages[-1].pixels), augmenter.recipe.storage).numpy()
    shard = shard_file(manifest.request.name, split, copy, number, manifest.splits[split].groups)
    stored = _record(directory, shard, row["record"], source, augmenter.recipe)
    save_sheet(_strip(image.numpy(), stages, stored, source, copy), strip)
    wrong = _other_draws(stages, row)
    changed = hashlib.sha256(contents).hexdigest() != row["source_sha256"]
    digest = hashlib.sha256(np.ascontiguousarray(stages[-1].pixels).data).hexdigest()
    height, width = image.shape[:2]
    facts = {
        "source": f"{source}, {height}x{width}{', changed since' if changed else ''}",
        "record": f"{shard}, record {row['record']}",
        "draws": f"the samples table has other values of {', '.join(wrong)}"
        if wrong
        else "as in the samples table",
        "digest": f"{'as' if digest == row['pixels_sha256'] else 'not as'} in the samples table",
        "match": _match(sample, stored, manifest),
        "strip": strip,
    }
    column = max(map(len, facts))
    text = "".join(f"{name:{column}}  {value}\n" for name, value in facts.items())
    equal = stored is not None and bool((stored == sample).all())
    return f"{_ops_table(stages)}\n{text}", equal and not wrong and digest == row["pixels_sha256"]


def _contents(root: str, source: str) -> bytes:
    """A source's bytes. Raises RequestError if they are not those of an image."""
    try:
        contents = read_source(root, source)
    except (OSError, ValueError) as error:
        why = storage.reason(error) if isinstance(error, OSError) else error
        raise RequestError(f"input {root}: {source} cannot be read ({why})") from None
    rejection = codec.examine(contents)
    if rejection:
        raise RequestError(f"input {root}: {source} is {rejection.reason} now: {rejection.detail}")
    return contents


def _find(directory: str, manifest: Manifest, source: str, copy: int) -> tuple[str, int, dict[str, Any]]:
    """Split, shard and samples row of a sample. Raises RequestError if there is none."""
    [place] = places(manifest.request.seed, [source]).tolist()
    unread = ""
    for split, counts in manifest.splits.items():
        there, number = manifest.copies(split), group_of(place, counts.groups)
        one = copy if copy in there else there[0]
        try:
            table = read_rows(directory, manifest, split, one, number)
            rows = table.filter(pc.equal(table["source"], source)).to_pylist()
        except (OSError, ValueError, KeyError):
            unread = os.path.join(directory, samples_file(split, one, number, counts.groups))
            continue
        if rows and one != copy:
            copies = ", ".join(map(str, there))
            raise RequestError(f"--copy is {copy}; of {source} there are these: {copies}")
        if rows:
            return split, number, rows[0]
    if unread:
        raise RequestError(f"{unread}: it cannot be read; augshard audit says what is wrong with it")
    raise RequestError(
        f"--sample {source}: the dataset has no such source; give its path below the input, "
        "as it stands in the samples table"
    )


def _stages(augmenter: Augmenter, image: tf.Tensor, source: str, copy: int) -> Iterator[Stage]:
    """Each op with what it drew and the image after it.

    Neighbouring affine ops are one resampling: the image after one of them is what the run up
    to it makes of the image before the run.
    """
    if copy == NOT_AUGMENTED:
        for op in augmenter.recipe.ops:
            before, image = image, op.plain(image)
            yield Stage(op, image is not before, {}, image.numpy())
        return
    words = source_words([source])
    number = np.array([copy], np.uint32)
    key = fold_in(source_key(augmenter.seed, (words[:, 0], words[:, 1])), (np.zeros_like(number), number))
    for step in augmenter.recipe.steps:
        after = image
        for last, op in enumerate(step.ops, start=1):
            part = Step(step.ops[:last], step.size)
            draw = at(draw_steps((part,), key), 0)
            after = apply_steps((part,), draw, image)
            drawn = recorded({op.id: draw[op.id]})
            applied = bool(drawn.pop(f"{op.id}.applied", True))
            yield Stage(op, applied, drawn, after.numpy())
        image = after


def _record(directory: str, shard: str, number: int, source: str, recipe: Recipe) -> np.ndarray | None:
    """The pixels of a record, uint8 [H, W, 3]; None if it is not there, or is another's."""
    with contextlib.suppress(OSError, tf.errors.InvalidArgumentError), tf.device("CPU"):
        for _, data in read_records(path_in(directory, shard), {number}, recipe.image_size):
            record = unpack(data)
            if record is not None and record.source == source:
                image = tf.constant(record.image)
                return codec.decode_stored(image, recipe.storage, recipe.image_size).numpy()
    return None


def _other_draws(stages: list[Stage], row: dict[str, Any]) -> list[str]:
    """The columns of the samples table that do not have what was drawn now."""
    drawn = {f"{stage.op.id}.applied": stage.applied for stage in stages}
    for stage in stages:
        drawn |= {name: value.item() for name, value in stage.drawn.items()}
    if row["copy"] == NOT_AUGMENTED:
        drawn = {}
    return [name for name in row if "." in name and row[name] != drawn.get(name)]


def _match(sample: np.ndarray, stored: np.ndarray | None, manifest: Manifest) -> str:
    if stored is None:
        return "no: there is no such record where the samples table says, or it cannot be read"
    here = parity_class() == manifest.parity_class
    difference = np.abs(sample.astype(np.int16) - stored)
    if not difference.any():
        if here:
            return "yes: the record has the same pixels"
        return "no difference, though derived in another parity class than the record's"
    return (
        f"{'no' if here else 'derived in another parity class'}: the record differs in "
        f"{int(difference.any(axis=-1).sum()):,} of {difference[..., 0].size:,} pixels, "
        f"by up to {int(difference.max())} levels"
    )


def _ops_table(stages: list[Stage]) -> str:
    """Every op in a line, or several: its parameters stand below one another."""
    width = max(len("op"), *(len(stage.op.id) for stage in stages))
    names = max((len(name) for stage in stages for name in stage.parameters), default=0)
    lines = [f"{'op':{width}}  applied  drawn"]
    for stage in stages:
        drawn = [f"{name:{names}}  {_exact(value)}" for name, value in stage.parameters.items()] or [""]
        lines.append(f"{stage.op.id:{width}}  {'yes' if stage.applied else 'no':7}  {drawn[0]}")
        lines += [" " * (width + 11) + parameter for parameter in drawn[1:]]
    return "".join(line.rstrip() + "\n" for line in lines)


def _exact(value: Any) -> str:
    """So many digits that no two values of float32 look the same."""
    if isinstance(value, (bool, np.bool_)):
        return "yes" if value else "no"
    return f"{value:.9g}" if isinstance(value, np.floating) else str(value)


def _strip(image: np.ndarray, stages: list[Stage], stored: np.ndarray | None, source: str, copy: int) -> Any:
    pictures = [Picture(image, ["source"])]
    for number, stage in enumerate(stages, start=1):
        caption = [
            f"{number} {stage.op.id}",
            *(f"{name} {short(value)}" for name, value in stage.parameters.items()),
        ]
        pictures.append(Picture(stage.pixels, caption if stage.applied else [*caption, "not applied"]))
    if stored is not None:
        pictures.append(Picture(stored, ["the record"]))
    rows: list[Row] = [
        ("" if first else source, pictures[first : first + _IN_A_ROW])
        for first in range(0, len(pictures), _IN_A_ROW)
    ]
    return draw_sheet(rows, f"copy {copy}, op after op")
