"""Which images are there, with their labels and splits.

The input is `DIR/<class>/**` or `DIR/<split>/<class>/**`. Every file under it is a source, or on record as
a reject, or passed over by a rule of `rules`. Listing is two steps, so that a cluster can share the second:
`top_folders` finds the class folders, `list_folder` walks one of them as a stream. `checks` says what is
wrong with what was found.

An object store has no folders: an object's name below the root is its id, and the folders are what stands
before its slashes. So the same files have the same ids, on a disk and in a store. Ids are UTF-8 whatever
the locale: names are read from disks as bytes.
"""

from pipelines.sources.found import (
    UNLABELED,
    Folder,
    Found,
    Guess,
    Ignored,
    Listing,
    Reject,
    Source,
    Ungrouped,
)
from pipelines.sources.layout import ONLY_SPLIT, Layout, checked_layout, class_folders, top_folders
from pipelines.sources.listing import list_folder
from pipelines.sources.names import class_errors, split_errors
from pipelines.sources.reading import (
    ID_BYTES,
    MAX_BYTES,
    check_root,
    is_id,
    place_in,
    read_source,
    source_path,
)

__all__ = [
    "ID_BYTES",
    "MAX_BYTES",
    "ONLY_SPLIT",
    "UNLABELED",
    "Folder",
    "Found",
    "Guess",
    "Ignored",
    "Layout",
    "Listing",
    "Reject",
    "Source",
    "Ungrouped",
    "check_root",
    "checked_layout",
    "class_errors",
    "class_folders",
    "is_id",
    "list_folder",
    "place_in",
    "read_source",
    "source_path",
    "split_errors",
    "top_folders",
]
