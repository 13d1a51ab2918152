"""The official OpenAI SDK for Python, changed by nothing but its base URL."""

import asyncio
import hashlib
import random

import httpx
import openai
import pytest
from conftest import MODEL
from harness import Weir, free_port

HELLO = [{"role": "user", "content": "Hello"}]
WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather somewhere",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


def sim(**settings) -> dict[str, str]:
    """Headers that tell the simulated provider what to do with one request."""
    return {"x-sim-" + name.replace("_", "-"): str(value) for name, value in settings.items()}


@pytest.fixture
def client(environment):
    with openai.OpenAI() as sdk:
        yield sdk


@pytest.fixture
async def async_client(environment):
    async with openai.AsyncOpenAI() as sdk:
        yield sdk


def text_of(stream) -> str:
    return "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)


def test_chat(client):
    answer = client.chat.completions.create(model=MODEL, messages=HELLO, extra_headers=sim(output_tokens=7))
    assert answer.object == "chat.completion"
    assert answer.model == MODEL
    assert answer.choices[0].message.role == "assistant"
    assert answer.choices[0].message.content
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage.completion_tokens == 7


def test_chat_stream(client):
    stream = client.chat.completions.create(
        model=MODEL, messages=HELLO, stream=True, extra_headers=sim(output_tokens=50))
    chunks = list(stream)
    assert all(chunk.object == "chat.completion.chunk" for chunk in chunks)
    assert len({chunk.id for chunk in chunks}) == 1
    assert [c.choices[0].finish_reason for c in chunks if c.choices and c.choices[0].finish_reason] == ["stop"]
    assert text_of(chunks)


def test_usage_that_was_not_asked_for_does_not_appear(client):
    chunks = list(client.chat.completions.create(model=MODEL, messages=HELLO, stream=True))
    assert all(chunk.choices for chunk in chunks)
    assert all(chunk.usage is None for chunk in chunks)


def test_usage_that_was_asked_for_appears(client):
    chunks = list(client.chat.completions.create(
        model=MODEL, messages=HELLO, stream=True, stream_options={"include_usage": True},
        extra_headers=sim(output_tokens=9)))
    assert chunks[-1].choices == []
    assert chunks[-1].usage.completion_tokens == 9


def test_stream_and_answer_say_the_same(client):
    headers = sim(output_tokens=20)
    whole = client.chat.completions.create(model=MODEL, messages=HELLO, extra_headers=headers)
    stream = client.chat.completions.create(model=MODEL, messages=HELLO, stream=True, extra_headers=headers)
    assert text_of(stream) == whole.choices[0].message.content


def test_stream_helper_with_its_events(client):
    with client.chat.completions.stream(model=MODEL, messages=HELLO) as stream:
        kinds = {event.type for event in stream}
        final = stream.get_final_completion()
    assert {"chunk", "content.delta", "content.done"} <= kinds
    assert final.choices[0].message.content


def test_keep_alives_of_the_provider_disturb_nobody(client):
    stream = client.chat.completions.create(
        model=MODEL, messages=HELLO, stream=True,
        extra_headers=sim(output_tokens=5, ttft="300ms", keepalive_every="20ms"))
    assert text_of(stream)
    answer = client.chat.completions.create(
        model=MODEL, messages=HELLO, extra_headers=sim(output_tokens=5, ttft="300ms", keepalive_every="20ms"))
    assert answer.choices[0].message.content


def test_tool_call(client):
    answer = client.chat.completions.create(model=MODEL, messages=HELLO, tools=[WEATHER], tool_choice="required")
    call = answer.choices[0].message.tool_calls[0]
    assert answer.choices[0].finish_reason == "tool_calls"
    assert call.function.name == "weather"


def test_tool_call_stream(client):
    with client.chat.completions.stream(model=MODEL, messages=HELLO, tools=[WEATHER], tool_choice="required") as stream:
        final = stream.get_final_completion()
    assert final.choices[0].finish_reason == "tool_calls"
    assert final.choices[0].message.tool_calls[0].function.name == "weather"


def test_legacy_completion(client):
    answer = client.completions.create(model=MODEL, prompt="Once", extra_headers=sim(output_tokens=6))
    assert answer.choices[0].text
    stream = client.completions.create(model=MODEL, prompt="Once", stream=True, extra_headers=sim(output_tokens=6))
    assert "".join(chunk.choices[0].text for chunk in stream if chunk.choices) == answer.choices[0].text


def test_embeddings_in_both_encodings(client):
    # The SDK asks for base64 on its own and decodes it.
    packed = client.embeddings.create(model="text-embedding-3-small", input=["one", "two"])
    assert [entry.index for entry in packed.data] == [0, 1]
    plain = client.embeddings.create(model="text-embedding-3-small", input=["one", "two"], encoding_format="float")
    for ours, theirs in zip(packed.data, plain.data):
        assert ours.embedding == pytest.approx(theirs.embedding, abs=1e-6)


def test_models(client):
    models = list(client.models.list())
    assert models
    assert all(model.object == "model" and model.id for model in models)


def test_raw_response_shows_headers(client):
    raw = client.chat.completions.with_raw_response.create(
        model=MODEL, messages=HELLO, extra_headers={"x-request-id": "story-1"})
    assert raw.status_code == 200
    assert raw.headers["x-request-id"] == "story-1"
    assert raw.headers["content-type"].startswith("application/json")
    assert raw.headers["x-weir-upstream"]
    assert "x-weir-error" not in raw.headers
    assert raw.parse().choices[0].message.content


def test_streaming_response_shows_headers_first(client):
    with client.chat.completions.with_streaming_response.create(model=MODEL, messages=HELLO, stream=True) as raw:
        assert raw.headers["content-type"].startswith("text/event-stream")
        lines = [line for line in raw.iter_lines() if line]
    assert lines[-1] == "data: [DONE]"


def test_response(client):
    response = client.responses.create(model=MODEL, input="Hello", extra_headers=sim(output_tokens=7))
    assert response.status == "completed"
    assert response.output_text
    assert response.usage.output_tokens == 7


def test_response_stream_of_named_events(client):
    events = list(client.responses.create(model=MODEL, input="Hello", stream=True))
    kinds = [event.type for event in events]
    assert kinds[0] == "response.created"
    assert kinds[-1] == "response.completed"
    assert "response.output_text.delta" in kinds
    text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    assert text and text == events[-1].response.output_text


async def test_async_chat_and_stream(async_client):
    answer = await async_client.chat.completions.create(model=MODEL, messages=HELLO)
    stream = await async_client.chat.completions.create(model=MODEL, messages=HELLO, stream=True)
    text = "".join([c.choices[0].delta.content or "" async for c in stream if c.choices])
    assert text == answer.choices[0].message.content


async def test_many_streams_at_once_keep_apart(async_client):
    async def one(tokens: int) -> int:
        stream = await async_client.chat.completions.create(
            model=MODEL, messages=HELLO, stream=True, stream_options={"include_usage": True},
            extra_headers=sim(output_tokens=tokens))
        return [chunk async for chunk in stream][-1].usage.completion_tokens

    counts = range(1, 41)
    assert await asyncio.gather(*map(one, counts)) == list(counts)


async def test_async_embeddings_and_response(async_client):
    embeddings = await async_client.embeddings.create(model="text-embedding-3-small", input="one")
    assert embeddings.data[0].embedding
    response = await async_client.responses.create(model=MODEL, input="Hello")
    assert response.output_text


# --- Sizes and alphabets ---------------------------------------------------------------------------------------------


def echo(text: str) -> list[dict]:
    """A conversation that the simulated provider answers with `text`."""
    return [{"role": "user", "content": "echo: " + text}]


def test_a_megabyte_there_and_back(client):
    prompt = "wässer under the bridge " * (1024 * 1024 // 25 + 1)
    whole = client.chat.completions.create(model=MODEL, messages=echo(prompt))
    assert whole.choices[0].message.content == prompt
    # A few words of it in a stream: the SDK takes a minute for a megabyte of events.
    stream = client.chat.completions.create(model=MODEL, messages=echo(prompt), stream=True, max_tokens=500)
    start = text_of(stream)
    assert len(start) > 500 and prompt.startswith(start)


@pytest.mark.parametrize(
    "text",
    ["Grüße, 世界! 🌊", "مرحبا بالعالم", "e\u0301 \u2028\u2029 \U0010ffff", "\"quotes\" \\ \t {}[] </script>", "data: [DONE]\n\ndata: {}"],
    ids=["scripts", "right to left", "odd code points", "escapes", "a stream in a stream"],
)
def test_any_text_there_and_back(client, text):
    whole = client.chat.completions.create(model=MODEL, messages=echo(text))
    assert whole.choices[0].message.content == text
    assert text_of(client.chat.completions.create(model=MODEL, messages=echo(text), stream=True)) == text


def test_the_body_goes_upstream_byte_for_byte(client, simulator):
    body = b'{ "model":"deepseek-chat",\t"messages" : [{"role":"user","content":"caf\\u00e9 \xc3\xa9"}], "x_unknown": 1.50e+3 }'
    response = httpx.post(f"{client.base_url}chat/completions", content=body, trust_env=False,
                          headers={"content-type": "application/json", "authorization": "Bearer sk-story"})
    assert response.status_code == 200
    assert httpx.get(simulator.origin + "/__last/body", trust_env=False).content == body


def test_a_file_up_and_down(client):
    content = random.Random(1).randbytes(3 * 1024 * 1024)
    uploaded = client.files.create(file=("noise.bin", content), purpose="user_data")
    assert uploaded.bytes == len(content)
    assert uploaded.sha256 == hashlib.sha256(content).hexdigest()
    assert client.files.content(uploaded.id).read() == content
    assert client.files.delete(uploaded.id).deleted


# --- Connections -----------------------------------------------------------------------------------------------------


def test_many_calls_share_one_connection(relay):
    with openai.OpenAI(base_url=relay.origin + "/v1", api_key="sk-story") as client:
        for _ in range(5):
            client.chat.completions.create(model=MODEL, messages=HELLO)
            # Read to its very end: the SDK's own reader hangs up at [DONE], without the last chunk of the body.
            raw = client.chat.completions.with_streaming_response.create(model=MODEL, messages=HELLO, stream=True)
            with raw as response:
                assert response.read().endswith(b"data: [DONE]\n\n")
        with pytest.raises(openai.NotFoundError):
            client.get("/no/such/path", cast_to=object)
        client.embeddings.create(model="text-embedding-3-small", input="one")
    assert relay.connections == 1


def test_a_client_that_hangs_up_at_done_has_had_its_answer(simulator):
    server = Weir("--upstream", simulator.origin, "--workers", "1")
    before = simulator.stats()
    with openai.OpenAI(base_url=server.base_url, api_key="sk-story") as client:
        for _ in range(10):
            assert text_of(client.chat.completions.create(model=MODEL, messages=HELLO, stream=True))
    after = simulator.stats()
    server.stop()
    assert after["client_disconnects"] == before["client_disconnects"]
    # One connection from weir outlives them all.
    assert after["connections"]["opened"] - before["connections"]["opened"] == 1


# --- Errors ----------------------------------------------------------------------------------------------------------


def test_errors_of_the_provider_pass_untouched(environment):
    client = openai.OpenAI(max_retries=0)
    with pytest.raises(openai.RateLimitError) as caught:
        client.chat.completions.create(
            model=MODEL, messages=HELLO, extra_headers=sim(status=429) | {"x-weir-max-wait": "0"})
    assert "x-weir-error" not in caught.value.response.headers
    assert caught.value.response.headers["x-weir-attempts"] == "1"


def test_an_error_in_a_stream_is_raised(client):
    stream = client.chat.completions.create(
        model=MODEL, messages=HELLO, stream=True, extra_headers=sim(output_tokens=20, error_after=5))
    with pytest.raises(openai.APIError):
        list(stream)


def test_a_cut_stream_is_never_taken_for_a_whole_one(client):
    received = []
    with pytest.raises(openai.APIError) as caught:
        for chunk in client.chat.completions.create(
                model=MODEL, messages=HELLO, stream=True,
                extra_headers=sim(output_tokens=500, tokens_per_second=100, drop_after=5)):
            received.append(chunk)
    assert received
    assert caught.value.code in ("weir_upstream_reset", "weir_upstream_truncated")


def test_a_cut_answer_is_weirs_to_report(environment):
    client = openai.OpenAI(max_retries=0)
    with pytest.raises(openai.InternalServerError) as caught:
        client.chat.completions.create(model=MODEL, messages=HELLO, extra_headers=sim(drop_after=0))
    assert caught.value.status_code == 502
    assert caught.value.response.headers["x-weir-error"] == caught.value.code


def test_a_provider_that_is_not_there_is_weirs_to_report():
    server = Weir("--upstream", f"http://127.0.0.1:{free_port()}")
    client = openai.OpenAI(base_url=server.base_url, api_key="sk-story", max_retries=0)
    with pytest.raises(openai.InternalServerError) as caught:
        client.chat.completions.create(model=MODEL, messages=HELLO)
    server.stop()
    assert caught.value.status_code == 502
    assert caught.value.code == "weir_upstream_connect"


def test_unknown_path(client):
    with pytest.raises(openai.NotFoundError):
        client.get("/no/such/path", cast_to=object)


def test_bad_body_names_the_field(client):
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model=MODEL, messages="not a list")
    assert caught.value.code == "invalid_parameter"
    assert "messages" in caught.value.message
    assert caught.value.response.headers["x-weir-error"] == "invalid_parameter"
    # The connection that carried the bad request is good for the next one.
    assert client.chat.completions.create(model=MODEL, messages=HELLO).choices


class TestKeys:
    """weir with virtual keys: refusals arrive as the SDK's own exceptions."""

    def sdk(self, team, key):
        return openai.OpenAI(base_url=team.server.base_url, api_key=key, max_retries=0)

    def test_a_key_that_may(self, team):
        answer = self.sdk(team, team.alice).chat.completions.create(model=MODEL, messages=HELLO)
        assert answer.choices[0].message.content

    def test_unknown_key(self, team):
        with pytest.raises(openai.AuthenticationError) as caught:
            self.sdk(team, "sk-nobody").chat.completions.create(model=MODEL, messages=HELLO)
        assert caught.value.code == "invalid_api_key"
        assert caught.value.response.headers["x-weir-error"] == "invalid_api_key"

    def test_model_the_key_may_not_use(self, team):
        with pytest.raises(openai.PermissionDeniedError) as caught:
            self.sdk(team, team.bob).chat.completions.create(model=MODEL, messages=HELLO)
        assert caught.value.code == "model_not_allowed"

    def test_unknown_model(self, team):
        with pytest.raises(openai.NotFoundError) as caught:
            self.sdk(team, team.alice).chat.completions.create(model="no-such-model", messages=HELLO)
        assert caught.value.code == "model_not_found"

    def test_the_models_of_a_key(self, team):
        allowed = [model.id for model in self.sdk(team, team.bob).models.list()]
        assert not [name for name in allowed if name.startswith("deepseek")]

    def test_refusals_in_a_stream_are_the_same(self, team):
        with pytest.raises(openai.AuthenticationError):
            self.sdk(team, "sk-nobody").chat.completions.create(model=MODEL, messages=HELLO, stream=True)

    def test_no_secret_in_the_log(self, team):
        self.sdk(team, team.alice).chat.completions.create(
            model=MODEL, messages=[{"role": "user", "content": "a prompt nobody may read"}])
        log = team.server.log()
        for secret in (team.alice, team.bob, "sk-provider-secret", "a prompt nobody may read"):
            assert secret not in log
