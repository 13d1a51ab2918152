"""Runs a compose file of docker/ with an override for the test: images made here, and no network but loopback."""

import contextlib
import json
import os
import secrets
import subprocess

import yaml
from containers import PREFIX, ROOT, docker


def compose_command() -> list[str]:
    """Version 2 is a word of docker's, version 1 a program of its own."""
    if subprocess.run(["docker", "compose", "version"], capture_output=True).returncode == 0:
        return ["docker", "compose"]
    return ["docker-compose"]


class Compose:
    """One project. `override` is merged into the file by compose itself; `variables` are those it substitutes."""

    def __init__(self, file: str, override: dict, folder, **variables: str):
        override_file = folder / "override.yaml"
        override_file.write_text(yaml.safe_dump(override))
        self._command = [*compose_command(), "--project-name", f"{PREFIX}-{secrets.token_hex(4)}",
                         "--project-directory", str(ROOT / "docker"), "--file", str(ROOT / "docker" / file),
                         "--file", str(override_file)]
        # Without BuildKit, as everywhere in these tests.
        self._environment = os.environ | {"DOCKER_BUILDKIT": "0", "COMPOSE_DOCKER_CLI_BUILD": "0"} | variables

    def run(self, *arguments: str, status: int | None = 0, seconds: float = 600) -> str:
        done = subprocess.run([*self._command, *arguments], env=self._environment, text=True, capture_output=True,
                              timeout=seconds)
        assert status is None or done.returncode == status, \
            f"compose {arguments} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
        return done.stdout

    def config(self) -> dict:
        return yaml.safe_load(self.run("config"))

    def container(self, service: str) -> str:
        """The id of a service's container."""
        return self.run("ps", "--quiet", service).strip()

    def state(self, service: str) -> dict:
        return json.loads(docker("inspect", "--format", "{{json .State}}", self.container(service)).stdout)

    def log(self, service: str) -> str:
        return self.run("logs", "--no-color", service)

    def down(self):
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.run("down", "--volumes", "--timeout", "5", status=None)
