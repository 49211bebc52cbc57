"""Cars, trucks and buses on a road, and what is known of them because we drew them."""

from __future__ import annotations

import random
from typing import Any, NamedTuple

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from augment.targets import UNIT, Annotation, Object

VEHICLES = ("car", "truck", "bus")
"""In a mask their ids are 1, 2 and 3."""
KEYPOINTS = ("front_wheel", "rear_wheel")
"""The outermost wheels. They are no pair: what a mirror turns round drives the other way, and the wheel in
front is still the one in front."""
_WHEELS = {"car": (0.2, 0.8), "truck": (0.14, 0.32, 0.84), "bus": (0.2, 0.82)}
"""Where they are along the vehicle, from behind."""


class Drawn(NamedTuple):
    """A picture, and what is known of it because we drew it."""

    picture: Image.Image
    annotation: Annotation
    """the vehicle: its box and outline to half a pixel, as it is drawn at twice the size; and its wheels"""
    mask: np.ndarray
    """uint8 [H, W]: the vehicle's id where it covers half of a pixel or more, else 0"""


def draw_vehicle(label: str, chance: random.Random, faces: str | None = None) -> Image.Image:
    """The picture of `draw_with_truth`."""
    return draw_with_truth(label, chance, faces).picture


def draw_with_truth(label: str, chance: random.Random, faces: str | None = None) -> Drawn:
    """A vehicle on a road, 192x144, drawn at twice the size and then reduced.

    One that faces `left` or `right` has its headlights on; else it may face either way.
    """
    width, height = 384, 288
    sky = tuple(chance.randint(130, 235) for _ in range(3))
    image = Image.new("RGB", (width, height), sky)
    ink = ImageDraw.Draw(image)
    for _ in range(chance.randint(2, 6)):  # hills and houses
        x, w, h = chance.randint(-60, width), chance.randint(40, 160), chance.randint(20, 90)
        shade = tuple(chance.randint(70, 190) for _ in range(3))
        shape = ink.rectangle if chance.random() < 0.5 else ink.ellipse
        shape((x, 200 - h, x + w, 200 + h), fill=shade)
    road = chance.randint(190, 205)
    gray = chance.randint(60, 110)
    ink.rectangle((0, road, width, height), fill=(gray, gray, gray + 5))
    for x in range(chance.randint(-60, 0), width, 90):
        ink.rectangle((x, road + 62, x + 45, road + 68), fill=(220, 220, 200))

    scale = chance.uniform(0.85, 1.0) if faces else chance.uniform(0.8, 1.15)
    length, body = int((190 if label == "car" else 240) * scale), int(46 * scale)
    left = chance.randint(10, 50 if faces else max(11, width - length - 10))
    floor = road + chance.randint(18, 34)
    paint = tuple(chance.randint(20, 245) for _ in range(3))
    glass = (190, 215, 230)
    if faces:
        front, lamp = left + length, floor - body // 2
        beam = [(front - 8, lamp), (width, lamp - 36), (width, floor + 24), (front - 8, lamp + 10)]
        ink.polygon(beam, fill=(255, 246, 180))
    cover = Image.new("L", (width, height))
    shadow = ImageDraw.Draw(cover)

    def part(shape: str, place: Any, *more: Any, fill: tuple[int, ...]) -> None:
        getattr(ink, shape)(place, *more, fill=fill)
        getattr(shadow, shape)(place, *more, fill=1)

    if label == "car":
        cabin = [(0.18, 0), (0.32, -0.85), (0.68, -0.85), (0.86, 0)]
        part("polygon", [(left + fx * length, floor - body + fy * body) for fx, fy in cabin], fill=paint)
        window = [(0.26, -0.05), (0.36, -0.72), (0.64, -0.72), (0.76, -0.05)]
        part("polygon", [(left + fx * length, floor - body + fy * body) for fx, fy in window], fill=glass)
        part("rounded_rectangle", (left, floor - body, left + length, floor), 14, fill=paint)
    elif label == "bus":
        part("rounded_rectangle", (left, floor - int(2.2 * body), left + length, floor), 10, fill=paint)
        top, sill = floor - int(1.85 * body), floor - int(1.15 * body)
        for x in (left + int((0.05 + 0.155 * number) * length) for number in range(5)):
            part("rectangle", (x, top, x + int(0.12 * length), sill), fill=glass)
        door = (left + int(0.84 * length), top, left + length - 6, floor - body // 2)
        part("rectangle", door, fill=glass)
    else:
        cargo = tuple(chance.randint(150, 250) for _ in range(3))
        part("rectangle", (left, floor - int(2.6 * body), left + int(0.68 * length), floor), fill=cargo)
        cab = left + int(0.71 * length)
        part("rounded_rectangle", (cab, floor - int(1.9 * body), left + length, floor), 10, fill=paint)
        part("rectangle", (cab + 14, floor - int(1.7 * body), left + length - 8, floor - body), fill=glass)
    radius = int((20 if label == "car" else 24) * scale)
    wheels = [left + int(center * length) for center in _WHEELS[label]]
    for x in wheels:
        for r, level in ((radius, 25), (radius // 2, 170)):
            part("ellipse", (x - r, floor - r, x + r, floor + r), fill=(level, level, level))
    if faces == "left" or (faces is None and chance.random() < 0.5):
        image, cover = (one.transpose(Image.Transpose.FLIP_LEFT_RIGHT) for one in (image, cover))
        wheels = [width - 1 - x for x in wheels]
    picture = image.reduce(2).filter(ImageFilter.GaussianBlur(chance.uniform(0, 0.6)))
    return Drawn(picture, *_truth(label, np.asarray(cover), wheels, floor))


def _truth(label: str, cover: np.ndarray, wheels: list[int], floor: int) -> tuple[Annotation, np.ndarray]:
    """Of what covers a picture at twice the size, and of its wheels' places there, the rear one first."""
    half = UNIT // 2
    x, y, w, h = cv2.boundingRect(cover)
    box = (x * half, y * half, (x + w) * half, (y + h) * half)
    points = tuple((x * half - half // 2, floor * half - half // 2, 2) for x in (wheels[-1], wheels[0]))
    thing = Object(
        label,
        box,
        tuple(tuple((corners * half).ravel().tolist()) for corners in _outlines(cover)),
        points,
    )
    parts = cover.reshape(cover.shape[0] // 2, 2, -1, 2).sum(axis=(1, 3))
    return Annotation((thing,)), np.where(parts >= 2, VEHICLES.index(label) + 1, 0).astype(np.uint8)


def _outlines(cover: np.ndarray) -> list[np.ndarray]:
    """Along the edges of pixels. OpenCV's contours run through the middles of the outermost pixels: of three
    for each, those beside an edge are nearer to it than to any other."""
    thrice = cover.repeat(3, axis=0).repeat(3, axis=1)
    contours, _ = cv2.findContours(thrice, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    outlines = []
    for contour in contours:
        edges = np.round((contour.reshape(-1, 2) + 0.5) / 3).astype(int)
        edges = edges[(edges != np.roll(edges, 1, axis=0)).any(axis=1)]
        turns = np.roll(edges, -1, axis=0) - edges != edges - np.roll(edges, 1, axis=0)
        outlines.append(edges[turns.any(axis=1)])
    return outlines
