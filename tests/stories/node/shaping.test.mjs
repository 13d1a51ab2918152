// More than a budget holds, from the SDK as it comes: calls wait for their turn, all succeed, and nobody notices.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import OpenAI from "openai";
import { LimitedProvider, Weir, configFile } from "./harness.mjs";

const windowSeconds = 5;
const callsPerWindow = 20;
const cap = 200; // tokens; what a call counts for, since the simulated provider charges the cap on arrival
const limits = { rpm: callsPerWindow, tpm: callsPerWindow * cap, window: `${windowSeconds}s` };
let provider, weir;

before(async () => {
  provider = await LimitedProvider.start(limits);
  const upstream = { name: "account", provider: "openai", base_url: provider.baseURL, api_key: "sk-provider", limits };
  weir = await Weir.start("--config", configFile({ upstreams: [upstream], start_guard: "0s" }));
});
after(async () => {
  await weir?.stop();
  await provider?.stop();
});

test("three windows of calls at once all succeed without a retry", async () => {
  const client = new OpenAI({ baseURL: weir.baseURL, apiKey: "sk-story" });
  const request = { model: "gpt-4o-mini", messages: [{ role: "user", content: "Hello" }], max_tokens: cap };
  const ask = async (number) => {
    if (number % 3) return (await client.chat.completions.create(request)).choices[0].message.content;
    let text = "";
    for await (const chunk of await client.chat.completions.create({ ...request, stream: true }))
      text += chunk.choices[0]?.delta?.content ?? "";
    return text;
  };
  const calls = 3 * callsPerWindow;
  const began = Date.now();
  const texts = await Promise.all(Array.from({ length: calls }, (_, number) => ask(number)));
  assert.ok(texts.every((text) => text.length > 0));
  assert.ok(Date.now() - began >= 2 * windowSeconds * 1000);
  const stats = await provider.stats();
  assert.deepEqual(stats.requests, { received: calls, accepted: calls, refused: 0 });
  assert.ok(stats.largest_window.requests <= limits.rpm);
  assert.ok(stats.largest_window.tokens <= limits.tpm);
});
