"""More than a budget holds, from SDKs as they come: calls wait for their turn, all succeed, and nobody notices."""

import asyncio
import time

import openai
import pytest
from conftest import text_of
from harness import Simulator, Weir

WINDOW_SECONDS = 5
CALLS_PER_WINDOW = 20
CAP = 200  # tokens; what a call counts for, since the simulated provider charges the cap on arrival
LIMITS = {"rpm": CALLS_PER_WINDOW, "tpm": CALLS_PER_WINDOW * CAP, "window": f"{WINDOW_SECONDS}s"}
HELLO = [{"role": "user", "content": "Hello"}]


@pytest.fixture
def provider():
    """Refuses whatever goes beyond the limits."""
    server = Simulator("--dialect", "openai", "--rpm", str(LIMITS["rpm"]), "--tpm", str(LIMITS["tpm"]), "--window",
                       LIMITS["window"], "--limiter", "sliding", "--charge", "max-or-estimate")
    yield server
    server.stop()


@pytest.fixture
def shaper(provider):
    server = Weir(settings={
        "upstreams": [{"name": "account", "provider": "openai", "base_url": provider.origin + "/v1",
                       "api_key": "sk-provider", "limits": LIMITS}],
        "start_guard": "0s",
    })
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
