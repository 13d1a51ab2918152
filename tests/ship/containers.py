"""Containers of weir's image, run as docs/deploy.md says: read-only, without capabilities, on the host's network."""

import contextlib
import json
import os
import pathlib
import secrets
import subprocess

import httpx
from harness import START_SECONDS_MAX, free_port, wait_until

ROOT = pathlib.Path(__file__).resolve().parents[2]
PREFIX = f"weir-ship-{os.getpid()}"  # of all containers of this run
HARDENED = ["--network", "host", "--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"]


def docker(*arguments: str, status: int | None = 0, seconds: float = 120, **options) -> subprocess.CompletedProcess:
    done = subprocess.run(["docker", *arguments], text=True, capture_output=True, timeout=seconds, **options)
    assert status is None or done.returncode == status, f"docker {arguments} ended with {done.returncode}:\n" \
        f"{done.stdout}{done.stderr}"
    return done


def run_once(image: str, *command: str, options: list[str] = (), status: int | None = 0) -> subprocess.CompletedProcess:
    """A container that ends by itself; its output."""
    return docker("run", "--rm", *HARDENED, *options, image, *command, status=status)


class Container:
    """A container that runs until it is removed. `options` are those of `docker run`, `base` what all have."""

    def __init__(self, image: str, *command: str, options: list[str] = (), base: list[str] = HARDENED):
        self.name = f"{PREFIX}-{secrets.token_hex(4)}"
        docker("run", "--detach", "--name", self.name, *base, *options, image, *command)

    def state(self) -> dict:
        return json.loads(docker("inspect", "--format", "{{json .State}}", self.name).stdout)

    def log(self) -> str:
        done = docker("logs", self.name)
        return done.stdout + done.stderr

    def wait_until_says(self, text: str):
        """The log is written in batches: a line may come a moment after what it tells of."""
        wait_until(lambda: text in self.log(), f"the log says {text!r}")

    def execute(self, *command: str, options: list[str] = (), status: int | None = 0):
        return docker("exec", *options, self.name, *command, status=status)

    def send_signal(self, name: str):
        docker("kill", "--signal", name, self.name)

    def stop_in_background(self, seconds: int) -> subprocess.Popen:
        """What an engine does at `docker stop`: SIGTERM, and SIGKILL after so many seconds."""
        return subprocess.Popen(["docker", "stop", "--time", str(seconds), self.name], stdout=subprocess.DEVNULL)

    def exit_status(self, seconds: float = 60) -> int:
        return int(docker("wait", self.name, seconds=seconds).stdout)

    def remove(self):
        docker("rm", "--force", "--volumes", self.name, status=None)

    def wait_until_answers(self, url: str):
        def answers():
            assert self.state()["Running"], f"{self.name} ended at start:\n{self.log()}"
            with contextlib.suppress(httpx.TransportError):
                return httpx.get(url, trust_env=False).status_code == 200

        wait_until(answers, f"{url} answers", START_SECONDS_MAX)


def environment(**variables: str) -> list[str]:
    return [word for name, value in variables.items() for word in ("--env", f"{name}={value}")]


class WeirContainer(Container):
    """`weir serve` on free ports of the host."""

    def __init__(self, image: str, *flags: str, options: list[str] = (), **variables: str):
        self.port, self.operator_port = free_port(), free_port()
        self.origin = f"http://127.0.0.1:{self.port}"
        self.base_url = self.origin + "/v1"
        self.operator_origin = f"http://127.0.0.1:{self.operator_port}"
        variables = {"WEIR_LISTEN": f"127.0.0.1:{self.port}",
                     "WEIR_OPERATOR_LISTEN": f"127.0.0.1:{self.operator_port}"} | variables
        command = ["serve", *flags] if flags else []  # without flags, what the image does by itself
        super().__init__(image, *command, options=[*environment(**variables), *options])
        self.wait_until_answers(self.origin + "/readyz")
        # The lines of the start come a moment after the first answer: the log has a writer of its own.
        wait_until(lambda: " listens on " in self.log(), "weir says where it listens")


class SimulatorContainer(Container):
    """`weir simulate` of the same image."""

    def __init__(self, image: str, *flags: str):
        self.origin = f"http://127.0.0.1:{free_port()}"
        super().__init__(image, "simulate", "--listen", self.origin.removeprefix("http://"), *flags)
        self.wait_until_answers(self.origin + "/__stats")

    def stats(self) -> dict:
        return httpx.get(self.origin + "/__stats", trust_env=False).json()
