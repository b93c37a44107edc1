// Starts the real binary with the bundled model on a free port, and stops it again. Not a test.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import http from 'node:http';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

import OpenAI from 'openai';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const BINARY = process.env.TRILANE_BIN ?? 'build/dev/src/app/trilane';
const MODEL = 'models/trilane-nano/trilane-nano-tq2_0.gguf';
const START_MS_MAX = 30_000;
const STOP_MS_MAX = 30_000;

export class Server {
  /** Waits until the server has printed its URL. */
  static async start(...options) {
    const child = spawn(BINARY, ['serve', '--port', '0', '--model', MODEL, '--log-level', 'warn', ...options], {
      cwd: ROOT,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const server = new Server(child);
    child.once('error', (error) => {
      server.spawnError = error;
    });
    const deadline = AbortSignal.timeout(START_MS_MAX);
    deadline.addEventListener('abort', () => server.url ?? child.kill('SIGKILL'));
    for await (const line of createInterface({ input: child.stdout })) {
      server.url = /listening on (http:\/\/127\.0\.0\.1:\d+)/.exec(line)?.[1];
      if (server.url) break;
    }
    child.stdout.resume();
    assert.ok(server.url, `${BINARY} printed no URL: ${server.spawnError ?? `exit ${child.exitCode}`}`);
    server.client = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: 'none', maxRetries: 0 });
    server.model = (await server.client.models.list()).data[0].id;
    return server;
  }

  constructor(child) {
    this.child = child;
    this.exited = once(child, 'exit');
  }

  /** Asks the server to stop, and requires that it does so by itself and in good order. */
  async stop() {
    this.child.kill('SIGTERM');
    await this.stopped();
  }

  async stopped() {
    const timer = setTimeout(() => this.child.kill('SIGKILL'), STOP_MS_MAX);
    const [code, signal] = await this.exited;
    clearTimeout(timer);
    assert.deepEqual({ code, signal }, { code: 0, signal: null }, 'the exit of the server');
  }

  /** One chat, with the fields that every test would repeat. */
  chat(content, fields = {}, options = {}) {
    const messages = Array.isArray(content) ? content : [{ role: 'user', content }];
    return this.client.chat.completions.create(
      { model: this.model, messages, temperature: 0, max_tokens: 32, ...fields }, options);
  }

  complete(prompt, fields = {}, options = {}) {
    return this.client.completions.create(
      { model: this.model, prompt, temperature: 0, max_tokens: 16, ...fields }, options);
  }

  /** A request as raw bytes: what the client library would not let through. */
  raw(method, path, body, headers = { 'content-type': 'application/json' }) {
    return new Promise((resolve, reject) => {
      let answered = false;
      const request = http.request(`${this.url}${path}`, { method, headers, agent: false }, (response) => {
        answered = true;
        const chunks = [];
        response.on('data', (chunk) => chunks.push(chunk));
        response.on('error', reject);
        response.on('end', () =>
          resolve({ status: response.statusCode, headers: response.headers, bytes: Buffer.concat(chunks) }));
      });
      // A server that refuses a body early may close while it is still being sent.
      request.on('error', (error) => answered || reject(error));
      request.end(body);
    });
  }

  async json(method, path, body) {
    const { status, bytes } = await this.raw(method, path, body);
    return { status, body: JSON.parse(bytes) };
  }

  /** The samples of /metrics: "name{labels}" → number. */
  async metrics() {
    const { bytes } = await this.raw('GET', '/metrics');
    return parsePrometheus(bytes.toString());
  }

  async slotsBusy() {
    let busy = 0;
    for (const [sample, value] of (await this.metrics()).samples) {
      busy += sample.startsWith('trilane_lane_slots_busy') ? value : 0;
    }
    return busy;
  }

  /** Polls until `busy(slots)` holds; how many milliseconds that took. */
  async untilSlots(busy, msMax) {
    const begin = performance.now();
    for (;;) {
      const slots = await this.slotsBusy();
      const ms = performance.now() - begin;
      if (busy(slots)) return ms;
      assert.ok(ms < msMax, `${slots} slots are busy after ${ms.toFixed(0)} ms`);
      await delay(2);
    }
  }
}

/** Prometheus text format 0.0.4, strictly: fails on any line it does not know. */
export function parsePrometheus(text) {
  const samples = new Map();
  const types = new Map();
  assert.ok(text.endsWith('\n'), 'the last line ends');
  for (const line of text.slice(0, -1).split('\n')) {
    const type = /^# TYPE ([a-zA-Z_:][\w:]*) (counter|gauge|histogram|summary|untyped)$/.exec(line);
    if (type) {
      assert.ok(!types.has(type[1]), `${type[1]} has two types`);
      types.set(type[1], type[2]);
      continue;
    }
    if (/^# HELP [a-zA-Z_:][\w:]* /.test(line)) continue;
    const sample = /^([a-zA-Z_:][\w:]*)(\{(?:[a-zA-Z_]\w*="(?:[^"\\\n]|\\["\\n])*",?)*\})? (\S+)$/.exec(line);
    assert.ok(sample, `not a line of Prometheus: ${line}`);
    const value = sample[3] === '+Inf' ? Infinity : Number(sample[3]);
    assert.ok(!Number.isNaN(value), line);
    const key = sample[1] + (sample[2] ?? '');
    assert.ok(!samples.has(key), `${key} is there twice`);
    const family = sample[1].replace(/_(bucket|sum|count)$/, '');
    assert.ok(types.has(sample[1]) || types.has(family), `${key} has no type`);
    samples.set(key, value);
  }
  return { samples, types };
}

/** Everything a stream says, put together again. */
export async function collect(stream) {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  const texts = [];
  const finish = [];
  for (const choice of chunks.flatMap((chunk) => chunk.choices)) {
    texts[choice.index] = (texts[choice.index] ?? '') + (choice.delta?.content ?? choice.text ?? '');
    finish[choice.index] = choice.finish_reason ?? finish[choice.index];
  }
  return { chunks, texts, finish, text: texts[0] };
}
