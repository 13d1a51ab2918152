"""A limit that weir is not told: learned from the provider's refusals, seen by operators, not by callers."""

import concurrent.futures

import httpx
import openai
import pytest
from harness import Simulator, Weir

HELLO = [{"role": "user", "content": "Hello"}]


def learned(server) -> list[dict]:
    upstreams = httpx.get(server.operator_origin + "/weir/upstreams", trust_env=False).json()["upstreams"]
    return [each for upstream in upstreams for each in upstream.get("learned", [])]


@pytest.mark.parametrize(("dialect", "source"), [("openai", "body"), ("deepseek", "outcome"), ("ark", "body")])
def test_a_concurrency_that_nobody_told_is_learned_without_a_failure(dialect, source):
    simulator = Simulator("--concurrency", "3", "--dialect", dialect, "--ttft", "50ms")
    server = Weir("--upstream", simulator.origin)
    with openai.OpenAI(base_url=server.base_url, api_key="sk-learned", max_retries=0, timeout=120) as client:
        def one(_):
            return client.chat.completions.create(model="m", messages=HELLO).choices[0].message.content

        with concurrent.futures.ThreadPoolExecutor(12) as pool:
            assert all(pool.map(one, range(96)))
    found = [each for each in learned(server) if each["meter"] == "concurrency"]
    assert found, learned(server)
    assert found[0]["source"] == source
    assert 1 <= found[0]["limit"] <= 4
    assert found[0]["expires_in_ms"] > 0
    metrics = httpx.get(server.operator_origin + "/metrics", trust_env=False).text
    assert 'meter="concurrency",source="%s"' % source in metrics
    server.stop()
    simulator.stop()


def test_a_limit_configured_too_large_is_tightened_by_the_providers_headers():
    simulator = Simulator("--tpm", "2000")
    server = Weir("--upstream", simulator.origin, "--tpm", "1000000")
    with openai.OpenAI(base_url=server.base_url, api_key="sk-learned", max_retries=0) as client:
        client.chat.completions.create(model="m", messages=HELLO, max_tokens=10)
    found = {each["meter"]: each for each in learned(server)}
    assert found["tpm"]["limit"] == 2000
    assert found["tpm"]["source"] == "header"
    server.stop()
    simulator.stop()
