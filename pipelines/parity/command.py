"""`augshard parity`: checks what was typed, compares, and says what came of it."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from augment.errors import RequestError, require
from augment.recipe import Recipe
from pipelines.engines import choose
from pipelines.format.manifest import json_text
from pipelines.format.request import Request, load_plugins
from pipelines.materialize.launch import launch
from pipelines.parity.examples import rows, without_example
from pipelines.quiet import import_tensorflow


def parity_command(
    *,
    recipes: Sequence[str],
    ops: Sequence[str],
    samples: int,
    seed: int,
    json: str | None,
    plugins: Sequence[str],
) -> None:
    """Raises RequestError for a wrong request; exits with status 1 if what must be equal is not."""
    require("TensorFlow", "augshard parity")
    digests = load_plugins(plugins)
    wanted = rows(recipes, ops)
    if not 0 <= seed < 2**64:
        raise RequestError(f"--seed is {seed}; it must be from 0 to {2**64 - 1}")
    if json is not None and not os.path.isdir(os.path.dirname(os.path.abspath(json))):
        raise RequestError(f"--json {json}: there is no such directory")
    for name in [] if recipes or ops else without_example():
        sys.stderr.write(f"augshard: warning: op {name} is left out: it needs settings; see --recipe\n")

    def materialized(recipe: Recipe, root: str, output: str, seed: int, copies: int) -> None:
        request = Request(
            name="parity",
            recipe_name=recipe.name,
            recipe=recipe.canonical(),
            seed=seed,
            copies=copies,
            plugins=digests,
        )
        launch(request, root=root, output=output, max_rejects=0, overwrite=False, engine=choose())

    import_tensorflow()
    from pipelines.parity.report import agrees, as_json, as_text, compare

    table = compare(wanted, count=samples, seed=seed, launch=materialized)
    sys.stdout.write(as_text(table))
    if json is not None:
        with open(json, "w", encoding="utf-8") as file:
            file.write(json_text(as_json(table, wanted, count=samples, seed=seed)))
    if not agrees(table):
        sys.exit(1)
