"""What is wrong with a submission is said before Beam is imported; what is right gets augshard's defaults."""

from __future__ import annotations

import subprocess
import sys

import pytest
from apache_beam.options.pipeline_options import GoogleCloudOptions

from augment.errors import RequestError
from pipelines import storage
from pipelines.engines import choose, dataflow_job
from pipelines.engines.dataflow import Dataflow, with_values
from pipelines.engines.job import Job
from pipelines.format.layout import JOB, LOCK, PLAN, PROGRESS, WORK
from pipelines.format.request import Request
from pipelines.materialize.run import Outcome, Run, conclude, saved_outcome

GIVEN = (
    "--project=my-project",
    "--region=us-central1",
    "--temp_location=gs://bucket/tmp",
    "--sdk_container_image=place/augshard:1",
)
PLACES = ("gs://bucket/photos", "gs://bucket/out")


def dataflow(*arguments: str) -> Dataflow:
    engine = choose("DataflowRunner", arguments)
    assert isinstance(engine, Dataflow)
    return engine


@pytest.mark.parametrize(
    ("arguments", "places", "sentence"),
    [
        (
            GIVEN[1:],
            PLACES,
            "--project is not given; it is the id of a Google Cloud project, such as --project",
        ),
        (GIVEN[:1] + GIVEN[2:], PLACES, "--region is not given; .* such as --region us-central1"),
        (
            GIVEN[:2] + GIVEN[3:],
            PLACES,
            "--temp_location is not given; .* such as --temp_location gs://BUCKET/tmp",
        ),
        (GIVEN[:3], PLACES, "--sdk_container_image is not given; .* with augshard and the lock of this envi"),
        ((*GIVEN, "--temp_location=/tmp"), PLACES, "--temp_location is '/tmp'; it must be gs://BUCKET/PATH"),
        (
            GIVEN,
            ("photos", PLACES[1]),
            "--input photos: .* see nothing of this machine; give gs://BUCKET/PATH",
        ),
        (GIVEN, (PLACES[0], "out"), "--output out: .* see nothing of this machine; give gs://BUCKET/PATH"),
        ((*GIVEN, "--job_name=Cars_1"), PLACES, "--job_name is 'Cars_1'; it must be of lower-case letters"),
        ((*GIVEN, "--save_main_session"), PLACES, "--save_main_session: .* leave it out"),
        (
            (*GIVEN, "--dry_run", "--template_location=gs://b/t"),
            PLACES,
            "a dry run writes no template; choose",
        ),
        ((*GIVEN, "--dry_run=maybe"), PLACES, r"--dry_run: invalid choice: 'maybe'"),
        ((*GIVEN, "--project"), PLACES, r"--project: expected one argument"),
    ],
)
def test_what_is_missing_or_wrong_is_named(arguments, places, sentence):
    with pytest.raises(RequestError, match=sentence):
        dataflow(*arguments).check(dict(zip(("--input", "--output"), places, strict=True)), ())


def test_the_missing_extra_is_named(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(RequestError, match=r"needs the extra gcp, .*: make install EXTRAS=gcp"):
        dataflow(*GIVEN).check(dict(zip(("--input", "--output"), PLACES, strict=True)), ())


def test_a_wrong_submission_is_answered_without_beam(tmp_path):
    command = (
        "import sys; from pipelines.cli import main; sys.argv[1:] = "
        f"['materialize', '--input', {str(tmp_path)!r}, '--output', 'out', '--recipe', 'flowers', "
        "'--runner', 'DataflowRunner']\n"
        "try: main()\nexcept SystemExit as end:\n"
        "  print(end.code, *{'apache_beam', 'tensorflow'} & set(sys.modules))"
    )
    ended = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True)
    assert ended.stdout.split() == ["2"]
    assert ended.stderr.startswith("augshard: --runner DataflowRunner: --project is not given")
    assert ended.stderr.count("\n") == 1


def test_the_user_has_the_last_word_on_every_default(monkeypatch):
    # Beam asks the store of temp_location for its settings, two minutes long where there is no network.
    monkeypatch.setattr(GoogleCloudOptions, "_warn_if_soft_delete_policy_enabled", lambda *_: None)
    assert dataflow(*GIVEN).defaults("car_or_truck", PLACES[1]) == [
        "--runner=DataflowRunner",
        "--number_of_worker_harness_threads=1",
        "--no_save_main_session",
        "--experiments=disable_logging_submission_environment",
        "--job_name=augshard-car-or-truck-84ffca10",
        "--experiments=no_use_multiple_sdk_containers",
        "--resource_hints=min_ram=3GB",
    ]
    others = (
        "--experiments=use_multiple_sdk_containers,b",
        "--flexrs_goal=COST_OPTIMIZED",
        "--job_name=mine",
    )
    engine = dataflow(*GIVEN, *others)
    defaults = engine.defaults("car_or_truck", PLACES[1])
    assert not [argument for argument in defaults if "no_use_multiple" in argument or "min_ram" in argument]
    options = engine.pipeline("car_or_truck", PLACES[1]).options.get_all_options()
    assert (options["job_name"], options["number_of_worker_harness_threads"]) == ("mine", 1)


def test_a_job_is_named_after_where_it_writes():
    def name(dataset: str, output: str) -> str:
        [named] = [o for o in dataflow(*GIVEN).defaults(dataset, output) if o.startswith("--job_name=")]
        return named.partition("=")[2]

    assert name("cars", "gs://bucket/out") == name("cars", "gs://bucket/out/")
    assert name("cars", "gs://bucket/out") != name("cars", "gs://bucket/other")
    assert len(name("c" * 200, PLACES[1])) < 64


def test_a_dry_run_stands_without_a_value():
    assert dataflow("--dry_run").dry_run
    assert dataflow("--dry_run=true").dry_run
    assert not dataflow().dry_run
    assert with_values(["--dry_run", "--x=1"]) == ["--dry_run=true", "--x=1"]
    assert with_values(["--dry_run", "true", "--x=1"]) == ["--dry_run=true", "--x=1"]
    for no in (["--dry_run", "false"], ["--dry_run=false"]):  # of which Beam would make a yes
        assert with_values([*no, "--x=1"]) == ["--x=1"]
        assert not dataflow(*no).dry_run


def test_a_job_is_awaited_unless_it_is_to_go_on_or_begin_alone():
    assert dataflow(*GIVEN).awaited
    for alone in ("--no_wait_until_finish", "--template_location=gs://bucket/template"):
        assert not dataflow(*GIVEN, alone).awaited


def test_a_run_that_nobody_waits_for_fails_with_its_sentence(tmp_path):
    outcome = Outcome(failure="3 of 4 shards were not written")
    awaited = Run(input="", output=str(tmp_path), max_rejects=0, about={}, began=0)
    conclude(awaited, outcome)
    assert saved_outcome(str(tmp_path)) == outcome
    alone = Run(input="", output=str(tmp_path), max_rejects=0, about={}, began=0, awaited=False)
    with pytest.raises(RuntimeError, match="3 of 4 shards were not written"):
        conclude(alone, outcome)


def test_only_a_job_on_record_leaves_its_outcome_beside_a_dataset(tmp_path):
    alone = Run(input="", output=str(tmp_path), max_rejects=0, about={}, began=0, awaited=False)
    almost = Outcome(warnings=("all is well, almost",))
    (tmp_path / PROGRESS).mkdir(parents=True)
    for name in (PLAN, JOB, f"{PROGRESS}/train-0", f"{WORK}/{LOCK}"):
        (tmp_path / name).touch()
    conclude(alone, almost)
    assert saved_outcome(str(tmp_path)) == almost  # for the launcher that the record brings back
    (tmp_path / JOB).unlink()
    conclude(alone, almost)
    assert storage.at(str(tmp_path / WORK)).names() == {LOCK}


def test_a_store_that_does_not_answer_keeps_no_job_from_being_cancelled(monkeypatch, capsys):
    request = Request(name="flowers", recipe_name="flowers", recipe={}, seed=0, copies=1)
    job = Job(project="my-project", region="us-central1", id="2026-1", name="flowers", request=request)

    class Running:
        state = "RUNNING"

        def cancel(self) -> None:
            self.state = "CANCELLED"

    def silent(*_: object) -> None:
        raise OSError("the store does not answer")

    def interrupted(*_: object) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(dataflow_job, "_await_end", interrupted)
    monkeypatch.setattr(storage.Local, "remove", silent)
    running = Running()
    with pytest.raises(KeyboardInterrupt):
        dataflow_job.follow(job, running, "out", silent, wait=True)
    assert running.state == "CANCELLED"
    assert (
        capsys.readouterr().err == f"augshard: job 2026-1: {job.console}\naugshard: job 2026-1: cancelled\n"
    )
