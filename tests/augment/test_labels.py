"""Label safety: which classes an op endangers by their names, and which it leaves alone."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from augment.errors import RequestError
from augment.labels.findings import findings, opaque, summary
from augment.labels.hazards import recolored, turned
from augment.labels.lexicon import fold, words
from augment.labels.mending import mended
from augment.ops import Hazard, Op, base
from augment.recipe import Recipe, load_recipe, parse_recipe, preset_names, recipe_from_document

DIGITS = [str(digit) for digit in range(10)]
CIFAR10 = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
MIRROR, UPSIDE_DOWN = "flip: {horizontal: 0.5}", "flip: {vertical: 0.5}"
HALF_TURN, QUARTER_TURN = "rot90: {quarter_turns: [0, 2]}", "rot90: {quarter_turns: [0, 1]}"
HUE = "hue: {delta: [-0.5, 0.5]}"
EVERYTHING = (
    *("flip: {horizontal: 0.5, vertical: 0.5}", "rotation: {factor: 0.5}", "zoom: {scale: [0.5, 2]}"),
    *("width: {scale: 0.5}", "shear: {x: 1}", HUE, "invert", "grayscale", "gamma: {gamma: [0.1, 5]}"),
    *("brightness: {delta: 1}", "perspective: {strength: 0.6}"),
    "random_resized_crop: {height: 16, width: 16}",
)


def recipe_with(*ops: str, before: str = "") -> Recipe:
    entries = "".join(f"  - {op}\n" for op in ops)
    return parse_recipe(f"{before}ops:\n  - resize: {{height: 16, width: 16}}\n{entries}", name="mine")


def endangered(classes: list[str], *ops: str) -> set[tuple[str, ...]]:
    """The classes of each finding, sorted."""
    return {tuple(sorted(f.classes)) for f in findings(recipe_with(*ops), classes)}


def hazards(op: str) -> set[str]:
    return set(recipe_with(op).hazards())


# ---------------------------------------------------------------- digits and letters


def test_upside_down_a_6_is_a_9_in_mirror_writing():
    found = findings(recipe_with("flip: {horizontal: 0.5, vertical: 0.25}"), DIGITS)
    said = {(f.key, f.classes): f for f in found}
    assert "in mirror writing" in said["flip.upside_down", ("6", "9")].problem
    assert said["flip.upside_down", ("6", "9")].narrow == "use flip: {horizontal: 0.5}, without vertical"
    assert said["flip.half_turn", ("6", "9")].problem == "each becomes the other"


def test_a_mirror_alone_does_not_make_a_6_a_9():
    assert ("6", "9") not in endangered(DIGITS, MIRROR)


def test_half_a_turn_makes_a_6_a_9_and_some_degrees_do_not():
    assert ("6", "9") in endangered(DIGITS, "rotation: {factor: 0.5}")
    assert ("6", "9") in endangered(DIGITS, "rotation: {factor: [0.5, 0.5]}")
    assert endangered(DIGITS, "rotation: {factor: 0.1}") == set()
    assert endangered(DIGITS, "rotation: {factor: 0.02}") == set()


def test_an_op_that_is_never_applied_endangers_nothing():
    assert hazards("invert: {p: 0}") == set()
    assert hazards("one_of: {ops: [invert: {p: 0}]}") == set()


def test_p_does_not_matter():
    assert endangered(DIGITS, "rotation: {factor: 0.5, p: 0.001}") == endangered(
        DIGITS, "rotation: {factor: 0.5}"
    )


@pytest.mark.parametrize(
    ("pair", "op"),
    [
        *(("b d", MIRROR), ("p q", MIRROR), ("2 5", MIRROR), ("٢ ٦", MIRROR), ("letter_b letter_d", MIRROR)),
        *(("b p", UPSIDE_DOWN), ("M W", UPSIDE_DOWN), ("n u", UPSIDE_DOWN), ("٧ ٨", UPSIDE_DOWN)),
        *(("6 9", HALF_TURN), ("p d", HALF_TURN), ("b q", HALF_TURN), ("m w", HALF_TURN)),
        *(("six nine", HALF_TURN), ("ستة تسعة", HALF_TURN), ("шесть девять", HALF_TURN)),
        ("digit_6 digit_9", HALF_TURN),
        *(("N Z", QUARTER_TURN), ("horizontal vertical", QUARTER_TURN)),
    ],
)
def test_characters_that_become_each_other(pair, op):
    assert tuple(sorted(pair.split())) in endangered(pair.split(), op)


def test_capitals_and_small_letters_differ():
    assert endangered(["B", "D"], MIRROR) == set()
    assert endangered(["upper_b", "upper_d"], MIRROR) == set()
    assert endangered(["lower_b", "lower_d"], MIRROR) == {("lower_b", "lower_d")}


def test_writing_is_spoilt_where_it_is_certain_that_there_is_writing():
    assert ("2", "3", "4", "5", "6", "7", "9") in endangered(DIGITS, MIRROR)
    assert endangered(["0", "1", "2", "3", "4"], *EVERYTHING) == set()  # may as well be grades
    signs = ["Speed limit (20km/h)", "Speed limit (50km/h)"]
    assert endangered([*signs, "Yield"], MIRROR) == {tuple(signs)}


def test_numbers_of_classes_are_not_taken_for_digits():
    assert endangered([str(i) for i in range(100)], *EVERYTHING) == set()


# ---------------------------------------------------------------- sides


@pytest.mark.parametrize(
    "pair",
    [
        *("left right", "turnLeft turnRight", "Keep-left Keep-right", "lefthand righthand"),
        *("Linkskurve Rechtskurve", "gauche droite", "izquierda derecha", "esquerda direita"),
        *("sinistra destra", "links rechts", "налево направо", "lewo prawo", "sol sağ", "يسار يمين"),
        *("बाएं दाएं", "左转 右转", "左 右", "왼쪽 오른쪽", "east west", "clockwise counterclockwise"),
    ],
)
def test_a_mirror_exchanges_sides(pair):
    assert endangered(pair.split(), MIRROR) == {tuple(sorted(pair.split()))}


def test_sides_of_several_words():
    assert endangered(["à gauche", "à droite"], MIRROR) == {("à droite", "à gauche")}
    assert endangered(["counter clockwise", "clockwise"], MIRROR) == {("clockwise", "counter clockwise")}


@pytest.mark.parametrize(
    "pair", ["up down", "oben unten", "haut bas", "arriba abajo", "上 下", "ऊपर नीचे", "north south"]
)
def test_a_vertical_flip_exchanges_top_and_bottom_and_a_mirror_does_not(pair):
    assert endangered(pair.split(), UPSIDE_DOWN) == {tuple(sorted(pair.split()))}
    assert endangered(pair.split(), HALF_TURN) == {tuple(sorted(pair.split()))}
    assert endangered(pair.split(), MIRROR) == set()


def test_a_side_without_its_opposite_has_a_wrong_label_too():
    assert endangered(["turn_left", "straight"], MIRROR) == {("turn_left",)}
    assert endangered(["right", "wrong"], MIRROR) == set()


def test_names_of_species_and_clothes_are_no_directions():
    assert endangered(["Eastern_Wood_Pewee", "Western_Wood_Pewee"], MIRROR) == set()
    assert endangered(["Oberhemd", "Unterhemd", "T-shirt/top", "bottle"], UPSIDE_DOWN) == set()


def test_only_names_that_differ_by_nothing_else_are_a_pair():
    assert endangered(["left_hand", "right_foot"], "rot90: {quarter_turns: 2}") == {
        ("left_hand",),
        ("right_foot",),
    }
    assert endangered(["upper_a", "lower_a"], UPSIDE_DOWN) == set()


# ---------------------------------------------------------------- colors and other qualities


@pytest.mark.parametrize(
    "colors",
    [
        *("red green", "rot grün", "rouge vert", "rojo verde", "vermelho azul", "rosso blu", "rood groen"),
        *("красный синий", "czerwony zielony", "kırmızı mavi", "أحمر أزرق", "लाल नीला", "红 绿", "红色 蓝色"),
        *("赤 青", "빨강 파랑", "rote_ampel gelbe_ampel", "RedApple GreenApple", "Rotwein Weißwein_gelb"),
    ],
)
def test_hue_and_gray_endanger_colors(colors):
    classes = colors.split()
    if "_gelb" not in colors:
        assert endangered([*classes, "truck"], HUE) == {tuple(sorted(classes))}
        assert endangered([*classes, "truck"], "grayscale") == {tuple(sorted(classes))}
    else:  # they differ by more than a color
        assert endangered(classes, HUE) == set()


def test_a_small_shift_of_hue_endangers_neighboring_colors_only():
    classes = ["red", "orange", "green"]
    assert endangered(classes, "hue: {delta: [-0.05, 0.05]}") == {("orange", "red")}
    assert endangered(classes, "hue: {delta: [-0.02, 0.02]}") == set()


def test_hue_leaves_black_and_white_and_invert_does_not():
    assert endangered(["black", "white"], HUE, "grayscale") == set()
    assert endangered(["black", "white"], "invert") == {("black", "white")}


def test_flowers_and_fruits_are_not_taken_for_colors():
    assert endangered(["rose", "violet", "lilac"], *EVERYTHING) == set()
    assert endangered(["apple", "orange", "banana"], *EVERYTHING) == set()
    assert endangered(["orange", "red"], HUE) == {("orange", "red")}


@pytest.mark.parametrize(
    ("classes", "op"),
    [
        ("day night", "brightness: {delta: 0.5}"),
        ("small_car large_car", "zoom: {scale: [0.5, 2]}"),
        ("circle ellipse", "width: {scale: 0.5}"),
        ("square diamond", "rotation: {factor: 0.1}"),
        ("ripe_mango unripe_mango", HUE),
    ],
)
def test_qualities_that_an_op_changes(classes, op):
    assert endangered(classes.split(), op) == {tuple(sorted(classes.split()))}


def test_a_crop_may_leave_only_the_background():
    crop = "random_resized_crop: {height: 8, width: 8}"
    assert endangered(["background", "cat", "no_dog"], crop) == {("background", "no_dog")}
    assert (
        endangered(["background", "cat"], "random_resized_crop: {height: 8, width: 8, area: [0.6, 1]}")
        == set()
    )


# ---------------------------------------------------------------- silence


def test_a_mirror_is_silent_about_cifar10():
    assert findings(recipe_with(MIRROR), CIFAR10) == []


@pytest.mark.parametrize(
    "classes",
    [
        CIFAR10,
        ["daisy", "dandelion", "roses", "sunflowers", "tulips"],
        ["T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag"],
        ["car", "truck"],
        ["a", "b"],
        ["only"],
    ],
)
def test_every_op_at_its_strongest_is_silent_about_classes_that_it_does_not_endanger(classes):
    assert findings(recipe_with(*EVERYTHING), classes) == []


@pytest.mark.parametrize("preset", ["car_or_truck", "car_or_truck_convnet", "cifar10", "cifar10_layers"])
def test_presets_are_silent_about_what_they_are_for(preset):
    assert findings(load_recipe(preset), [*CIFAR10, "car"]) == []


# ---------------------------------------------------------------- names that say nothing


@pytest.mark.parametrize(
    "name", ["n01440764", "class_17", "c3", "17", "label-2", "id0004", "3f786850e387550f", "__", "x_1"]
)
def test_codes_are_known_to_say_nothing(name):
    assert opaque(["cat", name]) == ([] if name in DIGITS else [name])


@pytest.mark.parametrize(
    "name", ["cat", "six", "4x4", "deadbeef", "facade", "B", "左", "boeing_747", "mp3 player"]
)
def test_words_are_not_taken_for_codes(name):
    assert opaque([name]) == []


def test_digits_alone_are_read_and_with_larger_numbers_are_not():
    assert opaque(DIGITS) == []
    assert opaque([*DIGITS, "10"]) == [*DIGITS, "10"]


@given(st.lists(st.text(max_size=12), max_size=6))
def test_any_names_can_be_read(names):
    for finding in findings(recipe_with(*EVERYTHING), names):
        assert set(finding.classes) <= set(names)
    assert set(opaque(names)) <= set(names)


# ---------------------------------------------------------------- what ops state


def test_angles_count_by_how_far_two_pictures_are_turned_against_each_other():
    assert turned(-0.02, 0.02) == []
    assert turned(-0.1, 0.1) == ["quarter_turn", "eighth_turn"]
    assert turned(-0.2, 0.2) == ["half_turn", "quarter_turn", "eighth_turn"]
    assert turned(0.5, 0.5) == ["half_turn"]
    assert turned(-0.25, -0.25) == ["quarter_turn"]
    assert turned(1.0, 1.0) == []


def test_colors_count_the_same_way():
    assert recolored(-0.02, 0.02) == []
    assert recolored(-0.08, 0.08) == ["tint"]
    assert recolored(0.3, 0.4) == ["tint", "recolor"]


@pytest.mark.parametrize(
    ("op", "expected"),
    [
        ("rot90: {quarter_turns: [0, 2]}", {"rot90.half_turn"}),
        ("rot90: {quarter_turns: 1}", {"rot90.quarter_turn"}),
        ("random_crop: {height: 15, width: 15}", set()),
        ("random_crop: {height: 8, width: 8}", {"random_crop.cut"}),
        ("pad_and_crop: {padding: 2}", set()),
        ("pad_and_crop: {padding: 8}", {"pad_and_crop.cut"}),
        ("translation: {width: 0.1}", set()),
        ("translation: {width: 0.5}", {"translation.cut"}),
        ("contrast: {factor: 0.5}", set()),
        ("saturation: {factor: [0, 1]}", {"saturation.gray"}),
        ("brightness: {delta: 0.2}", set()),
        ("gamma: {gamma: [0.7, 1.4]}", set()),
        ("perspective: {strength: 0.2}", set()),
        ("flip: {horizontal: 0.5, id: mirrors}", {"mirrors.mirror"}),
        ("posterize: {bits: 4}", set()),
        ("posterize: {bits: [1, 8]}", {"posterize.tint"}),
        ("solarize: {threshold: [0, 256]}", {"solarize.negative"}),
        ("solarize: {threshold: [200, 256]}", set()),
        ("equalize", {"equalize.exposure", "equalize.tint"}),
        ("sharpness: {factor: 0.3}", set()),
        ("sharpness: {factor: [0, 1]}", {"sharpness.blur"}),
        ("blur: {sigma: [0, 0.5]}", set()),
        ("blur: {sigma: [0, 4]}", {"blur.blur"}),
        ("noise: {sigma: [0, 0.1]}", {"noise.noise"}),
        ("jpeg_quality: {quality: [5, 100]}", {"jpeg_quality.blur"}),
        ("random_erasing", {"random_erasing.cut"}),
        ("random_erasing: {area: [0.02, 0.1]}", set()),
        ("cutout: {side: 4}", set()),
        ("cutout: {side: 8}", {"cutout.cut"}),
        ("color_jitter: {brightness: 0.4, hue: 0.02}", set()),
        (
            "color_jitter: {brightness: 0.8, contrast: 1, saturation: 1, hue: 0.5}",
            {f"color_jitter.{change}" for change in ("exposure", "gray", "tint", "recolor")},
        ),
        ("channel_shuffle", {"channel_shuffle.recolor"}),
        ("rand_augment: {magnitude: 0}", {"rand_augment.exposure", "rand_augment.tint"}),
        ("sometimes: {p: 0.1, ops: [equalize]}", {"sometimes/equalize.exposure", "sometimes/equalize.tint"}),
        ("one_of: {ops: [flip: {horizontal: 1}, invert]}", {"one_of/flip.mirror", "one_of/invert.negative"}),
    ],
)
def test_hazards_depend_on_the_settings(op, expected):
    assert hazards(op) == expected


def test_policies_have_the_hazards_of_their_operations_at_the_magnitudes_that_they_can_have():
    assert hazards("rand_augment: {magnitude: 5}") == {"rand_augment.exposure", "rand_augment.tint"}
    assert "rand_augment.negative" in hazards("rand_augment: {magnitude: 30}")
    assert {"trivial_augment.half_turn", "trivial_augment.cut"} <= hazards("trivial_augment")
    assert "auto_augment.negative" in hazards("auto_augment: {policy: svhn}")
    assert "aug_mix.negative" not in hazards("aug_mix: {severity: 3}")
    assert ("6", "9") in endangered(DIGITS, "trivial_augment")


def test_following_the_advice_ends_the_hazard():
    assert hazards("rotation: {factor: 0.03}") == set()
    assert "rotation.half_turn" not in hazards("rotation: {factor: 0.1}")
    assert "rotation.quarter_turn" not in hazards("rotation: {factor: 0.05}")
    assert hazards("zoom: {scale: [0.9, 1.1]}") == set()
    assert hazards("hue: {delta: [-0.02, 0.02]}") == set()
    assert hazards("perspective: {strength: 0.2}") == set()
    assert hazards("central_crop: {fraction: 0.8}") == set()
    assert hazards("random_resized_crop: {height: 8, width: 8, area: [0.8, 1], ratio: [0.9, 1.1]}") == set()


def test_an_op_of_ones_own_states_its_hazards(monkeypatch):
    monkeypatch.setattr(base, "_registry", dict(base._registry))

    class Kaleidoscope(Op):
        """Mirrors in many mirrors."""

        def hazards(self, size):
            yield Hazard("mirror", f"leave {self.name} out")

    [finding] = findings(recipe_with("kaleidoscope"), ["left", "right"])
    assert (finding.key, finding.classes) == ("kaleidoscope.mirror", ("left", "right"))
    assert finding.narrow == "leave kaleidoscope out"


def test_a_change_that_does_not_exist_is_refused_with_the_nearest():
    with pytest.raises(ValueError, match=r"there is no change 'miror'; did you mean mirror\?"):
        Hazard("miror", "")


@pytest.mark.parametrize("preset", preset_names())
def test_every_hazard_of_the_presets_can_be_acknowledged(preset):
    document = load_recipe(preset).canonical()
    keys = list(load_recipe(preset).hazards())
    again = recipe_from_document({**document, "acknowledge": keys}, name=preset, where=preset)
    assert again.acknowledge == tuple(keys)


# ---------------------------------------------------------------- acknowledging


def test_an_acknowledged_finding_is_marked_and_left_out_of_the_summary():
    recipe = recipe_with("flip: {horizontal: 0.5, vertical: 0.5}", before="acknowledge: [flip.mirror]\n")
    found = findings(recipe, ["left", "right"])
    assert {f.key: f.acknowledged for f in found} == {"flip.mirror": True, "flip.half_turn": False}
    assert summary(found) == [
        "flip.half_turn endangers left and right: each can come to look like the other; "
        "use flip with horizontal or with vertical, not with both"
    ]


@pytest.mark.parametrize(
    ("acknowledge", "sentence"),
    [
        ("[flip.miror]", "there is no hazard 'flip.miror' in it; did you mean flip.mirror?"),
        ("[flip.cut]", "there is no hazard 'flip.cut' in it; "),
        ("flip.mirror", "'acknowledge' must be a list of hazards"),
        ("[1]", "'acknowledge' must be a list of hazards"),
    ],
)
def test_what_cannot_be_acknowledged_is_refused(acknowledge, sentence):
    with pytest.raises(RequestError) as error:
        recipe_with(MIRROR, before=f"acknowledge: {acknowledge}\n")
    assert sentence in str(error.value)


def test_without_hazards_there_is_nothing_to_acknowledge():
    with pytest.raises(RequestError, match=r"there is no hazard 'flip.mirror' in it; its ops have none"):
        recipe_with("contrast: {factor: 0.1}", before="acknowledge: [flip.mirror]\n")


def test_acknowledging_changes_neither_the_canonical_form_nor_the_fingerprint():
    plain, acknowledged = recipe_with(MIRROR), recipe_with(MIRROR, before="acknowledge: [flip.mirror]\n")
    assert json.dumps(plain.canonical()) == json.dumps(acknowledged.canonical())
    assert plain.fingerprint() == acknowledged.fingerprint()


# ---------------------------------------------------------------- words


def test_names_are_folded_before_they_are_looked_up():
    assert fold("GRÜN") == fold("grün") == "grun"
    assert fold("Weiß") == "weiss"
    assert fold("SAĞ") == fold("sağ")
    assert fold("أحمر") == fold("احمر")


MAJOR = "en de fr es pt it nl ru pl tr ar hi zh ja ko"


@pytest.mark.parametrize("language", MAJOR.split())
def test_every_major_language_has_digits_sides_and_colors(language):
    known = {concept for readings in words().values() for code, concept, _ in readings if code == language}
    assert {
        "left",
        "right",
        "up",
        "down",
        "north",
        "south",
        "east",
        "west",
        "horizontal",
        "vertical",
    } <= known
    assert {"red", "yellow", "green", "blue", "purple", "pink", "brown", "black", "white", "gray"} <= known
    assert set(DIGITS) <= known


# ---------------------------------------------------------------- mending

ENDANGERED = [
    *DIGITS,
    *("left", "right", "up", "down", "red", "blue", "day", "night", "empty", "cat", "near", "far"),
    *("circle", "ellipse", "sharp", "blurred", "clean", "noisy"),
]
STRONG = (
    *EVERYTHING,
    "one_of: {ops: [rot90, grayscale, sometimes: {p: 0.5, ops: [flip: {vertical: 1}]}], weights: [1, 2, 3]}",
    "rand_augment: {id: policy}",
    "noise: {sigma: [0, 0.2]}",
    "crop_or_pad: {height: 4, width: 4}",
)


def open_findings(recipe: Recipe, classes: list[str]) -> list[str]:
    return [finding.key for finding in findings(recipe, classes) if not finding.acknowledged]


@pytest.mark.parametrize("preset", preset_names())
def test_of_a_mended_preset_nothing_is_found_and_its_images_are_of_the_same_size(preset):
    recipe = load_recipe(preset)
    other = mended(recipe, ENDANGERED)
    assert not open_findings(other, ENDANGERED)
    assert other.image_size == recipe.image_size
    assert parse_recipe(repr(other), name="read").canonical() == other.canonical()


def test_of_ops_at_their_strongest_nothing_is_found_when_mended():
    recipe = recipe_with(*STRONG)
    other = mended(recipe, ENDANGERED)
    assert len(set(open_findings(recipe, ENDANGERED))) > 20
    assert not open_findings(other, ENDANGERED)
    assert other.of_others.ops == recipe.ops


def test_only_the_classes_that_are_endangered_get_recipes_with_what_hurts_them_limited():
    recipe = recipe_with("flip: {horizontal: 0.5, vertical: 0.5}", "rotation: {factor: [-0.05, 0.4]}", HUE)
    other = mended(recipe, ["left", "right", "6", "9", "cat"])
    assert other.recipe_for.keys() == {"left", "right", "6", "9"}
    assert other.of("left") == other.of("right")
    flip, rotation, hue = other.of("left").ops[1:]
    assert (flip.horizontal, flip.vertical, rotation.factor, hue) == (0, 0.5, (-0.05, 0.1), recipe.ops[3])
    assert (other.of("6").ops[1].horizontal, other.of("6").ops[1].vertical) == (0.5, 0)


def test_where_all_classes_are_endangered_alike_the_recipe_itself_is_mended():
    other = mended(recipe_with(MIRROR, "contrast: {factor: 0.5}"), ["left", "right"])
    assert [op.name for op in other.ops] == ["resize", "contrast"]
    assert not other.recipe_for


def test_what_is_acknowledged_is_not_mended():
    recipe = recipe_with(MIRROR, HALF_TURN, before="acknowledge: [flip.mirror]\n")
    other = mended(recipe, ["left", "right", "cat"]).of("left")
    assert [op.name for op in other.ops] == ["resize", "flip"]
    assert other.acknowledge == ("flip.mirror",)


def test_an_op_within_a_group_keeps_its_place_that_others_be_drawn_as_often():
    group = "one_of: {ops: [rot90, grayscale], weights: [1, 3]}"
    [_, one_of] = mended(recipe_with(group), ["left", "right", "cat"]).of("left").ops
    assert [op.p for op in one_of.ops] == [0, 1]
    assert one_of.weights == (1, 3)


def test_a_finding_counts_only_if_the_recipe_of_one_of_its_classes_brings_it_about():
    recipe = recipe_with("contrast: {factor: 0.5}")
    mirror = recipe_with(MIRROR)
    for label, found in (("cat", []), ("left", ["flip.mirror"])):
        one = Recipe("mine", recipe.ops, recipe_for={label: mirror})
        assert open_findings(one, ["left", "right", "cat"]) == found


def test_gray_images_are_not_to_be_mended_for_some_classes():
    with pytest.raises(RequestError, match=r"channels.gray endangers labels, and no recipe by class helps"):
        mended(recipe_with("invert", before="channels: 1\n"), ["red", "blue"])
