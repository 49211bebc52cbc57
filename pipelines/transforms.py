"""Augmentation within a Beam pipeline of one's own.

    from pipelines import transforms

    files = pipeline | beam.Create([transforms.SourceFile("train/cat/1.jpg", "cat", contents), ...])
    made = files | transforms.Augment("flowers", seed=0, copies=3)
    made.samples | ...                                     # transforms.Sample
    made.rejects | ...                                     # transforms.Reject
    files | transforms.WriteDataset(OUT, "flowers", seed=0, copies=3)

Both are made of what the job is made of: samples come from the same `Deriver`, and `WriteDataset` is the
job itself, on sources that come from a pipeline.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import apache_beam as beam
import numpy as np
from pydantic import ValidationError

from augment.errors import RequestError
from augment.recipe import Recipe, load_recipe
from pipelines import storage
from pipelines.format.bounds import first_fault
from pipelines.format.layout import STAGED
from pipelines.format.request import Request, load_plugins
from pipelines.materialize.derive import Deriver, Member
from pipelines.materialize.pipeline import materialize
from pipelines.materialize.run import Run, about_run
from pipelines.sources import ID_BYTES, Reject, is_id

__all__ = ["Augment", "Reject", "Sample", "SourceFile", "WriteDataset"]


class SourceFile(NamedTuple):
    """An image file, as it comes from a pipeline."""

    id: str
    """by which its draws are made: as a path, `train/cat/1.jpg`, that which it would have below `--input`"""
    label: str
    """its class"""
    contents: bytes


class Sample(NamedTuple):
    """A copy of a source, equal to the record in a shard."""

    source: str
    """the id"""
    label: str
    copy: int
    image: np.ndarray
    """uint8 [H, W, C] of the recipe's size"""
    parameters: dict[str, Any]
    """what was drawn, as in the samples table: `<op id>.<parameter>`"""


class Augment(beam.PTransform):
    """SourceFiles to their copies: `samples`, a PCollection of Sample, and `rejects`, one of Reject.

    Args:
        recipe: see `load_recipe`; or its name or path.
        seed: in [0, 2**64).
        copies: of each source, from 0 on.
        plugins: modules with ops of one's own, which workers import.

    Raises RequestError for what is wrong with these.
    """

    def __init__(
        self, recipe: Recipe | str, *, seed: int = 0, copies: int = 1, plugins: Sequence[str] = ()
    ) -> None:
        super().__init__()
        self._making = _MakeSamples(_request(recipe, plugins, seed=seed, copies=copies))

    def expand(self, files: beam.PCollection[SourceFile]) -> Any:
        return files | "Make" >> beam.ParDo(self._making).with_outputs("rejects", main="samples")


class _MakeSamples(beam.DoFn):
    def __init__(self, request: Request) -> None:
        self._request = request

    def setup(self) -> None:
        self._deriver = Deriver(self._request, (), "")

    def process(self, file: SourceFile) -> Iterator[Any]:
        source, label, contents = _checked(file)
        made = self._deriver.samples(Member(source, label, contents), range(self._request.copies))
        if isinstance(made, Reject):
            yield beam.pvalue.TaggedOutput("rejects", made)
            return
        for copy, image in enumerate(made.images):
            drawn = {name: values[copy].tolist() for name, values in made.drawn.items()}
            yield Sample(source, label, copy, image, drawn)


class WriteDataset(beam.PTransform):
    """SourceFiles to a dataset: the files that `augshard materialize` writes of an input that holds them.

    The files first go into the output's own folder of unfinished work, which is removed in the end, and the
    job lists and reads them there: no image passes through a shuffle, and what is no image, is empty or
    lies in no class is rejected or passed over by the job's own rules.

    Args:
        output: a new or empty directory that all workers share, or a URL.
        recipe, seed, copies, plugins: as for `Augment`.
        name: of the dataset; else the recipe's.
        split_fractions: of splits that are made, such as {"train": "0.8", "test": "0.2"}.
        augment_splits: which get copies; else those named as training.
        originals: whether those splits also hold the images as they are.
        shards: groups of a split; else by size.
        max_rejects: the largest part of all images that may be rejected; with more the pipeline fails.

    Raises RequestError for what is wrong with these. Its PCollection is empty.
    """

    def __init__(
        self,
        output: str,
        recipe: Recipe | str,
        *,
        seed: int = 0,
        copies: int = 1,
        name: str | None = None,
        split_fractions: Mapping[str, str] | None = None,
        augment_splits: Sequence[str] | None = None,
        originals: bool = False,
        shards: int | None = None,
        max_rejects: float = 0.01,
        plugins: Sequence[str] = (),
    ) -> None:
        super().__init__()
        self._output, self._max_rejects = storage.at(output).absolute(), max_rejects
        self._request = _request(
            recipe,
            plugins,
            seed=seed,
            copies=copies,
            split_fractions=dict(split_fractions) if split_fractions else None,
            augment_splits=tuple(augment_splits) if augment_splits else None,
            originals=originals,
            shards=shards,
            **({"name": name} if name else {}),
        )
        storage.check_text(self._output, "output")
        there = storage.at(self._output)
        there.check_writable()
        try:
            held = sorted(there.names())
        except OSError as error:
            raise RequestError(f"output {output}: {storage.reason(error)}") from None
        if held:
            raise RequestError(
                f"output {output}: it holds {held[0]!r}; a pipeline's dataset is begun anew each time: give "
                "an empty or new directory"
            )

    def expand(self, files: beam.PCollection[SourceFile]) -> beam.PCollection[None]:
        root, options = storage.at(self._output).to(STAGED), files.pipeline.options
        given = [f"--{name}={value}" for name, value in options.get_all_options(drop_default=True).items()]
        runner = type(files.pipeline.runner).__name__
        about = {**about_run("a pipeline", self._output, runner, given), "backend": "host"}
        run = Run(root, self._output, self._max_rejects, about, time.time(), awaited=False)
        staged = (
            files
            | "Stage" >> beam.ParDo(_Stage(root))
            | "By id" >> beam.GroupByKey()
            | "Once" >> beam.Map(_once)
            | "Count" >> beam.combiners.Count.Globally()
        )
        # How many there are is known when all of them are staged.
        return materialize(staged, request=self._request, run=run, begun=None)


@beam.typehints.with_output_types(tuple[str, int])
class _Stage(beam.DoFn):
    """A source to its id, once it is in its place."""

    def __init__(self, root: str) -> None:
        self._root = root

    def process(self, file: SourceFile) -> Iterator[tuple[str, int]]:
        source, label, contents = _checked(file)
        folders = source.split("/")[:-1]
        if label not in folders[:2]:
            raise RequestError(
                f"source {source!r} of class {label!r}: its id does not say so; it must be CLASS/... or "
                f"SPLIT/CLASS/..., such as train/{label}/{source.rpartition('/')[2]}"
            )
        storage.at(self._root).write(source, contents)
        yield source, 1


def _once(counted: tuple[str, Iterable[int]]) -> str:
    source, counts = counted
    if sum(counts) > 1:
        raise RequestError(f"source {source!r} came more than once; every image must have an id of its own")
    return source


def _checked(file: Any) -> SourceFile:
    """Raises RequestError for an element of another type."""
    try:
        source, label, contents = file
        right = all(isinstance(text, str) and text for text in (source, label)) and is_id(source)
    except (TypeError, ValueError):
        right, contents = False, None
    if not (right and isinstance(contents, bytes)):
        shown = repr(file)
        raise RequestError(
            f"an element is {shown if len(shown) <= 100 else shown[:100] + '...'}; it must be a "
            "transforms.SourceFile: id, a relative path that goes down only, of at most "
            f"{ID_BYTES:,} bytes; label, a str; contents, bytes"
        )
    return SourceFile(source, label, contents)


def _request(recipe: Recipe | str, plugins: Sequence[str], **asked: Any) -> Request:
    """Raises RequestError for what cannot be asked for."""
    digests = load_plugins(plugins)
    loaded = load_recipe(recipe) if isinstance(recipe, str) else recipe
    known = {"name": loaded.name, "recipe_name": loaded.name, "recipe": loaded.canonical()}
    try:
        return Request(**{**known, "plugins": digests, **asked})
    except ValidationError as error:
        raise RequestError(f"transforms: {first_fault(error)}") from None
