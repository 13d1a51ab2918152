"""LangChain for Python, its defaults untouched: only the variables that ./dev run prints are set.

Its embeddings count tokens with tiktoken and send arrays of token ids. tiktoken downloads its vocabulary at first use,
which tests must not need: the same vocabulary comes with an npm package of the Node stories, and tiktoken itself checks
its hash.
"""

import hashlib
import json
import pathlib
import re

import pytest
from conftest import MODEL
from langchain_openai import ChatOpenAI, OpenAIEmbeddings

RANKS = pathlib.Path(__file__).parents[1] / "node/node_modules/js-tiktoken/dist/ranks/cl100k_base.js"
VOCABULARY_URL = "https://openaipublic.blob.core.windows.net/encodings/cl100k_base.tiktoken"


@pytest.fixture(scope="session")
def vocabulary(tmp_path_factory):
    """A folder that tiktoken takes for its cache of downloads."""
    if not RANKS.exists():
        pytest.skip("tiktoken's vocabulary comes with the packages of tests/stories/node, which are not installed")
    packed = json.loads(re.search(r'"?bpe_ranks"?:\s*("(?:[^"\\]|\\.)*")', RANKS.read_text()).group(1))
    lines = []
    for line in packed.splitlines():
        _, first_rank, *tokens = line.split(" ")
        lines += [f"{token} {int(first_rank) + index}\n" for index, token in enumerate(tokens)]
    folder = tmp_path_factory.mktemp("tiktoken")
    (folder / hashlib.sha1(VOCABULARY_URL.encode()).hexdigest()).write_text("".join(lines))
    return folder


@pytest.fixture
def embeddings(environment, vocabulary, monkeypatch):
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(vocabulary))
    return OpenAIEmbeddings()


def test_chat(environment):
    answer = ChatOpenAI(model=MODEL).invoke("Hello")
    assert answer.text
    assert answer.usage_metadata["output_tokens"] > 0


def test_chat_stream(environment):
    chunks = list(ChatOpenAI(model=MODEL).stream("Hello"))
    assert "".join(chunk.text for chunk in chunks)


async def test_chat_async_and_batch(environment):
    model = ChatOpenAI(model=MODEL)
    assert (await model.ainvoke("Hello")).text
    assert [bool(answer.text) for answer in await model.abatch(["one", "two", "three"])] == [True] * 3
    assert "".join([chunk.text async for chunk in model.astream("Hello")])


def test_chat_with_a_tool(environment):
    def weather(city: str) -> str:
        """The weather in a city."""
        return "rain"

    answer = ChatOpenAI(model=MODEL).bind_tools([weather]).invoke("What is the weather in Ghent?")
    assert answer.tool_calls[0]["name"] == "weather"


def test_embeddings_sent_as_token_ids(embeddings):
    one, two = embeddings.embed_documents(["a first text", "a second text"])
    assert len(one) == len(two) > 0
    assert len(embeddings.embed_query("a question")) == len(one)


async def test_embeddings_async(embeddings):
    assert await embeddings.aembed_query("a question")
