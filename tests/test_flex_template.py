"""The Flex Template: its metadata, what the service would make of them, and how its launcher starts us."""

from __future__ import annotations

import functools
import importlib.util
import json
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import typer

from augment.errors import RequestError
from augment.recipe import NAME
from pipelines.cli import app
from pipelines.engines import dataflow
from pipelines.plan import parse_balance, parse_bytes, parse_copies, parse_fractions
from pipelines.sources.groups import checked_groups

FOLDER = Path(__file__).parents[1] / "docker" / "flex-template"
METADATA = json.loads((FOLDER / "metadata.json").read_text(encoding="utf-8"))
PARAMETERS = {parameter["name"]: parameter for parameter in METADATA["parameters"]}
OPTIONS = {
    option.removeprefix("--").replace("-", "_"): parameter
    for parameter in typer.main.get_command(app).commands["materialize"].params
    for option in parameter.opts
}

GIVEN_BY_THE_LAUNCHER = [
    "--runner=DataflowRunner",
    "--project=my-project",
    "--region=us-central1",
    "--job_name=cars",
    "--temp_location=gs://bucket/tmp",
    "--staging_location=gs://bucket/staging",
    "--template_location=gs://bucket/staging/template_launches/2026/job_object",
    '--labels={\n   "goog-dataflow-provided-template-type" : "flex"\n}\n',
]


@pytest.fixture(scope="module")
def launch() -> ModuleType:
    """docker/flex-template/launch.py, which is in no package."""
    spec = importlib.util.spec_from_file_location("launch", FOLDER / "launch.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.stores
def test_the_service_knows_every_field_of_the_metadata():
    service = pytest.importorskip("google.cloud.dataflow", reason="needs the extra gcp")
    metadata = service.TemplateMetadata.from_json(json.dumps(METADATA), ignore_unknown_fields=False)
    assert [parameter.name for parameter in metadata.parameters] == list(PARAMETERS)
    assert all(parameter.label and parameter.help_text for parameter in metadata.parameters)
    assert all(parameter.param_type for parameter in metadata.parameters)


def test_every_parameter_is_an_option_of_the_command_and_required_where_that_is():
    ours = {name: OPTIONS[name] for name in PARAMETERS if name != "sdk_container_image"}
    assert {name for name, option in ours.items() if option.required} == {
        name for name in ours if not PARAMETERS[name].get("isOptional")
    }
    assert not PARAMETERS["sdk_container_image"].get("isOptional")
    assert "sdk_container_image" in vars(dataflow.read_options([]))
    for name, option in ours.items():
        assert (PARAMETERS[name]["paramType"] == "BOOLEAN") == option.is_flag, name
        if not option.is_flag and not option.required:
            default = "" if option.default is None else str(option.default)
            assert PARAMETERS[name].get("defaultValue", "") == default, name
    assert set(OPTIONS) - set(PARAMETERS) == {
        "plugin",
        "recipe_for",
        "runner",
    }  # lists, and what the launcher gives


def _whole(low: int, high: int) -> Any:
    def parse(text: str) -> None:
        if not low <= int(text) <= high:
            raise RequestError(text)

    return parse


def _balance(text: str) -> None:
    parse_balance(text or "0", None)


def _name(text: str) -> None:
    if not NAME.fullmatch(text):
        raise RequestError(text)


@pytest.mark.parametrize(
    ("name", "parse", "right", "wrong"),
    [
        (
            "copies",
            parse_copies,
            ["1", "30", "9999", "10000", "rare=20,a b=0", "2,rare=10000"],
            ["0", "", "1.5", "10001", "x", "rare=", "=2", "a=-1", "rare=2,"],
        ),
        ("balance", _balance, ["max", "1", "5000"], ["0", "", "most", "-1"]),
        (
            "group_by",
            functools.partial(checked_groups, table=True),
            [r"video(\d+)", "^([^/]+)/", "column:patient id"],
            ["video", "", "column:"],
        ),
        ("seed", _whole(0, 2**64 - 1), ["0", "18446744073709551615"], ["-1", "", "1e3", "x"]),
        ("shards", _whole(1, 99_999), ["1", "99999"], ["0", "100000", "", "x"]),
        ("shard_size", parse_bytes, ["128MiB", "1gb", "0.5GiB", "1000", "8B"], ["", "big", "1k", "-1MB"]),
        ("split_fractions", parse_fractions, ["a=0.9,b=0.1", "train=1"], ["", "a", "a=x", "=1", "a=1,"]),
        ("name", _name, ["cars", "c_2"], ["", "Cars", "2c", "a-b"]),
    ],
)
def test_what_a_parameters_regex_lets_through_the_command_takes(name, parse, right, wrong):
    [regex] = PARAMETERS[name]["regexes"]
    for value in right:
        parse(value)
        assert re.search(regex, value), value
    for value in wrong:
        assert not re.search(regex, value), value
        with pytest.raises(ValueError):  # RequestError is one
            parse(value)


def test_regexes_mean_the_same_to_the_service_and_to_these_tests():
    for parameter in PARAMETERS.values():
        for regex in parameter["regexes"]:
            assert regex.startswith("^")
            assert regex.endswith("$")
            assert not re.search(r"\\[A-Za-z]|\(\?|\[:|[*+?}]\?", regex)


def test_the_launchers_arguments_become_those_of_the_command(launch):
    asked = [
        *("--input=gs://bucket/photos", "--output=gs://bucket/out", "--recipe=car_or_truck"),
        *("--split_fractions=train=0.9,test=0.1", "--include_originals=true", "--overwrite=false", "--seed="),
        "--sdk_container_image=place/augshard:1",
    ]
    arguments = list(launch.arguments([*GIVEN_BY_THE_LAUNCHER, *asked]))
    assert arguments == [
        *GIVEN_BY_THE_LAUNCHER,
        *("--input=gs://bucket/photos", "--output=gs://bucket/out", "--recipe=car_or_truck"),
        *("--split-fractions=train=0.9,test=0.1", "--include-originals"),
        "--sdk_container_image=place/augshard:1",
    ]
    command = typer.main.get_command(app).commands["materialize"]
    context = command.make_context("materialize", arguments)
    assert (context.params["input"], context.params["include_originals"]) == ("gs://bucket/photos", True)
    options = dataflow.read_options(context.args)
    assert options.template_location == "gs://bucket/staging/template_launches/2026/job_object"
    assert (options.job_name, options.sdk_container_image) == ("cars", "place/augshard:1")
