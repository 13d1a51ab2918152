"""The status page in a real browser: calm, under load and broken; on a phone and in the dark."""

import concurrent.futures
import os
import pathlib
import re
import shutil
import signal

import httpx
import openai
import pytest
from containers import ROOT
from harness import Simulator, Weir, free_port, run_weir, wait_until
from playwright.sync_api import expect, sync_playwright

MODEL = "deepseek-chat"
HELLO = [{"role": "user", "content": "Hello"}]
# Where the pictures go: build/, or docs/ when they are to be renewed.
PICTURES = pathlib.Path(os.environ.get("WEIR_PICTURES", ROOT / "build/pictures"))
PHONE = {"width": 390, "height": 844}
DESK = {"width": 1280, "height": 900}


@pytest.fixture(scope="module")
def browser():
    path = shutil.which("chromium")
    assert path, "chromium is missing: ./dev test-ship installs it"
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture(scope="module")
def simulator():
    server = Simulator()
    yield server
    server.stop()


class Seen:
    """The page of one weir, with all that it asked for and all that went wrong in it."""

    def __init__(self, browser, server, viewport=DESK, scheme="light", fragment="", shows_figures=True):
        self.requests: list[str] = []
        self.problems: list[str] = []
        self._context = browser.new_context(viewport=viewport, color_scheme=scheme)
        self.page = self._context.new_page()
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.on("console", lambda message: self.problems.append(message.text) if message.type == "error" else None)
        self.page.goto(server.operator_origin + "/weir/" + fragment)
        if shows_figures:
            expect(self.page.locator("#about")).to_contain_text("weir ")

    def picture(self, name: str):
        PICTURES.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=PICTURES / f"{name}.png", full_page=True)

    def close(self, server):
        assert self.problems == []
        assert {url for url in self.requests if not url.startswith((server.operator_origin, "data:"))} == set()
        self._context.close()


def call(server, key="sk-page", model=MODEL, **options):
    with openai.OpenAI(base_url=server.base_url, api_key=key, max_retries=0) as client:
        return client.chat.completions.create(model=model, messages=HELLO, **options)


TEAM = """
version: 1
start_guard: 0s
clients: {{mode: keys}}
upstreams:
  - {{name: deepseek, provider: deepseek, base_url: "{origin}", api_key: sk-provider, limits: {{rpm: 10, tpm: 50000}}}}
keys:
{keys}
"""


class Team:
    """A weir for two callers, before an account with prices and a limit of ten calls a minute."""

    def __init__(self, origin: str, folder: pathlib.Path):
        self.keys, lines = {}, []
        for name, settings in (("alice", ""), ("nightly", ", priority: background, limits: {tpm: 20000}")):
            printed = run_weir("new-key", "--name", name)
            self.keys[name] = printed.splitlines()[0]
            line = next(line for line in printed.splitlines() if line.startswith("  - "))
            lines.append(line.rstrip().removesuffix("}") + settings + "}")
        config = folder / "weir.yaml"
        config.write_text(TEAM.format(origin=origin, keys="\n".join(lines)))
        self.server = Weir("--config", str(config))


def test_calm_it_says_that_nothing_waits_and_what_was_spent(browser, simulator, tmp_path):
    team = Team(simulator.origin, tmp_path)
    server = team.server
    used = call(server, team.keys["alice"]).usage
    call(server, team.keys["nightly"])
    call(server, team.keys["nightly"], "deepseek-reasoner")
    seen = Seen(browser, server)
    expect(seen.page.locator("#why")).to_have_text("Nothing is waiting.")
    of_alice = seen.page.locator("#spent tr", has_text="alice")
    expect(of_alice).to_contain_text(MODEL)
    expect(of_alice).to_contain_text(str(used.completion_tokens))
    expect(of_alice).to_contain_text(" CNY")
    expect(seen.page.locator("#spent tr", has_text="deepseek-reasoner")).to_contain_text("price not known")
    expect(seen.page.locator("#budgets")).to_contain_text("3 of 10")
    expect(seen.page.locator("#upstreams")).to_contain_text("ready")
    expect(seen.page.locator("#errors")).to_contain_text("None.")
    expect(seen.page.locator("#tokens svg")).to_be_visible()
    seen.picture("status-calm")
    seen.close(server)
    server.stop()


def test_long_times_are_in_words_as_in_the_sentences_above_them(browser, simulator):
    server = Weir("--upstream", simulator.origin)
    seen = Seen(browser, server)
    times = {400: "400 ms", 9_000: "9.0 s", 89_000: "89 s", 119_700: "2 min", 3_599_100: "1 h",
             76_732_800: "21 h 19 min", 200_000_000: "2 d 8 h"}
    assert {ms: seen.page.evaluate(f"seconds({ms})") for ms in times} == times
    seen.close(server)
    server.stop()


def test_without_limits_it_says_so(browser, simulator):
    server = Weir("--upstream", simulator.origin)
    seen = Seen(browser, server)
    expect(seen.page.locator("#budgets")).to_contain_text("No limits are set.")
    seen.close(server)
    server.stop()


@pytest.fixture
def guarded(simulator):
    server = Weir("--upstream", simulator.origin, "--rpm", "100", "--share", "0.25",
                  environment={"WEIR_OPERATOR_TOKEN": "operator-token"})
    yield server
    server.stop()


def test_with_the_token_behind_its_address_it_shows_the_figures(browser, guarded):
    seen = Seen(browser, guarded, fragment="#token=operator-token")
    expect(seen.page.locator("#budgets")).to_contain_text("25 for each caller's own account")
    expect(seen.page.locator("#budgets")).to_contain_text("this instance's share of 0.25")
    expect(seen.page.locator("#ask")).to_be_hidden()
    assert not [url for url in seen.requests if "operator-token" in url.split("#")[0]], "it is sent in no address"
    seen.close(guarded)


def test_without_the_token_it_asks_for_it(browser, guarded):
    seen = Seen(browser, guarded, shows_figures=False)
    expect(seen.page.locator("#stale")).to_contain_text("the operator token is needed")
    expect(seen.page.locator("#about")).to_be_empty()
    seen.page.locator("#token").fill("wrong")
    seen.page.locator("#token").press("Enter")
    expect(seen.page.locator("#stale")).to_contain_text("this is not the operator token")
    seen.page.locator("#token").fill("operator-token")
    seen.page.locator("#ask button").click()
    expect(seen.page.locator("#about")).to_contain_text("weir ")
    expect(seen.page.locator("#ask")).to_be_hidden()
    assert all("status of 401" in problem for problem in seen.problems), seen.problems
    seen.problems.clear()  # the browser's own lines about what was refused
    seen.close(guarded)


def test_where_callers_bring_accounts_the_limits_are_those_of_each(browser, simulator):
    server = Weir("--upstream", simulator.origin, "--rpm", "10")
    call(server)
    seen = Seen(browser, server)
    expect(seen.page.locator("#budgets .gauge")).to_have_count(1)  # of the account that the caller brought
    expect(seen.page.locator("#budgets .gauge")).to_contain_text("1 of 10")
    expect(seen.page.locator("#budgets")).to_contain_text("10 for each caller's own account")
    seen.close(server)
    server.stop()


@pytest.fixture
def loaded(simulator, tmp_path):
    """Forty calls before a limit of ten a minute."""
    team = Team(simulator.origin, tmp_path)
    server = team.server
    with concurrent.futures.ThreadPoolExecutor(40) as pool:
        def one(number: int):
            # A client that leaves in the end, as all of them do here, has nothing to say about it.
            key = team.keys["nightly" if number % 4 == 3 else "alice"]
            try:
                call(server, key, timeout=600, extra_headers={"x-weir-lane": f"job-{number // 4 % 2}"})
            except openai.OpenAIError:
                pass

        for number in range(40):
            pool.submit(one, number)
        wait_until(lambda: httpx.get(server.operator_origin + "/weir/queue", trust_env=False).json()["waiting"] >= 15,
                   "most of them wait")
        yield server
        server.stop()


def test_under_load_it_says_why_the_next_one_waits(browser, loaded):
    seen = Seen(browser, loaded)
    why = seen.page.locator("#why")
    expect(why).to_contain_text("requests are waiting.")
    expect(why).to_contain_text("waits for requests per minute of the upstream")
    expect(why).to_contain_text("it can start in about")
    expect(seen.page.locator("#budgets .gauge")).to_have_count(3)  # two of the upstream, one of nightly
    lanes = seen.page.locator("#queue tbody tr")
    expect(lanes).to_have_count(4)  # two keys, two sub-lanes each
    expect(lanes.first).to_contain_text("alice")  # interactive before background
    expect(seen.page.locator("#queue tr", has_text="nightly").first).to_contain_text("background")
    expect(lanes.first).to_contain_text("it can start in about")
    seen.page.locator("#each summary").click()
    expect(seen.page.locator("#requests tbody tr").nth(5)).to_contain_text("behind")
    expect(seen.page.locator("#requests tbody tr").nth(5)).to_contain_text("req_")  # as in the log
    seen.page.locator("#each summary").click()
    seen.picture("status-load")
    seen.close(loaded)

    phone = Seen(browser, loaded, PHONE, "dark")
    width = phone.page.evaluate("document.documentElement.scrollWidth")
    assert width <= PHONE["width"], "nothing has to be scrolled sideways"
    expect(phone.page.locator("#queue")).to_contain_text("it can start in about")
    reaches = phone.page.locator("#queue td.words").first.bounding_box()
    assert reaches["x"] + reaches["width"] <= PHONE["width"], "why it waits is read without scrolling"
    background = phone.page.evaluate("getComputedStyle(document.body).backgroundColor")
    red = int(background.removeprefix("rgb(").split(",")[0])
    assert red < 64, f"dark is dark: {background}"
    phone.picture("status-phone-dark")
    phone.close(loaded)


def test_broken_it_says_what_is_broken_in_words(browser):
    server = Weir("--upstream", f"http://127.0.0.1:{free_port()}")
    with pytest.raises(openai.APIStatusError):
        call(server, extra_headers={"x-weir-max-wait": "0"})
    seen = Seen(browser, server)
    expect(seen.page.locator("#why")).to_contain_text("failed once")
    expect(seen.page.locator("#why")).to_have_class(re.compile("waits|broken"))
    expect(seen.page.locator("#errors")).to_contain_text("weir_upstream_connect")
    expect(seen.page.locator("#errors")).to_contain_text("refused")
    seen.picture("status-broken")
    seen.close(server)
    server.stop()


def test_it_shows_what_was_learned_of_an_upstream(browser):
    narrow = Simulator("--concurrency", "2", "--ttft", "50ms")
    server = Weir("--upstream", narrow.origin)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: call(server, timeout=120), range(24)))
    assert len(answers) == 24
    seen = Seen(browser, server)
    expect(seen.page.locator("#upstreams")).to_contain_text("concurrency at most 2")
    expect(seen.page.locator("#upstreams")).to_contain_text("when it turned a call away")
    seen.close(server)
    server.stop()
    narrow.stop()


def test_it_says_when_it_is_not_up_to_date(browser, simulator):
    server = Weir("--upstream", simulator.origin)
    seen = Seen(browser, server)
    expect(seen.page.locator("#stale")).to_be_hidden()
    server.stop()
    expect(seen.page.locator("#stale")).to_be_visible()
    expect(seen.page.locator("#stale")).to_contain_text("not up to date")
    seen.problems.clear()  # the browser's own lines about the server that has gone
    seen.close(server)


def test_it_says_since_when_the_server_is_silent(browser, simulator):
    server = Weir("--upstream", simulator.origin)
    seen = Seen(browser, server)
    server.send_signal(signal.SIGSTOP)
    try:
        stale = seen.page.locator("#stale")
        expect(stale).to_contain_text("not up to date since ", timeout=20_000)
        expect(stale).to_contain_text("no answer within 5.0 s")
    finally:
        server.send_signal(signal.SIGCONT)
    expect(seen.page.locator("#stale")).to_be_hidden(timeout=20_000)
    seen.problems.clear()
    seen.close(server)
    server.stop()


def operator_connections(server) -> int:
    port = int(server.operator_origin.rsplit(":", 1)[1])
    rows = [line.split() for line in pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(row[1].endswith(f":{port:04X}") and row[3] == "01" for row in rows)


def test_open_pages_shut_nobody_out(browser, simulator):
    server = Weir("--upstream", simulator.origin)
    pages = [Seen(browser, server) for _ in range(18)]
    wait_until(lambda: operator_connections(server) <= 2 * len(pages), "each page holds a connection or two")
    for _ in range(5):
        assert httpx.get(server.operator_origin + "/healthz", trust_env=False).status_code == 200
    for seen in pages:
        expect(seen.page.locator("#stale")).to_be_hidden()
        seen.close(server)
    server.stop()
