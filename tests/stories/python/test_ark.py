"""Volcengine Ark as openai-python sees it through weir: usage that runs along, and calls that are counted by the day."""

import httpx
import openai
import pytest
from harness import Simulator, Weir, wait_until

MODEL = "deepseek-r1-250528"
HELLO = [{"role": "user", "content": "Hello"}]
USAGE = {"input": 8, "output": 60}  # as the simulated provider counts them


@pytest.fixture(scope="module")
def ark():
    server = Simulator("--dialect", "ark", "--charge", "input-then-output")
    yield server
    server.stop()


@pytest.fixture
def server(ark):
    account = {"name": "ark-1", "provider": "volcengine-ark", "base_url": ark.origin, "api_key": "sk-ark",
               "limits": {"tpm": 5_000_000, "rpm": 30_000}}
    weir = Weir(settings={"upstreams": [account], "models": [{"name": MODEL, "upstreams": ["ark-1"]}],
                          "start_guard": "0s"})
    yield weir
    weir.stop()


def used(server: Weir, account: str, meter: str) -> int:
    budgets = httpx.get(server.operator_origin + "/weir/budgets", trust_env=False).json()["budgets"]
    return next(each["meters"][meter]["used"] for each in budgets if each["name"] == account)


def slowly(tokens: int) -> dict[str, str]:
    return {"x-sim-tokens-per-second": "20", "x-sim-output-tokens": str(tokens), "x-sim-reasoning-tokens": "0"}


def test_the_books_follow_a_stream_while_it_runs_and_the_caller_sees_no_usage(ark, server):
    with openai.OpenAI(base_url=server.base_url, api_key="sk-story", max_retries=0) as client:
        stream = client.chat.completions.create(model=MODEL, messages=HELLO, stream=True,
                                                extra_headers=slowly(USAGE["output"]))
        chunks = [next(stream)]
        # The input as the provider counts it, and some of the output: after the first word only the input is known.
        wait_until(lambda: used(server, "ark-1", "tpm") > USAGE["input"] + 5, "the budget counts what has come")
        assert used(server, "ark-1", "tpm") < sum(USAGE.values())
        asked = httpx.get(ark.origin + "/__last/body", trust_env=False).json()
        assert asked["stream_options"] == {"include_usage": True, "chunk_include_usage": True}
        chunks += stream
    assert all(chunk.usage is None and chunk.choices for chunk in chunks)
    wait_until(lambda: used(server, "ark-1", "tpm") == sum(USAGE.values()), "the call is settled with its usage")


def test_running_usage_that_was_asked_for_is_in_every_chunk(server):
    options = {"include_usage": True, "chunk_include_usage": True}
    with openai.OpenAI(base_url=server.base_url, api_key="sk-story", max_retries=0) as client:
        chunks = list(client.chat.completions.create(model=MODEL, messages=HELLO, stream=True, stream_options=options,
                                                     extra_headers={"x-sim-output-tokens": "9"}))
    told = [chunk.usage.completion_tokens for chunk in chunks]
    assert told == sorted(told) and told[-1] > told[0]
    assert chunks[-1].choices == []


def test_batch_calls_are_counted_by_the_day_and_spend_nothing_of_the_tier(ark, server):
    # Ark's batch chat is the chat on a path of its own.
    with openai.OpenAI(base_url=server.origin + "/api/v3/batch", api_key="sk-story", max_retries=0) as client:
        answer = client.chat.completions.create(model=MODEL, messages=HELLO)
    assert answer.choices[0].message.content
    assert used(server, "ark-1/batch", "tpd") == answer.usage.total_tokens
    assert (used(server, "ark-1", "tpm"), used(server, "ark-1", "rpm")) == (0, 0)
    target = httpx.get(ark.origin + "/__last", trust_env=False).json()["target"]
    assert target == "/api/v3/batch/chat/completions"
