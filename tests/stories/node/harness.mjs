// Starts what the stories talk to: the simulated provider and weir before it, on free ports of 127.0.0.1. They start with
// an environment free of settings and must end with status 0 when told to.
import assert from "node:assert/strict";
import { spawn, execFileSync } from "node:child_process";
import { accessSync, constants, mkdtempSync, writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../../..", import.meta.url));
const startMilliseconds = 60_000; // a sanitized binary on a busy machine
const waitMilliseconds = 30_000; // for something that a test expects to happen

// Models are named in no configuration here: with one upstream, weir sends every name there.
export const MODEL = "deepseek-chat";

// Headers that tell the simulated provider what to do with one request.
export const sim = (settings) =>
  Object.fromEntries(Object.entries(settings).map(([name, value]) => [`x-sim-${name}`, String(value)]));

function weirBinary() {
  const named = process.env.WEIR_BIN;
  for (const candidate of named ? [named] : [join(root, "build/dev/weir"), join(root, "build/release/weir")]) {
    try {
      accessSync(candidate, constants.X_OK);
      return candidate;
    } catch {
      // the next one
    }
  }
  throw new Error("no weir binary: build one with ./dev build, or name one in WEIR_BIN");
}

const ours = (name) =>
  !/^(WEIR|OPENAI|ANTHROPIC|LANGCHAIN|LANGSMITH|DEEPSEEK|ARK)_/.test(name) && !/^(HTTPS?|ALL|NO)_PROXY$/i.test(name);
const cleanEnvironment = () => Object.fromEntries(Object.entries(process.env).filter(([name]) => ours(name)));

export function freePort() {
  return new Promise((resolve, reject) => {
    const probe = createServer().on("error", reject);
    probe.listen(0, "127.0.0.1", () => {
      const { port } = probe.address();
      probe.close(() => resolve(port));
    });
  });
}

// Polls until condition() gives something. The limit only bounds how long a failure takes. `what`: in words, or a
// function that finds them then.
export async function waitUntil(condition, what, milliseconds = waitMilliseconds) {
  const end = Date.now() + milliseconds;
  for (;;) {
    const value = await condition();
    if (value) return value;
    if (Date.now() >= end) assert.fail(`waited in vain until ${typeof what === "function" ? what() : what}`);
    await sleep(20);
  }
}

class Process {
  static async start(verb, flags, port, probe) {
    const self = new this();
    self.port = port;
    self.origin = `http://127.0.0.1:${port}`;
    self.baseURL = `${self.origin}/v1`;
    self.log = "";
    self.child = spawn(weirBinary(), [verb, ...flags], { cwd: root, env: cleanEnvironment(), stdio: ["ignore", "pipe", "pipe"] });
    for (const stream of [self.child.stdout, self.child.stderr]) stream.on("data", (data) => (self.log += data));
    self.ended = new Promise((resolve) => self.child.once("exit", (code, signal) => resolve(code ?? signal)));
    await waitUntil(
      async () => {
        assert.equal(self.child.exitCode, null, `weir ${verb} ended at start:\n${self.log}`);
        return fetch(self.origin + probe).then((answer) => answer.arrayBuffer().then(() => answer.ok), () => false);
      },
      `weir ${verb} is ready`,
      startMilliseconds,
    );
    return self;
  }

  async stop() {
    this.child.kill("SIGTERM");
    const limit = sleep(60_000, "none within 60 s of SIGTERM", { ref: false });
    const status = await Promise.race([this.ended, limit]);
    this.child.kill("SIGKILL");
    assert.equal(status, 0, `weir ended with status ${status}:\n${this.log}`);
  }
}

// As fast as it can be unless a request's x-sim-... headers say otherwise.
export class Simulator extends Process {
  static async start(...flags) {
    const port = await freePort();
    return super.start("simulate", ["--listen", `127.0.0.1:${port}`, "--tokens-per-second", "0", ...flags], port, "/__stats");
  }

  async stats() {
    return (await fetch(`${this.origin}/__stats`)).json();
  }

  // How often a client left before its answer was complete.
  async disconnects() {
    return (await this.stats()).client_disconnects;
  }
}

// One that refuses whatever goes beyond the limits: OpenAI's words, and the cap counts on arrival.
export class LimitedProvider extends Simulator {
  static start({ rpm, tpm, window }) {
    const enforced = ["--rpm", String(rpm), "--tpm", String(tpm), "--window", window, "--limiter", "sliding"];
    return super.start(...enforced, "--charge", "max-or-estimate", "--dialect", "openai");
  }
}

export class Weir extends Process {
  static async start(...flags) {
    const port = await freePort();
    const operatorPort = await freePort();
    const addresses = ["--listen", `127.0.0.1:${port}`, "--operator-listen", `127.0.0.1:${operatorPort}`];
    const self = await super.start("serve", [...addresses, ...flags], port, "/healthz");
    self.operatorOrigin = `http://127.0.0.1:${operatorPort}`;
    return self;
  }
}

// A TCP relay to `port` that counts the connections it accepted: what an SDK really opens, whatever it says.
export class CountingRelay {
  connections = 0;

  static async start(port) {
    const self = new this();
    self.server = createServer((near) => {
      self.connections += 1;
      const far = connect(port, "127.0.0.1");
      for (const [from, to] of [[near, far], [far, near]]) from.on("error", () => to.destroy()).pipe(to);
    });
    await new Promise((resolve) => self.server.listen(0, "127.0.0.1", resolve));
    self.origin = `http://127.0.0.1:${self.server.address().port}`;
    return self;
  }

  close() {
    this.server.close();
  }
}

// A configuration in a file of its own. JSON is YAML.
export function configFile(settings) {
  const path = join(mkdtempSync(join(tmpdir(), "weir-story-")), "weir.yaml");
  writeFileSync(path, JSON.stringify({ version: 1, ...settings }));
  return path;
}

// weir with virtual keys: `alice` may use every configured model.
export async function startTeam(simulator) {
  const run = (verb, options) => execFileSync(weirBinary(), [verb], { env: cleanEnvironment(), cwd: root, ...options });
  const alice = run("new-key").toString().match(/\b(weir|sk)-[\w-]+/)[0];
  const [hash] = run("hash-key", { input: `${alice}\n` }).toString().match(/sha256:\w+/);
  const config = configFile({
    clients: { mode: "keys" },
    upstreams: [{ name: "simulated", provider: "generic", base_url: simulator.baseURL, api_key: "sk-provider-secret" }],
    models: [{ name: "deepseek-*", upstreams: ["simulated"] }],
    keys: [{ name: "alice", hash }],
  });
  return { server: await Weir.start("--config", config), alice };
}

// The SDKs read their address and key from the environment: leave them only what a story sets.
for (const name of Object.keys(process.env)) if (!ours(name) && name !== "WEIR_BIN") delete process.env[name];
