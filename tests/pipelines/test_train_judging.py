"""How answers are judged, and how the output of a model for boxes is read, on what can be told by hand."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from pipelines.train.judging import AveragePrecision, MeanIoU, iou
from pipelines.train.learned import VOID
from pipelines.train.objectives import Boxes, Masks


def test_mean_iou_is_that_of_keras_over_all_batches_and_leaves_void_out():
    random = np.random.default_rng(1)
    judge, theirs = MeanIoU("abcd"), keras.metrics.MeanIoU(4, ignore_class=VOID)
    for _ in range(3):
        right, said = random.integers(0, 3, (2, 2, 5, 7), np.uint8)  # there is no d
        right[random.random(right.shape) < 0.2] = VOID
        judge.add(right, said)
        theirs.update_state(right.astype(int), said)
    np.testing.assert_allclose(judge.score(), theirs.result(), rtol=1e-6)
    lines = list(judge.lines())
    assert [line["class"] for line in lines] == list("abcd")
    assert (lines[3]["iou"], lines[3]["pixels"]) == (None, 0)
    assert sum(line["pixels"] for line in lines) < 3 * 70


def test_iou_is_common_area_by_area_of_both():
    a = np.array([[0, 0, 2, 2], [0, 0, 1, 1]], np.float32)
    b = np.array([[1, 1, 3, 3], [0, 0, 2, 2], [5, 5, 6, 6]], np.float32)
    np.testing.assert_allclose(iou(a, b), [[1 / 7, 1, 0], [0, 1 / 4, 0]])


def test_average_precision_is_the_area_below_the_curve_by_hand():
    def box(place, number, *score):
        return [place, 0, place + 0.1, 0.1, number, *score]

    judge = AveragePrecision(["cat", "dog", "cow"])
    right = np.array([[box(0, 0), box(0.5, 0), box(0.7, 1)], [box(0, 0), box(0, -1), box(0, -1)]], np.float32)
    said = np.array(
        [
            # right; said twice of one cat; a cat where the dog is; the dog, barely off
            [box(0, 0, 0.9), box(0.01, 0, 0.8), box(0.7, 0, 0.7), box(0.72, 1, 0.5)],
            # the cat of the second image, sure as its second best; nothing
            [box(0, 0, 0.85), box(0, 0, 0), box(0, 0, 0), box(0, 0, 0)],
        ],
        np.float32,
    )
    judge.add(right, said)
    cats = 2 / 3  # two of three found, before anything that is wrong
    assert [(line["class"], line["objects"]) for line in judge.lines()] == [
        ("cat", 3),
        ("dog", 1),
        ("cow", 0),
    ]
    assert [line["ap50"] for line in judge.lines()] == [pytest.approx(cats), 1.0, None]
    assert judge.score() == pytest.approx((cats + 1) / 2)
    last = np.array([[box(0.5, 0, 0.6)]], np.float32)
    judge.add(np.zeros([1, 0, 5], np.float32), last)  # of an image without objects: one more that is wrong
    assert judge.score() == pytest.approx((cats + 1) / 2)


def grid_of(objects: np.ndarray, rows: int, columns: int, classes: int) -> np.ndarray:
    """The output that says exactly those objects, [n, 5]."""
    output = np.full([rows, columns, classes + 4], -20.0, np.float32)
    output[..., -4:] = 0.5
    for y0, x0, y1, x1, number in objects:
        y, x = (y0 + y1) / 2 * rows, (x0 + x1) / 2 * columns
        output[int(y), int(x), int(number)] = 20
        output[int(y), int(x), -4:] = y % 1, x % 1, y1 - y0, x1 - x0
    return output


def test_a_grid_that_is_right_has_no_loss_and_is_read_as_the_objects():
    objects = np.array(
        [[[0.1, 0.2, 0.3, 0.9, 1], [0.6, 0.0, 1.0, 0.2, 0]], [[0, 0, 1, 1, 2], [0, 0, 0, 0, -1]]], np.float32
    )
    output = np.stack([grid_of(its[its[:, 4] >= 0], 5, 7, 3) for its in objects])
    boxes = Boxes()
    np.testing.assert_allclose(boxes.loss()(tf.constant(objects), tf.constant(output)), 0, atol=1e-4)
    said = boxes.said(tf.constant(output)).numpy()
    for its, there in zip(said, objects, strict=True):
        sure = its[its[:, 5] > 0.5]
        there = there[there[:, 4] >= 0]
        order = np.argsort(sure[:, 4]), np.argsort(there[:, 4])
        np.testing.assert_allclose(sure[order[0], :5], there[order[1]], atol=1e-6)
    judge = AveragePrecision("abc")
    judge.add(objects, said)
    assert judge.score() == 1
    off = output.copy()
    off[0, 1, 3, -1] += 0.1  # a tenth of the width, of two objects, times its weight
    change = boxes.loss()(tf.constant(objects), tf.constant(off)).numpy()
    np.testing.assert_allclose(change, [0.1 / 2 * 5, 0], atol=1e-4)


def test_images_without_objects_and_cells_with_several_have_a_loss():
    loss = Boxes().loss()
    empty = np.zeros([2, 0, 5], np.float32)
    nothing = np.stack([grid_of(np.zeros([0, 5]), 2, 2, 1)] * 2)
    np.testing.assert_allclose(loss(tf.constant(empty), tf.constant(nothing)), 0, atol=1e-6)
    large, small = [0.0, 0.0, 0.5, 0.5, 0], [0.2, 0.2, 0.3, 0.3, 0]
    both = np.array([[large, small]], np.float32)
    smallest = grid_of(np.array([small]), 2, 2, 1)[np.newaxis]
    np.testing.assert_allclose(loss(tf.constant(both), tf.constant(smallest)), 0, atol=1e-4)


def test_pixels_that_are_void_have_no_loss():
    y = np.array([[[0, 1], [VOID, VOID]], [[VOID, VOID]] * 2], np.uint8)
    output = np.full([2, 2, 2, 2], 0.5, np.float32)
    output[0, 0, 0], output[0, 0, 1] = [1, 0], [0.25, 0.75]
    loss = Masks().loss()(tf.constant(y), tf.constant(output))
    np.testing.assert_allclose(loss, [-np.log(0.75) / 2, 0], atol=1e-6)
