// What a head that went out with a heartbeat could not say, as Node's own HTTP client reads it behind the answer.
import assert from "node:assert/strict";
import { request } from "node:http";
import { after, before, test } from "node:test";
import { MODEL, Simulator, Weir, configFile, sim } from "./harness.mjs";

let simulator, weir;
before(async () => {
  simulator = await Simulator.start();
  const heartbeat = { first_after: "100ms", stream_every: "50ms", json_after: "100ms", json_every: "50ms" };
  const upstreams = [{ name: "simulated", provider: "generic", api_key: "sk-simulated", base_url: simulator.origin }];
  weir = await Weir.start("--config", configFile({ heartbeat, upstreams }));
});
after(async () => {
  await weir?.stop();
  await simulator?.stop();
});

// The whole answer, with what stands before and behind it.
function call(stream, headers) {
  const body = JSON.stringify({ model: MODEL, stream, messages: [{ role: "user", content: "Hello" }] });
  return new Promise((resolve, reject) => {
    const sent = request(`${weir.baseURL}/chat/completions`, {
      method: "POST",
      headers: { "content-type": "application/json", "content-length": Buffer.byteLength(body), ...sim({ ttft: "600ms" }), ...headers },
    });
    sent.on("error", reject).on("response", async (answer) => {
      const parts = await answer.toArray();
      resolve({ head: answer.headers, text: Buffer.concat(parts).toString(), trailers: answer.trailers });
    });
    sent.end(body);
  });
}

for (const stream of [true, false]) {
  const form = stream ? "a stream" : "a JSON answer";
  test(`${form} that began with a heartbeat has its figures in trailers`, async () => {
    const { head, text, trailers } = await call(stream, { te: "trailers", connection: "TE" });
    assert.equal(head["x-weir-queue-state"], "waiting");
    assert.equal(head["x-weir-attempts"], undefined);
    assert.ok(head.trailer.includes("x-weir-attempts"));
    assert.equal(trailers["x-weir-upstream"], "simulated");
    assert.equal(trailers["x-weir-attempts"], "1");
    assert.match(trailers["x-weir-queue-ms"], /^\d+$/);
    assert.ok(trailers["x-weir-upstream-request-id"]);
    if (stream) assert.ok(text.endsWith("data: [DONE]\n\n"), text);
    else assert.ok(JSON.parse(text).choices[0].message.content);
  });

  test(`${form} has none for who did not ask`, async () => {
    const { head, trailers } = await call(stream, {});
    assert.equal(head["x-weir-queue-state"], "waiting");
    assert.equal(head.trailer, undefined);
    assert.deepEqual({ ...trailers }, {});
  });
}
