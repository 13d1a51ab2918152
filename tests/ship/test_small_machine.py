"""64 MiB and half a core, which is what a sidecar gets: 500 streams run and 200 long prompts wait, and nothing breaks."""

import asyncio
import json
import pathlib

import pytest
from containers import WeirContainer, docker

STREAMS = 500
WAITING = 200
PROMPT_BYTES = 100_000
MEMORY = 64 << 20
EVENTS_EACH = 10  # while the prompts wait
EVENT_EVERY = 0.5  # seconds, of each stream
STORY_SECONDS_MAX = 240  # bounds how long a failure takes

PART = json.dumps({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m",
                   "choices": [{"index": 0, "delta": {"content": "word "}, "finish_reason": None}]})
LAST = json.dumps({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m",
                   "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
WHOLE = json.dumps({"id": "c", "object": "chat.completion", "created": 1, "model": "m",
                    "choices": [{"index": 0, "message": {"role": "assistant", "content": "now"},
                                 "finish_reason": "stop"}]}).encode()


async def read_request(reader: asyncio.StreamReader) -> dict:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
    return json.loads(await reader.readexactly(int(head.split("content-length:")[1].split("\r\n")[0])))


class Provider:
    """Its streams say a word now and then, until all of them are told to end."""

    def __init__(self):
        self.end = asyncio.Event()

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=1 << 20, backlog=1024)
        self.origin = "http://127.0.0.1:%d" % self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_):
        self._server.close()

    async def _serve(self, reader, writer):
        try:
            while True:
                if (await read_request(reader)).get("stream"):
                    await self._stream(writer)
                else:
                    writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
                                 b"content-length: %d\r\n\r\n%s" % (len(WHOLE), WHOLE))
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def _stream(self, writer):
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
        while not self.end.is_set():
            self._event(writer, PART)
            try:
                await asyncio.wait_for(self.end.wait(), EVENT_EVERY)
            except TimeoutError:
                pass
        self._event(writer, LAST)
        self._event(writer, "[DONE]")
        writer.write(b"0\r\n\r\n")
        await writer.drain()

    @staticmethod
    def _event(writer, data: str):
        event = b"data: %s\n\n" % data.encode()
        writer.write(b"%x\r\n%s\r\n" % (len(event), event))


class Caller:
    """One call, as raw bytes: what is measured is weir, not a client library."""

    def __init__(self, port: int, body: dict):
        self._port, self._body = port, json.dumps(body).encode()
        self.received = b""

    async def run(self):
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        writer.write(b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
                     b"connection: close\r\ncontent-length: %d\r\n\r\n%s" % (len(self._body), self._body))
        while piece := await reader.read(65536):
            self.received += piece
        writer.close()

    def events(self) -> int:
        return self.received.count(b"data: ")


async def get_json(port: int, path: str) -> dict:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n".encode())
    answer = await reader.read()
    while piece := await reader.read():
        answer += piece
    writer.close()
    return json.loads(answer.partition(b"\r\n\r\n")[2])


async def until(condition, what: str):
    while not await condition():
        await asyncio.sleep(0.1)


def peak_memory(container) -> int:
    """The most the container ever held, by its cgroup."""
    for line in pathlib.Path(f"/proc/{container.state()['Pid']}/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        for file in (f"/sys/fs/cgroup/memory{path}/memory.max_usage_in_bytes", f"/sys/fs/cgroup{path}/memory.peak"):
            if controllers in ("memory", "") and pathlib.Path(file).is_file():
                return int(pathlib.Path(file).read_text())
    raise RuntimeError("no cgroup says how much memory the container took")


@pytest.fixture
def config(tmp_path):
    file = tmp_path / "weir.yaml"
    file.write_text("version: 1\nstart_guard: 0s\nheartbeat: {first_after: 1s, stream_every: 1s, json_after: 1s}\n")
    file.chmod(0o644)
    return file


def test_nothing_is_killed(image, config, started, report):
    async def story():
        async with Provider() as provider:
            # Room for the streams and no more: what comes then waits.
            weir = await asyncio.to_thread(lambda: started(WeirContainer(
                image, options=[f"--memory={MEMORY}", f"--memory-swap={MEMORY}", "--cpus=0.5",
                                "--volume", f"{config}:/etc/weir/weir.yaml:ro"],
                WEIR_UPSTREAM=provider.origin, WEIR_CONCURRENCY=str(STREAMS))))
            message = {"role": "user", "content": "Hello"}
            streams = [Caller(weir.port, {"model": "m", "stream": True, "messages": [message]})
                       for _ in range(STREAMS)]
            running = [asyncio.create_task(caller.run()) for caller in streams]

            async def all_heard(events: int) -> bool:
                return all(caller.events() >= events for caller in streams)

            await until(lambda: all_heard(1), "all streams have begun")
            long_message = {"role": "user", "content": "word " * (PROMPT_BYTES // 5)}
            waiting = [Caller(weir.port, {"model": "m", "max_tokens": 1, "messages": [long_message]})
                       for _ in range(WAITING)]
            running += [asyncio.create_task(caller.run()) for caller in waiting]

            async def all_wait() -> bool:
                queue = await get_json(weir.operator_port, "/weir/queue")
                return queue["waiting"] == WAITING and queue["bytes"] >= WAITING * PROMPT_BYTES

            await until(all_wait, "all prompts wait")
            heard = min(caller.events() for caller in streams)
            await until(lambda: all_heard(heard + EVENTS_EACH), "the streams go on meanwhile")
            provider.end.set()
            await asyncio.gather(*running)
            return weir, streams, waiting

    weir, streams, waiting = asyncio.run(asyncio.wait_for(story(), STORY_SECONDS_MAX))
    assert all(caller.received.endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n") for caller in streams)
    assert all(caller.received.startswith(b"HTTP/1.1 200 ") and WHOLE in caller.received for caller in waiting)
    peak = peak_memory(weir)
    report(f"64 MiB, half a core, {STREAMS} streams, {WAITING} prompts of {PROMPT_BYTES // 1000} KB: "
           f"peak {peak / (1 << 20):.0f} MiB")
    weir.wait_until_says("1 worker(s)")
    weir.send_signal("SIGTERM")
    assert weir.exit_status() == 0
    state = weir.state()
    assert state["OOMKilled"] is False and peak <= MEMORY


@pytest.mark.parametrize(("cpus", "workers"), [("0.5", 1), ("1", 1), ("1.5", 2), ("2", 2)])
def test_workers_follow_the_quota(image, started, cpus, workers):
    available = int(docker("info", "--format", "{{.NCPU}}").stdout)
    if float(cpus) > available:
        pytest.skip(f"this engine has {available} CPU")
    server = started(WeirContainer(image, options=[f"--cpus={cpus}"], WEIR_UPSTREAM="http://127.0.0.1:1"))
    server.wait_until_says(f"; {workers} worker(s)")
