"""Reloading while somebody listens: a stream goes on, new calls follow the new file, and a bad file changes nothing."""

import json
import os
import signal

import httpx
import openai
import pytest
from conftest import MODEL, text_of
from harness import Weir, wait_until

HELLO = [{"role": "user", "content": "Hello"}]


class Operated:
    """weir on a file that the story rewrites. Which account took a call shows in its header x-weir-upstream."""

    def __init__(self, provider, folder, way):
        self._provider = provider
        self._file = folder / "weir.yaml"
        self._way = way
        self.write("first")
        watch = ["--watch"] if way == "watch" else []
        self.server = Weir("--config", str(self._file), "--workers", "2", *watch)
        self._outcomes_seen = 0
        self.client = openai.OpenAI(base_url=self.server.base_url, api_key="sk-story", max_retries=0)

    def write(self, account: str):
        # JSON is YAML.
        self._replace(json.dumps({"upstreams": [{"name": account, "base_url": self._provider.base_url}]}))

    def spoil(self) -> str:
        """A file with a spelling mistake; gives what weir has to say of it."""
        self._replace(f"upstreams: [{{name: second, base_url: \"{self._provider.base_url}\"}}]\n"
                      "queue:\n  wait_mx: 5s\n")
        return f"{self._file}:3:3: queue.wait_mx: unknown key (did you mean 'wait_max'?)"

    def _replace(self, text: str):
        """In one step: whoever watches the file sees the old one or the new one."""
        new = self._file.with_suffix(".new")
        new.write_text(text)
        os.replace(new, self._file)

    def reload(self) -> httpx.Response | None:
        """Reloads, or waits until weir has done so by itself; gives the answer when there is one."""
        answer = None
        if self._way == "request":
            answer = self.reload_by_request()
        elif self._way == "signal":
            self.server.send_signal(signal.SIGHUP)
        wait_until(lambda: self._outcomes() > self._outcomes_seen, "the log says how the reload went")
        self._outcomes_seen = self._outcomes()
        return answer

    def reload_by_request(self) -> httpx.Response:
        return httpx.post(self.server.operator_origin + "/weir/reload", trust_env=False)

    def _outcomes(self) -> int:
        log = self.server.log()
        return log.count("configuration reloaded") + log.count("configuration not reloaded")

    def account_of_a_new_call(self) -> str:
        answer = self.client.chat.completions.with_raw_response.create(model=MODEL, messages=HELLO)
        return answer.headers["x-weir-upstream"]

    def stream(self):
        return self.client.chat.completions.create(model=MODEL, messages=HELLO, stream=True)


@pytest.fixture(params=["signal", "request", "watch"])
def operated(request, held_provider, tmp_path):
    made = Operated(held_provider, tmp_path, request.param)
    with made.client:
        yield made
    made.server.stop()


def test_a_stream_outlives_a_reload(operated, held_provider):
    stream = iter(operated.stream())
    assert text_of(next(stream)) == "before "
    operated.write("second")
    answer = operated.reload()
    if answer is not None:
        assert (answer.status_code, answer.json()) == (200, {"schema": 1, "reloaded": True})
    # Workers learn of it by a message each; with two of them, one may be a moment behind.
    wait_until(lambda: operated.account_of_a_new_call() == "second", "new calls go to the new account")
    held_provider.go_on.set()
    rest = list(stream)
    assert "".join(map(text_of, rest)) == "after"
    assert rest[-1].choices[0].finish_reason == "stop"


def test_a_bad_file_at_reload_changes_nothing_and_says_why(operated, held_provider):
    stream = iter(operated.stream())
    assert text_of(next(stream)) == "before "
    problem = operated.spoil()
    answer = operated.reload()
    if answer is not None:
        assert (answer.status_code, answer.json()) == (422, {"schema": 1, "reloaded": False, "problem": problem})
    # Logs are JSON where there is no terminal.
    wait_until(lambda: json.dumps(problem)[1:-1] in operated.server.log(), "the log says why")
    for _ in range(10):
        assert operated.account_of_a_new_call() == "first"
    held_provider.go_on.set()
    assert "".join(map(text_of, stream)) == "after"
    # And once the mistake is mended, the same server takes the file.
    operated.write("second")
    assert operated.reload_by_request().status_code == 200
    wait_until(lambda: operated.account_of_a_new_call() == "second", "new calls go to the new account")
