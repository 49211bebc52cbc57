"""Recipes: what is refused and in which words, which recipes are equal, and the presets."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest

from augment.errors import RequestError, did_you_mean
from augment.ops import Op, base, op_types
from augment.ops.parameters import Whole
from augment.ops.settings import foreign
from augment.recipe import load_recipe, parse_recipe, preset_names, preset_text, recipe_from_document

TO_SIZE = "ops:\n  - resize: {height: 8, width: 8}\n"


def refusal(text: str) -> str:
    with pytest.raises(RequestError) as error:
        parse_recipe(text, name="mine", where="mine.yaml")
    return str(error.value)


def op_refusal(entry: str) -> str:
    """What is said about the second op, without the words that name it."""
    message = refusal(f"{TO_SIZE}  - {entry}\n")
    start = "recipe mine.yaml: op 2: "
    assert message.startswith(start)
    return message.removeprefix(start)


# ---------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "recipe mine.yaml: it must be a mapping with the key 'ops'"),
        ("- a", "recipe mine.yaml: it must be a mapping with the key 'ops'"),
        ("description: nothing", "recipe mine.yaml: 'ops' must be a list of one op or more"),
        ("ops: []", "recipe mine.yaml: 'ops' must be a list of one op or more"),
        ("ops: {resize: {height: 8}}", "recipe mine.yaml: 'ops' must be a list of one op or more"),
        ("opps: []", "recipe mine.yaml: there is no key 'opps'; did you mean ops?"),
        ("1: []", "recipe mine.yaml: there is no key 1; there is acknowledge, channels, decode, description, "
         "name, ops, recipe_for, storage"),
        ("[1", "recipe mine.yaml, line 1: not YAML: expected ',' or ']', but got '<stream end>'"),
        ("a: 2024-13-45", "recipe mine.yaml: not YAML: month must be in 1..12"),
        ("ops: !!python/name:os.system", "recipe mine.yaml, line 1: not YAML: could not determine a "
         "constructor for the tag 'tag:yaml.org,2002:python/name:os.system'"),
        ("name: a\nname: b", "recipe mine.yaml, line 2: not YAML: the key 'name' stands twice"),
        ("[a]: 1", "recipe mine.yaml, line 1: not YAML: a key must be a word"),
        ("name: My Recipe\n" + TO_SIZE, "recipe mine.yaml: its name is 'My Recipe'; a name is made of "
         "lower-case letters, digits and _, and begins with a letter"),
        ("storage: png\n" + TO_SIZE, "recipe mine.yaml: storage: its settings are 'png'; they must be pairs "
         "of name and value"),
        ("storage: {format: jpg}\n" + TO_SIZE, "recipe mine.yaml: storage: format is 'jpg'; it must be one "
         "of png, jpeg, raw"),
        ("storage: {format: jpeg, quality: 0}\n" + TO_SIZE, "recipe mine.yaml: storage: quality is 0; it "
         "must be a whole number from 1 to 100 (of jpeg)"),
        ("storage: {qualty: 9}\n" + TO_SIZE, "recipe mine.yaml: storage: there is no setting 'qualty'; did "
         "you mean quality?"),
        ("channels: 2\n" + TO_SIZE, "recipe mine.yaml: channels is 2; it must be 3, or 1 for gray images"),
        ("channels: true\n" + TO_SIZE, "recipe mine.yaml: channels is True; it must be 3, or 1 for gray "
         "images"),
        ("channels: 1.0\n" + TO_SIZE, "recipe mine.yaml: channels is 1.0; it must be 3, or 1 for gray "
         "images"),
        ("ops: [flip: {horizontal: 0.5}]", "recipe mine: the size of its images is not known beforehand; add "
         "a resize, crop_or_pad or random_resized_crop"),
        (TO_SIZE + "  - invert\n  - invert\n", "recipe mine: two ops have the id 'invert'; give the second "
         "one an id of its own, such as 'id: invert_2'"),
        (TO_SIZE + "recipe_for: {a: flowers}", "recipe mine.yaml: 'recipe_for' must be a list, such as "
         "[{classes: [left, right], ops: [...]}]"),
        (TO_SIZE + "recipe_for: [{classes: a, recipe: b}]", "recipe mine.yaml: recipe_for 1: it must have "
         "'classes', a list of names, and either 'ops' or 'recipe', a preset or a path"),
        (TO_SIZE + "recipe_for: [{classes: [6], recipe: b}]", "recipe mine.yaml: recipe_for 1: class 6 is "
         "no text; write it in quotes: '6'"),
        (TO_SIZE + "recipe_for: [{classes: [a, a], recipe: b}]", "recipe mine.yaml: recipe_for 1: it names "
         "class 'a', which stands twice"),
        (TO_SIZE + "recipe_for: [{classes: [a], recipe: b}]", "recipe mine.yaml: recipe_for 1: its 'recipe' "
         "is 'b'; it must be a preset or a path, in a recipe that is a file, with 'classes' alone beside it; "
         "else give its 'ops'"),
        (TO_SIZE + "recipe_for: [{classes: [a], ops: [resize: {height: 9, width: 8}]}]", "recipe mine: "
         "recipe_for: class 'a': the size of its recipe, mine, is 9x8, and that of others 8x8; all recipes "
         "of a dataset must have the same size, channels, storage and decode"),
        (TO_SIZE + "recipe_for: [{classes: [a], channels: 1, ops: [resize: {height: 8, width: 8}]}]",
         "recipe mine: recipe_for: class 'a': the channels of its recipe, mine, is 1, and that of others 3; "
         "all recipes of a dataset must have the same size, channels, storage and decode"),
    ],
)  # fmt: skip
def test_a_recipe_is_refused_in_a_sentence_that_names_what_is_wrong_and_what_would_be_right(text, sentence):
    assert refusal(text) == sentence


@pytest.mark.parametrize(
    ("entry", "sentence"),
    [
        ("contrst: {factor: 0.5}", "there is no op 'contrst'; did you mean contrast or autocontrast?"),
        ("3", "3 is not one op with its settings, such as 'contrast: {factor: 0.5}'"),
        ("[invert]", "['invert'] is not one op with its settings, such as 'contrast: {factor: 0.5}'"),
        ("{invert: {}, grayscale: {}}", "{'invert': {}, 'grayscale': {}} is not one op with its settings, "
         "such as 'contrast: {factor: 0.5}'"),
        ("contrast: 5", "contrast: its settings are 5; they must be pairs of name and value"),
        ("contrast: {}", "contrast: factor is missing; it is a number from 0 to 1, or [low, high] with "
         "low <= high within [0, 10]"),
        ("contrast: {factor: 0.5, facto: 1}", "contrast: there is no setting 'facto'; did you mean factor?"),
        ("contrast: {factor: 0.5, on: 1}", "contrast: there is no setting '1'; there is factor, id, p"),
        ("contrast: {factor: 3}", "contrast: factor is 3; it must be a number from 0 to 1, or [low, high] "
         "with low <= high within [0, 10]"),
        ("contrast: {factor: [2, 1]}", "contrast: factor is [2, 1]; it must be a number from 0 to 1, or "
         "[low, high] with low <= high within [0, 10]"),
        ("contrast: {factor: .nan}", "contrast: factor is nan; it must be a number from 0 to 1, or [low, "
         "high] with low <= high within [0, 10]"),
        ("contrast: {factor: true}", "contrast: factor is True; it must be a number from 0 to 1, or [low, "
         "high] with low <= high within [0, 10]"),
        ("saturation: {factor: 2}", "saturation: factor is 2; it must be [low, high] with low <= high within "
         "[0, 10]"),
        ("gamma: {gamma: [0, 1]}", "gamma: gamma is [0, 1]; it must be [low, high] with low <= high within "
         "(0, 10]"),
        ("invert: {p: 2}", "invert: p is 2; it must be a number from 0 to 1"),
        ("invert: {p: .nan}", "invert: p is nan; it must be a number from 0 to 1"),
        ("invert: {p: true}", "invert: p is True; it must be a number from 0 to 1"),
        ("invert: {id: a/b}", "invert: id is 'a/b'; it must be a text that matches ^[A-Za-z][A-Za-z0-9_]*$"),
        ("crop_or_pad: {height: 8.0, width: 0}", "crop_or_pad: height is 8.0; it must be a whole number from "
         "1 to 16384; width is 0; it must be a whole number from 1 to 16384"),
        ("resize: {height: 8, width: 8, method: cubic}", "resize: method is 'cubic'; it must be one of "
         "bilinear, nearest, bicubic, area, lanczos3, lanczos5, gaussian, mitchellcubic"),
        ("resize: {height: 8, width: 8, p: 0.5}", "resize: p is 0.5; resize sets the size of the image, so p "
         "must be 1"),
        ("rotation: {factor: 0.1, fill_mode: mirror}", "rotation: fill_mode is 'mirror'; it must be one of "
         "reflect, constant, wrap, nearest"),
        ("rotation: {factor: 0.1, fill_value: 256}", "rotation: fill_value is 256; it must be a whole number "
         "from 0 to 255 (the level outside the image under fill_mode constant)"),
        ("rot90: {quarter_turns: 4}", "rot90: quarter_turns is 4; it must be one or a list of 0, 1, 2, 3"),
        ("rot90: {quarter_turns: []}", "rot90: quarter_turns is []; it must be one or a list of 0, 1, 2, 3"),
        ("rot90: {quarter_turns: [1, 1]}", "rot90: quarter_turns is [1, 1]; it names one value twice"),
        ("flip", "flip: it never flips; give horizontal or vertical a probability above 0"),
    ],
)  # fmt: skip
def test_an_op_is_refused_in_a_sentence_that_names_what_is_wrong_and_what_would_be_right(entry, sentence):
    assert op_refusal(entry) == sentence


def test_where_no_op_is_close_all_are_named():
    assert op_refusal("zzz") == f"there is no op 'zzz'; there is {', '.join(sorted(op_types()))}"


def test_a_preset_that_does_not_exist_names_its_neighbours():
    with pytest.raises(RequestError) as error:
        load_recipe("flower")
    assert str(error.value) == (
        "there is no preset 'flower'; did you mean flowers or flowers_layers? "
        "(a recipe of your own is given as a path that ends in .yaml)"
    )


def test_a_file_that_cannot_be_read_says_why(tmp_path):
    absent = tmp_path / "absent.yaml"
    with pytest.raises(RequestError) as error:
        load_recipe(absent)
    assert str(error.value) == f"recipe {absent}: cannot be read (No such file or directory)"
    binary = tmp_path / "binary.yaml"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RequestError) as error:
        load_recipe(binary)
    assert str(error.value) == f"recipe {binary}: cannot be read (it is not UTF-8 text)"


def test_where_nothing_is_close_all_that_is_known_is_named():
    assert did_you_mean("zzz", ["b", "a"]) == "there is a, b"


# ---------------------------------------------------------------- which recipes are equal


def with_op(entry: str, more: str = ""):
    return parse_recipe(f"{more}{TO_SIZE}  - {entry}\n", name="mine")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("contrast: {factor: 0.5}", "contrast: {factor: [0.5, 1.5]}"),
        ("contrast: {factor: 0.7}", "contrast: {factor: [0.3, 1.7]}"),
        ("contrast: {factor: 1}", "contrast: {factor: [0.0, 2.0]}"),
        ("brightness: {delta: 0.1}", "brightness: {delta: [-0.1, 0.1]}"),
        (
            "rotation: {factor: 0.2}",
            "rotation: {id: rotation, p: 1, factor: [-0.2, 0.2], fill_mode: reflect}",
        ),
        ("rot90: {quarter_turns: 1}", "rot90: {quarter_turns: [1]}"),
        ("rot90", "rot90: {quarter_turns: [0, 1, 2, 3]}"),
        ("grayscale", "grayscale: {}"),
        ("grayscale", "grayscale:"),
    ],
)
def test_recipes_that_mean_the_same_have_one_fingerprint(one, other):
    assert with_op(one).canonical() == with_op(other).canonical()
    assert with_op(one).fingerprint() == with_op(other).fingerprint()


@pytest.mark.parametrize("storage", ["{format: png}", "{}", "{format: png, quality: 50, chroma: '4:4:4'}"])
def test_settings_of_jpeg_mean_nothing_for_other_storage(storage):
    assert with_op("invert").fingerprint() == with_op("invert", f"storage: {storage}\n").fingerprint()


def test_a_fingerprint_covers_what_decides_pixels_and_nothing_else():
    plain = with_op("contrast: {factor: 0.5}")
    described = with_op("contrast: {factor: 0.5}", "name: other\ndescription: In other words.\n")
    assert described.fingerprint() == plain.fingerprint()
    others = [
        with_op("contrast: {factor: 0.6}"),
        with_op("contrast: {factor: 0.5, p: 0.9}"),
        with_op("contrast: {factor: 0.5, id: c}"),
        with_op("contrast: {factor: 0.5}", "storage: {format: raw}\n"),
        with_op("contrast: {factor: 0.5}", "storage: {format: jpeg}\n"),
        with_op("contrast: {factor: 0.5}", "storage: {format: jpeg, quality: 90}\n"),
    ]
    assert len({recipe.fingerprint() for recipe in [plain, *others]}) == 7


def test_gray_images_are_another_recipe_and_three_channels_are_as_none_are_said():
    plain, color, gray = (with_op("invert", before) for before in ("", "channels: 3\n", "channels: 1\n"))
    assert (plain.image_shape, gray.image_shape) == ((8, 8, 3), (8, 8, 1))
    assert color.canonical() == plain.canonical()
    assert plain.canonical().keys() == {"ops", "storage"}
    assert gray.canonical()["channels"] == 1
    assert gray.fingerprint() != plain.fingerprint()
    assert recipe_from_document(gray.canonical(), name="mine", where="manifest.json") == gray


def test_advice_names_what_does_nothing_to_gray_images_within_groups_and_policies_too():
    entries = (
        "hue: {delta: [0.1, 0.2]}",
        "color_jitter: {brightness: 0.2, saturation: 0.2}",
        "trivial_augment",
        "aug_mix",  # which changes no color
        "sometimes: {p: 0.5, ops: [grayscale, invert, saturation: {factor: [0, 1]}]}",
        "channel_shuffle",
    )
    text = TO_SIZE + "".join(f"  - {entry}\n" for entry in entries)
    assert parse_recipe(text, name="mine").advice() == []
    assert parse_recipe("channels: 1\n" + text, name="mine").advice() == [
        f"{what} does nothing to gray images (channels: 1)"
        for what in (
            "hue: it",
            "color_jitter: its saturation",
            "trivial_augment: its operation color",
            "sometimes/grayscale: it",
            "sometimes/saturation: it",
            "channel_shuffle: it",
        )
    ]


@pytest.mark.parametrize("name", preset_names())
def test_a_recipe_survives_its_canonical_form_as_json(name):
    recipe = load_recipe(name)
    document = json.loads(json.dumps(recipe.canonical()))
    again = recipe_from_document(document, name=name, where="manifest.json")
    assert again.ops == recipe.ops
    assert again.fingerprint() == recipe.fingerprint()


# ---------------------------------------------------------------- files and presets

PRESETS = {
    "car_or_truck": ((128, 128), "7cd0b26313a0ebb8"),
    "car_or_truck_convnet": ((128, 128), "5291d034ab2d96a2"),
    "cifar10": ((32, 32), "1e5b72451f9bdc3a"),
    "cifar10_autoaugment": ((32, 32), "b8087b84af2ca91f"),
    "cifar10_layers": ((32, 32), "a916ba42e574a090"),
    "five_looks": ((128, 128), "49c2532e4bf2fd8e"),
    "flowers": ((180, 180), "582c559c2007e41a"),
    "flowers_layers": ((180, 180), "11aa163bf75d81ff"),
    "six_looks": ((90, 90), "f58defcccab6093b"),
}


@pytest.mark.parametrize("name", preset_names())
def test_a_preset_has_its_size_its_words_and_a_golden_fingerprint(name):
    """A new fingerprint is a new dataset: nothing made before would be resumed or extended."""
    recipe = load_recipe(name)
    size, fingerprint = PRESETS[name]
    assert recipe.name == name
    assert recipe.image_size == size
    assert recipe.fingerprint()[:16] == fingerprint
    assert recipe.description
    assert recipe.storage.format == "png"
    assert preset_text(name).startswith("description: ")


def test_a_recipe_file_is_named_after_its_file_unless_it_names_itself(tmp_path):
    path = tmp_path / "My-Recipe.yaml"
    path.write_text(TO_SIZE)
    assert load_recipe(path).name == load_recipe(str(path)).name == "my_recipe"
    path.write_text("name: own\n" + TO_SIZE)
    assert load_recipe(path).name == "own"


def test_ops_before_the_first_that_draws_are_shared_by_all_copies():
    recipe = parse_recipe(
        "ops: [{resize: {height: 8, width: 8}}, grayscale, {invert: {p: 0.5}}, {flip: {horizontal: 1}}]",
        name="r",
    )
    assert [step.deterministic for step in recipe.steps] == [True, True, False, False]


def test_reading_a_recipe_or_a_mistake_in_one_does_not_import_tensorflow():
    program = (
        "import sys, augment\n"
        "augment.load_recipe('flowers_layers').fingerprint()\n"
        "try: augment.load_recipe('flower')\n"
        "except augment.RequestError: pass\n"
        "sys.exit('tensorflow' in sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_the_package_offers_what_it_documents_and_nothing_else():
    import augment

    for name in augment.__all__:
        assert getattr(augment, name).__name__ == name
    with pytest.raises(AttributeError, match="module 'augment' has no attribute 'nonsense'"):
        _ = augment.nonsense


def test_a_name_that_a_file_gives_is_said_to_be_the_files(tmp_path):
    path = tmp_path / "рецепт.yaml"
    path.write_text(TO_SIZE, encoding="utf-8")
    with pytest.raises(RequestError) as error:
        load_recipe(path)
    assert str(error.value) == (
        f"recipe {path}: its name by that of its file is 'рецепт'; a name is made of lower-case letters, "
        "digits and _, and begins with a letter; rename the file, or say `name: ...` in it"
    )
    path.write_text("name: mine\n" + TO_SIZE, encoding="utf-8")
    assert load_recipe(path).name == "mine"


# ---------------------------------------------------------------- recipes for classes

SMALL = "resize: {height: 8, width: 8}"


def test_recipes_for_classes_mean_the_same_in_any_order_and_as_json():
    first = TO_SIZE + f"  - invert\nrecipe_for: [{{classes: [b, c], ops: [{SMALL}]}}]\n"
    other = TO_SIZE + (
        f"  - invert\nrecipe_for: [{{classes: [d], ops: [{SMALL}, invert]}}, "
        f"{{classes: [c], ops: [{SMALL}]}}, {{classes: [b], name: other, ops: [{SMALL}]}}]\n"
    )
    one, same = (parse_recipe(text, name="mine") for text in (first, other))
    assert one.canonical() == same.canonical()
    assert one.fingerprint() == same.fingerprint() != one.of_others.fingerprint()
    assert [group["classes"] for group in one.canonical()["recipe_for"]] == [["b", "c"]]
    assert recipe_from_document(json.loads(json.dumps(one.canonical())), name="mine", where="it") == one
    assert parse_recipe(repr(same), name="mine") == same
    assert (one.of("b").name, one.of("a"), one.of_others.recipe_for) == ("mine", one.of_others, {})


def test_recipes_of_classes_that_stand_in_a_recipe_are_stored_and_read_as_it_says():
    text = f"storage: {{format: jpeg}}\nchannels: 1\ndecode: reduced\n{TO_SIZE}"
    recipe = parse_recipe(f"{text}  - invert\nrecipe_for: [{{classes: [a], ops: [{SMALL}]}}]", name="mine")
    own = recipe.of("a")
    assert (own.storage.format, own.channels, own.decode) == ("jpeg", 1, "reduced")


def test_a_file_names_recipes_from_where_it_lies_and_these_name_none(tmp_path):
    (tmp_path / "other.yaml").write_text(TO_SIZE)
    mine = tmp_path / "mine.yaml"
    mine.write_text(f"{TO_SIZE}  - invert\nrecipe_for: [{{classes: [a], recipe: other.yaml}}]\n")
    assert load_recipe(mine).of("a") == load_recipe(tmp_path / "other.yaml")
    (tmp_path / "other.yaml").write_text(f"{TO_SIZE}recipe_for: [{{classes: [a], recipe: mine.yaml}}]\n")
    with pytest.raises(RequestError, match=r"other.yaml: recipe_for 1: its 'recipe' is 'mine.yaml'; it must"):
        load_recipe(mine)


def test_ops_of_one_id_must_record_the_same_in_all_recipes(monkeypatch):
    monkeypatch.setattr(base, "_registry", dict(base._registry))

    class Step(Op):
        """Draws a whole number where `brightness` draws a real one."""

        def parameters(self, size):
            return {"delta": Whole(4)}

        def kernels(self, draw, size):
            return ()

    text = f"{TO_SIZE}  - brightness: {{delta: 0.1}}\n"
    with pytest.raises(
        RequestError, match=r"brightness.delta is int32 in recipe mine and float32 in another"
    ):
        parse_recipe(
            f"{text}recipe_for: [{{classes: [a], ops: [{SMALL}, step: {{id: brightness}}]}}]\n", name="mine"
        )


# ---------------------------------------------------------------- words of other libraries


@pytest.mark.parametrize(
    ("entry", "sentence"),
    [
        ("RandomFlip: {mode: horizontal}", "there is no op 'RandomFlip'; here it is flip"),
        ("HorizontalFlip", "there is no op 'HorizontalFlip'; here it is flip"),
        ("ColorJitter: {brightness: 0.2}", "there is no op 'ColorJitter'; here it is color_jitter"),
        ("RandomResizedCrop", "there is no op 'RandomResizedCrop'; here it is random_resized_crop"),
        (
            "random_resized_crop: {height: 8, width: 8, scale: [0.1, 1]}",
            "random_resized_crop: there is no setting 'scale'; here it is area",
        ),
        ("rand_augment: {num_ops: 2}", "rand_augment: there is no setting 'num_ops'; here it is layers"),
        (
            "rand_augment: {magnitude: 12, highest: 10}",
            "rand_augment: magnitude is 12; it must be at most highest, 10",
        ),
        (
            "resize: {height: 8, width: 8, method: nearest, antialias: true}",
            "resize: antialias is true, which does nothing, for nearest takes single pixels; leave it out",
        ),
        (
            "random_resized_crop: {height: 8, width: 8, method: area, antialias: true}",
            "random_resized_crop: antialias is true, which does nothing, for area averages anyway; "
            "leave it out",
        ),
    ],
)
def test_what_other_libraries_call_so_is_understood_in_the_error(entry, sentence):
    assert op_refusal(entry) == sentence


@pytest.mark.parametrize("name", ["mixup", "cutmix", "mosaic", "MixUp", "RandomCutMix"])
def test_ops_that_mix_images_are_refused_for_what_they_do_to_labels(name):
    assert op_refusal(name) == (
        f"there is no op {name!r}; a recipe makes of one image one image, and never mixes images or labels; "
        "mix batches, by augshard train --mix, augment.mix_dataset or augment.MixLayer"
    )


def test_every_word_of_other_libraries_leads_to_something_there_is():
    known = op_types()
    for name, here in foreign()["ops"].items():
        assert re.sub(r"[\W_]", "", name).lower() == name
        assert re.match(r"[a-z0-9_]+", here)[0] in known
    for op, settings in foreign()["settings"].items():
        for name, here in settings.items():
            assert name not in known[op].model_fields or name == "p"
            assert re.match(r"[a-z_]+", here)[0] in known[op].model_fields
