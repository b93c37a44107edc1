// The server under way: cancelled, crowded, watched and stopped.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';

import OpenAI from 'openai';

import { Server, collect } from './server.mjs';
import { SLACK } from './slack.mjs';

const FREE_MS_MAX = 100 * SLACK;
const LIVE_MEDIAN_MS_MAX = 5 * SLACK;
const LIVE_P99_MS_MAX = 25 * SLACK;
const ATTEMPTS = 3; // something else may have the processors just then
const PATIENCE_MS = 5000;
const LONG = { max_tokens: 900, ignore_eos: true };

/** The smallest of `times` that at least this share of them does not exceed. */
function quantile(times, share) {
  return times.toSorted((a, b) => a - b)[Math.ceil(times.length * share) - 1];
}

let server;
before(async () => {
  server = await Server.start();
});
after(() => server.stop());

describe('a client that leaves', () => {
  /** Best of a few attempts: milliseconds from leaving to a free slot. */
  async function timeToFree(leave) {
    const times = [];
    for (let i = 0; i < ATTEMPTS; ++i) times.push(await leave());
    return Math.min(...times);
  }

  test('in the middle of a stream', async (t) => {
    const ms = await timeToFree(async () => {
      const stream = await server.chat('Tell me a story.', { ...LONG, stream: true });
      let chunks = 0;
      let free;
      for await (const _ of stream) {
        if (++chunks !== 4) continue;
        assert.equal(await server.slotsBusy(), 1);
        stream.controller.abort();
        free = await server.untilSlots((busy) => busy === 0, PATIENCE_MS);
      }
      return free;
    });
    t.diagnostic(`the slot was free after ${ms.toFixed(1)} ms`);
    assert.ok(ms < FREE_MS_MAX);
  });

  test('before an answer that is sent whole', async (t) => {
    const ms = await timeToFree(async () => {
      const controller = new AbortController();
      const answer = server.chat('Tell me a story.', LONG, { signal: controller.signal });
      const aborted = assert.rejects(answer, OpenAI.APIUserAbortError);
      await server.untilSlots((busy) => busy === 1, PATIENCE_MS);
      controller.abort();
      const free = await server.untilSlots((busy) => busy === 0, PATIENCE_MS);
      await aborted;
      return free;
    });
    t.diagnostic(`the slot was free after ${ms.toFixed(1)} ms`);
    assert.ok(ms < FREE_MS_MAX);
  });

  test('with several choices and prompts', async () => {
    const controller = new AbortController();
    const answer = server.complete(['One', 'Two'], { ...LONG, n: 2 }, { signal: controller.signal });
    const aborted = assert.rejects(answer, OpenAI.APIUserAbortError);
    await server.untilSlots((busy) => busy === 4, PATIENCE_MS);
    controller.abort();
    await server.untilSlots((busy) => busy === 0, PATIENCE_MS);
    await aborted;
  });

  test('others are not disturbed', async () => {
    const alone = (await server.chat('What is the sea?', { max_tokens: 64 })).choices[0].message.content;
    const stream = await server.chat('Tell me a story.', { ...LONG, stream: true });
    const other = server.chat('What is the sea?', { max_tokens: 64 });
    let chunks = 0;
    for await (const _ of stream) if (++chunks === 8) stream.controller.abort();
    assert.equal((await other).choices[0].message.content, alone);
  });
});

describe('many clients', () => {
  const QUESTIONS = [
    'Tell me a short story about a dog and a red ball.', 'What is the sun?', 'Name three animals that live in the sea.',
    'Write a sentence with the words cat, tree and rain.', 'Tell me about a fox in the snow.', 'Who lives in the old house?',
    'Summarize: Tom lost his hat in the park. A girl found it and gave it back. Tom said thank you.', 'Why is the sky blue?',
  ];

  test('eight chats at once say what they say alone', async () => {
    const say = async (question) => (await server.chat(question, { max_tokens: 48 })).choices[0].message.content;
    const alone = [];
    for (const question of QUESTIONS) alone.push(await say(question));
    assert.deepEqual(await Promise.all(QUESTIONS.map(say)), alone);
    const streams = await Promise.all(QUESTIONS.map(async (question) =>
      (await collect(await server.chat(question, { max_tokens: 48, stream: true }))).text));
    assert.deepEqual(streams, alone);
  });

  test('32 open streams leave /live fast', async (t) => {
    const wide = await Server.start('--slots', '32');
    const all = [];
    let p99Best = Infinity;
    for (let attempt = 0; attempt < ATTEMPTS && !(p99Best < LIVE_P99_MS_MAX); ++attempt) {
      const streams = await Promise.all(
        Array.from({ length: 32 }, () => wide.chat('Tell me a story.', { ...LONG, stream: true })));
      const readings = streams.map(collect);
      const times = [];
      for (let i = 0; i < 100; ++i) {
        const begin = performance.now();
        assert.equal((await wide.raw('GET', '/live')).status, 200);
        times.push(performance.now() - begin);
        await delay(5);
      }
      assert.equal(await wide.slotsBusy(), 32, 'all of them were open to the end');
      for (const stream of streams) stream.controller.abort();
      await Promise.all(readings);
      await wide.untilSlots((busy) => busy === 0, PATIENCE_MS);
      p99Best = Math.min(p99Best, quantile(times, 0.99));
      all.push(...times);
      t.diagnostic(`/live beside 32 streams, a new connection each: median ${quantile(times, 0.5).toFixed(2)} ms, p99 ${quantile(times, 0.99).toFixed(2)} ms`);
    }
    await wide.stop();
    assert.ok(quantile(all, 0.5) < LIVE_MEDIAN_MS_MAX, `median ${quantile(all, 0.5)} ms`);
    assert.ok(p99Best < LIVE_P99_MS_MAX, `p99 ${p99Best} ms, the best of ${ATTEMPTS}`);
  });
});

describe('watching', () => {
  test('/live and /health', async () => {
    assert.equal((await server.raw('GET', '/live')).status, 200);
    const health = await server.json('GET', '/health');
    assert.equal(health.status, 200);
    assert.equal(health.body.status, 'ok');
  });

  test('/metrics is Prometheus text', async () => {
    await collect(await server.chat('What is the sun?', { stream: true, max_tokens: 8, ignore_eos: true }));
    const { samples, types } = await server.metrics();
    for (const name of ['time_to_first_token', 'inter_token', 'queue_wait']) {
      const family = `trilane_${name}_seconds`;
      assert.equal(types.get(family), 'histogram');
      const buckets = [...samples].filter(([key]) => key.startsWith(`${family}_bucket`));
      const counts = buckets.map(([, count]) => count);
      assert.deepEqual(counts, [...counts].sort((a, b) => a - b), 'buckets are cumulative');
      assert.match(buckets.at(-1)[0], /le="\+Inf"/);
      assert.equal(counts.at(-1), samples.get(`${family}_count`));
      assert.ok(samples.get(`${family}_count`) > 0 && samples.get(`${family}_sum`) >= 0, family);
    }
    assert.ok(samples.get('trilane_completion_tokens_total') >= 8);
  });
});

describe('shutdown', () => {
  test('finishes the stream that runs', async () => {
    const other = await Server.start();
    const stream = await other.chat('Tell me a story.', { max_tokens: 120, ignore_eos: true, stream: true });
    const whole = other.chat('What is the sea?', { max_tokens: 60, ignore_eos: true });
    const reading = collect(stream);
    await other.untilSlots((busy) => busy === 2, PATIENCE_MS);
    other.child.kill('SIGTERM');
    const { chunks, finish } = await reading;
    assert.deepEqual(finish, ['length']);
    assert.equal(chunks.at(-1).timings.predicted_n, 120);
    assert.equal((await whole).usage.completion_tokens, 60);
    await other.stopped();
    await assert.rejects(other.raw('GET', '/live'), /ECONNREFUSED/);
  });

  test('ends what outlasts the patience with an error that can be read', async () => {
    const other = await Server.start('--patience', '0', '--ctx', '1024');
    const body = { model: other.model, messages: [{ role: 'user', content: 'Tell me a story.' }], ignore_eos: true, max_tokens: 1000 };
    const whole = fetch(`${other.url}/v1/chat/completions`, { method: 'POST', body: JSON.stringify(body) });
    const stream = await fetch(`${other.url}/v1/chat/completions`, {
      method: 'POST', body: JSON.stringify({ ...body, stream: true }) });
    await other.untilSlots((busy) => busy === 2, PATIENCE_MS);
    other.child.kill('SIGTERM');
    const text = await stream.text();
    assert.match(text, /data: \{"error":/);
    assert.doesNotMatch(text, /\[DONE\]/);
    const answer = await whole;
    assert.equal(answer.status, 503);
    assert.match((await answer.json()).error.message, /stopped/);
    await other.stopped();
  });

  test('of an idle server is quick', async () => {
    const other = await Server.start();
    const begin = performance.now();
    await other.stop();
    assert.ok(performance.now() - begin < 2000);
  });
});
