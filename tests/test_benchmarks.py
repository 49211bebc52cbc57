"""The benchmarks' table: that it has what it names, and says of an aim whether it is met."""

from __future__ import annotations

from benchmarks.contestants import CONTESTANTS, HERE, Taken
from benchmarks.rows import NAMES, ROWS, Beside, Row, contestants, reading_rows, table


def test_every_row_names_contestants_that_there_are_and_nobody_is_measured_for_nothing():
    assert set(contestants(ROWS)) == CONTESTANTS.keys()


def test_every_contestant_is_a_module_and_a_recipe_that_there_are():
    words = [word for one in CONTESTANTS.values() for word in one.arguments]
    modules = {word.partition(".")[2] for word in words if word.startswith("benchmarks.")}
    assert all((HERE / f"{module}.py").exists() for module in modules)
    assert all((HERE / word).exists() for word in words if word.endswith(".yaml"))


def test_of_several_the_fastest_has_the_aim():
    row = Row("speed", "ours", (Beside(("slow", "fast"), 0.85), Beside(("other",), 1.2)))
    results = {
        "ours": [Taken(rate=90), Taken(rate=95), Taken(rate=80)],
        "slow": [Taken(rate=10)] * 3,
        "fast": [Taken(rate=100)] * 3,
        "other": [Taken(rate=80)] * 3,
    }
    _, ours, slow, fast, other = (line.split() for line in table([row], results).splitlines())
    assert ours == ["speed", "ours", "90/s", "80/s", "95/s"]
    assert slow == ["slow", "10/s", "10/s", "10/s", "9.00x", "8.00x", "9.50x"]
    assert fast == ["fast", "100/s", "100/s", "100/s", "0.90x", "0.80x", "0.95x", ">=", "0.85x", "met"]
    assert other[-4:] == [">=", "1.20x", "NOT", "MET"]


def test_of_seconds_and_memory_less_is_better():
    start = Row("start", "ours", (Beside(("theirs",), 1.5),), "seconds", at_most=True)
    memory = Row("memory", "ours", (Beside(("theirs",), 150e6),), "largest", at_most=True, differ=True)
    flat = Row("flat", "ours", figure="growth", at_most=True, own_aim=1.1)
    results = {
        "ours": [Taken(seconds=3, largest=400e6, growth=1.2)],
        "theirs": [Taken(seconds=2, largest=200e6)],
    }
    lines = table([start, memory, flat], results).splitlines()
    assert lines[2].split()[-4:] == ["1.50x", "<=", "1.50x", "met"]
    assert lines[4].split()[-5:] == ["<=", "+150", "MB", "NOT", "MET"]
    assert lines[5].split()[-4:] == ["<=", "1.10x", "NOT", "MET"]


def test_reading_is_held_to_tfds_and_to_a_bare_reader():
    names = ["arm shards", "numpy", "TFDS, in order", "TFRecordDataset", "arm live"]
    rows = reading_rows(
        {f"{storage}, {name}": [Taken(rate=1)] for storage in ("png", "raw") for name in names}
    )
    assert [row.ours for row in rows] == [f"{s}, {one}" for s in ("png", "raw") for one in names[:2]]
    assert all([beside.aim for beside in row.beside] == [1.3, 1.0] for row in rows)
    assert {row.name for row in rows} <= set(NAMES)
