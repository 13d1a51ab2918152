// Anthropic's SDK for Node, changed by nothing but its base URL.
import Anthropic, { AuthenticationError } from "@anthropic-ai/sdk";
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { MODEL, Simulator, Weir, sim, startTeam } from "./harness.mjs";

const request = { model: MODEL, max_tokens: 100, messages: [{ role: "user", content: "Hello" }] };
let simulator, weir, client;

before(async () => {
  simulator = await Simulator.start();
  weir = await Weir.start("--upstream", simulator.origin);
  process.env.ANTHROPIC_BASE_URL = weir.origin;
  process.env.ANTHROPIC_API_KEY = "sk-story";
  client = new Anthropic();
});
after(async () => {
  await weir?.stop();
  await simulator?.stop();
});

test("a message", async () => {
  const message = await client.messages.create(request, { headers: sim({ "output-tokens": 7 }) });
  assert.equal(message.stop_reason, "end_turn");
  assert.ok(message.content[0].text);
  assert.equal(message.usage.output_tokens, 7);
});

test("a stream of named events", async () => {
  const kinds = [];
  for await (const event of await client.messages.create({ ...request, stream: true })) kinds.push(event.type);
  assert.equal(kinds[0], "message_start");
  assert.equal(kinds.at(-1), "message_stop");
  assert.ok(kinds.includes("content_block_delta"));
});

test("the stream helper gathers the whole message", async () => {
  const final = await client.messages.stream(request).finalMessage();
  assert.ok(final.content[0].text);
});

test("an unknown key is refused in Anthropic's shape", async (t) => {
  const team = await startTeam(simulator);
  t.after(() => team.server.stop());
  const stranger = new Anthropic({ baseURL: team.server.origin, apiKey: "sk-nobody", maxRetries: 0 });
  await assert.rejects(stranger.messages.create(request), (error) => {
    assert.ok(error instanceof AuthenticationError);
    assert.equal(error.error.type, "error");
    assert.equal(error.error.error.type, "authentication_error");
    return true;
  });
  const member = new Anthropic({ baseURL: team.server.origin, apiKey: team.alice });
  assert.ok((await member.messages.create(request)).content[0].text);
});
