"""Masks in folders of their own: which belongs to which image, and what has no partner."""

from __future__ import annotations

import pytest

from augment.targets import Annotation, Vocabulary
from pipelines.annotations import annotations_of
from tests.pipelines.annotated import assert_beam_finds_the_same, look, put


def test_images_and_masks_lie_side_by_side(tmp_path):
    put(tmp_path, "images/a.jpg", "images/deep/b.png", "masks/a.png", "masks/deep/b.png")
    found = look(tmp_path, "masks")
    assert not found.refused
    assert not found.rejects
    assert not found.passed_over
    assert found.vocabulary == Vocabulary(has=frozenset(["mask"]))
    assert found.places == {("train", "unlabeled"): 2}
    assert found.annotation("images/a.jpg") == Annotation(mask="a.png")
    assert found.annotation("images/deep/b.png") == Annotation(mask="deep/b.png")


@pytest.mark.parametrize(
    ("names", "path"),
    [
        (["images/training/a.jpg", "images/validation/a.jpg"], "masks"),
        (["train/images/a.jpg", "val/images/a.jpg"], "."),
        (["images/train/a.jpg", "images/val/a.jpg"], "."),
    ],
)
def test_splits_lie_within_both_folders_or_around_them(tmp_path, names, path):
    masks = [name.replace("images", "masks").replace(".jpg", ".png") for name in names]
    put(tmp_path, *names, *masks)
    found = look(tmp_path, path)
    assert not found.refused
    assert not found.rejects
    assert [found.sources[name].split for name in names] == ["train", "validation"]
    above = f"{path}/" if path == "masks" else ""
    assert [above + found.annotation(name).mask for name in names] == masks
    assert_beam_finds_the_same(tmp_path, path)


def test_the_input_may_be_the_images_own_folder(tmp_path):
    put(
        tmp_path,
        "VOC2012/JPEGImages/a.jpg",
        "VOC2012/SegmentationClass/a.png",
        "VOC2012/SegmentationClass/x.txt",
        "VOC2012/JPEGImages/b.jpg",
        "VOC2012/SegmentationClass/b.png",
    )
    for root, image, others in (("VOC2012/JPEGImages", "a.jpg", ".."), ("VOC2012", "JPEGImages/a.jpg", ".")):
        found = look(tmp_path / root, f"{others}/SegmentationClass")
        assert len(found.sources) == 2
        assert found.annotation(image).mask == "a.png"
        assert not found.rejects
        assert found.passed_over == {".txt": 1}


def test_what_has_no_partner_is_a_reject_with_its_reason(tmp_path):
    put(tmp_path, "images/a.jpg", "images/b.jpg", "images/b.png", "masks/b.png", "masks/c.png", "else/d.jpg")
    found = look(tmp_path, "masks")
    assert not found.sources
    assert found.passed_over == {"(elsewhere)": 1}
    stem = "'images/b.jpg' and 'images/b.png' have one stem, and share their annotation"
    assert found.rejects == {
        "images/a.jpg": ("no_partner", "there is no mask of its stem"),
        "images/b.jpg": ("named_twice", stem),
        "images/b.png": ("named_twice", stem),
        "masks/c.png": ("no_partner", "there is no image images/c.* of its stem"),
    }


def test_masks_among_the_images_are_refused(tmp_path):
    put(tmp_path, "a.jpg", "a.png")
    [refused] = look(tmp_path, ".").refused
    assert refused.endswith(
        "masks and images lie in one folder; put them into masks/ and images/, side by side"
    )


def test_a_folder_of_pictures_is_one_of_masks(tmp_path):
    put(tmp_path, "labels/a.png")
    path = str(tmp_path / "labels")
    assert str(annotations_of(path)) == f"masks in {path}"
