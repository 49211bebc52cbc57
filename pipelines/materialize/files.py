"""Writing small files so that a reader never sees half of one."""

from __future__ import annotations

import os
import uuid

from pipelines.format.layout import SCRATCH


def write_file(output: str, name: str, text: str) -> None:
    """Writes a file of the dataset directory under another name, then renames it."""
    scratch = os.path.join(output, SCRATCH)
    os.makedirs(scratch, exist_ok=True)
    temporary = os.path.join(scratch, uuid.uuid4().hex)
    with open(temporary, "w", encoding="utf-8", newline="") as file:
        file.write(text)
    os.replace(temporary, os.path.join(output, name))
