"""Every variable of a run in one file, which is whole or not there.

Keras's own checkpoints leave out what decides the weights that follow: the states of
seed generators (dropout would repeat its masks) and the slots of an optimizer that
was not built before. Here all of them are saved, with what they are called.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from augment.errors import RequestError
from pipelines.train.output import write_whole

_ABOUT = "about.json"


def digest(variables: Sequence[keras.Variable]) -> str:
    """SHA-256 of the types, shapes and values of variables, in order, in hexadecimal.

    Without their names, which an augmentation in front of the model may change.
    """
    sha = hashlib.sha256()
    for variable in variables:
        array = np.asarray(variable)
        sha.update(f"{array.dtype.name}{list(array.shape)}".encode())
        sha.update(array.tobytes())
    return sha.hexdigest()


def save(
    path: str, variables: Sequence[keras.Variable], best: Sequence[np.ndarray], state: dict[str, Any]
) -> None:
    """Takes the place of the checkpoint before.

    Args:
        path: of the file.
        variables: of the model and its optimizer.
        best: more arrays, the best weights so far.
        state: anything else that JSON can hold.
    """
    arrays = [*map(np.asarray, variables), *best]
    about = {
        "variables": [_form(variable) for variable in variables],
        "best": [[array.dtype.name, list(array.shape)] for array in best],
        "state": state,
    }
    # All as bytes, since NumPy's files do not know bfloat16.
    files: dict[str, Any] = {
        str(i): np.frombuffer(array.tobytes(), np.uint8) for i, array in enumerate(arrays)
    }
    files[_ABOUT] = np.frombuffer(json.dumps(about).encode(), np.uint8)
    write_whole(path, lambda file: np.savez(file, **files))


def restore(path: str, variables: Sequence[keras.Variable]) -> tuple[list[np.ndarray], dict[str, Any]]:
    """Gives variables the values that were saved; `best` and `state`, as they were saved.

    Raises RequestError if the file is damaged, or if these are not the variables that it has.
    """
    try:
        with np.load(path) as files:
            about = json.loads(files[_ABOUT].tobytes())
            forms = [*(form[1:] for form in about["variables"]), *about["best"]]
            arrays = [_array(files[str(i)], *form) for i, form in enumerate(forms)]
    except Exception as error:  # noqa: BLE001 (a zip file can be damaged in many ways)
        raise RequestError(f"{path}: it cannot be read ({error}); remove it to train that arm anew") from None
    for there, wanted in itertools.zip_longest(about["variables"], map(_form, variables)):
        if there != wanted:
            raise RequestError(
                f"{path}: it has {_in_words(there)} where the model has {_in_words(wanted)}; "
                "remove it to train that arm anew"
            )
    for variable, array in zip(variables, arrays, strict=False):  # the best weights follow
        variable.assign(array)
    return arrays[len(variables) :], about["state"]


def _form(variable: keras.Variable) -> list[Any]:
    return [variable.path, keras.backend.standardize_dtype(variable.dtype), list(variable.shape)]


def _array(data: np.ndarray, dtype: str, shape: Sequence[int]) -> np.ndarray:
    return np.frombuffer(data.tobytes(), tf.as_dtype(dtype).as_numpy_dtype).reshape(shape)


def _in_words(form: list[Any] | None) -> str:
    return f"{form[0]}, {form[1]} {form[2]}" if form else "nothing"
