// LangChain's client for OpenAI against the real server: chats, streams, and the responses API.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { AIMessage, HumanMessage, SystemMessage } from '@langchain/core/messages';
import { ChatOpenAI } from '@langchain/openai';
import { z } from 'zod';

import { Server } from './server.mjs';

const STORY = 'Tell me a short story about a dog and a red ball.';

let server;
before(async () => {
  server = await Server.start();
});
after(() => server.stop());

const model = (fields = {}) => new ChatOpenAI({
  model: server.model, apiKey: 'none', temperature: 0, maxTokens: 24, maxRetries: 0,
  configuration: { baseURL: `${server.url}/v1` }, ...fields });

test('invokes', async () => {
  const chat = await server.chat(STORY, { max_tokens: 24 });
  const answer = await model().invoke(STORY);
  assert.equal(answer.content, chat.choices[0].message.content);
  assert.equal(answer.usage_metadata.output_tokens, 24);
  assert.equal(answer.response_metadata.finish_reason, 'length');
});

test('streams', async () => {
  const whole = await model().invoke(STORY);
  let text = '';
  let chunks = 0;
  for await (const chunk of await model().stream(STORY)) {
    text += chunk.content;
    chunks += 1;
  }
  assert.ok(chunks > 3);
  assert.equal(text, whole.content);
});

test('keeps turns', async () => {
  const answer = await model().invoke([
    new SystemMessage('You are kind.'), new HumanMessage(STORY), new AIMessage('Once there was a dog.'),
    new HumanMessage('What is the sun?')]);
  const chat = await server.chat([
    { role: 'system', content: 'You are kind.' }, { role: 'user', content: STORY },
    { role: 'assistant', content: 'Once there was a dog.' }, { role: 'user', content: 'What is the sun?' },
  ], { max_tokens: 24 });
  assert.equal(answer.content, chat.choices[0].message.content);
});

test('gives an object of a schema', async () => {
  const schema = z.object({ colour: z.enum(['red', 'blue']), big: z.boolean() });
  const object = await model({ maxTokens: 64 }).withStructuredOutput(schema, { name: 'ball', method: 'jsonSchema' })
    .invoke('What colour is the ball?');
  schema.parse(object);
});

test('speaks the responses API', async () => {
  const chat = await server.chat(STORY, { max_tokens: 24 });
  const answer = await model({ useResponsesApi: true }).invoke(STORY);
  assert.equal(answer.text, chat.choices[0].message.content);
  let text = '';
  for await (const chunk of await model({ useResponsesApi: true }).stream(STORY)) text += chunk.text;
  assert.equal(text, answer.text);
});
