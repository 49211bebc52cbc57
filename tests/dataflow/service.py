"""As much of Dataflow's REST service, on loopback, as Beam talks to: jobs, their states and messages.

A job either passes through given states, one a look, or is really executed: by a process that knows of
it no more than the service does, its description and what was staged.
"""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

EXECUTE = ("execute",)
"""Instead of states: run what was submitted."""

LOST = "LOST"
"""As a state: the service no longer shows the job to whoever asks."""

ENDED = {"JOB_STATE_DONE", "JOB_STATE_FAILED", "JOB_STATE_CANCELLED"}


class Service:
    """What the service knows. `states` are those of the jobs to come, with `message` if they fail."""

    def __init__(self, logs: Path) -> None:
        self.logs = logs
        self.states: Sequence[str] = EXECUTE
        self.message = ""
        self.silent = False
        """whether whoever asks for messages is refused"""
        self.refusal: tuple[int, str] | None = None
        """status and message for whoever submits, or asks"""
        self.jobs: dict[str, dict[str, Any]] = {}
        self.requests: list[str] = []
        self.endpoint = ""
        self._left: dict[str, list[str]] = {}
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def create(self, project: str, region: str, job: dict[str, Any]) -> dict[str, Any]:
        for other in self.jobs.values():
            if other["name"] == job["name"] and other["currentState"] not in ENDED:
                return other  # as the service does: Beam tells by the id of the request
        number = f"2026-01-01_00_00_00-{len(self.jobs)}"
        job.update(id=number, projectId=project, location=region, currentState="JOB_STATE_PENDING")
        self.jobs[number] = job
        if self.states is EXECUTE:
            described = self.logs / f"{number}.json"
            described.write_text(json.dumps(job))
            with open(self.logs / f"{number}.log", "wb") as log:
                command = [sys.executable, "-m", "tests.dataflow.worker", str(described)]
                self._processes[number] = subprocess.Popen(command, stdout=log, stderr=log)
        else:
            self._left[number] = list(self.states)
        return job

    def look(self, number: str) -> dict[str, Any]:
        job = self.jobs[number]
        if job["currentState"] in ENDED:
            return job
        if number in self._processes:
            ended = self._processes[number].poll()
            state = {None: "RUNNING", 0: "DONE"}.get(ended, "FAILED")
            job["currentState"] = f"JOB_STATE_{state}"
        elif self._left[number] == [LOST]:
            self.refusal = 403, "no permission to see it"
        elif self._left[number]:
            job["currentState"] = f"JOB_STATE_{self._left[number].pop(0)}"
        return job

    def cancel(self, number: str) -> dict[str, Any]:
        self.jobs[number]["currentState"] = "JOB_STATE_CANCELLED"
        self.end(number)
        return self.jobs[number]

    def end(self, number: str) -> None:
        if process := self._processes.get(number):
            process.kill()
            process.wait()

    def messages(self, number: str) -> list[dict[str, Any]]:
        text = self.message
        if number in self._processes:
            text = (self.logs / f"{number}.log").read_text(errors="replace")
        if self.jobs[number]["currentState"] != "JOB_STATE_FAILED" or not text:
            return []
        importance, time = "JOB_MESSAGE_ERROR", "2026-01-01T00:00:00Z"
        return [
            {"id": "1", "time": time, "messageText": text, "messageImportance": importance},
            {"id": "2", "time": time, "messageText": "Workflow failed.", "messageImportance": importance},
        ]


def _handler(service: Service) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = re.match(r"/v1b3/projects/([^/]+)/locations/([^/]+)/jobs/([^/?]+)(/messages)?", self.path)
            if service.refusal:
                self._refuse(*service.refusal)
            elif found is None or found[3] not in service.jobs:
                self._refuse(404, "Job not found")
            elif found[4] and service.silent:
                self._refuse(403, "no permission to see its messages")
            elif found[4]:
                self._answer(200, {"jobMessages": service.messages(found[3])})
            else:
                self._answer(200, service.look(found[3]))

        def do_POST(self) -> None:
            found = re.match(r"/v1b3/projects/([^/]+)/locations/([^/]+)/jobs(\?|$)", self.path)
            job = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if found is None:
                self._refuse(404, "Not found")
            elif service.refusal:
                self._refuse(*service.refusal)
            else:
                self._answer(200, service.create(found[1], found[2], job))

        def do_PUT(self) -> None:
            found = re.match(r"/v1b3/projects/([^/]+)/locations/([^/]+)/jobs/([^/?]+)", self.path)
            assert found is not None
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            assert asked["requestedState"] in ("JOB_STATE_CANCELLED", 5)
            self._answer(200, service.cancel(found[3]))

        def _refuse(self, code: int, message: str) -> None:
            self._answer(code, {"error": {"code": code, "message": message}})

        def _answer(self, code: int, content: dict[str, Any]) -> None:
            service.requests.append(f"{self.command} {self.path.partition('?')[0]}")
            body = json.dumps(content).encode()
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    return Handler


@contextlib.contextmanager
def served(logs: Path) -> Iterator[Service]:
    """The service, while the context lasts. Beam speaks plain HTTP to a host called localhost."""
    service = Service(logs)
    with ThreadingHTTPServer(("127.0.0.1", 0), _handler(service)) as server:
        service.endpoint = f"http://localhost:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield service
        finally:
            for number in service.jobs:
                service.end(number)
            server.shutdown()
            thread.join()
