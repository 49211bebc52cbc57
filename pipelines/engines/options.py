"""Options of Beam's: whether it knows those that are not ours, and how it looks at them."""

from __future__ import annotations

import argparse
import contextlib
import io
from collections.abc import Sequence
from typing import Any

from apache_beam.options.pipeline_options import PipelineOptions

from augment.errors import RequestError, did_you_mean


class Options(PipelineOptions):
    """Beam's own, with one view of each kind: a view is a parser of its own, and a job takes two hundred."""

    def view_as(self, cls: type[PipelineOptions]) -> Any:
        """As Beam's; views of one kind were equal, and share what is set."""
        views = self.__dict__.setdefault("_views", {})
        if cls not in views:
            views[cls] = super().view_as(cls)
        return views[cls]

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in super().__getstate__().items() if name != "_views"}


def check_options(arguments: Sequence[str], ours: Sequence[str]) -> None:
    """Checks options that are not ours against Beam's. Raises RequestError on the first unknown one."""
    parser = _beam_parser()
    known = [option for action in parser._actions for option in action.option_strings]
    problem = io.StringIO()
    try:
        with contextlib.redirect_stderr(problem):
            _, unknown = parser.parse_known_args(list(arguments))
    except SystemExit:
        line = problem.getvalue().strip().splitlines()[-1]
        raise RequestError(line.partition("error: ")[2] or line) from None
    if unknown:
        option = unknown[0].partition("=")[0]
        if not option.startswith("-"):
            raise RequestError(f"{option!r} is not an option; options begin with --")
        raise RequestError(f"there is no option {option}; {did_you_mean(option, [*ours, *known])}")


def _beam_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(allow_abbrev=False, add_help=False)
    for options in (PipelineOptions, *PipelineOptions.__subclasses__()):
        with contextlib.suppress(argparse.ArgumentError):
            options._add_argparse_args(parser)
    return parser
