// Makes the corpus: texts from Debian packages and generated ones, counted by real tokenizers.
//   node corpus.mjs FOLDER      FOLDER/debian/* holds unpacked packages; writes FOLDER/fit.jsonl and FOLDER/judge.jsonl
// A line is {"kind", "text", "counts": {"o200k", "cl100k", "deepseek", "qwen"}}. The two files share no document: the
// constants are fitted on the first, in pieces, and judged by whole texts of the second.
import fs from "node:fs";
import path from "node:path";
import zlib from "node:zlib";
import { countOf } from "./count.mjs";

const folder = process.argv[2];
const debian = path.join(folder, "debian");

// --- Chance: the same texts on every machine ------------------------------------------------------------------------

let state = 20240229;
function random() {  // mulberry32
  state = (state + 0x6d2b79f5) | 0;
  let t = Math.imul(state ^ (state >>> 15), 1 | state);
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
  return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
}
const below = (n) => Math.floor(random() * n);
const pick = (list) => list[below(list.length)];
const between = (low, high) => low + below(high - low + 1);
const lengthBetween = (low, high) => Math.round(low * (high / low) ** random());
const bytes = (n) => Buffer.from(Array.from({ length: n }, () => below(256)));

// --- Documents ------------------------------------------------------------------------------------------------------

function read(file) {
  const raw = fs.readFileSync(file);
  return (file.endsWith(".gz") ? zlib.gunzipSync(raw) : raw).toString("utf8");
}

// The text of a manual page: its macros mostly go, their arguments stay.
function fromRoff(text) {
  const out = [];
  for (const line of text.split("\n")) {
    if (/^[.']\\"/.test(line) || /^'/.test(line)) continue;
    let plain = line;
    if (line.startsWith(".")) {
      const [, macro, rest] = /^\.\s*(\S*)\s*(.*)$/.exec(line);
      if (/^(SH|SS|B|I|BR|BI|IR|IB|RB|RI|IP|TP|Nm|Ar|Fl|Xr)$/.test(macro)) plain = rest.replace(/"/g, "");
      else plain = "";
      if (macro === "SH") plain = "\n" + plain;
    }
    plain = plain
      .replace(/\\f[A-Z]|\\f\[[A-Z]*\]|\\f\(..|\\s[-+]?\d+|\\[,/&:|^%)]/g, "")
      .replace(/\\\(aq/g, "'").replace(/\\\(en|\\-/g, "-").replace(/\\\(em/g, "—").replace(/\\\((lq|dq)|\\\(rq/g, '"')
      .replace(/\\\(co/g, "©").replace(/\\\(bu|\\\[bu\]/g, "•").replace(/\\[*n]?\([a-zA-Z]{2}|\\\[[^\]]*\]|\\\*\S/g, "")
      .replace(/\\e|\\\\/g, "\\").replace(/\\(.)/g, "$1");
    out.push(plain);
  }
  return tidy(out.join("\n"));
}

const entities = { amp: "&", lt: "<", gt: ">", quot: '"', nbsp: " ", "#39": "'" };
function fromHtml(text) {
  const body = text.replace(/^[\s\S]*?<body[^>]*>/i, "").replace(/<(info|credit)>[\s\S]*?<\/\1>/g, "").replace(/<(script|style)[\s\S]*?<\/\1>/gi, "");
  return tidy(
    body
      .replace(/\s*\n\s*/g, " ").replace(/<(p|item|title|div|h\d|li|tr|pre|dt|dd|br)[ >/]/gi, "\n$&").replace(/<[^>]*>/g, "")
      .replace(/&(\w+|#39);/g, (all, name) => entities[name] ?? " ")
      .replace(/&#(\d+);/g, (all, number) => String.fromCodePoint(Number(number))),
  );
}
const tidy = (text) => text.replace(/[ \t]+\n/g, "\n").replace(/\n{3,}/g, "\n\n").trim();

function* files(where) {
  const root = path.join(debian, where);
  if (!fs.existsSync(root)) return;
  for (const entry of fs.readdirSync(root, { withFileTypes: true, recursive: true })) {
    if (entry.isFile()) yield path.join(entry.parentPath ?? entry.path, entry.name);
  }
}

// Documents of at least 600 characters, at most `most` per source, in an order that does not depend on the file system;
// a list for each source, so that one with many small documents does not crowd out the others.
function documents(sources, script, most = 160) {
  return sources.map(([where, pattern, convert]) => {
    const found = [];
    const matching = [...files(where)].filter((file) => pattern.test(file)).sort();
    const keep = shuffled(matching).slice(0, most);
    for (const file of keep) {
      if (fs.statSync(file).size > 400_000) continue;
      const text = convert(file.endsWith(".mo") ? fs.readFileSync(file) : read(file));
      if (script && (text.match(script) ?? []).length < 0.25 * text.length) continue;  // hardly translated
      if (text.length >= 600 && !text.includes("\ufffd")) found.push(text);
    }
    return found;
  });
}
function shuffled(list) {
  const copy = [...list];
  for (let i = copy.length - 1; i > 0; --i) {
    const j = below(i + 1);
    [copy[i], copy[j]] = [copy[j], copy[i]];
  }
  return copy;
}

// The translations of a compiled catalogue (GNU .mo, little endian), a line each.
function fromCatalogue(raw) {
  const count = raw.readUInt32LE(8), table = raw.readUInt32LE(16), lines = [];
  for (let i = 1; i < count; ++i) {
    const at = raw.readUInt32LE(table + 8 * i + 4);
    lines.push(raw.subarray(at, at + raw.readUInt32LE(table + 8 * i)).toString("utf8"));
  }
  return lines.join(random() < 0.5 ? ", " : "\n");
}

const asIs = (text) => text.trim();
const handbook = (language) => [`debian-handbook/usr/share/doc/debian-handbook/html/${language}`, /\.html$/, fromHtml];
const manual = (name, under = "") => [`${name}/usr/share/man/${under}`, /\.[1-8][a-z]*\.gz$/, fromRoff];
const help = (language) => [`gnome-user-docs/usr/share/help/${language}`, /\.page$/, fromHtml];
const office = (language) => [`libreoffice-help-${language.toLowerCase()}/usr/share/libreoffice/help/${language}/text`, /\.html$/, fromHtml];
const fortunes = (name) => [`${name}/usr/share/games/fortunes`, /\/[^.]*(\.\d+)?$/, (text) => text.replace(/\x1b\[\d*m/g, "").replace(/\n%\n/g, "\n\n")];
const scripts = { chinese: /\p{Script=Han}/gu, japanese: /[\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Han}]/gu,
  russian: /\p{Script=Cyrillic}/gu, korean: /\p{Script=Hangul}/gu };
const prose = {
  english: [handbook("en-US"), manual("manpages"), manual("manpages-dev"), ["debian-faq", /\.html$/, fromHtml],
    ["debian-policy", /\.txt\.gz$/, asIs], ["doc-debian", /\.txt(\.gz)?$/, asIs], help("C"), fortunes("fortunes"), fortunes("fortunes-min")],
  chinese: [handbook("zh-CN"), handbook("zh-TW"), manual("manpages-zh", "zh_CN"), ["debian-reference-zh-cn", /ch\d+.*\.html$/, fromHtml],
    help("zh_CN"), office("zh-CN"), fortunes("fortunes-zh")],
  japanese: [handbook("ja-JP"), manual("manpages-ja", "ja"), ["debian-reference-ja", /ch\d+.*\.html$/, fromHtml], help("ja"), office("ja")],
  german: [handbook("de-DE"), manual("manpages-de", "de"), ["debian-reference-de", /ch\d+.*\.html$/, fromHtml], help("de"),
    office("de"), fortunes("fortunes-de")],
  french: [handbook("fr-FR"), manual("manpages-fr", "fr"), help("fr")],
  spanish: [handbook("es-ES"), manual("manpages-es", "es"), help("es"), fortunes("fortunes-es")],
  russian: [handbook("ru-RU"), manual("manpages-ru", "ru"), help("ru"), fortunes("fortunes-ru")],
  korean: [handbook("ko-KR"), help("ko")],
  "other languages": [...["ar-MA", "el-GR", "fa-IR", "pl-PL", "cs-CZ", "tr-TR", "vi-VN", "pt-BR", "it-IT", "nl-NL", "sv-SE"].map(handbook),
    ...["ar", "el", "fa", "pl", "cs", "tr", "vi", "pt_BR", "it", "nl", "sv", "he", "uk", "fi", "hu"].map(help)],
  "other scripts": [...["hi", "th", "bn", "ta", "he", "ka", "hy", "mr", "te", "am"].map((language) =>
    [`iso-codes/usr/share/locale/${language}/LC_MESSAGES`, /\.mo$/, fromCatalogue]),
    ...["hi", "gu", "kn", "mr", "pa", "ta", "te"].map(help)],
  code: [["libpython3.11-stdlib", /\.py$/, asIs], ["golang-github-spf13-cobra-dev", /\.go$/, asIs],
    ["librust-serde-dev", /\.rs$/, asIs], ["libspdlog-dev", /\.h$/, asIs], ["libboost1.81-dev", /\/(asio|json|url|beast)\/.*\.[hi]pp$/, asIs],
    ["node-express", /\.js$/, asIs], ["node-lodash", /\/[a-z]\w+\.js$/i, asIs], ["php-symfony-console", /\.php$/, asIs],
    ["ruby-rack", /\.rb$/, asIs]],
  html: [["debian-faq", /\.html$/, asIs], ["debian-handbook/usr/share/doc/debian-handbook/html/en-US", /\.html$/, asIs]],
};

// --- Generated texts ------------------------------------------------------------------------------------------------

const uuid = () => {
  const hex = bytes(16).toString("hex");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${hex.slice(20)}`;
};
const stamp = () => new Date(1.6e12 + random() * 2e11).toISOString();
let words = [];
const word = () => pick(words);
const sentence = (n) => Array.from({ length: n }, word).join(" ");
const keys = ["id", "name", "title", "status", "created_at", "updatedAt", "user_id", "items", "price", "description", "tags",
  "address", "latitude", "score", "enabled", "children", "url", "type", "value", "metadata", "count", "error_message", "email"];
function value(depth) {
  switch (below(depth > 3 ? 9 : 11)) {
    case 0: return below(100000);
    case 1: return Math.round(random() * 1e6) / 1e3;
    case 2: return random() < 0.5;
    case 3: return null;
    case 4: return stamp();
    case 5: return uuid();
    case 6: return word();
    case 7: return sentence(between(3, 14));
    case 8: return `https://example.com/${word()}/${word()}/${below(9999)}`;
    case 9: return Array.from({ length: between(1, 5) }, () => value(depth + 1));
    default: return record(depth + 1);
  }
}
function record(depth) {
  const out = {};
  for (let i = between(2, 7); i > 0; --i) out[pick(keys)] = value(depth);
  return out;
}
function json(length) {
  const style = below(3);
  const list = [];
  for (let size = 0; size < length; size += JSON.stringify(list.at(-1)).length) list.push(record(0));
  if (style === 2) return list.map((item) => JSON.stringify(item)).join("\n");
  return JSON.stringify(list, null, style === 0 ? 0 : between(1, 2) * 2);
}
function base64(length) {
  const raw = random() < 0.6 ? bytes(Math.ceil(length * 0.75)) : random() < 0.5
    ? zlib.gzipSync(sentence(length)) : Buffer.from(sentence(Math.ceil(length / 8)));
  const text = raw.toString("base64").slice(0, length);
  return random() < 0.5 ? text : text.replace(/.{76}/g, "$&\n");
}
function ids(length) {
  const make = pick([uuid, () => bytes(between(4, 32)).toString("hex"), () => "0x" + bytes(8).toString("hex"),
    () => bytes(20).toString("hex").toUpperCase(), () => "sk-" + bytes(24).toString("base64url")]);
  const separator = pick(["\n", ", ", " ", '",\n  "']);
  let text = "";
  while (text.length < length) text += make() + separator;
  return text;
}
function rows(length) {
  const style = below(4);
  let text = "";
  while (text.length < length) {
    if (style === 0) text += `${stamp()} ${pick(["INFO", "WARN", "ERROR", "DEBUG"])} [${word()}-${below(32)}] ${sentence(between(3, 10))} (${below(5000)} ms)\n`;
    else if (style === 1) text += Array.from({ length: 8 }, () => (random() * 1000).toFixed(between(0, 6))).join(",") + "\n";
    else if (style === 2) text += `${below(255)}.${below(255)}.${below(255)}.${below(255)} - - [${stamp()}] "GET /${word()}/${word()}?id=${below(99999)} HTTP/1.1" ${pick([200, 301, 404, 500])} ${below(99999)}\n`;
    else text += `| ${word()} | ${below(1e6)} | ${(random() * 100).toFixed(2)}% | ${sentence(3)} |\n`;
  }
  return text;
}
function chatter(length) {
  const blocks = [[0x1f600, 0x1f64f], [0x1f300, 0x1f5ff], [0x1f680, 0x1f6c5], [0x1f900, 0x1f9ff], [0x2600, 0x26ff], [0x2700, 0x27bf]];
  const emoji = () => { const [low, high] = pick(blocks); return String.fromCodePoint(between(low, high)); };
  let text = "";
  while (text.length < length) text += sentence(between(2, 12)) + pick([" ", "! ", "", "\n"]) + Array.from({ length: between(1, 3) }, emoji).join("") + pick([" ", "\n"]);
  return text;
}
const generated = { emoji: chatter, json, base64, "hex, ids": ids, "logs, tables": rows };

// --- Texts of a kind ------------------------------------------------------------------------------------------------

function slice(text, length) {
  if (text.length <= length) return text;
  let begin = below(text.length - length);
  const line = text.indexOf("\n", begin);
  if (line >= 0 && line < begin + 400) begin = line + 1;
  let end = begin + length;
  const last = text.charCodeAt(end - 1);
  if (last >= 0xd800 && last < 0xdc00) --end;
  return text.slice(begin, end);
}

function write(file, texts) {
  const out = texts.map(({ kind, text }) => JSON.stringify({ kind, text, counts: countOf(text) }));
  fs.writeFileSync(path.join(folder, file), out.join("\n") + "\n");
  process.stderr.write(`${file}: ${texts.length} texts, ${texts.reduce((sum, { text }) => sum + text.length, 0)} characters\n`);
}

const halves = { fit: {}, judge: {} };
for (const [kind, sources] of Object.entries(prose)) {
  const all = documents(sources, scripts[kind]).map(shuffled);
  const half = (odd) => all.map((list) => list.filter((_, i) => i % 2 === odd)).filter((list) => list.length > 0);
  halves.fit[kind] = half(0);
  halves.judge[kind] = half(1);
}

const most = { english: 110, chinese: 130, japanese: 90, german: 90, code: 130 };
const everything = [];
for (const half of ["fit", "judge"]) {
  words = halves[half].english.flat().join(" ").split(/[^A-Za-z]+/).filter((w) => w.length > 2).slice(0, 20000);
  const texts = [];
  const source = (kind) => generated[kind] ?? ((length) => slice(pick(pick(halves[half][kind])), length));
  const kinds = [...Object.keys(prose), ...Object.keys(generated)];
  for (const kind of kinds) {
    for (let i = most[kind] ?? 50; i > 0; --i) texts.push({ kind, text: source(kind)(lengthBetween(400, 24000)) });
  }
  for (let i = 0; i < 60; ++i) {
    const parts = Array.from({ length: between(2, 7) }, () => source(pick(kinds))(lengthBetween(200, 6000)));
    texts.push({ kind: "mixture", text: parts.join("\n\n") });
  }
  if (half === "judge") {
    for (let i = 0; i < 24; ++i) {
      const length = lengthBetween(100_000, 700_000);
      let text = "";
      while (text.length < length) text += source(pick(kinds))(lengthBetween(500, 40_000)) + "\n\n";
      texts.push({ kind: "long mixture", text });
    }
    write("judge.jsonl", texts);
  } else {
    const pieces = [];
    for (const { kind, text } of texts) {
      for (let at = 0; at < text.length;) {
        let end = Math.min(text.length, at + lengthBetween(150, 2500));
        const line = text.indexOf("\n", end);
        if (line >= 0 && line < end + 200) end = line + (random() < 0.5 ? 1 : 0);
        else if (text.charCodeAt(end - 1) >= 0xd800 && text.charCodeAt(end - 1) < 0xdc00) --end;
        if (text.slice(at, end).trim().length > 20) pieces.push({ kind, text: text.slice(at, end) });
        at = Math.max(end, at + 1);
      }
    }
    write("fit.jsonl", pieces);
  }
}
