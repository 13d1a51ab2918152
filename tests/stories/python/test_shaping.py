"""More than a budget holds, from SDKs as they come: calls wait for their turn, all succeed, and nobody notices."""

import asyncio
import json
import time

import httpx
import openai
import pytest
from conftest import text_of
from harness import Process, Weir, free_port

WINDOW_SECONDS = 5
CALLS_PER_WINDOW = 20
CAP = 200  # tokens; what a call counts for, since the simulated provider charges the cap on arrival
LIMITS = {"rpm": CALLS_PER_WINDOW, "tpm": CALLS_PER_WINDOW * CAP, "window": f"{WINDOW_SECONDS}s"}
HELLO = [{"role": "user", "content": "Hello"}]


class LimitedProvider(Process):
    """The simulated provider, refusing whatever goes beyond the limits."""

    def __init__(self):
        port = free_port()
        flags = ["--listen", f"127.0.0.1:{port}", "--tokens-per-second", "0", "--dialect", "openai",
                 "--rpm", str(LIMITS["rpm"]), "--tpm", str(LIMITS["tpm"]), "--window", LIMITS["window"],
                 "--limiter", "sliding", "--charge", "max-or-estimate"]
        super().__init__("simulate", flags, port, "/__stats")

    def stats(self) -> dict:
        return httpx.get(self.origin + "/__stats", trust_env=False).json()


@pytest.fixture
def provider():
    server = LimitedProvider()
    yield server
    server.stop()


@pytest.fixture
def shaper(provider, tmp_path):
    config = tmp_path / "weir.yaml"
    config.write_text(json.dumps({  # JSON is YAML
        "upstreams": [{"name": "account", "provider": "openai", "base_url": provider.origin + "/v1",
                       "api_key": "sk-provider", "limits": LIMITS}],
        "start_guard": "0s",
    }))
    server = Weir("--config", str(config))
    yield server
    server.stop()


def test_three_windows_of_calls_at_once_all_succeed_without_a_retry(provider, shaper):
    calls = 3 * CALLS_PER_WINDOW

    async def ask(client, number: int) -> str:
        if number % 3:
            answer = await client.chat.completions.create(model="gpt-4o-mini", messages=HELLO, max_tokens=CAP)
            return answer.choices[0].message.content
        stream = await client.chat.completions.create(model="gpt-4o-mini", messages=HELLO, max_tokens=CAP, stream=True)
        return "".join([text_of(chunk) async for chunk in stream])

    async def everything() -> list[str]:
        async with openai.AsyncOpenAI(base_url=shaper.base_url, api_key="sk-story") as client:
            return await asyncio.gather(*(ask(client, number) for number in range(calls)))

    began = time.monotonic()
    texts = asyncio.run(everything())
    assert len(texts) == calls and all(texts)
    assert time.monotonic() - began >= 2 * WINDOW_SECONDS
    stats = provider.stats()
    assert stats["requests"] == {"received": calls, "accepted": calls, "refused": 0}
    assert stats["largest_window"]["requests"] <= LIMITS["rpm"]
    assert stats["largest_window"]["tokens"] <= LIMITS["tpm"]
