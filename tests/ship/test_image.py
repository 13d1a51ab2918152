"""The container image: what is in it, and what it does when it is run the way docs/deploy.md recommends."""

import contextlib
import json
import re
import socket
import ssl
import struct
import subprocess
import threading

import httpx
import openai
import pytest
from containers import WeirContainer, docker, environment, run_once
from harness import free_port, wait_until

MODEL = "deepseek-chat"
HELLO = [{"role": "user", "content": "Hello"}]
IMAGE_BYTES_MAX = 30_000_000


def text_of(chunk) -> str:
    return "".join(choice.delta.content or "" for choice in chunk.choices)


@pytest.fixture(scope="module")
def weir(image, simulator):
    server = WeirContainer(image, WEIR_UPSTREAM=simulator.origin)
    yield server
    server.remove()


def inspect_image(image: str) -> dict:
    return json.loads(docker("image", "inspect", image).stdout)[0]


def test_it_is_small(image, report):
    size = inspect_image(image)["Size"]
    report(f"image: {size / 1e6:.1f} MB")
    assert size <= IMAGE_BYTES_MAX


def test_it_says_how_it_wants_to_be_run(image):
    config = inspect_image(image)["Config"]
    assert config["User"] == "65532:65532"  # a number: kubernetes checks runAsNonRoot by it
    assert config["StopSignal"] == "SIGTERM"
    assert config["Entrypoint"] == ["/usr/bin/weir"] and config["Cmd"] == ["serve"]
    assert config["Healthcheck"]["Test"] == ["CMD", "/usr/bin/weir", "health"]
    assert set(config["ExposedPorts"]) == {"8080/tcp", "8081/tcp"}


def test_it_has_no_shell(image):
    done = docker("run", "--rm", "--entrypoint", "/bin/sh", image, "-c", "true", status=127)
    assert "no such file" in done.stderr


def test_the_process_is_nobody_and_may_do_nothing(weir):
    status = dict(re.findall(r"^(\w+):\s*(.*)$", open(f"/proc/{weir.state()['Pid']}/status").read(), re.MULTILINE))
    assert set(status["Uid"].split()) == {"65532"} and set(status["Gid"].split()) == {"65532"}
    assert [int(status[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")] == [0] * 5
    assert status["NoNewPrivs"] == "1"


def test_without_any_setting_it_is_reachable_from_outside_its_container(image):
    done = run_once(image, "check", options=environment(WEIR_UPSTREAM="https://api.deepseek.com"))
    assert "0.0.0.0:8080" in done.stdout and "127.0.0.1:8081" in done.stdout


def test_plain_calls_pass(weir, client):
    answer = client(weir.base_url).chat.completions.create(model=MODEL, messages=HELLO, max_tokens=7)
    assert answer.usage.completion_tokens == 7
    assert len(answer.choices[0].message.content.split()) == 7


def test_streamed_calls_pass(weir, client):
    stream = client(weir.base_url).chat.completions.create(
        model=MODEL, messages=[{"role": "user", "content": "echo: à bientôt 🙂"}], stream=True)
    chunks = list(stream)
    assert "".join(map(text_of, chunks)) == "à bientôt 🙂"
    assert chunks[-1].choices[0].finish_reason == "stop"


def test_the_engine_sees_that_it_is_healthy(image, simulator, started):
    server = started(WeirContainer(image, options=["--health-interval", "1s"], WEIR_UPSTREAM=simulator.origin))
    wait_until(lambda: server.state()["Health"]["Status"] == "healthy", "the container is healthy")


def test_health_says_why_not(weir):
    assert weir.execute("/usr/bin/weir", "health").stderr == ""
    nowhere = environment(WEIR_OPERATOR_LISTEN=f"127.0.0.1:{free_port()}")
    done = weir.execute("/usr/bin/weir", "health", options=nowhere, status=1)
    assert "nobody answers" in done.stderr


def test_a_stop_lets_a_stream_finish(image, held_provider, started, client):
    server = started(WeirContainer(image, WEIR_UPSTREAM=held_provider.base_url))
    stream = iter(client(server.base_url).chat.completions.create(model=MODEL, messages=HELLO, stream=True))
    assert text_of(next(stream)) == "before "
    with server.stop_in_background(seconds=30):
        wait_until(lambda: not accepts(server.port), "weir takes no new connections")
        held_provider.go_on.set()
        assert "".join(map(text_of, stream)) == "after"
    assert server.exit_status() == 0


def accepts(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5):
        return True
    return False


def test_a_bad_configuration_ends_it_with_status_2_and_the_place(image, tmp_path):
    file = tmp_path / "weir.yaml"
    file.write_text("version: 1\nqueue:\n  wait_mx: 5s\n")
    done = run_once(image, options=["--volume", f"{file}:/etc/weir/weir.yaml:ro"], status=2)
    assert done.stderr == "/etc/weir/weir.yaml:3:3: queue.wait_mx: unknown key (did you mean 'wait_max'?)\n"


def test_a_provider_key_is_not_given_to_everybody(image):
    """The default configuration listens beyond loopback: without keys for callers, weir does not start."""
    options = environment(WEIR_UPSTREAM="https://api.deepseek.com", WEIR_UPSTREAM_API_KEY="sk-secret")
    done = run_once(image, options=options, status=2)
    assert "weir new-key" in done.stderr and "WEIR_CLIENTS_OPEN=anywhere" in done.stderr
    assert "sk-secret" not in done.stderr


def test_a_key_comes_out_of_a_secret_file(image, simulator, started, client, tmp_path):
    secret = tmp_path / "key"
    secret.write_text("sk-of-the-provider\n")
    secret.chmod(0o444)
    server = started(WeirContainer(image, options=["--volume", f"{secret}:/run/secrets/key:ro"],
                                   WEIR_UPSTREAM=simulator.origin, WEIR_UPSTREAM_API_KEY_FILE="/run/secrets/key"))
    client(server.base_url, "any").chat.completions.create(model=MODEL, messages=HELLO)
    seen = httpx.get(simulator.origin + "/__last", trust_env=False).json()
    assert "Bearer sk-of-the-provider" in json.dumps(seen["headers"])


def test_the_log_knows_the_time_zone(image, simulator, started):
    server = started(WeirContainer(image, WEIR_UPSTREAM=simulator.origin, TZ="Asia/Kolkata"))
    first = json.loads(server.log().splitlines()[0])
    assert first["time"].endswith("+05:30")


class NameServer:
    """Answers every question for an address of host names with 127.0.0.1, by DNS over UDP."""

    def __init__(self, address: str):
        self.asked = []
        self._socket = socket.socket(type=socket.SOCK_DGRAM)
        self._socket.bind((address, 53))
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        with contextlib.suppress(OSError):  # closed: the test is over
            while True:
                question, sender = self._socket.recvfrom(4096)
                name_end = question.index(b"\0", 12) + 1
                (kind,) = struct.unpack(">H", question[name_end:name_end + 2])
                self.asked.append(question[12:name_end])
                answers = [b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, 60, 4) + b"\x7f\0\0\1"] if kind == 1 else []
                head = question[:2] + struct.pack(">HHHHH", 0x8180, 1, len(answers), 0, 0)
                self._socket.sendto(head + question[12:name_end + 4] + b"".join(answers), sender)

    def close(self):
        self._socket.close()


@pytest.fixture
def name_server(tmp_path):
    """A name server on a loopback address of its own, and the resolv.conf that leads to it."""
    server = NameServer("127.0.0.77")
    server.resolv_conf = tmp_path / "resolv.conf"
    server.resolv_conf.write_text("nameserver 127.0.0.77\n")
    yield server
    server.close()


def test_names_are_looked_up_by_dns(image, simulator, name_server, started, client):
    port = simulator.origin.rsplit(":", 1)[1]
    server = started(WeirContainer(image, options=["--volume", f"{name_server.resolv_conf}:/etc/resolv.conf:ro"],
                                   WEIR_UPSTREAM=f"http://provider.example:{port}"))
    answer = client(server.base_url).chat.completions.create(model=MODEL, messages=HELLO, max_tokens=1)
    assert answer.usage.completion_tokens == 1
    assert b"\x08provider\x07example\0" in name_server.asked


def test_authorities_are_those_of_the_usual_bundle(image, started, client, tmp_path):
    """An upstream whose certificate is signed by nobody of the bundle is refused; by somebody in it, served."""
    certificate = tmp_path / "cert.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                    "-days", "2", "-keyout", tmp_path / "key.pem", "-out", certificate, "-subj", "/CN=localhost",
                    "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"], check=True, capture_output=True)
    certificate.chmod(0o444)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, tmp_path / "key.pem")
    listener = socket.create_server(("127.0.0.1", 0))
    upstream = f"https://127.0.0.1:{listener.getsockname()[1]}"

    def serve():
        with contextlib.suppress(OSError):  # closed: the test is over
            while True:
                near, _ = listener.accept()
                with contextlib.suppress(OSError), context.wrap_socket(near, server_side=True) as stream:
                    stream.recv(65536)
                    body = b'{"error": {"message": "reached", "code": "reached"}}'
                    stream.sendall(b"HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\n"
                                   b"content-length: %d\r\n\r\n%s" % (len(body), body))

    threading.Thread(target=serve, daemon=True).start()
    stranger = started(WeirContainer(image, WEIR_UPSTREAM=upstream))
    with pytest.raises(openai.APIStatusError) as caught:
        client(stranger.base_url).chat.completions.create(model=MODEL, messages=HELLO)
    assert caught.value.code == "weir_upstream_tls"
    friend = started(WeirContainer(image, WEIR_UPSTREAM=upstream, options=[
        "--volume", f"{certificate}:/etc/ssl/certs/ca-certificates.crt:ro"]))
    with pytest.raises(openai.APIStatusError) as caught:
        client(friend.base_url).chat.completions.create(model=MODEL, messages=HELLO)
    assert caught.value.code == "reached"
    listener.close()


def test_the_other_commands_work_too(image):
    assert run_once(image, "version").stdout.startswith("weir ")
    assert "hash:" in run_once(image, "new-key", "--name", "alice").stdout


def test_a_second_container_on_the_same_address_says_so(image, weir):
    options = environment(WEIR_LISTEN=f"127.0.0.1:{weir.port}", WEIR_UPSTREAM="http://127.0.0.1:1")
    done = run_once(image, options=options, status=1)
    assert "choose another address with --listen (WEIR_LISTEN)" in done.stderr
