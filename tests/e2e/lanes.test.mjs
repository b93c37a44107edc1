// Lanes, slots and memory: the daemon over scripted engines that are real processes.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';

import { Keeper, LaneBox, median, quantile } from './lane_box.mjs';
import { SLACK } from './slack.mjs';

const LOAD_MS = 3000;
const ADDED_MS_MAX = 5 * SLACK;
const HEALTH_P99_MS_MAX = 5 * SLACK;
const SWAP_MS_MAX = 150 * SLACK;
const FREE_MS_MAX = 100 * SLACK;
const STOP_MS_MAX = 2000;
const ATTEMPTS = 3; // something else may have the processors just then

const text = (answer) => answer.body.choices[0].message.content;

/** Runs `measure` up to a few times until `good(result)`; the best is what counts. */
async function bestOf(measure, good) {
  let result;
  for (let i = 0; i < ATTEMPTS; ++i) {
    result = await measure();
    if (good(result)) break;
  }
  return result;
}

describe('one lane of llama-server', () => {
  let box;
  before(async () => {
    box = await LaneBox.start({
      lanes: { gpu: { engine: 'llama-server', script: { by_model: { 'c.gguf': { load_ms: LOAD_MS }, 'bad.gguf': { fail_load: 'unknown model architecture' } } } } },
      models: ['a', 'b', 'c', 'bad'],
    });
  });
  after(() => box.stop());

  test('loads what is asked for and answers', async () => {
    const answer = await box.chat('a', '[[id:hello]] hi', { max_tokens: 3 });
    assert.equal(answer.status, 200, JSON.stringify(answer.body));
    assert.equal(text(answer), 'hello.0 hello.1 hello.2');
    assert.equal(answer.body.choices[0].finish_reason, 'length');
    assert.equal(answer.body.model, 'a');
    assert.equal(answer.body.usage.completion_tokens, 3);
    assert.deepEqual(await box.residents(), { a: 'ready' });
  });

  test('streams, with tool calls and reasoning', async () => {
    const stream = await box.client.chat.completions.create({
      model: 'a', stream: true, messages: [{ role: 'user', content: '[[tool:2]][[id:t]]' }],
      tools: [{ type: 'function', function: { name: 'add', parameters: { type: 'object' } } }],
    });
    const calls = [];
    let finish;
    for await (const chunk of stream) {
      for (const call of chunk.choices[0]?.delta?.tool_calls ?? []) {
        calls[call.index] ??= { name: '', arguments: '' };
        calls[call.index].name += call.function.name ?? '';
        calls[call.index].arguments += call.function.arguments ?? '';
      }
      finish = chunk.choices[0]?.finish_reason ?? finish;
    }
    assert.equal(finish, 'tool_calls');
    assert.deepEqual(calls.map((call) => call.name), ['add', 'add']);
    assert.deepEqual(JSON.parse(calls[1].arguments), { id: 't', call: 1 });
    const thought = await box.chat('a', '[[think]] hi');
    assert.ok(thought.body.choices[0].message.reasoning_content.length > 0);
  });

  test('a warm model does not notice that another loads, nor does /health', async () => {
    await box.chat('a');
    const measure = async () => {
      const before = [];
      for (let i = 0; i < 100; ++i) before.push((await box.chat('a')).ms);
      const cold = new Keeper(box.url);
      const loading = cold.chat('c', '[[id:cold]]');
      await box.until(() => box.residents(), (all) => all.c !== undefined && all.c !== 'ready');
      const during = [];
      const health = [];
      while ((await box.residents()).c !== 'ready' && during.length < 400) {
        during.push((await box.chat('a')).ms);
        health.push((await box.keeper.ask('GET', '/health')).ms);
      }
      assert.equal(text(await loading).slice(0, 4), 'cold');
      cold.close();
      await box.keeper.ask('POST', '/trilane/v1/unload', { model: 'c' });
      await box.until(() => box.residents(), (all) => all.c === undefined);
      return { added: median(during) - median(before), health: quantile(health, 0.99), n: during.length };
    };
    const { added, health, n } = await bestOf(measure, (m) => m.added <= ADDED_MS_MAX && m.health <= HEALTH_P99_MS_MAX);
    assert.ok(n > 20, `only ${n} answers came during the load`);
    assert.ok(added <= ADDED_MS_MAX, `${added.toFixed(2)} ms added`);
    assert.ok(health <= HEALTH_P99_MS_MAX, `/health p99 ${health.toFixed(2)} ms`);
  });

  test('a load that fails says why, with the last lines', async () => {
    const answer = await box.chat('bad');
    assert.equal(answer.status, 503);
    assert.match(answer.body.error.message, /exited with status 1/);
    assert.match(answer.body.error.message, /unknown model architecture/);
    const again = await box.chat('bad');
    assert.match(again.body.error.message, /next try in/);
    const { body } = await box.keeper.ask('GET', '/trilane/v1/logs?lane=gpu');
    assert.ok(body.lines.some((line) => line.text.includes('unknown model architecture')));
  });

  for (const stream of [true, false]) {
    test(`a client that leaves frees the slot, ${stream ? 'streaming' : 'not streaming'}`, async () => {
      await box.chat('a');
      const slots = async () => (await box.state()).lanes[0].models.find((m) => m.model === 'a').slots_busy;
      const ms = await bestOf(async () => {
        const abort = new AbortController();
        const running = box.client.chat.completions.create(
          { model: 'a', stream, messages: [{ role: 'user', content: '[[tokens:100000]]' }], decode_tps: 50 },
          { signal: abort.signal });
        const drained = running.then(async (answer) => {
          if (stream) for await (const chunk of answer) void chunk;
        }).catch(() => {});
        await box.until(slots, (busy) => busy === 1);
        abort.abort();
        const took = await box.until(slots, (busy) => busy === 0);
        await drained;
        return took;
      }, (took) => took <= FREE_MS_MAX);
      assert.ok(ms <= FREE_MS_MAX, `${ms.toFixed(0)} ms`);
    });
  }

  test('a child that is killed is replaced', async () => {
    await box.chat('a');
    for (const id of box.children()) process.kill(id, 'SIGKILL');
    const answer = await box.chat('a', '[[id:again]]');
    assert.equal(answer.status, 200, JSON.stringify(answer.body));
    assert.match(text(answer), /^again\.0/);
  });

  test('forty streams come through whole, each its own', async () => {
    await box.chat('a');
    const answers = await Promise.all(Array.from({ length: 40 }, async (_, i) => {
      const stream = await box.client.chat.completions.create(
        { model: 'a', stream: true, max_tokens: 12, messages: [{ role: 'user', content: `[[id:n${i}]]` }] });
      let all = '';
      for await (const chunk of stream) all += chunk.choices[0]?.delta?.content ?? '';
      return all;
    }));
    answers.forEach((answer, i) => assert.equal(answer, Array.from({ length: 12 }, (_, k) => `n${i}.${k}`).join(' ')));
  });
});

describe('room for one model', () => {
  test('two clients that alternate lose nothing and swap rarely', async () => {
    const box = await LaneBox.start({
      lanes: { gpu: { engine: 'llama-server', script: { latency_ms: 250, load_ms: 300, rules: [{ path: '/health', latency_ms: 0 }] }, config: 'residents_max = 1' } },
      models: ['a', 'b'],
    });
    const begin = performance.now();
    const failures = [];
    await Promise.all(['a', 'b'].map(async (model) => {
      const keeper = new Keeper(box.url);
      for (let i = 0; i < 10; ++i) {
        const answer = await keeper.chat(model, `[[id:${model}${i}]]`);
        if (answer.status !== 200 || !text(answer).startsWith(`${model}${i}.0`)) failures.push(answer.body);
      }
      keeper.close();
    }));
    const ms = performance.now() - begin;
    assert.deepEqual(failures, []);
    const lane = (await box.state()).lanes[0];
    await box.stop();
    // Work: 20 × 250 ms; a load takes 300 ms and a sanity completion of 250 ms.
    const limit = 1.3 * (20 * 250 + 2 * 550);
    assert.ok(ms <= limit, `${ms.toFixed(0)} ms, at most ${limit}; ${lane.loads_total} loads`);
  });

  test('a swap costs little more than the child itself', async () => {
    const box = await LaneBox.start({
      lanes: { gpu: { engine: 'llama-server', config: 'residents_max = 1' } },
      models: ['a', 'b'],
    });
    await box.chat('a');
    await box.chat('b');
    const times = [];
    for (let i = 0; i < 10; ++i) {
      await delay(60); // longer than a model is kept for its client to come back
      times.push((await box.chat(i % 2 === 0 ? 'a' : 'b')).ms);
    }
    await box.stop();
    assert.ok(median(times) <= SWAP_MS_MAX, `swaps took ${times.map((ms) => ms.toFixed(0))} ms`);
  });

  test('a failing third load leaves two pinned models', async () => {
    const box = await LaneBox.start({
      lanes: { gpu: { engine: 'llama-server', script: { by_model: { 'c.gguf': { fail_load: true } } } } },
    });
    assert.equal((await box.load('a', { pin: true })).status, 200);
    assert.equal((await box.load('b', { pin: true })).status, 200);
    assert.equal((await box.chat('c')).status, 503);
    const all = await box.residents();
    assert.equal(all.a, 'ready');
    assert.equal(all.b, 'ready');
    assert.equal((await box.chat('a', '[[id:z]]')).status, 200);
    const ms = await box.stop();
    assert.ok(ms <= STOP_MS_MAX, `stopping with two children took ${ms.toFixed(0)} ms`);
  });

  test('what cannot fit is refused with the figures, and nothing is started', async () => {
    const available = Number(/MemTotal:\s+(\d+)/.exec(fs.readFileSync('/proc/meminfo', 'utf8'))[1]) * 1024;
    const box = await LaneBox.start({
      lanes: { gpu: { engine: 'llama-server' } },
      config: `[memory]\nreserve = ${available - 1_000_000}`,
    });
    const answer = await box.chat('a');
    assert.equal(answer.status, 503, JSON.stringify(answer.body));
    assert.match(answer.body.error.message, /does not fit this machine/);
    assert.match(answer.body.error.message, /[MG]B/);
    assert.deepEqual(box.children(), []);
    await box.stop();
  });
});

describe('several children of one lane', () => {
  test('an error has the lines of the child that failed, not of its neighbours', async () => {
    const box = await LaneBox.start({
      lanes: { gpu: { engine: 'llama-server', script: { by_model: { 'a.gguf': { log_requests: true }, 'bad.gguf': { load_ms: 600, fail_load: 'unknown model architecture' } } } } },
      models: ['a', 'bad'],
    });
    await box.chat('a');
    let failed;
    const failing = new Keeper(box.url).chat('bad', 'hello').then((answer) => (failed = answer));
    let answers = 0;
    while (failed === undefined) {
      await box.chat('a');
      answers += 1;
    }
    await failing;
    assert.ok(answers > 5, `${answers} answers in between`);
    const { body } = await box.keeper.ask('GET', '/trilane/v1/logs?lane=gpu');
    const lines = body.lines.filter((line) => line.text.startsWith('request: POST'));
    assert.ok(lines.length >= answers, 'the neighbour printed into the same log');
    assert.equal(failed.status, 503);
    assert.match(failed.body.error.message, /unknown model architecture/);
    assert.doesNotMatch(failed.body.error.message, /request: /);
    const spoke = new Set(body.lines.filter((line) => line.process !== 0).map((line) => line.process));
    assert.equal(spoke.size, 2, 'each line tells its process');
    await box.stop();
  });
});

describe('memory that is observed', () => {
  const HELD_MB = 260;
  const lanes = { gpu: { engine: 'llama-server', script: { by_model: { 'a.gguf': { resident_mb: HELD_MB } } } } };
  const one = async (box, model) => (await box.state()).lanes[0].models.find((each) => each.model === model);
  const home = fs.mkdtempSync(path.join(os.tmpdir(), 'trilane-home-'));
  const file = path.join(home, '.local/state/trilane/observed-loads.json');
  after(() => fs.rmSync(home, { recursive: true, force: true }));

  test('a model that holds more than predicted is planned with that the next time', async () => {
    const box = await LaneBox.start({ lanes, home });
    await box.chat('a');
    await box.until(() => one(box, 'a'), (model) => model.observed_bytes > HELD_MB << 20);
    const first = await one(box, 'a');
    assert.ok(first.predicted_bytes > 0 && first.observed_bytes > first.predicted_bytes * 1.1, JSON.stringify(first));
    assert.ok(first.observed_bytes < first.predicted_bytes * 2, 'within what is believed');
    assert.equal(first.planned_bytes, first.predicted_bytes, 'nothing was known');
    assert.equal(first.correction, null);

    await box.keeper.ask('POST', '/trilane/v1/unload', { model: 'a' });
    await box.until(() => box.residents(), (all) => all.a === undefined);
    await box.chat('a');
    const second = await one(box, 'a');
    assert.equal(second.predicted_bytes, first.predicted_bytes);
    assert.ok(Math.abs(second.planned_bytes - first.observed_bytes) < 0.02 * first.observed_bytes, JSON.stringify(second));
    assert.equal(second.correction.bytes, second.planned_bytes - second.predicted_bytes);
    const pool = (await box.state()).pools[0];
    assert.equal(pool.planned_bytes, second.planned_bytes, 'it claims what it holds');

    await box.chat('b');
    assert.equal((await one(box, 'b')).correction, null, 'another model is another matter');

    // It is looked at once a second.
    await box.until(() => one(box, 'a'), (model) => model.observed_bytes > HELD_MB << 20);
    assert.match((await box.verb('ps')).out, /a +(ready|serving).*\(predicted .* MB, seen .* MB\)/);
    const metrics = (await box.keeper.ask('GET', '/metrics')).body;
    const metric = (name) => Number(new RegExp(`${name}\\{lane="gpu",model="a"\\} (\\d+)`).exec(metrics)?.[1]);
    assert.equal(metric('trilane_model_predicted_bytes'), second.predicted_bytes);
    assert.equal(metric('trilane_model_planned_bytes'), second.planned_bytes);
    assert.ok(metric('trilane_model_observed_bytes') > HELD_MB << 20);

    const plan = await box.run('plan', 'a', '--device', 'cpu');
    assert.match(plan.out, /observed correction/);
    assert.match(plan.out, /cpu llama-server: corrected by what it was seen to hold on \d{4}-\d\d-\d\d: .* MB/);
    await box.stop();
    assert.equal(JSON.parse(fs.readFileSync(file, 'utf8')).loads.some((load) => load.model === 'a'), true);
  });

  test('the next daemon knows it', async () => {
    const box = await LaneBox.start({ lanes, home });
    await box.chat('a');
    const model = await one(box, 'a');
    assert.ok(model.correction.bytes > 0 && model.planned_bytes > HELD_MB << 20, JSON.stringify(model));
    await box.stop();
  });

  test('a file that is broken is ignored with a line in the log', async () => {
    fs.writeFileSync(file, '{"format": 1, "loads": [');
    const box = await LaneBox.start({ lanes, home });
    assert.match(box.log, /observed-loads.json cannot be read .* ignored/);
    assert.equal((await box.chat('a')).status, 200);
    assert.equal((await one(box, 'a')).correction, null);
    await box.until(() => one(box, 'a'), (model) => model.observed_bytes > HELD_MB << 20);
    await box.stop();
    assert.equal(JSON.parse(fs.readFileSync(file, 'utf8')).loads.length, 1, 'and made anew');
  });
});

describe('the command line against a daemon', () => {
  let box;
  before(async () => {
    box = await LaneBox.start({ lanes: { gpu: { engine: 'llama-server', script: { print: ['hello from the engine'], by_model: { 'c.gguf': { fail_load: true } } } } } });
  });
  after(() => box.stop());

  test('load, ps, logs, unload', async () => {
    assert.match((await box.verb('ps')).out, /Nothing is loaded/);
    const loaded = await box.verb('load', 'a', '--ctx', '512', '--pin');
    assert.equal(loaded.code, 0, loaded.err);
    assert.match(loaded.out, /^a is ready on gpu: 512 tokens of context, .*B, after /);
    const ps = await box.verb('ps');
    assert.match(ps.out, /gpu +a +ready, pinned .* 512 /);
    assert.match(ps.out, /Memory system:/);
    const [one] = JSON.parse((await box.verb('ps', '--json')).out).lanes[0].models;
    assert.equal(one.context_tokens, 512);
    assert.ok(one.planned_bytes > 0 && one.observed_bytes > 0, 'predicted and observed');
    assert.match((await box.verb('logs', 'gpu')).out, /hello from the engine/);
    assert.equal((await box.verb('logs', 'nowhere')).code, 1);
    const failed = await box.verb('load', 'c');
    assert.equal(failed.code, 1);
    assert.match(failed.err, /exited with status 1/);
    assert.equal((await box.verb('unload', 'a')).code, 0);
    await box.until(() => box.residents(), (all) => all.a === undefined);
    assert.match((await box.verb('unload', 'a')).err, /not loaded/);
  });

  test('nobody there is said plainly', async () => {
    const url = box.url;
    box.url = 'http://127.0.0.1:9';
    const { code, err } = await box.verb('ps');
    box.url = url;
    assert.equal(code, 1);
    assert.match(err, /no daemon answers at/);
  });

  test('the configuration is read again when it changes', async () => {
    assert.equal((await box.chat('nickname')).status, 404);
    fs.appendFileSync(box.configFile, '[model."a"]\naliases = ["nickname"]\n');
    await box.until(async () => (await box.chat('nickname')).status, (status) => status === 200);
    fs.appendFileSync(box.configFile, '[server]\nport = "x"\n');
    await box.until(async () => box.log, (log) => log.includes('server.port must be a whole number'));
    assert.equal((await box.chat('nickname')).status, 200, 'what was read before stays in force');
  });

  test('a new file in a folder is a new model', async () => {
    fs.copyFileSync(fs.realpathSync(`${box.folder}/models/a.gguf`), `${box.folder}/models/fresh.gguf`);
    await box.until(async () => (await box.chat('fresh')).status, (status) => status === 200);
    fs.rmSync(`${box.folder}/models/fresh.gguf`);
    await box.until(async () => (await box.keeper.ask('GET', '/v1/models')).body.data.map((m) => m.id), (ids) => !ids.includes('fresh'));
  });
});

describe('the NPU lane', () => {
  let box;
  const MODEL = 'qwen3:0.6b';
  before(async () => {
    box = await LaneBox.start({ lanes: { npu: { engine: 'flm', config: 'device = "cpu"' } }, models: [] });
  });
  after(() => box.stop());

  test('lists installed tags only, and answers as OpenAI would', async () => {
    const ids = (await box.keeper.ask('GET', '/v1/models')).body.data.map((model) => model.id);
    assert.ok(ids.includes(MODEL), ids.join(' '));
    const answer = await box.chat(MODEL, '[[id:n]]', { max_tokens: 4 });
    assert.equal(answer.status, 200, JSON.stringify(answer.body));
    assert.equal(answer.body.choices[0].finish_reason, 'length', 'which FLM never says');
    assert.equal(answer.body.usage.completion_tokens, 4);
  });

  test('a tag it does not have is no other model', async () => {
    const answer = await box.chat('qwen3:999b');
    assert.equal(answer.status, 404);
  });

  test('requests at once are served one after the other', async () => {
    const answers = await Promise.all(Array.from({ length: 6 }, (_, i) => new Keeper(box.url).chat(MODEL, `[[id:q${i}]]`)));
    answers.forEach((answer, i) => assert.ok(text(answer).startsWith(`q${i}.0`), JSON.stringify(answer.body)));
    assert.equal((await box.state()).lanes[0].lost_total, 0, 'a second request would have crashed it');
  });

  test('one token, a stop text, two choices', async () => {
    const one = await box.chat(MODEL, '[[id:s]]', { max_tokens: 1 });
    assert.equal(text(one), 's.0');
    const stopped = await box.chat(MODEL, '[[id:s]]', { stop: ['s.2'] });
    assert.equal(text(stopped).trimEnd(), 's.0 s.1');
    assert.equal(stopped.body.choices[0].finish_reason, 'stop');
    const two = await box.chat(MODEL, '[[id:s]]', { n: 2 });
    assert.equal(two.body.choices.length, 2);
  });

  test('tool calls are numbered from 0 in every answer', async () => {
    for (let i = 0; i < 2; ++i) {
      const stream = await box.client.chat.completions.create({
        model: MODEL, stream: true, messages: [{ role: 'user', content: '[[tool]]' }],
        tools: [{ type: 'function', function: { name: 'now', parameters: { type: 'object' } } }],
      });
      const indices = new Set();
      for await (const chunk of stream) {
        for (const call of chunk.choices[0]?.delta?.tool_calls ?? []) indices.add(call.index);
      }
      assert.deepEqual([...indices], [0]);
    }
  });
});

describe('machines that take connections and answer nothing', () => {
  test('do not hold up a stop', async () => {
    const silent = net.createServer((socket) => socket.on('error', () => {}).resume()).listen(0, '127.0.0.1');
    await new Promise((resolve) => silent.once('listening', resolve));
    const far = (i) => `[lane.far${i}]\nkind = "remote"\nurl = "http://127.0.0.1:${silent.address().port}"\n`;
    const box = await LaneBox.start({ lanes: { gpu: { engine: 'llama-server' } }, config: [0, 1, 2].map(far).join('') });
    assert.equal((await box.chat('a', 'hi')).status, 200);
    const ms = await box.stop();
    silent.close();
    assert.ok(ms <= STOP_MS_MAX, `stopping took ${ms.toFixed(0)} ms`);
  });
});
