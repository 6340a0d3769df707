"""An exported system, run by compose on the machine's engine and observed through it."""

import os
import re
import time
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import docker
import pytest

EXPORTS = Path(os.environ["MOLECULE_PROJECT_DIRECTORY"]) / ".cache" / "export"
COMPOSE = {"debian12": "docker-compose", "debian13": "docker compose"}


class Run(NamedTuple):
    """One run of a service."""

    began: float  # seconds since 1970
    previous_ended: float  # … of the run before it in this container
    exit_code: int
    state: str  # running, exited …
    health: str  # starting, healthy, unhealthy
    restarts: int  # by Docker, since compose has started it


class System:
    """Its services, by their names in compose.yaml."""

    def __init__(self, name, host, wait_for):
        self.project, self.directory, self.host, self.wait_for = f"export-{name}", EXPORTS / name, host, wait_for
        self.command = COMPOSE[host.backend.get_hostname().split("-")[1]]
        self.engine = docker.from_env()

    def compose(self, arguments):
        return self.host.check_output(f"cd {self.directory} && {self.command} -p {self.project} {arguments} 2>&1")

    def containers(self):
        """Each service's container."""
        found = self.engine.containers.list(all=True, filters={"label": f"com.docker.compose.project={self.project}"})
        return {container.labels["com.docker.compose.service"]: container for container in found}

    def services(self):
        return sorted(set(self.containers()) - {"redis"})

    def run_of(self, service):
        attributes = self.containers()[service].attrs
        state = attributes["State"]
        return Run(
            _seconds(state["StartedAt"]),
            _seconds(state["FinishedAt"]),
            state["ExitCode"],
            state["Status"],
            state.get("Health", {}).get("Status", ""),
            attributes["RestartCount"],
        )

    def runs(self):
        return {service: self.run_of(service) for service in self.services()}

    def wait_until_healthy(self, *services):
        for service in services:
            self.wait_for(lambda service=service: self._is_well(service), f"{service} to be healthy")

    def _is_well(self, service):
        """Its probe says so, about this run: a heartbeat of this one is there."""
        run = self.run_of(service)
        return (run.state, run.health) == ("running", "healthy") and self.status(service)

    def next_run(self, service, before):
        """Waits until the service is healthy in another run than this one; returns that."""
        self.wait_for(lambda: self.run_of(service).began > before.began, f"another run of {service}")
        self.wait_until_healthy(service)
        return self.run_of(service)

    def status(self, service):
        """What its heartbeat says; empty: there is none."""
        return self.execute(service, "cat /tmp/evenkeel.heartbeat 2>/dev/null || true")

    def execute(self, service, command):
        """Runs a command in the service's container, with its environment; returns the output."""
        result = self.containers()[service].exec_run(["sh", "-c", command], demux=True)
        output, errors = (stream.decode() if stream else "" for stream in result.output)
        assert result.exit_code == 0, f"{service}: {command}: {output}{errors}"
        return output.strip()

    def main(self, service):
        """The main process: the only child of the container's init."""
        return self.execute(service, "pgrep --parent 1")

    def signal(self, service, name):
        self.execute(service, f"kill -s {name} {self.main(service)}")

    def log(self, service):
        return self.containers()[service].logs().decode()


def _seconds(timestamp):
    """Of a timestamp of Docker's: 2026-11-27T20:02:55.297581242Z."""
    return datetime.fromisoformat(re.sub(r"(\.\d{6})\d*Z", r"\1+00:00", timestamp)).timestamp()


@pytest.fixture(scope="module")
def system(request, host, wait_for):
    """The module's system, ready."""
    made = System(request.module.SYSTEM, host, wait_for)
    begun = time.monotonic()
    made.compose("up --detach")
    made.wait_until_healthy(*made.services())
    made.seconds_to_start = time.monotonic() - begun
    yield made
    made.compose("down --volumes --timeout 0")
