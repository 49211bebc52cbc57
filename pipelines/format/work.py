"""The folder in an output in which a run in progress, of the job or an export, keeps what only it needs."""

from __future__ import annotations

from pipelines import storage
from pipelines.format.layout import LOCK, WORK


def clear_work(output: str) -> None:
    """Removes all of it but the lock, which is for its holder to remove."""
    out = storage.at(output)
    for name in out.names(WORK) - {LOCK}:
        out.remove(f"{WORK}/{name}")
