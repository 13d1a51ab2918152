#!/usr/bin/env python3
"""How long after a client's FIN or RST its call is over, by the state of the call.

    bench/cancel/run.py [--weir build/release/weir] [--times 200]

Prints two Markdown tables in milliseconds. The first is of calls that have a connection upstream: from the client's system
call to the end of that connection as the upstream (or the HTTP proxy on the way to it) sees it; all ends are coroutines of
this process, on loopback. The second is of calls that have none yet, or none any more, where nobody outside can see an end:
from the client's system call to weir's log line of the call, which is made when its place in line, its attempt to connect
and its budgets are given back. "Resolving" needs root: weir then runs where the name server never answers.
"""

import argparse
import asyncio
import contextlib
import datetime
import json
import os
import pathlib
import socket
import statistics
import struct
import tempfile
import time

CHUNKED_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
ROLE = b'data: {"id":"c","choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}\n\n'
WORD = b'data: {"id":"c","choices":[{"index":0,"delta":{"content":"word"}}]}\n\n'
UNREAD = b"x" * 100_000  # more than weir takes in before it needs it
TURNED_AWAY = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 60\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
SILENT_NAME_SERVER = "127.0.0.77"


def call_of(model: str) -> bytes:
    body = json.dumps({"model": model, "stream": True, "messages": [{"role": "user", "content": "Hello"}]}).encode()
    return (b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
            b"content-length: %d\r\n\r\n" % len(body)) + body


CALL = call_of("m")
UPLOAD = (b"POST /v1/files HTTP/1.1\r\nhost: localhost\r\nx-weir-upstream: m\r\ncontent-type: text/plain\r\ncontent-length: 1000000\r\n\r\n" + b"y" * 1000)


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


# By name: what the client sends, what the upstream answers, and what more the client sends before it leaves.
STATES = {
    "waiting for the first byte": (CALL, b"", b""),
    "held before the first content": (CALL, CHUNKED_HEAD + chunk(ROLE), b""),
    "streaming": (CALL, CHUNKED_HEAD + chunk(ROLE) + chunk(WORD), b""),
    "streaming, behind 100 kB unread": (CALL, CHUNKED_HEAD + chunk(ROLE) + chunk(WORD), UNREAD),
    "uploading its body": (UPLOAD, b"", b""),
    "waiting for a proxy's tunnel": (call_of("tunnelled"), b"", b""),
}
# Those without a connection, by the model that leads there.
UNCONNECTED = {"waiting in line": "queued", "backing off": "backing-off", "connecting": "full", "resolving a name": "unknown"}


class Upstream:
    """Answers what it is told to and notes when its connection ends."""

    def __init__(self):
        self.answer = b""
        self.reached = self.ended = None

    async def serve(self, reader, writer):
        reached, ended = self.reached, self.ended
        await reader.readuntil(b"\r\n\r\n")
        writer.write(self.answer)
        reached.set_result(None)
        try:
            while await reader.read(65536):
                pass
        except ConnectionError:
            pass
        ended.set_result(time.perf_counter())
        writer.close()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


async def leave_once(port: int, upstream: Upstream, state: str, reset: bool) -> float:
    sent, upstream.answer, unread = STATES[state]
    loop = asyncio.get_running_loop()
    upstream.reached, upstream.ended = loop.create_future(), loop.create_future()
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.sendall(sent)
        await upstream.reached
        await asyncio.sleep(0.01)  # what was answered is with weir
        if unread:
            client.sendall(unread)
            await asyncio.sleep(0.01)
        left = time.perf_counter()
        leave(client, reset)
        return (await asyncio.wait_for(upstream.ended, 30) - left) * 1000


class Log:
    """weir's log as it comes: when each exchange ended, by its request id."""

    def __init__(self, stream):
        self._waiting = {}
        self._reading = asyncio.create_task(self._read(stream))

    async def _read(self, stream):
        while line := await stream.readline():
            with contextlib.suppress(ValueError):
                record = json.loads(line)
                if waiting := self._waiting.pop(record.get("request_id"), None):
                    assert record["outcome"] == "client_left", line
                    waiting.set_result(datetime.datetime.fromisoformat(record["time"]).timestamp())

    def end_of(self, request_id: str) -> asyncio.Future:
        return self._waiting.setdefault(request_id, asyncio.get_running_loop().create_future())


async def operators_see(port: int, condition):
    """Waits until the answer of GET /weir/queue fulfils the condition."""
    for _ in range(500):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /weir/queue HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
        answer = await reader.read()
        writer.close()
        if condition(json.loads(answer.partition(b"\r\n\r\n")[2])):
            return
        await asyncio.sleep(0.01)
    raise SystemExit("weir does not get there")


def leave(client: socket.socket, reset: bool):
    if reset:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
    else:
        client.shutdown(socket.SHUT_WR)


def once(number: int, reset: bool) -> str:
    """The account of one repetition: one that has turned a call away is not asked again for a while."""
    return f"backing-off-{number}-{'rst' if reset else 'fin'}"


async def leave_unconnected_once(port: int, operators: int, log: Log, model: str, number: int, reset: bool) -> float:
    request_id = f"{model}-{number}-{reset}"
    call = call_of(once(number, reset) if model == "backing-off" else model)
    call = call.replace(b"host:", b"x-request-id: %s\r\nhost:" % request_id.encode(), 1)
    ended = log.end_of(request_id)
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(call)
        if model in ("queued", "backing-off"):
            await operators_see(operators, lambda queue: queue["waiting"] == 1)
        else:
            await operators_see(operators, lambda queue: queue["running"] == 2)  # it, and the one that holds the place
        left = time.time()
        leave(client, reset)
        return (await asyncio.wait_for(ended, 30) - left) * 1000


async def wait_until_ready(port: int):
    for _ in range(500):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except OSError:
            await asyncio.sleep(0.02)
    raise SystemExit("weir does not listen")


def print_table(title: str, rows: dict[tuple[str, bool], list[float]]):
    print(f"\n| {title} | by | median | 99 % | most |\n|---|---|---|---|---|")
    for (state, reset), unsorted in rows.items():
        times = sorted(unsorted)
        late = times[min(len(times) - 1, len(times) * 99 // 100)]
        print(f"| {state} | {'RST' if reset else 'FIN'} | {statistics.median(times):.2f} | {late:.2f} | {times[-1]:.2f} |")


def accounts_of(upstream: int, refusing: int, full: int, times: int) -> list[dict]:
    def account(name: str, base_url: str, **more) -> dict:
        return {"name": name, "provider": "generic", "api_key": "sk-u", "base_url": base_url, **more}

    patient = {"timeouts": {"connect": "60s"}}
    return [account("m", f"http://127.0.0.1:{upstream}/v1"),
            account("queued", f"http://127.0.0.1:{upstream}/v1", limits={"concurrency": 1}),
            *[account(once(number, reset), f"http://127.0.0.1:{refusing}/v1")
              for number in range(times) for reset in (False, True)],
            account("full", f"http://127.0.0.1:{full}/v1", **patient),
            account("unknown", "http://never.answered.test/v1", **patient),
            account("tunnelled", "https://behind.a.proxy.test/v1", **patient)]


async def turn_away(reader, writer):
    with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(TURNED_AWAY)
        await reader.read()


async def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--weir", type=pathlib.Path, default="build/release/weir")
    arguments.add_argument("--times", type=int, default=200)
    given = arguments.parse_args()

    upstream = Upstream()
    server = await asyncio.start_server(upstream.serve, "127.0.0.1", 0)
    upstream_port = server.sockets[0].getsockname()[1]
    refusing = await asyncio.start_server(turn_away, "127.0.0.1", 0)
    full = socket.create_server(("127.0.0.1", 0), backlog=0)
    filler = [socket.socket() for _ in range(3)]
    for one in filler:
        one.setblocking(False)
        one.connect_ex(full.getsockname())

    port, operators = free_port(), free_port()
    accounts = accounts_of(upstream_port, refusing.sockets[0].getsockname()[1], full.getsockname()[1], given.times)
    config = tempfile.NamedTemporaryFile("w", suffix=".yaml")
    json.dump({"version": 1, "upstreams": accounts, "log": {"format": "json"},  # JSON is YAML
               "models": [{"name": each["name"], "upstreams": [each["name"]]} for each in accounts]}, config)
    config.flush()
    command = [str(given.weir.resolve()), "serve", "--config", config.name, "--listen", f"127.0.0.1:{port}",
               "--operator-listen", f"127.0.0.1:{operators}"]
    names = tempfile.NamedTemporaryFile("w")
    resolves = os.geteuid() == 0
    if resolves:  # in a mount namespace of its own, with a name server that takes questions and says nothing
        silent = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        silent.bind((SILENT_NAME_SERVER, 53))
        names.write(f"nameserver {SILENT_NAME_SERVER}\noptions timeout:30\n")
        names.flush()
        command = ["unshare", "--mount", "sh", "-c", 'mount --bind "$0" /etc/resolv.conf && exec "$@"', names.name, *command]
    environment = {name: value for name, value in os.environ.items()
                   if not name.startswith("WEIR_") and name.upper() not in ("NO_PROXY", "HTTP_PROXY", "HTTPS_PROXY")}
    environment["HTTPS_PROXY"] = f"http://127.0.0.1:{upstream_port}"
    weir = await asyncio.create_subprocess_exec(*command, env=environment, stderr=asyncio.subprocess.PIPE)
    log = Log(weir.stderr)
    try:
        await wait_until_ready(port)
        print_table("the call is", {(state, reset): [await leave_once(port, upstream, state, reset) for _ in range(given.times)]
                                    for state in STATES for reset in (False, True)})
        # Somebody holds the one place of the account where calls wait in line.
        loop = asyncio.get_running_loop()
        upstream.answer, upstream.reached, upstream.ended = b"", loop.create_future(), loop.create_future()
        with socket.create_connection(("127.0.0.1", port)) as occupant:
            occupant.sendall(call_of("queued"))
            await upstream.reached
            rows = {}
            for state, model in UNCONNECTED.items():
                if model == "unknown" and not resolves:
                    continue
                for reset in (False, True):
                    rows[state, reset] = [await leave_unconnected_once(port, operators, log, model, number, reset)
                                          for number in range(given.times)]
        print_table("the call, without a connection, is", rows)
    finally:
        weir.kill()  # a look-up that nobody answers holds up its exit
        await weir.wait()


asyncio.run(main())
