"""Why a source cannot be used, and the bounds within which one is read."""

from __future__ import annotations

import dataclasses

MAX_PIXELS = 89_478_485
"""The largest image that is decoded: 256 MiB of RGB, Pillow's own warning bound."""

REASONS = ("empty", "not_an_image", "unsupported", "too_large", "truncated", "corrupt")


@dataclasses.dataclass(frozen=True)
class Rejection:
    """Why a source cannot be used."""

    reason: str
    """one word of REASONS"""
    detail: str


class DecodeError(ValueError):
    """Raised for bytes that are not a usable image; carries the rejection."""

    def __init__(self, rejection: Rejection) -> None:
        super().__init__(f"{rejection.reason}: {rejection.detail}")
        self.rejection = rejection


def check_size(form: str, width: int, height: int, longest: int = MAX_PIXELS) -> None:
    """Raises DecodeError for an image without pixels, and for one that is too large."""
    if width * height == 0:
        raise DecodeError(Rejection("corrupt", f"{form} of {width}x{height} pixels"))
    if width * height > MAX_PIXELS or max(width, height) > longest:
        raise DecodeError(too_large(form, f" of {width}x{height} pixels"))


def too_large(form: str, size: str = "") -> Rejection:
    return Rejection(
        "too_large",
        f"{form}{size}; at most {MAX_PIXELS} pixels in all are decoded: shrink it, or cut it into parts",
    )


def truncated(form: str, contents: bytes) -> Rejection:
    missing = "without the marker of its end" if form in ("JPEG", "GIF") else "before what it says it holds"
    return Rejection("truncated", f"{form} ends after {len(contents)} bytes, {missing}")


def corrupt(form: str) -> Rejection:
    return Rejection("corrupt", f"{form} data cannot be decoded")


def without_rule(form: str, kind: str) -> Rejection:
    """Of a format that is read, but of a kind that is not."""
    return Rejection("unsupported", f"{form} {kind} has no rule: convert it to 8-bit RGB")
