"""An op as a recipe writes it: `contrast: {factor: 0.5}`, read strictly and written in full.

What is wrong with an entry is said in sentences that name the setting, its value
and what would be right.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from pydantic import ValidationError

from augment.errors import did_you_mean
from augment.ops.base import Op, op_types
from augment.ops.settings import explain, foreign


def read_entry(entry: Any) -> Op:
    """The op of one entry of a recipe. Raises ValueError."""
    if isinstance(entry, str):
        entry = {entry: {}}
    if not (isinstance(entry, dict) and len(entry) == 1):
        raise ValueError(f"{entry!r} is not one op with its settings, such as 'contrast: {{factor: 0.5}}'")
    [(name, settings)] = entry.items()
    known = op_types()
    if name not in known:
        raise ValueError(f"there is no op {name!r}; {_meant(str(name), known)}")
    try:
        return known[name].model_validate({} if settings is None else settings)
    except ValidationError as error:
        raise ValueError(f"{name}: {explain(error, known[name])}") from None


def _meant(name: str, known: Iterable[str]) -> str:
    """What an op is called here that other libraries call so, or else what is near."""
    plain = re.sub(r"[\W_]", "", name).lower()
    if plain in foreign()["mixing"]:
        return (
            "a recipe makes of one image one image, and never mixes images or labels; mix batches, by "
            "augshard train --mix, augment.mix_dataset or augment.MixLayer"
        )
    here = foreign()["ops"].get(plain)
    if here is None and plain in {other.replace("_", "") for other in known}:
        here = next(other for other in known if other.replace("_", "") == plain)
    return f"here it is {here}" if here else did_you_mean(name, known)


def written_entry(op: Op, *, brief: bool = False) -> dict[str, Any]:
    """The entry of an op, as JSON; `read_entry` makes an equal op of it.

    `brief` leaves out the settings that are as they are by default.
    """
    settings = op.model_dump(mode="json", exclude_defaults=brief)
    if brief and op.id == op.name:
        del settings["id"]
    return {op.name: settings}


def repeated_id(ops: Iterable[Op]) -> str | None:
    """What is wrong if two of these ops have the same id."""
    seen: set[str] = set()
    for op in ops:
        if op.id in seen:
            return (
                f"two ops have the id {op.id!r}; give the second one "
                f"an id of its own, such as 'id: {op.id}_2'"
            )
        seen.add(op.id)
    return None
