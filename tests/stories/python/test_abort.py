"""Callers that give up, with openai-python and LangChain: whatever their call was doing, nothing of it goes on."""

import asyncio
import json

import httpx
import openai
import pytest
from langchain_openai import ChatOpenAI

from harness import Weir, wait_until

CLIENTS = ["openai", "langchain"]
STATES = ["queued", "backing-off", "streaming"]
SLOW = {"x-sim-tokens-per-second": "20", "x-sim-output-tokens": "2000"}


def account(client: str, state: str) -> str:
    """Also the model's name: each case has an account of its own, with one call at a time."""
    return f"{client}-{state}"


@pytest.fixture(scope="module")
def server(simulator):
    names = [account(client, state) for client in CLIENTS for state in STATES]
    weir = Weir(settings={
        "version": 1,
        "upstreams": [{"name": name, "provider": "generic", "api_key": "sk-simulated", "base_url": simulator.origin,
                       "limits": {"concurrency": 1}} for name in names],
        "models": [{"name": name, "upstreams": [name]} for name in names],
    })
    yield weir
    weir.stop()


def ask_operators(server: Weir, path: str) -> dict:
    return httpx.get(server.operator_origin + path, trust_env=False).json()


def waiting(server: Weir) -> int:
    return ask_operators(server, "/weir/queue")["waiting"]


def taken(server: Weir, name: str) -> int:
    """How many calls the account has, by its books."""
    budgets = ask_operators(server, "/weir/budgets")["budgets"]
    return next(budget["meters"]["concurrency"]["used"] for budget in budgets
                if budget["scope"] == "upstream" and budget["name"] == name)


def exchanges(server: Weir, model: str) -> list[dict]:
    records = [json.loads(line) for line in server.log().splitlines() if '"event":"exchange"' in line]
    return [record for record in records if record["model"] == model]


async def call(client: str, server: Weir, model: str, headers: dict[str, str], spoke: asyncio.Event):
    """A streamed call that says when it hears the first word."""
    common = {"base_url": server.base_url, "api_key": "sk-story", "default_headers": headers}
    if client == "langchain":
        async for chunk in ChatOpenAI(model=model, **common).astream("Hello"):
            if chunk.text:
                spoke.set()
        return
    stream = await openai.AsyncOpenAI(**common).chat.completions.create(
        model=model, messages=[{"role": "user", "content": "Hello"}], stream=True)
    async for chunk in stream:
        if chunk.choices and chunk.choices[0].delta.content:
            spoke.set()


async def abort_once(client: str, server: Weir, model: str, headers: dict[str, str], reached):
    """Starts a call and gives it up when `reached` (which may block) has returned."""
    spoke = asyncio.Event()
    task = asyncio.create_task(call(client, server, model, headers, spoke))
    if reached:
        await asyncio.to_thread(reached)
    else:
        await asyncio.wait_for(spoke.wait(), 30)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def abort(*arguments):
    asyncio.run(abort_once(*arguments))


def check_that_nothing_goes_on(server: Weir, name: str, attempts: int):
    wait_until(lambda: exchanges(server, name), "the call is in the log")
    record = exchanges(server, name)[0]
    assert (record["outcome"], record["attempts"]) == ("client_left", attempts)
    wait_until(lambda: waiting(server) == 0 and taken(server, name) == 0, "the books say nothing is under way")


@pytest.mark.parametrize("client", CLIENTS)
def test_a_queued_call_that_is_given_up_is_never_sent(client, server):
    name = account(client, "queued")
    messages = {"model": name, "stream": True, "messages": [{"role": "user", "content": "Hello"}]}
    with httpx.stream("POST", server.base_url + "/chat/completions", json=messages, headers=SLOW, trust_env=False) as other:
        said = other.iter_raw()  # kept: a generator that is let go closes the stream
        next(said)
        abort(client, server, name, {}, lambda: wait_until(lambda: waiting(server) == 1, "the call waits"))
        wait_until(lambda: waiting(server) == 0, "it waits no more")
        assert taken(server, name) == 1  # the other one's
    check_that_nothing_goes_on(server, name, attempts=0)


@pytest.mark.parametrize("client", CLIENTS)
def test_a_call_that_backs_off_and_is_given_up_is_not_tried_again(client, server):
    name = account(client, "backing-off")
    headers = {"x-sim-scenario": name, "x-sim-status": "503", "x-sim-retry-after": "60"}
    abort(client, server, name, headers, lambda: wait_until(lambda: waiting(server) == 1, "the call backs off"))
    check_that_nothing_goes_on(server, name, attempts=1)


@pytest.mark.parametrize("client", CLIENTS)
def test_a_stream_that_is_given_up_ends_the_providers_work(client, server, simulator):
    name = account(client, "streaming")
    before = simulator.disconnects()
    abort(client, server, name, SLOW, None)
    wait_until(lambda: simulator.disconnects() == before + 1, "the provider sees the caller leave")
    check_that_nothing_goes_on(server, name, attempts=1)
