"""The programs of the bench: weir, nginx and HAProxy with their configurations, the upstream, and TLS put around them."""

import contextlib
import glob
import hashlib
import json
import os
import pathlib
import signal
import socket
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
WEIR = os.environ.pop("WEIR_BIN", str(ROOT / "build/release/weir"))  # taken out: weir would warn of it
BUILD = pathlib.Path(os.environ.get("BENCH_BUILD", str(ROOT / "build/release")))
KEY = "weir-bench-key"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until_open(port: int, seconds: float = 20):
    end = time.monotonic() + seconds
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        if time.monotonic() > end:
            raise RuntimeError(f"nothing listens on port {port}")
        time.sleep(0.005)


class Program:
    def __init__(self, command: list[str], port: int, **options):
        self.port = port
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **options)
        wait_until_open(port)

    @property
    def pid(self) -> int:
        return self._process.pid

    def pids(self) -> list[int]:
        children = pathlib.Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        return [self.pid, *map(int, children)]

    def cpu_seconds(self) -> float:
        files = [name for pid in self.pids() for name in glob.glob(f"/proc/{pid}/task/*/schedstat")]
        return sum(int(pathlib.Path(name).read_text().split()[0]) for name in files) / 1e9

    def resident_kib(self) -> int:
        lines = [line for pid in self.pids() for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()]
        return sum(int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))

    def stop(self):
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def start_origin(*arguments: float) -> Program:
    port = free_port()
    return Program([str(BUILD / "proxy_origin"), str(port), *map(str, arguments)], port)


# Streams that wait ask for more descriptors than most shells have.
NGINX = """
daemon off; worker_processes 1; worker_rlimit_nofile 20000; pid {folder}/nginx.pid; error_log /dev/null crit;
events {{ worker_connections 19900; }}
http {{
  access_log {access_log}; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  client_max_body_size 64m; client_body_buffer_size 2m; keepalive_requests 100000000; tcp_nodelay on;
  upstream origin {{ server 127.0.0.1:{origin}; keepalive 512; keepalive_requests 100000000; }}
  server {{
    listen 127.0.0.1:{port} {tls} backlog=4096; {certificate}
    location / {{ proxy_pass {scheme}://origin; proxy_http_version 1.1; proxy_set_header Connection "";
                 proxy_buffering off; proxy_request_buffering off; proxy_read_timeout 600s; }}
  }}
}}
"""

HAPROXY = """
global
  nbthread 1
  maxconn 9500
  tune.bufsize 16384
defaults
  mode http
  timeout connect 5s
  timeout client 600s
  timeout server 600s
  http-reuse always
  option http-no-delay
frontend clients
  bind 127.0.0.1:{port} backlog 4096 {bind}
  default_backend origin
backend origin
  server origin 127.0.0.1:{origin} pool-max-conn 512 maxconn 9500 {server}
"""

# Plain TCP on one side, TLS on the other; every connection shakes hands in full.
TLS_END = """
global
  nbthread 1
  maxconn 9500
defaults
  mode tcp
  timeout connect 5s
  timeout client 600s
  timeout server 600s
"""


def make_certificate(folder: pathlib.Path) -> pathlib.Path:
    """A key and a certificate of its own for 127.0.0.1, in one file."""
    both = folder / "both.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                    "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(folder / "key.pem"),
                    "-out", str(folder / "certificate.pem")], check=True, capture_output=True)
    both.write_text((folder / "certificate.pem").read_text() + (folder / "key.pem").read_text())
    return both


def start_nginx(origin: int, folder: pathlib.Path, access_log: str = "off",
                certificate: pathlib.Path | None = None) -> Program:
    port = free_port()
    own = folder / f"nginx-{port}"
    own.mkdir()
    tls = {"tls": "", "certificate": "", "scheme": "http"}
    if certificate:
        tls = {"tls": "ssl", "certificate": f"ssl_certificate {certificate}; ssl_certificate_key {certificate};",
               "scheme": "https"}
    (own / "nginx.conf").write_text(NGINX.format(folder=own, origin=origin, port=port, access_log=access_log, **tls))
    return Program(["nginx", "-p", str(own), "-c", "nginx.conf"], port)


def start_haproxy(origin: int, folder: pathlib.Path, certificate: pathlib.Path | None = None) -> Program:
    port = free_port()
    config = folder / f"haproxy-{port}.cfg"
    tls = {"bind": f"ssl crt {certificate}", "server": "ssl verify none"} if certificate else {"bind": "", "server": ""}
    config.write_text(HAPROXY.format(origin=origin, port=port, **tls))
    return Program(["haproxy", "-db", "-f", str(config)], port)


def start_tls_end(folder: pathlib.Path, certificate: pathlib.Path, decrypt: dict[int, int],
                  encrypt: dict[int, int]) -> Program:
    """TLS taken off (`decrypt`: port with TLS to port without) or put on (`encrypt`: the other way round)."""
    config = folder / f"tls-{free_port()}.cfg"
    text = TLS_END
    for kind, ports in (("bind", decrypt), ("server", encrypt)):
        for port, target in ports.items():
            bind, server = (f"ssl crt {certificate}", "") if kind == "bind" else ("", "ssl verify none no-ssl-reuse")
            text += f"listen port{port}\n  bind 127.0.0.1:{port} backlog 4096 {bind}\n  server s 127.0.0.1:{target} {server}\n"
    config.write_text(text)
    return Program(["haproxy", "-db", "-f", str(config)], next(iter({**decrypt, **encrypt})))


def weir_config(origin_url: str, **top: object) -> dict:
    """Keys, budgets at every scope and the queue are on; the limits do not bite."""
    limits = {"rpm": 100_000_000, "tpm": 1_000_000_000_000, "concurrency": 100_000}
    return {
        "clients": {"mode": "keys"},
        "upstreams": [{"name": "origin", "provider": "generic", "base_url": origin_url, "api_key": "sk-bench",
                       "limits": limits}],
        "teams": {"bench": {"limits": limits}},
        "keys": [{"name": "bench", "hash": "sha256:" + hashlib.sha256(KEY.encode()).hexdigest(), "team": "bench",
                  "limits": limits}],
        "start_guard": "0s",
        "log": {"format": "json"},
        **top,
    }


def start_weir(origin: int, folder: pathlib.Path, workers: int = 1,
               certificate: pathlib.Path | None = None) -> Program:
    port = free_port()
    config = folder / f"weir-{port}.yaml"
    settings = weir_config(f"{'https' if certificate else 'http'}://127.0.0.1:{origin}/v1")
    if certificate:
        settings["clients"]["tls"] = {"certificate": str(certificate), "key": str(certificate)}
        settings["upstreams"][0]["verify_tls"] = False
    config.write_text(json.dumps(settings))
    return Program([WEIR, "serve", "--config", str(config), "--listen", f"127.0.0.1:{port}", "--operator-listen",
                    f"127.0.0.1:{free_port()}", "--workers", str(workers)], port)


class Direct:
    """No proxy at all."""

    def __init__(self, port: int):
        self.port = port

    @staticmethod
    def cpu_seconds() -> float:
        return 0


class Behind:
    """A program that is reached through another port."""

    def __init__(self, program: Program, port: int):
        self.port = port
        self.cpu_seconds = program.cpu_seconds


def load(proxy: Program | Direct | Behind, *arguments: object) -> dict:
    """One run of the clients, with the CPU that the proxy used meanwhile."""
    before = proxy.cpu_seconds()
    command = [str(BUILD / "proxy_load"), str(proxy.port), *map(str, arguments)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    result = json.loads(done.stdout)
    if result["refused"] or not result["answers"] + result["events"]:
        raise RuntimeError(f"{command}: {result}")
    used = proxy.cpu_seconds() - before
    result["cpu_us_per_answer"] = used * 1e6 / max(1, result["answers"])
    result["cpu_us_per_event"] = used * 1e6 / max(1, result["events"])
    return result
