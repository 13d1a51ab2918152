// The Vercel AI SDK with its provider for OpenAI-compatible servers.
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { APICallError, embedMany, generateText, jsonSchema, streamText, tool } from "ai";
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { MODEL, Simulator, Weir, sim, startTeam } from "./harness.mjs";

let simulator, weir, provider;

before(async () => {
  simulator = await Simulator.start();
  weir = await Weir.start("--upstream", simulator.origin);
  provider = createOpenAICompatible({ name: "weir", baseURL: weir.baseURL, apiKey: "sk-story" });
});
after(async () => {
  await weir?.stop();
  await simulator?.stop();
});

test("generateText and streamText say the same", async () => {
  const request = { model: provider(MODEL), prompt: "Hello", headers: sim({ "output-tokens": 20 }) };
  const whole = await generateText(request);
  assert.equal(whole.finishReason, "stop");
  assert.equal(whole.usage.outputTokens, 20);
  const stream = streamText(request);
  let text = "";
  for await (const part of stream.textStream) text += part;
  assert.equal(text, whole.text);
  assert.equal(await stream.finishReason, "stop");
});

test("a stream's full parts hold no error", async () => {
  const headers = sim({ "output-tokens": 5, ttft: "300ms", "keepalive-every": "20ms" });
  const kinds = [];
  for await (const part of streamText({ model: provider(MODEL), prompt: "Hello", headers }).fullStream) kinds.push(part.type);
  assert.ok(kinds.includes("text-delta"));
  assert.ok(!kinds.includes("error"), kinds.join(" "));
  assert.equal(kinds.at(-1), "finish");
});

test("usage arrives where the provider object asks for it", async () => {
  const asking = createOpenAICompatible({ name: "weir", baseURL: weir.baseURL, apiKey: "sk-story", includeUsage: true });
  const stream = streamText({ model: asking(MODEL), prompt: "Hello", headers: sim({ "output-tokens": 9 }) });
  await stream.consumeStream();
  assert.equal((await stream.usage).outputTokens, 9);
});

test("a tool call", async () => {
  const weather = tool({
    description: "The weather somewhere",
    inputSchema: jsonSchema({ type: "object", properties: { city: { type: "string" } } }),
  });
  const { toolCalls } = await generateText({ model: provider(MODEL), prompt: "Hello", tools: { weather }, toolChoice: "required" });
  assert.equal(toolCalls[0].toolName, "weather");
});

test("embeddings", async () => {
  const model = provider.embeddingModel("text-embedding-3-small");
  const { embeddings } = await embedMany({ model, values: ["one", "two"] });
  assert.equal(embeddings.length, 2);
  assert.ok(embeddings[0].length > 0);
});

test("an error of the provider keeps its status", async () => {
  const headers = { ...sim({ status: 429 }), "x-weir-max-wait": "0" };
  const call = generateText({ model: provider(MODEL), prompt: "Hello", maxRetries: 0, headers });
  await assert.rejects(call, (error) => APICallError.isInstance(error) && error.statusCode === 429);
});

test("a refusal of weir's keeps its status, code and message", async (t) => {
  const team = await startTeam(simulator);
  t.after(() => team.server.stop());
  const stranger = createOpenAICompatible({ name: "weir", baseURL: team.server.baseURL, apiKey: "sk-nobody" });
  await assert.rejects(generateText({ model: stranger(MODEL), prompt: "Hello", maxRetries: 0 }), (error) => {
    assert.equal(error.statusCode, 401);
    assert.equal(error.data.error.code, "invalid_api_key");
    assert.equal(error.message, error.data.error.message);
    return true;
  });
});
