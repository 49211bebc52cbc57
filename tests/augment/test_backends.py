"""One recipe, every way to compute it: the same levels, whoever computes them, alone or in a batch."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from augment import backends, graphs
from augment.augmenter import Augmenter
from augment.draws import at, flat, nested
from augment.kernels import canary, device, formulas, host
from augment.keys import source_words
from augment.recipe import Recipe
from tests.augment.conftest import EVERY_OP, recipe_of, sets_size

SOURCES = 5
SIZE = (21, 34)


def images(rng: np.random.Generator, channels: int) -> np.ndarray:
    """uint8 [SOURCES, *SIZE, channels]: smooth, noise, extremes."""
    y, x = np.mgrid[0 : SIZE[0], 0 : SIZE[1]]
    smooth = 128 + 120 * np.sin(x / 5 + y / 9 + np.arange(channels)[:, None, None])
    made = [smooth.transpose(1, 2, 0) + rng.normal(0, 9, (*SIZE, channels))] * 2
    made += [rng.integers(0, 256, (*SIZE, channels))] * 2
    made += [rng.choice([0, 255], (*SIZE, channels))]
    return np.clip(np.stack(made), 0, 255).astype(np.uint8)


def on_a_graph(recipe: Recipe, seed: int, *, xla: bool = False) -> tf.types.experimental.GenericFunction:
    augmenter = Augmenter(recipe, seed)

    @tf.function(autograph=False, jit_compile=xla)
    def computed(batch: tf.Tensor, key: tf.Tensor, copy: tf.Tensor) -> tf.Tensor:
        draw = augmenter.draw((key[:, 0], key[:, 1]), copy)
        return device.apply(augmenter.kernels(draw, device.size_of(batch)), batch)

    return computed


def assert_all_agree(
    recipe: Recipe, seed: int, channels: int, *, graph: bool = True, xla: bool = False
) -> None:
    augmenter = Augmenter(recipe, seed)
    batch = images(np.random.default_rng(seed), channels)
    words = source_words([f"{i}.png" for i in range(SOURCES)])
    draws = augmenter.draw_copies(words, 2)
    alone = [augmenter.kernels(at(draws, i), SIZE) for i in range(SOURCES)]
    expected = np.stack([host.apply(k, image) for k, image in zip(alone, batch, strict=True)])
    assert expected.shape == (SOURCES, *recipe.image_size, channels)
    ways = {
        "formula": [formulas.apply(k, image) for k, image in zip(alone, batch, strict=True)],
        "batch, NumPy's draws": device.apply(augmenter.kernels(draws, SIZE), tf.constant(batch)),
    }
    if graph:
        tensors = nested({path: tf.constant(values) for path, values in flat(draws).items()})
        ways |= {
            "eager": [device.apply(k, tf.constant(image)) for k, image in zip(alone, batch, strict=True)],
            "batch, TensorFlow's draws": device.apply(augmenter.kernels(tensors, SIZE), tf.constant(batch)),
            "graph": on_a_graph(recipe, seed)(batch, words, np.full(SOURCES, 2, np.int32)),
        }
    if xla:
        ways["XLA"] = on_a_graph(recipe, seed, xla=True)(batch, words, np.full(SOURCES, 2, np.int32))
    for way, got in ways.items():
        np.testing.assert_array_equal(np.stack(got), expected, err_msg=f"{way}: {recipe!r}")


@pytest.mark.parametrize("channels", [1, 3])
def test_c10_every_op_gives_the_same_levels_in_every_way(any_op, channels):
    recipe = recipe_of(any_op, height=SIZE[0], width=SIZE[1])
    nobody = Augmenter(recipe, 0).draw_copies(source_words([]), 0)
    compiles = device.compiles(Augmenter(recipe, 0).kernels(nobody, SIZE))
    assert compiles or any_op.startswith(("jpeg_quality", "random_resized_crop"))
    assert_all_agree(recipe, 3, channels, graph=channels == 3, xla=compiles and channels == 3)


def test_c10_so_it_does_where_an_op_is_skipped_for_some(any_op_with_p):
    assert_all_agree(recipe_of(any_op_with_p[1], height=SIZE[0], width=SIZE[1]), 3, 3, graph=False)


def a_recipe(rng: np.random.Generator) -> Recipe:
    """One to eight ops that keep the size, some of them not always applied, in any order."""
    entries = [entry for entry in EVERY_OP if not sets_size(entry)]
    chosen = []
    for position in range(rng.integers(1, 9)):
        name, _, rest = entries[rng.integers(len(entries))].partition(":")
        settings = [rest.strip(" {}"), f"id: op{position}"]
        if rng.random() < 0.4 and name != "sometimes":
            settings.append("p: 0.6")
        chosen.append(f"{name}: {{{', '.join(filter(None, settings))}}}")
    return recipe_of(*chosen, height=SIZE[0], width=SIZE[1])


@pytest.mark.slow
@pytest.mark.parametrize("part", range(8))
def test_c10_two_hundred_random_recipes_give_the_same_levels_in_every_way(part):
    for number in range(25 * part, 25 * part + 25):
        recipe = a_recipe(np.random.default_rng(number))
        compiles = "jpeg" not in repr(recipe)
        assert_all_agree(recipe, number, 3, graph=number % 5 == 0, xla=compiles and number % 12 == 0)


def test_the_graphs_of_the_device_backend_take_images_of_any_size(photo_of):
    recipe = recipe_of("flip: {horizontal: 0.5}", "contrast: {factor: 0.4}", height=20, width=33)
    ours, theirs = Augmenter(recipe, 0), Augmenter(recipe, 0, "device")
    for size in ((20, 33), (60, 31), (1, 1)):
        draw = at(ours.draw_copies(source_words(["a"]), 1), 0)
        photo = photo_of(*size)
        np.testing.assert_array_equal(
            theirs.tail(theirs.head(photo), draw), ours.sample(photo, draw, augmented=True)
        )
        np.testing.assert_array_equal(theirs.plain(photo), ours.plain(photo))


@pytest.mark.parametrize(
    ("last", "compiled"), [("rotation: {factor: 0.2}", graphs.AT_ONCE), ("rand_augment: {layers: 1}", 0)]
)
def test_many_samples_at_once_have_the_levels_that_each_has_alone(photo_of, monkeypatch, last, compiled):
    monkeypatch.setattr(graphs, "COMPILED_FROM", 1)
    calls = []
    at_once = graphs.Device._at_once
    monkeypatch.setattr(graphs.Device, "_at_once", lambda *a: calls.append(made := at_once(*a)) or made)
    recipe = recipe_of("contrast: {factor: 0.4}", "flip: {horizontal: 0.5}", last, height=20, width=33)
    ours, theirs = Augmenter(recipe, 0), Augmenter(recipe, 0, "device")
    sources = [f"{i}.png" for i in range(graphs.AT_ONCE + 1)]
    photos = [photo_of(30, 40) if i % 2 else photo_of(60 + i, 31) for i, _ in enumerate(sources)]
    draws = ours.draw_copies(source_words(sources), 1)
    heads, expected = ours.heads(photos), ours.tails(ours.heads(photos), draws)
    np.testing.assert_array_equal(theirs.heads(photos), heads)
    np.testing.assert_array_equal(theirs.tails(heads, draws), expected)
    np.testing.assert_array_equal([theirs.tail(h, at(draws, i)) for i, h in enumerate(heads)], expected)
    assert [len(made) for made in calls] == [2, compiled]  # for the other sizes, of too few, none is compiled


def test_c9_a_host_that_computes_something_else_is_not_used_and_that_is_said(monkeypatch, capsys):
    monkeypatch.setattr(canary, "differences", lambda: ["resize_area"])
    backends.backend.cache_clear()
    try:
        assert backends.backend("host").name == "device"
        assert "(resize_area); TensorFlow takes their place" in capsys.readouterr().err
    finally:
        backends.backend.cache_clear()


def test_nothing_but_the_device_needs_tensorflow():
    program = (
        "import sys, numpy as np, augment\n"
        "image = np.zeros([30, 40, 3], np.uint8)\n"
        "for name in ('flowers_layers', 'cifar10_autoaugment'):\n"
        "    recipe = augment.load_recipe(name)\n"
        "    augment.augment_image(image, recipe, seed=0, source='a', copy=0)\n"
        "print('tensorflow' in sys.modules)\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ended.stdout == "False\n"
