// The official OpenAI SDK for Node, changed by nothing but its base URL.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import OpenAI, { AuthenticationError, BadRequestError, NotFoundError, RateLimitError, toFile } from "openai";
import { MODEL, Simulator, Weir, sim, startTeam, waitUntil } from "./harness.mjs";

const messages = [{ role: "user", content: "Hello" }];
let simulator, weir, client;

before(async () => {
  simulator = await Simulator.start();
  weir = await Weir.start("--upstream", simulator.origin);
  // As ./dev run prints them; the SDK is then made without any argument.
  process.env.OPENAI_BASE_URL = weir.baseURL;
  process.env.OPENAI_API_KEY = "sk-story";
  client = new OpenAI();
});
after(async () => {
  await weir?.stop();
  await simulator?.stop();
});

const textOf = async (stream) => {
  let text = "";
  for await (const chunk of stream) text += chunk.choices[0]?.delta?.content ?? "";
  return text;
};

test("chat, whole and streamed, says the same", async () => {
  const options = { headers: sim({ "output-tokens": 20 }) };
  const whole = await client.chat.completions.create({ model: MODEL, messages }, options);
  assert.equal(whole.choices[0].finish_reason, "stop");
  assert.equal(whole.usage.completion_tokens, 20);
  const stream = await client.chat.completions.create({ model: MODEL, messages, stream: true }, options);
  assert.equal(await textOf(stream), whole.choices[0].message.content);
});

test("the stream helper gathers the whole answer", async () => {
  const runner = client.chat.completions.stream({ model: MODEL, messages });
  const final = await runner.finalChatCompletion();
  assert.ok(final.choices[0].message.content);
});

test("usage appears in a stream only when asked for", async () => {
  const chunksOf = async (extra) => {
    const chunks = [];
    for await (const chunk of await client.chat.completions.create({ model: MODEL, messages, stream: true, ...extra }))
      chunks.push(chunk);
    return chunks;
  };
  assert.ok((await chunksOf({})).every((chunk) => chunk.choices.length > 0 && !chunk.usage));
  const last = (await chunksOf({ stream_options: { include_usage: true } })).at(-1);
  assert.deepEqual(last.choices, []);
  assert.ok(last.usage.completion_tokens > 0);
});

test("keep-alives of the provider disturb nobody", async () => {
  const options = { headers: sim({ "output-tokens": 5, ttft: "300ms", "keepalive-every": "20ms" }) };
  assert.ok(await textOf(await client.chat.completions.create({ model: MODEL, messages, stream: true }, options)));
  const whole = await client.chat.completions.create({ model: MODEL, messages }, options);
  assert.ok(whole.choices[0].message.content);
});

test("embeddings, which the SDK asks for in base64", async () => {
  const answer = await client.embeddings.create({ model: "text-embedding-3-small", input: ["one", "two"] });
  assert.equal(answer.data.length, 2);
  assert.equal(typeof answer.data[0].embedding[0], "number");
});

test("models", async () => {
  const ids = [];
  for await (const model of client.models.list()) ids.push(model.id);
  assert.ok(ids.length > 0);
});

test("responses, whole and as named events", async () => {
  const whole = await client.responses.create({ model: MODEL, input: "Hello" });
  assert.equal(whole.status, "completed");
  assert.ok(whole.output_text);
  const kinds = [];
  for await (const event of await client.responses.create({ model: MODEL, input: "Hello", stream: true }))
    kinds.push(event.type);
  assert.equal(kinds[0], "response.created");
  assert.equal(kinds.at(-1), "response.completed");
  assert.ok(kinds.includes("response.output_text.delta"));
});

test("a call aborted before its answer ends the provider's work", async () => {
  const earlier = await simulator.disconnects();
  const { received } = (await simulator.stats()).requests;
  const controller = new AbortController();
  const headers = sim({ ttft: "10m" });
  const call = client.chat.completions.create({ model: MODEL, messages }, { headers, signal: controller.signal });
  const refused = assert.rejects(call, OpenAI.APIUserAbortError);
  await waitUntil(async () => (await simulator.stats()).requests.received > received, "the provider has the request");
  controller.abort();
  await refused;
  await waitUntil(async () => (await simulator.disconnects()) > earlier, "the provider saw its client leave");
});

// What the simulated provider is asked to say, it says.
const texts = {
  "a megabyte": "wässer under the bridge ".repeat(Math.ceil((1024 * 1024) / 25)),
  scripts: "Grüße, 世界! 🌊 مرحبا",
  "odd code points": "e\u0301 \u2028\u2029 \u{10ffff}",
  escapes: '"quotes" \\ \t {}[] </script>',
};
for (const [name, text] of Object.entries(texts)) {
  test(`${name}, there and back`, async () => {
    const request = { model: MODEL, messages: [{ role: "user", content: `echo: ${text}` }] };
    const whole = await client.chat.completions.create(request);
    assert.equal(whole.choices[0].message.content, text);
    assert.equal(await textOf(await client.chat.completions.create({ ...request, stream: true })), text);
  });
}

test("half of a surrogate pair is legal JSON to weir, whatever the provider makes of it", async () => {
  const request = { model: MODEL, messages: [{ role: "user", content: "half \ud83c" }] };
  const error = await client.chat.completions.create(request).then(() => null, (refusal) => refusal);
  assert.equal(error?.headers.get("x-weir-error") ?? null, null);
});

test("a file up and down", async () => {
  const content = Buffer.alloc(1024 * 1024, "\r\n--noise\u0000");
  const uploaded = await client.files.create({ file: await toFile(content, "noise.bin"), purpose: "user_data" });
  assert.equal(uploaded.bytes, content.length);
  assert.ok(Buffer.from(await (await client.files.content(uploaded.id)).arrayBuffer()).equals(content));
});

test("a cut stream is never taken for a whole one", async () => {
  const headers = sim({ "output-tokens": 500, "tokens-per-second": 100, "drop-after": 5 });
  const stream = await client.chat.completions.create({ model: MODEL, messages, stream: true }, { headers });
  await assert.rejects(textOf(stream), (error) => {
    assert.ok(error instanceof OpenAI.APIError);
    assert.match(error.code, /^weir_upstream_(reset|truncated)$/);
    return true;
  });
});

test("errors of the provider pass untouched", async () => {
  const impatient = new OpenAI({ maxRetries: 0 });
  const headers = { ...sim({ status: 429 }), "x-weir-max-wait": "0" };
  await assert.rejects(impatient.chat.completions.create({ model: MODEL, messages }, { headers }), (error) => {
    assert.ok(error instanceof RateLimitError);
    assert.equal(error.headers.get("x-weir-error"), null);
    return true;
  });
});

test("a bad body is refused with the field's name", async () => {
  await assert.rejects(client.chat.completions.create({ model: MODEL, messages: "not a list" }), (error) => {
    assert.ok(error instanceof BadRequestError);
    assert.equal(error.code, "invalid_parameter");
    assert.match(error.message, /messages/);
    return true;
  });
});

test("an unknown path is not found", async () => {
  await assert.rejects(client.get("/no/such/path"), NotFoundError);
});

describe("with virtual keys", () => {
  let team;
  before(async () => (team = await startTeam(simulator)));
  after(() => team?.server.stop());
  const sdk = (apiKey) => new OpenAI({ baseURL: team.server.baseURL, apiKey, maxRetries: 0 });

  test("a known key is served", async () => {
    assert.ok((await sdk(team.alice).chat.completions.create({ model: MODEL, messages })).choices[0].message.content);
  });

  test("an unknown key is refused", async () => {
    await assert.rejects(sdk("sk-nobody").chat.completions.create({ model: MODEL, messages }), (error) => {
      assert.ok(error instanceof AuthenticationError);
      assert.equal(error.code, "invalid_api_key");
      return true;
    });
  });

  test("an unknown model is not found", async () => {
    await assert.rejects(sdk(team.alice).chat.completions.create({ model: "no-such-model", messages }), (error) => {
      assert.ok(error instanceof NotFoundError);
      assert.equal(error.code, "model_not_found");
      return true;
    });
  });
});
