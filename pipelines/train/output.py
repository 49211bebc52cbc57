"""What runs leave in the output directory, and whose turn it is to write there.

OUTPUT/request.json                  what all runs have in common
OUTPUT/report.html  report.json      the comparison of all runs that are finished
OUTPUT/<arm>[-k<K>]/seed-<t>/        one run: an arm, with one seed of the trainer
    run.json  history.csv            what it is, and each epoch
    model.keras                      the trained model, once it is finished
    test.csv                         its answers on the test split, if there is one
    shown.npz                        a few pictures with masks or boxes, and its answers
    checkpoint.npz                   what a resume needs, until it is finished
"""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import IO, Any

from augment.errors import RequestError
from pipelines import storage

REQUEST = "request.json"
RUN = "run.json"
HISTORY = "history.csv"
MODEL = "model.keras"
TEST = "test.csv"
SHOWN = "shown.npz"
CHECKPOINT = "checkpoint.npz"
LOCK = ".lock"


@contextmanager
def locked_output(output: str) -> Iterator[None]:
    """Holds the output for one command; the system lets go of it however the process ends.

    Raises RequestError if another holds it, or if it is or has something that is not ours.
    """
    out = storage.on_disk(output, "runs are kept on")
    storage.check_text(out.absolute(), "output")
    if out.is_file():
        raise RequestError(f"output {output}: it is a file; give a directory")
    there = out.names()
    if there and not there & {REQUEST, LOCK}:
        raise RequestError(
            f"output {output}: it holds files that no augshard train made; give an empty or new directory"
        )
    with out.locked(LOCK):
        yield


def read_run(directory: str) -> dict[str, Any] | None:
    """What run.json says of a run, finished or not; None if there is none yet.

    Raises RequestError if it cannot be read.
    """
    try:
        with open(os.path.join(directory, RUN), encoding="utf-8") as file:
            document: dict[str, Any] = json.load(file)
            if not isinstance(document, dict):
                raise ValueError("it is no object")
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise RequestError(
            f"{directory}/{RUN}: it cannot be read ({error}); remove {directory} to train that arm anew"
        ) from None
    return document


def write_whole(path: str, write: Callable[[IO[bytes]], Any]) -> None:
    """Writes a file under another name, then renames it: no reader and no kill ever leaves half of one."""
    folder, name = os.path.split(path)
    with storage.Local(folder).writing(name, part=f"{name}.part") as file:
        write(file)


def write_text(path: str, text: str) -> None:
    """`write_whole` for text."""
    write_whole(path, lambda file: file.write(text.encode()))


def write_table(path: str, rows: Iterable[Mapping[str, Any]]) -> None:
    """A CSV file with a column for each key of the first row; None is left empty."""
    rows = list(rows)
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]) if rows else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, text.getvalue())
