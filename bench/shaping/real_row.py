"""One row of the table for real, at a fiftieth of the tier: openai-python against `weir simulate`, straight or through
weir. Prints the figures that `shaping_figures scaled` predicts for it.

  real_row.py BASE_URL STATS_URL SECONDS
"""

import asyncio
import json
import math
import random
import sys
import time
import urllib.request

from openai import AsyncOpenAI, APIError

TPM = 100_000
CALLERS = 28  # twice the tier, if nothing held them up
WARM_UP = 120
INPUT = (800, 20_000, 20_000)  # median, 99th percentile, cap
OUTPUT = (300, 4_000, 32_000)
THINK = 10


def sample(rng, sizes):
    median, p99, cap = sizes
    sigma = math.log(p99 / median) / 2.326
    return max(1, min(cap, round(rng.lognormvariate(math.log(median), sigma))))


def stats(url):
    with urllib.request.urlopen(url) as answer:
        return json.load(answer)


class Row:
    calls = failed = 0

    async def caller(self, client, seed, end):
        rng = random.Random(seed)
        await asyncio.sleep(rng.uniform(0, 20))
        while time.monotonic() < end:
            # The simulated provider counts a token for four bytes.
            prompt = "word" * sample(rng, INPUT)
            self.calls += 1
            try:
                stream = await client.chat.completions.create(
                    model="model",
                    messages=[{"role": "user", "content": prompt}],
                    stream=True,
                    extra_headers={"x-sim-output-tokens": str(sample(rng, OUTPUT))},
                )
                async for _ in stream:
                    pass
            except APIError:
                self.failed += 1
            await asyncio.sleep(rng.expovariate(1 / THINK))


async def main(base_url, stats_url, seconds):
    row = Row()
    end = time.monotonic() + WARM_UP + seconds
    client = AsyncOpenAI(base_url=base_url, api_key="any")
    callers = [asyncio.create_task(row.caller(client, seed, end)) for seed in range(CALLERS)]
    await asyncio.sleep(WARM_UP)
    before = stats(stats_url)
    await asyncio.sleep(seconds)
    after = stats(stats_url)
    for caller in callers:
        caller.cancel()
    used = sum(after["tokens"].values()) - sum(before["tokens"].values())
    requests = after["requests"]
    refused = requests["refused"] / requests["received"]
    largest = after["largest_window"]["tokens"]
    print(
        f"tokens used {used / (TPM * seconds / 60):.1%}, largest window {largest / TPM:.1%}, "
        f"refused by the provider {refused:.1%}, failed {row.failed / row.calls:.1%} of {row.calls} calls"
    )


asyncio.run(main(sys.argv[1], sys.argv[2], float(sys.argv[3])))
