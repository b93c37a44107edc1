// Faults under load: children that are killed, stopped, talk garbage, break connections off or never
// get ready, downloads whose disk is full. Every request must end in a whole answer of its own or in
// one clear error, in time, and nothing may be left behind: no process, no port, no file, no memory.
// TRILANE_FAULTS sets how many faults (default 150).
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

import { FakeHub } from './fake_hub.mjs';
import { Keeper, LaneBox, median, processesNamed } from './lane_box.mjs';
import { smallDisk } from './small_disk.mjs';

const FAULTS = Number(process.env.TRILANE_FAULTS ?? 150);
const CLIENTS = 8;
const DEADLINE_MS = 60_000; // queue.wait_max, and a hung child's detection
const GROWTH_BYTES_MAX = 4e6; // from the second quarter of the run to the last
const SEED = Number(process.env.TRILANE_FAULTS_SEED ?? 7);
const RUN_MS_MAX = 1_000_000;
const DISK_BYTES = 48 << 20;
const MODEL_FILE = fileURLToPath(new URL('../../models/trilane-nano/trilane-nano-tq2_0.gguf', import.meta.url));
const PULLED = 'hf.co/owner/Nano-GGUF:Q8_0';
const FLM_TAG = 'qwen3:0.6b';

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
const SCRIPT = {
  decode_tps: 2000, cooldown_ms: 5, rules: RULES,
  by_model: { 'never.gguf': { never_ready: true }, 'c.gguf': { load_ms: 200 } },
};
const CONFIG = `
[queue]
wait_max = "30s"
batch_wait_ms_max = 500
[model."never"]
lanes = ["one"]
[model."a"]
pin = true
lanes = ["two"]
`;

function randomOf(seed) {
  let state = seed;
  return () => {
    state = (state * 1103515245 + 12345) % 2147483648;
    return state / 2147483648;
  };
}

/** Ports on which a process listens. */
function listening(pid) {
  const sockets = new Set();
  for (const fd of fs.readdirSync(`/proc/${pid}/fd`)) {
    try {
      sockets.add(/^socket:\[(\d+)\]$/.exec(fs.readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1]);
    } catch {
      // closed meanwhile
    }
  }
  const rows = ['tcp', 'tcp6'].flatMap((kind) => fs.readFileSync(`/proc/net/${kind}`, 'utf8').split('\n').slice(1));
  const LISTEN = '0A';
  return rows.map((row) => row.trim().split(/\s+/)).filter((row) => row[3] === LISTEN && sockets.has(row[9])).length;
}

function processFacts(pid) {
  const status = fs.readFileSync(`/proc/${pid}/status`, 'utf8');
  return {
    bytes: Number(/RssAnon:\s+(\d+)/.exec(status)[1]) * 1024,
    files: fs.readdirSync(`/proc/${pid}/fd`).length,
    threads: Number(/Threads:\s+(\d+)/.exec(status)[1]),
    ports: listening(pid),
  };
}

/** What was seen: of requests, of what was done to them, and what must not be. */
class Tally {
  counts = { answers: 0, errors: 0, direct: 0, gone: 0, killed: 0, stopped: 0, unloaded: 0, pulled: 0, pulls_failed: 0 };
  errors = new Map();
  bad = [];
  asked = 0;

  /** What was done to the box, not what follows from it: refusals while a model is away do not count. */
  get faults() {
    const { direct, killed, stopped, gone, pulls_failed } = this.counts;
    return direct + killed + stopped + gone + pulls_failed;
  }

  error(id, message) {
    if (typeof message !== 'string' || message.length < 10) this.bad.push(`${id}: an error without a message`);
    const kind = String(message).replace(/r\d+x\d+|\d+/g, 'N').slice(0, 90);
    this.errors.set(kind, (this.errors.get(kind) ?? 0) + 1);
    this.counts.errors += 1;
    if (!/cannot be loaded|fails again/.test(kind)) this.counts.direct += 1;
  }

  check(answer, id, stream) {
    const whole = Array.from({ length: 8 }, (_, i) => `${id}.${i}`).join(' ');
    if (answer.status !== 200) {
      this.error(id, answer.body?.error?.message);
    } else if (stream) {
      this.checkStream(String(answer.body), id, whole);
    } else {
      const text = answer.body?.choices?.[0]?.message?.content;
      if (text?.trimEnd() !== whole) this.bad.push(`${id}: ${JSON.stringify(answer.body).slice(0, 300)}`);
      this.counts.answers += 1;
    }
  }

  checkStream(body, id, whole) {
    const events = body.split('\n\n').filter((e) => e.startsWith('data: ')).map((e) => e.slice(6));
    const done = events.at(-1) === '[DONE]';
    const parsed = events.filter((e) => e !== '[DONE]').map((e) => JSON.parse(e));
    const failed = parsed.filter((e) => e.error);
    const text = parsed.map((e) => e.choices?.[0]?.delta?.content ?? '').join('').trimEnd();
    if (done && failed.length === 0 && text === whole) this.counts.answers += 1;
    else if (!done && failed.length === 1 && whole.startsWith(text)) this.error(id, failed[0].error.message);
    else this.bad.push(`${id}: ${events.slice(-3).join(' | ').slice(0, 400)}`);
  }
}

/** One client, until the run ends. */
async function ask(box, run, index) {
  const { random, tally } = run;
  const keeper = new Keeper(box.url);
  while (run.goesOn) {
    const model = random() < 0.03 ? 'never' : ['a', 'b', 'c', FLM_TAG][Math.floor(random() * 4)];
    const id = `r${index}x${++tally.asked}`;
    const begin = performance.now();
    const stream = random() < 0.5;
    const messages = [{ role: 'user', content: `[[id:${id}]]` }];
    try {
      if (random() < 0.1) {
        const abort = AbortSignal.timeout(Math.floor(random() * 30));
        await box.client.chat.completions.create({ model, messages, user: `c${index}` }, { signal: abort, timeout: DEADLINE_MS });
        tally.counts.answers += 1;
      } else {
        const answer = await keeper.ask('POST', '/v1/chat/completions', { model, stream, user: `c${index}`, max_tokens: 8, messages });
        tally.check(answer, id, stream);
      }
    } catch (error) {
      if (/abort/i.test(error.name + error.message)) tally.counts.gone += 1;
      else if (error.status >= 400 && error.status < 600) tally.error(id, error.message);
      else tally.bad.push(`${id}: ${error.stack}`);
    }
    const ms = performance.now() - begin;
    if (ms > DEADLINE_MS) tally.bad.push(`${id} took ${ms.toFixed(0)} ms`);
  }
  keeper.close();
}

/** Pulls a model and deletes it, again and again. */
async function pull(box, run) {
  const keeper = new Keeper(box.url);
  while (run.goesOn) {
    const begin = performance.now();
    const answer = await keeper.ask('POST', '/api/pull', { model: PULLED });
    const lines = (typeof answer.body === 'string' ? answer.body : JSON.stringify(answer.body)).trim().split('\n');
    const last = JSON.parse(lines.at(-1));
    if (last.status === 'success') {
      run.tally.counts.pulled += 1;
      const gone = await keeper.ask('DELETE', '/api/delete', { model: PULLED });
      if (gone.status !== 200) run.tally.bad.push(`what was pulled cannot be deleted: ${JSON.stringify(gone.body)}`);
    } else {
      run.tally.counts.pulls_failed += 1;
      const kind = `pull: ${String(last.error).replace(/\d+(\.\d+)?/g, 'N').slice(0, 90)}`;
      run.tally.errors.set(kind, (run.tally.errors.get(kind) ?? 0) + 1);
      if (!/space|disk/i.test(last.error ?? '')) run.tally.bad.push(`a pull ended with ${lines.at(-1)}`);
    }
    if (performance.now() - begin > DEADLINE_MS) run.tally.bad.push('a pull took too long');
    await delay(100);
  }
  keeper.close();
}

/** Kills, stops, unloads, fills the disk. */
async function sabotage(box, run, disk) {
  const { random, tally } = run;
  while (run.goesOn) {
    await delay(100 + Math.floor(random() * 400));
    if (disk && random() < 0.5) {
      disk.fill();
      await delay(Math.floor(random() * 300));
      disk.free();
    }
    const children = box.children();
    if (children.length === 0) continue;
    const victim = children[Math.floor(random() * children.length)];
    const what = random();
    try {
      if (what < 0.6) {
        process.kill(victim, 'SIGKILL');
        tally.counts.killed += 1;
      } else if (what < 0.7) {
        process.kill(victim, 'SIGSTOP');
        tally.counts.stopped += 1;
      } else if (what < 0.8) {
        await box.keeper.ask('POST', '/trilane/v1/unload', { model: 'b' });
        tally.counts.unloaded += 1;
      }
    } catch {
      // it has ended by itself meanwhile
    }
  }
}

/** Peace returns: everything answers again. Then the box gives back what it holds. */
async function makePeace(box, disk) {
  for (const name of Object.keys(box.scripts)) box.script(name, {});
  for (const id of box.children()) process.kill(id, 'SIGKILL');
  await delay(500);
  for (const model of ['a', 'b', 'c', FLM_TAG]) {
    await box.until(async () => (await box.chat(model, '[[id:peace]]')).status, (status) => status === 200, 70_000);
  }
  if (disk) {
    const answer = await box.keeper.ask('POST', '/api/pull', { model: PULLED, stream: false });
    assert.deepEqual(answer.body, { status: 'success' });
    await box.keeper.ask('DELETE', '/api/delete', { model: PULLED });
    const left = fs.readdirSync(disk.folder, { recursive: true })
      .filter((name) => /nano/i.test(name) && fs.statSync(path.join(disk.folder, name)).isFile());
    assert.deepEqual(left, [], 'files of pulls are left');
  }
  for (const model of ['a', 'b', 'c', FLM_TAG]) await box.keeper.ask('POST', '/trilane/v1/unload', { model });
  await box.until(() => box.children(), (children) => children.length === 0, 20_000);
  assert.deepEqual(processesNamed(box.folder).filter((line) => !/ serve .*--config/.test(line)), [], 'processes are left');
}

test(`${FAULTS} faults under load`, { timeout: 1_200_000 }, async (t) => {
  const disk = smallDisk(DISK_BYTES);
  t.after(() => disk?.remove());
  if (!disk) t.diagnostic('no file system can be mounted here: without full disks');
  const hub = await FakeHub.start();
  t.after(() => hub.stop());
  hub.pieceMs = 5;
  hub.put('owner/Nano-GGUF', 'nano-Q8_0.gguf', fs.readFileSync(MODEL_FILE));
  const timeouts = 'start_timeout = 2\nhang_timeout = 2';
  const box = await LaneBox.start({
    lanes: {
      one: { engine: 'llama-server', script: SCRIPT, config: `${timeouts}\nresidents_max = 2` },
      two: { engine: 'llama-server', script: SCRIPT, config: timeouts },
      npu: { engine: 'flm', script: SCRIPT, config: `device = "cpu"\n${timeouts}` },
    },
    models: ['a', 'b', 'c', 'never'],
    config: `${CONFIG}[catalog]\nhub_endpoint = "${hub.url}"\ndisk_reserve = "1 MiB"`,
    home: disk?.folder,
  });
  const before = processFacts(box.child.pid);
  const tally = new Tally();
  const run = { goesOn: true, random: randomOf(SEED), tally };
  const workers = [...Array.from({ length: CLIENTS }, (_, i) => ask(box, run, i)), sabotage(box, run, disk)];
  if (disk) workers.push(pull(box, run));
  const samples = [];
  const begin = performance.now();
  while (tally.faults < FAULTS && performance.now() - begin < RUN_MS_MAX) {
    await delay(50);
    samples.push(processFacts(box.child.pid));
    const health = await box.keeper.ask('GET', '/health');
    assert.equal(health.status, 200);
  }
  run.goesOn = false;
  await Promise.all(workers);
  t.diagnostic(`${tally.asked} requests, ${JSON.stringify(tally.counts)} in ${((performance.now() - begin) / 1000).toFixed(1)} s`);
  for (const [kind, n] of [...tally.errors].sort((a, b) => b[1] - a[1])) t.diagnostic(`${n} × ${kind}`);
  assert.deepEqual(tally.bad.slice(0, 5), [], `${tally.bad.length} requests ended badly`);
  assert.ok(tally.faults >= FAULTS, `only ${tally.faults} faults`);
  assert.ok(tally.counts.answers > 0);

  await makePeace(box, disk);
  const quarter = Math.floor(samples.length / 4);
  const bytes = samples.map((one) => one.bytes);
  const warm = median(bytes.slice(quarter, 2 * quarter));
  const late = median(bytes.slice(-quarter));
  // Pools start their threads with their first work.
  const threadsWarm = Math.max(...samples.slice(quarter, 2 * quarter).map((one) => one.threads));
  const end = processFacts(box.child.pid);
  t.diagnostic(`memory ${(warm / 1e6).toFixed(1)} → ${(late / 1e6).toFixed(1)} MB, at rest ${(end.bytes / 1e6).toFixed(1)}; `
    + `files ${before.files} → ${end.files}, threads ${threadsWarm} → ${end.threads}, ports ${before.ports} → ${end.ports}`);
  assert.ok(late < warm + GROWTH_BYTES_MAX, 'memory grows');
  assert.ok(end.threads <= threadsWarm, 'threads are left');
  assert.ok(end.files <= before.files + 8, 'files are left open');
  assert.equal(end.ports, before.ports, 'ports are left');
  await box.stop();
});
