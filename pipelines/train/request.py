"""What decides the weights of every run in an output directory, and what must be equal to add to them.

Not in it: arms, copies and train seeds. They say which runs there are, so that a later
command can add some.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import re
from typing import Any

from augment.augmenter import CORES
from augment.errors import RequestError
from pipelines.format.manifest import json_text
from pipelines.train.output import REQUEST, write_text

TrainingRequest = dict[str, Any]


def earlier_request(output: str) -> TrainingRequest | None:
    """What the runs in a directory were asked for; None if there are none."""
    path = os.path.join(output, REQUEST)
    try:
        with open(path, encoding="utf-8") as file:
            document: TrainingRequest = json.load(file)
            document["threads"] = int(document["threads"])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise RequestError(f"{path}: it cannot be read ({error}); write to another directory") from None
    return document


def threads(earlier: TrainingRequest | None) -> int:
    """How many threads an op may use: as many as there are cores, or there were when it began.

    They decide how an op adds up, so that another number gives weights that differ in
    their last bits.
    """
    return earlier["threads"] if earlier else CORES


def surroundings() -> TrainingRequest:
    """What else must match for weights to match. TensorFlow has to be imported."""
    import tensorflow as tf

    gpus = map(tf.config.experimental.get_device_details, tf.config.list_physical_devices("GPU"))
    return {
        **{name: importlib.metadata.version(name) for name in ("tensorflow", "keras", "numpy", "pillow")},
        "machine": platform.machine(),
        "devices": [gpu.get("device_name", "GPU") for gpu in gpus] or ["CPU"],
        # Not what was asked for: a process whose TensorFlow had started before keeps what it had.
        "threads": tf.config.threading.get_intra_op_parallelism_threads() or CORES,
    }


def keep(output: str, request: TrainingRequest, earlier: TrainingRequest | None) -> None:
    """Notes a request in its output.

    Raises RequestError if runs of another are there, naming what differs.
    """
    if earlier is None:
        write_text(os.path.join(output, REQUEST), json_text(request))
        return
    differences = [
        f"{name.replace('_', ' ')} was {_short(earlier.get(name))}, now {_short(request.get(name))}"
        for name in dict.fromkeys((*request, *earlier))
        if earlier.get(name) != request.get(name)
    ]
    if differences:
        raise RequestError(
            f"output {output}: its runs are of another request: {'; '.join(differences)}. "
            "Write to another directory"
        )


_DIGEST = re.compile(r"[0-9a-f]{64}")


def _short(value: Any) -> str:
    if value is None:
        return "not given"
    if isinstance(value, str) and _DIGEST.fullmatch(value):
        return value[:12]
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 200 else text[:200] + "..."
