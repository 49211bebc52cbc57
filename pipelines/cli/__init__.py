"""The command line: parses, imports late, calls.

Nothing in this room may import TensorFlow, Beam, NumPy or pydantic before a command needs
them: they take seconds, and help must not.
"""

from __future__ import annotations

import atexit
import gc
import os
import sys
from typing import Annotated

import typer

from augment.errors import RequestError
from pipelines import process
from pipelines.cli import datasets, recipes, training

app = typer.Typer(
    name="augshard",
    help="Materialize image augmentation: shards that hold, bit for bit, what live training sees.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},  # of commands too
)


def _show_version(wanted: bool) -> None:
    if wanted:
        from augment import __version__

        sys.stdout.write(f"augshard {__version__}\n")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    pass


def doctor() -> None:
    """Say what is installed here, whether it works, and what to do about what does not.

    Exit status: 0 all that is needed works, 1 something does not.
    """
    from pipelines.doctor import doctor as examine

    text, well = examine()
    sys.stdout.write(text)
    raise typer.Exit(0 if well else 1)


for job in (datasets.materialize, datasets.export):  # whose further options are Beam's
    app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})(
        process.starting()(job)
    )
for command in (
    recipes.preview,
    recipes.lint,
    datasets.look,
    process.starting()(datasets.audit),
    recipes.parity,
    training.train,
    training.compare,
    datasets.demo,
    recipes.recipes,
    doctor,
):
    app.command()(command)


def main() -> None:
    """The entry point. Exit status: 0 done, 1 the work failed, 2 the request is wrong, 128 + the signal."""
    process.in_utf_8()
    atexit.register(gc.freeze)  # for Python would look through half a million objects before it ends
    with process.signals() as stopped:
        try:
            with process.streams():
                status = _run(stopped)
        except OSError as error:  # what was said last could not be written
            sys.stderr.write(f"augshard: {_reason(error)}\n")
            status = 1
    sys.exit(status)


def _run(stopped: process.Signals) -> int:
    """Runs the command that was typed; its exit status."""
    try:
        app([_at_home(argument) for argument in sys.argv[1:]])
    except RequestError as error:
        sys.stderr.write(f"augshard: {error}\n")
        return 2
    except SystemExit as end:
        if end.code != _INTERRUPTED:
            return end.code if isinstance(end.code, int) else int(bool(end.code))
    except OSError as error:  # a disk that is full, a store that does not answer
        if not stopped.number:
            sys.stderr.write(f"augshard: {_reason(error)}\n")
            return 1
    except Exception:
        if not stopped.number:  # by which an import, say, was cut short
            raise
    else:
        return 0
    resumes = sys.argv[1:2] in (["materialize"], ["export"], ["train"])
    sys.stderr.write(f"augshard: stopped{'; run the same command again to go on' * resumes}\n")
    sys.stdout.flush()
    # Workers' threads are still in TensorFlow, and may crash while Python shuts down. What they write has
    # its name only when it is whole, so they can be left where they are.
    os._exit(stopped.status)


_INTERRUPTED = 130
"""With what status typer, which says nothing, answers KeyboardInterrupt."""


def _at_home(argument: str) -> str:
    """An argument with the ~ that stands for a home, which shells leave alone behind a =."""
    option, equals, value = argument.partition("=") if argument.startswith("--") else ("", "", argument)
    return option + equals + os.path.expanduser(value)


def _reason(error: OSError) -> str:
    from pipelines.storage import reason

    return f"{error.filename}: {reason(error)}" if error.filename else reason(error)
