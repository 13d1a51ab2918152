"""A sidecar that goes through its team's gateway, both of them weir: the gateway shapes, the sidecar passes on."""

import concurrent.futures
import json

import httpx
import openai
import pytest
from conftest import MODEL
from harness import Weir, wait_until

HELLO = [{"role": "user", "content": "Hello"}]


def through(gateway_port: int, **account) -> dict:
    """An account of the provider 'weir'."""
    return {"name": "gateway", "provider": "weir", "base_url": f"http://127.0.0.1:{gateway_port}/v1", **account}


def call(port: int, headers: dict[str, str] | None = None) -> httpx.Response:
    return httpx.post(f"http://127.0.0.1:{port}/v1/chat/completions", json={"model": MODEL, "messages": HELLO},
                      headers=headers, timeout=30, trust_env=False)


@pytest.fixture
def gateway(simulator):
    account = {"name": "account", "base_url": simulator.origin + "/v1", "limits": {"rpm": 2, "window": "3s"}}
    server = Weir("--workers", "1", settings={"start_guard": "0s", "upstreams": [account]})
    yield server
    server.stop()


@pytest.fixture
def sidecar(gateway):
    server = Weir("--workers", "1", settings={"upstreams": [through(gateway.port)]})
    yield server
    server.stop()


def queue_of(server) -> list[dict]:
    return httpx.get(server.operator_origin + "/weir/queue", trust_env=False).json()["requests"]


def exchange(server, request_id: str) -> dict | None:
    """The line of its log about this request."""
    lines = [json.loads(line) for line in server.log().splitlines() if line.endswith("}") and request_id in line]
    return lines[0] if lines else None


def test_calls_wait_at_the_gateway_and_succeed(gateway, sidecar):
    with openai.OpenAI(base_url=sidecar.base_url, api_key="sk-story", max_retries=0) as client, \
            concurrent.futures.ThreadPoolExecutor(5) as pool:
        create = client.chat.completions.with_raw_response.create
        answers = [job.result() for job in [pool.submit(create, model=MODEL, messages=HELLO) for _ in range(5)]]
    assert [answer.headers["x-weir-attempts"] for answer in answers] == ["1"] * 5


def test_lane_priority_and_what_is_left_of_the_wait_are_passed_on(gateway, sidecar):
    for _ in range(2):
        assert call(sidecar.port).status_code == 200
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(call, sidecar.port, {"x-weir-lane": "agent-7", "x-weir-priority": "background"})
        seen = wait_until(lambda: queue_of(gateway), "it waits at the gateway")
        assert queue_of(sidecar) == []
        assert (seen[0]["lane"], seen[0]["priority"]) == ("lane:agent-7", "background")
        assert waiting.result().status_code == 200


def test_the_caller_sees_what_it_waited_in_both_lines(gateway, sidecar):
    for _ in range(2):
        assert call(sidecar.port).status_code == 200
    answer = call(sidecar.port, {"x-request-id": "patient"})
    assert answer.status_code == 200
    at_gateway, at_sidecar = (wait_until(lambda: exchange(server, "patient"), "it is in the log")
                              for server in (gateway, sidecar))
    assert at_gateway["queue_ms"] > 0
    assert at_sidecar["upstream_queue_ms"] == int(at_gateway["queue_ms"])
    assert int(answer.headers["x-weir-queue-ms"]) == at_sidecar["upstream_queue_ms"] + int(at_sidecar["queue_ms"])
    assert answer.headers["x-weir-upstream-request-id"] == at_gateway["upstream_request_id"]
    # And who was turned away after a wait sees that too.
    assert call(sidecar.port).status_code == 200
    refused = call(sidecar.port, {"x-weir-max-wait": "0.3"})
    assert refused.status_code == 429
    assert "x-weir-queue-ms" in refused.headers


def test_the_gateways_refusal_is_the_last_word(gateway, sidecar):
    for _ in range(2):
        assert call(sidecar.port).status_code == 200
    refused = call(sidecar.port, {"x-weir-max-wait": "0.3"})
    assert refused.status_code == 429
    assert refused.headers["x-weir-error"] == refused.json()["error"]["code"] == "weir_deadline"
    assert refused.headers["x-weir-attempts"] == "1"
    assert int(refused.headers["retry-after-ms"]) > 0
    assert refused.headers["x-should-retry"] == "true"
    # The account is not at fault: the next call, which may wait, goes at once to the gateway's queue and is served.
    assert call(sidecar.port).status_code == 200


def test_a_loop_is_refused(gateway):
    looping = Weir(settings={"upstreams": [through(gateway.port)]})
    gateway.write_settings({"upstreams": [through(looping.port)]})
    assert httpx.post(gateway.operator_origin + "/weir/reload", trust_env=False).json()["reloaded"]

    def refused():
        answer = call(looping.port)
        return answer if answer.status_code != 200 else None  # a worker may not have heard of the reload yet

    answer = wait_until(refused, "the loop is noticed")
    assert answer.status_code == 508
    assert answer.headers["x-weir-error"] == answer.json()["error"]["code"] == "weir_loop"
    assert answer.headers["x-should-retry"] == "false"
    looping.stop()
