"""`augshard lint`: which classes a recipe endangers, as far as their names tell."""

from __future__ import annotations

import dataclasses
import itertools
import textwrap

from augment.errors import RequestError
from augment.labels.findings import LIMITS, Finding, findings, listed, opaque
from augment.labels.hazards import CHANGES
from augment.labels.mending import mended
from augment.recipe import Recipe, check_classes
from pipelines.annotations import Annotations
from pipelines.format.manifest import json_text
from pipelines.images import Images, list_images
from pipelines.sources import checked_layout
from pipelines.targets_advice import TargetsAdvice, about_targets


def lint(
    recipe: Recipe,
    *,
    labels: str | None,
    directory: str | None,
    layout: str = "auto",
    json: str | None = None,
    fix: str | None = None,
    overwrite: bool = False,
    annotations: Annotations | None = None,
) -> tuple[str, bool]:
    """Checks a recipe against class names.

    Args:
        labels: a text file with one name a line.
        directory: a directory of images, whose class folders are read. With neither, it
            is only said what the recipe can do.
        layout: of that directory.
        json: where the same is written for programs.
        fix: where the recipe is written that the findings call for, if there are any.
        overwrite: whether a file that is there may be replaced by it.
        annotations: what lies beside the directory's images: names of objects count as those of classes,
            and a few images tell what becomes of their targets.

    Returns what there is to say, and whether something was found that the recipe does
    not acknowledge, and is not mended. Raises RequestError if the names cannot be read.
    """
    if labels is not None and directory is not None:
        raise RequestError("--labels and --input both say which classes there are; give one of them")
    if annotations is not None and directory is None:
        raise RequestError(f"{annotations} are of images; add --input DIR")
    folders = checked_layout(layout)
    images = None if directory is None else list_images(directory, layout=folders, annotations=annotations)
    if images is not None:
        images.tell()
    classes = _from_file(labels) if labels is not None else _named(images)
    if classes:
        check_classes(recipe, classes)
    elif fix is not None:
        raise RequestError(
            "--fix mends what a recipe does to classes; give their names by --labels or --input"
        )
    found = findings(recipe, classes)
    unknown = opaque(classes)
    targets = about_targets(recipe, images) if images and images.targets else TargetsAdvice([], [])
    if json is not None:
        document = {
            "recipe": recipe.name,
            "classes": classes,
            "hazards": {key: {"change": h.change, "narrow": h.narrow} for key, h in recipe.hazards().items()},
            "findings": [dataclasses.asdict(finding) for finding in found],
            "opaque": unknown,
            "advice": recipe.advice(),
            "targets": targets._asdict(),
            "limits": LIMITS,
        }
        try:
            with open(json, "w", encoding="utf-8") as file:
                file.write(json_text(document))
        except OSError as error:
            raise RequestError(f"--json {json}: it cannot be written ({error.strerror})") from None
    parts = [_about_classes(recipe, classes, found) if classes else _about_recipe(recipe)]
    if unknown:
        parts.append(
            f"{len(unknown)} of {len(classes)} names do not say what the pictures show "
            f"({listed(unknown)}): whether their labels are endangered cannot be known.\n"
        )
    parts.append(textwrap.fill(LIMITS, 100) + "\n")
    advice = dict.fromkeys(sentence for _, one in recipe.distinct() for sentence in one.advice())
    told = [*advice, *targets.advice, *targets.wrong]
    parts += [textwrap.fill(sentence, 100) + "\n" for sentence in told]
    wrong = any(not finding.acknowledged for finding in found)
    if fix is not None:
        parts.append(_fix(recipe, classes, fix, overwrite) if wrong else f"nothing to mend, so no {fix}\n")
    return "\n".join(parts), (wrong and fix is None) or bool(targets.wrong)


def _fix(recipe: Recipe, classes: list[str], path: str, overwrite: bool) -> str:
    """Writes the recipe that the findings call for; what there is to say of it."""
    other = mended(recipe, classes)
    if not path.endswith((".yaml", ".yml")):
        raise RequestError(f"--fix {path}: a recipe is a file whose name ends in .yaml")
    try:
        with open(path, "w" if overwrite else "x", encoding="utf-8") as file:
            file.write(f"{other!r}\n")
    except FileExistsError:
        raise RequestError(f"--fix {path}: it is there; give a new file, or add --overwrite") from None
    except OSError as error:
        raise RequestError(f"--fix {path}: it cannot be written ({error.strerror})") from None
    own = ", ".join(f"{listed(labels)}" for labels, _ in other.distinct()[1:])
    return f"mended  {path}: " + (f"other recipes for {own}" if own else "of all classes") + "\n"


def _from_file(path: str) -> list[str]:
    try:
        with open(path, encoding="utf-8-sig") as file:
            names = [line.strip() for line in file]
    except OSError as error:
        raise RequestError(f"--labels {path}: it cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise RequestError(
            f"--labels {path}: it is not UTF-8 text; give a file with one class name a line"
        ) from None
    if not any(names):
        raise RequestError(f"--labels {path}: it is empty; give a file with one class name a line")
    return list(dict.fromkeys(filter(None, names)))


def _named(images: Images | None) -> list[str]:
    """The classes of images and of the objects in them."""
    if images is None:
        return []
    names = list(images.classes) if images.labeled else []
    return list(dict.fromkeys([*names, *(images.targets.classes if images.targets else ())]))


def _about_recipe(recipe: Recipe) -> str:
    rows = [
        (key + f" of {listed(labels)}" * bool(labels), CHANGES[hazard.change])
        for labels, one in recipe.distinct()
        for key, hazard in one.hazards().items()
    ]
    if not rows:
        return f"recipe {recipe.name}: it changes no picture in a way that could matter to a label.\n"
    width = max(len(key) for key, _ in rows)
    return (
        f"recipe {recipe.name}: what it can do to pictures. Give class names by --labels FILE or --input DIR "
        "to see which it endangers.\n\n" + "".join(f"{key:{width}}  {change}\n" for key, change in rows)
    )


def _about_classes(recipe: Recipe, classes: list[str], found: list[Finding]) -> str:
    open_ones = [finding for finding in found if not finding.acknowledged]
    count = {0: "nothing found", 1: "1 finding"}.get(len(open_ones), f"{len(open_ones)} findings")
    text = f"recipe {recipe.name}, {len(classes)} classes: {count}\n"
    for key, group in itertools.groupby(open_ones, key=lambda finding: finding.key):
        same = list(group)
        text += f"\n{key}: {CHANGES[same[0].change]}\n"
        text += "".join(f"  {listed(finding.classes)}: {finding.problem}\n" for finding in same)
        text += f"  to narrow it: {same[0].narrow}\n"
    if open_ones:
        keys = ", ".join(dict.fromkeys(finding.key for finding in open_ones))
        text += f"\nWhat is meant to be so, the recipe can say: acknowledge: [{keys}]\n"
    acknowledged = dict.fromkeys(finding.key for finding in found if finding.acknowledged)
    if acknowledged:
        text += f"\nAcknowledged by the recipe: {', '.join(acknowledged)}\n"
    return text
