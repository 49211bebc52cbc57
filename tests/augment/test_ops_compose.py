"""Groups of ops: what is chosen, how ids nest, and that draws hang on the path alone."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest
import tensorflow as tf

from augment.augmenter import Augmenter, augment_image
from augment.draws import Uniforms, at
from augment.errors import RequestError
from augment.kernels import device, host
from augment.kernels.kinds import Choose, Orient
from augment.keys import fold_in, name_words, source_key, source_words, words
from augment.ops.color import Contrast
from augment.ops.sequence import row_kernels
from augment.recipe import Recipe, parse_recipe, recipe_from_document

NESTED = """
  - one_of:
      weights: [1, 2, 3]
      ops:
        - rotation: {factor: 0.1, p: 0.5}
        - contrast: {factor: 0.5}
        - some_of:
            count: [0, 2]
            ops: [invert, grayscale, flip: {horizontal: 0.5}]
  - sometimes:
      p: 0.4
      ops:
        - rotation: {factor: 0.1}
        - zoom: {scale: 0.3, p: 0.3}
        - hue: {delta: [-0.2, 0.2]}
"""

MANY = 4000


def nested() -> Recipe:
    return parse_recipe(f"ops:\n  - resize: {{height: 20, width: 33}}{NESTED}", name="nested")


def drawn(recipe: Recipe, count: int = MANY) -> dict[str, np.ndarray]:
    augmenter = Augmenter(recipe, 3)
    return augmenter.recorded(augmenter.draw_copies(source_words(map(str, range(count))), 0))


def entry(text: str) -> Recipe:
    return parse_recipe(f"ops:\n  - resize: {{height: 20, width: 33}}\n  - {text}\n", name="mine")


def pixels(recipe: Recipe, photo: np.ndarray, source: str) -> np.ndarray:
    return augment_image(photo, recipe, seed=3, source=source, copy=0)


def near(found: float, p: float, count: int = MANY) -> bool:
    """Whether a share is what five standard deviations allow."""
    return abs(found - p) < 5 * np.sqrt(p * (1 - p) / count)


@pytest.fixture
def small(photo_of) -> np.ndarray:
    return photo_of(20, 33, seed=5)


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("one_of", "op 2: one_of: ops is missing; it is a list of one op or more"),
        ("one_of: 5", "op 2: one_of: its settings are 5; they must be pairs of name and value"),
        ("one_of: {ops: []}", "op 2: one_of: ops is []; it must be a list of one op or more"),
        ("one_of: {ops: {invert: {}}}", "op 2: one_of: ops is {'invert': {}}; it must be a list of one op "
         "or more"),
        ("one_of: {ops: [invert, rotatoin]}", "op 2: one_of: op 2: there is no op 'rotatoin'; did you mean "
         "rotation?"),
        ("one_of: {ops: [{hue: {delta: [0, 1]}}]}", "op 2: one_of: op 1: hue: delta is [0, 1]; it must be "
         "[low, high] with low <= high within [-0.5, 0.5]"),
        ("one_of: {ops: [{sometimes: {p: 1, ops: [{gamma: {}}]}}]}", "op 2: one_of: op 1: sometimes: op 1: "
         "gamma: gamma is missing; it is [low, high] with low <= high within (0, 10]"),
        ("one_of: {ops: [invert, {invert: {p: 0.5}}]}", "op 2: one_of: two ops have the id 'invert'; give "
         "the second one an id of its own, such as 'id: invert_2'"),
        ("one_of: {ops: [{random_crop: {height: 4, width: 4}}]}", "op 2: one_of: op 1: random_crop sets the "
         "size of the image; within a group, ops must keep it"),
        ("one_of: {ops: [{rot90: {quarter_turns: 1}}]}", "op 2 (one_of): op 1 (rot90): it changes the size "
         "of the image; within a group, ops must keep it"),
        ("one_of: {ops: [{pad_and_crop: {padding: 50, mode: reflect}}]}", "op 2 (one_of): op 1 "
         "(pad_and_crop): padding is 50; images of 20x33 are too small for it"),
        ("one_of: {ops: [invert], weights: [1, 2]}", "op 2: one_of: weights are 2 numbers; give one for "
         "each op of the list"),
        ("one_of: {ops: [invert], weights: [0]}", "op 2: one_of: weights is [0]; it must be a list of "
         "numbers above 0, one for each op"),
        ("some_of: {ops: [invert]}", "op 2: some_of: count is missing; it is a whole number from 0, or "
         "[low, high] of them with low <= high"),
        ("some_of: {ops: [invert], count: [1, 0]}", "op 2: some_of: count is [1, 0]; it must be a whole "
         "number from 0, or [low, high] of them with low <= high"),
        ("some_of: {ops: [invert], count: 2}", "op 2: some_of: count goes up to 2, which is more than there "
         "are ops"),
        ("sometimes: {ops: [invert]}", "op 2: sometimes: p is missing; it is a number from 0 to 1 (how "
         "often they are applied)"),
    ],
)  # fmt: skip
def test_a_group_is_refused_in_a_sentence_that_says_where_in_it_what_is_wrong(text, sentence):
    with pytest.raises(RequestError) as error:
        entry(text)
    assert str(error.value) == f"recipe mine: {sentence}"


def test_a_group_needs_a_known_size_only_if_an_op_in_it_does():
    with pytest.raises(RequestError, match=r"op 1 \(one_of\): op 2 \(rotation\): rotation needs to know"):
        parse_recipe("ops: [{one_of: {ops: [invert, rotation: {factor: 0.1}]}}]", name="r")
    parse_recipe("ops: [{one_of: {ops: [invert]}}, {resize: {height: 3, width: 3}}]", name="r")


# ---------------------------------------------------------------- one form, one fingerprint


def test_a_nested_recipe_survives_its_canonical_form_as_json():
    recipe = nested()
    document = json.loads(json.dumps(recipe.canonical()))
    again = recipe_from_document(document, name="nested", where="manifest.json")
    assert again.ops == recipe.ops
    assert again.fingerprint() == recipe.fingerprint()


def test_recipes_that_mean_the_same_within_a_group_have_one_fingerprint():
    one = entry("some_of: {count: 1, ops: [invert, contrast: {factor: 0.5}]}")
    other = entry("some_of: {count: [1, 1], ops: [{invert: {p: 1}}, contrast: {factor: [0.5, 1.5]}]}")
    assert one.fingerprint() == other.fingerprint()


def test_a_fingerprint_covers_what_is_within_a_group():
    texts = [
        "one_of: {ops: [invert, contrast: {factor: 0.5}]}",
        "one_of: {ops: [contrast: {factor: 0.5}, invert]}",
        "one_of: {ops: [invert, contrast: {factor: 0.6}]}",
        "one_of: {ops: [invert, contrast: {factor: 0.5, p: 0.5}]}",
        "one_of: {ops: [invert, contrast: {factor: 0.5, id: c}]}",
        "one_of: {ops: [invert, contrast: {factor: 0.5}], weights: [1, 2]}",
        "one_of: {ops: [invert, contrast: {factor: 0.5}], id: g}",
        "some_of: {ops: [invert, contrast: {factor: 0.5}], count: 1}",
        "some_of: {ops: [invert, contrast: {factor: 0.5}], count: 2}",
        "sometimes: {ops: [invert, contrast: {factor: 0.5}], p: 1}",
    ]
    assert len({entry(text).fingerprint() for text in texts}) == len(texts)


# ---------------------------------------------------------------- ids and draws


def test_ids_nest_as_paths_and_every_op_within_records_whether_it_was_applied():
    assert list(drawn(nested(), 1)) == [
        "one_of/rotation.degrees",
        "one_of/rotation.applied",
        "one_of/contrast.factor",
        "one_of/contrast.applied",
        "one_of/some_of.count",
        "one_of/some_of.applied",
        "one_of/some_of/invert.applied",
        "one_of/some_of/grayscale.applied",
        "one_of/some_of/flip.horizontal",
        "one_of/some_of/flip.vertical",
        "one_of/some_of/flip.applied",
        "sometimes.applied",
        "sometimes/rotation.degrees",
        "sometimes/rotation.applied",
        "sometimes/zoom.scale",
        "sometimes/zoom.applied",
        "sometimes/hue.delta",
        "sometimes/hue.applied",
    ]


def test_c2_an_op_within_a_group_draws_by_the_rule_of_every_op_from_its_path():
    copy = fold_in(source_key(3, words(7)), words(0))
    uniforms = Uniforms(fold_in(copy, name_words("one_of/some_of/contrast")))
    recipe = entry("one_of: {ops: [invert, some_of: {count: 1, ops: [contrast: {factor: 0.5}]}]}")
    high, low = (np.array([word]) for word in words(7))
    draw = Augmenter(recipe, 3).draw((high, low), np.zeros(1, np.int32))
    by_hand = Contrast(factor=(0.5, 1.5)).draw(uniforms, None)["factor"]
    assert draw["one_of"]["ops"]["some_of"]["ops"]["contrast"]["factor"][0] == by_hand


def test_c5_ops_beside_it_leave_the_draws_of_an_op_within_a_group_alone():
    before = drawn(entry("one_of: {ops: [contrast: {factor: 0.5}, hue: {delta: [0, 0.1]}]}"))
    for text in (
        "one_of: {ops: [contrast: {factor: 0.5}, invert, zoom: {scale: 0.5}, hue: {delta: [0, 0.1]}]}",
        "one_of: {ops: [hue: {delta: [0, 0.1]}, contrast: {factor: 0.5}], weights: [1, 9], p: 0.5}",
        "some_of: {id: one_of, count: 1, ops: [contrast: {factor: 0.5}, hue: {delta: [0, 0.1]}]}",
        "one_of: {ops: [hue: {delta: [0, 0.1]}, contrast: {factor: 0.5}]}\n  - contrast: {factor: 0.1}",
    ):
        after = drawn(entry(text))
        for name in ("one_of/contrast.factor", "one_of/hue.delta"):
            np.testing.assert_array_equal(after[name], before[name], err_msg=text)


def test_c5_a_group_leaves_the_draws_of_the_ops_around_it_alone():
    alone = drawn(entry("flip: {horizontal: 0.5}\n  - contrast: {factor: 0.5}"))
    among = drawn(entry("contrast: {factor: 0.5}" + NESTED + "  - flip: {horizontal: 0.5}"))
    for name in ("flip.horizontal", "contrast.factor"):
        np.testing.assert_array_equal(among[name], alone[name])
    assert (among["contrast.factor"] != among["one_of/contrast.factor"]).mean() > 0.99


def test_ops_within_different_groups_draw_apart():
    draws = drawn(nested())
    assert (draws["one_of/rotation.degrees"] != draws["sometimes/rotation.degrees"]).mean() > 0.99


# ---------------------------------------------------------------- what is chosen


def test_one_of_applies_exactly_one_as_often_as_its_weights_say():
    draws = drawn(entry("one_of: {ops: [invert, grayscale, flip: {horizontal: 1}], weights: [1, 2, 1]}"))
    applied = np.stack([draws[f"one_of/{name}.applied"] for name in ("invert", "grayscale", "flip")])
    assert (applied.sum(0) == 1).all()
    for share, p in zip(applied.mean(1), (0.25, 0.5, 0.25), strict=True):
        assert near(share, p)


def test_weights_that_are_all_alike_mean_nothing():
    plain = drawn(entry("one_of: {ops: [invert, grayscale, flip: {horizontal: 1}]}"))
    alike = drawn(entry("one_of: {ops: [invert, grayscale, flip: {horizontal: 1}], weights: [7, 7, 7]}"))
    for name, values in plain.items():
        np.testing.assert_array_equal(alike[name], values)


def test_some_of_applies_as_many_as_it_drew_and_every_choice_of_them_as_often():
    names = ("invert", "grayscale", "flip", "rot90")
    draws = drawn(
        entry("some_of: {count: [1, 3], ops: [invert, grayscale, flip: {horizontal: 1}, rot90: "
              "{quarter_turns: 2}]}")
    )  # fmt: skip
    applied = np.stack([draws[f"some_of/{name}.applied"] for name in names])
    np.testing.assert_array_equal(applied.sum(0), draws["some_of.count"])
    for count in (1, 2, 3):
        assert near((draws["some_of.count"] == count).mean(), 1 / 3)
        choices = list(itertools.combinations(range(4), count))
        of_that = applied[:, draws["some_of.count"] == count]
        for choice in choices:
            wanted = np.isin(np.arange(4), choice)[:, np.newaxis]
            share = (of_that == wanted).all(0).mean()
            assert near(share, 1 / len(choices), of_that.shape[1])


def test_some_of_takes_none_or_all_where_it_is_told_to():
    assert not drawn(entry("some_of: {count: 0, ops: [invert]}"))["some_of/invert.applied"].any()
    draws = drawn(entry("some_of: {count: 2, ops: [invert, grayscale]}"))
    assert draws["some_of/invert.applied"].all()
    assert draws["some_of/grayscale.applied"].all()


def test_sometimes_applies_all_or_none_by_its_p():
    draws = drawn(entry("sometimes: {p: 0.3, ops: [invert, grayscale]}"))
    assert near(draws["sometimes.applied"].mean(), 0.3)
    for name in ("invert", "grayscale"):
        np.testing.assert_array_equal(draws[f"sometimes/{name}.applied"], draws["sometimes.applied"])


# ---------------------------------------------------------------- pixels

REPLAYED = """
  - one_of:
      p: 0.8
      ops:
        - invert: {p: 0.5}
        - sometimes:
            p: 0.6
            ops: [flip: {horizontal: 1}, invert: {p: 0.5}]
        - some_of: {count: [0, 3], ops: [invert, rot90: {quarter_turns: 2}, flip: {horizontal: 1}]}
"""


def test_an_op_changes_pixels_if_and_only_if_its_path_is_recorded_as_applied(small):
    recipe = parse_recipe(f"ops:\n  - resize: {{height: 20, width: 33}}{REPLAYED}", name="r")
    draws = drawn(recipe, 60)
    change = {
        "invert": lambda image: 255 - image,
        "flip": lambda image: image[:, ::-1],
        "rot90": lambda image: image[::-1, ::-1],
    }
    seen = set()
    for i in range(60):
        paths = [name.removesuffix(".applied") for name, v in draws.items() if "applied" in name and v[i]]
        expected = small
        for path in paths:  # in the order of the recipe
            expected = change.get(path.rpartition("/")[2], lambda image: image)(expected)
        np.testing.assert_array_equal(pixels(recipe, small, str(i)), expected)
        seen.add(tuple(paths))
    assert len(seen) > 8


def test_of_one_sample_only_what_is_applied_to_it_is_described(small):
    turns = "flip: {horizontal: 1}, trivial_augment, rot90: {quarter_turns: 2, p: 0.5}"
    recipe = entry(f"some_of: {{count: [0, 2], p: 0.7, ops: [{turns}]}}")
    augmenter = Augmenter(recipe, 3)
    draws = augmenter.draw_copies(source_words(map(str, range(40))), 0)
    record = augmenter.recorded(draws)
    counts = set()
    for i in range(40):
        kernels = row_kernels(recipe.steps[1:], at(draws, i), (20, 33))
        assert not any(isinstance(kernel, Choose) for kernel in kernels)
        turned = sum(isinstance(kernel, Orient) for kernel in kernels)
        assert turned == sum(record[f"some_of/{name}.applied"][i] for name in ("flip", "rot90"))
        np.testing.assert_array_equal(host.apply(kernels, small), pixels(recipe, small, str(i)))
        counts.add(turned)
    assert counts == {0, 1, 2}


def test_the_chosen_op_does_what_it_does_alone(small):
    group = entry("one_of: {ops: [contrast: {factor: 0.5}, rotation: {factor: 0.1}, hue: {delta: [0, 0.4]}]}")
    draws = drawn(group, 12)
    for i in range(12):
        factor, degrees, delta = (
            float(draws[f"one_of/{name}"][i]) for name in ("contrast.factor", "rotation.degrees", "hue.delta")
        )
        fixed = {
            "contrast": f"contrast: {{factor: [{factor!r}, {factor!r}]}}",
            "rotation": f"rotation: {{factor: [{degrees / 360!r}, {degrees / 360!r}]}}",
            "hue": f"hue: {{delta: [{delta!r}, {delta!r}]}}",
        }
        [name] = [n for n in fixed if draws[f"one_of/{n}.applied"][i]]
        alone = pixels(entry(fixed[name]), small, str(i)).astype(int)
        got = pixels(group, small, str(i)).astype(int)
        assert (alone != small).any()
        assert (np.abs(got - alone) > 1).mean() < 0.01  # parameters are recorded rounded to float32


def test_affine_neighbors_within_sometimes_are_one_resampling_as_they_are_in_a_recipe(small):
    affine = ("rotation: {factor: [0.1, 0.1]}", "zoom: {scale: [1.2, 1.2]}", "shear: {x: [0.2, 0.2]}")
    beside = entry("\n  - ".join(affine))
    within = entry(f"sometimes: {{p: 1, ops: [{', '.join(affine)}]}}")
    np.testing.assert_array_equal(pixels(within, small, "a"), pixels(beside, small, "a"))
    apart = entry(f"some_of: {{count: 3, ops: [{', '.join(affine)}]}}")
    assert (pixels(apart, small, "a") != pixels(beside, small, "a")).any()


def test_c1_a_nested_recipe_gives_equal_pixels_alone_in_a_batch_a_graph_and_a_dataset(photo_of):
    photos = np.stack([photo_of(20, 33, seed=i) for i in range(12)])
    augmenter = Augmenter(nested(), 3)
    draws = augmenter.draw_copies(source_words(map(str, range(12))), 0)
    alone = [augmenter.tail(photo, at(draws, i)) for i, photo in enumerate(photos)]

    def tail(photo, draw):
        return device.apply(row_kernels(augmenter.recipe.steps[1:], draw, (20, 33)), photo)

    tensors = tf.nest.map_structure(tf.constant, draws)
    np.testing.assert_array_equal(tail(tf.constant(photos), tensors), alone)
    np.testing.assert_array_equal(tf.function(tail, autograph=False)(tf.constant(photos), tensors), alone)
    dataset = tf.data.Dataset.from_tensor_slices((photos, draws)).map(tail)
    np.testing.assert_array_equal(list(dataset), alone)


def test_c2_a_nested_recipe_draws_the_same_bits_in_a_graph_and_under_xla():
    augmenter = Augmenter(nested(), 3)
    sources = source_words(map(str, range(200)))
    draws = augmenter.draw_copies(sources, 1)
    for compiled in (False, True):
        graph = tf.function(lambda s: augmenter.draw_copies(s, 1), jit_compile=compiled, autograph=False)
        got = graph(tf.constant(sources))
        tf.nest.map_structure(np.testing.assert_array_equal, got, draws)


def test_a_group_leaves_images_alone_that_are_not_augmented(small):
    got = augment_image(small, nested(), seed=3, source="a", copy=-1)
    np.testing.assert_array_equal(got, small)


def test_a_group_that_draws_nothing_is_shared_by_all_copies():
    def deterministic(text: str) -> bool:
        return entry(text).steps[1].deterministic

    assert deterministic("sometimes: {p: 1, ops: [grayscale, invert]}")
    assert not deterministic("sometimes: {p: 0.5, ops: [grayscale]}")
    assert not deterministic("sometimes: {p: 1, ops: [grayscale, flip: {horizontal: 1}]}")
    assert not deterministic("one_of: {ops: [grayscale, invert]}")
