"""What a restart knows of the minute before it: the file of state_file, and what holds without one."""

import json
import signal
import time

import httpx
import openai
import pytest
from conftest import MODEL
from harness import Weir, wait_until

HELLO = [{"role": "user", "content": "Hello"}]
WINDOW_SECONDS = 10


class Instance(Weir):
    """weir with two requests a window; 'upstream' counts them."""

    def __init__(self, provider, folder, **settings):
        super().__init__("--workers", "1", settings={
            "upstreams": [{"name": "account", "base_url": provider.base_url,
                           "limits": {"rpm": 2, "window": f"{WINDOW_SECONDS}s"}}],
            "state_file": str(folder / "state"), "shutdown": {"drain": "1s"}, **settings,
        })

    def call(self) -> tuple[float, int]:
        """When it was answered, and how long it had to wait for its turn, in milliseconds."""
        with openai.OpenAI(base_url=self.base_url, api_key="sk-story", max_retries=0) as client:
            answer = client.chat.completions.with_raw_response.create(model=MODEL, messages=HELLO)
        return time.monotonic(), int(answer.headers["x-weir-queue-ms"])

    def used(self) -> int:
        budgets = httpx.get(self.operator_origin + "/weir/budgets", trust_env=False).json()["budgets"]
        return sum(b["meters"]["rpm"]["used"] for b in budgets if b["scope"] == "upstream")

    def kill(self):
        self.send_signal(signal.SIGKILL)
        self._process.wait()


def state(folder) -> dict:
    return json.loads((folder / "state").read_text())


def requests_in(folder) -> int:
    upstreams = [b for b in state(folder)["budgets"] if b["scope"] == "upstream"]
    return sum(amount for budget in upstreams for _, amount in budget["charges"]["rpm"])


def test_a_restart_goes_on_counting(held_provider, tmp_path):
    first = Instance(held_provider, tmp_path, start_guard="0s")
    began, _ = first.call()
    first.call()
    first.stop()
    assert state(tmp_path)["complete"] is True

    second = Instance(held_provider, tmp_path, start_guard="0s")
    assert second.used() == 2
    answered, waited = second.call()
    assert waited > 0
    assert answered - began >= WINDOW_SECONDS, "the first two calls still counted"
    assert "budgets restored as they stood" in second.log()
    second.stop()


def test_a_crash_forgets_five_seconds_at_most(held_provider, tmp_path):
    first = Instance(held_provider, tmp_path, start_guard="0s")
    began, _ = first.call()
    first.call()
    wait_until(lambda: requests_in(tmp_path) == 2, "the calls are in the file", 10)
    assert state(tmp_path)["complete"] is False
    first.kill()

    second = Instance(held_provider, tmp_path, start_guard="0s")
    assert "did not end in order" in second.log()
    answered, _ = second.call()
    assert answered - began >= WINDOW_SECONDS
    second.stop()


@pytest.mark.parametrize("text", [None, "", "no state at all"], ids=["none", "empty", "nonsense"])
def test_without_knowledge_the_limits_count_as_used_up_for_a_while(held_provider, tmp_path, text):
    if text is not None:
        (tmp_path / "state").write_text(text)
    began = time.monotonic()
    server = Instance(held_provider, tmp_path, start_guard="2s")
    if text is not None:
        assert f"state_file {tmp_path}/state: not restored: " in server.log()
    assert "start_guard: the limits of upstreams count as used up for 2s" in server.log()
    answered, waited = server.call()
    assert waited > 0
    assert 2 <= answered - began < 2 + WINDOW_SECONDS / 2
    # The bad file is replaced by a good one.
    assert state(tmp_path)["schema"] == 1
    server.stop()


def test_a_file_that_cannot_be_written_is_said_once(held_provider, tmp_path):
    folder = tmp_path / "lost"
    folder.mkdir()
    server = Instance(held_provider, tmp_path, state_file=str(folder / "state"), start_guard="0s")
    server.call()
    wait_until((folder / "state").exists, "the file is there")
    folder.rename(tmp_path / "away")
    wait_until(lambda: "state_file not written: " in server.log(), "the log says so")
    folder.mkdir()
    wait_until((folder / "state").exists, "the file is there again")
    server.stop()
    assert server.log().count("state_file not written: ") == 1
    assert server.log().count("written again") == 1
