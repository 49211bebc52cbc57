"""Mixing the samples of a batch: MixUp, CutMix and Mosaic, keyed as augmentation is.

    images, labels = augment.mix_batch(
        images, labels, "cutmix:1.0", seed=0, key=augment.source_words(sources), copy=copies, classes=10
    )

It is for live training alone: a mixed sample is of several sources, so no shard holds one. `mix_dataset` does
it in tf.data and `augment.MixLayer` in a model, to the same bits.
"""

from augment.mixing.batch import Mixer, mix_batch
from augment.mixing.kinds import ONE, CutMix, Mixing, MixUp, Mosaic, parse_mixing

__all__ = ["ONE", "CutMix", "MixUp", "Mixer", "Mixing", "Mosaic", "mix_batch", "parse_mixing"]
