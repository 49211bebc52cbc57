"""What Google's Flex Template launcher runs: its arguments to those of `augshard materialize`.

The launcher gives every parameter as --name=value, switches too, named as in metadata.json: with _ where
the command has -. What is none of ours is Beam's, and stays as it is.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator

import typer

from pipelines.cli import app, main


def arguments(passed: Iterable[str]) -> Iterator[str]:
    """The launcher's arguments as the command takes them; parameters left empty are not given."""
    command = typer.main.get_command(app).commands["materialize"]
    ours = {option: parameter.is_flag for parameter in command.params for option in parameter.opts}
    for argument in passed:
        name, _, value = argument.partition("=")
        option = name.replace("_", "-")
        if option not in ours:
            yield argument
        elif ours[option]:
            yield from [option] if value.lower() == "true" else []
        elif value:
            yield f"{option}={value}"


if __name__ == "__main__":
    sys.argv = ["augshard", "materialize", *arguments(sys.argv[1:])]
    main()
