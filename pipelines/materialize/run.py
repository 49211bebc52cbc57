"""One run of the job: what it is given beside the request, and what comes of it."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import importlib.metadata
import os
import platform
from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from augment import backends
from pipelines import storage
from pipelines.format.bounds import Count
from pipelines.format.inside import read_record
from pipelines.format.layout import ERROR, JOB, OUTCOME
from pipelines.format.manifest import Manifest, json_text
from pipelines.format.work import clear_work
from pipelines.storage.clients import without_secrets


@dataclasses.dataclass(frozen=True)
class Run:
    """What may differ between two runs that write the same bytes."""

    input: str
    output: str
    max_rejects: float
    """the largest part of all images that may be rejected"""
    about: dict[str, Any]
    """what run.json says beside the seconds: when it began, where, with what"""
    began: float
    """seconds since the epoch"""
    backend: backends.Name = "host"
    """who computes the pixels"""
    workers: int = 1
    """of Beam's on one machine, which share its cores"""
    annotations: str = ""
    """what lies beside the input and says what is in its images; absolute, or a URL"""
    waiting: str = ""
    """where on the machine of all workers waits what a runner would hold in memory; empty: nowhere"""
    awaited: bool = True
    """whether a launcher tells the user what came of it; else the job has to fail with it"""


def about_run(
    input: str,  # noqa: A002
    output: str,
    runner: str,
    arguments: Sequence[str],
    annotations: str = "",
) -> dict[str, Any]:
    """What run.json says of where and with what a run began. `arguments` are Beam's options."""
    names = "augshard apache-beam numpy opencv-python-headless pillow pyarrow tensorflow"
    return {
        "began": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "host": platform.node(),
        "platform": platform.platform(),
        "python": platform.python_version(),
        "versions": {name: version for name in names.split() if (version := _version(name))},
        "runner": runner,
        "beam_options": without_secrets(arguments),
        "input": input,
        **({"annotations": annotations} if annotations else {}),
        "output": output,
    }


def _version(distribution: str) -> str | None:
    """None where it is not installed, as TensorFlow may be."""
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        return importlib.metadata.version(distribution)
    return None


class Outcome(BaseModel):
    """What a run came to, of which the launcher tells the user."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    errors: Annotated[tuple[str, ...], Field(max_length=1000)] = ()
    """what is wrong with the request; nothing was written"""
    failure: str = ""
    """why the work failed; what is finished is kept for a resume"""
    warnings: Annotated[tuple[str, ...], Field(max_length=1000)] = ()
    kept: Count = 0
    """records that were there before"""
    processes: Annotated[int, Field(ge=1)] = 1
    """that derived, of one worker"""
    seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    """that it took"""
    manifest: Annotated[Manifest | None, Field(exclude=True)] = None
    """of the finished dataset, which has it in a file of its own"""
    elsewhere: Annotated[dict[str, str], Field(exclude=True)] = {}
    """what there is to tell, by name, of a job that goes on, or begins, without this process"""


def conclude(run: Run, outcome: Outcome) -> None:
    """Leaves an outcome for the launcher; without one, what is wrong is the job's own failure."""
    sentence = "; ".join(outcome.errors) or outcome.failure
    if not (sentence or run.awaited or storage.at(run.output).size(JOB) is not None):
        clear_work(run.output)  # of a template's job there is no record by which a launcher would come back
        return
    storage.at(run.output).write(OUTCOME, json_text(outcome.model_dump()))
    if sentence and not run.awaited:
        raise RuntimeError(sentence)


def saved_outcome(output: str) -> Outcome | None:
    """What a run came to; None while it has not. Raises RequestError for what no run left so."""
    return None if storage.at(output).size(OUTCOME) is None else read_record(output, OUTCOME, Outcome)


def summed_up(text: str, output: str) -> str:
    """The last line of an error, and where the whole of it is."""
    *_, last = (line.strip() for line in text.splitlines() if line.strip())
    try:
        storage.at(output).write(ERROR, text + "\n")
    except OSError as error:
        return f"{last} (the whole error could not be kept: {storage.reason(error)})"
    return f"{last} (the whole error: {os.path.join(output, ERROR)})"
