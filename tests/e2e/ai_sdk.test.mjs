// The AI SDK with its provider for servers that speak OpenAI's API, against the real server.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { generateObject, generateText, streamText } from 'ai';
import { z } from 'zod';

import { Server } from './server.mjs';

const STORY = 'Tell me a short story about a dog and a red ball.';

let server;
let model;
before(async () => {
  server = await Server.start();
  const provider = createOpenAICompatible(
    { name: 'trilane', baseURL: `${server.url}/v1`, apiKey: 'none', includeUsage: true, supportsStructuredOutputs: true });
  model = provider(server.model);
});
after(() => server.stop());

const asked = () => ({ model, prompt: STORY, temperature: 0, maxOutputTokens: 24, maxRetries: 0 });

test('generates', async () => {
  const chat = await server.chat(STORY, { max_tokens: 24 });
  const answer = await generateText(asked());
  assert.equal(answer.text, chat.choices[0].message.content);
  assert.equal(answer.finishReason, 'length');
  assert.equal(answer.usage.inputTokens, chat.usage.prompt_tokens);
  assert.equal(answer.usage.outputTokens, 24);
});

test('streams', async () => {
  const whole = await generateText(asked());
  const stream = streamText(asked());
  const pieces = [];
  for await (const piece of stream.textStream) pieces.push(piece);
  assert.ok(pieces.length > 3);
  assert.equal(pieces.join(''), whole.text);
  assert.equal(await stream.finishReason, 'length');
  assert.equal((await stream.usage).outputTokens, 24);
});

test('keeps a system prompt and turns', async () => {
  const messages = [
    { role: 'user', content: STORY },
    { role: 'assistant', content: 'Once there was a dog.' },
    { role: 'user', content: [{ type: 'text', text: 'What is the sun?' }] },
  ];
  const answer = await generateText({ ...asked(), prompt: undefined, system: 'You are kind.', messages });
  const chat = await server.chat([
    { role: 'system', content: 'You are kind.' }, ...messages.slice(0, 2), { role: 'user', content: 'What is the sun?' },
  ], { max_tokens: 24 });
  assert.equal(answer.text, chat.choices[0].message.content);
});

test('gives an object of a schema', async () => {
  const schema = z.object({ colour: z.enum(['red', 'blue']), big: z.boolean() });
  const { object } = await generateObject({ ...asked(), maxOutputTokens: 64, schema });
  schema.parse(object);
});

test('shows an error as it was said', async () => {
  await assert.rejects(generateText({ ...asked(), temperature: 3 }), (error) => {
    assert.equal(error.statusCode, 400);
    assert.match(error.message, /temperature/);
    return true;
  });
});
