"""weir before `weir simulate` on loopback: 200 connections always ask, the provider enforces limits on a 2-second window.

Prints what the provider saw, by its own count, beside its limits. Standard library only.
"""

import asyncio
import json
import os
import pathlib
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
WEIR = os.environ.pop("WEIR_BIN", str(ROOT / "build/release/weir"))  # taken out: weir would warn of it
CONNECTIONS = 200
WINDOW_SECONDS = 2
REQUESTS, TOKENS = 290, 60_000  # a window; now the one bites, now the other
CAPS = (16, 400)  # of answers: the charge of a call lies between


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def get(url: str) -> dict:
    with urllib.request.urlopen(url, timeout=5) as answer:
        return json.load(answer)


class Process:
    def __init__(self, probe: str, *arguments: str):
        self._process = subprocess.Popen([WEIR, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(500):
            try:
                urllib.request.urlopen(probe, timeout=5).close()
                return
            except OSError:
                time.sleep(0.02)
        self._process.kill()
        raise RuntimeError(f"not ready: {arguments}")

    def stop(self):
        self._process.terminate()
        if self._process.wait(30) != 0:
            raise RuntimeError(f"ended with status {self._process.returncode}")


class Outcome:
    def __init__(self):
        self.waits: list[float] = []
        self.by_status: dict[int, int] = {}
        self.accepted: list[tuple[float, int]] = []  # when, and what it counts for: the cap, larger than these prompts


async def ask_again_and_again(port: int, until: float, seed: int, outcome: Outcome):
    chance = random.Random(seed)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    while time.monotonic() < until:
        cap = chance.randint(*CAPS)
        body = json.dumps({"model": "gpt-4o-mini", "max_tokens": cap, "stream": chance.random() < 0.3,
                           "messages": [{"role": "user", "content": "Hello there"}]}).encode()
        began = time.monotonic()
        writer.write(b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
                     b"content-length: %d\r\n\r\n" % len(body) + body)
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        status = int(head.split(" ", 2)[1])
        if "transfer-encoding: chunked" in head:
            while size := int(await reader.readuntil(b"\r\n"), 16):
                await reader.readexactly(size + 2)
            await reader.readexactly(2)
        else:
            await reader.readexactly(int(head.split("content-length: ")[1].split("\r\n")[0]))
        outcome.by_status[status] = outcome.by_status.get(status, 0) + 1
        if status == 200:
            outcome.accepted.append((time.monotonic(), cap))
        outcome.waits.append(time.monotonic() - began)
    writer.close()


async def load(port: int, seconds: float) -> Outcome:
    outcome = Outcome()
    until = time.monotonic() + seconds
    await asyncio.gather(*(ask_again_and_again(port, until, seed, outcome) for seed in range(CONNECTIONS)))
    return outcome


def main():
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 60
    provider_port, port, operator_port = free_port(), free_port(), free_port()
    limits = {"rpm": REQUESTS, "tpm": TOKENS, "window": f"{WINDOW_SECONDS}s"}
    origin = f"http://127.0.0.1:{provider_port}"
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as config:
        json.dump({"listen": f"127.0.0.1:{port}", "operator": {"listen": f"127.0.0.1:{operator_port}"},
                   "upstreams": [{"name": "account", "provider": "openai", "base_url": origin + "/v1", "api_key": "k",
                                  "limits": limits}],
                   "start_guard": "0s"}, config)
        config.flush()
        provider = Process(origin + "/__stats", "simulate", "--listen", f"127.0.0.1:{provider_port}",
                           "--tokens-per-second", "0", "--rpm", str(REQUESTS), "--tpm", str(TOKENS),
                           "--window", f"{WINDOW_SECONDS}s", "--limiter", "sliding", "--charge", "max-or-estimate")
        weir = Process(f"http://127.0.0.1:{operator_port}/readyz", "serve", "--config", config.name)
        began = time.monotonic()
        outcome = asyncio.run(load(port, seconds))
        took = time.monotonic() - began
        stats = get(origin + "/__stats")
        weir.stop()
        provider.stop()
    largest, requests = stats["largest_window"], stats["requests"]
    waits = sorted(outcome.waits)
    print(f"{CONNECTIONS} connections for {took:.0f} s, limits on a window of {WINDOW_SECONDS} s, by the provider's count\n")
    print("| | requests | tokens |\n|---|--:|--:|")
    print(f"| limit of a window | {REQUESTS:,} | {TOKENS:,} |")
    print(f"| largest window | {largest['requests']:,} | {largest['tokens']:,} |")
    # Without the first window, which begins full, and the last, in which callers leave.
    steady = [charge for when, charge in outcome.accepted if began + WINDOW_SECONDS <= when < began + seconds]
    windows = seconds / WINDOW_SECONDS - 1
    print(f"| mean of a window, % of the limit | {100 * len(steady) / windows / REQUESTS:.1f} | "
          f"{100 * sum(steady) / windows / TOKENS:.1f} |")
    print(f"\nrefused by the provider: {requests['refused']}; answers by status: {outcome.by_status}; "
          f"time of a call: median {statistics.median(waits):.2f} s, p99 {waits[int(len(waits) * 0.99)]:.2f} s")


if __name__ == "__main__":
    main()
