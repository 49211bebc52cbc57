"""The record of a job that goes on without the process that submitted it.

It lies in the output, so that the same command finds the job, whatever became of that process.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints

from pipelines import storage
from pipelines.format.inside import read_record
from pipelines.format.layout import JOB
from pipelines.format.manifest import json_text
from pipelines.format.request import Request

_Word = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:-]*$", max_length=128)]


class Job(BaseModel):
    """A job that Dataflow accepted."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    project: _Word
    region: _Word
    id: _Word
    name: _Word
    request: Request
    """what it was to write"""

    @property
    def console(self) -> str:
        """The page that shows it."""
        place = f"https://console.cloud.google.com/dataflow/jobs/{self.region}/{self.id}"
        return f"{place}?project={self.project}"

    def save(self, output: str) -> None:
        """Puts it on record."""
        storage.at(output).write(JOB, json_text(self.model_dump(mode="json")))


def saved_job(output: str) -> Job | None:
    """The job on record in an output; None if there is none. Raises RequestError for no record of ours."""
    return None if storage.at(output).size(JOB) is None else read_record(output, JOB, Job)


def forget_job(output: str) -> None:
    """Removes the record."""
    storage.at(output).remove(JOB)
