"""weir beside nginx and HAProxy, one worker each, before the same upstream: CPU, latency and memory as ratios of one run.

    ./dev bench proxy [--rounds N] [--seconds S] [--only NAME,...]

CPU is what the kernel charged the proxy's own threads (/proc/PID/task/*/schedstat); weir's includes its log. Proxies take
turns within a round, so that what else the machine does falls on all of them; medians of the rounds are shown. A run of
everything writes docs/performance.md.
"""

import argparse
import contextlib
import json
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

from peers import (BUILD, ROOT, WEIR, Behind, Direct, Program, free_port, load, make_certificate, start_haproxy, start_nginx,
                   start_origin, start_tls_end, start_weir, weir_config)
from report import Report

PAGE = ROOT / "docs/performance.md"


class Bench:
    def __init__(self, options: argparse.Namespace, folder: pathlib.Path, report: Report):
        self.options, self.folder, self.report = options, folder, report

    def start_peers(self, origin: int) -> dict[str, Program]:
        return {"nginx": start_nginx(origin, self.folder), "HAProxy": start_haproxy(origin, self.folder),
                "weir": start_weir(origin, self.folder)}

    def rounds(self, proxies: dict, *arguments: object, at_most: int = 100) -> dict[str, list[dict]]:
        for proxy in proxies.values():  # connections, caches and heaps as in a running server
            load(proxy, arguments[0], min(arguments[1], 300), 0.5, *arguments[3:])
        results: dict[str, list[dict]] = {name: [] for name in proxies}
        for _ in range(min(self.options.rounds, at_most)):
            for name, proxy in proxies.items():
                results[name].append(load(proxy, *arguments))
        return results

    @contextlib.contextmanager
    def before_origin(self, *arguments: float):
        """The proxies, and the port of the upstream behind them."""
        origin = start_origin(*arguments)
        proxies = self.start_peers(origin.port)
        try:
            yield proxies, origin.port
        finally:
            for program in (*proxies.values(), origin):
                program.stop()

    def pick(self, results: dict[str, list[dict]], figure: str) -> dict[str, list[float]]:
        return {name: [each[figure] for each in all_of_it] for name, all_of_it in results.items()}

    def added(self, results: dict[str, list[dict]], figure: str) -> dict[str, list[float]]:
        """What each proxy adds to the figure without one."""
        direct = statistics.median(each[figure] for each in results["direct"])
        return {name: [each[figure] - direct for each in all_of_it] for name, all_of_it in results.items() if name != "direct"}

    def plain(self):
        seconds = self.options.seconds
        with self.before_origin() as (proxies, origin):
            proxies["nginx, access log"] = logging = start_nginx(origin, self.folder, "/dev/null combined buffer=32k")
            try:
                self.report.table("CPU µs per plain request, 64 connections", list(proxies))
                for size, label, goal in ((1024, "1 KB", "plain"), (10_240, "10 KB", None), (102_400, "100 KB", "plain_100k"),
                                          (1_048_576, "1 MB", "plain_1m")):
                    connections = 64 if size < 1_000_000 else 8
                    results = self.rounds(proxies, "plain", connections, seconds, size)
                    self.report.row(f"{label} prompt", self.pick(results, "cpu_us_per_answer"), goal)
                results = self.rounds(proxies, "churn", 16, seconds, 1024)
                self.report.row("1 KB prompt, a connection each", self.pick(results, "cpu_us_per_answer"))
            finally:
                logging.stop()

    def tls(self):
        certificate = make_certificate(self.folder)
        origin = start_origin(60, 240)
        inner = free_port()
        programs = [origin, start_tls_end(self.folder, certificate, {inner: origin.port}, {})]
        try:
            proxies = {"nginx": start_nginx(inner, self.folder, certificate=certificate),
                       "HAProxy": start_haproxy(inner, self.folder, certificate),
                       "weir": start_weir(inner, self.folder, certificate=certificate)}
            programs += proxies.values()
            ports = {name: free_port() for name in proxies}
            programs.append(start_tls_end(self.folder, certificate, {},
                                          {port: proxies[name].port for name, port in ports.items()}))
            behind = {name: Behind(proxy, ports[name]) for name, proxy in proxies.items()}
            self.report.table("TLS on both sides, CPU µs", list(proxies))
            for label, figure, arguments in (
                    ("plain request, 1 KB prompt, 64 connections", "answer", ("plain", 64, self.options.seconds, 1024)),
                    ("plain request, 100 KB prompt, 64 connections", "answer", ("plain", 64, self.options.seconds, 102_400)),
                    ("plain request, 1 KB prompt, a connection each", "answer", ("churn", 16, self.options.seconds, 1024)),
                    ("event, 100 streams of 60 a second", "event", ("stream", 100, max(5, self.options.seconds), 1024))):
                results = self.rounds(behind, *arguments, at_most=3)
                self.report.row(label, self.pick(results, f"cpu_us_per_{figure}"))
        finally:
            for program in reversed(programs):
                program.stop()

    def latency(self):
        with self.before_origin() as (proxies, origin):
            results = self.rounds({"direct": Direct(origin), **proxies}, "plain", 32, self.options.seconds, 1024, 1000)
            self.report.table("added latency, µs at 1,000 requests a second, 1 KB prompts", list(proxies))
            self.report.row("p50", self.added(results, "answer_p50_us"), "latency")
            self.report.row("p99", self.added(results, "answer_p99_us"))

    def streams(self):
        with self.before_origin(60, 240) as (proxies, _):
            results = self.rounds(proxies, "stream", 300, max(5, self.options.seconds), 1024)
            self.report.table("300 streams of 60 events a second", list(proxies))
            self.report.row("CPU µs per event", self.pick(results, "cpu_us_per_event"), "event")
            self.report.row("delay of an event, p50 µs", self.pick(results, "event_p50_us"))
            self.report.row("delay of an event, p99 µs", self.pick(results, "event_p99_us"))
        with self.before_origin(1000, 2) as (proxies, origin):
            results = self.rounds({"direct": Direct(origin), **proxies}, "stream", 4, self.options.seconds, 1024)
            self.report.table("added time to first content, µs, 4 streams", list(proxies))
            self.report.row("p50", self.added(results, "first_content_p50_us"), "first_content")

    def many_streams(self):
        with self.before_origin(5, 25) as (proxies, origin):
            everyone = {"direct": Direct(origin), **proxies}
            # Streams of five seconds: after the first of each have ended they begin one after the other.
            results = self.rounds(everyone, "stream", 2000, 11, 1024, 6, at_most=3)
            self.report.table("2,000 paced streams of 5 events a second, added delay, p99 µs", list(proxies))
            self.report.row("of an event", self.added(results, "event_p99_us"), "many_event")
            self.report.row("to first content", self.added(results, "first_content_p99_us"), "many_first_content")
            results.pop("direct")
            self.report.row("(CPU µs per event)", self.pick(results, "cpu_us_per_event"))

    def waiting(self):
        count = 8000
        figures: dict[str, list[float]] = {}
        with self.before_origin(60, 100, 600_000) as (proxies, _):
            for name, proxy in proxies.items():
                before = proxy.resident_kib()
                clients = subprocess.Popen(
                    [str(BUILD / "proxy_load"), str(proxy.port), "hold", str(count), "25", "1024"],
                    stdout=subprocess.DEVNULL)
                time.sleep(22)  # long enough for a heartbeat each
                figures[name] = [(proxy.resident_kib() - before) / count]
                clients.wait()
        self.report.table(f"resident KiB per waiting stream, {count} open, 1 KB prompts, heartbeats on", list(proxies))
        self.report.row("KiB", figures, "waiting", absolute=True)

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
            self.report.note("workers", scale)
            self.report.say(f"\nTwo workers: 2 × CPU per request of one worker at 2,000/s ÷ CPU per request of two at "
                            f"4,000/s = **{scale:.2f}** ({statistics.median(cost[1]):.1f} µs, "
                            f"{statistics.median(cost[2]):.1f} µs).")
            for proxy in proxies.values():
                proxy.stop()
        finally:
            origin.stop()

    def start_time_ms(self, url: str) -> float:
        port, operators = free_port(), free_port()
        config = self.folder / f"start-{port}.yaml"
        config.write_text(json.dumps(weir_config(url)))
        began = time.monotonic()
        weir = subprocess.Popen([WEIR, "serve", "--config", str(config), "--listen", f"127.0.0.1:{port}",
                                 "--operator-listen", f"127.0.0.1:{operators}"], stderr=subprocess.DEVNULL)
        while True:
            with contextlib.suppress(OSError):
                if urllib.request.urlopen(f"http://127.0.0.1:{operators}/readyz").status == 200:
                    break
            time.sleep(0.001)
        taken = (time.monotonic() - began) * 1000
        weir.terminate()
        weir.wait()
        return taken

    def size(self):
        """The stripped binary, and what it loads beside it, less what other programs of a system have in memory anyway."""
        stripped = self.folder / "weir"
        subprocess.run(["strip", "-o", stripped, WEIR], check=True)
        binary, libraries = stripped.stat().st_size / 1e6, {}
        for line in subprocess.run(["ldd", WEIR], check=True, capture_output=True, text=True).stdout.splitlines():
            found = re.search(r"=> (/\S+)", line)
            if found and not re.match(r"(libc|libm|libstdc\+\+|libgcc_s|libssl|libcrypto)\.so", pathlib.Path(found[1]).name):
                file = pathlib.Path(found[1]).resolve()
                libraries[file.name] = file.stat().st_size / 1e6
        total = binary + sum(libraries.values())
        self.report.note("size", total)
        of_libraries = ", ".join(f"{name} {size:.1f}" for name, size in sorted(libraries.items()))
        self.report.say(f"\nOn disk: **{total:.1f} MB**: the stripped binary {binary:.1f}, {of_libraries}.")

    def footprint(self):
        origin = start_origin(1000, 20)
        try:
            for scheme in ("http", "https"):
                starts = [self.start_time_ms(f"{scheme}://127.0.0.1:{origin.port}/v1") for _ in range(self.options.rounds)]
                self.report.note(f"start_{scheme}", statistics.median(starts))
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
            after = weir.resident_kib() / 1024
            self.report.note("memory_start", at_start)
            self.report.note("memory_after", after)
            self.report.say(f"\nResident memory at start: **{at_start:.1f} MiB**; after {answers} requests and 1,000 streams "
                            f"at once, idle again: **{after:.1f} MiB**.")
            weir.stop()
        finally:
            origin.stop()


def main():
    parts = ["plain", "tls", "streams", "many_streams", "latency", "waiting", "workers", "footprint", "size"]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.5)
    parser.add_argument("--only", help="of " + ",".join(parts))
    options = parser.parse_args()
    os.environ["PATH"] += ":/usr/sbin"
    for needed in ("nginx", "haproxy"):
        if not shutil.which(needed):
            sys.exit(f"{needed} is needed: apt-get install {needed}")
    report = Report()
    with tempfile.TemporaryDirectory() as folder:
        for part in options.only.split(",") if options.only else parts:
            getattr(Bench(options, pathlib.Path(folder), report), part)()
    report.verdicts()
    if not options.only:
        report.write_into(PAGE)


main()
