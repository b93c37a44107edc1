// Ollama's API as its own client and LangChain's speak it: against the bundled model, over scripted
// engines, and with a hub to pull from.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { HumanMessage, ToolMessage } from '@langchain/core/messages';
import { ChatOllama, Ollama as OllamaText, OllamaEmbeddings } from '@langchain/ollama';
import { Ollama } from 'ollama';

import { FakeHub, sha256 } from './fake_hub.mjs';
import { LaneBox } from './lane_box.mjs';
import { Server } from './server.mjs';

const MODEL_FILE = fileURLToPath(new URL('../../models/trilane-nano/trilane-nano-tq2_0.gguf', import.meta.url));
const FREE_MS_MAX = 10_000;

const user = (content) => [{ role: 'user', content }];

async function collect(stream) {
  const parts = [];
  for await (const part of stream) parts.push(part);
  return parts;
}

describe('the bundled model', () => {
  let server;
  let client;
  let model;
  const greedy = { temperature: 0, num_predict: 24 };
  before(async () => {
    server = await Server.start();
    client = new Ollama({ host: server.url });
    ({ model } = server);
  });
  after(() => server.stop());

  test('says what it is', async () => {
    const { version } = await client.version();
    assert.match(version, /^0\.\d+\.\d+$/);
    const { models } = await client.list();
    const listed = models.find((one) => one.name === `${model}:latest`);
    assert.ok(listed, JSON.stringify(models));
    assert.match(listed.digest, /^[0-9a-f]{64}$/);
    assert.equal(listed.size, fs.statSync(MODEL_FILE).size);
    assert.ok(new Date(listed.modified_at).getTime() > 0);
    const shown = await client.show({ model });
    assert.deepEqual(shown.details.families, [shown.details.family]);
    assert.ok(shown.capabilities.includes('completion'), JSON.stringify(shown.capabilities));
    assert.equal(shown.model_info['general.architecture'], shown.details.family);
    assert.ok(shown.model_info[`${shown.details.family}.context_length`] > 0);
    assert.ok(shown.template.length > 0);
    assert.equal(shown.model_info['tokenizer.ggml.tokens'], null, 'long lists are left out');
    const verbose = (await server.json('POST', '/api/show', JSON.stringify({ model, verbose: true }))).body;
    assert.ok(verbose.model_info['tokenizer.ggml.tokens'].length > 100);
    assert.equal((await server.raw('HEAD', '/')).status, 200);
  });

  test('chats, whole and in pieces, with the same tokens', async () => {
    const ask = { model, messages: user('Tell me a story about a dog.'), options: greedy };
    const whole = await client.chat(ask);
    assert.equal(whole.message.role, 'assistant');
    assert.equal(whole.done, true);
    assert.ok(['stop', 'length'].includes(whole.done_reason));
    assert.ok(whole.eval_count > 0 && whole.eval_count <= 24);
    assert.ok(whole.prompt_eval_count > 0);
    assert.ok(whole.total_duration >= whole.eval_duration);
    const parts = await collect(await client.chat({ ...ask, stream: true }));
    assert.equal(parts.map((part) => part.message.content).join(''), whole.message.content);
    assert.ok(parts.length > 2);
    assert.ok(parts.slice(0, -1).every((part) => part.done === false));
    assert.equal(parts.at(-1).eval_count, whole.eval_count);
    // What it answers to everybody else.
    const same = await server.chat('Tell me a story about a dog.', { max_tokens: 24, temperature: 0 });
    assert.equal(whole.message.content, same.choices[0].message.content);
  });

  test('streams when nobody says otherwise', async () => {
    const body = JSON.stringify({ model, messages: user('Hi'), options: { num_predict: 2 } });
    const { headers, bytes } = await server.raw('POST', '/api/chat', body);
    assert.equal(headers['content-type'], 'application/x-ndjson');
    const lines = bytes.toString().trimEnd().split('\n').map((line) => JSON.parse(line));
    assert.equal(lines.at(-1).done, true);
    assert.equal(lines.at(-1).done_reason, 'length');
  });

  test('goes on with a text, and with a conversation', async () => {
    const raw = await client.generate({ model, prompt: 'Once upon a time', raw: true, options: greedy });
    const same = await server.complete('Once upon a time', { max_tokens: 24 });
    assert.equal(raw.response, same.choices[0].text);
    const first = await client.generate({ model, prompt: 'Tell me a story about a cat.', options: greedy });
    assert.ok(first.context.length > 0);
    const second = await client.generate({ model, prompt: 'And then?', context: first.context, options: greedy });
    const chat = await client.chat({
      model,
      messages: [
        ...user('Tell me a story about a cat.'),
        { role: 'assistant', content: first.response },
        ...user('And then?'),
      ],
      options: greedy,
    });
    assert.equal(second.response, chat.message.content);
    const parts = await collect(await client.generate({ model, prompt: 'Hi', stream: true, options: greedy }));
    assert.ok(parts.at(-1).done && parts.at(-1).context.length > 0);
  });

  test('options count', async () => {
    const ask = (options) => client.chat({ model, messages: user('Tell me a story.'), options: { num_predict: 24, ...options } });
    const first = await ask({ seed: 5, temperature: 1.5 });
    assert.equal((await ask({ seed: 5, temperature: 1.5 })).message.content, first.message.content);
    const plain = (await ask({ temperature: 0 })).message.content;
    const stop = plain.split(' ')[3];
    assert.ok(!(await ask({ temperature: 0, stop: [stop] })).message.content.includes(stop));
    const logged = await client.chat({ model, messages: user('Hi'), logprobs: true, top_logprobs: 2, options: { ...greedy, num_predict: 3 } });
    assert.equal(logged.logprobs.length, 3);
    assert.equal(logged.logprobs[0].top_logprobs.length, 2);
    assert.ok(logged.logprobs[0].logprob <= 0);
  });

  test('is in memory, and stays there: it is pinned', async () => {
    await client.chat({ model, messages: user('Hi'), keep_alive: '1s', options: { num_predict: 1 } });
    const [one] = (await client.ps()).models;
    assert.equal(one.name, `${model}:latest`);
    assert.ok(one.size > 0 && one.context_length > 0);
    assert.ok(new Date(one.expires_at).getFullYear() > 2200, one.expires_at);
    assert.equal((await client.chat({ model, messages: [] })).done_reason, 'load');
  });

  test('answers have the shape that is asked for', async () => {
    const schema = { type: 'object', properties: { name: { type: 'string', maxLength: 12 }, age: { type: 'integer', minimum: 1, maximum: 20 } }, required: ['name', 'age'], additionalProperties: false };
    const ask = { model, messages: user('A dog, its name and age.'), options: { temperature: 0, num_predict: 64 } };
    const made = JSON.parse((await client.chat({ ...ask, format: schema })).message.content);
    assert.deepEqual(Object.keys(made).toSorted(), ['age', 'name']);
    assert.ok(made.age >= 1 && made.age <= 20 && made.name.length <= 12, JSON.stringify(made));
    const parts = await collect(await client.generate({ model, prompt: 'A dog.', format: schema, stream: true, options: ask.options }));
    assert.equal(typeof JSON.parse(parts.map((part) => part.response).join('')).age, 'number');
    assert.match((await client.chat({ ...ask, format: 'json', options: { temperature: 0, num_predict: 8 } })).message.content, /^\s*\{/);
  });

  test('a client that leaves frees the slot', async () => {
    const stream = await client.generate({ model, prompt: 'Once', stream: true, options: { num_predict: -1, temperature: 1 } });
    await assert.rejects(async () => {
      for await (const part of stream) if (!part.done) stream.abort();
    }, { name: 'AbortError' });
    await server.untilSlots((slots) => slots === 0, FREE_MS_MAX);
  });

  test('a chat model makes vectors, too', async () => {
    const { embeddings } = await client.embed({ model, input: ['A dog.', 'A dog.', 'Numbers.'] });
    assert.equal(embeddings.length, 3);
    const dot = (a, b) => a.reduce((sum, x, i) => sum + x * b[i], 0);
    assert.ok(Math.abs(dot(embeddings[0], embeddings[0]) - 1) < 1e-3, 'of length 1');
    assert.deepEqual(embeddings[0], embeddings[1]);
    assert.ok(dot(embeddings[0], embeddings[2]) < 0.999);
  });

  test('says what is wrong as its clients read it', async () => {
    await assert.rejects(client.chat({ model: 'nowhere', messages: user('Hi') }), (error) => {
      assert.equal(error.name, 'ResponseError');
      assert.equal(error.status_code, 404);
      assert.match(error.message, /there is none called 'nowhere'/);
      return true;
    });
    await assert.rejects(client.chat({ model, messages: user('Hi'), options: { temperature: 9 } }), /options\.temperature: got 9/);
    await assert.rejects(client.generate({ model, prompt: 'x', template: '{{ .Prompt }}' }), /template: another template/);
    await assert.rejects(client.push({ model }), { status_code: 501 });
  });

  test('LangChain talks to it', async () => {
    const chat = new ChatOllama({ baseUrl: server.url, model, temperature: 0, numPredict: 24 });
    const answer = await chat.invoke('Tell me a story about a dog.');
    const same = await client.chat({ model, messages: user('Tell me a story about a dog.'), options: greedy });
    assert.equal(answer.content, same.message.content);
    assert.equal(answer.usage_metadata.output_tokens, same.eval_count);
    const pieces = await collect(await chat.stream('Tell me a story about a dog.'));
    assert.equal(pieces.map((piece) => piece.content).join(''), same.message.content);
    const text = new OllamaText({ baseUrl: server.url, model, temperature: 0, numPredict: 8 });
    assert.ok((await text.invoke('Once upon a time')).length > 0);
  });
});

describe('scripted engines', () => {
  let box;
  let client;
  const now = { type: 'function', function: { name: 'now', description: 'the time', parameters: { type: 'object', properties: { zone: { type: 'string' } } } } };
  before(async () => {
    box = await LaneBox.start({
      lanes: { gpu: { engine: 'llama-server', config: 'device = "cpu"' } }, models: ['a', 'nomic-embed'],
    });
    client = new Ollama({ host: box.url });
  });
  after(() => box.stop());

  test('tools are called, one by one, with objects', async () => {
    const ask = { model: 'a', messages: user('[[tool:2]][[id:t]]'), tools: [now] };
    const { message, done_reason } = await client.chat(ask);
    assert.equal(done_reason, 'stop');
    assert.deepEqual(message.tool_calls.map((call) => call.function.name), ['now', 'now']);
    assert.deepEqual(message.tool_calls[1].function.arguments, { id: 't', call: 1 });
    const parts = await collect(await client.chat({ ...ask, stream: true }));
    const calls = parts.flatMap((part) => part.message.tool_calls ?? []);
    assert.deepEqual(calls.map((call) => call.function.arguments), message.tool_calls.map((call) => call.function.arguments));
    const again = await client.chat({
      model: 'a',
      messages: [...user('[[id:u]]'), message, { role: 'tool', tool_name: 'now', content: '12:00' }, { role: 'tool', tool_name: 'now', content: '13:00' }],
      options: { num_predict: 2 },
    });
    assert.ok(again.message.content.length > 0);
  });

  test('thoughts stand apart', async () => {
    const { message } = await client.chat({ model: 'a', messages: user('[[think]] hi'), think: true });
    assert.ok(message.thinking.length > 0);
    assert.ok(!message.content.includes(message.thinking));
    const parts = await collect(await client.chat({ model: 'a', messages: user('[[think]] hi'), think: 'low', stream: true }));
    assert.equal(parts.map((part) => part.message.thinking ?? '').join(''), message.thinking);
    assert.ok(parts.every((part) => part.message.thinking !== ''));
  });

  test('keep_alive says how long a model stays', async () => {
    await client.chat({ model: 'a', messages: user('[[id:k]]'), keep_alive: '10m', options: { num_predict: 1 } });
    const [one] = (await client.ps()).models;
    const left = new Date(one.expires_at).getTime() - Date.now();
    assert.ok(left > 500_000 && left <= 600_000, `${left} ms`);
    assert.equal(one.size_vram, 0, 'its lane is on the CPU');
    const gone = await client.generate({ model: 'a', prompt: '', keep_alive: 0 });
    assert.equal(gone.done_reason, 'unload');
    await box.until(() => client.ps(), ({ models }) => models.length === 0, FREE_MS_MAX);
    assert.equal((await client.generate({ model: 'a', prompt: '', keep_alive: -1 })).done_reason, 'load');
    assert.ok(new Date((await client.ps()).models[0].expires_at).getFullYear() > 2200);
  });

  test('a keep_alive of 0 lets the model go after its answer', async () => {
    const { done_reason } = await client.chat({ model: 'a', messages: user('[[id:k]]'), keep_alive: 0, options: { num_predict: 3 } });
    assert.equal(done_reason, 'length');
    await box.until(() => box.residents(), (all) => all.a === undefined, FREE_MS_MAX);
  });

  test('an engine that crashes in the midst is an error line', async () => {
    box.script('gpu', { rules: [{ body_has: 'boom', crash_after_tokens: 3, write_each: true, decode_tps: 100 }] });
    await client.generate({ model: 'a', prompt: '', keep_alive: 0 });
    await box.until(() => box.residents(), (all) => all.a === undefined, FREE_MS_MAX);
    const stream = await client.chat({ model: 'a', messages: user('boom'), stream: true });
    await assert.rejects(collect(stream), (error) => {
      assert.notEqual(error.message, 'Did not receive done or success response in stream.');
      return error.message.length > 10;
    });
    box.script('gpu', {});
  });

  test('LangChain binds tools and reads thoughts', async () => {
    const chat = new ChatOllama({ baseUrl: box.url, model: 'a' });
    const message = new HumanMessage('[[tool:1]][[id:l]]');
    const called = await chat.bindTools([now]).invoke([message]);
    assert.deepEqual(called.tool_calls.map((call) => [call.name, call.args]), [['now', { id: 'l', call: 0 }]]);
    const answer = await chat.invoke([new HumanMessage('[[id:m]]'), called, new ToolMessage({ content: '12:00', tool_call_id: called.tool_calls[0].id })]);
    assert.ok(answer.content.length > 0);
    const thinker = new ChatOllama({ baseUrl: box.url, model: 'a', think: true });
    const thought = await thinker.invoke('[[think]] hi');
    assert.ok(thought.additional_kwargs.reasoning_content.length > 0);
  });
});

describe('models that come and go', () => {
  let box;
  let hub;
  let client;
  const bytes = fs.readFileSync(MODEL_FILE);
  const reference = 'hf.co/owner/Nano-GGUF:Q8_0';
  before(async () => {
    hub = await FakeHub.start();
    hub.put('owner/Nano-GGUF', 'nano-Q8_0.gguf', bytes);
    hub.put('owner/Nano-GGUF', 'nano-Q4_K_M.gguf', bytes);
    box = await LaneBox.start({
      lanes: { gpu: { engine: 'llama-server' } }, models: ['a'],
      config: `[catalog]\nhub_endpoint = "${hub.url}"`,
    });
    client = new Ollama({ host: box.url });
  });
  after(async () => {
    await box.stop();
    await hub.stop();
  });
  const names = async () => (await client.list()).models.map((model) => model.name)
    .filter((name) => name !== 'trilane-nano:latest').toSorted();

  test('a pull that is broken off goes on where it was', async () => {
    hub.holdAfter = 300_000;
    const stream = await client.pull({ model: reference, stream: true });
    let listed;
    await assert.rejects(async () => {
      for await (const part of stream) {
        if (hub.held.size === 0 || !(part.completed > 0)) continue;
        listed ??= await box.verb('ps');
        stream.abort();
      }
    }, { name: 'AbortError' });
    hub.letGo();
    assert.match(listed.out, /Pulling .*owner\/Nano-GGUF.*downloading: .* of 32\.5 MB/);
    assert.deepEqual(await names(), ['a:latest']);
    hub.ranges.length = 0;
    const deadline = Date.now() + FREE_MS_MAX;
    let parts;
    for (;;) {
      try {
        parts = await collect(await client.pull({ model: reference, stream: true }));
        break;
      } catch (error) {
        assert.match(error.message, /just being stopped|pulls the same/);
        assert.ok(Date.now() < deadline, error.message);
      }
    }
    const statuses = parts.map((part) => part.status);
    assert.equal(statuses[0], 'pulling manifest');
    assert.deepEqual(statuses.slice(-2), ['writing manifest', 'success']);
    for (const part of parts.filter((one) => one.digest)) {
      assert.equal(part.digest, `sha256:${sha256(bytes)}`);
      assert.equal(part.total, bytes.length);
      assert.ok(part.completed <= part.total);
    }
    const fetched = hub.ranges.reduce((sum, [begin, end]) => sum + end - begin, 0);
    assert.ok(fetched < bytes.length, `${fetched} of ${bytes.length} bytes came again`);
  });

  test('what was pulled answers to the name it was pulled by', async () => {
    assert.deepEqual(await names(), ['Nano-Q8_0:latest', 'a:latest', reference]);
    const { message } = await client.chat({ model: reference, messages: user('[[id:p]]'), options: { num_predict: 2 } });
    assert.equal(message.content.trimEnd(), 'p.0 p.1');
    assert.deepEqual(await client.pull({ model: reference }), { status: 'success' });
    const head = await box.keeper.ask('HEAD', `/api/blobs/sha256:${sha256(bytes)}`);
    assert.equal(head.status, 200);
  });

  test('LangChain pulls what is not there', async () => {
    const chat = new ChatOllama({ baseUrl: box.url, model: 'owner/Nano-GGUF:Q4_K_M', checkOrPullModel: true, numPredict: 2 });
    assert.equal((await chat.invoke('[[id:q]]')).content.trimEnd(), 'q.0 q.1');
  });

  test('a copy is another name, and a model of its own says more', async () => {
    await client.copy({ source: 'a', destination: 'me/twin' });
    assert.ok((await names()).includes('me/twin:latest'));
    assert.equal((await client.chat({ model: 'me/twin', messages: user('[[id:t]]'), options: { num_predict: 1 } })).message.content, 't.0');
    const made = await collect(await client.create({ model: 'mine', from: 'me/twin', system: '[[id:s]]', parameters: { num_predict: 2 }, stream: true }));
    assert.equal(made.at(-1).status, 'success');
    const shown = await client.show({ model: 'mine' });
    assert.equal(shown.system, '[[id:s]]');
    assert.match(shown.parameters, /num_predict +2/);
    assert.equal((await client.chat({ model: 'mine', messages: user('hello') })).eval_count, 2);
    await assert.rejects(client.create({ model: 'a', from: 'me/twin' }), /there is a model called 'a'/);
    await assert.rejects(client.create({ model: 'x', from: 'a', template: '{{ .Prompt }}' }), /template:/);
  });

  test('names and models are deleted', async () => {
    await client.delete({ model: 'mine' });
    await client.delete({ model: 'Nano-Q8_0' });
    const left = await names();
    assert.ok(!left.includes('mine:latest') && !left.includes('Nano-Q8_0:latest') && !left.includes(reference), left.join(' '));
    assert.deepEqual(fs.readdirSync(`${box.folder}/home/.local/share/trilane/models`).filter((name) => name.startsWith('Nano')), ['Nano-Q4_K_M']);
    await assert.rejects(client.delete({ model: 'nowhere' }), { status_code: 404 });
    await assert.rejects(client.delete({ model: 'a' }), /not in a folder of models that Trilane keeps/);
    await assert.rejects(client.chat({ model: reference, messages: user('hi') }), { status_code: 404 });
  });

  test('what cannot be pulled is said', async () => {
    await assert.rejects(client.pull({ model: 'llama3.2' }), (error) => error.status_code === 400 && /names no repository/.test(error.message));
    await assert.rejects(client.pull({ model: 'owner/none' }), { status_code: 404 });
    await assert.rejects(collect(await client.pull({ model: 'owner/none', stream: true })), /owner\/none/);
  });
});

describe('vectors', () => {
  let box;
  let client;
  before(async () => {
    box = await LaneBox.start({ lanes: { gpu: { engine: 'llama-server' } }, models: ['nomic-embed'] });
    client = new Ollama({ host: box.url });
  });
  after(() => box.stop());

  test('of texts, and of one text as it was asked before', async () => {
    const { embeddings, prompt_eval_count } = await client.embed({ model: 'nomic-embed', input: ['a', 'b'] });
    assert.equal(embeddings.length, 2);
    assert.ok(prompt_eval_count > 0);
    const length = Math.hypot(...embeddings[0]);
    assert.ok(Math.abs(length - 1) < 1e-3, `length ${length}`);
    const { embedding } = await client.embeddings({ model: 'nomic-embed', prompt: 'a' });
    assert.deepEqual(embedding, embeddings[0]);
    const vectors = new OllamaEmbeddings({ baseUrl: box.url, model: 'nomic-embed' });
    assert.deepEqual(await vectors.embedDocuments(['a', 'b']), embeddings);
  });
});
