// Answers that must have a shape, and tokens of texts: the official client against the real engine.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { Server } from './server.mjs';

const ASK = 'What colour is the ball?';
const SCHEMA = {
  type: 'object',
  properties: { colour: { enum: ['red', 'blue', 'green'] }, big: { type: 'boolean' } },
  required: ['colour', 'big'],
  additionalProperties: false,
};

let server;
before(async () => {
  server = await Server.start();
});
after(() => server.stop());

function fits(text) {
  const { colour, big, ...rest } = JSON.parse(text);
  assert.ok(SCHEMA.properties.colour.enum.includes(colour), text);
  assert.equal(typeof big, 'boolean', text);
  assert.deepEqual(rest, {});
}

const text = async (fields) => (await server.chat(ASK, { max_tokens: 64, ...fields })).choices[0].message.content;

test('a JSON schema of a chat', async () => {
  fits(await text({ response_format: { type: 'json_schema', json_schema: { name: 'ball', schema: SCHEMA, strict: true } } }));
  fits(await text({ guided_json: SCHEMA }));
  fits(await text({ structured_outputs: { json: SCHEMA } }));
});

test('a JSON schema of a response', async () => {
  const response = await server.client.responses.create({
    model: server.model, input: ASK, max_output_tokens: 64, temperature: 0,
    text: { format: { type: 'json_schema', name: 'ball', schema: SCHEMA, strict: true } } });
  assert.equal(response.status, 'completed');
  fits(response.output_text);
});

test('a choice, an expression and a grammar', async () => {
  assert.match(await text({ guided_choice: ['red', 'blue'] }), /^(red|blue)$/);
  assert.match(await text({ guided_regex: '[0-9]{3}-[a-f]{2}' }), /^[0-9]{3}-[a-f]{2}$/);
  assert.match(await text({ grammar: 'root ::= "yes" | "no"' }), /^(yes|no)$/);
});

test('two shapes at once are refused by name', async () => {
  await assert.rejects(text({ guided_choice: ['a'], grammar: 'root ::= "b"' }), (error) => {
    assert.equal(error.status, 400);
    assert.match(error.param, /guided_choice|grammar/);
    return true;
  });
});

test('texts become tokens and texts again', async () => {
  const words = 'Once upon a time, ä';
  const { body: tokens } = await server.json('POST', '/tokenize', JSON.stringify({ content: words, with_pieces: true }));
  assert.ok(tokens.tokens.length > 3);
  const bytes = tokens.tokens.flatMap(({ piece }) => (typeof piece === 'string' ? [...Buffer.from(piece)] : piece));
  assert.equal(Buffer.from(bytes).toString(), words);
  const ids = tokens.tokens.map(({ id }) => id);
  const { body: text } = await server.json('POST', '/detokenize', JSON.stringify({ model: server.model, tokens: ids }));
  assert.equal(text.content, words);
  const { body: vllm } = await server.json('POST', '/v1/tokenize', JSON.stringify(
    { model: server.model, prompt: words, add_special_tokens: false }));
  assert.deepEqual(vllm.tokens, ids);
  assert.equal(vllm.count, ids.length);
});
