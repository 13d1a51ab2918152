"""weir beside nginx and HAProxy, one worker each, before the same upstream: CPU, latency and memory as ratios of one run.

    ./dev bench proxy [--rounds N] [--seconds S] [--only NAME,...] [--write FILE]

CPU is what the kernel charged the proxy's own threads (/proc/PID/task/*/schedstat); weir's includes its log. Proxies take
turns within a round, so that what else the machine does falls on all of them; medians of the rounds are shown.
"""

import argparse
import contextlib
import glob
import hashlib
import json
import os
import pathlib
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
WEIR = os.environ.get("WEIR_BIN", str(ROOT / "build/release/weir"))
BUILD = ROOT / "build/release"
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
    listen 127.0.0.1:{port} backlog=4096;
    location / {{ proxy_pass http://origin; proxy_http_version 1.1; proxy_set_header Connection "";
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
  bind 127.0.0.1:{port} backlog 4096
  default_backend origin
backend origin
  server origin 127.0.0.1:{origin} pool-max-conn 512 maxconn 9500
"""


def start_nginx(origin: int, folder: pathlib.Path, access_log: str = "off") -> Program:
    port = free_port()
    own = folder / f"nginx-{port}"
    own.mkdir()
    (own / "nginx.conf").write_text(NGINX.format(folder=own, origin=origin, port=port, access_log=access_log))
    return Program(["nginx", "-p", str(own), "-c", "nginx.conf"], port)


def start_haproxy(origin: int, folder: pathlib.Path) -> Program:
    port = free_port()
    config = folder / f"haproxy-{port}.cfg"
    config.write_text(HAPROXY.format(origin=origin, port=port))
    return Program(["haproxy", "-db", "-f", str(config)], port)


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


def start_weir(origin: int, folder: pathlib.Path, workers: int = 1, **top: object) -> Program:
    port = free_port()
    config = folder / f"weir-{port}.yaml"
    config.write_text(json.dumps(weir_config(f"http://127.0.0.1:{origin}/v1", **top)))
    return Program([WEIR, "serve", "--config", str(config), "--listen", f"127.0.0.1:{port}", "--operator-listen",
                    f"127.0.0.1:{free_port()}", "--workers", str(workers)], port)


def load(proxy: Program, *arguments: object) -> dict:
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


class Report:
    """Rows of figures by proxy, printed as they come and kept for the document."""

    def __init__(self):
        self.lines: list[str] = []

    def say(self, line: str = ""):
        print(line, flush=True)
        self.lines.append(line)

    def table(self, title: str, names: list[str]):
        self.say(f"\n### {title}\n")
        self.say("| | " + " | ".join(names) + " | weir ÷ nginx |")
        self.say("|---|" + "---|" * (len(names) + 1))

    def row(self, label: str, figures: dict[str, list[float]]):
        cells = [f"{statistics.median(each):.1f} ({min(each):.1f}–{max(each):.1f})" for each in figures.values()]
        ratio = statistics.median(figures["weir"]) / statistics.median(figures["nginx"])
        self.say(f"| {label} | " + " | ".join(cells) + f" | **{ratio:.2f}×** |")


class Bench:
    def __init__(self, options: argparse.Namespace, folder: pathlib.Path, report: Report):
        self.options, self.folder, self.report = options, folder, report

    def start_peers(self, origin: int) -> dict[str, Program]:
        return {"nginx": start_nginx(origin, self.folder), "HAProxy": start_haproxy(origin, self.folder),
                "weir": start_weir(origin, self.folder)}

    def rounds(self, proxies: dict[str, Program], *arguments: object) -> dict[str, list[dict]]:
        for proxy in proxies.values():  # connections, caches and heaps as in a running server
            load(proxy, arguments[0], arguments[1], 0.5, *arguments[3:])
        results: dict[str, list[dict]] = {name: [] for name in proxies}
        for _ in range(self.options.rounds):
            for name, proxy in proxies.items():
                results[name].append(load(proxy, *arguments))
        return results

    @contextlib.contextmanager
    def before_origin(self, *arguments: float):
        origin = start_origin(*arguments)
        proxies = self.start_peers(origin.port)
        try:
            yield proxies
        finally:
            for program in (*proxies.values(), origin):
                program.stop()

    def pick(self, results: dict[str, list[dict]], figure: str) -> dict[str, list[float]]:
        return {name: [each[figure] for each in all_of_it] for name, all_of_it in results.items()}

    def plain(self):
        seconds = self.options.seconds
        with self.before_origin() as proxies:
            proxies["nginx, access log"] = start_nginx_logging = start_nginx(
                int(self.origin_port_of(proxies)), self.folder, "/dev/null combined buffer=32k")
            try:
                self.report.table("CPU µs per plain request, 64 connections", list(proxies))
                for size, label in ((1024, "1 KB"), (10_240, "10 KB"), (102_400, "100 KB"), (1_048_576, "1 MB")):
                    connections = 64 if size < 1_000_000 else 8
                    results = self.rounds(proxies, "plain", connections, seconds, size)
                    self.report.row(f"{label} prompt", self.pick(results, "cpu_us_per_answer"))
                results = self.rounds(proxies, "churn", 16, seconds, 1024)
                self.report.row("1 KB prompt, a connection each", self.pick(results, "cpu_us_per_answer"))
            finally:
                start_nginx_logging.stop()

    def origin_port_of(self, proxies: dict[str, Program]) -> int:
        text = (self.folder / f"nginx-{proxies['nginx'].port}" / "nginx.conf").read_text()
        return int(text.split("server 127.0.0.1:")[1].split(";")[0])

    def latency(self):
        with self.before_origin() as proxies:
            origin = Direct(self.origin_port_of(proxies))
            results = self.rounds({"direct": origin, **proxies}, "plain", 32, self.options.seconds, 1024, 1000)
            direct = statistics.median(each["answer_p50_us"] for each in results.pop("direct"))
            added = {name: [each["answer_p50_us"] - direct for each in all_of_it] for name, all_of_it in results.items()}
            self.report.table("added latency, p50 in µs, 1,000 requests a second, 1 KB prompts", list(proxies))
            self.report.row("plain request", added)

    def streams(self):
        with self.before_origin(60, 240) as proxies:
            results = self.rounds(proxies, "stream", 300, max(5, self.options.seconds), 1024)
            self.report.table("300 streams of 60 events a second", list(proxies))
            self.report.row("CPU µs per event", self.pick(results, "cpu_us_per_event"))
            self.report.row("delay of an event, p50 µs", self.pick(results, "event_p50_us"))
            self.report.row("delay of an event, p99 µs", self.pick(results, "event_p99_us"))
        with self.before_origin(1000, 2) as proxies:
            origin = Direct(self.origin_port_of(proxies))
            results = self.rounds({"direct": origin, **proxies}, "stream", 4, self.options.seconds, 1024)
            direct = statistics.median(each["first_content_p50_us"] for each in results.pop("direct"))
            added = {name: [each["first_content_p50_us"] - direct for each in r] for name, r in results.items()}
            self.report.table("added time to first content, p50 in µs, 4 streams", list(proxies))
            self.report.row("first content", added)

    def many_streams(self):
        with self.before_origin(5, 100) as proxies:
            results = self.rounds(proxies, "stream", 2000, max(8, self.options.seconds), 1024)
            self.report.table("2,000 paced streams of 5 events a second", list(proxies))
            self.report.row("delay of an event, p99 µs", self.pick(results, "event_p99_us"))
            self.report.row("time to first content, p99 µs", self.pick(results, "first_content_p99_us"))
            self.report.row("CPU µs per event", self.pick(results, "cpu_us_per_event"))

    def waiting(self):
        count = 8000
        figures: dict[str, list[float]] = {}
        with self.before_origin(60, 100, 600_000) as proxies:
            for name, proxy in proxies.items():
                before = proxy.resident_kib()
                clients = subprocess.Popen(
                    [str(BUILD / "proxy_load"), str(proxy.port), "hold", str(count), "25", "1024"],
                    stdout=subprocess.DEVNULL)
                time.sleep(22)  # long enough for a heartbeat each
                figures[name] = [(proxy.resident_kib() - before) / count]
                clients.wait()
        self.report.table(f"resident KiB per waiting stream, {count} open, 1 KB prompts, heartbeats on", list(proxies))
        self.report.row("KiB", figures)

    def workers(self):
        origin = start_origin()
        try:
            cost: dict[int, list[float]] = {1: [], 2: []}
            proxies = {count: start_weir(origin.port, self.folder, count) for count in cost}
            for _ in range(self.options.rounds):
                for count, proxy in proxies.items():
                    run = load(proxy, "plain", 32, self.options.seconds, 1024, 2000 * count)
                    cost[count].append(run["cpu_us_per_answer"])
            scale = 2 * statistics.median(cost[1]) / statistics.median(cost[2])
            self.report.say(f"\nTwo workers: 2 × CPU per request of one worker at 2,000/s ÷ CPU per request of two at "
                            f"4,000/s = **{scale:.2f}** ({statistics.median(cost[1]):.1f} µs, "
                            f"{statistics.median(cost[2]):.1f} µs).")
            for proxy in proxies.values():
                proxy.stop()
        finally:
            origin.stop()

    def footprint(self):
        origin = start_origin(1000, 20)
        try:
            for scheme in ("http", "https"):
                starts = []
                for _ in range(self.options.rounds):
                    port, operators = free_port(), free_port()
                    config = self.folder / f"start-{port}.yaml"
                    config.write_text(json.dumps(weir_config(f"{scheme}://127.0.0.1:{origin.port}/v1")))
                    began = time.monotonic()
                    weir = subprocess.Popen([WEIR, "serve", "--config", str(config), "--listen", f"127.0.0.1:{port}",
                                             "--operator-listen", f"127.0.0.1:{operators}"], stderr=subprocess.DEVNULL)
                    while True:
                        with contextlib.suppress(OSError):
                            if urllib.request.urlopen(f"http://127.0.0.1:{operators}/readyz").status == 200:
                                break
                        time.sleep(0.001)
                    starts.append((time.monotonic() - began) * 1000)
                    weir.terminate()
                    weir.wait()
                self.report.say(f"\nStart to ready, {scheme} upstream: **{statistics.median(starts):.0f} ms** "
                                f"({min(starts):.0f}–{max(starts):.0f}).")
            weir = start_weir(origin.port, self.folder)
            time.sleep(0.5)
            at_start = weir.resident_kib() / 1024
            answers = 0
            while answers < 100_000:
                answers += load(weir, "plain", 64, 2, 1024)["answers"]
            load(weir, "stream", 1000, 5, 1024)
            time.sleep(1)
            self.report.say(f"\nResident memory at start: **{at_start:.1f} MiB**; after {answers} requests and 1,000 streams "
                            f"at once, idle again: **{weir.resident_kib() / 1024:.1f} MiB**.")
            weir.stop()
        finally:
            origin.stop()


class Direct:
    """No proxy at all."""

    def __init__(self, port: int):
        self.port = port

    @staticmethod
    def cpu_seconds() -> float:
        return 0


def main():
    parts = ["plain", "latency", "streams", "many_streams", "waiting", "workers", "footprint"]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--only", default=",".join(parts), help="of " + ",".join(parts))
    parser.add_argument("--write", help="a file for the tables")
    options = parser.parse_args()
    for needed in ("nginx", "haproxy"):
        if not shutil.which(needed) and not os.access(f"/usr/sbin/{needed}", os.X_OK):
            sys.exit(f"{needed} is needed: apt-get install {needed}")
    os.environ["PATH"] += ":/usr/sbin"
    report = Report()
    with tempfile.TemporaryDirectory() as folder:
        for part in options.only.split(","):
            getattr(Bench(options, pathlib.Path(folder), report), part)()
    if options.write:
        pathlib.Path(options.write).write_text("\n".join(report.lines) + "\n")


main()
