"""The Kubernetes manifests: each port, path and variable against the binary, as a kubelet would use them."""

import re

import httpx
import pytest
from containers import ROOT, environment, run_once
from harness import wait_until
from pod import PodContainer, documents, neighbour, only, pod_of, variables_of, weir_of

FILES = ["kubernetes.sidecar.yaml", "kubernetes.gateway.yaml"]
PROVIDER = "127.0.0.1:8090"
HELLO = {"model": "deepseek-chat", "messages": [{"role": "user", "content": "Hello"}]}


def seconds(duration: str) -> float:
    amount, unit = re.fullmatch(r"(\d+)(ms|s|m|h)", duration).groups()
    return int(amount) * {"ms": 0.001, "s": 1, "m": 60, "h": 3600}[unit]


def text_of(file: str) -> str:
    return (ROOT / "docker" / file).read_text()


def secret_values(file: str) -> dict[str, str]:
    """The names that the file's own instructions put into its Secret, with values of the test."""
    return {name: f"value-of-{name}" for name in re.findall(r"--from-literal=([\w-]+)=", text_of(file))}


@pytest.fixture
def sidecar(image, started, tmp_path):
    pod = pod_of(documents("kubernetes.sidecar.yaml"))
    return started(PodContainer(image, pod, weir_of(pod), {"secrets": secret_values("kubernetes.sidecar.yaml")},
                                tmp_path))


class Gateway:
    """The gateway's container, with the ConfigMap as a user would fill it in."""

    def __init__(self, image, started, folder):
        self._manifests = documents("kubernetes.gateway.yaml")
        self.config = only(self._manifests, "ConfigMap")["data"]["weir.yaml"]
        self.alice = self.add_key(image, "alice")
        pod = pod_of(self._manifests)
        self.secrets = secret_values("kubernetes.gateway.yaml")
        self.container = started(PodContainer(image, pod, weir_of(pod), {
            "config": {"weir.yaml": self.config}, "secrets": self.secrets}, folder))
        started(neighbour(image, self.container, "simulate", "--listen", PROVIDER))
        wait_until(lambda: self.container.probe("startupProbe"), "the gateway has started")

    def add_key(self, image, name: str) -> str:
        """Adds the line that `weir new-key` prints; gives the key."""
        printed = run_once(image, "new-key", "--name", name).stdout
        line = next(line for line in printed.splitlines() if line.startswith("  - "))
        self.config = self.config.replace("keys:\n", f"keys:\n{line}\n")
        return printed.splitlines()[0]

    def swap_config(self):
        self.container.volumes["config"].swap({"weir.yaml": self.config})

    def service_port(self) -> int:
        service = next(manifest for manifest in self._manifests
                       if manifest["kind"] == "Service" and manifest["metadata"]["name"] == "weir")
        return self.container.port(service["spec"]["ports"][0]["targetPort"])

    def operator_port(self) -> int:
        service = next(manifest for manifest in self._manifests
                       if manifest["kind"] == "Service" and manifest["metadata"]["name"] == "weir-operator")
        return self.container.port(service["spec"]["ports"][0]["targetPort"])

    def call(self, key: str) -> int:
        """The status of a chat call."""
        url = f"http://127.0.0.1:{self.service_port()}/v1/chat/completions"
        headers = {"authorization": f"Bearer {key}"}
        return self.container.inside(lambda: httpx.post(url, json=HELLO, headers=headers, trust_env=False).status_code)

    def ask_operator(self, path: str, token: str = "") -> int:
        url = f"http://127.0.0.1:{self.operator_port()}{path}"
        headers = {"authorization": f"Bearer {token}"} if token else {}
        return self.container.inside(lambda: httpx.get(url, headers=headers, trust_env=False).status_code)


@pytest.fixture
def gateway(image, started, tmp_path):
    return Gateway(image, started, tmp_path)


@pytest.mark.parametrize("file", FILES)
def test_what_is_referred_to_is_there(file):
    manifests = documents(file)
    deployment = only(manifests, "Deployment")["spec"]
    labels = deployment["template"]["metadata"]["labels"]
    assert deployment["selector"]["matchLabels"].items() <= labels.items()
    for manifest in manifests:
        if manifest["kind"] == "Service":
            assert manifest["spec"]["selector"].items() <= labels.items()
            names = {port["name"] for port in weir_of(deployment["template"]["spec"])["ports"]}
            assert {port["targetPort"] for port in manifest["spec"]["ports"]} <= names
        if manifest["kind"] == "PodDisruptionBudget":
            assert manifest["spec"]["selector"]["matchLabels"].items() <= labels.items()
            assert manifest["spec"]["minAvailable"] < deployment["replicas"]
    secret = re.search(r"kubectl create secret generic ([\w-]+)", text_of(file)).group(1)
    config_maps = {manifest["metadata"]["name"] for manifest in manifests if manifest["kind"] == "ConfigMap"}
    for volume in deployment["template"]["spec"]["volumes"]:
        assert volume.get("secret", {"secretName": secret})["secretName"] == secret
        assert not volume.get("configMap") or volume["configMap"]["name"] in config_maps


@pytest.mark.parametrize("file", FILES)
def test_each_variable_means_something_to_the_binary(file, image, tmp_path):
    """Left out or spoiled, it changes what `weir check` says."""
    manifests = documents(file)
    variables = variables_of(weir_of(pod_of(manifests)))
    secret_folder = tmp_path / "secrets"
    secret_folder.mkdir()
    for name, value in secret_values(file).items():
        (secret_folder / name).write_text(value)
    options = ["--volume", f"{secret_folder}:/run/secrets/weir:ro"]
    if file == "kubernetes.gateway.yaml":
        config = tmp_path / "weir.yaml"
        config.write_text(only(manifests, "ConfigMap")["data"]["weir.yaml"])
        options += ["--volume", f"{config}:/etc/weir/weir.yaml:ro"]

    def said(settings: dict[str, str], status: int | None = None) -> str:
        done = run_once(image, "check", options=[*options, *environment(**settings)], status=status)
        return done.stdout + done.stderr

    whole = said(variables, status=0)
    for name in variables:
        if name == "WEIR_WATCH":
            continue  # of `serve` alone: the swap of the ConfigMap shows that it works
        assert said(variables | {name: "/nowhere/spoiled"}) != whole, f"{name} is not read"


@pytest.mark.parametrize("file", FILES)
def test_the_image_is_this_version(file, image):
    version = run_once(image, "version").stdout.split()[1]
    assert weir_of(pod_of(documents(file)))["image"] == f"weir:{version}"


@pytest.mark.parametrize("file", FILES)
def test_pods_share_the_account_evenly(file):
    deployment = only(documents(file), "Deployment")["spec"]
    share = float(variables_of(weir_of(deployment["template"]["spec"]))["WEIR_SHARE"])
    most = deployment["replicas"] + deployment["strategy"]["rollingUpdate"]["maxSurge"]
    assert share * most == 1, "a rollout would spend more than the account has"


@pytest.mark.parametrize("file", FILES)
def test_the_grace_period_covers_the_shutdown(file):
    manifests = documents(file)
    announce, drain = 0.0, 25.0
    if file == "kubernetes.gateway.yaml":
        config = only(manifests, "ConfigMap")["data"]["weir.yaml"]
        announce, drain = (seconds(re.search(rf"{name}: (\w+)", config).group(1)) for name in ("announce", "drain"))
        assert announce > 0
    # Two seconds for the error events of what is left, and some to end.
    assert pod_of(manifests)["terminationGracePeriodSeconds"] >= announce + drain + 5


def test_the_sidecar_starts_with_the_probe_the_kubelet_asks(sidecar):
    wait_until(lambda: sidecar.probe("startupProbe"), "the sidecar has started")
    sidecar.wait_until_says("limits {rpm: 7500, tpm: 1250000} (share 0.25)")
    sidecar.wait_until_says("clients: open")


def test_the_application_finds_the_sidecar_where_its_variable_says(sidecar):
    wait_until(lambda: sidecar.probe("startupProbe"), "the sidecar has started")
    (app,) = pod_of(documents("kubernetes.sidecar.yaml"))["containers"]
    base_url = variables_of(app)["OPENAI_BASE_URL"]
    sidecar.wait_until_says(base_url.replace("localhost", "127.0.0.1"))
    probe = base_url.removesuffix("/v1") + "/readyz"
    assert sidecar.inside(lambda: httpx.get(probe, trust_env=False)).status_code == 200


def test_the_gateway_passes_its_probes_and_serves_keys(gateway):
    assert all(gateway.container.probe(name) for name in ("startupProbe", "readinessProbe", "livenessProbe"))
    assert gateway.call("sk-unknown") == 401
    assert gateway.ask_operator("/weir/queue") == 401
    assert gateway.ask_operator("/weir/queue", gateway.secrets["operator"]) == 200


def test_a_swapped_config_map_is_taken_over(image, gateway):
    # An address that answers here, and another key.
    gateway.config = gateway.config.replace("    provider: deepseek\n",
                                            f"    provider: deepseek\n    base_url: http://{PROVIDER}\n")
    bob = gateway.add_key(image, "bob")
    assert gateway.call(bob) == 401
    gateway.swap_config()
    wait_until(lambda: gateway.call(bob) == 200, "the new key is let in")
    assert gateway.call(gateway.alice) == 200


def test_after_sigterm_it_is_unready_at_once_and_still_serves(image, gateway):
    gateway.config = gateway.config.replace("    provider: deepseek\n",
                                            f"    provider: deepseek\n    base_url: http://{PROVIDER}\n")
    gateway.swap_config()
    wait_until(lambda: gateway.call(gateway.alice) == 200, "the simulated provider is used")
    gateway.container.send_signal("SIGTERM")
    wait_until(lambda: not gateway.container.probe("readinessProbe"), "the readiness probe fails")
    # Whoever has not noticed yet is served: the configuration announces for 10 s.
    assert gateway.call(gateway.alice) == 200
    assert gateway.container.probe("livenessProbe")
    assert gateway.container.exit_status() == 0
