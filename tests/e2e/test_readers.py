"""Readers of shards without TensorFlow give what `from_shards` gives, by number and batch after batch."""

from __future__ import annotations

import base64
import io
import itertools
import pickle
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from augment.errors import RequestError
from pipelines import datasets
from pipelines.format import stored
from pipelines.format.manifest import read_manifest
from pipelines.train.feeding import Stored
from pipelines.train.learned import CLASSES, Learned
from pipelines.train.truth import Truth

SHARDS = ("--copies", 2, "--shards", 3, "--include-originals")


@pytest.fixture(scope="module")
def out(materialize, images) -> Path:
    """20 sources of train in copies -1, 0 and 1, and 6 of test, in three shards each, as PNG."""
    return materialize(images, *SHARDS)


def plain(samples: Iterable[dict[str, Any]]) -> list[tuple[str, int, int, bytes]]:
    """As `samples_of` has those of tf.data."""
    return [(s["source"], int(s["label"]), int(s["copy"]), np.asarray(s["image"]).tobytes()) for s in samples]


def apart(batches: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The samples of batches."""
    return [
        {name: batch[name][i] for name in batch} for batch in batches for i in range(len(batch["source"]))
    ]


@pytest.mark.parametrize("storage", ["png", "jpeg", "raw"])
@pytest.mark.parametrize(
    "chosen",
    [{}, {"split": "test"}, {"copies": [1, 0]}, {"copies": [-1]}, {"shuffle": 7, "epoch": 2}],
    ids=["default", "test", "copies", "originals", "shuffled"],
)
def test_samples_are_those_of_from_shards_in_their_order(materialize, images, samples_of, storage, chosen):
    out = str(materialize(images, *SHARDS, storage=storage))
    expected = samples_of(datasets.from_shards(out, **chosen))
    samples = datasets.numpy(out, **chosen)
    assert len(samples) == len(expected) > 0
    assert plain(samples) == expected
    assert plain(apart(samples.batches(7))) == expected
    assert samples[-1]["image"].flags.writeable


def test_copies_that_only_some_classes_have_are_read_and_exported(
    materialize, images, samples_of, run_command, tmp_path
):
    out = str(materialize(images, "--balance", 15, "--shards", 2))
    samples = datasets.numpy(out)
    assert plain(samples) == samples_of(datasets.from_shards(out))
    assert np.bincount(samples.labels).tolist() == [15, 15]
    ended = run_command("export", out, "--to", "folders", "--output", tmp_path / "x")
    assert ended.status == 0, ended.err
    for label in ("cat", "dog"):
        assert len(list((tmp_path / "x/train" / label).iterdir())) == 15


def test_labels_and_sources_are_known_without_reading_and_in_order(out):
    samples = datasets.numpy(str(out), shuffle=1)
    assert samples.labels.tolist() == [sample["label"] for sample in samples]
    assert samples.sources.tolist() == [sample["source"] for sample in samples]
    assert samples.classes == ("cat", "dog")


def test_a_notebook_shows_some_images_in_rows_of_their_copies(out):
    samples = datasets.numpy(str(out), shuffle=1)
    said, *rows = samples._repr_html_().splitlines()
    assert "40 samples of 20 images in 2 classes: cat, dog" in said
    assert len(rows) == 3
    for row, source in zip(rows, samples.sources, strict=False):
        assert set(re.findall(r'title="([^"]+)"', row)) == {f"{source}, copy 0", f"{source}, copy 1"}
    encoded = re.search(r"base64,([^\"]+)", rows[0])[1]
    np.testing.assert_array_equal(Image.open(io.BytesIO(base64.b64decode(encoded))), samples[0]["image"])


@pytest.mark.parametrize("epoch", [0, 1, 5])
def test_a_shuffle_is_the_trainers_with_copy_k_as_epoch_k(out, epoch):
    learned = Learned(CLASSES, read_manifest(str(out)).classes)
    members = Stored(str(out), Truth(learned, (20, 24, 3))).members("train")
    order = members.ids[members.order(3, epoch)].tolist()
    one = datasets.numpy(str(out), copies=[epoch % 2], shuffle=3, epoch=epoch)
    assert one.sources.tolist() == order
    both = datasets.numpy(str(out), copies=[0, 1], shuffle=3, epoch=epoch // 2)
    both.set_epoch(epoch // 2)
    half = epoch % 2 * len(order)
    assert both.sources[half : half + len(order)].tolist() == order


def test_shuffled_shards_in_tf_data_say_how_many_there_are_and_come_alike_each_time(out, samples_of):
    shuffled = datasets.from_shards(str(out), shuffle=0)
    assert len(shuffled) == 40
    assert samples_of(shuffled) == samples_of(shuffled)
    assert samples_of(shuffled) != samples_of(datasets.from_shards(str(out)))
    assert sorted(samples_of(shuffled)) == sorted(samples_of(datasets.from_shards(str(out))))


@pytest.mark.parametrize("threads", [0, 1, 3, None])
def test_batches_are_the_same_with_any_number_of_threads(out, threads):
    samples = datasets.numpy(str(out))
    assert plain(apart(samples.batches(6, threads=threads))) == plain(samples)
    assert len(next(samples.batches(6, threads=threads))["label"]) == 6


@pytest.mark.parametrize("drop_last", [False, True])
def test_each_sample_goes_to_one_rank(out, drop_last):
    samples = datasets.numpy(str(out))
    of_rank = [list(samples.batches(4, rank=rank, ranks=3, drop_last=drop_last)) for rank in range(3)]
    seen = [plain(apart(batches)) for batches in of_rank]
    assert all(mine == plain(samples)[rank::3][: len(mine)] for rank, mine in enumerate(seen))
    assert sum(map(len, seen)) == (36 if drop_last else 40)
    if drop_last:
        assert {len(batch["label"]) for batches in of_rank for batch in batches} == {4}
        assert {len(batches) for batches in of_rank} == {3}


def test_no_tensorflow_is_imported_and_nothing_is_written(out, tree):
    before = tree(out)
    torch = "datasets.torch(sys.argv[1])[0]; " * has_torch()
    code = (
        "import sys; from pipelines import datasets; "
        f"next(datasets.numpy(sys.argv[1], shuffle=0).batches(4)); {torch}"
        "print({'tensorflow', 'keras', 'apache_beam'} & set(sys.modules))"
    )
    ended = subprocess.run([sys.executable, "-c", code, str(out)], capture_output=True, text=True)
    assert ended.stdout == "set()\n", ended.stderr
    assert tree(out) == before


def test_threads_and_pickled_copies_read_alike_with_fewer_files_open_than_there_are(out, monkeypatch):
    monkeypatch.setattr(stored, "_MOST_OPEN", 1)
    samples = datasets.numpy(str(out), shuffle=5)
    expected = plain(samples)
    with ThreadPoolExecutor(4) as pool:
        assert plain(pool.map(samples.__getitem__, range(len(samples)))) == expected
    assert plain(pickle.loads(pickle.dumps(samples))) == expected


def test_numbers_count_from_the_end_and_slices_are_lists(out):
    samples = datasets.numpy(str(out))
    assert plain([samples[-1]]) == plain([samples[39]])
    assert plain(samples[3:6]) == plain(samples)[3:6]
    with pytest.raises(IndexError, match="there is no sample 40; there are 40"):
        samples[40]


@pytest.mark.parametrize("read", ["from_shards", "numpy", "torch"])
@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"split": "trian"}, "there is no split 'trian'; did you mean train?"),
        ({"copies": [2]}, "split 'train' has no copy 2; it has -1 to 1"),
        ({"copies": [-2]}, "split 'train' has no copy -2"),
        ({"copies": []}, r"copies is \[\]; it takes a list of numbers, such as copies=\[1\]"),
        ({"copies": 1}, "copies is 1; it takes a list of numbers"),
        ({"shuffle": True}, "shuffle is True; it must be a seed, such as shuffle=0, or None"),
        ({"shuffle": -1}, "shuffle is -1"),
        ({"shuffle": 1, "epoch": -1}, "epoch is -1; it must be a number, from 0"),
    ],
)
def test_what_is_not_there_is_a_clear_sentence(out, read, asked, said):
    if read == "torch":
        pytest.importorskip("torch", reason="PyTorch is not installed: the extra torch")
    with pytest.raises(RequestError, match=said):
        getattr(datasets, read)(str(out), **asked)


def test_what_is_no_finished_dataset_is_a_clear_sentence(out, tmp_path):
    with pytest.raises(RequestError, match="there is no such directory"):
        datasets.numpy(str(tmp_path / "nowhere"))
    with pytest.raises(RequestError, match=r"it holds no manifest\.json, so it is no finished dataset"):
        datasets.numpy(str(tmp_path))
    shutil.copytree(out, tmp_path / "cut")
    next((tmp_path / "cut").glob("*train_c0.tfrecord*")).unlink()
    with pytest.raises(RequestError, match="it, or its samples file, is missing or damaged"):
        datasets.numpy(str(tmp_path / "cut"))


@pytest.mark.parametrize(
    ("share", "said"),
    [
        ({"size": 0}, "size is 0; a batch has at least one"),
        ({"size": 1, "rank": 2, "ranks": 2}, "rank is 2 of 2"),
    ],
)
def test_a_share_that_cannot_be_is_a_clear_sentence(out, share, said):
    with pytest.raises(RequestError, match=said):
        datasets.numpy(str(out)).batches(**share)


def test_a_damaged_record_is_an_error_when_it_is_read(out, tmp_path):
    shutil.copytree(out, tmp_path / "damaged")
    shard = next((tmp_path / "damaged").glob("*train_c0.tfrecord-00000*"))
    content = bytearray(shard.read_bytes())
    content[100] ^= 1
    shard.write_bytes(content)
    samples = datasets.numpy(str(tmp_path / "damaged"), copies=[0])
    with pytest.raises(OSError, match="its record at byte 12 is damaged"):
        samples[0]
    samples[1]
    with pytest.raises(OSError, match="its record at byte 12 is damaged"):
        list(samples.batches(4))


def test_a_shard_in_the_place_of_another_is_an_error_when_it_is_read(out, tmp_path):
    shutil.copytree(out, tmp_path / "mixed")
    one, other = sorted((tmp_path / "mixed").glob("*train_c?.tfrecord-00000*"))
    shutil.copy(other, one)
    with pytest.raises(OSError, match="is another one"):
        datasets.numpy(str(tmp_path / "mixed"), copies=[0])[0]


def has_torch() -> bool:
    try:
        import torch  # noqa: F401
    except ImportError:
        return False
    return True


def test_without_pytorch_a_sentence_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.delitem(sys.modules, "pipelines.datasets.pytorch", raising=False)
    with pytest.raises(RequestError, match="PyTorch is not installed; it comes with the extra torch"):
        datasets.torch("out")


class TestTorch:
    """A DataLoader gives each sample once, in the order that is stated."""

    @pytest.fixture(autouse=True)
    def loader(self) -> Any:
        pytest.importorskip("torch", reason="PyTorch is not installed: the extra torch")
        from torch.utils.data import DataLoader

        return DataLoader

    @pytest.mark.filterwarnings("ignore:This DataLoader will create")
    @pytest.mark.parametrize("workers", [0, 2, 4])
    def test_order_and_pixels_are_those_of_numpy_with_any_number_of_workers(self, out, loader, workers):
        expected = plain(datasets.numpy(str(out), shuffle=1))
        samples = datasets.torch(str(out), shuffle=1)
        assert len(samples) == 40
        one_by_one = loader(samples, batch_size=7, num_workers=workers)
        assert plain(apart(one_by_one)) == expected
        whole = loader(samples.batches(7), batch_size=None, num_workers=workers)
        assert len(whole) == 6
        assert plain(apart(whole)) == expected

    def test_two_ranks_have_each_sample_once(self, out, loader):
        from torch.utils.data import DistributedSampler

        samples = datasets.torch(str(out), copies=[0])
        expected = plain(datasets.numpy(str(out), copies=[0]))
        for rank in range(2):
            sampler = DistributedSampler(samples, num_replicas=2, rank=rank, shuffle=False)
            mapped = loader(samples, batch_size=4, sampler=sampler, num_workers=2)
            whole = loader(samples.batches(4, rank=rank, ranks=2), batch_size=None, num_workers=2)
            assert plain(apart(mapped)) == plain(apart(whole)) == expected[rank::2]

    def test_workers_that_outlive_an_epoch_hear_of_the_next(self, out, loader):
        samples = datasets.torch(str(out), copies=[0], shuffle=2)
        for given, size in ((samples, 8), (samples.batches(8), None)):
            epochs = loader(given, batch_size=size, num_workers=2, persistent_workers=True)
            for epoch in range(3):
                samples.set_epoch(epoch)
                expected = datasets.numpy(str(out), copies=[0], shuffle=2, epoch=epoch)
                assert plain(apart(epochs)) == plain(expected)

    def test_a_batch_stays_as_it_is_for_as_long_as_it_or_a_part_of_it_is_held(self, out, loader):
        expected = plain(datasets.numpy(str(out)))
        batches = datasets.torch(str(out)).batches(1)
        epochs = loader(batches, batch_size=None, num_workers=1, persistent_workers=True)
        next(iter(epochs))  # and no more of this epoch
        for held in (40, 1):  # more than a worker has memory for, and fewer
            seen, kept = [], []
            for batch in epochs:
                kept.append({name: batch[name][0] for name in batch})
                if len(kept) == held:
                    seen += plain(kept)
                    kept.clear()
            assert seen == expected
        from pipelines.datasets import handing

        assert handing._RECEIVED
        del epochs
        del batch
        assert not handing._RECEIVED

    def test_a_worker_can_change_a_batch_and_hand_it_over_twice(self, out, loader):
        from torch.utils.data import IterableDataset

        class Twice(IterableDataset):
            def __iter__(self):
                for batch in datasets.torch(str(out), copies=[0]).batches(10):
                    yield batch
                    batch["image"] ^= 255
                    yield batch
                    yield {**batch, "image": batch["image"].float()}

        expected = datasets.numpy(str(out), copies=[0])
        received = iter(loader(Twice(), batch_size=None, num_workers=1))
        for whole in expected.batches(10):
            first, second, third = (np.asarray(next(received)["image"]) for _ in range(3))
            assert (255 - whole["image"]).tobytes() == second.tobytes()
            assert third.dtype == np.float32
            np.testing.assert_array_equal(third, second)
            assert first.shape == second.shape  # what it was when it was handed over, or later

    def test_tensors_are_of_the_types_that_are_stated(self, out, loader):
        import torch

        samples = datasets.torch(str(out))
        assert samples[0]["image"].dtype == torch.uint8
        assert tuple(samples[0]["image"].shape) == (20, 24, 3)
        assert samples.labels.tolist() == [samples[i]["label"] for i in range(len(samples))]
        batch = next(iter(loader(samples.batches(5), batch_size=None)))
        assert (batch["label"].dtype, batch["copy"].dtype) == (torch.int64, torch.int64)
        assert [len(values) for values in batch.values()] == list(itertools.repeat(5, 4))


def test_the_number_of_samples_is_the_manifests(out):
    manifest = read_manifest(str(out))
    total = sum(len(datasets.numpy(str(out), split=s, copies=manifest.copies(s))) for s in manifest.splits)
    assert total == manifest.records
