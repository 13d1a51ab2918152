"""docker/compose.team.yaml: weir with keys of its own, scraped by a real Prometheus, and the queries of the dashboard.

Grafana's image is no part of the test: its files are checked against each other, its queries against Prometheus.
"""

import json
import math
import os
import pathlib
import re
import subprocess

import httpx
import pytest
import yaml
from compose import Compose
from containers import ROOT, docker, run_once
from harness import wait_until
from network import in_network_of

PROVIDER = "127.0.0.1:8090"
PROMETHEUS = "http://127.0.0.1:9090"
# Like the published image: nobody's, and so is the folder of its data.
PROMETHEUS_IMAGE = """
FROM debian:bookworm-slim
RUN apt-get update && apt-get install -y --no-install-recommends prometheus
RUN install -d -o 65534 -g 65534 /prometheus
USER 65534:65534
ENTRYPOINT ["/usr/bin/prometheus"]
"""
DASHBOARD = json.loads((ROOT / "docker/grafana/dashboards/weir.json").read_text())
# Nothing went wrong in this way while the test ran.
MAY_BE_EMPTY = {"Repeated calls", "Learned limits"}


def queries() -> list[tuple[str, str]]:
    """Title and expression of each query of each panel."""
    return [(panel["title"], target["expr"]) for panel in DASHBOARD["panels"] for target in panel.get("targets", [])]


@pytest.fixture(scope="module")
def prometheus_image(image, tmp_path_factory):
    """`image` first: the base image comes with it."""
    folder = tmp_path_factory.mktemp("prometheus")
    (folder / "Dockerfile").write_text(PROMETHEUS_IMAGE)
    docker("build", "--network", "host", "--tag", "weir-ship-prometheus", str(folder), seconds=1200,
           env=os.environ | {"DOCKER_BUILDKIT": "0"})
    yield "weir-ship-prometheus"
    docker("image", "rm", "weir-ship-prometheus", status=None)


class Team:
    """The project, set up as its first lines say, in one network that has only loopback."""

    def __init__(self, image: str, prometheus_image: str, folder: pathlib.Path):
        secrets = folder / "secrets"
        secrets.mkdir()
        for name in ("deepseek", "operator", "grafana"):
            (secrets / name).write_text(f"value-of-{name}")
            (secrets / name).chmod(0o444)
        self._config = folder / "weir"
        self._config.mkdir(mode=0o755)
        self.text = (ROOT / "docker/team/weir.yaml").read_text().replace(
            "    provider: deepseek\n", f"    provider: deepseek\n    base_url: http://{PROVIDER}\n")
        self.text += "start_guard: 0s\n"  # the simulated provider has just started, too
        self.alice = self.add_key(image, "alice")
        self.write()
        override = {
            "services": {
                # All of them in weir's network, where they find each other by the names that compose would give them.
                "weir": {"image": image, "network_mode": "none", "volumes": [f"{self._config}:/etc/weir:ro"],
                         "extra_hosts": ["weir:127.0.0.1", "prometheus:127.0.0.1"]},
                "prometheus": {"image": prometheus_image, "network_mode": "service:weir"},
                "provider": {"image": image, "network_mode": "service:weir",
                             # Slow enough that words come one by one, after keep-alives.
                             "command": ["simulate", "--listen", PROVIDER, "--keepalive-every", "10ms", "--ttft",
                                         "50ms", "--tokens-per-second", "200", "--output-tokens", "16"]},
            },
            "secrets": {name: {"file": str(secrets / name)} for name in ("deepseek", "operator", "grafana")},
        }
        self.compose = Compose("compose.team.yaml", override, folder)

    def add_key(self, image: str, name: str) -> str:
        """Adds the line that `weir new-key` prints; gives the key."""
        printed = run_once(image, "new-key", "--name", name).stdout
        line = next(line for line in printed.splitlines() if line.startswith("  - "))
        self.text = self.text.replace("keys:\n", f"keys:\n{line}\n", 1)
        return printed.splitlines()[0]

    def write(self):
        """As most editors do: a new file takes the place of the old one."""
        new = self._config / "weir.yaml.new"
        new.write_text(self.text)
        new.chmod(0o644)
        os.replace(new, self._config / "weir.yaml")

    def start(self):
        self.compose.run("up", "--detach", "--no-build", "weir", "provider", "prometheus")
        self._pid = self.compose.state("weir")["Pid"]
        wait_until(lambda: self.answers(f"http://{PROVIDER}/__stats"), "the provider answers")
        wait_until(lambda: self.answers("http://127.0.0.1:8080/readyz"), "weir answers")
        wait_until(lambda: self.answers(PROMETHEUS + "/-/ready"), "Prometheus answers")

    def inside(self, job):
        return in_network_of(self._pid, job)

    def answers(self, url: str) -> bool:
        def job():
            try:
                return httpx.get(url, trust_env=False).status_code == 200
            except httpx.TransportError:
                return False

        return self.inside(job)

    def call(self, key: str, model: str = "deepseek-chat", stream: bool = False) -> int:
        """The status of a chat call."""
        body = {"model": model, "stream": stream, "messages": [{"role": "user", "content": "Hello"}]}
        headers = {"authorization": f"Bearer {key}"}
        return self.inside(lambda: httpx.post("http://127.0.0.1:8080/v1/chat/completions", json=body, headers=headers,
                                              trust_env=False).status_code)

    def metrics(self) -> httpx.Response:
        headers = {"authorization": "Bearer value-of-operator"}
        return self.inside(lambda: httpx.get("http://127.0.0.1:8081/metrics", headers=headers, trust_env=False))

    def query(self, expression: str) -> list[dict]:
        answer = self.inside(lambda: httpx.get(PROMETHEUS + "/api/v1/query", params={"query": expression},
                                               trust_env=False)).json()
        assert answer["status"] == "success", f"{expression}: {answer.get('error')}"
        return answer["data"]["result"]


@pytest.fixture(scope="module")
def team(image, prometheus_image, tmp_path_factory):
    folder = tmp_path_factory.mktemp("team")
    folder.chmod(0o755)
    made = Team(image, prometheus_image, folder)
    made.start()
    yield made
    made.compose.down()


def traffic(team):
    """A little of everything: whole and streamed calls, a refusal of weir's, an error of the provider's."""
    assert team.call(team.alice) == 200
    assert team.call(team.alice, stream=True) == 200
    assert team.call("sk-unknown") == 401
    assert team.call(team.alice, model="no-such-model") == 404


def test_callers_need_a_key_and_prometheus_the_token(team):
    traffic(team)
    assert team.inside(lambda: httpx.get("http://127.0.0.1:8081/metrics", trust_env=False)).status_code == 401
    wait_until(lambda: [one["value"][1] for one in team.query('up{job="weir"}')] == ["1"], "Prometheus scrapes weir")


def test_an_edited_configuration_is_taken_over(image, team):
    bob = team.add_key(image, "bob")
    assert team.call(bob) == 401
    team.write()
    wait_until(lambda: team.call(bob) == 200, "the new key is let in")


def test_the_metrics_are_as_prometheus_wants_them(team, prometheus_image):
    traffic(team)
    answer = team.metrics()
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    done = subprocess.run(["docker", "run", "--rm", "--interactive", "--network", "none", "--entrypoint",
                           "/usr/bin/promtool", prometheus_image, "check", "metrics"],
                          input=answer.text, text=True, capture_output=True)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_what_was_counted_is_what_was_called(team):
    def counted(outcome: str) -> float:
        found = re.findall(rf'^weir_requests_total{{[^}}]*outcome="{outcome}"[^}}]*}} (\d+)$', team.metrics().text,
                           re.MULTILINE)
        return sum(map(float, found))

    before = {outcome: counted(outcome) for outcome in ("ok", "refused", "upstream_error")}
    traffic(team)
    # A record is written when the exchange has ended, which the client may see a moment earlier.
    wait_until(lambda: all([counted("ok") == before["ok"] + 2, counted("refused") == before["refused"] + 1,
                            counted("upstream_error") == before["upstream_error"] + 1]), "all four calls are counted")


def test_connections_are_counted(team):
    traffic(team)
    figures = dict(re.findall(r"^(weir_\w+) (\d+)$", team.metrics().text, re.MULTILINE))
    assert int(figures["weir_upstream_connections_opened_total"]) >= 1
    assert int(figures["weir_upstream_connections_reused_total"]) >= 1
    # The provider keeps connections, and nothing of the test is under way.
    wait_until(lambda: re.search(r"^weir_upstream_connections_idle [1-9]", team.metrics().text, re.MULTILINE),
               "a connection is kept for the next call")


def test_no_secret_is_in_the_metrics(team):
    text = team.metrics().text
    assert 'key="alice"' in text
    for secret in (team.alice, "value-of-deepseek", "value-of-operator", "sk-unknown"):
        assert secret not in text


@pytest.mark.parametrize(("title", "expression"), queries(), ids=[title for title, _ in queries()])
def test_each_query_of_the_dashboard_finds_something(team, title, expression):
    expression = expression.replace("$__rate_interval", "30s")
    expression = re.sub(r"\$(key|model|upstream)\b", ".*", expression)
    assert "$" not in expression

    def has_a_number() -> bool:
        traffic(team)
        return any(math.isfinite(float(series["value"][1])) for series in team.query(expression))

    if title in MAY_BE_EMPTY:
        team.query(expression)
    else:
        wait_until(has_a_number, f"{title!r} has something to show")


def test_the_dashboard_shows_every_metric_of_weirs_own():
    """What is documented and shown nowhere would be looked for in vain."""
    documented = set(re.findall(r"^\| `(weir_\w+)`", (ROOT / "docs/metrics.md").read_text(), re.MULTILINE))
    shown = " ".join(expression for _, expression in queries())
    missing = {name for name in documented if not re.search(rf"\b{name}(_bucket)?\b", shown)}
    assert missing == set()


def test_grafanas_files_lead_to_each_other():
    compose = yaml.safe_load((ROOT / "docker/compose.team.yaml").read_text())
    grafana = compose["services"]["grafana"]
    mounts = dict(volume.split(":")[:2] for volume in grafana["volumes"])
    for source in mounts:
        assert (ROOT / "docker" / source).is_dir()
    inside = {target: source for source, target in mounts.items()}
    assert (ROOT / "docker" / inside["/etc/grafana/provisioning"] / "datasources").is_dir()
    (datasource,) = yaml.safe_load((ROOT / "docker/grafana/provisioning/datasources/prometheus.yaml").read_text())[
        "datasources"]
    assert datasource["url"] == "http://prometheus:9090" and "prometheus" in compose["services"]
    (provider,) = yaml.safe_load((ROOT / "docker/grafana/provisioning/dashboards/weir.yaml").read_text())["providers"]
    assert provider["options"]["path"] in inside
    home = pathlib.PurePath(grafana["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"])
    assert (ROOT / "docker" / inside[str(home.parent)] / home.name).is_file()
    used = {source["uid"] for panel in DASHBOARD["panels"] for source in
            [panel.get("datasource"), *(target["datasource"] for target in panel.get("targets", []))] if source}
    assert used == {datasource["uid"]}
    interval = yaml.safe_load((ROOT / "docker/prometheus.yml").read_text())["global"]["scrape_interval"]
    assert datasource["jsonData"]["timeInterval"] == interval


def test_panels_do_not_overlap():
    taken = {}
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        for cell in ((x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])):
            assert cell not in taken, f"{panel['title']} covers {taken[cell]}"
            taken[cell] = panel["title"]
    assert max(x for x, _ in taken) < 24
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])


def test_every_secret_is_made_by_the_instructions():
    text = (ROOT / "docker/compose.team.yaml").read_text()
    for secret in yaml.safe_load(text)["secrets"].values():
        assert f">docker/{secret['file']} " in text
