"""What the names of files, classes and splits allow."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from pipelines.sources.found import Ignored, Reject, Source
from pipelines.sources.reading import MAX_BYTES, too_large
from pipelines.sources.rules import extension, is_image


def by_name(name: str, size: int) -> Source | Reject | Ignored:
    """What a file of some size is by its name. Split and label are still to be set."""
    if not is_image(name):
        return Ignored(extension(name) or "(none)")
    if size > MAX_BYTES:
        return Reject(name, "too_large", too_large(size))
    return Source(name, "", "", size)


def class_errors(labels: Iterable[str]) -> Iterator[str]:
    """What is wrong with a set of class names; TFDS keeps them one a line and strips them."""
    seen: dict[str, str] = {}
    for label in sorted(set(labels)):
        if "\n" in label or "\r" in label:
            yield f"class {label!r}: a class name cannot hold a line break; rename its folder"
            continue
        if label != label.strip():
            yield f"class {label!r}: it begins or ends with a blank; rename its folder"
        folded = label.strip().casefold()
        if folded in seen:
            yield (
                f"classes {seen[folded]!r} and {label!r} differ only by case or outer blanks; "
                "rename or merge their folders"
            )
        seen[folded] = label


def split_errors(splits: Iterable[str]) -> Iterator[str]:
    """What is wrong with a set of split names, by the rules of TFDS."""
    for split in sorted(splits):
        if not re.fullmatch(r"[A-Za-z]\w*", split, re.ASCII):
            yield (
                f"split {split!r}: TFDS cannot read it; a split's name begins with a letter and goes on "
                "with letters, digits and _"
            )
        elif split == "all":
            yield "split 'all': TFDS keeps this name for all splits together; rename its folder"
        elif re.search(r"_c\d+$", split):
            yield f"split {split!r}: names that end in _c and digits are those of copies; rename its folder"
