"""What a notebook shows of stored samples: how many there are, and some images with their copies."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

import numpy as np

from augment.notebook import picture, title

if TYPE_CHECKING:
    from pipelines.datasets.arrays import Samples

SOURCES, COPIES = 3, 6
"""So many rows at most, of so many pictures."""


def shown(samples: Samples) -> str:
    """HTML: a line of numbers, then the first sources, each in a row with its copies."""
    sources = samples.sources
    first = list(dict.fromkeys(sources))
    classes = ", ".join(samples.classes[:10]) + (", ..." if len(samples.classes) > 10 else "")
    said = f"{len(samples):,} samples of {len(first):,} images in {len(samples.classes):,} classes: {classes}"
    rows = []
    for source in first[:SOURCES]:
        found = [samples[int(at)] for at in np.flatnonzero(sources == source)[:COPIES]]
        pictures = [picture(sample["image"], f"{source}, {title(int(sample['copy']))}") for sample in found]
        rows.append(f"<div>{''.join(pictures)}</div>")
    return f"<p>{html.escape(said)}</p>\n" + "\n".join(rows)
