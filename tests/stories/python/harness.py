"""Starts what the stories talk to: weir, its simulated provider, one that holds its streams, and a relay that counts.

Processes listen on free ports of 127.0.0.1, start with an environment free of settings, and must end with status 0
when told to: a sanitizer's report or a crash at shutdown fails the story that started them.
"""

import contextlib
import http.server
import json
import os
import pathlib
import signal
import socket
import subprocess
import tempfile
import threading
import time

import httpx

ROOT = pathlib.Path(__file__).resolve().parents[3]
NAMED_BINARY = os.environ.get("WEIR_BIN")  # read here: each story runs in an environment without it
START_SECONDS_MAX = 60  # a sanitized binary on a busy machine
WAIT_SECONDS_MAX = 30   # for something that a test expects to happen


def weir_binary() -> str:
    for candidate in [NAMED_BINARY] if NAMED_BINARY else [ROOT / "build/dev/weir", ROOT / "build/release/weir"]:
        if os.access(candidate, os.X_OK):
            return str(candidate)
    raise RuntimeError("no weir binary: build one with ./dev build, or name one in WEIR_BIN")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def clean_environment() -> dict[str, str]:
    """The environment without what would change how weir or an SDK behaves; sanitizers keep their options."""
    prefixes = ("WEIR_", "OPENAI_", "ANTHROPIC_", "LANGCHAIN_", "LANGSMITH_", "DEEPSEEK_", "ARK_")
    proxies = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(prefixes) and name.upper() not in proxies
    }


def wait_until(condition, what: str, seconds: float = WAIT_SECONDS_MAX):
    """Polls until condition() is true and returns its value. The limit only bounds how long a failure takes."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, f"waited in vain until {what}"
        time.sleep(0.02)
    return value


class Process:
    """One weir process: `weir VERB FLAGS...`, ready once `probe` answers 200."""

    def __init__(self, verb: str, flags: list[str], port: int, probe: str, environment: dict[str, str] | None = None):
        """`probe`: a path, or a whole URL where the port does not speak plain HTTP."""
        self.port = port
        self.origin = f"http://127.0.0.1:{port}"
        self._log = tempfile.TemporaryFile()
        self._process = subprocess.Popen(
            [weir_binary(), verb, *flags],
            cwd=ROOT,
            env=clean_environment() | (environment or {}),
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
        )
        self._wait_until_ready(self.origin + probe if probe.startswith("/") else probe)

    @property
    def pid(self) -> int:
        return self._process.pid

    def log(self) -> str:
        self._log.seek(0)
        return self._log.read().decode(errors="replace")

    def _wait_until_ready(self, probe: str):
        def ready():
            assert self._process.poll() is None, f"{self._process.args} ended at start:\n{self.log()}"
            with contextlib.suppress(httpx.TransportError):
                return httpx.get(probe, trust_env=False).status_code == 200

        try:
            wait_until(ready, f"{self._process.args} is ready", START_SECONDS_MAX)
        except AssertionError:
            self._process.kill()
            raise

    def send_signal(self, number: signal.Signals):
        self._process.send_signal(number)

    def stop(self):
        self.send_signal(signal.SIGTERM)
        self.wait_until_ended()

    def wait_until_ended(self):
        try:
            status = self._process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            status = "none within 60 s of the signal"
        assert status == 0, f"{self._process.args} ended with status {status}:\n{self.log()}"


class Simulator(Process):
    """`weir simulate`, as fast as it can be unless a request's x-sim-... headers say otherwise."""

    def __init__(self, *flags: str):
        port = free_port()
        fast = ["--listen", f"127.0.0.1:{port}", "--tokens-per-second", "0"]
        super().__init__("simulate", [*fast, *flags], port, "/__stats")

    def stats(self) -> dict:
        return httpx.get(self.origin + "/__stats", trust_env=False).json()

    def disconnects(self) -> int:
        """How often a client left before its answer was complete."""
        return self.stats()["client_disconnects"]


class Weir(Process):
    """`weir serve` on free ports; `settings` is what stands in its configuration file, none without it."""

    def __init__(self, *flags: str, settings: dict | None = None, environment: dict[str, str] | None = None):
        port, operator_port = free_port(), free_port()
        self.operator_origin = f"http://127.0.0.1:{operator_port}"
        begin = ["--listen", f"127.0.0.1:{port}", "--operator-listen", f"127.0.0.1:{operator_port}"]
        if settings is not None:
            self._file = tempfile.NamedTemporaryFile(suffix=".yaml")
            self.write_settings(settings)
            begin += ["--config", self._file.name]
        super().__init__("serve", [*begin, *flags], port, self.operator_origin + "/healthz", environment)
        # The lines of the start come a moment after the first answer: the log has a writer of its own.
        wait_until(lambda: " listens on " in self.log(), "weir says where it listens")

    def write_settings(self, settings: dict):
        """Into its file; a reload takes them."""
        pathlib.Path(self._file.name).write_text(json.dumps(settings))  # JSON is YAML

    @property
    def base_url(self) -> str:
        return self.origin + "/v1"


def run_weir(*arguments: str, stdin: str = "") -> str:
    """A subcommand that answers and ends: its standard output."""
    done = subprocess.run(
        [weir_binary(), *arguments],
        cwd=ROOT,
        env=clean_environment(),
        input=stdin,
        text=True,
        capture_output=True,
        timeout=60,
    )
    assert done.returncode == 0, f"{done.args}: {done.stderr}"
    return done.stdout


def pump(source: socket.socket, sink: socket.socket):
    """Passes on what comes, and then that nothing comes any more."""
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)


class CountingRelay:
    """A TCP relay to `port` that counts the connections it accepted: what an SDK really opens, whatever it says."""

    def __init__(self, port: int):
        self.connections = 0
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.origin = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):  # closed: the test is over
            while True:
                near, _ = self._listener.accept()
                self.connections += 1
                far = socket.create_connection(("127.0.0.1", self._target))
                for ends in ((near, far), (far, near)):
                    threading.Thread(target=pump, args=ends, daemon=True).start()

    def close(self):
        self._listener.close()


class ScriptedServer(http.server.ThreadingHTTPServer):
    """An HTTP server on a free port and threads of its own, whose answers a story writes: as a `Handler` in a subclass,
    which finds what it needs to know in `self.server`."""

    daemon_threads = True

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def read_body(self) -> bytes:
            return self.rfile.read(int(self.headers["content-length"]))

        def send_head(self, **fields: str):
            self.send_response(200)
            for name, value in fields.items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()

        def log_message(self, *_):
            pass

    def __init__(self):
        super().__init__(("127.0.0.1", 0), self.Handler)
        self.address = f"127.0.0.1:{self.server_port}"
        self.base_url = f"http://{self.address}/v1"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def close(self):
        self.shutdown()
        self.server_close()


class HeldProvider(ScriptedServer):
    """A provider whose streams begin at once and end when the story says so."""

    class Handler(ScriptedServer.Handler):
        def do_POST(self):
            if json.loads(self.read_body()).get("stream"):
                self.send_head(content_type="text/event-stream", transfer_encoding="chunked")
                with contextlib.suppress(OSError):  # weir may have left: that is for the story to notice
                    self.event(self.part({"content": "before "}))
                    self.server.go_on.wait(WAIT_SECONDS_MAX)
                    self.event(self.part({"content": "after"}))
                    self.event(self.part({}, "stop"))
                    self.event("[DONE]")
                    self.wfile.write(b"0\r\n\r\n")
            else:
                message = {"role": "assistant", "content": "now"}
                body = json.dumps({"id": "c", "object": "chat.completion", "created": 1, "model": "held",
                                   "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}).encode()
                self.send_head(content_type="application/json", content_length=str(len(body)))
                self.wfile.write(body)

        @staticmethod
        def part(delta: dict, finish_reason=None) -> str:
            return json.dumps({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "held",
                               "choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}]})

        def event(self, data: str):
            event = f"data: {data}\n\n".encode()
            self.wfile.write(b"%x\r\n%s\r\n" % (len(event), event))
            self.wfile.flush()

    def __init__(self):
        self.go_on = threading.Event()
        super().__init__()

    def close(self):
        self.go_on.set()
        super().close()
