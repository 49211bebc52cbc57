"""A dataset that TensorFlow Datasets prepared, as `tfds.builder_from_directory` reads it.

`dataset_info.json` says which splits lie in which files, and `features.json` what a record has; class names
are in files beside them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from pipelines import storage
from pipelines.annotations.json_stream import BadFile
from pipelines.annotations.numbers import first_of_two
from pipelines.annotations.reader import Begun, Task, View
from pipelines.annotations.table_rows import object_in
from pipelines.annotations.tfds_features import schema_in
from pipelines.annotations.tfrecord import Records
from pipelines.format.layout import DATASET_INFO, FEATURES
from pipelines.sources.found import Ignored
from pipelines.sources.rules import dropped_as, extension

_TEMPLATE = "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}"

_OURS = "augshard"
"""Who made a dataset of our own, as it says itself."""


class Tfds(Records):
    """See `Reader`."""

    def _begun(self) -> Iterator[Begun]:
        files = list(_shards(self._json(DATASET_INFO)))
        if (twice := first_of_two(name for name, _ in files)) is not None:
            raise BadFile(f"has a {DATASET_INFO} that says of {twice} twice what lies in it")
        shards = dict(files)
        schema, left = schema_in(self._json(FEATURES), self._asked, self._class_names)
        yield from self._settings(schema, left)
        yield from self._others(shards)
        for name, (split, count) in shards.items():
            if storage.at(self._root).size(name) is None:
                if not count:
                    continue
                raise BadFile(f"has no {name}, of which {DATASET_INFO} speaks")
            yield View(f"{name}/", split)
            yield Task((name,), settings=(split, (schema, count)))

    def _json(self, name: str) -> dict[str, Any]:
        """Raises BadFile, and OSError."""
        try:
            found = object_in(storage.at(self._root).read(name).decode())
        except UnicodeDecodeError:
            found = None
        if found is None:
            raise BadFile(f"has a {name} that is no JSON object")
        return found

    def _class_names(self, feature: str) -> tuple[str, ...]:
        """Of the classes that a feature numbers, if there is a file of them. Raises BadFile, and OSError."""
        try:
            text = storage.at(self._root).read(f"{feature}.labels.txt").decode()
        except FileNotFoundError:
            return ()
        except UnicodeDecodeError:
            raise BadFile(f"has a {feature}.labels.txt that is not UTF-8") from None
        return tuple(line.strip() for line in text.split("\n") if line.strip())

    def _others(self, shards: Mapping[str, tuple[str, int]]) -> Iterator[Ignored]:
        """What lies there besides the dataset's own files."""
        for entry in storage.at(self._root).list():
            own = entry.name in (DATASET_INFO, FEATURES) or entry.name.endswith(".labels.txt")
            if not own and entry.name not in shards:
                yield Ignored(dropped_as(entry.name) or extension(entry.name) or "(none)")


def _shards(info: Mapping[str, Any]) -> Iterator[tuple[str, tuple[str, int]]]:
    """The files of a dataset, each with its split and how many records it has. Raises BadFile."""
    if info.get("moduleName") == _OURS:
        raise BadFile(
            "is a dataset of augshard's, whose images are augmented already: give those that it was made of"
        )
    form = info.get("fileFormat", "tfrecord")
    if form != "tfrecord":
        raise BadFile(f"has files of the format {form!r}; tfrecord alone is read: prepare it in that")
    try:
        for split in info["splits"]:
            lengths = [int(length) for length in split["shardLengths"]]
            for number, length in enumerate(lengths):
                yield _file(info, split, number, len(lengths)), (str(split["name"]), length)
    except (KeyError, TypeError, ValueError, IndexError):
        raise BadFile(
            f"has a {DATASET_INFO} that does not say which splits there are, in which files"
        ) from None


def _file(info: Mapping[str, Any], split: Mapping[str, Any], number: int, of: int) -> str:
    """Raises ValueError or KeyError for what is no template of a file's name in the directory."""
    parts = {
        "{DATASET}": str(info["name"]),
        "{SPLIT}": str(split["name"]),
        "{FILEFORMAT}": "tfrecord",
        "{SHARD_INDEX}": f"{number:05d}",
        "{NUM_SHARDS}": f"{of:05d}",
        "{SHARD_X_OF_Y}": f"{number:05d}-of-{of:05d}",
    }
    template = str(split.get("filepathTemplate") or _TEMPLATE)
    name = re.sub(r"\{[^{}]*\}", lambda part: parts[part[0]], template)  # `format` would do what it says
    if "/" in name or name.startswith("."):
        raise ValueError
    return name
