// LangChain for Node, its defaults untouched: only the variables that ./dev run prints are set.
import { ChatOpenAI, OpenAIEmbeddings } from "@langchain/openai";
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { MODEL, Simulator, Weir } from "./harness.mjs";

let simulator, weir;

before(async () => {
  simulator = await Simulator.start();
  weir = await Weir.start("--upstream", simulator.origin);
  process.env.OPENAI_BASE_URL = weir.baseURL;
  process.env.OPENAI_API_KEY = "sk-story";
});
after(async () => {
  await weir?.stop();
  await simulator?.stop();
});

test("chat, whole and streamed", async () => {
  const model = new ChatOpenAI({ model: MODEL });
  const answer = await model.invoke("Hello");
  assert.ok(answer.content);
  assert.ok(answer.usage_metadata.output_tokens > 0);
  let text = "";
  for await (const chunk of await model.stream("Hello")) text += chunk.content;
  assert.ok(text);
});

test("embeddings", async () => {
  const vectors = await new OpenAIEmbeddings().embedDocuments(["one", "two"]);
  assert.equal(vectors.length, 2);
  assert.ok(vectors[0].length > 0);
});
