// Models that do not load: no fault of the request, so a 5xx in the shape of its API, with the reason.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { LaneBox } from './lane_box.mjs';
import { gguf } from './small_files.mjs';

const MODEL = fileURLToPath(new URL('../../models/trilane-nano/trilane-nano-tq2_0.gguf', import.meta.url));

/** The bundled model, with one of its tensors under another name. */
function withoutTensor(name) {
  const bytes = fs.readFileSync(MODEL);
  const at = bytes.indexOf(name);
  assert.ok(at > 0);
  bytes.write('X', at);
  return bytes;
}

const messages = [{ role: 'user', content: 'hi' }];
const ASKS = [
  ['/v1/chat/completions', { messages }],
  ['/v1/chat/completions', { messages, stream: true }],
  ['/v1/completions', { prompt: 'x' }],
  ['/v1/responses', { input: 'x' }],
  ['/v1/messages', { messages, max_tokens: 8 }],
  ['/api/chat', { messages }],
  ['/api/generate', { prompt: 'x', stream: false }],
];

const messageOf = ({ error }) => (typeof error === 'string' ? error : error.message);

describe('in the engine of this process', () => {
  let box;
  before(async () => {
    box = await LaneBox.start({
      models: ['good'],
      files: {
        'lacking.gguf': withoutTensor('output_norm.weight'),
        'bge-m3.gguf': gguf('bert', { 'tokenizer.ggml.model': 't5' }),
      },
      lanes: {},
      config: '[lane.cpu]\nkind = "native"\n',
    });
  });
  after(() => box.stop());

  for (const [target, body] of ASKS) {
    test(`a file that lacks a tensor: ${target}${body.stream ? ', streamed' : ''}`, async () => {
      const answer = await box.keeper.ask('POST', target, { model: 'lacking', ...body });
      assert.equal(answer.status, 500, JSON.stringify(answer.body));
      assert.match(messageOf(answer.body), /output_norm\.weight/);
      if (target === '/v1/messages') assert.equal(answer.body.error.type, 'api_error');
      if (target.startsWith('/v1/chat')) assert.equal(answer.body.error.type, 'server_error');
    });
  }

  test('a vocabulary that is not read is told of, with what runs the model', async () => {
    const answer = await box.keeper.ask('POST', '/v1/embeddings', { model: 'bge-m3', input: 'x' });
    assert.equal(answer.status, 500, JSON.stringify(answer.body));
    assert.match(messageOf(answer.body), /XLM-RoBERTa.*llama-server lane/);
  });

  test('as is a load by hand', async () => {
    const answer = await box.load('lacking');
    assert.equal(answer.status, 500, JSON.stringify(answer.body));
  });

  test('a wrong request stays one', async () => {
    assert.equal((await box.chat('good', 'x', { temperature: 9 })).status, 400);
    assert.equal((await box.chat('lacking', 'x', { temperature: 9 })).status, 400);
    assert.equal((await box.load('good', { context_tokens: -1 })).status, 400);
    assert.equal((await box.chat('nobody')).status, 404);
    assert.equal((await box.chat('good', 'hi', { max_tokens: 2 })).status, 200);
  });
});

describe('what may work later', () => {
  test('a child that ends, and no room', async () => {
    const box = await LaneBox.start({
      models: ['a', 'b'],
      lanes: { gpu: { engine: 'llama-server', script: { by_model: { 'b.gguf': { fail_load: 'no device' } } }, config: 'residents_max = 1' } },
    });
    try {
      for (const [target, body] of ASKS) {
        const answer = await box.keeper.ask('POST', target, { model: 'b', ...body });
        assert.equal(answer.status, 503, JSON.stringify(answer.body));
        assert.match(messageOf(answer.body), /no device/);
      }
      assert.equal((await box.load('a', { pin: true })).status, 200);
      const answer = await box.chat('b');
      assert.equal(answer.status, 503, JSON.stringify(answer.body));
    } finally {
      await box.stop();
    }
  });
});
