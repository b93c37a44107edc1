// Bad input: always a 4xx in OpenAI's shape, with a message that says what to do, and a server that
// goes on as if nothing had been.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import OpenAI from 'openai';

import { Server } from './server.mjs';

const BODY_BYTES_MAX = 32 << 20; // of JSON

let server;
before(async () => {
  server = await Server.start();
});
after(async () => {
  const answer = await server.chat('What is the sun?', { max_tokens: 2 });
  assert.equal(answer.usage.completion_tokens, 2, 'the server still answers');
  await server.untilSlots((busy) => busy === 0, 1000); // no slot is lost
  await server.stop();
});

function requireShape({ status, body }, expected) {
  assert.deepEqual(Object.keys(body), ['error']);
  assert.deepEqual(Object.keys(body.error), ['message', 'type', 'param', 'code']);
  assert.equal(typeof body.error.message, 'string');
  assert.equal(status, expected.status ?? 400, body.error.message);
  if ('param' in expected) assert.equal(body.error.param, expected.param);
  if ('code' in expected) assert.equal(body.error.code, expected.code);
  if (expected.message) assert.match(body.error.message, expected.message);
}

describe('as the client library sees it', () => {
  test('unknown model', async () => {
    for (const ask of [
      () => server.client.models.retrieve('no-such-model'),
      () => server.chat('hi', { model: 'no-such-model' }),
      () => server.chat('hi', { model: 'no-such-model', stream: true }),
      () => server.complete('hi', { model: 'no-such-model' }),
    ]) {
      await assert.rejects(ask, (error) => {
        assert.ok(error instanceof OpenAI.NotFoundError, error.constructor.name);
        assert.equal(error.code, 'model_not_found');
        assert.match(error.message, /no-such-model/);
        return true;
      });
    }
  });

  test('wrong fields', async () => {
    const cases = [
      [{ max_tokens: -5 }, 'max_tokens'],
      [{ max_tokens: 'many' }, 'max_tokens'],
      [{ temperature: 'hot' }, 'temperature'],
      [{ temperature: 3 }, 'temperature'],
      [{ top_p: -1 }, 'top_p'],
      [{ n: 0 }, 'n'],
      [{ n: 100000 }, 'n'],
      [{ stop: [''] }, 'stop[0]'],
      [{ stream: 'yes' }, 'stream'],
      [{ messages: 'hi' }, 'messages'],
      [{ messages: [] }, 'messages'],
      [{ messages: [{ role: 'user', content: null }] }, 'messages[0].content'],
      [{ messages: [{ role: 'user', content: [{ type: 'image_url', image_url: { url: 'data:,' } }] }] }, 'messages[0].content[0].image_url.url'],
      [{ messages: [{ role: 'user', content: [{ type: 'image_url', image_url: { url: 'data:image/png;base64,UE5H' } }] }] }, 'model'],
      [{ logit_bias: { the: 1 } }, 'logit_bias'],
      [{ top_logprobs: 2 }, 'top_logprobs'],
      [{ tool_choice: 'required' }, 'tool_choice'],
      [{ response_format: { type: 'xml' } }, 'response_format.type'],
    ];
    for (const [fields, param] of cases) {
      await assert.rejects(server.chat('hi', fields), (error) => {
        assert.ok(error instanceof OpenAI.BadRequestError, `${param}: ${error.message}`);
        assert.equal(error.param, param);
        assert.equal(error.type, 'invalid_request_error');
        return true;
      });
    }
  });

  test('a prompt longer than the context', async () => {
    const long = 'The cat sat on the mat. '.repeat(500);
    for (const ask of [() => server.chat(long), () => server.chat(long, { stream: true }), () => server.complete(long)]) {
      await assert.rejects(ask, (error) => {
        assert.ok(error instanceof OpenAI.BadRequestError, error.message);
        assert.equal(error.code, 'context_length_exceeded');
        assert.match(error.message, /1024/, 'it says how much fits');
        return true;
      });
    }
  });

  test('a token id outside the vocabulary', async () => {
    await assert.rejects(server.complete([1, 999999]), OpenAI.BadRequestError);
  });
});

describe('raw bytes', () => {
  const CHAT = '/v1/chat/completions';

  test('bodies that are not a JSON object', async () => {
    for (const body of ['', '{', '[]', 'null', 'hello', '{"model": "m",}', '['.repeat(100000), '{"temperature": NaN}', '{"temperature": 1e999}']) {
      requireShape(await server.json('POST', CHAT, body), { param: null, message: /JSON/ });
    }
  });

  test('bad UTF-8', async () => {
    for (const bytes of [[0xff], [0xc3], [0xed, 0xa0, 0x80], [0xf5, 0x80, 0x80, 0x80], [0xc0, 0xaf]]) {
      const body = Buffer.concat([
        Buffer.from(`{"model":"${server.model}","messages":[{"role":"user","content":"a`), Buffer.from(bytes), Buffer.from('"}]}')]);
      requireShape(await server.json('POST', CHAT, body), { message: /UTF-8/ });
    }
  });

  test('negative max_tokens', async () => {
    const body = JSON.stringify({ model: server.model, messages: [{ role: 'user', content: 'hi' }], max_tokens: -1 });
    requireShape(await server.json('POST', CHAT, body), { param: 'max_tokens', message: /got -1; send an integer from 1/ });
  });

  test('an object of very many fields costs no time', async () => {
    const bias = Array.from({ length: 300000 }, (_, i) => `"${i}":1`).join(',');
    const begin = performance.now();
    requireShape(await server.json('POST', CHAT, `{"model":"m","logit_bias":{${bias}}}`), { message: /fields/ });
    assert.ok(performance.now() - begin < 2000);
  });

  test('a body over the limit', async () => {
    const body = Buffer.alloc(BODY_BYTES_MAX + 1, 0x20);
    requireShape(await server.json('POST', CHAT, body), { status: 413 });
  });

  test('a large body within the limit', async () => {
    const body = JSON.stringify({ model: server.model, messages: [{ role: 'user', content: 'hi' }], max_tokens: 1, padding: 'x'.repeat(4 << 20) });
    assert.equal((await server.json('POST', CHAT, body)).status, 200);
  });

  test('unknown paths and methods', async () => {
    requireShape(await server.json('GET', '/v1/nothing'), { status: 404, code: 'unknown_url' });
    requireShape(await server.json('GET', CHAT), { status: 405 });
    requireShape(await server.json('POST', '/v1/models', '{}'), { status: 405 });
  });

  test('a hundred wrong requests at once', async () => {
    const answers = await Promise.all(Array.from({ length: 100 }, () => server.json('POST', CHAT, '{"model":')));
    for (const answer of answers) requireShape(answer, { status: 400 });
  });
});
