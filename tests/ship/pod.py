"""Runs a container of a Kubernetes manifest the way a kubelet does: its settings, mounts, limits and probes."""

import os
import pathlib
import secrets

import httpx
import yaml
from containers import ROOT, Container
from network import in_network_of

PER_UNIT = {"Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30}


def documents(file: str) -> list[dict]:
    return list(yaml.safe_load_all((ROOT / "docker" / file).read_text()))


def only(manifests: list[dict], kind: str) -> dict:
    (found,) = [manifest for manifest in manifests if manifest["kind"] == kind]
    return found


def pod_of(manifests: list[dict]) -> dict:
    return only(manifests, "Deployment")["spec"]["template"]["spec"]


def weir_of(pod: dict) -> dict:
    (found,) = [container for container in pod.get("initContainers", []) + pod["containers"]
                if container["name"] == "weir"]
    return found


def variables_of(container: dict) -> dict[str, str]:
    return {entry["name"]: entry["value"] for entry in container["env"]}


class Mounted:
    """A ConfigMap or Secret as a folder: files are links through ..data, and a change swaps that one link."""

    def __init__(self, folder: pathlib.Path, files: dict[str, str]):
        self.folder = folder
        folder.mkdir()
        self.swap(files)
        for name in files:
            (folder / name).symlink_to(f"..data/{name}")

    def swap(self, files: dict[str, str]):
        version = self.folder / f"..{secrets.token_hex(4)}"
        version.mkdir()
        for name, content in files.items():
            (version / name).write_text(content)
        new = self.folder / "..data_tmp"
        new.symlink_to(version.name)
        os.replace(new, self.folder / "..data")


class PodContainer(Container):
    """`files` are the contents of the volumes, by volume name."""

    def __init__(self, image: str, pod: dict, spec: dict, files: dict[str, dict[str, str]], folder: pathlib.Path):
        self._spec = spec
        self.volumes = {name: Mounted(folder / name, content) for name, content in files.items()}
        super().__init__(image, *spec.get("args", []), options=[*self._options(pod), "--network", "none"], base=[])

    def _options(self, pod: dict) -> list[str]:
        context, limits = self._spec["securityContext"], self._spec["resources"]["limits"]
        options = [f"--cpus={limits['cpu']}", f"--memory={memory_bytes(limits['memory'])}"]
        if context["readOnlyRootFilesystem"]:
            options.append("--read-only")
        options += [f"--cap-drop={name}" for name in context["capabilities"]["drop"]]
        if context["allowPrivilegeEscalation"] is False:
            options.append("--security-opt=no-new-privileges")
        options += [f"--env={name}={value}" for name, value in variables_of(self._spec).items()]
        declared = {volume["name"] for volume in pod["volumes"]}
        for mount in self._spec["volumeMounts"]:
            assert mount["name"] in declared, f"no volume is called {mount['name']}"
            options.append(f"--volume={self.volumes[mount['name']].folder}:{mount['mountPath']}:ro")
        return options

    def inside(self, job):
        return in_network_of(self.state()["Pid"], job)

    def port(self, port: int | str) -> int:
        return port if isinstance(port, int) else next(
            entry["containerPort"] for entry in self._spec["ports"] if entry["name"] == port)

    def probe(self, name: str) -> bool:
        """Whether startupProbe, readinessProbe or livenessProbe succeeds now."""
        probe = self._spec[name]
        if "exec" in probe:
            return self.execute(*probe["exec"]["command"], status=None).returncode == 0
        get = probe["httpGet"]
        url = f"http://127.0.0.1:{self.port(get['port'])}{get['path']}"

        def job():
            try:
                return 200 <= httpx.get(url, trust_env=False).status_code < 400
            except httpx.TransportError:
                return False

        return self.inside(job)


def memory_bytes(text: str) -> int:
    return int(text[:-2]) * PER_UNIT[text[-2:]]


def neighbour(image: str, container: Container, *command: str) -> Container:
    """Another container in the same pod."""
    return Container(image, *command, options=["--network", f"container:{container.name}"], base=[])
