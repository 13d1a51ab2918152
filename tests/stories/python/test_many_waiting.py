"""Thousands of streams that wait in line: every one is kept alive by heartbeats, and every one gets its answer."""

import asyncio
import json
import resource

import pytest

from harness import Weir, wait_until

STREAMS = 8000
AT_ONCE = 100  # connections being opened: listen queues are short on some machines
FREE_DESCRIPTORS = 500


@pytest.fixture
def many_descriptors():
    """One per stream here and one in weir, which inherits the limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < STREAMS + FREE_DESCRIPTORS:
        pytest.skip(f"at most {hard} descriptors for a process here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, STREAMS + FREE_DESCRIPTORS), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def request(headers: dict[str, str] | None = None) -> bytes:
    body = json.dumps({"model": "m", "stream": True, "messages": [{"role": "user", "content": "x" * 1000}]}).encode()
    fields = {"host": "localhost", "content-type": "application/json", "content-length": len(body), **(headers or {})}
    return b"POST /v1/chat/completions HTTP/1.1\r\n%s\r\n%s" % (
        "".join(f"{name}: {value}\r\n" for name, value in fields.items()).encode(), body)


async def open_stream(port: int, sent: bytes):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(sent)
    return reader, writer


async def wait_in_line(port: int):
    gate = asyncio.Semaphore(AT_ONCE)

    async def one():
        async with gate:
            reader, writer = await open_stream(port, request())
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 OK\r\n"), head + await reader.read(1000)
        await reader.readuntil(b": weir queued position=")
        return reader, writer

    return await asyncio.gather(*(one() for _ in range(STREAMS)))


async def tell(port: int) -> list[bytes]:
    # One long call has the account to itself, so all others wait behind it.
    first, first_out = await open_stream(port, request({"x-sim-tokens-per-second": "10", "x-sim-output-tokens": "100000"}))
    await first.readuntil(b"data: ")
    streams = await wait_in_line(port)
    # And again, when all of them are there: none was forgotten and none has ended.
    await asyncio.gather(*(reader.readuntil(b": weir queued position=") for reader, _ in streams))
    assert not any(reader.at_eof() for reader, _ in streams)
    first_out.close()

    async def answer(reader, writer) -> bytes:
        said = await reader.readuntil(b"data: [DONE]\n\n")
        writer.close()
        return said

    return await asyncio.gather(*(answer(reader, writer) for reader, writer in streams))


def test_eight_thousand_waiting_streams_are_all_alive_and_all_answered(many_descriptors, simulator):
    weir = Weir(settings={
        "version": 1,
        "heartbeat": {"first_after": "1s", "stream_every": "3s"},
        "queue": {"wait_max": "4h"},  # a call counts as a second long until one has ended
        "upstreams": [{"name": "one-at-a-time", "provider": "generic", "api_key": "sk-simulated",
                       "base_url": simulator.origin, "limits": {"concurrency": 1}}],
        "models": [{"name": "m", "upstreams": ["one-at-a-time"]}],
    })
    answers = asyncio.run(tell(weir.port))
    assert len(answers) == STREAMS
    assert all(b'"finish_reason":"stop"' in answer for answer in answers)

    def outcomes():
        records = [json.loads(line) for line in weir.log().splitlines() if '"event":"exchange"' in line]
        return len(records) == STREAMS + 1 and [record["outcome"] for record in records]

    said = wait_until(outcomes, "the log has all calls")
    assert said.count("ok") == STREAMS
    weir.stop()
