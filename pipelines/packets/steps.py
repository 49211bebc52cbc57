"""Steps of a pipeline that hand on packets: what is held at the end of a bundle, then."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import apache_beam as beam

from pipelines.packets import Packets


class PackByKey(beam.DoFn):
    """Hands on packets with their keys; `process` adds to `self.packets`.

    Args:
        waiting, held: as of `Packets`.
    """

    def __init__(self, waiting: str = "", held: int | None = None) -> None:
        self.waiting, self.held = waiting, held

    def start_bundle(self) -> None:
        self.packets = Packets[Any](self.waiting, self.held)

    def finish_bundle(self) -> Iterator[Any]:
        yield from map(beam.transforms.window.GlobalWindows.windowed_value, self.packets.rest())


class PackAll(PackByKey):
    """Hands on packets without keys; `process` adds by `add`."""

    def add(self, thing: tuple[Any, ...], size: int) -> Iterator[bytes]:
        yield from (packet for _, packet in self.packets.add(None, thing, size))

    def finish_bundle(self) -> Iterator[Any]:
        for _, packet in self.packets.rest():
            yield beam.transforms.window.GlobalWindows.windowed_value(packet)
