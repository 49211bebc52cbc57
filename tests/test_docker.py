"""docker/: what its files say of versions, ports and paths agrees, with each other and with the lock."""

from __future__ import annotations

import importlib.util
import json
import re
import shlex
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml

from pipelines.engines import choose
from tests.lock import ROOT, TEXT, locked
from tests.test_packaging import tomllib

DOCKER = ROOT / "docker"
DOCKERFILES = sorted(DOCKER.rglob("Dockerfile"))
WORKER = (DOCKER / "Dockerfile").read_text(encoding="utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load((DOCKER / "compose.yaml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
CONFIG: dict[str, Any] = yaml.safe_load((DOCKER / "flink/config.yaml").read_text(encoding="utf-8"))
SET_BY_US = (
    "classloader.resolve-order",
    "restart-strategy.type",
    "restart-strategy.fixed-delay.attempts",
    "restart-strategy.fixed-delay.delay",
)


def manifest(name: str) -> dict[str, Any]:
    return yaml.safe_load((DOCKER / "kubernetes" / f"{name}.yaml").read_text(encoding="utf-8"))


def loaded(path: Path) -> Any:
    """A script of docker/, as a module."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


pins = loaded(DOCKER / "pins.py")


def pinned(distribution: str, text: str = TEXT) -> set[str]:
    return set(re.findall(rf"^{distribution}==(\S+)", text, re.MULTILINE))


def options(words: list[str]) -> dict[str, str]:
    return dict(re.fullmatch(r"--([^=]+)=(.*)", word).groups() for word in words if "=" in word)


def pod(document: dict[str, Any]) -> dict[str, Any]:
    return document["spec"]["template"]["spec"]


TASK_MANAGER = manifest("flink")["spec"]["taskManager"]["podTemplate"]["spec"]
JOB = pod(manifest("job"))


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: str(path.relative_to(DOCKER)))
def test_every_base_image_is_an_argument_and_pinned(path):
    text = path.read_text(encoding="utf-8")
    defaults = dict(re.findall(r"^ARG (\w+)=(\S+)$", text, re.MULTILINE))
    for image in re.findall(r"^FROM (\S+)", text, re.MULTILINE):
        default = defaults[re.fullmatch(r"\$\{(\w+)\}", image).group(1)]
        assert re.search(r":.*\d", default) or default == "augshard", image


def test_the_boot_program_and_tensorflow_are_of_the_lock():
    assert set(re.findall(r"BEAM_VERSION=(\S+)", WORKER)) == pinned("apache-beam")
    (tensorflow,) = pinned("tensorflow")
    text = (DOCKER / "tensorflow-cpu/pyproject.toml").read_text(encoding="utf-8")
    stand_in = tomllib.loads(text)["project"]
    assert stand_in["version"] == tensorflow
    assert stand_in["dependencies"] == [f"tensorflow-cpu=={tensorflow}"]
    for variant in ("cpu", "gpu"):
        text = (DOCKER / f"{variant}.txt").read_text(encoding="utf-8")
        assert pinned("tensorflow", text) == {tensorflow}, f"run `make constraints` ({variant})"
        assert "://" not in text
        pins = re.findall(r"^[a-z].*\\\n((?:    --hash=sha256:.*\n)*)", text, re.MULTILINE)
        assert pins
        assert all(pins), variant
    assert pinned("tensorflow-cpu", (DOCKER / "cpu.txt").read_text(encoding="utf-8")) == {tensorflow}


def test_the_image_without_tensorflow_has_all_of_the_lock_but_what_tensorflow_brings():
    def distributions(found: dict[tuple[str, str], str]) -> set[str]:
        return {name for name, _ in found}

    for sections in (["base"], ["base", "gcp", "aws"]):
        everything = pins.pins(TEXT, sections)
        assert {"==".join(pin).removesuffix(" \\") for pin in everything} == {
            pin for section in sections for pin in locked()[section]
        }
        kept = pins.without(everything, pins.LEFT_OUT)
        gone = distributions(everything) - distributions(kept)
        assert {"tensorflow", "keras", "matplotlib", "h5py", "libclang", "fonttools"} <= gone
        for pin in kept.values():
            needed_by = re.split(r",\s*", re.search(r"# via (.*)", pin).group(1))
            assert pin.startswith("setuptools==") or not gone.issuperset(needed_by)
        assert {"apache-beam", "numpy", "opencv-python-headless", "rich", "six"} <= distributions(kept)


def test_what_the_image_leaves_out_is_what_augshard_is_then_not_asked_for():
    expression = re.search(r"sed -Ei '/(\^.*?)/d' pyproject.toml", WORKER).group(1)
    lines = (ROOT / "pyproject.toml").read_text(encoding="utf-8").splitlines()
    taken = [re.search(r"[a-z]+", line).group() for line in lines if re.search(expression, line)]
    assert sorted(taken) == sorted(pins.LEFT_OUT)


def test_what_the_images_copy_reaches_them():
    let_through = {
        line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")
    }
    for path in (DOCKER / "Dockerfile", DOCKER / "flex-template/Dockerfile"):
        for line in re.findall(r"^COPY (?!--from)(.*)$", path.read_text(encoding="utf-8"), re.MULTILINE):
            for source in line.split()[:-1]:
                assert source.partition("/")[0] in let_through, source
    assert {"augment", "pipelines"} <= let_through
    assert not let_through & {"tests", "build", ".git", ".venv"}


def test_the_services_find_each_other():
    job = options(SERVICES["materialize"]["entrypoint"])
    server = options(shlex.split(SERVICES["job-server"]["command"]))
    assert job["job_endpoint"] == f"{server['job-host']}:{server['job-port']}" == "job-server:8099"
    assert server["flink-master"] == "job-manager:8081"
    assert CONFIG["jobmanager.rpc.address"] == "job-manager"
    for name, port in (("job-server", "job-server/8099"), ("job-manager", "localhost/8081")):
        assert SERVICES[name]["healthcheck"]["test"][-1] == f"</dev/tcp/{port}"

    pools = {name: service for name, service in SERVICES.items() if service.get("command") == "--worker_pool"}
    managers = {name for name, service in SERVICES.items() if "TaskManager" in str(service.get("command"))}
    assert {pool["network_mode"].removeprefix("service:") for pool in pools.values()} == managers
    assert int(job["parallelism"]) == len(pools) == len(managers)
    assert job["environment_config"] == "localhost:50000"
    assert set(SERVICES["materialize"]["depends_on"]) == {"job-server", *pools}


def test_workers_see_the_same_files_as_the_one_who_submits():
    seen = [SERVICES[name] for name in ("materialize", "workers-1", "workers-2")]
    assert len({json.dumps([one["volumes"], one["working_dir"], one["user"]]) for one in seen}) == 1
    mounts = [
        {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
        for container in (TASK_MANAGER["containers"][1], JOB["containers"][0])
    ]
    assert mounts[0] == mounts[1] == {"data": "/data"}
    assert TASK_MANAGER["volumes"] == JOB["volumes"]
    claim = JOB["volumes"][0]["persistentVolumeClaim"]["claimName"]
    volume = manifest("volume")
    assert (volume["metadata"]["name"], volume["spec"]["accessModes"]) == (claim, ["ReadWriteMany"])
    users = (TASK_MANAGER["containers"][1]["securityContext"], JOB["securityContext"])
    assert {(user["runAsUser"], user["runAsNonRoot"]) for user in users} == {(1000, True)}


def test_the_manifests_start_the_job_as_compose_does():
    (server,), (job,) = JOB["initContainers"], JOB["containers"]
    submitted, in_compose = options(job["args"]), options(SERVICES["materialize"]["entrypoint"])
    for same in ("runner", "environment_type", "environment_config", "experiments"):
        assert submitted[same] == in_compose[same]
    served = options(server["args"])
    assert submitted["job_endpoint"] == f"{served['job-host']}:{served['job-port']}"
    assert server["startupProbe"]["exec"]["command"][-1] == "</dev/tcp/localhost/8099"
    assert submitted["job_endpoint"] == "localhost:8099"
    assert served["flink-master"] == f"{manifest('flink')['metadata']['name']}-rest:8081"
    flink = manifest("flink")["spec"]
    main, pool = TASK_MANAGER["containers"]
    assert main == {"name": "flink-main-container"}  # the operator's name for Flink itself
    assert (pool["args"], pool["readinessProbe"]["tcpSocket"]["port"]) == (["--worker_pool"], 50000)
    assert {server["image"], flink["image"]} == {flink["image"]}
    assert {job["image"], pool["image"]} == {pool["image"]}
    for image in (flink["image"], pool["image"]):
        assert re.search(r":\d+\.\d+\.\d+$", image)


def test_flink_is_of_one_version_and_set_the_same_way_everywhere():
    pom = ElementTree.parse(DOCKER / "flink/pom.xml")
    artifact = pom.find(".//{*}artifactId[.='beam-runners-flink-1.19']").text
    version = artifact.rpartition("-")[2]
    assert f"FLINK_IMAGE=flink:{version}." in (DOCKER / "flink/Dockerfile").read_text(encoding="utf-8")
    flink = manifest("flink")["spec"]
    assert flink["flinkVersion"] == f"v{version.replace('.', '_')}"
    for key in SET_BY_US:
        assert flink["flinkConfiguration"][key] == str(CONFIG[key])


def test_flink_tries_again_only_when_dead_workers_are_forgotten():
    options = choose("FlinkRunner").pipeline("cars", "out").options
    kept = int(options.get_all_options()["environment_cache_millis"])
    seconds = int(CONFIG["restart-strategy.fixed-delay.delay"].removesuffix(" s"))
    assert seconds * 1000 > kept > 0
