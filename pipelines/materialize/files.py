"""Writing small files so that a reader never sees half of one."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterable

from pipelines.format.layout import SCRATCH


def write_file(output: str, name: str, text: str | Iterable[str]) -> None:
    """Writes a file of the dataset directory, whole or in parts, under another name, then renames it."""
    scratch = os.path.join(output, SCRATCH)
    os.makedirs(scratch, exist_ok=True)
    temporary = os.path.join(scratch, uuid.uuid4().hex)
    with open(temporary, "w", encoding="utf-8", newline="") as file:
        file.writelines([text] if isinstance(text, str) else text)
    os.replace(temporary, os.path.join(output, name))
