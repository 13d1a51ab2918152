"""What a Prometheus reads, after calls of the real SDK."""

import shutil
import subprocess

import httpx
import openai
from conftest import MODEL
from harness import Weir, wait_until

HELLO = [{"role": "user", "content": "Hello"}]
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def scrape(server: Weir) -> str:
    answer = httpx.get(server.operator_origin + "/metrics", trust_env=False)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    return answer.text


def value(text: str, name: str, **labels: str) -> float:
    """The sum of the samples of this name that have these labels."""
    found = [line for line in text.splitlines() if line.startswith((name + "{", name + " "))]
    chosen = [line for line in found if all(f'{label}="{wanted}"' in line for label, wanted in labels.items())]
    return sum(float(line.rsplit(" ", 1)[1]) for line in chosen)


def test_calls_are_counted_where_prometheus_reads_them(simulator):
    server = Weir("--upstream", simulator.origin)
    with openai.OpenAI(base_url=server.base_url, api_key="sk-story", max_retries=0) as client:
        answered = client.chat.completions.create(model=MODEL, messages=HELLO)
        stream = client.chat.completions.create(model=MODEL, messages=HELLO, stream=True,
                                                extra_headers={"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"})
        assert value(scrape(server), "weir_streams_open") in (0, 1)
        for _ in stream:
            pass
        # The end of an exchange is noted after its last byte was sent.
        wait_until(lambda: value(scrape(server), "weir_requests_total", outcome="ok", model=MODEL) == 2, "both count")
    text = scrape(server)
    assert value(text, "weir_tokens_total", kind="input") == 2 * answered.usage.prompt_tokens
    assert value(text, "weir_upstream_responses_total", status="200") == 2
    assert value(text, "weir_time_to_first_content_seconds_count") == 2
    assert value(text, "weir_streams_open") == 0
    assert "sk-story" not in text
    if promtool := shutil.which("promtool"):
        checked = subprocess.run([promtool, "check", "metrics"], input=text, text=True, capture_output=True, check=False)
        assert checked.returncode == 0, checked.stderr + checked.stdout
    server.stop()
    assert server.log().count(TRACE) == 1
