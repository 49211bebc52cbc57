"""What stands in the wrong place, such as a recipe's name for a recipe, is told in a sentence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import augment
from augment.errors import RequestError
from pipelines import datasets

RECIPE = augment.load_recipe("cifar10")
PIXELS = np.zeros([8, 8, 3], np.uint8)
SOURCES = tf.data.Dataset.from_tensors({"image": PIXELS, "source": "a.png"})


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (
            lambda: augment.augment_image(PIXELS, "cifar10", seed=0, source="a", copy=0),
            "the recipe is 'cifar10'; it must be a Recipe, such as augment.load_recipe('cifar10') gives",
        ),
        (lambda: augment.Augmenter(Path("mine.yaml"), 0), "such as augment.load_recipe('mine.yaml') gives"),
        (lambda: augment.AugmentLayer({"ops": []}), "the recipe is a dict; it must be a Recipe"),
        (
            lambda: augment.parse_recipe({"ops": ["invert"]}, name="mine"),
            "recipe mine: a dict stands where its YAML has to, a str; augment.Recipe makes one of ops",
        ),
        (
            lambda: augment.load_recipe(RECIPE),
            "a Recipe stands where a preset's name or a recipe's path has to",
        ),
        (lambda: augment.augment_dataset(SOURCES, "cifar10", seed=0, copy=0), "the recipe is 'cifar10'"),
        (
            lambda: augment.augment_dataset("photos", RECIPE, seed=0, copy=0),
            "the dataset is 'photos'; it must be a tf.data.Dataset",
        ),
        (lambda: datasets.from_images("photos", "cifar10", seed=0), "the recipe is 'cifar10'"),
        (
            lambda: datasets.from_images(RECIPE, RECIPE, seed=0),
            "a directory or file is given by its path, a str; Recipe is none",
        ),
        (lambda: datasets.from_shards(RECIPE), "given by its path, a str; Recipe is none"),
        (lambda: datasets.numpy(5), "given by its path, a str; int is none"),
        (lambda: datasets.numpy(""), "given by its path, and here it is empty; this one is ."),
        (lambda: augment.source_words("a.png"), "they must be a list of ids, such as ['a.png']"),
    ],
)
def test_a_wrong_argument_is_named_with_what_would_be_right(call, sentence):
    with pytest.raises(RequestError) as error:
        call()
    assert sentence in str(error.value)


def test_a_directory_may_be_a_path_object(tmp_path):
    (tmp_path / "cat").mkdir()
    Image.fromarray(PIXELS).save(tmp_path / "cat/1.png")
    assert len(datasets.from_images(tmp_path, RECIPE, seed=0, split="train")) == 1
