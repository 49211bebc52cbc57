"""An op of one's own: colors turned into their opposites.

augshard has an op `invert` that does the same; this is how one would write it.
"""

import numpy as np

from augment.ops import Draw, Kernels, Levels, Op, Size

OPPOSITES = np.arange(255, -1, -1, dtype=np.uint8)[np.newaxis]


class InvertColors(Op):
    """Turns each level x into 255 - x. In a recipe: `invert_colors`."""

    def kernels(self, draw: Draw, size: Size) -> Kernels:
        return (Levels(table=OPPOSITES),)
