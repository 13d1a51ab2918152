"""weir as a process of its machine: certificates, proxies, descriptors, memory, logs, providers of its environment."""

import contextlib
import os
import resource
import shutil
import socket
import ssl
import subprocess
import threading
import time

import httpx
import openai
import pytest
from conftest import MODEL
from harness import WAIT_SECONDS_MAX, ScriptedServer, Weir, pump, wait_until

HELLO = [{"role": "user", "content": "Hello"}]
MIB = 1 << 20


# --- Certificates ----------------------------------------------------------------------------------------------------


def write_certificate(folder, name: str):
    """A new certificate of localhost that signs itself, and its key."""
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                    "-keyout", folder / f"{name}.key", "-out", folder / f"{name}.pem", "-days", "2",
                    "-subj", f"/CN={name}", "-addext", "subjectAltName=DNS:localhost,DNS:provider.test"],
                   check=True, capture_output=True)


def shown_certificate(port: int) -> str:
    with socket.create_connection(("127.0.0.1", port), WAIT_SECONDS_MAX) as connection:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with context.wrap_socket(connection) as secured:
            return ssl.DER_cert_to_PEM_cert(secured.getpeercert(binary_form=True))


def test_a_renewed_certificate_is_shown_after_a_reload(simulator, tmp_path):
    for name in ("old", "new"):
        write_certificate(tmp_path, name)

    def install(name: str):
        for kind in ("pem", "key"):
            shutil.copy(tmp_path / f"{name}.{kind}", tmp_path / f"server.{kind}")

    install("old")
    server = Weir(settings={
        "clients": {"tls": {"certificate": str(tmp_path / "server.pem"), "key": str(tmp_path / "server.key")}},
        "upstreams": [{"name": "simulated", "base_url": simulator.origin + "/v1"}],
    })
    trust = ssl.create_default_context(cafile=str(tmp_path / "old.pem"))
    base_url = f"https://localhost:{server.port}/v1"
    with httpx.Client(verify=trust, trust_env=False) as wire, \
            openai.OpenAI(base_url=base_url, api_key="sk-story", max_retries=0, http_client=wire) as client:
        client.chat.completions.create(model=MODEL, messages=HELLO)
        install("new")
        assert shown_certificate(server.port) == (tmp_path / "old.pem").read_text()
        assert httpx.post(server.operator_origin + "/weir/reload", trust_env=False).status_code == 200
        # Workers learn of it by a message each.
        wait_until(lambda: shown_certificate(server.port) == (tmp_path / "new.pem").read_text(), "it shows the new one")
        client.chat.completions.create(model=MODEL, messages=HELLO)  # on the connection of before
    server.stop()


# --- The proxy of the environment -----------------------------------------------------------------------------------


class TunnelProxy(ScriptedServer):
    """An HTTP proxy that takes CONNECT to any name and leads to `port` here; remembers what it was asked."""

    class Handler(ScriptedServer.Handler):
        def do_CONNECT(self):
            self.server.asked.append((self.path, self.headers.get("proxy-authorization", "")))
            with socket.create_connection(("127.0.0.1", self.server.target)) as far:
                self.send_head()
                back = threading.Thread(target=pump, args=(far, self.connection), daemon=True)
                back.start()
                pump(self.connection, far)
                back.join()
            self.close_connection = True

    def __init__(self, port: int):
        self.target = port
        self.asked: list[tuple[str, str]] = []  # target, credentials
        super().__init__()


def test_an_https_upstream_is_reached_through_the_proxy_of_the_environment(simulator, tmp_path):
    write_certificate(tmp_path, "provider")
    # The provider: another weir, with TLS, before the simulated one.
    far = Weir(settings={
        "clients": {"tls": {"certificate": str(tmp_path / "provider.pem"), "key": str(tmp_path / "provider.key")}},
        "upstreams": [{"name": "simulated", "base_url": simulator.origin + "/v1"}],
    })
    proxy = TunnelProxy(far.port)
    account = {"name": "far", "base_url": "https://provider.test/v1", "ca_file": str(tmp_path / "provider.pem")}
    near = Weir(settings={"upstreams": [account]}, environment={"HTTPS_PROXY": f"http://user:pass@{proxy.address}"})
    with openai.OpenAI(base_url=near.base_url, api_key="sk-story", max_retries=0) as client:
        for _ in range(2):
            assert client.chat.completions.create(model=MODEL, messages=HELLO).choices[0].message.content
    # One tunnel for both calls.
    assert proxy.asked == [("provider.test:443", "Basic dXNlcjpwYXNz")]
    near.stop()
    far.stop()
    proxy.close()


# --- Descriptors -----------------------------------------------------------------------------------------------------


def test_the_soft_limit_of_descriptors_is_raised_to_the_hard_one(simulator):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    try:
        server = Weir("--upstream", simulator.origin)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert resource.prlimit(server.pid, resource.RLIMIT_NOFILE) == (hard, hard)
    server.stop()


def test_operators_get_in_when_clients_have_all_connections(simulator):
    server = Weir("--workers", "1", settings={
        "limits": {"connections_max": 2},
        "upstreams": [{"name": "simulated", "base_url": simulator.origin + "/v1"}],
    })
    clients = [socket.create_connection(("127.0.0.1", server.port), WAIT_SECONDS_MAX) for _ in range(3)]
    assert clients[2].recv(1) == b"", "one more than there may be"
    for _ in range(3):
        assert httpx.get(server.operator_origin + "/weir/queue", trust_env=False).status_code == 200
    for client in clients:
        client.close()
    server.stop()


# --- Memory ----------------------------------------------------------------------------------------------------------


class EndlessProvider(ScriptedServer):
    """Streams `size` bytes of events as fast as they are taken."""

    EVENT = b'data: {"choices":[{"index":0,"delta":{"content":"' + b"x" * 950 + b'"}}]}\n\n'
    BLOCK = EVENT * 64

    class Handler(ScriptedServer.Handler):
        def do_POST(self):
            provider = self.server
            self.read_body()
            self.send_head(content_type="text/event-stream", connection="close")
            with contextlib.suppress(OSError):
                while provider.sent < provider.size:
                    self.wfile.write(provider.BLOCK)
                    provider.sent += len(provider.BLOCK)
                self.wfile.write(b"data: [DONE]\n\n")
            self.close_connection = True

    def __init__(self, size: int):
        self.size = size
        self.sent = 0
        super().__init__()


def resident(pid: int) -> int:
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmRSS:"))


@pytest.fixture
def endless():
    provider = EndlessProvider(128 * MIB)
    # Of sanitized builds, only what weir itself holds is of interest.
    options = os.environ.get("ASAN_OPTIONS", "")
    server = Weir("--upstream", provider.base_url, environment={"ASAN_OPTIONS": options + ":quarantine_size_mb=1"})
    yield provider, server
    server.stop()
    provider.close()


def open_stream(server: Weir):
    call = {"model": MODEL, "messages": HELLO, "stream": True}
    return httpx.stream("POST", server.base_url + "/chat/completions", json=call, timeout=60, trust_env=False)


def test_memory_is_the_same_however_long_a_stream_is(endless):
    provider, server = endless
    read, early = 0, 0
    with open_stream(server) as stream:
        for data in stream.iter_raw():
            read += len(data)
            if not early and read > 8 * MIB:
                early = resident(server.pid)
        assert resident(server.pid) < early + 8 * MIB
    assert read >= provider.sent == 128 * MIB // len(provider.BLOCK) * len(provider.BLOCK) + len(provider.BLOCK)


def test_a_client_that_reads_slowly_slows_the_provider(endless):
    provider, server = endless
    with open_stream(server) as stream:
        data = stream.iter_raw()
        next(data)

        def settled():
            before = provider.sent
            time.sleep(0.3)
            return provider.sent == before

        wait_until(settled, "the provider waits")
        # What stands in the sockets' buffers on both sides; weir itself holds less than a MiB.
        assert provider.sent < 32 * MIB
        assert sum(map(len, data)) > 120 * MIB
    assert provider.sent > 127 * MIB


# --- Logs ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["text", "json"])
def test_no_log_holds_a_prompt_an_answer_or_a_secret(simulator, form):
    server = Weir(settings={
        "log": {"level": "trace", "format": form},
        "upstreams": [{"name": "simulated", "base_url": simulator.origin + "/v1", "api_key": "sk-of-the-provider"}],
    })
    client = openai.OpenAI(base_url=server.base_url, api_key="sk-of-the-client", max_retries=0)
    prompt = [{"role": "user", "content": "a word that nobody else may read: Rhabarber"}]
    with client:
        said = client.chat.completions.create(model=MODEL, messages=prompt).choices[0].message.content
        for _ in client.chat.completions.create(model=MODEL, messages=prompt, stream=True):
            pass
        client.embeddings.create(model="text-embedding-3-small", input="Rhabarber")
        with pytest.raises(openai.BadRequestError):  # weir's own answers quote no value either
            client.post("/chat/completions", body={"model": MODEL, "messages": "Rhabarber"}, cast_to=object)
        with pytest.raises(openai.InternalServerError):
            client.chat.completions.create(model=MODEL, messages=prompt,
                                           extra_headers={"x-sim-status": "500"})
    server.stop()
    log = server.log()
    assert log.count("/v1/chat/completions") == 4 and log.count("/v1/embeddings") == 1, log
    assert len(said) > 20
    for secret in ("Rhabarber", said[:20], "sk-of-the-provider", "sk-of-the-client"):
        assert secret not in log


# --- Providers of the environment ------------------------------------------------------------------------------------


def test_the_providers_whose_keys_are_in_the_environment_are_used_and_listed():
    keys = {"DEEPSEEK_API_KEY": "sk-one", "OPENAI_API_KEY": "sk-two", "ARK_API_KEY": "sk-three"}
    server = Weir("--config", "config/weir.yaml", environment=keys)
    log = wait_until(lambda: " listens on " in (said := server.log()) and said, "weir says that it listens")
    for name in ("deepseek", "openai", "volcengine-ark"):
        assert name in log, log
    assert not [secret for secret in keys.values() if secret in log]
    models = {model["id"] for model in httpx.get(server.base_url + "/models", trust_env=False).json()["data"]}
    assert {"deepseek-chat", "deepseek-r1-250528"} <= models, models
    server.stop()
