"""docker/compose.sidecar.yaml: an application with weir beside it, all settings in variables."""

import json

import httpx
import pytest
import yaml
from compose import Compose
from containers import ROOT, docker
from harness import wait_until
from network import in_network_of

PROVIDER = "127.0.0.1:8090"


@pytest.fixture
def project(image, python_image, tmp_path):
    override = {"services": {
        "weir": {"image": image, "network_mode": "none"},
        "app": {"build": {"network": "host", "args": {"PYTHON": python_image}}, "image": "weir-ship-app",
                "command": ["echo:", "hello from beside"]},
        "provider": {"image": image, "network_mode": "service:weir", "command": ["simulate", "--listen", PROVIDER]},
    }}
    compose = Compose("compose.sidecar.yaml", override, tmp_path, DEEPSEEK_API_KEY="sk-of-the-provider",
                      WEIR_UPSTREAM=f"http://{PROVIDER}", WEIR_RPM="600", WEIR_TPM="100000", WEIR_SHARE="0.5")
    yield compose
    compose.down()
    docker("image", "rm", "weir-ship-app", status=None)


def ask(project, method: str, url: str, **body) -> dict | None:
    """A JSON answer from within the network that the services share; None while nobody answers."""
    def job():
        try:
            return httpx.request(method, url, trust_env=False, **body).raise_for_status().json()
        except httpx.TransportError:
            return None

    return in_network_of(project.state("weir")["Pid"], job)


def test_an_application_streams_through_weir_beside_it(project):
    project.run("build", "app", seconds=1200)
    project.run("up", "--detach", "--no-build", "weir", "provider")
    wait_until(lambda: ask(project, "GET", f"http://{PROVIDER}/__stats"), "the provider answers")
    project.run("up", "--no-build", "--exit-code-from", "app", "app")
    assert "hello from beside" in project.log("app")


def test_its_settings_reach_weir(project):
    project.run("up", "--detach", "--no-build", "weir")
    wait_until(lambda: project.state("weir")["Health"]["Status"] == "healthy", "weir is healthy")
    budgets = ask(project, "GET", "http://127.0.0.1:8081/weir/budgets")["budgets"]
    (account,) = [budget for budget in budgets if budget["scope"] == "upstream"]
    assert account["meters"]["rpm"]["limit"] == 300  # half of WEIR_RPM: this instance's share
    assert account["meters"]["tpm"]["limit"] == 50_000
    # A provider's key, and a listener that only the application can reach.
    wait_until(lambda: "clients: open" in project.log("weir"), "the log says who may call")
    assert "sk-of-the-provider" not in project.log("weir")


def test_the_application_never_holds_the_providers_key():
    services = yaml.safe_load((ROOT / "docker/compose.sidecar.yaml").read_text())["services"]
    assert "DEEPSEEK_API_KEY" in json.dumps(services["weir"])
    assert "DEEPSEEK_API_KEY" not in json.dumps(services["app"])
    assert "ports" not in services["weir"]


def test_without_the_providers_key_nothing_starts(image, tmp_path):
    compose = Compose("compose.sidecar.yaml", {"services": {"weir": {"image": image}}}, tmp_path)
    with pytest.raises(AssertionError, match="the key that weir spends"):
        compose.config()
