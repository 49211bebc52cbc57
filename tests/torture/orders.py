"""Steps in random orders: the stateful test, with more and longer ones."""

from __future__ import annotations

import random
import traceback
from pathlib import Path

from hypothesis import seed
from hypothesis.stateful import run_state_machine_as_test

from tests.e2e import test_stateful
from tests.torture.runs import Broken, Outcome, fork

TIMES, STEPS = 60, 12
"""Orders, and steps in each."""

LONGEST = 3600.0
"""Seconds after which all of them count as hanging."""


def orders(scratch: Path, chance: random.Random, times: int) -> Outcome:
    """In a process of their own, for they start TensorFlow. Raises Broken."""
    number = chance.randrange(10**6)

    def try_out() -> int:
        test_stateful.Output.workshop = test_stateful.Workshop(scratch)
        seed(number)(test_stateful.Output)
        try:
            run_state_machine_as_test(
                test_stateful.Output, settings=test_stateful.orders(times, STEPS, print_blob=False)
            )
        except AssertionError:
            traceback.print_exc()
            return 1
        return 0

    begun = fork(try_out, scratch / "log")
    if begun.wait(LONGEST):
        raise Broken(begun.said())
    return Outcome(f"{times} orders of {STEPS} steps", "all of it held")
