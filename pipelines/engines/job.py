"""The record of a job that goes on without the process that submitted it.

It lies in the output, so that the same command finds the job, whatever became of that process.
"""

from __future__ import annotations

import json

from pydantic import BaseModel, ConfigDict

from pipelines import storage
from pipelines.format.layout import JOB
from pipelines.format.manifest import json_text
from pipelines.format.request import Request


class Job(BaseModel):
    """A job that Dataflow accepted."""

    model_config = ConfigDict(frozen=True)

    project: str
    region: str
    id: str
    name: str
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
    """The job on record in an output; None if there is none."""
    out = storage.at(output)
    return None if out.size(JOB) is None else Job.model_validate(json.loads(out.read(JOB)))


def forget_job(output: str) -> None:
    """Removes the record."""
    storage.at(output).remove(JOB)
