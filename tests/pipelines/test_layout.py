"""What the top folders are, by their names and by what they hold; what is open is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from augment.errors import RequestError
from pipelines.images import list_images
from pipelines.sources import Folder, Guess, Ignored, Listing, Source, list_folder, top_folders
from pipelines.sources.checks import content_errors, described, folder_errors, warnings
from pipelines.sources.rules import dropping, role


def put(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def listing_of(root: Path, layout: str = "auto") -> Listing:
    listing = Listing()
    for top in top_folders(str(root), layout):
        listing.add(top)
        for found in list_folder(str(root), top) if isinstance(top, Folder) else ():
            listing.add(found)
    return listing


def errors(root: Path, layout: str = "auto") -> list[str]:
    listing = listing_of(root, layout)
    found = folder_errors(listing, layout=layout, fractions=None) or content_errors(listing, fractions=False)
    return [error.replace(str(root), "DIR") for error in found]


def splits(root: Path) -> list[str]:
    return sorted({split for split, _ in listing_of(root).counts})


@pytest.mark.parametrize(
    ("expected", "folders"),
    [
        ("train", "train Training TRAIN train_set trainset TrainSet trn train-images images_train train2017"),
        ("validation", "val valid Validation dev eval val_set val2017"),
        ("test", "test Testing tests test-set testset TestImages holdout seg_test"),
        (None, "cat test_tube trainer train_station retrain développement train_test 123 validity images"),
    ],
)
def test_names_of_splits_are_known_in_their_usual_forms(expected, folders):
    assert {role(folder) for folder in folders.split()} == {expected}
    assert role("Train Data") == "train"


@pytest.mark.parametrize(
    ("name", "folder", "kind"),
    [
        ("__MACOSX", True, "__MACOSX"),
        ("$Recycle.Bin", True, "$RECYCLE.BIN"),
        ("#recycle", True, "#recycle"),
        ("@eaDir", True, "@eaDir"),
        ("lost+found", True, "lost+found"),
        ("System Volume Information", True, "System Volume Information"),
        (".Trash-1000", True, ".Trash-*"),
        (".ipynb_checkpoints", True, ".ipynb_checkpoints"),
        ("found.001", True, "found.000"),
        (".git", True, "(hidden)"),
        ("Thumbs.db", False, "Thumbs.db"),
        ("DESKTOP.INI", False, "desktop.ini"),
        ("._001.jpg", False, "._*"),
        (".hidden.png", False, "(hidden)"),
        ("lost+found", False, None),
        ("Thumbs.db", True, None),
        ("recycled", True, None),
    ],
)
def test_what_systems_and_archives_leave_behind_is_known(name, folder, kind):
    assert dropping(name, folder=folder) == kind


def test_c6_droppings_anywhere_are_counted_by_kind_and_are_no_class(tmp_path):
    put(tmp_path, "cat/1.png", "dog/1.png", "cat/@eaDir/1.png/SYNOPHOTO_THUMB_M.jpg", "cat/Thumbs.db")
    put(tmp_path, "#recycle/old.png", "$RECYCLE.BIN/S-1-5/$R1.png", "__MACOSX/cat/._1.png", "dog/._1.png")
    (tmp_path / "lost+found").mkdir()
    listing = listing_of(tmp_path)
    assert listing.counts == {("train", "cat"): 1, ("train", "dog"): 1}
    kinds = {"@eaDir": 1, "Thumbs.db": 1, "#recycle": 1, "$RECYCLE.BIN": 1, "__MACOSX": 1, "._*": 1}
    assert listing.passed_over() == kinds
    assert errors(tmp_path) == []
    said = described(listing.counts, listing.passed_over())
    assert "passed over: 1 #recycle, 1 $RECYCLE.BIN, 1 ._*, 1 @eaDir, 1 Thumbs.db, 1 __MACOSX" in said


def test_a_stranger_among_splits_that_holds_their_classes_is_a_split_and_that_is_said(tmp_path):
    put(tmp_path, "train/a/1.png", "test/a/1.png", "fold_1/a/1.png", "docs/notes.txt", "__MACOSX/train/x.png")
    assert splits(tmp_path) == ["fold_1", "test", "train"]
    assert [sentence.partition(":")[0] for sentence in warnings(listing_of(tmp_path))[:2]] == [
        "folder 'docs'",
        "folder 'fold_1'",
    ]


def test_a_stranger_of_another_form_is_refused_with_a_way_out(tmp_path):
    put(tmp_path, "train/a/1.png", "test/a/1.png", "cat/1.png")
    assert errors(tmp_path) == [
        "folder 'cat': no splits by name or by what they hold, as 'test' and 'train' are; say "
        "--layout splits if "
        "all of the top folders are splits, --layout classes if all of them are classes, or move "
        "what is neither "
        "out of the input"
    ]
    assert errors(tmp_path, "classes") == []


def test_the_splits_once_more_in_a_folder_are_refused(tmp_path):
    put(tmp_path, "train/a/1.png", "test/a/1.png", "xray/train/a/1.png", "xray/test/a/1.png")
    assert errors(tmp_path) == [
        "folder 'xray': splits again, beside 'test' and 'train'; move them out of the input, or give "
        "--input DIR/xray"
    ]


def test_a_class_named_as_a_split_beside_others_is_a_class_and_that_is_said(tmp_path):
    put(tmp_path, "train/1.png", "bus/1.png", "car/deep/1.png")
    listing = listing_of(tmp_path)
    assert [label for label, _ in listing.classes()] == ["bus", "car", "train"]
    assert warnings(listing) == [
        "folder 'train': taken for a class, not for a split: it holds no folders; --layout says otherwise"
    ]


def test_splits_without_class_folders_are_refused(tmp_path):
    put(tmp_path, "train/1.png", "test/1.png")
    [error] = errors(tmp_path)
    assert error.startswith(
        "folders 'test' and 'train': named as splits, without class folders; put the images"
    )
    assert errors(tmp_path, "classes") == []


def test_a_flat_test_folder_is_refused_by_name(tmp_path):
    put(tmp_path, "train/a/1.png", "train/b/1.png", *(f"test/{i}.png" for i in range(10)))
    assert errors(tmp_path) == [
        "split folder 'test' holds 10 images and no class folders: put them into class folders, "
        "test/<class>/..., or move it out of the input"
    ]


def test_one_folder_too_deep_is_refused_with_the_input_that_is_meant(tmp_path):
    put(tmp_path / "1", "xray/train/a/1.png", "xray/test/a/1.png")
    assert errors(tmp_path / "1") == [
        "folder 'xray' holds the splits 'test' and 'train', and splits are the top folders, "
        "DIR/<split>/<class>/...: give --input DIR/xray"
    ]
    put(tmp_path / "2", "archive/photos/cat/1.png", "archive/photos/dog/1.png")
    assert errors(tmp_path / "2") == [
        "there is one folder, 'archive', and 'cat' and 'dog' lie in it, at archive/photos: if these are the "
        "classes, or the splits, give --input DIR/archive/photos; if 'archive' is the only class, say "
        "--layout classes"
    ]
    assert errors(tmp_path / "2", "classes") == []


def test_images_in_no_folder_are_counted(tmp_path):
    put(tmp_path, "1.png", "2.png")
    assert errors(tmp_path) == [
        "it has no class folders (2 images lie in none); it must be DIR/<class>/... or "
        "DIR/<split>/<class>/..."
    ]


def test_splits_that_share_no_class_are_refused_unless_that_is_said(tmp_path):
    put(tmp_path, "train/a/1.png", "train/b/1.png", "test/c/1.png")
    assert errors(tmp_path) == [
        "splits 'test' and 'train': no class in common with another split ('test' has 'c'; 'train' "
        "has 'a' and "
        "'b'); give classes one name in all splits, or say --layout splits if it is meant so"
    ]
    assert errors(tmp_path, "splits") == []


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        (
            ["b/1.psd", "b/2.psd"],
            "class folder 'b' has only files that are not read, 2 .psd; convert .psd files to PNG or JPEG",
        ),
        (
            ["b/1.txt"],
            "class folder 'b' has only files that are not read, 1 .txt; docs/images.md says what is read",
        ),
    ],
)
def test_a_class_of_other_files_is_refused_with_what_to_do(tmp_path, files, sentence):
    put(tmp_path, "a/1.png", *files)
    assert errors(tmp_path) == [sentence]


def test_a_class_of_empty_files_is_refused(tmp_path):
    put(tmp_path, "a/1.png", "rare/1.jpg")
    (tmp_path / "rare/1.jpg").write_bytes(b"")
    assert errors(tmp_path) == [
        "class folder 'rare' has no image that can be used: 1 empty; fill it or remove it"
    ]


def test_heif_without_its_extra_is_a_warning_and_an_error_where_a_class_is_of_it(tmp_path, monkeypatch):
    put(tmp_path, "a/1.png", "a/1.HEIC", "b/1.png")
    for there, said in ((True, 0), (False, 1)):
        monkeypatch.setattr("pipelines.sources.checks.reads_heif", lambda there=there: there)
        assert errors(tmp_path) == []
        assert len(warnings(listing_of(tmp_path))) == said
    (tmp_path / "b/1.png").rename(tmp_path / "b/1.heif")
    [error] = errors(tmp_path)
    assert (
        "1 .heif; .heif takes the extra heic, which is not installed here (make install EXTRAS=heic)" in error
    )


def test_warnings_are_summed_up_by_kind(tmp_path):
    put(tmp_path, *(f"train/{i:03}/1.png" for i in range(300)), "test/000/1.png", "train/loose.png")
    put(tmp_path, "train/000/1.psd", "train/001/2.psd")
    said = warnings(listing_of(tmp_path))
    assert len(said) == 3
    assert said[0].startswith("split 'test' has no images of classes '001', '002'")
    assert said[0].endswith("and 291 more, 299 of 300")
    assert said[1].startswith("1 images lie in no class folder")
    assert said[2] == "pictures of these kinds are not read: 2 .psd; convert them to PNG or JPEG"


def test_a_listing_at_once_refuses_what_the_job_refuses(tmp_path):
    put(tmp_path, "A/1.png", "a/1.png")
    with pytest.raises(RequestError, match="classes 'A' and 'a' differ only by case"):
        list_images(str(tmp_path))


def test_a_file_too_large_to_be_read_is_rejected_by_its_size(tmp_path):
    put(tmp_path, "a/1.png")
    with open(tmp_path / "a/huge.jpg", "wb") as file:
        file.truncate(20 << 30)
    [reject] = list_images(str(tmp_path)).rejects
    assert reject[:2] == ("a/huge.jpg", "too_large")
    assert reject.detail == (
        "21,474,836,480 bytes; at most 536,870,912 are read: shrink the image, or take it out"
    )


def test_refused_folders_are_no_classes(tmp_path):
    put(tmp_path, "train/a/1.png", "cat/1.png", "notes.txt")
    found = list(top_folders(str(tmp_path), "auto"))
    assert Ignored(".txt") in found
    assert not [one for one in found if isinstance(one, Folder | Source)]
    assert [one.refused for one in found if isinstance(one, Guess)] == [True]
