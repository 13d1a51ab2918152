"""The Debian package: installed, used and removed in a bare Debian, without and with systemd."""

import os
import re
import shutil
import socket
import subprocess
import tempfile

import httpx
import openai
import pytest
import yaml
from containers import ROOT, Container, docker
from harness import clean_environment, free_port, wait_until
from network import in_network_of

EXPOSURE_MAX = 2.0
PROVIDER = "127.0.0.1:8090"
HELLO = {"model": "deepseek-chat", "messages": [{"role": "user", "content": "Hello"}]}


class Root:
    """A bare Debian in a folder."""

    def __init__(self, archive: str):
        # Beside the archive: /tmp may forbid devices and programs.
        self.path = tempfile.mkdtemp(prefix="root-", dir=os.path.dirname(archive))
        subprocess.run(["tar", "-C", self.path, "-xf", archive], check=True)
        shutil.copy("/etc/resolv.conf", os.path.join(self.path, "etc/resolv.conf"))

    def run(self, *command: str, status: int = 0) -> subprocess.CompletedProcess:
        done = subprocess.run(["chroot", self.path, *command], text=True, capture_output=True, timeout=600,
                              env=clean_environment() | {"DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"})
        assert done.returncode == status, f"{command} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
        return done

    def exists(self, path: str) -> bool:
        return os.path.lexists(self.path + path)

    def traces(self) -> list[str]:
        """Everything that has weir in its path."""
        found = subprocess.run(["find", self.path, "-xdev", "-iname", "*weir*"], text=True, capture_output=True)
        return sorted(line.removeprefix(self.path) for line in found.stdout.splitlines())

    def remove(self):
        shutil.rmtree(self.path)


@pytest.fixture(scope="module")
def root(debian_archive, package):
    made = Root(debian_archive)
    shutil.copy(package, made.path + "/package.deb")
    made.run("apt-get", "update")
    made.run("apt-get", "install", "--yes", "--no-install-recommends", "/package.deb")
    yield made
    made.remove()


@pytest.mark.parametrize("script", ["postinst configure", "postinst configure 0.1", "prerm remove", "postrm remove"])
def test_a_systemctl_that_fails_leaves_no_half_installed_package(script, tmp_path):
    systemctl = tmp_path / "systemctl"
    systemctl.write_text(f"#!/bin/sh\ntouch {tmp_path}/asked\nexit 1\n")
    systemctl.chmod(0o755)
    # In a mount namespace of its own, in which systemd seems to run.
    inside = f"mount -t tmpfs none /run && mkdir -p /run/systemd/system && sh {ROOT}/docker/package/{script}"
    done = subprocess.run(["unshare", "--mount", "sh", "-c", inside], text=True, capture_output=True,
                          env={"PATH": f"{tmp_path}:/usr/sbin:/usr/bin:/sbin:/bin"})
    assert (tmp_path / "asked").exists()
    assert done.returncode == 0, done.stderr


def test_its_files_are_where_administrators_look(root):
    files = {path for path in root.run("dpkg", "--listfiles", "weir").stdout.splitlines()
             if not os.path.isdir(root.path + path)}
    documents = {path for path in files if path.startswith("/usr/share/doc/weir/")}
    assert files - documents == {"/usr/bin/weir", "/etc/weir/weir.yaml", "/etc/weir/environment",
                                 "/usr/lib/systemd/system/weir.service"}
    assert {"/usr/share/doc/weir/README.md", "/usr/share/doc/weir/docs/settings.md"} <= documents


def test_it_says_what_it_is(root, report):
    fields = dict(re.findall(r"^([\w-]+): (.*)$", root.run("dpkg", "--status", "weir").stdout, re.MULTILINE))
    assert fields["Version"] == root.run("weir", "version").stdout.split()[1]
    assert fields["Section"] == "net" and fields["Maintainer"]
    assert "ca-certificates" in fields["Depends"] and "libc6 (>=" in fields["Depends"]
    report(f"package: {int(fields['Installed-Size']) / 1000:.1f} MB installed")


def test_keys_of_providers_are_for_root_alone(root):
    assert os.stat(root.path + "/etc/weir/environment").st_mode & 0o777 == 0o600


def test_the_binary_is_stripped(root):
    with open(root.path + "/usr/bin/weir", "rb") as binary:
        assert b".debug_info" not in binary.read()


def test_its_configuration_serves_once_a_provider_is_named(root, simulator):
    nothing = root.run("weir", "check", "--config", "/etc/weir/weir.yaml", status=2)
    assert "no upstream is configured" in nothing.stderr
    port = free_port()
    flags = ["--config", "/etc/weir/weir.yaml", "--listen", f"127.0.0.1:{port}",
             "--operator-listen", f"127.0.0.1:{free_port()}", "--upstream", simulator.origin]
    server = subprocess.Popen(["chroot", root.path, "weir", "serve", *flags], stderr=subprocess.DEVNULL,
                              env=clean_environment())
    try:
        wait_until(lambda: accepts(port), "the packaged weir listens")
        with openai.OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="any") as client:
            answer = client.chat.completions.create(**HELLO, max_tokens=3)
        assert answer.usage.completion_tokens == 3
    finally:
        server.terminate()
        assert server.wait(timeout=60) == 0


def accepts(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_removed_it_leaves_the_configuration_and_purged_nothing(root):
    """The last one: it takes the package away."""
    os.unlink(root.path + "/package.deb")
    edited = root.path + "/etc/weir/weir.yaml"
    with open(edited, "a") as file:
        file.write("# edited\n")
    root.run("dpkg", "--remove", "weir")
    assert not root.exists("/usr/bin/weir") and not root.exists("/usr/lib/systemd/system/weir.service")
    assert open(edited).read().endswith("# edited\n")
    root.run("dpkg", "--purge", "weir")
    assert root.traces() == []


# --- With systemd ----------------------------------------------------------------------------------------------------

INSTALLED = """
FROM debian:bookworm-slim
RUN apt-get update && apt-get install -y --no-install-recommends systemd
COPY package.deb /
RUN apt-get install -y --no-install-recommends /package.deb
CMD ["/lib/systemd/systemd"]
"""


@pytest.fixture(scope="module")
def installed_image(image, package, tmp_path_factory):
    """`image` first: the base image comes with it."""
    folder = tmp_path_factory.mktemp("installed")
    (folder / "Dockerfile").write_text(INSTALLED)
    shutil.copy(package, folder / "package.deb")
    docker("build", "--network", "host", "--tag", "weir-ship-installed", str(folder), seconds=1200,
           env=os.environ | {"DOCKER_BUILDKIT": "0"})
    yield "weir-ship-installed"
    docker("image", "rm", "weir-ship-installed", status=None)


def what_systemd_needs() -> list[str]:
    options = ["--network", "none", "--tmpfs", "/run", "--tmpfs", "/tmp"]
    if os.path.isdir("/sys/fs/cgroup/systemd"):  # cgroups of version 1: systemd's own hierarchy is enough
        return [*options, "--cap-add", "SYS_ADMIN", "--security-opt", "seccomp=unconfined",
                "--security-opt", "apparmor=unconfined", "--volume", "/sys/fs/cgroup/systemd:/sys/fs/cgroup/systemd"]
    return [*options, "--privileged", "--cgroupns", "private"]


class Machine(Container):
    """A Debian that systemd has booted, with the package installed and a provider beside it."""

    def __init__(self, image: str):
        super().__init__(image, options=what_systemd_needs(), base=[])
        wait_until(lambda: self.execute("systemctl", "is-system-running", status=None).stdout.strip() == "running",
                   "systemd is up")
        self.execute("/usr/bin/weir", "simulate", "--listen", PROVIDER, options=["--detach"])

    def systemctl(self, *arguments: str, status: int = 0) -> str:
        return self.execute("systemctl", *arguments, status=status).stdout

    def show(self, field: str) -> str:
        return self.systemctl("show", "--value", "--property", field, "weir").strip()

    def journal(self) -> str:
        return self.execute("journalctl", "--no-pager", "--unit", "weir", "--output", "cat").stdout

    def give_provider(self):
        lines = f"WEIR_UPSTREAM=http://{PROVIDER}\\nWEIR_UPSTREAM_API_KEY=sk-of-the-provider\\n"
        self.execute("sh", "-c", f"printf '{lines}' >/etc/weir/environment")

    def inside(self, job):
        return in_network_of(self.state()["Pid"], job)

    def is_ready(self) -> bool:
        def job():
            try:
                return httpx.get("http://127.0.0.1:8081/readyz", trust_env=False).status_code == 200
            except httpx.TransportError:
                return False

        return self.inside(job)

    def start_weir(self):
        """systemd waits until weir says that it takes calls."""
        self.systemctl("start", "weir")
        assert self.is_ready()


@pytest.fixture
def machine(installed_image, started):
    return started(Machine(installed_image))


def test_the_service_is_exposed_to_little(report):
    done = subprocess.run(["systemd-analyze", "security", "--offline=true", "--no-pager",
                           f"--threshold={EXPOSURE_MAX * 10:.0f}", ROOT / "docker/weir.service"],
                          text=True, capture_output=True)
    exposure = float(re.search(r"Overall exposure level for weir.service: ([\d.]+)", done.stdout).group(1))
    report(f"systemd-analyze security: {exposure}")
    assert done.returncode == 0 and exposure <= EXPOSURE_MAX


def test_without_a_provider_the_service_fails_once_and_says_why(machine):
    machine.systemctl("start", "weir", status=1)
    assert machine.show("ActiveState") == "failed"
    assert machine.show("NRestarts") == "0" and machine.show("ExecMainStatus") == "2"
    assert "no upstream is configured" in machine.journal()


def test_the_service_serves_as_nobody_in_particular(machine):
    machine.give_provider()
    machine.start_weir()
    answer = machine.inside(lambda: httpx.post("http://127.0.0.1:8080/v1/chat/completions", json=HELLO,
                                               trust_env=False))
    assert answer.status_code == 200 and answer.json()["choices"]
    pid = machine.show("MainPID")
    status = dict(re.findall(r"^(\w+):\s*(.*)$", machine.execute("cat", f"/proc/{pid}/status").stdout, re.MULTILINE))
    assert "0" not in status["Uid"].split()
    assert int(status["CapEff"], 16) == 0 and status["NoNewPrivs"] == "1" and status["Seccomp"] == "2"
    assert "sk-of-the-provider" not in machine.journal()


def test_the_service_reloads_and_restarts_and_stops(machine):
    machine.give_provider()
    machine.start_weir()
    machine.systemctl("reload", "weir")
    wait_until(lambda: "configuration reloaded" in machine.journal(), "the journal says that it was reloaded")
    first = machine.show("MainPID")
    machine.systemctl("kill", "--signal", "SIGKILL", "weir")
    wait_until(lambda: machine.show("MainPID") not in ("0", first), "systemd has started it again")
    wait_until(machine.is_ready, "weir is ready again")
    machine.systemctl("stop", "weir")
    assert (machine.show("ActiveState"), machine.show("Result")) == ("inactive", "success")


def test_the_service_may_write_its_own_folder_and_nothing_else(machine):
    """With `weir` replaced by a shell of the same sandbox: what it could do if it were taken over."""
    shell = "touch /var/lib/weir/own; touch /etc/weir/other /usr/other /var/other; sleep 600"
    machine.execute("sh", "-c", "mkdir -p /etc/systemd/system/weir.service.d && printf '%s\\n' [Service] Type=exec "
                    f"ExecStart= 'ExecStart=/bin/sh -c \"{shell}\"' >/etc/systemd/system/weir.service.d/shell.conf")
    machine.systemctl("daemon-reload")
    machine.systemctl("start", "weir")
    wait_until(lambda: machine.execute("test", "-e", "/var/lib/weir/own", status=None).returncode == 0, "it has written")
    # The shell tries in order, so the rest was tried when the journal tells of the last one.
    wait_until(lambda: "/var/other" in machine.journal(), "it was refused")
    for path in ("/etc/weir/other", "/usr/other", "/var/other"):
        assert machine.execute("test", "-e", path, status=None).returncode == 1


def test_removing_the_package_stops_the_service(machine):
    machine.give_provider()
    machine.systemctl("enable", "--now", "weir")
    assert machine.is_ready()
    machine.execute("dpkg", "--purge", "weir")
    assert machine.execute("systemctl", "is-enabled", "weir", status=None).returncode != 0
    assert not machine.is_ready()


def test_the_settings_that_bound_the_stop_fit_together():
    """systemd kills after TimeoutStopSec: later than weir needs by itself."""
    unit = (ROOT / "docker/weir.service").read_text()
    shutdown = yaml.safe_load((ROOT / "config/weir.yaml").read_text())["shutdown"]
    seconds = sum(int(value.removesuffix("s")) for value in shutdown.values())
    assert int(re.search(r"^TimeoutStopSec=(\d+)$", unit, re.MULTILINE).group(1)) >= seconds + 5
