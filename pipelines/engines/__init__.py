"""Who runs the pipeline. `--runner` picks an `Engine`, once; after that nobody asks which one it is."""

from __future__ import annotations

from collections.abc import Sequence

from pipelines.engines.embedded import Embedded
from pipelines.engines.engine import Engine


def choose(runner: str = "embedded", arguments: Sequence[str] = ()) -> Engine:
    """The engine by its name, with Beam's options for it. Raises RequestError."""
    if runner == "embedded":
        return Embedded(runner, arguments)
    if runner.rpartition(".")[2].lower() == "dataflowrunner":  # as Beam takes a name
        from pipelines.engines.dataflow import Dataflow

        return Dataflow(runner, arguments)
    from pipelines.engines.beam import Beam

    return Beam(runner, arguments)
