"""Pictures that are known again, and what they join."""

from __future__ import annotations

import io
import itertools
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from augment import codec
from augment.errors import RequestError
from pipelines.plan.together import Alike, Joined, joined_nodes, meeting_places, see, see_all
from pipelines.sources import Source
from pipelines.sources.groups import checked_groups, group_names
from pipelines.sources.likeness import BITS, NEAR, PLAIN, bands, near_pairs, picture_code


def distance(one: bytes, other: bytes) -> int:
    return (int.from_bytes(one, "big") ^ int.from_bytes(other, "big")).bit_count()


def saved(pixels: np.ndarray, size: tuple[int, int] | None = None, **how: object) -> np.ndarray:
    """The picture as it is after it was saved."""
    picture = Image.fromarray(pixels)
    file = io.BytesIO()
    (picture.resize(size, Image.Resampling.LANCZOS) if size else picture).save(file, **how)
    return codec.decode(file.getvalue(), 3)


def test_the_code_says_which_of_two_neighbours_is_lighter():
    ramp = np.broadcast_to(np.arange(0, 180, 2, np.uint8)[np.newaxis, :, np.newaxis], (80, 90, 3)).copy()
    code = picture_code(ramp)
    assert code == b"\xff" * 8 + b"\0" * 8
    assert picture_code(ramp.transpose(1, 0, 2)) == b"\0" * 8 + b"\xff" * 8
    assert picture_code(ramp[:, ::-1]) is None  # not one neighbour is lighter
    assert picture_code(np.full([5, 7, 3], 9, np.uint8)) is None


def test_cells_of_any_size_of_picture_have_equal_parts_of_it():
    pixels = np.random.default_rng(0).integers(0, 256, (8 * 9, 9 * 8, 3), np.uint8)
    small = np.random.default_rng(1).integers(0, 256, (7, 5, 3), np.uint8)
    large = small.repeat(72, axis=0).repeat(72, axis=1)
    assert picture_code(small) == picture_code(large)
    assert picture_code(pixels) == picture_code(pixels.repeat(2, axis=0).repeat(3, axis=1))


@pytest.mark.parametrize(
    "how",
    [
        {"format": "JPEG", "quality": 40},
        {"format": "PNG", "size": (120, 90)},
        {"format": "JPEG", "quality": 60, "size": (130, 100)},
        {"format": "WEBP", "quality": 50, "size": (500, 370)},
    ],
)
def test_a_picture_that_was_saved_anew_is_near_itself_and_far_from_others(photo_of, how):
    photos = [photo_of(240, 320, seed=seed) for seed in range(6)]
    codes = [picture_code(photo) for photo in photos]
    for photo, code in zip(photos, codes, strict=True):
        assert distance(picture_code(saved(photo, **how)), code) <= NEAR
    assert all(distance(a, b) > NEAR for a, b in itertools.combinations(codes, 2))


@given(st.binary(min_size=16, max_size=16), st.sets(st.integers(0, BITS - 1), max_size=NEAR))
def test_codes_that_are_near_have_a_band_in_common(code, turned):
    other = int.from_bytes(code, "big") ^ sum(1 << bit for bit in turned)
    assert set(bands(code)) & set(bands(other.to_bytes(16, "big")))
    assert list(near_pairs([code, other.to_bytes(16, "big")])) == [(0, 1)]
    assert PLAIN > NEAR  # or pictures without structure would all be near each other


@given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), max_size=20), st.randoms())
def test_what_is_joined_goes_by_its_least_name_in_any_order_and_in_any_parts(pairs, chance):
    pairs = [(f"{a:02}", f"{b:02}") for a, b in pairs]

    def joined(pairs) -> Joined:
        found = Joined()
        for pair in pairs:
            found.join(*pair)
        return found

    once = joined(pairs)
    shuffled = chance.sample(pairs, len(pairs))
    middle = len(pairs) // 2
    parts = joined(shuffled[middle:]).merge(joined(shuffled[:middle]))
    names = [f"{a:02}" for a in range(13)]
    sets = {name: {name} for name in names}
    for _ in names:
        for a, b in pairs:
            both = sets[a] | sets[b]
            sets.update(dict.fromkeys(both, both))
    assert [once.least(n) for n in names] == [parts.least(n) for n in names] == [min(sets[n]) for n in names]


def test_a_chain_of_near_pictures_is_one_set_though_its_ends_are_far():
    code = bytes(range(16))
    chain = [(int.from_bytes(code, "big") ^ ((1 << (6 * step)) - 1)).to_bytes(16, "big") for step in range(6)]
    assert distance(chain[0], chain[5]) > NEAR
    joined = Joined()
    for first, second in joined_nodes(Alike(one.hex(), one) for one in random.Random(0).sample(chain, 6)):
        joined.join(first, second)
    assert len({joined.least(one.hex()) for one in chain}) == 1


def test_sources_are_joined_by_content_by_picture_and_by_group(tmp_path, photo_of):
    root = tmp_path / "in"
    (root / "a").mkdir(parents=True)
    photo, other = photo_of(60, 80, seed=1), photo_of(60, 80, seed=2)
    Image.fromarray(photo).save(root / "a/v1_0.png")
    Image.fromarray(saved(photo, size=(40, 30), format="JPEG", quality=60)).save(root / "a/v2_0.png")
    Image.fromarray(other).save(root / "a/v2_1.png")
    Image.fromarray(photo_of(60, 80, seed=3)).save(root / "a/v3_0.png")
    Image.fromarray(np.full([9, 9, 3], 7, np.uint8)).save(root / "a/v4_0.png")
    (root / "a/v5_0.png").write_bytes((root / "a/v4_0.png").read_bytes())
    Image.fromarray(np.full([9, 9, 3], 8, np.uint8)).save(root / "a/v6_0.png")
    (root / "a/v7_0.png").write_bytes(b"no image")
    sources = [Source(f"a/{path.name}", "train", "a", 1) for path in sorted((root / "a").iterdir())]
    ids = [source.id for source in sources]

    def sets(groups) -> list[set[str]]:
        seen, joined = see_all(str(root), zip(sources, groups, strict=True))
        found: dict[str, set[str]] = {}
        for one in seen:
            found.setdefault(joined.least(one.node), set()).add(one.source.id[2:4] + one.source.id[5])
        return sorted(found.values(), key=min)

    assert sets([None] * len(ids)) == [{"v10", "v20"}, {"v21"}, {"v30"}, {"v40", "v50"}, {"v60"}, {"v70"}]
    by_video = group_names(r"(v\d)", ids)
    assert sets(by_video) == [{"v10", "v20", "v21"}, {"v30"}, {"v40", "v50"}, {"v60"}, {"v70"}]


def test_a_source_that_cannot_be_read_is_an_error_and_no_picture_of_its_own(tmp_path, monkeypatch):
    monkeypatch.setattr("pipelines.plan.together.ATTEMPTS", 1)
    with pytest.raises(
        OSError, match=r"a/1.png: it cannot be read .*, so it is not known what it is a duplicate"
    ):
        see(str(tmp_path), Source("a/1.png", "train", "a", 9), None)


def test_a_source_meets_others_under_its_bands_or_without_a_code_under_its_content(tmp_path, photo_of):
    Image.fromarray(photo_of(60, 80, seed=1)).save(tmp_path / "1.png")
    seen = see(str(tmp_path), Source("1.png", "train", "a", 9), None)
    keys = [key for key, _ in meeting_places(seen)]
    assert len(keys) == len(set(keys)) == NEAR + 1
    [(key, _)] = meeting_places(seen._replace(code=None))
    assert key.hex() == seen.content


@pytest.mark.parametrize("code", [None, bytes(range(16))])
@pytest.mark.parametrize("node", ["video 07", "ü", bytes(range(16)).hex()])
def test_what_passes_a_shuffle_comes_out_as_it_was(node, code):
    assert Alike.unpacked(Alike(node, code).packed()) == Alike(node, code)


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("video", "it has 0 groups; put that part of the path"),
        ("(a)(b)", "it has 2 groups; put that part of the path"),
        ("(a", "it is no regular expression"),
        ("(?<=v)(a)", "it must be in the syntax of RE2"),
        (r"(a)\1", "it must be in the syntax of RE2"),
    ],
)
def test_an_expression_without_one_group_is_refused(pattern, said):
    with pytest.raises(RequestError) as caught:
        checked_groups(pattern, table=False)
    assert str(caught.value).startswith(f"--group-by {pattern!r}: {said}")


def test_the_group_is_what_is_found_first_in_an_id_and_nothing_is_none():
    ids = ["car/video07_1.jpg", "car/video08/video09.jpg", "car/video.jpg", "ü/video1\n.jpg", "x/VIDEO3"]
    assert group_names(checked_groups(r"video(\d*)", table=False), ids) == ["07", "08", None, "1", None]
    assert group_names(checked_groups(r"^([^/]+)/", table=False), ids) == ["car", "car", "car", "ü", "x"]
    last = checked_groups(r"(?i)video(\d+)$|none", table=False)
    assert group_names(last, ids) == [None, None, None, None, "3"]


def test_an_expression_made_to_take_for_ever_takes_no_time():
    assert group_names(checked_groups("^(?:a+)+(b)$", table=False), ["a" * 4000 + "c"]) == [None]
