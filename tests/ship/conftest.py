"""The image under test, built once, and what it talks to."""

import os
import pathlib
import secrets
import shutil
import subprocess

import openai
import pytest
from containers import PREFIX, ROOT, SimulatorContainer, docker
from harness import HeldProvider, clean_environment

TAG = "weir-ship-test"
REPORT = []  # figures for whoever reads the log


@pytest.fixture(autouse=True)
def _only_our_environment(monkeypatch):
    for name in set(os.environ) - set(clean_environment()):
        if name not in ("WEIR_IMAGE", "WEIR_PACKAGE"):
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def report():
    """Takes lines such as "image: 20 MB"; they are printed at the end."""
    return REPORT.append


def pytest_sessionfinish():
    """What a fixture that failed half-way has left."""
    left = docker("ps", "--all", "--quiet", "--filter", f"name={PREFIX}", status=None).stdout.split()
    if left:
        docker("rm", "--force", "--volumes", *left, status=None)


def pytest_terminal_summary(terminalreporter):
    for line in REPORT:
        terminalreporter.write_line(f"figure: {line}")


def build(tag: str, *options: str):
    # Without BuildKit, which not every engine has: the instructions have to be plain ones.
    docker("build", "--network", "host", "--tag", tag, "--file", "docker/Dockerfile", *options, ".", cwd=ROOT,
           seconds=3000, env=os.environ | {"DOCKER_BUILDKIT": "0"})


@pytest.fixture(scope="session")
def image():
    """weir's image: the one that WEIR_IMAGE names, or built here from docker/Dockerfile."""
    named = os.environ.get("WEIR_IMAGE")
    if named:
        yield named
        return
    build(TAG)
    yield TAG
    docker("image", "rm", TAG, status=None)


@pytest.fixture(scope="session")
def package(image, tmp_path_factory):
    """The Debian package: the one that WEIR_PACKAGE names, or `./dev package` in the stage that built the image."""
    named = os.environ.get("WEIR_PACKAGE")
    if named:
        yield pathlib.Path(named)
        return
    build(TAG + "-build", "--target", "build")  # every layer of it is there
    name = f"{PREFIX}-{secrets.token_hex(4)}"
    docker("run", "--name", name, "--network", "host", TAG + "-build", "./dev", "package", seconds=1200)
    folder = tmp_path_factory.mktemp("package")
    docker("cp", f"{name}:/weir/build/package/.", str(folder))
    docker("rm", name)
    (file,) = folder.glob("*.deb")
    yield file
    docker("image", "rm", TAG + "-build", status=None)


@pytest.fixture(scope="session")
def debian_archive():
    """A tar archive of a bare Debian."""
    folder = ROOT / "build/ship"
    done = subprocess.run([ROOT / "tests/ship/engine", "root", folder], text=True, capture_output=True, timeout=1200)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


# What the published images of Python are like: pip installs for the whole system. It finds packages as this host does.
PYTHON_IMAGE = """
FROM debian:bookworm-slim
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates python3 python3-pip
COPY authorities.crt /etc/ssl/certs/ca-certificates.crt
ENV PIP_BREAK_SYSTEM_PACKAGES=1 PIP_CERT=/etc/ssl/certs/ca-certificates.crt
COPY pip.conf /etc/pip.conf
"""


@pytest.fixture(scope="session")
def python_image(tmp_path_factory):
    folder = tmp_path_factory.mktemp("python")
    (folder / "Dockerfile").write_text(PYTHON_IMAGE)
    shutil.copy("/etc/ssl/certs/ca-certificates.crt", folder / "authorities.crt")
    index = os.environ.get("PIP_INDEX_URL")
    (folder / "pip.conf").write_text(f"[global]\nindex-url = {index}\n" if index else "[global]\n")
    docker("build", "--network", "host", "--tag", "weir-ship-python", str(folder), seconds=1200,
           env=os.environ | {"DOCKER_BUILDKIT": "0"})
    yield "weir-ship-python"
    docker("image", "rm", "weir-ship-python", status=None)


@pytest.fixture
def held_provider():
    provider = HeldProvider()
    yield provider
    provider.close()


@pytest.fixture(scope="session")
def simulator(image):
    server = SimulatorContainer(image, "--tokens-per-second", "0")
    yield server
    server.remove()


@pytest.fixture
def started():
    """Takes what a test starts, and removes it at the end."""
    made = []

    def keep(container):
        made.append(container)
        return container

    yield keep
    for container in made:
        container.remove()


@pytest.fixture
def client():
    """Makes an OpenAI client without retries: a test sees each answer."""
    made = []

    def make(base_url: str, api_key: str = "any") -> openai.OpenAI:
        made.append(openai.OpenAI(base_url=base_url, api_key=api_key, max_retries=0))
        return made[-1]

    yield make
    for each in made:
        each.close()
