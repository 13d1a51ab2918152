"""Ending weir by signals while somebody listens, waits, or has not noticed yet."""

import signal
import threading

import httpx
import openai
import pytest
from conftest import MODEL, text_of
from harness import Weir, wait_until

HELLO = [{"role": "user", "content": "Hello"}]


class Listening:
    """A client in the middle of its stream, with the second half still to come."""

    def __init__(self, provider, *flags):
        self.server = Weir("--upstream", provider.base_url, *flags)
        self.client = openai.OpenAI(base_url=self.server.base_url, api_key="sk-story", max_retries=0)
        self.stream = iter(self.client.chat.completions.create(model=MODEL, messages=HELLO, stream=True))
        assert text_of(next(self.stream)) == "before "

    def wait_until_new_clients_are_turned_away(self):
        def refused():
            try:
                httpx.get(self.server.origin + "/healthz", trust_env=False)
            except httpx.TransportError:
                return True
            return False

        wait_until(refused, "weir takes no new connections")

    def hears_of_the_shutdown(self):
        with pytest.raises(openai.APIError) as caught:
            list(self.stream)
        assert caught.value.code == "weir_shutting_down"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_a_signal_lets_streams_finish(held_provider, number):
    listening = Listening(held_provider)
    listening.server.send_signal(number)
    listening.wait_until_new_clients_are_turned_away()
    held_provider.go_on.set()
    assert "".join(map(text_of, listening.stream)) == "after"
    listening.server.wait_until_ended()  # with status 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_a_second_signal_insists(held_provider, number):
    listening = Listening(held_provider)
    listening.server.send_signal(number)
    listening.wait_until_new_clients_are_turned_away()
    listening.server.send_signal(number)
    listening.hears_of_the_shutdown()
    listening.server.wait_until_ended()


def test_streams_that_do_not_finish_in_time_are_told(held_provider, tmp_path):
    config = tmp_path / "weir.yaml"
    config.write_text("shutdown: {drain: 1s}\n")
    listening = Listening(held_provider, "--config", str(config))
    listening.server.send_signal(signal.SIGTERM)
    listening.hears_of_the_shutdown()
    listening.server.wait_until_ended()


def test_an_announced_shutdown_is_seen_at_once_and_serves_until_it_begins(held_provider, tmp_path):
    config = tmp_path / "weir.yaml"
    config.write_text("shutdown: {announce: 1h}\n")  # until the second signal
    listening = Listening(held_provider, "--config", str(config))
    server = listening.server
    server.send_signal(signal.SIGTERM)
    wait_until(lambda: httpx.get(server.origin + "/readyz", trust_env=False).status_code == 503, "/readyz says no")
    assert httpx.get(server.operator_origin + "/readyz", trust_env=False).text == "shutting down\n"
    assert httpx.get(server.origin + "/healthz", trust_env=False).status_code == 200
    # A load balancer that has not looked yet sends this one.
    assert listening.client.chat.completions.create(model=MODEL, messages=HELLO).choices[0].message.content == "now"
    server.send_signal(signal.SIGTERM)
    listening.hears_of_the_shutdown()
    server.wait_until_ended()


def test_waiting_calls_are_sent_away_when_the_shutdown_begins(held_provider, tmp_path):
    config = tmp_path / "weir.yaml"
    config.write_text("start_guard: 0s\n")
    listening = Listening(held_provider, "--config", str(config), "--concurrency", "1")
    server, outcome = listening.server, []

    def wait_in_line():
        try:
            listening.client.chat.completions.create(model=MODEL, messages=HELLO)
        except openai.APIStatusError as error:
            outcome.append((error.status_code, error.code, error.response.headers["retry-after"]))

    waiting = threading.Thread(target=wait_in_line)
    waiting.start()
    wait_until(lambda: httpx.get(server.operator_origin + "/weir/queue", trust_env=False).json()["waiting"] == 1,
               "the call waits in line")
    server.send_signal(signal.SIGTERM)
    waiting.join(timeout=30)
    assert outcome == [(503, "weir_shutting_down", "1")]
    # The stream that holds the place is left to finish.
    held_provider.go_on.set()
    assert "".join(map(text_of, listening.stream)) == "after"
    server.wait_until_ended()
