#!/usr/bin/env python3
"""How long after a client's FIN or RST the upstream sees its connection end, by the state of the call.

    bench/cancel/run.py [--weir build/release/weir] [--times 200]

Prints a Markdown table in milliseconds, from the client's system call to the upstream's event: both ends are coroutines
of this process, on loopback.
"""

import argparse
import asyncio
import json
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
BODY = json.dumps({"model": "m", "stream": True, "messages": [{"role": "user", "content": "Hello"}]}).encode()
CALL = (b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
        % len(BODY)) + BODY
UPLOAD = (b"POST /v1/files HTTP/1.1\r\nhost: localhost\r\ncontent-type: text/plain\r\ncontent-length: 1000000\r\n\r\n" + b"y" * 1000)


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


# By name: what the client sends, what the upstream answers, and what more the client sends before it leaves.
STATES = {
    "waiting for the first byte": (CALL, b"", b""),
    "held before the first content": (CALL, CHUNKED_HEAD + chunk(ROLE), b""),
    "streaming": (CALL, CHUNKED_HEAD + chunk(ROLE) + chunk(WORD), b""),
    "streaming, behind 100 kB unread": (CALL, CHUNKED_HEAD + chunk(ROLE) + chunk(WORD), UNREAD),
    "uploading its body": (UPLOAD, b"", b""),
}


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
        if reset:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.close()
        else:
            client.shutdown(socket.SHUT_WR)
        return (await asyncio.wait_for(upstream.ended, 30) - left) * 1000


async def wait_until_ready(port: int):
    for _ in range(500):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except OSError:
            await asyncio.sleep(0.02)
    raise SystemExit("weir does not listen")


async def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--weir", type=pathlib.Path, default="build/release/weir")
    arguments.add_argument("--times", type=int, default=200)
    given = arguments.parse_args()

    upstream = Upstream()
    server = await asyncio.start_server(upstream.serve, "127.0.0.1", 0)
    port = free_port()
    config = tempfile.NamedTemporaryFile("w", suffix=".yaml")
    json.dump({"version": 1, "upstreams": [{  # JSON is YAML
        "name": "u", "provider": "generic", "api_key": "sk-u",
        "base_url": f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"}]}, config)
    config.flush()
    weir = await asyncio.create_subprocess_exec(
        given.weir, "serve", "--config", config.name, "--listen", f"127.0.0.1:{port}",
        "--operator-listen", f"127.0.0.1:{free_port()}", stderr=asyncio.subprocess.DEVNULL)
    try:
        await wait_until_ready(port)
        print("| the call is | by | median | 99 % | most |\n|---|---|---|---|---|")
        for state in STATES:
            for reset in (False, True):
                times = sorted([await leave_once(port, upstream, state, reset) for _ in range(given.times)])
                late = times[min(len(times) - 1, len(times) * 99 // 100)]
                print(f"| {state} | {'RST' if reset else 'FIN'} | {statistics.median(times):.2f} | {late:.2f} | {times[-1]:.2f} |")
    finally:
        weir.terminate()
        await weir.wait()


asyncio.run(main())
