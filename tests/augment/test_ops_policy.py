"""Policies: their operations against Pillow, their tables against the papers, and what is drawn."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageEnhance, ImageOps

from augment.augmenter import Augmenter
from augment.draws import at
from augment.errors import RequestError
from augment.kernels import device, host
from augment.kernels.kinds import Warp
from augment.kernels.maps import Affine
from augment.keys import source_words
from augment.ops.operations import OPERATIONS, fixed_matrix
from augment.ops.policy import sub_policies
from augment.recipe import Recipe, parse_recipe

SIZE = (24, 33)
MANY = 14_000


def entry(text: str, size: tuple[int, int] = SIZE) -> Recipe:
    return parse_recipe(
        f"ops:\n  - resize: {{height: {size[0]}, width: {size[1]}}}\n  - {text}\n", name="mine"
    )


def drawn(text: str, count: int = MANY) -> dict[str, np.ndarray]:
    """What is recorded, without the op's id."""
    augmenter = Augmenter(entry(text), 5)
    draws = augmenter.draw_copies(source_words(map(str, range(count))), 0)
    [policy] = [op.id for op in augmenter.recipe.ops[1:]]
    return {name: values for name, values in draws[policy].items() if not name.startswith("_")}


def near(found: float, p: float, count: int = MANY) -> bool:
    """Whether a share is what five standard deviations allow."""
    return abs(found - p) <= 5 * np.sqrt(p * (1 - p) / count)


# ---------------------------------------------------------------- operations


def in_pillow(name: str, magnitude: float, image: Image.Image, fill: int) -> Image.Image:
    """The operation as the papers' code calls it."""

    def affine(*matrix: float) -> Image.Image:
        transform, nearest = Image.Transform.AFFINE, Image.Resampling.NEAREST
        return image.transform(image.size, transform, matrix, nearest, fillcolor=(fill,) * 3)

    match name:
        case "identity":
            return image
        case "autocontrast":
            return ImageOps.autocontrast(image)
        case "equalize":
            return ImageOps.equalize(image)
        case "invert":
            return ImageOps.invert(image)
        case "rotate":
            return image.rotate(magnitude, Image.Resampling.NEAREST, fillcolor=(fill,) * 3)
        case "posterize":
            return ImageOps.posterize(image, int(magnitude))
        case "solarize":
            return ImageOps.solarize(image, int(magnitude))
        case "shear_x":
            return affine(1, magnitude, 0, 0, 1, 0)
        case "shear_y":
            return affine(1, 0, 0, magnitude, 1, 0)
        case "translate_x":
            return affine(1, 0, magnitude, 0, 1, 0)
        case "translate_y":
            return affine(1, 0, 0, 0, 1, magnitude)
        case _:
            return getattr(ImageEnhance, name.capitalize())(image).enhance(magnitude)


def replayed(image: np.ndarray, operations: list[tuple[int, float]], fill: int) -> np.ndarray:
    """Applies recorded operations with Pillow."""
    picture = Image.fromarray(image)
    for number, magnitude in operations:
        picture = in_pillow(OPERATIONS[number], float(magnitude), picture, fill)
    return np.asarray(picture)


SPACES = (
    "rand_augment: {magnitude: 0}",
    "rand_augment: {magnitude: 17}",
    "rand_augment: {magnitude: 30}",
    "trivial_augment",
    "auto_augment: {policy: cifar10}",
    "auto_augment: {policy: imagenet}",
    "auto_augment: {policy: svhn}",
    "aug_mix: {severity: 10}",
)


def space_of(text: str, size: tuple[int, int]):
    augmenter = Augmenter(entry(text, size), 0)
    policy = augmenter.recipe.ops[-1]
    return policy.space(size)


@pytest.mark.parametrize("text", SPACES)
@pytest.mark.parametrize("size", [(24, 33), (32, 32), (1, 7)], ids=str)
def test_every_operation_is_that_of_pillow_bit_for_bit_at_every_magnitude(photo_of, text, size):
    image = photo_of(*size, seed=3)
    space = space_of(text, size)
    for position, name in enumerate(space.names):
        magnitudes = space.magnitudes[position]
        for index in range(0, len(magnitudes), max(1, len(magnitudes) // 62)):
            [kernels] = space.kernels(np.array([position * len(magnitudes) + index]), 77)
            expected = in_pillow(name, float(magnitudes[index]), Image.fromarray(image), 77)
            got = host.apply(kernels, image)
            np.testing.assert_array_equal(got, expected, err_msg=f"{name} {magnitudes[index]}")


@pytest.mark.parametrize("size", [(40, 40), (31, 50), (2, 3), (1, 1)], ids=str)
def test_any_affine_map_is_that_of_pillow(photo_of, size):
    image = photo_of(*size, seed=1)
    rng = np.random.default_rng(0)
    for _ in range(40):
        matrix = tuple(float(v) for v in rng.normal(size=6) * [1, 0.5, 9, 0.5, 1, 9])
        expected = Image.fromarray(image).transform(
            (size[1], size[0]), Image.Transform.AFFINE, matrix, Image.Resampling.NEAREST, fillcolor=(9, 9, 9)
        )
        moved = Warp(map=Affine(fixed_matrix(matrix)), interpolation="nearest", border="constant", fill=9)
        np.testing.assert_array_equal(host.apply((moved,), image), expected)


@pytest.mark.parametrize(
    "text",
    [
        "rand_augment: {layers: 3, magnitude: 25, fill_value: 128}",
        "trivial_augment: {fill_value: 128}",
        "auto_augment: {policy: cifar10, fill_value: 128}",
        "auto_augment: {policy: imagenet, fill_value: 128}",
        "auto_augment: {policy: svhn, fill_value: 128}",
    ],
)
def test_what_is_recorded_tells_pillow_how_to_make_the_same_pixels(photo_of, text):
    photo = photo_of(*SIZE, seed=2)
    augmenter = Augmenter(entry(text), 5)
    draws = augmenter.draw_copies(source_words(map(str, range(40))), 0)
    record = drawn(text, 40)
    layers = sum(name.startswith("op_") for name in record)
    changed = 0
    for i in range(40):
        operations = [(record[f"op_{j}"][i], record[f"magnitude_{j}"][i]) for j in range(1, layers + 1)]
        got = augmenter.tail(photo, at(draws, i))
        np.testing.assert_array_equal(got, replayed(photo, operations, 128), err_msg=str(operations))
        changed += (got != photo).any()
    assert changed > 20


def test_aug_mix_is_the_recorded_mixture_of_the_recorded_chains(photo_of):
    photo = photo_of(*SIZE, seed=2)
    text = "aug_mix: {severity: 8, width: 3, depth: [1, 3], fill_value: 40}"
    augmenter = Augmenter(entry(text), 5)
    draws = augmenter.draw_copies(source_words(map(str, range(25))), 0)
    record = drawn(text, 25)
    for i in range(25):
        total = photo * np.float64(record["weight_0"][i])
        for c in (1, 2, 3):
            chain = [(record[f"op_{c}_{j}"][i], record[f"magnitude_{c}_{j}"][i]) for j in (1, 2, 3)]
            total += replayed(photo, chain, 40) * np.float64(record[f"weight_{c}"][i])
        got = augmenter.tail(photo, at(draws, i))
        np.testing.assert_array_equal(got, np.rint(total))  # half to even, as everywhere


# ---------------------------------------------------------------- the papers' tables

# As the authors' released code has them (tensorflow/models, research/autoaugment), where
# operations without a magnitude have one that means nothing.
PUBLISHED = {
    "cifar10": """
        Invert .1 7 Contrast .2 6          Rotate .7 2 TranslateX .3 9       Sharpness .8 1 Sharpness .9 3
        ShearY .5 8 TranslateY .7 9        AutoContrast .5 8 Equalize .9 2   ShearY .2 7 Posterize .3 7
        Color .4 3 Brightness .6 7         Sharpness .3 9 Brightness .7 9    Equalize .6 5 Equalize .5 1
        Contrast .6 7 Sharpness .6 5       Color .7 7 TranslateX .5 8        Equalize .3 7 AutoContrast .4 8
        TranslateY .4 3 Sharpness .2 6     Brightness .9 6 Color .2 8        Solarize .5 2 Invert 0 3
        Equalize .2 0 AutoContrast .6 0    Equalize .2 8 Equalize .6 4       Color .9 9 Equalize .6 6
        AutoContrast .8 4 Solarize .2 8    Brightness .1 3 Color .7 0        Solarize .4 5 AutoContrast .9 3
        TranslateY .9 9 TranslateY .7 9    AutoContrast .9 2 Solarize .8 3   Equalize .8 8 Invert .1 3
        TranslateY .7 9 AutoContrast .9 1""",
    "svhn": """
        ShearX .9 4 Invert .2 3            ShearY .9 8 Invert .7 5           Equalize .6 5 Solarize .6 6
        Invert .9 3 Equalize .6 3          Equalize .6 1 Rotate .9 3         ShearX .9 4 AutoContrast .8 3
        ShearY .9 8 Invert .4 5            ShearY .9 5 Solarize .2 6         Invert .9 6 AutoContrast .8 1
        Equalize .6 3 Rotate .9 3          ShearX .9 4 Solarize .3 3         ShearY .8 8 Invert .7 4
        Equalize .9 5 TranslateY .6 6      Invert .9 4 Equalize .6 7         Contrast .3 3 Rotate .8 4
        Invert .8 5 TranslateY 0 2         ShearY .7 6 Solarize .4 8         Invert .6 4 Rotate .8 4
        ShearY .3 7 TranslateX .9 3        ShearX .1 6 Invert .6 5           Solarize .7 2 TranslateY .6 7
        ShearY .8 4 Invert .8 8            ShearX .7 9 TranslateY .8 3       ShearY .8 5 AutoContrast .7 3
        ShearX .7 2 Invert .1 5""",
    "imagenet": """
        Posterize .4 8 Rotate .6 9         Solarize .6 5 AutoContrast .6 5   Equalize .8 8 Equalize .6 3
        Posterize .6 7 Posterize .6 6      Equalize .4 7 Solarize .2 4       Equalize .4 4 Rotate .8 8
        Solarize .6 3 Equalize .6 7        Posterize .8 5 Equalize 1 2       Rotate .2 3 Solarize .6 8
        Equalize .6 8 Posterize .4 6       Rotate .8 8 Color .4 0            Rotate .4 9 Equalize .6 2
        Equalize 0 7 Equalize .8 8         Invert .6 4 Equalize 1 8          Color .6 4 Contrast 1 8
        Rotate .8 8 Color 1 2              Color .8 8 Solarize .8 7          Sharpness .4 7 Invert .6 8
        ShearX .6 5 Equalize 1 9           Color .4 0 Equalize .6 3          Equalize .4 7 Solarize .2 4
        Solarize .6 5 AutoContrast .6 5    Invert .6 4 Equalize 1 8          Color .6 4 Contrast 1 8
        Equalize .8 8 Equalize .6 3""",
}

SNAKE = {"ShearX": "shear_x", "ShearY": "shear_y", "TranslateX": "translate_x", "TranslateY": "translate_y"}


@pytest.mark.parametrize("dataset", sorted(PUBLISHED))
def test_the_sub_policies_are_those_that_were_published(dataset):
    fields = PUBLISHED[dataset].split()
    operations = [
        (SNAKE.get(name, name.lower()), float(p), int(level))
        for name, p, level in zip(fields[0::3], fields[1::3], fields[2::3], strict=True)
    ]
    without = ("autocontrast", "equalize", "invert")
    operations = [(name, p, 0 if name in without else level) for name, p, level in operations]
    pairs = zip(operations[0::2], operations[1::2], strict=True)
    assert list(sub_policies(dataset)) == [list(pair) for pair in pairs]
    assert len(sub_policies(dataset)) == 25


def test_the_numbers_of_operations_are_kept_for_they_stand_in_samples_tables():
    assert OPERATIONS == (
        "identity", "autocontrast", "equalize", "invert", "rotate", "posterize", "solarize", "color",
        "contrast", "brightness", "sharpness", "shear_x", "shear_y", "translate_x", "translate_y",
    )  # fmt: skip


def magnitudes(text: str, size: tuple[int, int], *indices: int) -> dict[str, list[float]]:
    space = space_of(text, size)
    return {
        name: [round(float(row[i]), 6) for i in indices]
        for name, row in zip(space.names, space.magnitudes, strict=True)
    }


def test_rand_augment_reaches_the_ends_of_the_ranges_of_auto_augment():
    """Table 6 of Cubuk et al. 2018; its 150 pixels are of 331."""
    assert magnitudes("rand_augment: {magnitude: 30}", (331, 662), 0, 1) == {
        "identity": [0, 0],
        "autocontrast": [0, 0],
        "equalize": [0, 0],
        "rotate": [30, -30],
        "posterize": [4, 4],
        "solarize": [0, 0],
        "color": [1.9, 0.1],
        "contrast": [1.9, 0.1],
        "brightness": [1.9, 0.1],
        "sharpness": [1.9, 0.1],
        "shear_x": [0.3, -0.3],
        "shear_y": [0.3, -0.3],
        "translate_x": [300, -300],
        "translate_y": [150, -150],
    }
    weak = magnitudes("rand_augment: {magnitude: 9}", (32, 32), 0, 1)
    assert weak["rotate"] == [9, -9]
    assert weak["posterize"] == [7, 7]
    assert weak["solarize"] == [180, 180]
    assert weak["color"] == [1.27, 0.73]
    assert weak["translate_x"] == [4, -4]


def test_trivial_augment_has_the_wide_space():
    """Table 1 of Müller and Hutter 2021."""
    ends = magnitudes("trivial_augment", (99, 99), 0, 60, 61)
    assert len(ends) == 14
    assert ends["rotate"] == [0, 135, -135]
    assert ends["posterize"] == [8, 2, 2]
    assert ends["solarize"] == [256, 0, 0]
    assert ends["brightness"] == ends["sharpness"] == [1, 1.99, 0.01]
    assert ends["shear_x"] == ends["shear_y"] == [0, 0.99, -0.99]
    assert ends["translate_x"] == ends["translate_y"] == [0, 32, -32]


def test_auto_augment_divides_the_ranges_into_ten_levels():
    """Table 6 of Cubuk et al. 2018."""
    ends = magnitudes("auto_augment: {policy: imagenet}", (331, 331), 0, 10, 18)
    assert ends["color"] == [0.1, 1.1, 1.9]
    assert ends["posterize"] == [8, 6, 4]
    assert ends["solarize"] == [256, 114, 0]
    assert ends["rotate"] == [0, 16.666667, 30]
    assert magnitudes("auto_augment: {policy: svhn}", (331, 331), 18, 19)["translate_x"] == [150, -150]


def test_aug_mix_draws_levels_up_to_its_severity():
    strongest = magnitudes("aug_mix: {severity: 10}", (60, 90), -2, -1)
    assert strongest["rotate"] == [29, -29]
    assert strongest["translate_x"] == [29, -29]
    assert strongest["translate_y"] == [19, -19]
    assert strongest["shear_x"][0] == pytest.approx(0.3, abs=1e-3)
    weak = space_of("aug_mix: {severity: 1}", (60, 90))
    assert abs(weak.magnitudes[weak.names.index("shear_x")]).max() < 0.03
    assert "color" not in weak.names


# ---------------------------------------------------------------- what is drawn


@pytest.mark.parametrize("text", ["rand_augment: {layers: 2, magnitude: 30}", "trivial_augment"])
def test_each_of_14_operations_is_drawn_as_often_in_every_layer(text):
    record = drawn(text)
    layers = [values for name, values in record.items() if name.startswith("op_")]
    for values in layers:
        assert set(values) == set(range(15)) - {OPERATIONS.index("invert")}
        for number in set(values):
            assert near((values == number).mean(), 1 / 14)
    if len(layers) == 2:
        assert near((layers[0] == layers[1]).mean(), 1 / 14)


def test_signs_and_levels_are_drawn_evenly():
    record = drawn("trivial_augment")
    degrees = record["magnitude_1"][record["op_1"] == OPERATIONS.index("rotate")]
    assert near((degrees > 0).mean(), 30 / 62, len(degrees))
    assert near((degrees < 0).mean(), 30 / 62, len(degrees))
    assert set(np.abs(degrees)) == {4.5 * level for level in range(31)}


@pytest.mark.parametrize("dataset", sorted(PUBLISHED))
def test_sub_policies_are_drawn_evenly_and_their_operations_with_their_probabilities(dataset):
    record = drawn(f"auto_augment: {{policy: {dataset}}}")
    for number, pair in enumerate(sub_policies(dataset)):
        chosen = record["sub_policy"] == number
        assert near(chosen.mean(), 1 / 25)
        for i, (name, p, _) in enumerate(pair, start=1):
            operations = record[f"op_{i}"][chosen]
            assert set(operations) <= {OPERATIONS.index(name), 0}
            assert near((operations != 0).mean(), p, chosen.sum())


def test_the_shares_of_aug_mix_add_up_to_one_and_are_as_dirichlet_and_beta_have_them():
    record = drawn("aug_mix: {width: 3}")
    shares = np.stack([np.float64(record[f"weight_{c}"]) for c in range(4)])
    assert (shares.sum(0) == 1).all()
    assert (shares >= 0).all()
    mixed = 1 - shares[0]
    assert abs(mixed.mean() - 1 / 2) < 5 * np.sqrt(1 / 12 / MANY)
    assert abs((mixed**2).mean() - 1 / 3) < 5 * np.sqrt(4 / 45 / MANY)
    for chain in shares[1:] / mixed:  # each marginal of Dirichlet(1, 1, 1) is Beta(1, 2)
        assert abs(chain.mean() - 1 / 3) < 5 * np.sqrt(1 / 18 / MANY)
        assert abs((chain**2).mean() - 1 / 6) < 0.01
    assert np.corrcoef(shares[1:] / mixed)[0, 1] == pytest.approx(-0.5, abs=0.04)


def test_chains_of_aug_mix_have_every_depth_as_often():
    record = drawn("aug_mix: {width: 2, depth: [1, 3]}")
    for c in (1, 2):
        depth = sum((record[f"op_{c}_{i}"] != 0).astype(int) for i in (1, 2, 3))
        for count in (1, 2, 3):
            assert near((depth == count).mean(), 1 / 3)
        first = record[f"op_{c}_1"]
        assert len(set(first)) == 9
        assert near((first == OPERATIONS.index("rotate")).mean(), 1 / 9)


def test_c5_a_further_layer_or_chain_leaves_the_others_alone():
    for few, many in (
        ("rand_augment: {layers: 2}", "rand_augment: {layers: 4}"),
        ("aug_mix: {width: 2, depth: [3, 3]}", "aug_mix: {width: 3, depth: [3, 3]}"),
        ("aug_mix: {depth: [2, 2]}", "aug_mix: {depth: [4, 4]}"),
    ):
        before, after = drawn(few, 50), drawn(many, 50)
        for name, values in before.items():
            if not name.startswith("weight"):
                np.testing.assert_array_equal(after[name], values, err_msg=name)


@pytest.mark.parametrize(
    "text",
    [
        "rand_augment: {layers: 3, magnitude: 20}",
        "trivial_augment",
        "auto_augment: {policy: cifar10}",
        "aug_mix: {width: 2, depth: [1, 2]}",
    ],
)
@pytest.mark.parametrize(
    "compiled", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["graph", "xla"]
)
def test_a_batch_in_a_graph_has_the_draws_and_pixels_of_single_images_on_the_host(photo_of, text, compiled):
    photos = np.stack([photo_of(*SIZE, seed=i) for i in range(16)])
    augmenter = Augmenter(entry(text), 5)
    policy = augmenter.recipe.ops[1]
    sources = source_words(map(str, range(16)))
    draws = augmenter.draw_copies(sources, 0)
    alone = [
        host.apply(policy.kernels(at(draws[policy.id], i), SIZE), photo) for i, photo in enumerate(photos)
    ]

    @tf.function(jit_compile=compiled, autograph=False)
    def run(photos, sources):
        drawn = augmenter.draw_copies(sources, 0)
        return drawn, device.apply(policy.kernels(drawn[policy.id], SIZE), photos)

    tensors, got = run(tf.constant(photos), tf.constant(sources))
    tf.nest.map_structure(np.testing.assert_array_equal, tensors, draws)
    np.testing.assert_array_equal(got, alone)
    if not compiled:
        single = tf.function(
            lambda photo, draw: device.apply(policy.kernels(draw, SIZE), photo), autograph=False
        )
        for i in range(4):
            given = tf.nest.map_structure(tf.constant, at(draws[policy.id], i))
            np.testing.assert_array_equal(single(tf.constant(photos[i]), given), alone[i])


# ---------------------------------------------------------------- settings


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("auto_augment", "policy is missing; it is one of cifar10, imagenet, svhn"),
        ("auto_augment: {policy: cifar}", "policy is 'cifar'; it must be one of cifar10, imagenet, svhn"),
        ("rand_augment: {magnitude: 31}", "magnitude is 31; it must be a whole number from 0 to 30 (M: how "
         "strong all of them are)"),
        ("rand_augment: {n: 2}", "there is no setting 'n'; here it is layers"),
        ("aug_mix: {depth: [3, 1]}", "depth is [3, 1]; it must be [low, high], whole numbers with low <= "
         "high within [1, 8]"),
    ],
)  # fmt: skip
def test_settings_that_a_policy_does_not_have_are_refused(text, sentence):
    with pytest.raises(RequestError) as error:
        entry(text)
    assert str(error.value) == f"recipe mine: op 2: {text.partition(':')[0]}: {sentence}"


def test_a_policy_needs_to_know_the_size_of_its_images():
    with pytest.raises(RequestError, match=r"op 1 \(rand_augment\): rand_augment needs to know the size"):
        parse_recipe("ops: [rand_augment, {resize: {height: 9, width: 9}}]", name="r")


def test_at_magnitude_0_only_what_has_no_magnitude_changes_pixels(photo_of):
    photo = photo_of(*SIZE, seed=2)
    augmenter = Augmenter(entry("rand_augment: {layers: 1, magnitude: 0}"), 5)
    draws = augmenter.draw_copies(source_words(map(str, range(60))), 0)
    for i in range(60):
        got = augmenter.tail(photo, at(draws, i))
        if OPERATIONS[draws["rand_augment"]["op_1"][i]] not in ("autocontrast", "equalize"):
            np.testing.assert_array_equal(got, photo)


def test_rand_augment_at_9_of_10_is_rand_augment_at_27_of_30():
    paper, torchvision = (
        entry(f"rand_augment: {{magnitude: {m}, highest: {h}}}").ops[1] for m, h in ((9, 10), (27, 30))
    )
    np.testing.assert_array_equal(paper.space(SIZE).magnitudes, torchvision.space(SIZE).magnitudes)
