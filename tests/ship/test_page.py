"""The status page in a real browser: calm, under load and broken; on a phone and in the dark."""

import concurrent.futures
import os
import pathlib
import shutil

import httpx
import openai
import pytest
from containers import ROOT
from harness import Simulator, Weir, free_port, wait_until
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

    def __init__(self, browser, server, viewport=DESK, scheme="light"):
        self.requests: list[str] = []
        self.problems: list[str] = []
        self._context = browser.new_context(viewport=viewport, color_scheme=scheme)
        self.page = self._context.new_page()
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.on("console", lambda message: self.problems.append(message.text) if message.type == "error" else None)
        self.page.goto(server.operator_origin + "/weir/")
        expect(self.page.locator("#about")).to_contain_text("weir ")

    def picture(self, name: str):
        PICTURES.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=PICTURES / f"{name}.png", full_page=True)

    def close(self, server):
        assert self.problems == []
        assert {url for url in self.requests if not url.startswith((server.operator_origin, "data:"))} == set()
        self._context.close()


def call(server, **options):
    with openai.OpenAI(base_url=server.base_url, api_key="sk-page", max_retries=0) as client:
        return client.chat.completions.create(model=MODEL, messages=HELLO, **options)


def test_calm_it_says_that_nothing_waits_and_what_was_spent(browser, simulator):
    server = Weir("--upstream", simulator.origin)
    used = call(server).usage
    seen = Seen(browser, server)
    expect(seen.page.locator("#why")).to_have_text("Nothing is waiting.")
    expect(seen.page.locator("#spent")).to_contain_text(MODEL)
    expect(seen.page.locator("#spent")).to_contain_text(str(used.completion_tokens))
    expect(seen.page.locator("#budgets")).to_contain_text("No limits are set.")
    expect(seen.page.locator("#errors")).to_contain_text("None.")
    expect(seen.page.locator("#tokens svg")).to_be_visible()
    seen.picture("status-calm")
    seen.close(server)
    server.stop()


@pytest.fixture
def loaded(simulator):
    """Thirty calls before a limit of ten a minute."""
    server = Weir("--upstream", simulator.origin, "--rpm", "10", "--tpm", "50000")
    with concurrent.futures.ThreadPoolExecutor(30) as pool:
        def one(number: int):
            # A client that leaves in the end, as all of them do here, has nothing to say about it.
            try:
                call(server, timeout=120, extra_headers={"x-weir-lane": f"job-{number % 3}"})
            except openai.OpenAIError:
                pass

        for number in range(30):
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
    expect(seen.page.locator("#budgets .gauge")).to_have_count(4)  # of the upstream, and of the account the callers bring
    expect(seen.page.locator("#queue")).to_contain_text("job-1")
    seen.picture("status-load")
    seen.close(loaded)

    phone = Seen(browser, loaded, PHONE, "dark")
    width = phone.page.evaluate("document.documentElement.scrollWidth")
    assert width <= PHONE["width"], "nothing has to be scrolled sideways"
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
