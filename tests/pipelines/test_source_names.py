"""Names of classes and splits that a reader of the dataset could not tell apart, or not read."""

from __future__ import annotations

import pytest

from pipelines.sources import class_errors, split_errors


@pytest.mark.parametrize(
    ("labels", "sentences"),
    [
        (["cat", "dog"], []),
        (
            ["Cat", "cat"],
            ["classes 'Cat' and 'cat' differ only by case or outer blanks; rename or merge their folders"],
        ),
        (["cat "], ["class 'cat ': it begins or ends with a blank; rename its folder"]),
        (
            ["cat", "cat "],
            [
                "class 'cat ': it begins or ends with a blank; rename its folder",
                "classes 'cat' and 'cat ' differ only by case or outer blanks; rename or merge their folders",
            ],
        ),
        (["c\nat"], ["class 'c\\nat': a class name cannot hold a line break; rename its folder"]),
        (["c\rat"], ["class 'c\\rat': a class name cannot hold a line break; rename its folder"]),
        (
            ["STRASSE", "straße"],
            [
                "classes 'STRASSE' and 'straße' differ only by case or outer blanks; "
                "rename or merge their folders"
            ],
        ),
    ],
)
def test_class_names_that_tfds_would_confuse_are_named(labels, sentences):
    assert list(class_errors(labels)) == sentences


@pytest.mark.parametrize(
    ("split", "sentence"),
    [
        ("train", None),
        ("Fold_1", None),
        ("all", "split 'all': TFDS keeps this name for all splits together; rename its folder"),
        (
            "train_c0",
            "split 'train_c0': names that end in _c and digits are those of copies; rename its folder",
        ),
        *(
            (
                name,
                f"split {name!r}: TFDS cannot read it; a split's name begins with a letter and goes on "
                "with letters, digits and _",
            )
            for name in ("1st", "my split", "a-b", "tést", "_x", "train\n")
        ),
    ],
)
def test_split_names_that_tfds_cannot_read_are_named(split, sentence):
    assert list(split_errors([split])) == ([sentence] if sentence else [])
