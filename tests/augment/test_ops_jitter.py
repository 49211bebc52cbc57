"""Color jitter, held to Pillow's enhancers as torchvision chains them, and channel shuffles."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from PIL import Image, ImageEnhance

JITTER = "color_jitter: {brightness: 0.6, contrast: 0.7, saturation: 0.8}"
ENHANCERS = {"brightness": ImageEnhance.Brightness, "contrast": ImageEnhance.Contrast}
ENHANCERS["saturation"] = ImageEnhance.Color
NAMES = ("brightness", "contrast", "saturation", "hue")


@pytest.mark.parametrize("copy", range(12))
def test_the_jitter_is_that_of_pillow_in_the_recorded_order(apply_op, make_draws, photo, copy):
    [draw] = make_draws(JITTER, count=1, copy=copy, rows=True)
    expected = Image.fromarray(photo)
    for digit in str(draw["color_jitter.order"]):
        name = NAMES[int(digit) - 1]
        if name != "hue":
            factor = float(draw[f"color_jitter.{name}"])
            expected = ENHANCERS[name](expected).enhance(factor)
    np.testing.assert_array_equal(apply_op(photo, JITTER, copy=copy), expected)


@pytest.mark.parametrize("delta", [-0.5, -0.2, 0.1, 0.5])
def test_the_hue_of_the_jitter_is_that_of_the_op(apply_op, photo, delta):
    np.testing.assert_array_equal(
        apply_op(photo, f"color_jitter: {{hue: [{delta}, {delta}]}}"),
        apply_op(photo, f"hue: {{delta: [{delta}, {delta}]}}"),
    )


def test_a_jitter_with_hue_follows_the_recorded_order(apply_op, make_draws, photo):
    entry = "color_jitter: {brightness: 0.6, saturation: 0.8, hue: 0.3}"
    for copy in range(6):
        [draw] = make_draws(entry, count=1, copy=copy, rows=True)
        image = photo
        for digit in str(draw["color_jitter.order"]):
            name = NAMES[int(digit) - 1]
            value = draw[f"color_jitter.{name}"]
            if name in ENHANCERS:
                image = np.asarray(ENHANCERS[name](Image.fromarray(image)).enhance(float(value)))
            else:
                image = apply_op(image, f"hue: {{delta: [{value!s}, {value!s}]}}")
        np.testing.assert_array_equal(apply_op(photo, entry, copy=copy), image)


def test_without_settings_nothing_changes(apply_op, photo):
    np.testing.assert_array_equal(apply_op(photo, "color_jitter"), photo)


@pytest.mark.parametrize(("entry", "digits"), [("color_jitter", "1234"), ("channel_shuffle", "123")])
def test_every_order_is_drawn_equally_often(make_draws, entry, digits):
    orders, counts = np.unique(make_draws(entry)[f"{entry}.order"], return_counts=True)
    expected = sorted(int("".join(order)) for order in itertools.permutations(digits))
    np.testing.assert_array_equal(orders, expected)
    np.testing.assert_allclose(counts / counts.sum(), 1 / len(expected), atol=0.02)


def test_factors_and_order_are_drawn_independently(make_draws):
    drawn = make_draws("color_jitter: {brightness: 0.4, contrast: 0.4, saturation: 0.4, hue: 0.1}")
    columns = np.stack([drawn[f"color_jitter.{name}"] for name in (*NAMES, "order")])
    np.testing.assert_allclose(np.corrcoef(columns), np.eye(5), atol=0.05)
    assert columns[0].min() < 0.61
    assert columns[0].max() > 1.39
    assert np.abs(columns[3]).max() <= 0.1


def test_a_shuffle_puts_the_channels_into_the_recorded_order(apply_op, make_draws, photo):
    seen = set()
    for copy in range(12):
        [draw] = make_draws("channel_shuffle", count=1, copy=copy, rows=True)
        order = draw["channel_shuffle.order"]
        channels = [int(digit) - 1 for digit in str(order)]
        np.testing.assert_array_equal(apply_op(photo, "channel_shuffle", copy=copy), photo[..., channels])
        seen.add(order)
    assert len(seen) > 3
