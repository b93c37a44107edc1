// What must not reach clients: lanes that are full or cannot load, orders that are lost, loads that
// nobody answers. The daemon over scripted engines.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { describe, test } from 'node:test';

import { Keeper, LaneBox } from './lane_box.mjs';

const STOP_MS_MAX = 2000;
const lane = (script = {}, config = '') => ({ engine: 'llama-server', script, config });
const find = async (box, name, model) =>
  (await box.state()).lanes.find((one) => one.name === name).models.find((one) => one.model === model);
const loads = async (box, name) => (await box.state()).lanes.find((one) => one.name === name).loads_total;

describe('another lane', () => {
  test('takes what a full one refuses, for clients and administrators', async () => {
    const box = await LaneBox.start({ lanes: { big: lane({}, 'residents_max = 1'), small: lane() } });
    assert.equal((await box.load('big/a', { pin: true })).status, 200);
    const answer = await box.chat('b');
    assert.equal(answer.status, 200, JSON.stringify(answer.body));
    assert.equal((await find(box, 'small', 'b')).state, 'ready');
    const loaded = await box.verb('load', 'c');
    assert.equal(loaded.code, 0, loaded.err);
    assert.equal((await find(box, 'small', 'c')).state, 'ready');
    const named = await box.chat('big/c');
    assert.equal(named.status, 503);
    assert.match(named.body.error.message, /lane big.*pinned/);
    assert.equal((await find(box, 'big', 'a')).pinned, true);
    await box.stop();
  });

  test('takes what the first cannot load, and nobody hears of that', async () => {
    const box = await LaneBox.start({
      lanes: { one: lane({ by_model: { 'a.gguf': { fail_load: 'no such device' }, 'b.gguf': { fail_load: 'no such device' } } }),
        two: lane({ by_model: { 'b.gguf': { fail_load: 'unknown architecture' } } }) },
    });
    const keepers = Array.from({ length: 8 }, () => new Keeper(box.url));
    const answers = await Promise.all(keepers.map((keeper, i) => keeper.chat('a', `[[id:x${i}]]`, { max_tokens: 2 })));
    keepers.forEach((keeper) => keeper.close());
    for (const [i, answer] of answers.entries()) {
      assert.equal(answer.status, 200, JSON.stringify(answer.body));
      assert.equal(answer.body.choices[0].message.content, `x${i}.0 x${i}.1`);
    }
    const bad = await box.chat('b');
    assert.equal(bad.status, 503);
    assert.match(bad.body.error.message, /one: .*no such device.*two: .*unknown architecture/s);
    const load = await box.verb('load', 'b');
    assert.notEqual(load.code, 0);
    assert.match(load.err, /one: .*two: /s);
    await box.stop();
  });
});

describe('orders', () => {
  test('a pin on a named lane is loaded once, there, and survives a new configuration', async () => {
    const box = await LaneBox.start({ lanes: { gpu: lane(), alt: lane() } });
    const loaded = await box.verb('load', 'b', '--lane', 'alt', '--pin');
    assert.equal(loaded.code, 0, loaded.err);
    fs.writeFileSync(box.configFile, `[queue]\nlength_max = 9\n${fs.readFileSync(box.configFile, 'utf8')}`);
    await box.until(async () => (await box.state()).lanes[0].queued_max, (most) => most === 9);
    assert.equal((await find(box, 'alt', 'b')).pinned, true);
    assert.equal((await box.chat('b')).status, 200);
    assert.equal(await find(box, 'gpu', 'b'), undefined);
    assert.equal(await loads(box, 'gpu'), 0);
    await box.stop();
  });

  test('another context is loaded once what runs has ended', async () => {
    const box = await LaneBox.start({ lanes: { gpu: lane() } });
    assert.equal((await box.load('a', { context_tokens: 512 })).status, 200);
    assert.equal((await find(box, 'gpu', 'a')).context_tokens, 512);
    const running = box.chat('a', '[[tokens:50]]', { max_tokens: 50 });
    const again = await box.verb('load', 'a', '--ctx', '1024');
    assert.equal(again.code, 0, again.err);
    assert.equal((await running).status, 200);
    assert.equal((await find(box, 'gpu', 'a')).context_tokens, 1024);
    assert.equal(await loads(box, 'gpu'), 2);
    await box.stop();
  });
});

describe('ends', () => {
  test('a load that waits for room is answered when the daemon stops, and does not hold it up', async () => {
    const box = await LaneBox.start({ lanes: { gpu: lane({ decode_tps: 2000 }, 'residents_max = 1') }, options: ['--patience', '1'] });
    const running = box.chat('a', '[[tokens:100000]]', { max_tokens: 100000 });
    await box.until(() => find(box, 'gpu', 'a'), (model) => model?.slots_busy === 1);
    const waiting = box.verb('load', 'b');
    const keeper = new Keeper(box.url);
    const asked = keeper.ask('POST', '/trilane/v1/load', { model: 'c' });
    await new Promise((resolve) => setTimeout(resolve, 300)); // the verb has to start and ask
    const ms = await box.stop();
    const { code, err } = await waiting;
    assert.notEqual(code, 0);
    assert.match(err, /stopping/);
    assert.match((await asked).body.error.message, /stopping/);
    keeper.close();
    await running.catch(() => undefined);
    assert.ok(ms < 1000 + STOP_MS_MAX, `the stop took ${ms.toFixed(0)} ms`);
  });

  test('unloading during a load ends it and tells who waits', async () => {
    const box = await LaneBox.start({ lanes: { gpu: lane({ load_ms: 20_000 }) } });
    const asking = box.chat('a');
    const other = new Keeper(box.url);
    await box.until(async () => (await other.ask('GET', '/health')).body.lanes[0].models.a, (state) => state !== undefined);
    assert.equal((await other.ask('POST', '/trilane/v1/unload', { model: 'a' })).status, 200);
    const answer = await asking;
    assert.equal(answer.status, 503);
    assert.match(answer.body.error.message, /unloaded/);
    await box.until(async () => (await other.ask('GET', '/health')).body.lanes[0].models.a, (state) => state === undefined);
    other.close();
    await box.stop();
  });

  test('an answer that has not begun by its deadline is a 504', async () => {
    const box = await LaneBox.start({ lanes: { gpu: lane({ load_ms: 20_000 }) } });
    const response = await fetch(`${box.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'x-trilane-deadline-ms': '200' },
      body: JSON.stringify({ model: 'a', messages: [{ role: 'user', content: 'hi' }] }),
    });
    assert.equal(response.status, 504);
    assert.match((await response.json()).error.message, /within \d+ ms/);
    await box.stop();
  });
});
