// Lemonade's API as its clients speak it: against the bundled model, over scripted engines, and with
// a hub to pull from.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';

import OpenAI from 'openai';

import { FakeHub } from './fake_hub.mjs';
import { LaneBox } from './lane_box.mjs';
import { LemonadeClient } from './lemonade_client.mjs';
import { Server } from './server.mjs';

const MODEL_FILE = fileURLToPath(new URL('../../models/trilane-nano/trilane-nano-tq2_0.gguf', import.meta.url));
const FREE_MS_MAX = 10_000;
const PREFIXES = ['/api/v0', '/api/v1', '/v0', '/v1'];

const collect = async (stream) => {
  const parts = [];
  for await (const part of stream) parts.push(part);
  return parts;
};

describe('the bundled model', () => {
  let server;
  let client;
  let model;
  before(async () => {
    server = await Server.start();
    client = new LemonadeClient(server.url);
    ({ model } = server);
  });
  after(() => server.stop());

  test('has figures of nothing before the first answer', async () => {
    const stats = await client.stats();
    for (const field of ['time_to_first_token', 'tokens_per_second', 'input_tokens', 'output_tokens']) {
      assert.equal(stats[field], null, field);
    }
  });

  test('is in memory', async () => {
    const { version, contextSize, loaded } = await client.status();
    assert.ok(Number(version.split('.')[0]) >= 11, version);
    const one = loaded.find((entry) => entry.id === model);
    assert.equal(one.type, 'llm');
    assert.equal(one.device, 'cpu');
    assert.equal(one.recipe, 'llamacpp');
    assert.ok(one.labels.includes('chat'));
    assert.ok(contextSize > 0 && contextSize <= one.max_context_window);
    const health = await client.health();
    assert.equal(health.model_loaded, model);
    assert.equal(health.websocket_port, Number(new URL(server.url).port));
  });

  test('answers the same below every prefix', async () => {
    const answers = await Promise.all(PREFIXES.map(async (prefix) => {
      const at = new LemonadeClient(server.url, { prefix });
      const { choices } = await at.chat(model, 'Tell me a story about a dog.', { temperature: 0, max_tokens: 16 });
      assert.equal((await at.health()).status, 'ok');
      return choices[0].message.content;
    }));
    assert.ok(answers[0].length > 0);
    assert.deepEqual(answers, answers.map(() => answers[0]));
  });

  test("OpenAI's client talks to it there, streamed and whole", async () => {
    const openai = new OpenAI({ baseURL: `${server.url}/api/v1`, apiKey: 'none' });
    const stream = await openai.chat.completions.create({
      model, messages: [{ role: 'user', content: 'Hi' }], stream: true, max_tokens: 8, temperature: 0,
    });
    const text = (await collect(stream)).map((chunk) => chunk.choices[0]?.delta?.content ?? '').join('');
    const whole = await openai.chat.completions.create({ model, messages: [{ role: 'user', content: 'Hi' }], max_tokens: 8, temperature: 0 });
    assert.equal(whole.choices[0].message.content, text);
    assert.ok((await openai.models.list()).data.some((one) => one.id === model));
    const { data } = await openai.embeddings.create({ model, input: 'A dog.' });
    assert.ok(data[0].embedding.length > 10);
    await assert.rejects(openai.chat.completions.create({ model: 'nowhere', messages: [] }), OpenAI.APIError);
  });

  test('has figures of the last answer', async () => {
    const before_ = await client.stats();
    const { usage } = await client.chat(model, 'Tell me a story about a cat.', { temperature: 0, max_tokens: 12 });
    const stats = await client.stats();
    assert.equal(stats.output_tokens, usage.completion_tokens);
    assert.equal(stats.input_tokens, usage.prompt_tokens);
    assert.ok(stats.time_to_first_token > 0 && stats.time_to_first_token < 60);
    assert.ok(stats.tokens_per_second > 0);
    assert.equal(stats.request_count_total, before_.request_count_total + 1);
    assert.equal(stats.output_tokens_total, before_.output_tokens_total + usage.completion_tokens);
  });

  test('is described', async () => {
    const one = await client.model(model);
    assert.equal(one.recipe, 'llamacpp');
    assert.equal(one.downloaded, true);
    assert.ok(Math.abs(one.size * 2 ** 30 - fs.statSync(MODEL_FILE).size) < 2 ** 30 * 0.01);
    assert.deepEqual((await client.models(true)).data.map(({ id }) => id), (await client.models()).data.map(({ id }) => id));
    const { files } = await client.send('GET', `/models/${model}/files`);
    assert.ok(Array.isArray(files));
    const options = await client.send('GET', `/models/${model}/options`);
    assert.equal(options.effective.model_name, model);
    assert.ok(options.resolved_ctx_size > 0);
  });

  test('the machine is described', async () => {
    const info = await client.systemInfo();
    assert.ok(info.devices.cpu.available && info.devices.cpu.cores >= 1);
    assert.match(info['Physical Memory'], /^\d+\.\d+ GB$/);
    assert.ok(info['OS Version'].length > 0 && info.Processor.length > 0);
    assert.ok(info.model_storage.total_bytes >= info.model_storage.free_bytes);
    assert.equal(info.recipes.llamacpp.backends.cpu.state, 'installed');
    assert.ok(['unsupported', 'installable', 'installed'].includes(info.recipes.flm.backends.npu.state));
    const stats = await client.send('GET', '/system-stats');
    assert.ok(stats.memory_gb > 0);
  });

  test('what cannot be done is said', async () => {
    await assert.rejects(client.load('nowhere'), (error) => error.status === 404 && /not found/i.test(error.body.error.message));
    await assert.rejects(client.load(model, { llamacpp_backend: 'vulkan' }), { status: 400 });
    await assert.rejects(client.pull('Qwen3-0.6B-GGUF'), (error) => error.status === 400 && /checkpoint/.test(error.body.message));
    await assert.rejects(client.unload('nowhere'), { status: 404 });
    assert.equal((await client.installBackend('llamacpp:cpu')).status, 'success');
    for (const [method, path] of [['POST', '/params'], ['POST', '/uninstall'], ['GET', '/registry/search?query=abc'], ['POST', '/log-level']]) {
      await assert.rejects(client.send(method, path, method === 'GET' ? undefined : {}), (error) =>
        error.status === 501 && error.body.status === 'error' && error.body.error.code === 'not_supported' && error.body.message.length > 10, path);
    }
    const internal = await fetch(`${server.url}/internal/shutdown`, { method: 'POST' });
    assert.equal(internal.status, 501);
    await assert.rejects(client.send('GET', '/load'), { status: 405 });
  });
});

describe('scripted engines', () => {
  let box;
  let client;
  before(async () => {
    box = await LaneBox.start({
      lanes: { llama: { engine: 'llama-server', config: 'device = "cpu"' } }, models: ['a', 'b', 'nomic-embed'],
    });
    client = new LemonadeClient(box.url);
  });
  after(() => box.stop());

  test('models are loaded and unloaded', async () => {
    await client.unload();
    await client.untilLoaded('a', false);
    assert.equal((await client.unload('a', { ignoreIfNotLoaded: true })).status, 'not_loaded');
    const loaded = await client.load('a');
    assert.equal(loaded.status, 'success');
    const entry = await client.untilLoaded('user.A', true);
    assert.equal(entry.model_name, 'a');
    assert.equal(entry.lane, 'llama');
    assert.equal(entry.device, 'cpu');
    assert.equal((await client.unload('a')).status, 'success');
    await client.untilLoaded('a', false);
  });

  test('at the context that is asked for', async () => {
    const { max_context_window: most } = await client.model('a');
    assert.ok(most >= 512, `${most}`);
    const entry = await client.pinContext('a', 256);
    assert.equal(entry.device, 'cpu');
    // More than it has: it is loaded anew. More than it was made for: as much as that.
    await client.load('a', { ctx_size: 512 });
    assert.equal((await client.loadedEntry('a')).recipe_options.ctx_size, 512);
    await client.load('a', { ctx_size: most * 4 });
    assert.equal((await client.loadedEntry('a')).recipe_options.ctx_size, most);
    await client.load('a', { ctx_size: 256 });
    assert.equal((await client.loadedEntry('a')).recipe_options.ctx_size, most, 'more than enough stays');
  });

  test('on the lane that is asked for, and what changes nothing is told', async () => {
    const told = await client.load('b', { llamacpp_backend: 'cpu', llamacpp_args: '--ubatch-size 2048', save_options: true });
    assert.deepEqual(told.ignored.map((line) => line.split(':')[0]), ['llamacpp_args', 'save_options']);
    assert.equal((await client.loadedEntry('b')).lane, 'llama');
    const info = await client.systemInfo();
    assert.equal(info.recipes.llamacpp.backends.cpu.state, 'installed');
  });

  test('embedding models beside language models', async () => {
    await client.load('nomic-embed', { llamacpp_args: '--ubatch-size 2048' });
    const entry = await client.untilLoaded('nomic-embed', true);
    assert.equal(entry.type, 'embedding');
    const { data } = await client.send('POST', '/embeddings', { model: 'nomic-embed', input: ['a', 'b'] });
    assert.equal(data.length, 2);
    const listed = (await client.models()).data.find((one) => one.id === 'nomic-embed');
    assert.deepEqual(listed.labels, ['embeddings']);
  });
});

describe('models that come and go', () => {
  let box;
  let hub;
  let client;
  const bytes = fs.readFileSync(MODEL_FILE);
  const name = 'user.nano-GGUF';
  const fields = { checkpoint: 'owner/Nano-GGUF:Q8_0', recipe: 'llamacpp' };
  before(async () => {
    hub = await FakeHub.start();
    hub.put('owner/Nano-GGUF', 'nano-Q8_0.gguf', bytes);
    hub.put('owner/Nano-GGUF', 'nano-Q4_K_M.gguf', bytes);
    box = await LaneBox.start({
      lanes: { gpu: { engine: 'llama-server' } }, models: ['a'], config: `[catalog]\nhub_endpoint = "${hub.url}"`,
    });
    client = new LemonadeClient(box.url);
  });
  after(async () => {
    await box.stop();
    await hub.stop();
  });

  test('a repository says what it has', async () => {
    const listed = await client.send('GET', '/pull/variants?checkpoint=owner/Nano-GGUF');
    assert.deepEqual(listed.variants.map((one) => [one.name, one.size_bytes]).toSorted(),
      [['Q4_K_M', bytes.length], ['Q8_0', bytes.length]]);
    assert.equal(listed.suggested_name, 'Nano-GGUF');
  });

  test('a pull tells how far it is', async () => {
    const events = await collect(client.pullStream(name, fields));
    assert.equal(events.at(-1).event, 'complete');
    assert.equal(events.at(-1).percent, 100);
    const progress = events.filter((one) => one.event === 'progress');
    assert.ok(progress.length > 0);
    for (const one of progress) {
      assert.equal(one.bytes_total, bytes.length);
      assert.ok(one.bytes_downloaded <= one.bytes_total && one.percent <= 100);
      assert.match(one.file, /nano-Q8_0\.gguf/);
    }
    assert.equal(await client.ensureDownloaded(name, fields), true);
  });

  test('what was pulled answers to its name, in every API', async () => {
    await client.load(name);
    assert.equal((await client.chat(name, '[[id:p]]', { max_tokens: 2 })).choices[0].message.content.trimEnd(), 'p.0 p.1');
    const listed = (await client.models()).data.find((one) => one.id === name);
    assert.equal(listed.checkpoint, 'owner/Nano-GGUF:Q8_0');
    const { files } = await client.send('GET', `/models/${name}/files?include_paths=true`);
    assert.equal(files[0].size_bytes, bytes.length);
    assert.ok(fs.existsSync(files[0].path));
    const openai = new OpenAI({ baseURL: `${box.url}/v1`, apiKey: 'none' });
    assert.ok((await openai.models.list()).data.some((one) => one.id === name));
  });

  test('a deletion takes the files, too', async () => {
    assert.equal((await client.remove(name)).status, 'success');
    assert.ok((await client.models()).data.every((one) => !/nano/i.test(one.id) || one.id === 'trilane-nano'));
    await assert.rejects(client.load(name), { status: 404 });
    await assert.rejects(client.remove('a'), { status: 400 });
  });

  test('a download goes on by itself, is stopped, and goes on', async () => {
    hub.holdAfter = 100_000;
    const begun = await client.pull('owner/Nano-GGUF:Q4_K_M', { stream: true, subscribe: false });
    assert.equal(begun.status, 'downloading');
    const list = () => client.send('GET', '/downloads');
    await box.until(list, ([one]) => one?.bytes_downloaded > 0, FREE_MS_MAX);
    const paused = await client.send('POST', '/downloads/control', { id: begun.id, action: 'pause' });
    assert.equal(paused.status, 'paused');
    hub.letGo();
    await box.until(async () => {
      await client.pull('owner/Nano-GGUF:Q4_K_M', { stream: true, subscribe: false }).catch(() => {});
      return list();
    }, ([one]) => one?.status === 'completed', FREE_MS_MAX);
    assert.deepEqual(await client.send('POST', '/downloads/control', { id: begun.id, action: 'remove' }), { status: 'ok' });
    assert.deepEqual(await list(), []);
    assert.ok((await client.models()).data.some((one) => one.id === 'owner/Nano-GGUF:Q4_K_M'));
  });

  test('what cannot be pulled is said', async () => {
    await assert.rejects(client.pull('user.x', { checkpoint: 'owner/none' }), { status: 404 });
    await assert.rejects(collect(client.pullStream('user.x', { checkpoint: 'owner/none' })), /owner\/none/);
  });
});
