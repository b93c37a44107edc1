// Ten thousand malformed requests, over every dialect: each gets a 4xx in its dialect's own shape, and
// nothing of them stays behind. TRILANE_MALFORMED sets how many, TRILANE_MALFORMED_SEED which.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import http from 'node:http';
import { test } from 'node:test';

import { randomFrom } from './schema_maker.mjs';
import { Server } from './server.mjs';

const COUNT = Number(process.env.TRILANE_MALFORMED ?? 10_000);
const SEED = Number(process.env.TRILANE_MALFORMED_SEED ?? 3);
const CLIENTS = 8;
const GROWTH_BYTES_MAX = 4e6; // of 10,000 requests: 400 bytes each would show

const message = [{ role: 'user', content: 'hi' }];
const wrong = { number: ['x', [], {}, true], text: [7, {}, true], list: [7, true, {}], flag: ['yes', 7, []], object: [7, 'x', []] };

// A request that would be answered, which of its fields must be there, and of which kind others are.
const ASKS = [
  { dialect: 'openai', path: '/v1/chat/completions', body: { messages: message, max_tokens: 1 }, must: ['messages'],
    fields: { messages: 'list', temperature: 'number', max_tokens: 'number', stream: 'flag', top_p: 'number', n: 'number', response_format: 'object', logit_bias: 'object' } },
  { dialect: 'openai', path: '/v1/completions', body: { prompt: 'hi', max_tokens: 1 }, must: [],
    fields: { max_tokens: 'number', stream: 'flag', temperature: 'number', echo: 'flag', seed: 'number' } },
  { dialect: 'openai', path: '/v1/responses', body: { input: 'hi', max_output_tokens: 16 }, must: ['input'],
    fields: { max_output_tokens: 'number', stream: 'flag', temperature: 'number', store: 'flag', instructions: 'object' } },
  { dialect: 'openai', path: '/v1/embeddings', body: { input: 'hi' }, must: ['input'], fields: { dimensions: 'number', encoding_format: 'text' } },
  { dialect: 'openai', path: '/v1/rerank', body: { query: 'a', documents: ['b'] }, must: ['query', 'documents'], fields: { query: 'text', documents: 'list', top_n: 'number' } },
  { dialect: 'openai', path: '/v1/audio/speech', body: { input: 'hi', voice: 'a' }, must: ['input'], fields: { input: 'text', speed: 'number', response_format: 'text' } },
  { dialect: 'openai', path: '/v1/images/generations', body: { prompt: 'hi' }, must: ['prompt'], fields: { prompt: 'text', n: 'number', size: 'text' } },
  { dialect: 'openai', path: '/v1/tokenize', body: { content: 'hi' }, must: [], fields: { add_special: 'flag' } },
  { dialect: 'anthropic', path: '/v1/messages', body: { messages: message, max_tokens: 1 }, must: ['messages', 'max_tokens'],
    fields: { messages: 'list', max_tokens: 'number', temperature: 'number', stream: 'flag', tools: 'list', stop_sequences: 'list', thinking: 'object' } },
  { dialect: 'anthropic', path: '/v1/messages/count_tokens', body: { messages: message }, must: ['messages'], fields: { messages: 'list', tools: 'list' } },
  { dialect: 'ollama', path: '/api/chat', body: { messages: message, options: { num_predict: 1 } }, must: [], fields: { messages: 'list', stream: 'flag', options: 'object', tools: 'list' } },
  { dialect: 'ollama', path: '/api/generate', body: { prompt: 'hi', options: { num_predict: 1 } }, must: [], fields: { prompt: 'list', stream: 'flag', options: 'object', raw: 'flag' } },
  { dialect: 'ollama', path: '/api/embed', body: { input: 'hi' }, must: [], fields: { input: 'number', truncate: 'flag' } },
  { dialect: 'ollama', path: '/api/show', body: {}, must: ['model'], fields: { model: 'text' } },
  { dialect: 'lemonade', path: '/api/v1/load', body: { ctx_size: 512 }, must: ['model_name'], fields: { model_name: 'text' } },
  { dialect: 'lemonade', path: '/v1/pull', body: {}, must: ['model_name'], fields: { model_name: 'text' } },
  { dialect: 'lemonade', path: '/v0/delete', body: {}, must: ['model_name'], fields: { model_name: 'text' } },
  { dialect: 'openai', path: '/api/v1/chat/completions', body: { messages: message, max_tokens: 1 }, must: ['messages'], fields: { messages: 'list', temperature: 'number' } },
  { dialect: 'ollama', path: '/api/copy', body: { source: 'a', destination: 'b' }, must: ['source', 'destination'], fields: { source: 'text', destination: 'text' } },
];
const FORMS = ['/v1/audio/transcriptions', '/v1/audio/translations', '/v1/images/edits', '/v1/images/variations'];

const SHAPES = {
  openai(body) {
    assert.deepEqual(Object.keys(body), ['error']);
    assert.deepEqual(Object.keys(body.error), ['message', 'type', 'param', 'code']);
    return body.error.message;
  },
  anthropic(body) {
    assert.equal(body.type, 'error');
    assert.deepEqual(Object.keys(body.error), ['type', 'message']);
    assert.equal(typeof body.request_id, 'string');
    return body.error.message;
  },
  ollama(body) {
    assert.deepEqual(Object.keys(body), ['error']);
    return body.error;
  },
  lemonade(body) {
    assert.equal(body.status, 'error');
    assert.equal(body.message, body.error.message);
    return body.message;
  },
};

/** The shape that a body has; of what is beside all endpoints, the nearest one's and OpenAI's will do. */
const shapeOf = (body) => (typeof body.error === 'string' ? 'ollama' : body.type === 'error' ? 'anthropic' : body.status === 'error' ? 'lemonade' : 'openai');

/** Ways to spoil a request; each gives { body, … } that no server may answer with success. */
function spoilers(random) {
  const below = (n) => Math.floor(random() * n);
  const one = (list) => list[below(list.length)];
  const bytesOf = (ask, model) => Buffer.from(JSON.stringify({ model, ...ask.body }));
  const cut = (ask, model) => bytesOf(ask, model).subarray(0, -1 - below(bytesOf(ask, model).length - 1));
  const with_ = (ask, model, fields) => ({ body: JSON.stringify({ model, ...ask.body, ...fields }) });
  return [
    function truncated(ask, model) { return { body: cut(ask, model) }; },
    function followed(ask, model) { return { body: Buffer.concat([bytesOf(ask, model), Buffer.from(one(['}', ',', '{}', 'x', '\u0001']))]) }; },
    function notUtf8(ask, model) { return { body: Buffer.concat([Buffer.from('{"model":"'), Buffer.from([one([0xff, 0xc0, 0xed]), 0xa0, 0x80]), Buffer.from('",'), bytesOf(ask, model).subarray(1)]) }; },
    function noise() { return { body: Buffer.from(Array.from({ length: 1 + below(300) }, () => below(256))).fill(0xfe, 0, 1) }; },
    function noObject() { return { body: one(['[]', '[{}]', '7', '"text"', 'null', 'true', '""', '-', 'nul']) }; },
    function nothing() { return { body: one(['', ' ', '\n', '\u0000']) }; },
    function deep() { return { body: `${'{"a":['.repeat(1 + below(20_000))}1` }; },
    function deepInside(ask) { return { body: `{"model":"x","messages":${'['.repeat(3000)}${']'.repeat(3000)},${JSON.stringify(ask.body).slice(1)}` }; },
    function numbers(ask, model) { return { body: `{"max_tokens":${one(['1e', '01', '+1', '.5', '0x10', 'NaN', '-Infinity', '1_000'])},${bytesOf(ask, model).subarray(1)}` }; },
    function missing(ask, model) {
      if (ask.must.length === 0) return this.truncated(ask, model);
      const named = ask.must.includes('model') || ask.dialect === 'lemonade'; // which takes either name
      return with_(ask, named ? undefined : model, { [one(ask.must)]: undefined });
    },
    function wrongKind(ask, model) {
      const [field, kind] = one(Object.entries(ask.fields));
      const known = new Set(['prompt', 'instructions', 'input']); // of these several kinds are taken
      const value = known.has(field) ? one([7, true]) : one(wrong[kind]);
      return with_(ask, field === 'model' ? value : model, { [field]: value });
    },
    function wrongModel(ask) { return with_(ask, one([7, [], {}, true, 'no-such-model', '../../etc/passwd', 'a\u0000b', 'x'.repeat(5000)]), {}); },
    function wrongMethod() { return { method: one(['GET', 'PUT', 'PATCH', 'DELETE', 'BREW']), body: undefined, status: /^40[45]$/ }; },
    function wrongPath(ask, model) { return { path: `${ask.path}${one(['/x', 'x', '%00', '/../x', '//', '%zz', '/%2e%2e/y'])}`, body: bytesOf(ask, model), status: /^40[045]$/ }; },
    function wrongForm() {
      const boundary = `b${below(1e6)}`;
      const part = one([
        '', `--${boundary}--\r\n`, `--${boundary}\r\n`, `--${boundary}\r\n\r\nx\r\n--${boundary}--\r\n`, `--other\r\ncontent-disposition: form-data; name="file"\r\n\r\nx\r\n--other--\r\n`,
        `--${boundary}\r\ncontent-disposition: form-data; name="model"\r\n\r\nm\r\n--${boundary}--\r\n`,
        `--${boundary}\r\ncontent-disposition: form-data; name="file"; filename="a.wav"\r\n\r\nRIFF\u0000\u0000`,
        `--${boundary}\r\n${'x: y\r\n'.repeat(500)}\r\n`,
      ]);
      const type = one([`multipart/form-data; boundary=${boundary}`, 'multipart/form-data', 'multipart/form-data; boundary=', `multipart/form-data; boundary=${'b'.repeat(300)}`]);
      return { path: one(FORMS), dialect: 'openai', body: part, headers: { 'content-type': type } };
    },
  ];
}

function send(url, agent, { method = 'POST', path, body, headers = {} }) {
  return new Promise((resolve, reject) => {
    const { hostname, port } = new URL(url);
    const request = http.request({ hostname, port, agent, method, path, headers: { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body ?? ''), ...headers } }, (response) => {
      const chunks = [];
      response.on('data', (chunk) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => resolve({ status: response.statusCode, text: Buffer.concat(chunks).toString() }));
    });
    request.on('error', reject);
    request.end(body);
  });
}

function facts(pid) {
  return {
    bytes: Number(/RssAnon:\s+(\d+)/.exec(fs.readFileSync(`/proc/${pid}/status`, 'utf8'))[1]) * 1024,
    files: fs.readdirSync(`/proc/${pid}/fd`).length,
  };
}

test(`${COUNT} malformed requests`, { timeout: 600_000 }, async (t) => {
  const server = await Server.start();
  t.after(() => server.stop());
  const agent = new http.Agent({ keepAlive: true, maxSockets: CLIENTS });
  const statuses = {};
  const random = randomFrom(SEED);
  const ways = spoilers(random);
  const shared = Object.fromEntries(ways.map((way) => [way.name, way]));
  const send_one = async () => {
    const ask = ASKS[Math.floor(random() * ASKS.length)];
    const way = ways[Math.floor(random() * ways.length)];
    const request = { path: ask.path, dialect: ask.dialect, status: /^4\d\d$/, ...way.call(shared, ask, server.model) };
    const shown = `${way.name}: ${request.method ?? 'POST'} ${request.path} ${String(request.body).slice(0, 300)}`;
    const { status, text } = await send(server.url, agent, request).catch((error) => assert.fail(`${shown}\n${error}`));
    statuses[status] = (statuses[status] ?? 0) + 1;
    assert.match(String(status), request.status, `${shown}\n${status} ${text}`);
    let said;
    assert.doesNotThrow(() => { 
      const body = JSON.parse(text);
      if (way.name !== 'wrongPath') assert.equal(shapeOf(body), request.dialect);
      else assert.ok(['openai', request.dialect].includes(shapeOf(body)), shapeOf(body));
      said = SHAPES[shapeOf(body)](body);
   ; }, `${shown}\n${status} ${text}`);
    assert.ok(typeof said === 'string' && said.length > 0 && said.length < 2000, `${shown}\n${said}`);
  };
  const send_many = async (count) => {
    let left = count;
    await Promise.all(Array.from({ length: CLIENTS }, async () => {
      while (left-- > 0) await send_one();
    }));
  };
  await send_many(COUNT / 5);
  const before = facts(server.child.pid);
  await send_many(COUNT - COUNT / 5);
  agent.destroy();
  await server.untilSlots((busy) => busy === 0, 1000);
  const after = facts(server.child.pid);
  t.diagnostic(JSON.stringify({ statuses, before, after }));
  assert.ok(after.bytes - before.bytes < GROWTH_BYTES_MAX, 'memory grew');
  assert.ok(after.files <= before.files + 2, 'files stay open');
  assert.equal((await server.chat('What is the sun?', { max_tokens: 2 })).usage.completion_tokens, 2);
});
