"""Anthropic's SDK for Python, changed by nothing but its base URL."""

import anthropic
import pytest
from conftest import MODEL
from test_openai import sim

HELLO = [{"role": "user", "content": "Hello"}]


@pytest.fixture
def client(environment):
    with anthropic.Anthropic() as sdk:
        yield sdk


def test_message(client):
    message = client.messages.create(
        model=MODEL, max_tokens=100, messages=HELLO, extra_headers=sim(output_tokens=7))
    assert message.type == "message"
    assert message.content[0].text
    assert message.stop_reason == "end_turn"
    assert message.usage.output_tokens == 7


def test_message_stream_of_named_events(client):
    events = list(client.messages.create(model=MODEL, max_tokens=100, messages=HELLO, stream=True))
    kinds = [event.type for event in events]
    assert kinds[0] == "message_start"
    assert kinds[-1] == "message_stop"
    assert "content_block_delta" in kinds


def test_stream_helper(client):
    with client.messages.stream(model=MODEL, max_tokens=100, messages=HELLO) as stream:
        text = "".join(stream.text_stream)
        final = stream.get_final_message()
    assert text and final.content[0].text == text
    assert final.stop_reason == "end_turn"


async def test_async_stream(environment):
    async with anthropic.AsyncAnthropic() as client:
        async with client.messages.stream(model=MODEL, max_tokens=100, messages=HELLO) as stream:
            assert "".join([text async for text in stream.text_stream])


class TestKeys:
    """The same virtual keys, sent as x-api-key or as a bearer token; errors in Anthropic's shape."""

    def test_key_in_either_header(self, team):
        for credentials in ({"api_key": team.alice}, {"auth_token": team.alice, "api_key": None}):
            with anthropic.Anthropic(base_url=team.server.origin, **credentials) as client:
                assert client.messages.create(model=MODEL, max_tokens=10, messages=HELLO).content

    def test_unknown_key(self, team):
        client = anthropic.Anthropic(base_url=team.server.origin, api_key="sk-nobody", max_retries=0)
        with pytest.raises(anthropic.AuthenticationError) as caught:
            client.messages.create(model=MODEL, max_tokens=10, messages=HELLO)
        assert caught.value.body["type"] == "error"
        assert caught.value.body["error"]["type"] == "authentication_error"
