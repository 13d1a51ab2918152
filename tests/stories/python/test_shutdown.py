"""Ending weir by signals while somebody listens."""

import signal

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
