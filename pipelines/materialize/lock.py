"""One run at a time for an output: two requests that write to one at once would leave neither."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import contextmanager

from pipelines import storage
from pipelines.format.layout import FORMER_MANIFEST, FORMER_PLAN, JOB, LOCK, PLAN, WORK
from pipelines.format.work import clear_work


@contextmanager
def only_run(output: str) -> Iterator[None]:
    """Holds the output for one run. Raises RequestError if another run has it.

    What was never begun, or is finished, is left without traces of the work.
    """
    out = storage.at(output)
    with out.locked(f"{WORK}/{LOCK}") as lock:
        try:
            yield
        finally:
            with contextlib.suppress(OSError):  # how the run ended is what the user has to know
                if lock.is_held() and not _begun(out):
                    clear_work(output)


def _begun(out: storage.Location) -> bool:
    """Whether there is something to go on with: a plan, a job that nobody waits for, a half-empty output."""
    return any(out.size(name) is not None for name in (PLAN, JOB, FORMER_MANIFEST, FORMER_PLAN))
