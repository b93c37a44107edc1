// Faults under load: children that are killed, stopped, talk garbage, break connections off or never
// get ready. Every request must end in a whole answer of its own or in one clear error, in time, and
// nothing may be left behind. TRILANE_FAULTS sets how many faults (default 150).
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';

import { Keeper, LaneBox } from './lane_box.mjs';

const FAULTS = Number(process.env.TRILANE_FAULTS ?? 150);
const CLIENTS = 8;
const DEADLINE_MS = 60_000; // queue.wait_max, and a hung child's detection
const GROWTH_BYTES_MAX = 24e6;
const SEED = Number(process.env.TRILANE_FAULTS_SEED ?? 7);

// Of every 40 requests a child sees: a few that go wrong in each of these ways.
const RULES = [
  { every: 40, from: 3, garbage: 'bytes' },
  { every: 40, from: 7, garbage: 'json' },
  { every: 40, from: 9, garbage: 'truncated' },
  { every: 40, from: 13, garbage: 'bad_chunk' },
  { every: 40, from: 15, garbage: 'second_response' },
  { every: 40, from: 17, close_after_bytes: 0 },
  { every: 40, from: 19, close_after_bytes: 300, close_with_reset: true },
  { every: 40, from: 23, stream_end: 'eof' },
  { every: 40, from: 27, error_status: 500 },
  { every: 40, from: 29, error_status: 503 },
  { every: 40, from: 31, crash_after_tokens: 3 },
  { every: 40, from: 37, crash: true },
];

function randomOf(seed) {
  let state = seed;
  return () => {
    state = (state * 1103515245 + 12345) % 2147483648;
    return state / 2147483648;
  };
}

function processFacts(pid) {
  const status = fs.readFileSync(`/proc/${pid}/status`, 'utf8');
  return {
    bytes: Number(/RssAnon:\s+(\d+)/.exec(status)[1]) * 1024,
    files: fs.readdirSync(`/proc/${pid}/fd`).length,
    threads: Number(/Threads:\s+(\d+)/.exec(status)[1]),
  };
}

test(`${FAULTS} faults under load`, { timeout: 1_200_000 }, async (t) => {
  const random = randomOf(SEED);
  const script = (rules) => ({
    decode_tps: 2000, rules,
    by_model: { 'never.gguf': { never_ready: true }, 'c.gguf': { load_ms: 200 } },
  });
  const box = await LaneBox.start({
    lanes: {
      one: { engine: 'llama-server', script: script(RULES), config: 'start_timeout = 2\nhang_timeout = 2\nresidents_max = 2' },
      two: { engine: 'llama-server', script: script(RULES), config: 'start_timeout = 2\nhang_timeout = 2' },
    },
    models: ['a', 'b', 'c', 'never'],
    config: '[queue]\nwait_max = "30s"\nbatch_wait_ms_max = 500\n[model."never"]\nlanes = ["one"]\n[model."a"]\npin = true\nlanes = ["two"]',
  });
  const counts = { answers: 0, errors: 0, direct: 0, gone: 0, killed: 0, stopped: 0, unloaded: 0 };
  const errors = new Map();
  const bad = [];
  let running = true;
  let asked = 0;

  async function client(index) {
    const keeper = new Keeper(box.url);
    while (running) {
      const model = random() < 0.03 ? 'never' : 'abc'[Math.floor(random() * 3)];
      const id = `r${index}x${++asked}`;
      const begin = performance.now();
      const stream = random() < 0.5;
      try {
        if (random() < 0.1) {
          const abort = AbortSignal.timeout(Math.floor(random() * 30));
          await box.client.chat.completions.create(
            { model, messages: [{ role: 'user', content: `[[id:${id}]]` }], user: `c${index}` }, { signal: abort, timeout: DEADLINE_MS });
          counts.answers += 1;
          continue;
        }
        const answer = await keeper.ask('POST', '/v1/chat/completions',
          { model, stream, user: `c${index}`, max_tokens: 8, messages: [{ role: 'user', content: `[[id:${id}]]` }] });
        check(answer, id, stream);
      } catch (error) {
        if (/abort/i.test(error.name + error.message)) counts.gone += 1;
        else if (error.status >= 400 && error.status < 600) counts.errors += 1;
        else bad.push(`${id}: ${error.stack}`);
      }
      const ms = performance.now() - begin;
      if (ms > DEADLINE_MS) bad.push(`${id} took ${ms.toFixed(0)} ms`);
    }
    keeper.close();
  }

  function check(answer, id, stream) {
    const whole = Array.from({ length: 8 }, (_, i) => `${id}.${i}`).join(' ');
    if (answer.status !== 200) {
      const message = answer.body?.error?.message;
      if (typeof message !== 'string' || message.length < 10) bad.push(`${id}: status ${answer.status} without a message`);
      const kind = String(message).replace(/r\d+x\d+|\d+/g, 'N').slice(0, 90);
      errors.set(kind, (errors.get(kind) ?? 0) + 1);
      counts.errors += 1;
      if (!/cannot be loaded|fails again/.test(kind)) counts.direct += 1;
      return;
    }
    if (!stream) {
      const text = answer.body?.choices?.[0]?.message?.content;
      if (text !== whole) bad.push(`${id}: ${JSON.stringify(answer.body).slice(0, 300)}`);
      counts.answers += 1;
      return;
    }
    const events = String(answer.body).split('\n\n').filter((e) => e.startsWith('data: ')).map((e) => e.slice(6));
    const done = events.at(-1) === '[DONE]';
    const parsed = events.filter((e) => e !== '[DONE]').map((e) => JSON.parse(e));
    const failed = parsed.filter((e) => e.error);
    const text = parsed.map((e) => e.choices?.[0]?.delta?.content ?? '').join('');
    if (done && failed.length === 0 && text === whole) counts.answers += 1;
    else if (!done && failed.length === 1 && whole.startsWith(text)) {
      counts.errors += 1;
      counts.direct += 1;
    }
    else bad.push(`${id}: ${events.slice(-3).join(' | ').slice(0, 400)}`);
  }

  async function saboteur() {
    while (running) {
      await delay(100 + Math.floor(random() * 400));
      const children = box.children();
      if (children.length === 0) continue;
      const victim = children[Math.floor(random() * children.length)];
      const what = random();
      try {
        if (what < 0.6) {
          process.kill(victim, 'SIGKILL');
          counts.killed += 1;
        } else if (what < 0.7) {
          process.kill(victim, 'SIGSTOP');
          counts.stopped += 1;
        } else if (what < 0.8) {
          await box.keeper.ask('POST', '/trilane/v1/unload', { model: 'b' });
          counts.unloaded += 1;
        }
      } catch {
        // it has ended by itself meanwhile
      }
    }
  }

  let warm;
  // What was done to it, not what follows from it: refusals while a model is away do not count.
  const faults = () => counts.direct + counts.killed + counts.stopped + counts.gone;
  const workers = [...Array.from({ length: CLIENTS }, (_, i) => client(i)), saboteur()];
  const begin = performance.now();
  while (faults() < FAULTS && performance.now() - begin < 1_000_000) {
    await delay(100);
    if (!warm && faults() > FAULTS / 3) warm = processFacts(box.child.pid);
    const health = await box.keeper.ask('GET', '/health');
    assert.equal(health.status, 200);
  }
  running = false;
  await Promise.all(workers);
  t.diagnostic(`${asked} requests, ${JSON.stringify(counts)} in ${((performance.now() - begin) / 1000).toFixed(1)} s`);
  for (const [kind, n] of [...errors].sort((a, b) => b[1] - a[1])) t.diagnostic(`${n} × ${kind}`);
  assert.deepEqual(bad.slice(0, 5), [], `${bad.length} requests ended badly`);
  assert.ok(counts.answers > 0);

  // Peace returns: everything answers again, and no more is held than before.
  for (const name of ['one', 'two']) box.script(name, {});
  for (const id of box.children()) process.kill(id, 'SIGKILL');
  await delay(500);
  for (const model of ['a', 'b', 'c']) {
    await box.until(async () => (await box.chat(model, '[[id:peace]]')).status, (status) => status === 200, 70_000);
  }
  const end = processFacts(box.child.pid);
  t.diagnostic(`memory ${(warm.bytes / 1e6).toFixed(1)} → ${(end.bytes / 1e6).toFixed(1)} MB, files ${warm.files} → ${end.files}, threads ${warm.threads} → ${end.threads}`);
  assert.ok(end.bytes < warm.bytes + GROWTH_BYTES_MAX, 'memory grows');
  assert.ok(end.threads <= warm.threads + 2, 'threads are left');
  assert.ok(end.files <= warm.files + 16, 'files are left open');
  await box.stop();
});
