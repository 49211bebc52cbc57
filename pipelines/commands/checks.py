"""Checks of what was typed that several commands make."""

from __future__ import annotations

from augment.errors import RequestError


def check_range(option: str, value: float | None, low: float, high: float) -> None:
    """Raises RequestError for a value that is given and lies outside of it."""
    if value is not None and not low <= value <= high:
        raise RequestError(f"{option} is {value}; it must be from {low} to {high}")
