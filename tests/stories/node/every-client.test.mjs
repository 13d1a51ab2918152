// Every client of Node × what each of them has to manage through weir: the table of docs/coverage.md. Clients are in
// their defaults; what only one of them does is told in its own file. The other half is ../python/test_every_client.py.
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import Anthropic from "@anthropic-ai/sdk";
import { ChatOpenAI } from "@langchain/openai";
import { APICallError, generateText, streamText } from "ai";
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import OpenAI from "openai";
import { CountingRelay, MODEL, Simulator, Weir, sim, startTeam, waitUntil } from "./harness.mjs";

const asUser = (content) => [{ role: "user", content }];

// Each makes a client that gives an answer, whole or in pieces, and knows which errors are the SDK's own for 401 and 404.
const clients = {
  "openai-node"({ origin, key, headers }) {
    const sdk = new OpenAI({ baseURL: `${origin}/v1`, apiKey: key, defaultHeaders: headers });
    return {
      answer: async (prompt, model) =>
        (await sdk.chat.completions.create({ model, messages: asUser(prompt) })).choices[0].message.content,
      async *pieces(prompt, model) {
        const stream = await sdk.chat.completions.create({ model, messages: asUser(prompt), stream: true });
        for await (const chunk of stream) yield chunk.choices[0]?.delta.content ?? "";
      },
      isUnauthorized: (error) => error instanceof OpenAI.AuthenticationError,
      isNotFound: (error) => error instanceof OpenAI.NotFoundError,
    };
  },
  "ai-sdk"({ origin, key, headers }) {
    const provider = createOpenAICompatible({ name: "weir", baseURL: `${origin}/v1`, apiKey: key, headers });
    return {
      answer: async (prompt, model) => (await generateText({ model: provider(model), prompt })).text,
      async *pieces(prompt, model) {
        const left = new AbortController();
        try {
          const { fullStream } = streamText({ model: provider(model), prompt, abortSignal: left.signal, onError() {} });
          for await (const part of fullStream) {
            if (part.type === "error") throw part.error;
            if (part.type === "text-delta") yield part.text;
          }
        } finally {
          left.abort();
        }
      },
      isUnauthorized: (error) => APICallError.isInstance(error) && error.statusCode === 401,
      isNotFound: (error) => APICallError.isInstance(error) && error.statusCode === 404,
    };
  },
  "langchain-js"({ origin, key, headers }) {
    const settings = { apiKey: key, configuration: { baseURL: `${origin}/v1`, defaultHeaders: headers } };
    return {
      answer: async (prompt, model) => (await new ChatOpenAI({ model, ...settings }).invoke(prompt)).content,
      async *pieces(prompt, model) {
        for await (const chunk of await new ChatOpenAI({ model, ...settings }).stream(prompt)) yield chunk.content;
      },
      isUnauthorized: (error) => error instanceof OpenAI.AuthenticationError && error.lc_error_code === "MODEL_AUTHENTICATION",
      isNotFound: (error) => error instanceof OpenAI.NotFoundError && error.lc_error_code === "MODEL_NOT_FOUND",
    };
  },
  "anthropic-node"({ origin, key, headers }) {
    const sdk = new Anthropic({ baseURL: origin, apiKey: key, defaultHeaders: headers });
    const request = (prompt, model) => ({ model, max_tokens: 8000, messages: asUser(prompt) });
    return {
      answer: async (prompt, model) => (await sdk.messages.create(request(prompt, model))).content[0].text,
      async *pieces(prompt, model) {
        for await (const event of await sdk.messages.create({ ...request(prompt, model), stream: true }))
          if (event.type === "content_block_delta") yield event.delta.text;
      },
      isUnauthorized: (error) => error instanceof Anthropic.AuthenticationError,
      isNotFound: (error) => error instanceof Anthropic.NotFoundError,
    };
  },
};

const forms = {
  whole: (client, prompt, model = MODEL) => client.answer(prompt, model),
  async streamed(client, prompt, model = MODEL) {
    let text = "";
    for await (const piece of client.pieces(prompt, model)) text += piece;
    return text;
  },
};

let simulator, weir, team;
before(async () => {
  simulator = await Simulator.start();
  weir = await Weir.start("--upstream", simulator.origin);
  team = await startTeam(simulator);
});
after(async () => {
  await team?.server.stop();
  await weir?.stop();
  await simulator?.stop();
});

for (const [name, make] of Object.entries(clients)) {
  const client = (settings = {}) => make({ origin: weir.origin, key: "sk-story", headers: sim(settings) });

  test(`an answer and a stream say the same, ${name}`, async () => {
    const caller = client({ "output-tokens": 30 });
    const whole = await forms.whole(caller, "Hello");
    assert.ok(whole);
    assert.equal(await forms.streamed(caller, "Hello"), whole);
  });

  test(`a client that leaves a stream ends the provider's work, ${name}`, async () => {
    const earlier = await simulator.disconnects();
    // Ten minutes of tokens, were anybody to wait for them.
    for await (const piece of client({ "output-tokens": 6000, "tokens-per-second": 10 }).pieces("Hello", MODEL)) if (piece) break;
    await waitUntil(async () => (await simulator.disconnects()) > earlier, "the provider saw its client leave");
  });

  test(`calls share their connections, ${name}`, async (t) => {
    const relay = await CountingRelay.start(team.server.port);
    t.after(() => relay.close());
    const caller = make({ origin: relay.origin, key: team.alice, headers: {} });
    for (let round = 0; round < 3; ++round) {
      assert.ok(await forms.whole(caller, "Hello"));
      await assert.rejects(forms.whole(caller, "Hello", "gone"));
      assert.ok(await forms.streamed(caller, "Hello"));
    }
    // Before any server: Node's fetch sends a second call before it has put the first one's connection back, and has two.
    assert.ok(relay.connections <= 2, `${relay.connections} connections for 9 calls`);
  });

  test(`a megabyte there and back, ${name}`, async () => {
    const prompt = "wässer under the bridge ".repeat(Math.ceil((1024 * 1024) / 25));
    const answer = await forms.whole(client(), `echo: ${prompt}`);
    const body = await (await fetch(`${simulator.origin}/__last/body`)).json();
    assert.equal([body.messages[0].content].flat().map((part) => part.text ?? part).join(""), `echo: ${prompt}`);
    // Anthropic's SDK asks for no longer answer than it would wait for.
    if (body.max_tokens === undefined) assert.equal(answer, prompt);
    else assert.ok(answer.length > 40_000 && prompt.startsWith(answer));
  });

  for (const [form, say] of Object.entries(forms)) {
    test(`an unknown key is the SDK's own error, ${form}, ${name}`, async () => {
      const stranger = make({ origin: team.server.origin, key: "sk-nobody", headers: {} });
      await assert.rejects(say(stranger, "Hello"), (error) => {
        assert.ok(stranger.isUnauthorized(error), String(error));
        assert.match(error.message, /key/);
        return true;
      });
    });

    test(`an unknown model is the SDK's own error, ${form}, ${name}`, async () => {
      const caller = make({ origin: team.server.origin, key: team.alice, headers: {} });
      await assert.rejects(say(caller, "Hello", "gone"), (error) => {
        assert.ok(caller.isNotFound(error), String(error));
        assert.match(error.message, /gone/);
        return true;
      });
    });
  }
}
