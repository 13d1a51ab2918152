// Callers that give up, with openai-node, the Vercel AI SDK and LangChain: whatever their call was doing, nothing of it
// goes on.
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { ChatOpenAI } from "@langchain/openai";
import { streamText } from "ai";
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import OpenAI from "openai";
import { Simulator, Weir, configFile, sim, waitUntil } from "./harness.mjs";

const slow = sim({ "tokens-per-second": 20, "output-tokens": 2000 });

// A streamed call, piece by piece, that can be given up.
const clients = {
  async *"openai-node"({ model, baseURL, headers, signal }) {
    const client = new OpenAI({ baseURL, apiKey: "sk-story", defaultHeaders: headers });
    const messages = [{ role: "user", content: "Hello" }];
    const stream = await client.chat.completions.create({ model, messages, stream: true }, { signal });
    for await (const chunk of stream) yield chunk.choices[0]?.delta.content ?? "";
  },
  async *"ai-sdk"({ model, baseURL, headers, signal }) {
    const provider = createOpenAICompatible({ name: "weir", baseURL, apiKey: "sk-story" });
    const { fullStream } = streamText({ model: provider(model), prompt: "Hello", headers, abortSignal: signal, onError() {} });
    for await (const part of fullStream) if (part.type === "text-delta") yield part.text;
  },
  async *"langchain-js"({ model, baseURL, headers, signal }) {
    const chat = new ChatOpenAI({ model, apiKey: "sk-story", configuration: { baseURL, defaultHeaders: headers } });
    for await (const chunk of await chat.stream("Hello", { signal })) yield chunk.content;
  },
};

// Each case has an account of its own, with one call at a time.
const account = (client, state) => `${client}-${state}`;

let simulator, weir;
before(async () => {
  simulator = await Simulator.start();
  const names = Object.keys(clients).flatMap((client) => ["queued", "backing-off", "streaming"].map((state) => account(client, state)));
  const config = configFile({
    upstreams: names.map((name) => ({
      name,
      provider: "generic",
      api_key: "sk-simulated",
      base_url: simulator.origin,
      limits: { concurrency: 1 },
    })),
    models: names.map((name) => ({ name, upstreams: [name] })),
  });
  weir = await Weir.start("--config", config);
});
after(async () => {
  await weir?.stop();
  await simulator?.stop();
});

const askOperators = async (path) => (await fetch(weir.operatorOrigin + path)).json();
const waiting = async () => (await askOperators("/weir/queue")).waiting;
// How many calls the account has, by its books.
async function taken(name) {
  const { budgets } = await askOperators("/weir/budgets");
  return budgets.find((budget) => budget.scope === "upstream" && budget.name === name).meters.concurrency.used;
}
const exchanges = (model) =>
  weir.log
    .split("\n")
    .filter((line) => line.includes('"event":"exchange"') && line.endsWith("}"))
    .map((line) => JSON.parse(line))
    .filter((record) => record.model === model);

// Starts a call and gives it up when `reached` has come true; without it, at its first word.
async function abort(client, model, headers, reached) {
  const controller = new AbortController();
  const run = async () => {
    for await (const piece of clients[client]({ model, baseURL: weir.baseURL, headers, signal: controller.signal })) {
      if (piece && !reached) controller.abort();
    }
  };
  const running = run().catch(() => {}); // SDKs differ in whether an abort of the caller's own is an error
  if (reached) {
    await reached();
    controller.abort();
  }
  await running;
}

async function checkThatNothingGoesOn(name, attempts) {
  await waitUntil(() => exchanges(name).length > 0, "the call is in the log");
  const [record] = exchanges(name);
  assert.deepEqual([record.outcome, record.attempts ?? 0], ["client_left", attempts]);
  await waitUntil(async () => (await waiting()) === 0 && (await taken(name)) === 0, "the books say nothing is under way");
}

for (const client of Object.keys(clients)) {
  test(`a queued call that is given up is never sent, ${client}`, async () => {
    const name = account(client, "queued");
    const other = new AbortController();
    const body = JSON.stringify({ model: name, stream: true, messages: [{ role: "user", content: "Hello" }] });
    const headers = { "content-type": "application/json", ...slow };
    const { body: said } = await fetch(`${weir.baseURL}/chat/completions`, { method: "POST", headers, body, signal: other.signal });
    const reader = said.getReader();
    await reader.read();
    await abort(client, name, {}, () => waitUntil(async () => (await waiting()) === 1, "the call waits"));
    await waitUntil(async () => (await waiting()) === 0, "it waits no more");
    assert.equal(await taken(name), 1); // the other one's
    other.abort();
    await checkThatNothingGoesOn(name, 0);
  });

  test(`a call that backs off and is given up is not tried again, ${client}`, async () => {
    const name = account(client, "backing-off");
    const headers = sim({ scenario: name, status: 503, "retry-after": 60 });
    await abort(client, name, headers, () => waitUntil(async () => (await waiting()) === 1, "the call backs off"));
    await checkThatNothingGoesOn(name, 1);
  });

  test(`a stream that is given up ends the provider's work, ${client}`, async () => {
    const name = account(client, "streaming");
    const gone = await simulator.disconnects();
    await abort(client, name, slow);
    await waitUntil(async () => (await simulator.disconnects()) === gone + 1, "the provider sees the caller leave");
    await checkThatNothingGoesOn(name, 1);
  });
}
