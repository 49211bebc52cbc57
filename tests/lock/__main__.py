"""What is asked of the lock before a release: `make check-lock`, or python -m tests.lock [NAME...]

licences      docs/licences.md holds each package, none with a licence that is not allowed
installable   pip takes a file of every pin, by its hashes, for each Python and platform (ten minutes)
advisories    no locked version has a known vulnerability

Exit status: 0 all is well, 1 something was found, 3 something could not be asked.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from packaging.markers import Marker

from tests.lock import PYTHONS, ROOT, locked
from tests.lock.licences import refused, table

PLATFORMS = {
    "manylinux_2_28_x86_64": ("linux", "x86_64"),
    "manylinux_2_28_aarch64": ("linux", "aarch64"),
    "macosx_14_0_arm64": ("darwin", "arm64"),
}
"""{pip's name of a platform: its sys_platform, its platform_machine}"""

TOOLS = ROOT / "build/check-lock"
"""An environment of its own: no code of ours runs with what it brings."""

BRINGS = ("pip==26.3", "pip-audit==2.10.1")


class NotAsked(Exception):
    """Nobody answered, which is not a yes."""


def main(chosen: list[str]) -> None:
    """Asks, prints what came of each, and exits by the worst."""
    TOOLS.parent.mkdir(exist_ok=True)
    status = 0
    for check in (licences, installable, advisories):
        if chosen and check.__name__ not in chosen:
            continue
        try:
            found = check()
        except NotAsked as why:
            print(f"{check.__name__:12} NOT CHECKED: {why}", flush=True)
            status = status or 3
            continue
        print(f"{check.__name__:12} {f'{len(found)} found' if found else 'ok'}", flush=True)
        print("".join(f"    {line}\n" for line in found), end="", flush=True)
        status = 1 if found else status
    sys.exit(status)


def licences() -> list[str]:
    """Packages whose licence is not allowed, or not known."""
    stated = table()
    missing = {pin.partition("==")[0] for pins in locked().values() for pin in pins} - stated.keys()
    return [f"{name}: not in docs/licences.md" for name in sorted(missing)] + [
        f"{name}: {licence}" for name, licence in stated.items() if refused(licence)
    ]


def installable() -> list[str]:
    """Pythons and platforms for which pip refuses a pin, with its last words."""
    found = []
    for python in PYTHONS:
        for platform, (system, machine) in PLATFORMS.items():
            options = ["--python-version", python, "--platform", platform, "--implementation", "cp"]
            with tempfile.TemporaryDirectory(dir=TOOLS.parent) as scratch:
                pins = write_pins(Path(scratch, "pins.txt"), python, system, machine)
                pip = [tool("pip"), "install", "--dry-run", "--no-deps", "--no-cache-dir", "--quiet"]
                asked = run(*pip, "--ignore-installed", "--target", scratch, *options, "-r", pins)
            if "NewConnectionError" in asked.stderr or "ConnectTimeout" in asked.stderr:
                raise NotAsked("the package index was not reached")
            if asked.returncode:
                found.append(f"Python {python}, {platform}: {last_line(asked.stderr)}")
    return found


def advisories() -> list[str]:
    """Locked versions with an advisory, as pip-audit learns it from the package index."""
    found: dict[str, None] = {}
    for python in PYTHONS:
        with tempfile.TemporaryDirectory(dir=TOOLS.parent) as scratch:
            pins = write_pins(Path(scratch, "pins.txt"), python, "linux", "x86_64")
            audit = [tool("pip-audit"), "--disable-pip", "--format", "json", "--progress-spinner", "off"]
            asked = run(*audit, "--requirement", pins)
        if not asked.stdout.strip():
            raise NotAsked(f"pip-audit did not answer: {last_line(asked.stderr)}")
        answer = json.loads(asked.stdout)["dependencies"]
        # It passes over what it does not find, and exits 0; where no database is reached, that is everything.
        passed_over = [entry["name"] for entry in answer if "skip_reason" in entry]
        if passed_over or not answer:
            raise NotAsked(f"no advisories were had for {len(passed_over)} of {len(answer)} packages")
        for entry in answer:
            for flaw in entry["vulns"]:
                mended = ", ".join(flaw["fix_versions"]) or "none yet"
                found[f"{entry['name']} {entry['version']}: {flaw['id']}, mended in {mended}"] = None
    return list(found)


def write_pins(path: Path, python: str, system: str, machine: str) -> str:
    """Writes the requirements of the lock that hold there, with their hashes and without markers."""
    place = {
        "python_version": python,
        "python_full_version": f"{python}.0",
        "sys_platform": system,
        "platform_machine": machine,
    }
    wanted: dict[str, list[str]] = {}
    for pins in locked().values():
        for pin, hashes in pins.items():
            requirement, _, marker = pin.partition(" ; ")
            if not marker or Marker(marker).evaluate(place):
                wanted[requirement] = hashes
    lines = (f"{pin} {' '.join(f'--hash=sha256:{h}' for h in hashes)}\n" for pin, hashes in wanted.items())
    path.write_text("".join(lines), encoding="utf-8")
    return str(path)


def tool(name: str) -> str:
    """The path of a program of BRINGS, installed on the first call."""
    mark = TOOLS / "-".join(BRINGS)
    if not mark.exists():
        subprocess.run([sys.executable, "-m", "venv", TOOLS], check=True)
        brought = run(str(TOOLS / "bin/python"), "-m", "pip", "install", "--quiet", *BRINGS)
        if brought.returncode:
            raise NotAsked(f"{BRINGS} could not be installed: {last_line(brought.stderr)}")
        mark.touch()
    return str(TOOLS / "bin" / name)


def run(*command: str) -> subprocess.CompletedProcess[str]:
    """Runs a command, with its output as text."""
    return subprocess.run(command, capture_output=True, text=True, check=False)


def last_line(text: str) -> str:
    """The last line that is not empty."""
    return next((line for line in reversed(text.splitlines()) if line.strip()), "nothing was said")


if __name__ == "__main__":
    main(sys.argv[1:])
