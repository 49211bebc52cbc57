"""An op of one's own: colors turned into their opposites.

augshard has an op `invert` that does the same; this is how one would write it.
"""

import tensorflow as tf

from augment.ops import Draw, Op


class InvertColors(Op):
    """Turns each level x into 255 - x. In a recipe: `invert_colors`."""

    def apply(self, image: tf.Tensor, draw: Draw) -> tf.Tensor:
        return 255 - image
