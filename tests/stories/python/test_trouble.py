"""Providers in trouble, as openai-python and LangChain see them through weir: the stories of ../trouble.json.

All are told at once, each SDK and form on an account of its own, so that a pause of one account holds up nobody else.
"""

import asyncio
import dataclasses
import json
import pathlib
import re
import time

import openai
import pytest
from langchain_openai import ChatOpenAI

from harness import Weir, free_port, wait_until

TABLE = json.loads((pathlib.Path(__file__).parents[1] / "trouble.json").read_text())
CLIENTS = ["openai", "langchain"]


@dataclasses.dataclass
class Case:
    story: dict
    client: str
    streams: bool

    @property
    def account(self) -> str:
        """Also the model's name."""
        return f"story-{TABLE['stories'].index(self.story)}-{self.client}-{'stream' if self.streams else 'whole'}"

    def expected(self, field: str, default):
        return self.story.get("but", {}).get(self.client, {}).get(field, self.story.get(field, default))

    def headers(self) -> dict[str, str]:
        headers = {"x-sim-scenario": self.account}
        for name, value in self.story["headers"].items():
            headers[name.removeprefix("weir:") if name.startswith("weir:") else "x-sim-" + name] = value
        return headers


@dataclasses.dataclass
class Seen:
    text: str = ""
    error: Exception | None = None
    seconds: float = 0


CASES = [
    Case(story, client, streams)
    for story in TABLE["stories"] for client in CLIENTS for streams in (False, True)
    if story.get("form", "stream" if streams else "whole") == ("stream" if streams else "whole")
]


def configuration(simulator) -> dict:
    def upstream(case: Case, name: str, base_url: str) -> dict:
        return {"name": name, "provider": case.story.get("provider", "generic"), "api_key": "sk-simulated",
                "base_url": base_url, "timeouts": TABLE["timeouts"]}

    upstreams, models = [], []
    for case in CASES:
        spare = case.account + "-spare"
        if case.story.get("spare"):
            upstreams.append(upstream(case, case.account, f"http://127.0.0.1:{free_port()}"))
            upstreams.append(upstream(case, spare, simulator.origin))
            models.append({"name": case.account, "upstreams": [{"name": case.account}, {"name": spare, "order": 2}]})
        else:
            upstreams.append(upstream(case, case.account, simulator.origin))
            models.append({"name": case.account, "upstreams": [case.account]})
    return TABLE["settings"] | {"version": 1, "upstreams": upstreams, "models": models}


async def pieces(case: Case, base_url: str):
    """What the SDK gives its caller, in its default settings."""
    retries = case.expected("max_retries", None)
    common = {"base_url": base_url, "api_key": "sk-story", "default_headers": case.headers()}
    if retries is not None:
        common["max_retries"] = retries
    if case.client == "langchain":
        model = ChatOpenAI(model=case.account, **common)
        if case.streams:
            async for chunk in model.astream("Hello"):
                yield chunk.text
        else:
            yield (await model.ainvoke("Hello")).text
        return
    client = openai.AsyncOpenAI(**common)
    answer = await client.chat.completions.create(
        model=case.account, messages=[{"role": "user", "content": "Hello"}], stream=case.streams)
    if not case.streams:
        yield answer.choices[0].message.content
        return
    async for chunk in answer:
        yield "".join(choice.delta.content or "" for choice in chunk.choices)


async def tell(case: Case, base_url: str) -> Seen:
    seen, began = Seen(), time.monotonic()
    try:
        async for piece in pieces(case, base_url):
            seen.text += piece
    except Exception as error:  # noqa: BLE001: whatever the SDK raises is what its caller sees
        seen.error = error
    seen.seconds = time.monotonic() - began
    return seen


@pytest.fixture(scope="module")
def told(simulator):
    """What each case came to, and what weir wrote about it."""
    server = Weir(settings=configuration(simulator))

    async def tell_all():
        return await asyncio.gather(*(tell(case, server.base_url) for case in CASES))

    seen = asyncio.run(tell_all())
    exchanges: dict[str, list[dict]] = {}

    def logged():
        exchanges.clear()
        for line in server.log().splitlines():
            if '"event":"exchange"' in line:
                record = json.loads(line)
                exchanges.setdefault(record["model"], []).append(record)
        return all(len(exchanges.get(case.account, [])) >= case.expected("exchanges", 1) for case in CASES)

    wait_until(logged, "the log has all stories")
    server.stop()
    return {case.account: (outcome, exchanges[case.account]) for case, outcome in zip(CASES, seen)}


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.story['name']}, {case.client}, {'streamed' if case.streams else 'whole'}")
def test_the_caller_sees(case, told):
    seen, exchanges = told[case.account]
    sees = case.expected("sees", None)
    if sees == "answer":
        assert seen.error is None
        assert seen.text.startswith("one two three")
    else:
        assert isinstance(seen.error, openai.APIError), repr(seen.error)
        if "status" in sees:
            assert seen.error.status_code == sees["status"]
        if "code" in sees:
            assert re.fullmatch(sees["code"], seen.error.code)
        assert bool(seen.text) == sees.get("text", False)
    assert seen.seconds * 1000 >= case.expected("least_ms", 0)
    assert sum(exchange["attempts"] for exchange in exchanges) == case.expected("calls", None), exchanges
    assert len(exchanges) == case.expected("exchanges", 1), exchanges
