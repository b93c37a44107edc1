// Anthropic's API: the official client, the AI SDK's and LangChain's, and requests as Claude Code
// sends them, against scripted engines and the bundled model.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { createAnthropic } from '@ai-sdk/anthropic';
import Anthropic from '@anthropic-ai/sdk';
import { ChatAnthropic } from '@langchain/anthropic';
import { HumanMessage, SystemMessage, ToolMessage } from '@langchain/core/messages';
import { generateText, stepCountIs, streamText, tool } from 'ai';
import { z } from 'zod';

import * as claudeCode from './claude_code_request.mjs';
import { LaneBox } from './lane_box.mjs';
import { Server } from './server.mjs';

const ADD = { name: 'add', description: 'Adds.', input_schema: { type: 'object', properties: { id: { type: 'string' }, call: { type: 'integer' } } } };
const LONG = 'SLOWLY [[tokens:4000]]';
const FREE_MS_MAX = 1000;

const texts = (message) => message.content.filter((block) => block.type === 'text').map((block) => block.text).join('');

/** Server-sent events as [name, data], strictly. */
function framesOf(body) {
  assert.ok(body.endsWith('\n\n'));
  return body.slice(0, -2).split('\n\n').map((frame) => {
    const match = /^event: (\w+)\ndata: (.*)$/.exec(frame);
    assert.ok(match, frame);
    const data = JSON.parse(match[2]);
    assert.equal(data.type, match[1]);
    return data;
  });
}

/** Requires the order of events that the API promises. */
function checkOrder(frames) {
  const names = frames.map((frame) => frame.type).filter((name) => name !== 'ping');
  assert.equal(names[0], 'message_start');
  assert.deepEqual(names.slice(-2), ['message_delta', 'message_stop']);
  let open = -1;
  let next = 0;
  for (const frame of frames.filter((one) => one.type.startsWith('content_block'))) {
    if (frame.type === 'content_block_start') {
      assert.deepEqual([open, frame.index], [-1, next]);
      open = next++;
    } else {
      assert.equal(frame.index, open);
      if (frame.type === 'content_block_stop') open = -1;
    }
  }
  assert.equal(open, -1);
}

describe('scripted engines', () => {
  let box;
  let client;
  before(async () => {
    box = await LaneBox.start({
      lanes: { gpu: { engine: 'llama-server', script: { prompt_tokens: 40, cached_tokens: 30, rules: [{ body_has: 'SLOWLY', decode_tps: 50 }] } } },
      models: ['a', 'b'],
      config: '[model.a]\naliases = ["claude-opus-5-5", "claude-haiku-4-5-20251001"]',
    });
    client = new Anthropic({ baseURL: box.url, apiKey: 'any', maxRetries: 0 });
  });
  after(() => box.stop());

  const ask = (content, fields = {}, options = {}) =>
    client.messages.create({ model: 'a', max_tokens: 64, messages: [{ role: 'user', content }], ...fields }, options);

  test('a message', async () => {
    const { data: message, request_id, response } = await ask('[[id:x]] hi', { max_tokens: 3 }).withResponse();
    assert.match(message.id, /^msg_/);
    assert.equal(message.type, 'message');
    assert.equal(message.role, 'assistant');
    assert.equal(message.model, 'a');
    assert.equal(texts(message), 'x.0 x.1 x.2');
    assert.equal(message.stop_reason, 'max_tokens');
    assert.equal(message.stop_sequence, null);
    assert.deepEqual(
      [message.usage.input_tokens, message.usage.cache_read_input_tokens, message.usage.cache_creation_input_tokens, message.usage.output_tokens],
      [10, 30, 0, 3]);
    assert.ok(request_id);
    assert.equal(response.headers.get('request-id'), request_id);
  });

  test('a stream, by events and by the helper', async () => {
    const { bytes, headers } = await rawAsk({ model: 'a', max_tokens: 4, stream: true, messages: [{ role: 'user', content: '[[id:s]]' }] });
    assert.match(headers['content-type'], /^text\/event-stream/);
    const frames = framesOf(bytes.toString());
    checkOrder(frames);
    const deltas = frames.filter((frame) => frame.delta?.type === 'text_delta');
    assert.equal(deltas.map((frame) => frame.delta.text).join(''), 's.0 s.1 s.2 s.3');
    const last = frames.find((frame) => frame.type === 'message_delta');
    assert.equal(last.delta.stop_reason, 'max_tokens');
    assert.deepEqual([last.usage.input_tokens, last.usage.cache_read_input_tokens, last.usage.output_tokens], [10, 30, 4]);

    const stream = client.messages.stream({ model: 'a', max_tokens: 64, messages: [{ role: 'user', content: '[[id:h]][[tokens:5]]' }] });
    const heard = [];
    stream.on('text', (piece) => heard.push(piece));
    const message = await stream.finalMessage();
    assert.equal(heard.join(''), 'h.0 h.1 h.2 h.3 h.4');
    assert.equal(texts(message), heard.join(''));
    assert.equal(message.stop_reason, 'end_turn');
  });

  const rawAsk = async (body, headers = {}) => {
    const response = await fetch(`${box.url}/v1/messages`, {
      method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body: JSON.stringify(body),
    });
    return { status: response.status, headers: Object.fromEntries(response.headers), bytes: Buffer.from(await response.arrayBuffer()) };
  };

  test('thinking only where it was asked for', async () => {
    assert.deepEqual((await ask('[[think]]')).content.map((block) => block.type), ['text']);
    const shown = await ask('[[think]]', { thinking: { type: 'enabled', budget_tokens: 1024 } });
    assert.deepEqual(shown.content.map((block) => block.type), ['thinking', 'text']);
    assert.ok(shown.content[0].thinking.length > 0);
    const sealed = await ask('[[think]]', { thinking: { type: 'adaptive', display: 'omitted' } });
    assert.equal(sealed.content[0].thinking, '');
    assert.ok(sealed.content[0].signature.length > 0);
    const streamed = await client.messages.stream({
      model: 'a', max_tokens: 64, thinking: { type: 'adaptive' }, messages: [{ role: 'user', content: '[[think]]' }],
    }).finalMessage();
    assert.deepEqual(streamed.content, shown.content);
    const again = await ask('x', { messages: [
      { role: 'user', content: 'x' }, { role: 'assistant', content: sealed.content }, { role: 'user', content: 'y' }] });
    assert.equal(again.stop_reason, 'end_turn');
  });

  for (const stream of [false, true]) {
    test(`a loop of tools, ${stream ? 'streamed' : 'whole'}`, async () => {
      const messages = [{ role: 'user', content: '[[tool:2]][[id:t]]' }];
      const turn = () => {
        const body = { model: 'a', max_tokens: 64, tools: [ADD], messages };
        return stream ? client.messages.stream(body).finalMessage() : client.messages.create(body);
      };
      const first = await turn();
      assert.equal(first.stop_reason, 'tool_use');
      const calls = first.content.filter((block) => block.type === 'tool_use');
      assert.deepEqual(calls.map((call) => [call.name, call.input]), [['add', { id: 't', call: 0 }], ['add', { id: 't', call: 1 }]]);
      assert.notEqual(calls[0].id, calls[1].id);
      messages.push({ role: 'assistant', content: first.content });
      messages.push({ role: 'user', content: [
        { type: 'tool_result', tool_use_id: calls[0].id, content: '1' },
        { type: 'tool_result', tool_use_id: calls[1].id, content: [{ type: 'text', text: 'failed' }], is_error: true }] });
      const second = await turn();
      assert.equal(second.stop_reason, 'end_turn');
      assert.match(texts(second), /^t\.0 t\.1/);
    });
  }

  test('the tool runner of the client', async () => {
    const seen = [];
    const runner = client.beta.messages.toolRunner({
      model: 'a', max_tokens: 64, messages: [{ role: 'user', content: '[[tool]][[id:r]]' }],
      tools: [{ ...ADD, run: (input) => { seen.push(input); return 'three'; }, parse: (input) => input }],
    });
    const last = await runner.runUntilDone();
    assert.deepEqual(seen, [{ id: 'r', call: 0 }]);
    assert.match(texts(last), /^r\.0/);
  });

  test('a system prompt of blocks, system turns and cache_control', async () => {
    const message = await ask([{ type: 'text', text: '[[id:b]][[tokens:2]]', cache_control: { type: 'ephemeral' } }], {
      system: [{ type: 'text', text: 'A', cache_control: { type: 'ephemeral' } }, { type: 'text', text: 'B' }],
      metadata: { user_id: 'u' }, service_tier: 'auto',
    });
    assert.equal(texts(message), 'b.0 b.1');
  });

  test('errors', async () => {
    await assert.rejects(ask('x', { model: 'claude-nobody' }), (error) => {
      assert.ok(error instanceof Anthropic.NotFoundError);
      assert.equal(error.type, 'not_found_error');
      assert.match(error.message, /claude-nobody/);
      assert.match(error.message, /aliases = \[\\"claude-nobody\\"\]|aliases = \["claude-nobody"\]/);
      assert.equal(error.error.request_id, error.requestID);
      return true;
    });
    await assert.rejects(ask('x', { max_tokens: 0 }), (error) =>
      error instanceof Anthropic.BadRequestError && error.type === 'invalid_request_error' && /max_tokens: got 0/.test(error.message));
    await assert.rejects(ask('x', { tools: [{ type: 'web_search_20250305', name: 'web_search' }] }), (error) =>
      error instanceof Anthropic.BadRequestError && /tools\[0\]\.type/.test(error.message));
    const { status, bytes } = await rawAsk('x');
    assert.equal(status, 400);
    assert.equal(JSON.parse(bytes).error.type, 'invalid_request_error');
  });

  test('errors of an engine, at once and on the way', async () => {
    box.script('gpu', { error_status: 500, error_message: 'out of memory' });
    await box.keeper.ask('POST', '/trilane/v1/unload', { model: 'b' });
    box.script('gpu', { prompt_tokens: 40, cached_tokens: 30, rules: [
      { body_has: 'GO WRONG', error_status: 500, error_message: 'out of memory' },
      { body_has: 'BREAK OFF', tokens: 50, stream_end: 'reset' }] });
    await assert.rejects(ask('GO WRONG', { model: 'b' }), (error) =>
      error.status >= 500 && ['api_error', 'overloaded_error'].includes(error.type));
    const stream = await client.messages.create(
      { model: 'b', max_tokens: 64, stream: true, messages: [{ role: 'user', content: 'BREAK OFF' }] });
    const seen = [];
    await assert.rejects(async () => {
      for await (const event of stream) seen.push(event.type);
    }, (error) => error instanceof Anthropic.APIError && /_error$/.test(error.type));
    assert.ok(seen.includes('content_block_delta'));
    assert.ok(!seen.includes('message_stop'));
  });

  for (const stream of [true, false]) {
    test(`a client that leaves frees the slot, ${stream ? 'streaming' : 'not streaming'}`, async () => {
      await ask('x');
      const slots = async () => (await box.state()).lanes[0].models.find((m) => m.model === 'a').slots_busy;
      const abort = new AbortController();
      const running = ask(LONG, { stream, max_tokens: 4000 }, { signal: abort.signal });
      const drained = running.then(async (answer) => {
        if (stream) for await (const event of answer) void event;
      }).catch(() => {});
      await box.until(slots, (busy) => busy === 1);
      abort.abort();
      const ms = await box.until(slots, (busy) => busy === 0);
      await drained;
      assert.ok(ms <= FREE_MS_MAX, `${ms.toFixed(0)} ms`);
    });
  }

  test('models in both shapes', async () => {
    const page = await client.models.list({ limit: 1 });
    assert.deepEqual([page.data.length, page.has_more], [1, true]);
    const all = [];
    for await (const model of client.models.list({ limit: 1 })) all.push(model.id);
    assert.deepEqual(all, (await box.client.models.list()).data.map((model) => model.id));
    assert.ok(all.includes('a') && all.includes('b'));
    const one = await client.models.retrieve('a');
    assert.deepEqual([one.type, one.id], ['model', 'a']);
    assert.ok(!Number.isNaN(Date.parse(one.created_at)));
    assert.equal((await client.models.retrieve('claude-opus-5-5')).id, 'a');
    await assert.rejects(client.models.retrieve('nobody'), Anthropic.NotFoundError);
    assert.equal((await box.client.models.retrieve('a')).object, 'model');
  });

  describe('as Claude Code asks', () => {
    const post = (body) => fetch(`${box.url}/v1/messages?beta=true`,
      { method: 'POST', headers: claudeCode.HEADERS, body: JSON.stringify(body) });

    test('the first turn, under the name of a vendor\'s model', async () => {
      const response = await post(claudeCode.request('claude-opus-5-5', '[[think]][[id:cc]][[tokens:3]] hello'));
      const body = await response.text();
      assert.equal(response.status, 200, body);
      const frames = framesOf(body);
      checkOrder(frames);
      assert.equal(frames[0].message.model, 'a');
      const blocks = frames.filter((frame) => frame.type === 'content_block_start').map((frame) => frame.content_block.type);
      assert.deepEqual(blocks, ['thinking', 'text']);
      assert.ok(!frames.some((frame) => frame.delta?.type === 'thinking_delta'), 'it asked for no text of it');
    });

    test('a tool, its result, and a reminder of the system behind it', async () => {
      const first = framesOf(await (await post(claudeCode.request('claude-opus-5-5', '[[tool]][[id:cc]]'))).text());
      checkOrder(first);
      const call = first.find((frame) => frame.content_block?.type === 'tool_use').content_block;
      assert.equal(call.name, 'Agent');
      const input = first.filter((frame) => frame.delta?.type === 'input_json_delta').map((frame) => frame.delta.partial_json).join('');
      assert.deepEqual(JSON.parse(input), { id: 'cc', call: 0 });
      assert.equal(first.find((frame) => frame.type === 'message_delta').delta.stop_reason, 'tool_use');
      const second = framesOf(await (await post(claudeCode.request('claude-opus-5-5', '[[tool]][[id:cc]]', [
        { role: 'assistant', content: [{ type: 'thinking', thinking: '', signature: 'trilane-aG0=' }, { ...call, input: JSON.parse(input) }] },
        { role: 'user', content: [{ tool_use_id: call.id, type: 'tool_result', content: 'done', cache_control: { type: 'ephemeral' } }] },
      ]))).text());
      checkOrder(second);
      assert.equal(second.find((frame) => frame.type === 'message_delta').delta.stop_reason, 'end_turn');
    });
  });

  describe('the AI SDK', () => {
    const model = () => createAnthropic({ baseURL: `${box.url}/v1`, apiKey: 'any' })('a');

    test('text, whole and streamed', async () => {
      const whole = await generateText({ model: model(), prompt: '[[id:v]][[tokens:3]]', system: 'Be brief.', maxRetries: 0 });
      assert.equal(whole.text, 'v.0 v.1 v.2');
      assert.equal(whole.finishReason, 'stop');
      assert.equal(whole.usage.inputTokens, 40);
      assert.equal(whole.usage.cachedInputTokens, 30);
      const stream = streamText({ model: model(), prompt: '[[id:v]][[tokens:3]]', maxRetries: 0 });
      let text = '';
      for await (const piece of stream.textStream) text += piece;
      assert.equal(text, 'v.0 v.1 v.2');
      assert.equal(await stream.finishReason, 'stop');
    });

    test('reasoning and a loop of tools', async () => {
      const seen = [];
      const tools = {
        add: tool({ description: 'Adds.', inputSchema: z.object({ id: z.string(), call: z.number() }),
                    execute: async (input) => { seen.push(input); return 3; } }),
      };
      const options = { model: model(), tools, stopWhen: stepCountIs(3), prompt: '[[think]][[tool]][[id:w]]', maxRetries: 0,
                        providerOptions: { anthropic: { thinking: { type: 'enabled', budgetTokens: 1024 } } } };
      const whole = await generateText(options);
      assert.equal(whole.steps.length, 2);
      assert.match(whole.text, /^w\.0/);
      const stream = streamText(options);
      assert.match(await stream.text, /^w\.0/);
      assert.ok((await stream.reasoningText)?.length > 0);
      assert.deepEqual(seen, [{ id: 'w', call: 0 }, { id: 'w', call: 0 }]);
    });
  });

  describe('LangChain', () => {
    const chat = (fields = {}) => new ChatAnthropic({
      model: 'a', apiKey: 'any', anthropicApiUrl: box.url, maxRetries: 0, maxTokens: 64, ...fields });

    test('text, whole and streamed', async () => {
      const whole = await chat().invoke([new SystemMessage('Be brief.'), new HumanMessage('[[id:l]][[tokens:3]]')]);
      assert.equal(whole.text, 'l.0 l.1 l.2');
      assert.equal(whole.usage_metadata.input_tokens, 40);
      let text = '';
      for await (const piece of await chat().stream('[[id:l]][[tokens:3]]')) text += piece.text;
      assert.equal(text, 'l.0 l.1 l.2');
    });

    test('tools', async () => {
      const bound = chat().bindTools([ADD]);
      const question = new HumanMessage('[[tool]][[id:m]]');
      const first = await bound.invoke([question]);
      assert.deepEqual(first.tool_calls.map((call) => call.args), [{ id: 'm', call: 0 }]);
      const second = await bound.invoke([question, first, new ToolMessage({ content: '3', tool_call_id: first.tool_calls[0].id })]);
      assert.match(second.text, /^m\.0/);
    });
  });
});

describe('keys', () => {
  test('either header opens', async () => {
    const box = await LaneBox.start({ lanes: { gpu: { engine: 'llama-server' } }, models: ['a'], options: ['--api-key', 'secret'] });
    try {
      const body = { model: 'a', max_tokens: 2, messages: [{ role: 'user', content: 'Hi' }] };
      const bearer = new Anthropic({ baseURL: box.url, apiKey: 'secret', maxRetries: 0 });
      assert.equal((await bearer.messages.create(body)).type, 'message');
      const post = (headers) => fetch(`${box.url}/v1/messages`, {
        method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body: JSON.stringify(body) });
      assert.equal((await post({ 'x-api-key': 'secret' })).status, 200);
      const refused = await post({ 'x-api-key': 'wrong' });
      assert.equal(refused.status, 401);
      const error = await refused.json();
      assert.deepEqual([error.type, error.error.type, error.request_id], ['error', 'authentication_error', refused.headers.get('request-id')]);
      await assert.rejects(new Anthropic({ baseURL: box.url, apiKey: 'wrong', maxRetries: 0 }).messages.create(body),
        Anthropic.AuthenticationError);
    } finally {
      await box.stop();
    }
  });
});

describe('the bundled model', () => {
  const STORY = 'Tell me a short story about a dog and a red ball.';
  const STORY_BEGINS = 'Once upon a time, there was a little girl named Lily.';
  let server;
  let client;
  before(async () => {
    server = await Server.start();
    client = new Anthropic({ baseURL: server.url, apiKey: 'any', maxRetries: 0 });
  });
  after(() => server.stop());

  const ask = (messages, fields = {}) => client.messages.create({
    model: server.model, max_tokens: 32, temperature: 0,
    messages: typeof messages === 'string' ? [{ role: 'user', content: messages }] : messages, ...fields });

  test('says what it says through the other API', async () => {
    const message = await ask(STORY);
    assert.ok(texts(message).startsWith(STORY_BEGINS), texts(message));
    assert.equal(texts(message), (await server.chat(STORY)).choices[0].message.content);
    assert.equal(message.stop_reason, 'max_tokens');
    assert.equal(message.usage.output_tokens, 32);
    const streamed = await client.messages.stream({
      model: server.model, max_tokens: 32, temperature: 0, messages: [{ role: 'user', content: STORY }] }).finalMessage();
    assert.equal(texts(streamed), texts(message));
  });

  test('what was cached is counted apart', async () => {
    const [first, second] = [await ask('Where does the old fox live?'), await ask('Where does the old fox live?')];
    const all = (usage) => usage.input_tokens + usage.cache_read_input_tokens + usage.cache_creation_input_tokens;
    assert.equal(all(first.usage), all(second.usage));
    assert.ok(second.usage.cache_read_input_tokens > 0);
    assert.ok(second.usage.input_tokens < first.usage.input_tokens + first.usage.cache_read_input_tokens);
  });

  test('a system prompt is read, as text and as blocks', async () => {
    const user = 'What is the sun?';
    const plain = await ask(user, { max_tokens: 8 });
    const all = (message) => message.usage.input_tokens + message.usage.cache_read_input_tokens;
    const text = await ask(user, { max_tokens: 8, system: 'You tell stories about the sea.' });
    const blocks = await ask(user, { max_tokens: 8, system: [
      { type: 'text', text: 'You tell stories about the sea.', cache_control: { type: 'ephemeral' } }] });
    assert.ok(all(text) > all(plain) + 4);
    assert.equal(all(text), all(blocks));
    assert.equal(texts(text), texts(blocks));
  });

  test('stop sequences', async () => {
    const message = await ask(STORY, { stop_sequences: ['never', ' named'] });
    assert.equal(texts(message), 'Once upon a time, there was a little girl');
    assert.deepEqual([message.stop_reason, message.stop_sequence], ['stop_sequence', ' named']);
    const streamed = await client.messages.stream({
      model: server.model, max_tokens: 32, temperature: 0, stop_sequences: [' named'],
      messages: [{ role: 'user', content: STORY }] }).finalMessage();
    assert.deepEqual([streamed.stop_reason, streamed.stop_sequence], ['stop_sequence', ' named']);
  });

  test('prefill is continued', async () => {
    const message = await ask([{ role: 'user', content: STORY }, { role: 'assistant', content: 'Once upon a time, there was' }], { max_tokens: 8 });
    assert.ok(STORY_BEGINS.startsWith(`Once upon a time, there was${texts(message)}`) ||
      `Once upon a time, there was${texts(message)}`.startsWith(STORY_BEGINS), texts(message));
  });

  test('tokens are counted as they are used', async () => {
    const messages = [{ role: 'user', content: STORY }];
    const { input_tokens } = await client.messages.countTokens({ model: server.model, messages, system: 'Be brief.' });
    const { usage } = await ask(messages, { system: 'Be brief.', max_tokens: 1 });
    assert.equal(input_tokens, usage.input_tokens + usage.cache_read_input_tokens);
  });

  test('a prompt that the context cannot hold is too long', async () => {
    await assert.rejects(ask('word '.repeat(20_000)), (error) =>
      error instanceof Anthropic.BadRequestError && /prompt is too long/.test(error.message));
  });
});
