"""Every client of Python × what each of them has to manage through weir: the table of docs/coverage.md. Clients are in
their defaults; what only one of them does is told in its own file. The other half is ../node/every-client.test.mjs."""

import asyncio
import contextlib

import anthropic
import httpx
import openai
import pytest
from conftest import MODEL
from harness import CountingRelay, wait_until
from langchain_openai import ChatOpenAI
from test_openai import sim


class OpenAi:
    unauthorized, not_found = openai.AuthenticationError, openai.NotFoundError
    # Its reader of streams leaves at [DONE], before the last chunk of the body, and closes the connection.
    reads_to_the_end = False

    def __init__(self, origin: str, key: str, headers: dict[str, str]):
        self.sdk = openai.OpenAI(base_url=origin + "/v1", api_key=key, default_headers=headers)

    @staticmethod
    def request(prompt: str, model: str) -> dict:
        return {"model": model, "messages": [{"role": "user", "content": prompt}]}

    async def answer(self, prompt: str, model: str = MODEL) -> str:
        return self.sdk.chat.completions.create(**self.request(prompt, model)).choices[0].message.content

    async def pieces(self, prompt: str, model: str = MODEL):
        with self.sdk.chat.completions.create(**self.request(prompt, model), stream=True) as stream:
            for chunk in stream:
                yield chunk.choices[0].delta.content or ""


class AsyncOpenAi(OpenAi):
    def __init__(self, origin: str, key: str, headers: dict[str, str]):
        self.sdk = openai.AsyncOpenAI(base_url=origin + "/v1", api_key=key, default_headers=headers)

    async def answer(self, prompt: str, model: str = MODEL) -> str:
        return (await self.sdk.chat.completions.create(**self.request(prompt, model))).choices[0].message.content

    async def pieces(self, prompt: str, model: str = MODEL):
        async with await self.sdk.chat.completions.create(**self.request(prompt, model), stream=True) as stream:
            async for chunk in stream:
                yield chunk.choices[0].delta.content or ""


class LangChain:
    unauthorized, not_found = openai.AuthenticationError, openai.NotFoundError
    reads_to_the_end = False  # as the SDK below it

    def __init__(self, origin: str, key: str, headers: dict[str, str]):
        self.chat = ChatOpenAI(model=MODEL, base_url=origin + "/v1", api_key=key, default_headers=headers)

    async def answer(self, prompt: str, model: str = MODEL) -> str:
        return self.chat.invoke(prompt, model=model).text

    async def pieces(self, prompt: str, model: str = MODEL):
        with contextlib.closing(self.chat.stream(prompt, model=model)) as stream:
            for chunk in stream:
                yield chunk.text


class AsyncLangChain(LangChain):
    async def answer(self, prompt: str, model: str = MODEL) -> str:
        return (await self.chat.ainvoke(prompt, model=model)).text

    async def pieces(self, prompt: str, model: str = MODEL):
        async with contextlib.aclosing(self.chat.astream(prompt, model=model)) as stream:
            async for chunk in stream:
                yield chunk.text


class Anthropic:
    unauthorized, not_found = anthropic.AuthenticationError, anthropic.NotFoundError
    reads_to_the_end = True

    def __init__(self, origin: str, key: str, headers: dict[str, str]):
        self.sdk = anthropic.Anthropic(base_url=origin, api_key=key, default_headers=headers)

    @staticmethod
    def request(prompt: str, model: str) -> dict:
        return {"model": model, "max_tokens": 8000, "messages": [{"role": "user", "content": prompt}]}

    async def answer(self, prompt: str, model: str = MODEL) -> str:
        return self.sdk.messages.create(**self.request(prompt, model)).content[0].text

    async def pieces(self, prompt: str, model: str = MODEL):
        with self.sdk.messages.create(**self.request(prompt, model), stream=True) as stream:
            for event in stream:
                if event.type == "content_block_delta":
                    yield event.delta.text


class AsyncAnthropic(Anthropic):
    def __init__(self, origin: str, key: str, headers: dict[str, str]):
        self.sdk = anthropic.AsyncAnthropic(base_url=origin, api_key=key, default_headers=headers)

    async def answer(self, prompt: str, model: str = MODEL) -> str:
        return (await self.sdk.messages.create(**self.request(prompt, model))).content[0].text

    async def pieces(self, prompt: str, model: str = MODEL):
        async with await self.sdk.messages.create(**self.request(prompt, model), stream=True) as stream:
            async for event in stream:
                if event.type == "content_block_delta":
                    yield event.delta.text


CLIENTS = {
    "openai": OpenAi,
    "openai-async": AsyncOpenAi,
    "langchain": LangChain,
    "langchain-async": AsyncLangChain,
    "anthropic": Anthropic,
    "anthropic-async": AsyncAnthropic,
}


@pytest.fixture(params=CLIENTS.values(), ids=CLIENTS.keys())
def sdk(request):
    return request.param


@pytest.fixture
def client(sdk, weir):
    return lambda **headers: sdk(weir.origin, "sk-story", sim(**headers))


async def text_of(pieces) -> str:
    return "".join([piece async for piece in pieces])


async def test_every_client_reads_an_answer_and_a_stream_that_say_the_same(client):
    caller = client(output_tokens=30)
    whole = await caller.answer("Hello")
    assert whole
    assert await text_of(caller.pieces("Hello")) == whole


async def test_every_client_that_leaves_a_stream_ends_the_providers_work(client, simulator):
    before = simulator.disconnects()
    # Ten minutes of tokens, were anybody to wait for them.
    async with contextlib.aclosing(client(output_tokens=6000, tokens_per_second=10).pieces("Hello")) as pieces:
        async for piece in pieces:
            if piece:
                break
    await asyncio.to_thread(wait_until, lambda: simulator.disconnects() > before, "the provider saw its client leave")


async def test_every_client_keeps_its_connection(sdk, team):
    relay = CountingRelay(team.server.port)
    caller = sdk(relay.origin, team.alice, {})
    rounds = 3
    for _ in range(rounds):
        assert await caller.answer("Hello")
        with pytest.raises(sdk.not_found):
            await caller.answer("Hello", "gone")
        assert await text_of(caller.pieces("Hello"))
    assert relay.connections == (1 if sdk.reads_to_the_end else rounds)
    relay.close()


async def test_every_client_brings_a_megabyte_and_hears_it_back(client, simulator):
    prompt = "wässer under the bridge " * (1024 * 1024 // 25 + 1)
    assert len(prompt.encode()) > 1024 * 1024
    answer = await client().answer("echo: " + prompt)
    body = httpx.get(simulator.origin + "/__last/body", trust_env=False).json()
    assert body["messages"][0]["content"] == "echo: " + prompt
    # Anthropic's SDK asks for no longer answer than it would wait for.
    assert answer == prompt if "max_tokens" not in body else prompt.startswith(answer) and len(answer) > 40_000


@pytest.mark.parametrize("form", ["whole", "streamed"])
async def test_every_client_raises_its_own_error_for_an_unknown_key(sdk, team, form):
    stranger = sdk(team.server.origin, "sk-nobody", {})
    with pytest.raises(sdk.unauthorized) as caught:
        await (stranger.answer("Hello") if form == "whole" else text_of(stranger.pieces("Hello")))
    assert caught.value.response.headers["x-weir-error"] == "invalid_api_key"
    assert "key" in caught.value.message


@pytest.mark.parametrize("form", ["whole", "streamed"])
async def test_every_client_raises_its_own_error_for_an_unknown_model(sdk, team, form):
    caller = sdk(team.server.origin, team.alice, {})
    with pytest.raises(sdk.not_found) as caught:
        await (caller.answer("Hello", "gone") if form == "whole" else text_of(caller.pieces("Hello", "gone")))
    assert caught.value.response.headers["x-weir-error"] == "model_not_found"
    assert "gone" in caught.value.message
