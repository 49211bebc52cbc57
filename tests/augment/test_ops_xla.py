"""XLA compiles an op for a batch, and changes no level."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from augment.augmenter import Augmenter
from augment.draws import at
from augment.keys import source_words

ENTRIES = (
    "brightness: {delta: 0.5}",
    "contrast: {factor: 0.9}",
    "saturation: {factor: [0, 3]}",
    "hue: {delta: [-0.5, 0.5]}",
    "gamma: {gamma: [0.3, 3]}",
    "grayscale",
    "posterize: {bits: [1, 3, 6]}",
    "solarize: {threshold: [0, 256]}",
    "equalize",
    "autocontrast",
    "sharpness: {factor: 0.9}",
    "blur: {sigma: [0, 3]}",
    "noise: {sigma: [0, 0.3]}",
    "color_jitter: {brightness: 0.4, contrast: 0.4, saturation: 0.4, hue: 0.2}",
    "channel_shuffle",
    "random_erasing",
    "cutout: {side: 9, holes: 2}",
    "elastic: {strength: [0.2, 0.45]}",
)


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.split(":")[0])
def test_a_compiled_batch_has_the_draws_and_pixels_of_single_images(make_recipe, photo_of, entry):
    photos = np.stack([photo_of(33, 20, seed=i) for i in range(4)])
    augmenter = Augmenter(make_recipe(entry, height=33, width=20), seed=2)
    sources = source_words("abcd")
    draws = augmenter.draw_copies(sources, 0)

    def apply(image, draw):
        return augmenter.tail(augmenter.head(image), draw)

    @tf.function(jit_compile=True)
    def compiled(images, high, low):
        drawn = augmenter.draw((high, low), tf.zeros_like(high, tf.int32))
        return drawn, apply(images, drawn)

    alone = np.stack([apply(tf.constant(photo), at(draws, i)).numpy() for i, photo in enumerate(photos)])
    drawn, batch = compiled(*map(tf.constant, (photos, sources[:, 0], sources[:, 1])))
    tf.nest.map_structure(np.testing.assert_array_equal, drawn, draws)
    np.testing.assert_array_equal(batch, alone)
