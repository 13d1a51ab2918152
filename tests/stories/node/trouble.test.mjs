// Providers in trouble, as openai-node, the Vercel AI SDK and LangChain see them through weir: the stories of
// ../trouble.json. All are told at once, each SDK and form on an account of its own, so that a pause of one account holds
// up nobody else.
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { ChatOpenAI } from "@langchain/openai";
import { generateText, streamText } from "ai";
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { tmpdir } from "node:os";
import { join } from "node:path";
import OpenAI from "openai";
import { Simulator, Weir, freePort, waitUntil } from "./harness.mjs";

const table = JSON.parse(readFileSync(new URL("../trouble.json", import.meta.url)));

// What an SDK gives its caller, piece by piece, in its default settings.
const clients = {
  async *"openai-node"({ account, baseURL, headers, retries, streams }) {
    const client = new OpenAI({ baseURL, apiKey: "sk-story", defaultHeaders: headers, maxRetries: retries });
    const answer = await client.chat.completions.create({
      model: account,
      messages: [{ role: "user", content: "Hello" }],
      stream: streams,
    });
    if (!streams) return yield answer.choices[0].message.content;
    for await (const chunk of answer) yield chunk.choices[0]?.delta.content ?? "";
  },
  async *"ai-sdk"({ account, baseURL, headers, retries, streams }) {
    const provider = createOpenAICompatible({ name: "weir", baseURL, apiKey: "sk-story" });
    const request = { model: provider(account), prompt: "Hello", headers, maxRetries: retries };
    if (!streams) return yield (await generateText(request)).text;
    for await (const part of streamText({ ...request, onError() {} }).fullStream) {
      if (part.type === "error") throw part.error;
      if (part.type === "text-delta") yield part.text;
    }
  },
  async *"langchain-js"({ account, baseURL, headers, retries, streams }) {
    const settings = { model: account, apiKey: "sk-story", configuration: { baseURL, defaultHeaders: headers } };
    const model = new ChatOpenAI(retries === undefined ? settings : { ...settings, maxRetries: retries });
    if (!streams) return yield (await model.invoke("Hello")).content;
    for await (const chunk of await model.stream("Hello")) yield chunk.content;
  },
};

const cases = table.stories.flatMap((story, index) =>
  Object.keys(clients).flatMap((client) =>
    ["whole", "stream"]
      .filter((form) => (story.form ?? form) === form)
      .map((form) => ({
        story: { ...story, ...story.but?.[client] },
        client,
        streams: form === "stream",
        account: `story-${index}-${client}-${form}`, // also the model's name
      })),
  ),
);

async function configuration(simulator) {
  const nowhere = `http://127.0.0.1:${await freePort()}`;
  const upstream = (story, name, url) => ({
    name,
    provider: story.provider ?? "generic",
    api_key: "sk-simulated",
    base_url: url,
    timeouts: table.timeouts,
  });
  const upstreams = cases.flatMap(({ account, story }) =>
    story.spare
      ? [upstream(story, account, nowhere), upstream(story, `${account}-spare`, simulator.origin)]
      : [upstream(story, account, simulator.origin)],
  );
  const models = cases.map(({ account, story }) => ({
    name: account,
    upstreams: story.spare ? [{ name: account }, { name: `${account}-spare`, order: 2 }] : [account],
  }));
  return { version: 1, ...table.settings, upstreams, models };
}

async function tell({ story, client, streams, account }, baseURL) {
  const headers = { "x-sim-scenario": account };
  for (const [name, value] of Object.entries(story.headers)) {
    headers[name.startsWith("weir:") ? name.slice("weir:".length) : `x-sim-${name}`] = value;
  }
  const began = performance.now();
  const seen = { text: "" };
  try {
    const pieces = clients[client]({ account, baseURL, headers, retries: story.max_retries, streams });
    for await (const piece of pieces) seen.text += piece;
  } catch (error) {
    seen.error = error;
  }
  seen.milliseconds = performance.now() - began;
  return seen;
}

// Each SDK has its own way to say what the server said; the AI SDK wraps the last of several errors once more.
const statusOf = (error) => error.lastError?.statusCode ?? error.statusCode ?? error.status;
const codeOf = (error) => error.lastError?.data?.error.code ?? error.data?.error.code ?? error.code ?? error.error?.code;

let simulator, weir;
const told = new Map(); // by account: what its caller saw, and what weir wrote about it

before(async () => {
  simulator = await Simulator.start();
  const config = join(mkdtempSync(join(tmpdir(), "weir-trouble-")), "weir.yaml");
  writeFileSync(config, JSON.stringify(await configuration(simulator))); // JSON is YAML
  weir = await Weir.start("--config", config);
  const seen = await Promise.all(cases.map((each) => tell(each, weir.baseURL)));
  cases.forEach((each, index) => told.set(each.account, { seen: seen[index], exchanges: [] }));
  const missing = () => cases.filter((each) => told.get(each.account).exchanges.length < (each.story.exchanges ?? 1));
  const whatIsMissing = () =>
    "the log has " + missing().map(({ account }) => `${account} (its caller saw ${told.get(account).seen.error})`).join(", ");
  await waitUntil(() => {
    for (const each of told.values()) each.exchanges = [];
    for (const line of weir.log.split("\n").filter((text) => text.includes('"event":"exchange"') && text.endsWith("}"))) {
      const record = JSON.parse(line);
      told.get(record.model).exchanges.push(record);
    }
    return missing().length === 0;
  }, whatIsMissing);
});
after(async () => {
  await weir?.stop();
  await simulator?.stop();
});

for (const each of cases) {
  test(`${each.story.name}, ${each.client}, ${each.streams ? "streamed" : "whole"}`, () => {
    const { seen, exchanges } = told.get(each.account);
    const { sees, calls, exchanges: comes = 1, least_ms: least = 0 } = each.story;
    if (sees === "answer") {
      assert.equal(seen.error, undefined);
      assert.match(seen.text, /^one two three/);
    } else {
      assert.ok(seen.error, "no error");
      if (sees.status) assert.equal(statusOf(seen.error), sees.status);
      if (sees.code) assert.match(String(codeOf(seen.error)), new RegExp(`^${sees.code}$`));
      assert.equal(seen.text !== "", sees.text ?? false);
    }
    assert.ok(seen.milliseconds >= least, `after ${seen.milliseconds} ms`);
    assert.equal(exchanges.reduce((sum, exchange) => sum + exchange.attempts, 0), calls, JSON.stringify(exchanges));
    assert.equal(exchanges.length, comes, JSON.stringify(exchanges));
  });
}
