"""The one exception for mistakes in what was asked, and what is asked for and not installed."""

from __future__ import annotations

import difflib
import importlib.util
from collections.abc import Iterable


class RequestError(ValueError):
    """A request that cannot be met as it stands.

    Its message names the input, what is wrong with it and what would be right;
    the command line prints it without a traceback and exits with status 2.
    """


class OpError(RequestError):
    """An op or a kernel of somebody's own fails on an image, or makes something else than an image of it."""


def require(library: str, who: str) -> None:
    """Raises RequestError where a library is not installed, without which `who` cannot be: it says so.

    The worker image is without TensorFlow, Keras and Matplotlib, unless it is asked for them.
    """
    if importlib.util.find_spec(library.lower()) is None:
        raise RequestError(
            f"{who} needs {library}, which is not installed here; use an installation of all of augshard's "
            "dependencies, or a worker image that was built with --build-arg TENSORFLOW=cpu"
        )


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Words close to `word` as the end of a sentence, or all of them if none is close."""
    known = sorted(known)
    near = difflib.get_close_matches(word, known, n=3, cutoff=0.6)
    if near:
        return f"did you mean {' or '.join(near)}?"
    return f"there is {', '.join(known)}"
