// A daemon over scripted engines: trilane-fake-lane under the names of real ones, in a folder of
// its own that vanishes with it. Not a test.
import assert from 'node:assert/strict';
import { spawn, execFileSync } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import http from 'node:http';
import os from 'node:os';
import path from 'node:path';
import { after } from 'node:test';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

import OpenAI from 'openai';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const BINARY = path.resolve(ROOT, process.env.TRILANE_BIN ?? 'build/dev/src/app/trilane');
const FAKE_LANE = path.resolve(ROOT, process.env.TRILANE_FAKE_LANE ?? 'build/dev/tests/fake_lane/trilane-fake-lane');
const MODEL = path.resolve(ROOT, 'models/trilane-nano/trilane-nano-tq2_0.gguf');
const START_MS_MAX = 30_000;
const STOP_MS_MAX = 15_000;

/** Asks over a connection that is kept, as real clients do. */
export class Keeper {
  constructor(url) {
    this.url = new URL(url);
    this.agent = new http.Agent({ keepAlive: true });
  }

  /** {status, body, ms}; `body` parsed when it is JSON. */
  ask(method, target, body) {
    const begin = performance.now();
    return new Promise((resolve, reject) => {
      const json = body === undefined ? '' : JSON.stringify(body);
      // Its length is said, for Node.js sends DELETE without one otherwise, and without its body.
      const headers = body === undefined ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(json) };
      const request = http.request(
        { host: this.url.hostname, port: this.url.port, method, path: target, headers, agent: this.agent },
        (response) => {
          const chunks = [];
          response.on('data', (chunk) => chunks.push(chunk));
          response.on('error', reject);
          response.on('end', () => {
            const ms = performance.now() - begin;
            const text = Buffer.concat(chunks).toString();
            let parsed = text;
            try {
              parsed = JSON.parse(text);
            } catch {
              // not JSON: as it stands
            }
            resolve({ status: response.statusCode, headers: response.headers, body: parsed, ms });
          });
        });
      request.on('error', reject);
      request.end(json);
    });
  }

  chat(model, content, fields = {}) {
    return this.ask('POST', '/v1/chat/completions',
      { model, messages: [{ role: 'user', content }], ...fields });
  }

  close() {
    this.agent.destroy();
  }
}

// A test that fails leaves its daemon behind; the file would never end.
const started = new Set();
after(() => started.forEach((child) => child.kill('SIGKILL')));

export class LaneBox {
  /**
   * `lanes`: name → {engine: 'llama-server' | 'flm', script, config: TOML lines}; `models`: names
   * of GGUF models; `files`: further ones, by file name; `config`: further TOML; `home`: a folder
   * that outlives the box.
   */
  static async start({ lanes, models = ['a', 'b', 'c'], files = {}, config = '', options = [], home }) {
    const box = new LaneBox();
    box.folder = fs.mkdtempSync(path.join(os.tmpdir(), 'trilane-lanes-'));
    const folder = (name) => {
      const made = path.join(box.folder, name);
      fs.mkdirSync(made, { recursive: true });
      return made;
    };
    const modelsFolder = folder('models');
    for (const name of models) fs.symlinkSync(MODEL, path.join(modelsFolder, `${name}.gguf`));
    for (const [name, bytes] of Object.entries(files)) fs.writeFileSync(path.join(modelsFolder, name), bytes);
    let toml = `${config}\n`;
    for (const [name, lane] of Object.entries(lanes)) {
      const program = path.join(folder(`bin-${name}`), lane.engine);
      fs.symlinkSync(FAKE_LANE, program);
      box.scripts[name] = `${program}.fake.json`;
      fs.writeFileSync(box.scripts[name], JSON.stringify(lane.script ?? {}));
      toml += `[lane.${name}]\nkind = "${lane.engine}"\nprogram = "${program}"\n${lane.config ?? ''}\n`;
    }
    const configFile = (box.configFile = path.join(box.folder, 'config.toml'));
    fs.writeFileSync(configFile, toml);
    box.environment = { PATH: process.env.PATH, HOME: home ?? folder('home'), TRILANE_MODELS_DIR: modelsFolder };
    box.child = spawn(BINARY,
      ['serve', '--port', '0', '--no-model', '--config', configFile, '--log-level', 'info', ...options],
      {
        cwd: box.folder,
        env: box.environment,
        stdio: ['ignore', 'pipe', 'pipe'],
      });
    box.exited = once(box.child, 'exit');
    started.add(box.child);
    box.child.once('exit', () => started.delete(box.child));
    box.child.stderr.on('data', (bytes) => {
      box.log += bytes;
    });
    const deadline = AbortSignal.timeout(START_MS_MAX);
    deadline.addEventListener('abort', () => box.url ?? box.child.kill('SIGKILL'));
    for await (const line of createInterface({ input: box.child.stdout })) {
      box.url = /listening on (http:\/\/127\.0\.0\.1:\d+)/.exec(line)?.[1];
      if (box.url) break;
    }
    box.child.stdout.resume();
    assert.ok(box.url, `the daemon printed no URL:\n${box.log}`);
    box.keeper = new Keeper(box.url);
    box.client = new OpenAI({ baseURL: `${box.url}/v1`, apiKey: 'none', maxRetries: 0 });
    return box;
  }

  scripts = {};
  log = '';

  script(lane, script) {
    fs.writeFileSync(this.scripts[lane], JSON.stringify(script));
  }

  /** Runs another verb of the command line against this daemon: {code, out, err}. */
  verb(...words) {
    return this.run(...words, '--url', this.url);
  }

  /** Runs a verb that needs no daemon, in the daemon's surroundings. */
  async run(...words) {
    const child = spawn(BINARY, words, { cwd: this.folder, env: this.environment, stdio: ['ignore', 'pipe', 'pipe'] });
    let out = '';
    let err = '';
    child.stdout.on('data', (bytes) => (out += bytes));
    child.stderr.on('data', (bytes) => (err += bytes));
    const [code] = await once(child, 'close');
    return { code, out, err };
  }

  chat(model, content = '[[id:x]]', fields = {}) {
    return this.keeper.chat(model, content, fields);
  }

  async load(model, fields = {}) {
    return this.keeper.ask('POST', '/trilane/v1/load', { model, ...fields });
  }

  async state() {
    return (await this.keeper.ask('GET', '/trilane/v1/state')).body;
  }

  /** model → state, of all lanes. */
  async residents() {
    const out = {};
    for (const lane of (await this.state()).lanes) {
      for (const one of lane.models) out[one.model] = one.state;
    }
    return out;
  }

  /** Polls until `holds(await what())`. */
  async until(what, holds, msMax = 10_000) {
    const begin = performance.now();
    for (;;) {
      const value = await what();
      if (holds(value)) return performance.now() - begin;
      assert.ok(performance.now() - begin < msMax, `still ${JSON.stringify(value)}\n${this.log}`);
      await delay(2);
    }
  }

  /** Process ids of the daemon's children. */
  children() {
    const ids = [];
    for (const name of fs.readdirSync('/proc')) {
      if (!/^\d+$/.test(name)) continue;
      try {
        const status = fs.readFileSync(`/proc/${name}/status`, 'utf8');
        if (new RegExp(`^PPid:\\s+${this.child.pid}$`, 'm').test(status)) ids.push(Number(name));
      } catch {
        // it has ended meanwhile
      }
    }
    return ids;
  }

  /** Stops it, requires good order and that nothing is left; how many milliseconds that took. */
  async stop() {
    const children = this.children();
    const begin = performance.now();
    this.child.kill('SIGTERM');
    const timer = setTimeout(() => this.child.kill('SIGKILL'), STOP_MS_MAX);
    const [code, signal] = await this.exited;
    clearTimeout(timer);
    const ms = performance.now() - begin;
    this.keeper.close();
    assert.deepEqual({ code, signal }, { code: 0, signal: null }, `the exit of the daemon\n${this.log}`);
    for (const id of children) {
      assert.ok(!fs.existsSync(`/proc/${id}`), `child ${id} outlived the daemon`);
    }
    fs.rmSync(this.folder, { recursive: true, force: true });
    return ms;
  }
}

export const sorted = (times) => times.toSorted((a, b) => a - b);
export const median = (times) => sorted(times)[Math.floor(times.length / 2)];
export const quantile = (times, share) => sorted(times)[Math.ceil(times.length * share) - 1];
export const processesNamed = (text) =>
  execFileSync('ps', ['-eo', 'args'], { encoding: 'utf8' }).split('\n').filter((line) => line.includes(text));
