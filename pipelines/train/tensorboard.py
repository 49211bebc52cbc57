"""A log of epochs for TensorBoard, under the names that Keras's callback gives them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Mapping
from typing import Any

import tensorflow as tf

_SCALARS = {
    "train": {
        "epoch_loss": "loss",
        "epoch_accuracy": "accuracy",
        "epoch_images_per_second": "images_per_second",
        "epoch_input_wait_share": "input_wait_share",
    },
    "validation": {"epoch_loss": "val_loss", "epoch_accuracy": "val_accuracy"},
}
"""What is logged where: tags, and the columns of the history that they show."""


class Log:
    """Writes DIRECTORY/train and DIRECTORY/validation anew, beginning with the epochs there are."""

    def __init__(self, directory: str, history: Iterable[Mapping[str, Any]]) -> None:
        shutil.rmtree(directory, ignore_errors=True)  # a kill may have left an epoch that is made again
        self._directory = directory
        self._writers: dict[str, tf.summary.SummaryWriter] = {}
        for row in history:
            self.add(row)

    def add(self, row: Mapping[str, Any]) -> None:
        """Logs an epoch; what is None is left out."""
        for name, columns in _SCALARS.items():
            for tag, column in columns.items():
                if row[column] is not None:
                    with self._writer(name).as_default(step=row["epoch"]):
                        # As tf.summary.scalar does, which needs the tensorboard package.
                        tf.summary.write(tag, tf.constant(row[column], tf.float32), metadata=_scalar())
        for writer in self._writers.values():
            writer.flush()

    def _writer(self, name: str) -> tf.summary.SummaryWriter:
        if name not in self._writers:
            self._writers[name] = tf.summary.create_file_writer(os.path.join(self._directory, name))
        return self._writers[name]

    def close(self) -> None:
        for writer in self._writers.values():
            writer.close()


def _scalar() -> tf.compat.v1.SummaryMetadata:
    plugin = tf.compat.v1.SummaryMetadata.PluginData(plugin_name="scalars")
    return tf.compat.v1.SummaryMetadata(plugin_data=plugin, data_class="DATA_CLASS_SCALAR")
