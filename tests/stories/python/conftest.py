"""Fixtures of the stories: a simulated provider, weir before it, and the SDKs' environment set as a user would."""

import os

import pytest

from harness import CountingRelay, HeldProvider, Simulator, Weir, clean_environment, run_weir

# Models are named in no configuration here: with one upstream, weir sends every name there.
MODEL = "deepseek-chat"


def text_of(chunk) -> str:
    """What one chunk of a chat stream says."""
    return "".join(choice.delta.content or "" for choice in chunk.choices)


@pytest.fixture(autouse=True)
def _only_our_environment(monkeypatch):
    """SDKs read their address and key from the environment, and proxies too: leave them only what a story sets."""
    for name in set(os.environ) - set(clean_environment()):
        monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def simulator():
    server = Simulator()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def weir(simulator):
    """weir as a single user starts it: one upstream, no configuration file; the client's key goes through."""
    server = Weir("--upstream", simulator.origin)
    yield server
    server.stop()


@pytest.fixture
def held_provider():
    provider = HeldProvider()
    yield provider
    provider.close()


@pytest.fixture
def relay(weir):
    counting_relay = CountingRelay(weir.port)
    yield counting_relay
    counting_relay.close()


@pytest.fixture
def environment(weir, monkeypatch):
    """The variables that ./dev run prints, set: SDKs are then made without any argument."""
    monkeypatch.setenv("OPENAI_BASE_URL", weir.base_url)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-story")
    monkeypatch.setenv("ANTHROPIC_BASE_URL", weir.origin)
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-story")


class Team:
    """weir with virtual keys, for the stories about who may do what."""

    def __init__(self, simulator):
        self.alice, alice_hash = self._new_key()
        self.bob, bob_hash = self._new_key()
        self.server = Weir(settings={
            "version": 1,
            "clients": {"mode": "keys"},
            "upstreams": [{"name": "simulated", "provider": "generic", "base_url": simulator.origin + "/v1",
                           "api_key": "sk-provider-secret"}],
            "models": [{"name": "deepseek-*", "upstreams": ["simulated"]},
                       {"name": "text-*", "upstreams": ["simulated"]}],
            "keys": [{"name": "alice", "hash": alice_hash},
                     {"name": "bob", "hash": bob_hash, "models": ["text-*"]}],
        })

    @staticmethod
    def _new_key() -> tuple[str, str]:
        """A secret from `weir new-key`, and the hash of it that `weir hash-key` prints."""
        printed = run_weir("new-key", "--name", "someone").split()
        secret = next(word for word in printed if word.startswith("weir-") or word.startswith("sk-"))
        hashed = next(word for word in run_weir("hash-key", stdin=secret + "\n").split() if "sha256:" in word)
        return secret, hashed[hashed.index("sha256:"):].strip("\"'{},")


@pytest.fixture(scope="session")
def team(simulator):
    team_server = Team(simulator)
    yield team_server
    team_server.server.stop()
