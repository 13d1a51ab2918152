"""The figures of the bench as tables, printed as they come, and the page they are written into."""

import pathlib
import statistics

BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"

# Figure: what it is, what it should be at most (two workers: at least), what it aims at.
GOALS = {
    "plain": ("CPU per plain request, 1 KB prompt, of nginx's", 1.0, 0.85),
    "event": ("CPU per relayed event, 300 streams, of nginx's", 1.0, 0.85),
    "latency": ("added latency at 1,000 requests a second, p50, of nginx's", 1.0, 0.75),
    "first_content": ("added time to first content, p50, of nginx's", 1.0, 0.75),
    "plain_100k": ("CPU per request with a 100 KB prompt, of nginx's", 4, 2),
    "plain_1m": ("CPU per request with a 1 MB prompt, of nginx's", 6, 2.5),
    "many_first_content": ("added delay to first content at 2,000 paced streams, p99, of nginx's", 1.2, 1.0),
    "many_event": ("added delay of an event at 2,000 paced streams, p99, of nginx's", 1.2, 1.0),
    "waiting": ("KiB per waiting stream", 10, 5),
    "memory_start": ("MiB at start", 12, 8),
    "memory_after": ("MiB after 100,000 requests and 1,000 streams, idle again", 40, 20),
    "size": ("MB of the stripped binary with its libraries, without glibc, libstdc++ and OpenSSL", 12, 6),
    "start_http": ("ms from start to ready, http upstream", 50, 10),
    "start_https": ("ms from start to ready, https upstream", 100, 50),
    "workers": ("two workers: CPU per request of one, twice, by that of two", 1.8, 1.95),
}
AT_LEAST = {"workers"}


class Report:
    def __init__(self):
        self.lines: list[str] = []
        self.measured: dict[str, float] = {}

    def say(self, line: str = ""):
        print(line, flush=True)
        self.lines.append(line)

    def note(self, goal: str | None, value: float):
        if goal:
            self.measured[goal] = value

    def table(self, title: str, names: list[str]):
        self.say(f"\n## {title}\n")
        self.say("| | " + " | ".join(names) + " | weir ÷ nginx |")
        self.say("|---|" + "---|" * (len(names) + 1))

    def row(self, label: str, figures: dict[str, list[float]], goal: str | None = None, absolute: bool = False):
        """`absolute`: the goal is about weir's own figure, not about the ratio."""
        cells = [f"{statistics.median(each):.1f} ({min(each):.1f}–{max(each):.1f})" for each in figures.values()]
        weir, nginx = statistics.median(figures["weir"]), statistics.median(figures["nginx"])
        ratio = f"**{weir / nginx:.2f}×**" if nginx > 0 else "—"
        self.note(goal, weir if absolute else weir / nginx if nginx > 0 else 0)
        self.say(f"| {label} | " + " | ".join(cells) + f" | {ratio} |")

    def verdicts(self):
        self.say("\n## Against what it should be\n")
        self.say("| figure | at least | aim | measured | |")
        self.say("|---|---|---|---|---|")
        for goal, (label, bound, aim) in GOALS.items():
            if goal not in self.measured:
                continue
            value = self.measured[goal]
            met = [value >= each if goal in AT_LEAST else value <= each for each in (bound, aim)]
            verdict = "aim met" if met[1] else "met" if met[0] else "missed"
            self.say(f"| {label} | {bound} | {aim} | {value:.2f} | {verdict} |")

    def write_into(self, page: pathlib.Path):
        text = page.read_text()
        before, after = text[:text.index(BEGIN) + len(BEGIN)], text[text.index(END):]
        page.write_text(before + "\n" + "\n".join(self.lines).strip("\n") + "\n\n" + after)
