"""Pascal VOC: its devkit's layout, what its files say, and what is wrong with some."""

from __future__ import annotations

from pathlib import Path

import pytest

from augment.targets import UNIT, Annotation, Object, Vocabulary
from tests.pipelines.annotated import assert_beam_finds_the_same, look, put


def xml(*objects: str, size: tuple[int, int] | None = (281, 500)) -> str:
    sides = f"<size><width>{size[1]}</width><height>{size[0]}</height><depth>3</depth></size>" if size else ""
    return (
        f"<annotation><folder>VOC2012</folder><filename>x.jpg</filename>{sides}<segmented>1</segmented>"
        f"{''.join(objects)}</annotation>"
    )


def thing(name: str, x0: object, y0: object, x1: object, y1: object, difficult: int = 0) -> str:
    box = f"<xmax>{x1}</xmax><xmin>{x0}</xmin><ymax>{y1}</ymax><ymin>{y0}</ymin>"
    part = "<part><name>head</name><bndbox><xmin>1</xmin></bndbox></part>"
    return (
        f"<object><name>{name}</name><pose>Frontal</pose><truncated>0</truncated>"
        f"<difficult>{difficult}</difficult><bndbox>{box}</bndbox>{part}</object>"
    )


def devkit(root: Path) -> None:
    """As in VOCdevkit: 2007_000032 has two planes and two people."""
    stems = ("2007_000032", "2007_000033", "2007_000042", "2007_009999")
    for stem in stems:
        put(root, f"JPEGImages/{stem}.jpg")
        put(root, f"Annotations/{stem}.xml", content=xml())
    things = [
        *(thing("aeroplane", 104, 78, 375, 183), thing("aeroplane", 133, 88, 197, 123)),
        *(thing("person", 195, 180, 213, 229), thing("person", 26, 189, 44, 238, difficult=1)),
    ]
    put(root, f"Annotations/{stems[0]}.xml", content=xml(*things))
    for name, listed in (("train", stems[:2]), ("val", stems[2:3]), ("trainval", stems[:3])):
        put(root, f"ImageSets/Main/{name}.txt", content="".join(f"{stem}\n" for stem in listed))
    put(root, "ImageSets/Main/aeroplane_train.txt", content=f"{stems[0]}  1\n{stems[1]} -1\n")


@pytest.mark.parametrize("path", ["Annotations", "."])
def test_voc_s_own_layout_gives_splits_and_boxes(tmp_path, path):
    devkit(tmp_path)
    found = look(tmp_path, path)
    assert not found.refused
    assert not found.rejects
    assert found.places == {("train", "unlabeled"): 2, ("validation", "unlabeled"): 1}
    assert found.passed_over == {".xml": 4, ".txt": 4, "(in no list)": 1}
    assert found.vocabulary == Vocabulary(
        frozenset([(0, "aeroplane"), (0, "person")]), has=frozenset(["boxes"])
    )
    annotation = found.annotation("JPEGImages/2007_000032.jpg")
    assert annotation.size == (281, 500)
    assert annotation.objects[0] == Object("aeroplane", (103 * UNIT, 77 * UNIT, 375 * UNIT, 183 * UNIT))
    assert annotation.objects[3] == Object(
        "person", (25 * UNIT, 188 * UNIT, 44 * UNIT, 238 * UNIT), crowd=True
    )
    assert found.annotation("JPEGImages/2007_000042.jpg") == Annotation(size=(281, 500))


def test_files_may_lie_beside_their_images_in_folders_of_splits(tmp_path):
    for name in ("train/a", "valid/a"):
        put(tmp_path, f"{name}.jpg")
        put(tmp_path, f"{name}.xml", content=xml(thing("cat", "1.5", 1, "2.75", 3), size=None))
    found = look(tmp_path, ".")
    assert {source.id: source.split for source in found.sources.values()} == {
        "train/a.jpg": "train",
        "valid/a.jpg": "validation",
    }
    assert found.annotation("train/a.jpg") == Annotation(
        (Object("cat", (UNIT // 2, 0, 11 * UNIT // 4, 3 * UNIT)),)
    )
    assert_beam_finds_the_same(tmp_path, ".")


def test_the_input_may_be_the_images_own_folder(tmp_path):
    devkit(tmp_path)
    found = look(tmp_path / "JPEGImages", "../Annotations")
    assert set(found.sources) == {f"2007_0000{end}.jpg" for end in (32, 33, 42)}


def test_the_job_finds_what_is_found_in_memory(tmp_path):
    devkit(tmp_path)
    assert_beam_finds_the_same(tmp_path, "Annotations")


def test_what_does_not_fit_is_a_reject_with_its_reason(tmp_path):
    wrong = {
        "cut": ("<annotation>", "is no XML (no element found: line 1, column 12)"),
        "other": ("<annotations/>", "is no file of VOC's: its outermost element is 'annotations'"),
        "nameless": (xml(thing(" ", 1, 1, 2, 2)), "has an object without a name"),
        "boxless": (
            xml("<object><name>cat</name><robndbox/></object>"),
            "has an object, 'cat', without a bndbox",
        ),
        "words": (xml(thing("cat", "one", 1, 2, 2)), "has an object, 'cat', whose xmin is 'one', no number"),
        "turned": (
            xml(thing("cat", 9, 1, 2, 2)),
            "has an object, 'cat', that ends before it begins: from 9, 1 to 2, 2",
        ),
        "flat": (xml(size=(0, 500)), "has a size of 500x0"),
    }
    for name, (content, _) in wrong.items():
        put(tmp_path, f"images/{name}.jpg")
        put(tmp_path, f"annotations/{name}.xml", content=content)
    put(tmp_path, "images/alone.jpg", "annotations/gone.xml")
    found = look(tmp_path)
    assert not found.sources
    assert found.rejects == {
        f"images/{name}.jpg": ("bad_annotation", f"annotations/{name}.xml {said}")
        for name, (_, said) in wrong.items()
    } | {
        "images/alone.jpg": ("not_annotated", "there is no XML file of its stem"),
        "annotations/gone.xml": ("no_image", "there is no image images/gone of which it speaks"),
    }


def test_names_in_lists_may_have_spaces_and_stand_before_what_lists_of_one_class_say(tmp_path):
    lines = {"a b": "a b", "a 1": "a 1 ", "c": "c  1", "d e": "d e -1\r"}
    for name in lines:
        put(tmp_path, f"JPEGImages/{name}.jpg")
        put(tmp_path, f"Annotations/{name}.xml", content=xml())
    put(tmp_path, "ImageSets/Main/val.txt", content="".join(f"{line}\n" for line in lines.values()))
    found = look(tmp_path, "Annotations")
    assert found.places == {("validation", "unlabeled"): 4}
    assert not found.rejects


def test_lists_that_tear_an_image_apart_or_name_a_missing_one_are_on_record(tmp_path):
    devkit(tmp_path)
    put(tmp_path, "ImageSets/Main/val.txt", content="2007_000032\n2007_000042\n2007_7\n")
    found = look(tmp_path, "Annotations")
    assert found.rejects == {
        "JPEGImages/2007_000032.jpg": ("named_twice", "lists have it in the splits 'train' and 'validation'"),
        "ImageSets/Main/val.txt#JPEGImages/2007_7": (
            "no_image",
            "there is no image JPEGImages/2007_7 of which it speaks",
        ),
    }
