// The official client against the real server and model: models, chats, completions.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';

import { Server, collect } from './server.mjs';

const STORY = 'Tell me a short story about a dog and a red ball.';
// Greedy continuations that stand far from any tie; see models/trilane-nano/golden.json.
const STORY_BEGINS = 'Once upon a time, there was a little girl named Lily.';
const GOLDEN = JSON.parse(
  readFileSync(new URL('../../models/trilane-nano/golden.json', import.meta.url)));
const ID_COMMA = 17;
const ID_THERE = 458;
const [ID_BYTE_C3, ID_BYTE_A4] = [133, 103]; // together "ä"

let server;
before(async () => {
  server = await Server.start();
});
after(() => server.stop());

describe('models', () => {
  test('list and retrieve', async () => {
    await server.chat('Hello', { max_tokens: 1 }); // what is said of a model changes as it is loaded
    const models = (await server.client.models.list()).data;
    assert.ok(models.length >= 1);
    assert.equal(models[0].object, 'model');
    assert.ok(Number.isInteger(models[0].created));
    const { recipe_options: options, ...one } = await server.client.models.retrieve(models[0].id);
    assert.deepEqual(one, models[0]);
    assert.equal(options.ctx_size, models[0].context_length); // Lemonade's, of one model alone
  });
});

describe('chat', () => {
  test('says what the reference says', async () => {
    const answer = await server.chat(STORY);
    assert.equal(answer.object, 'chat.completion');
    assert.match(answer.id, /^chatcmpl-/);
    assert.equal(answer.model, server.model);
    assert.equal(answer.choices.length, 1);
    assert.equal(answer.choices[0].message.role, 'assistant');
    assert.ok(answer.choices[0].message.content.startsWith(STORY_BEGINS), answer.choices[0].message.content);
  });

  test('ends by itself', async () => {
    const answer = await server.chat('Write a sentence with the words cat, tree and rain.', { max_tokens: 100 });
    assert.equal(answer.choices[0].finish_reason, 'stop');
    assert.ok(answer.usage.completion_tokens < 100);
    assert.doesNotMatch(answer.choices[0].message.content, /<\|/);
  });

  test('streams what it would send whole', async () => {
    const whole = await server.chat(STORY, { max_tokens: 48 });
    const { chunks, text, finish } = await collect(await server.chat(STORY, { max_tokens: 48, stream: true }));
    assert.equal(text, whole.choices[0].message.content);
    assert.deepEqual(finish, ['length']);
    assert.equal(chunks[0].choices[0].delta.role, 'assistant');
    assert.ok(chunks.length > 10, 'it comes in pieces');
    assert.equal(new Set(chunks.map((chunk) => chunk.id)).size, 1);
    assert.ok(chunks.every((chunk) => chunk.object === 'chat.completion.chunk' && chunk.usage === undefined));
  });

  test('helper of the client library for streams', async () => {
    const runner = server.client.chat.completions.stream(
      { model: server.model, messages: [{ role: 'user', content: STORY }], temperature: 0, max_tokens: 16 });
    const answer = await runner.finalChatCompletion();
    assert.ok(STORY_BEGINS.startsWith(answer.choices[0].message.content.slice(0, 40)));
    assert.equal(answer.choices[0].finish_reason, 'length');
  });

  test('reads the system prompt', async () => {
    const user = { role: 'user', content: 'What is the sun?' };
    const plain = await server.chat([user]);
    const system = await server.chat([{ role: 'system', content: 'You tell stories about the sea.' }, user]);
    const developer = await server.chat([{ role: 'developer', content: 'You tell stories about the sea.' }, user]);
    assert.ok(system.usage.prompt_tokens > plain.usage.prompt_tokens + 4);
    assert.equal(system.usage.prompt_tokens, developer.usage.prompt_tokens);
    assert.equal(system.choices[0].message.content, developer.choices[0].message.content);
  });

  test('content parts are text', async () => {
    const whole = await server.chat('What is the sun?');
    const parts = await server.chat([{ role: 'user', content: [{ type: 'text', text: 'What is the sun?' }] }]);
    assert.equal(parts.choices[0].message.content, whole.choices[0].message.content);
  });

  test('usage, timings and the cache of the second turn', async () => {
    const messages = [{ role: 'user', content: 'Tell me about a fox who finds a golden key in the snow.' }];
    const first = await server.chat(messages);
    assert.ok(first.usage.completion_tokens > 0 && first.usage.completion_tokens <= 32);
    assert.equal(first.usage.total_tokens, first.usage.prompt_tokens + first.usage.completion_tokens);
    messages.push(first.choices[0].message, { role: 'user', content: 'And then?' });
    const second = await server.chat(messages);
    const cached = second.usage.prompt_tokens_details.cached_tokens;
    assert.ok(cached >= first.usage.prompt_tokens - 1, `${cached} of ${first.usage.prompt_tokens} tokens were cached`);
    assert.ok(cached < second.usage.prompt_tokens);
    assert.equal(second.timings.cache_n, cached);
    assert.equal(second.timings.prompt_n, second.usage.prompt_tokens - cached);
    assert.equal(second.timings.predicted_n, second.usage.completion_tokens);
    assert.ok(second.timings.prompt_ms > 0 && second.timings.predicted_ms > 0);
    assert.ok(second.timings.predicted_per_second > 0);
  });

  test('a cached prompt changes nothing', async () => {
    const [first, second] = [await server.chat(STORY), await server.chat(STORY)];
    assert.ok(second.usage.prompt_tokens_details.cached_tokens > 0);
    assert.equal(second.choices[0].message.content, first.choices[0].message.content);
  });

  test('stop texts across token borders', async () => {
    for (const stop of ['irl na', ['never comes', 'd Lil'], ', t']) {
      const texts = typeof stop === 'string' ? [stop] : stop;
      const end = Math.min(...texts.map((text) => STORY_BEGINS.indexOf(text)).filter((at) => at >= 0));
      const expected = STORY_BEGINS.slice(0, end);
      const whole = await server.chat(STORY, { stop });
      assert.equal(whole.choices[0].message.content, expected);
      assert.equal(whole.choices[0].finish_reason, 'stop');
      const { text, finish } = await collect(await server.chat(STORY, { stop, stream: true }));
      assert.equal(text, expected);
      assert.deepEqual(finish, ['stop']);
    }
  });

  test('a stop text that never completes is no loss', async () => {
    const plain = await server.chat(STORY);
    const { text } = await collect(await server.chat(STORY, { stop: 'Lily. She loved XYZ', stream: true }));
    assert.equal(text, plain.choices[0].message.content);
  });

  test('max_tokens', async () => {
    for (const field of ['max_tokens', 'max_completion_tokens']) {
      const answer = await server.chat(STORY, { max_tokens: undefined, [field]: 5 });
      assert.equal(answer.usage.completion_tokens, 5);
      assert.equal(answer.choices[0].finish_reason, 'length');
    }
  });

  test('n = 3', async () => {
    const same = await server.chat(STORY, { n: 3 });
    assert.deepEqual(same.choices.map((choice) => choice.index), [0, 1, 2]);
    assert.equal(new Set(same.choices.map((choice) => choice.message.content)).size, 1);
    assert.equal(same.usage.completion_tokens, 96);
    const varied = { n: 3, temperature: 1.2, seed: 11 };
    const whole = await server.chat(STORY, varied);
    assert.ok(new Set(whole.choices.map((choice) => choice.message.content)).size > 1, 'choices differ');
    const { texts, finish } = await collect(await server.chat(STORY, { ...varied, stream: true }));
    assert.deepEqual(texts, whole.choices.map((choice) => choice.message.content));
    assert.deepEqual(finish, whole.choices.map((choice) => choice.finish_reason));
  });

  test('a seed repeats, another one does not', async () => {
    const say = async (seed) =>
      (await server.chat(STORY, { temperature: 1.2, seed })).choices[0].message.content;
    const first = await say(7);
    assert.equal(await say(7), first);
    assert.notEqual(await say(8), first);
  });

  test('without a seed answers vary', async () => {
    const say = async () => (await server.chat(STORY, { temperature: 1.2 })).choices[0].message.content;
    assert.ok(new Set([await say(), await say(), await say()]).size > 1);
  });

  test('logprobs', async () => {
    const fields = { logprobs: true, top_logprobs: 3, max_tokens: 12 };
    const answer = await server.chat(STORY, fields);
    const { content } = answer.choices[0].logprobs;
    assert.equal(content.length, 12);
    assert.equal(Buffer.from(content.flatMap((token) => token.bytes)).toString(), answer.choices[0].message.content);
    for (const token of content) {
      assert.ok(token.logprob <= 0);
      assert.equal(token.top_logprobs.length, 3);
      assert.equal(token.top_logprobs[0].token, token.token, 'greedy takes the likeliest');
      assert.equal(token.top_logprobs[0].logprob, token.logprob);
      const logprobs = token.top_logprobs.map((rival) => rival.logprob);
      assert.deepEqual(logprobs, [...logprobs].sort((a, b) => b - a));
      assert.ok(logprobs.reduce((sum, logprob) => sum + Math.exp(logprob), 0) <= 1.0001);
    }
    const { chunks } = await collect(await server.chat(STORY, { ...fields, stream: true }));
    const streamed = chunks.flatMap((chunk) => chunk.choices[0]?.logprobs?.content ?? []);
    assert.deepEqual(streamed.map((token) => token.token), content.map((token) => token.token));
    const alone = await server.chat(STORY, { logprobs: true, max_tokens: 2 });
    assert.deepEqual(alone.choices[0].logprobs.content[0].top_logprobs, []);
    assert.equal((await server.chat(STORY, { max_tokens: 2 })).choices[0].logprobs, null);
  });

  test('stream_options.include_usage', async () => {
    const { chunks } = await collect(
      await server.chat(STORY, { max_tokens: 4, stream: true, stream_options: { include_usage: true } }));
    const last = chunks.at(-1);
    assert.deepEqual(last.choices, []);
    assert.equal(last.usage.completion_tokens, 4);
    assert.ok(last.usage.prompt_tokens > 0);
    assert.equal(last.timings.predicted_n, 4);
    assert.ok(chunks.slice(0, -1).every((chunk) => chunk.usage === null));
  });

  test('timings in the last chunk', async () => {
    const { chunks } = await collect(await server.chat(STORY, { max_tokens: 4, stream: true }));
    assert.equal(chunks.at(-1).timings.predicted_n, 4);
    assert.ok(chunks.slice(0, -1).every((chunk) => chunk.timings === undefined));
  });

  test('tools and template variables are taken', async () => {
    const tools = [{ type: 'function', function: { name: 'now', description: 'the time', parameters: { type: 'object', properties: {} } } }];
    const answer = await server.chat(STORY, { tools, tool_choice: 'auto', chat_template_kwargs: { enable_thinking: false }, max_tokens: 4 });
    assert.equal(answer.usage.completion_tokens, 4);
  });
});

describe('completions', () => {
  const [golden] = GOLDEN;

  test('says what the reference says', async () => {
    const answer = await server.complete(golden.prompt);
    assert.equal(answer.object, 'text_completion');
    assert.match(answer.id, /^cmpl-/);
    assert.ok(golden.greedy_text.startsWith(answer.choices[0].text), answer.choices[0].text);
    assert.equal(answer.choices[0].finish_reason, 'length');
    const { text, finish } = await collect(await server.complete(golden.prompt, { stream: true }));
    assert.equal(text, answer.choices[0].text);
    assert.deepEqual(finish, ['length']);
  });

  test('ids say what text says', async () => {
    const text = await server.complete(golden.prompt);
    const ids = await server.complete(golden.ids);
    assert.equal(ids.choices[0].text, text.choices[0].text);
    assert.equal(ids.usage.prompt_tokens, golden.ids.length);
  });

  test('several prompts at once, as texts and as ids', async () => {
    const prompts = GOLDEN.filter((entry) => !entry.prompt.startsWith('<|')).map((entry) => entry.prompt);
    const alone = [];
    for (const prompt of prompts) alone.push((await server.complete(prompt)).choices[0].text);
    const together = await server.complete(prompts);
    assert.deepEqual(together.choices.map((choice) => choice.text), alone);
    assert.deepEqual(together.choices.map((choice) => choice.index), prompts.map((_, i) => i));
    assert.equal(together.usage.completion_tokens, 16 * prompts.length);
    const ids = GOLDEN.filter((entry) => !entry.prompt.startsWith('<|')).map((entry) => entry.ids);
    const { texts } = await collect(await server.complete(ids, { stream: true }));
    assert.deepEqual(texts, alone);
  });

  test('echo', async () => {
    const plain = await server.complete(golden.prompt);
    const echoed = await server.complete(golden.prompt, { echo: true });
    assert.equal(echoed.choices[0].text, golden.prompt + plain.choices[0].text);
    assert.equal(echoed.usage.completion_tokens, 16);
    const streamed = await collect(await server.complete(golden.prompt, { echo: true, stream: true }));
    assert.equal(streamed.text, echoed.choices[0].text);
  });

  test('logprobs', async () => {
    const answer = await server.complete(golden.prompt, { logprobs: 2, max_tokens: 6 });
    const { text, logprobs } = answer.choices[0];
    assert.equal(logprobs.tokens.join(''), text);
    assert.equal(logprobs.token_logprobs.length, 6);
    assert.equal(logprobs.top_logprobs.length, 6);
    let offset = 0;
    logprobs.tokens.forEach((token, i) => {
      assert.equal(logprobs.text_offset[i], offset);
      offset += [...token].length;
      assert.ok(logprobs.token_logprobs[i] <= 0);
      assert.equal(logprobs.top_logprobs[i][token], logprobs.token_logprobs[i]);
      assert.equal(Object.keys(logprobs.top_logprobs[i]).length, 2);
    });
    assert.ok(Math.abs(logprobs.token_logprobs[0] - golden.top_logprobs[0]) < 5e-2);
  });

  test('scores a prompt without continuing it', async () => {
    const answer = await server.complete(golden.prompt, { echo: true, logprobs: 0, max_tokens: 0 });
    const scores = answer.choices[0].logprobs.token_logprobs;
    assert.equal(scores[0], null);
    assert.equal(answer.choices[0].text, golden.prompt);
    assert.equal(answer.usage.completion_tokens, 0);
    scores.slice(-golden.prompt_logprobs.length).forEach((score, i) => {
      assert.ok(Math.abs(score - golden.prompt_logprobs[i]) < 5e-2, `${score} and ${golden.prompt_logprobs[i]}`);
    });
  });

  test('logit_bias forbids and forces', async () => {
    const first = async (logit_bias) =>
      (await server.complete(golden.prompt, { max_tokens: 3, logit_bias })).choices[0].text;
    assert.ok((await first({})).startsWith(','));
    assert.doesNotMatch(await first({ [ID_COMMA]: -100 }), /^,/);
    assert.equal(await first({ [ID_THERE]: 100 }), ' there there there');
  });

  test('penalties and filters', async () => {
    // A prompt whose greedy continuation repeats itself.
    const say = async (fields) =>
      (await server.complete('red, blue, red, blue, red, blue,', { max_tokens: 40, ...fields })).choices[0].text;
    const plain = await say({});
    assert.notEqual(await say({ repeat_penalty: 1.5 }), plain);
    assert.notEqual(await say({ presence_penalty: 2 }), plain);
    assert.notEqual(await say({ presence_penalty: -2 }), plain);
    assert.notEqual(await say({ frequency_penalty: 2 }), plain);
    assert.equal(await say({ repeat_penalty: 1, presence_penalty: 0, frequency_penalty: 0 }), plain);
    assert.equal(await say({ temperature: 1.5, top_k: 1 }), plain);
    assert.equal(await say({ temperature: 1.5, top_p: 0 }), plain);
    assert.equal(await say({ temperature: 1.5, min_p: 1 }), plain);
  });
});

describe('UTF-8', () => {
  /** The payloads of a raw stream; fails when one is not whole characters. */
  async function payloads(path, body) {
    const { status, headers, bytes } = await server.raw('POST', path, JSON.stringify({ model: server.model, stream: true, ...body }));
    assert.equal(status, 200);
    assert.match(headers['content-type'], /^text\/event-stream/);
    const decoder = new TextDecoder('utf-8', { fatal: true });
    return decoder.decode(bytes).split('\n\n').filter((frame) => frame.startsWith('data: {'))
      .map((frame) => JSON.parse(frame.slice(6)));
  }

  test('an echoed prompt keeps its characters', async () => {
    const prompt = 'Zoë saw a 😀 in 北京, naïve café';
    const chunks = await payloads('/v1/completions', { prompt, echo: true, max_tokens: 1 });
    assert.ok(chunks.map((chunk) => chunk.choices[0].text).join('').startsWith(prompt));
  });

  test('characters of several tokens are never split', async () => {
    const body = {
      prompt: 'Once', max_tokens: 64, temperature: 2, seed: 3, logprobs: 0, ignore_eos: true,
      logit_bias: { [ID_BYTE_C3]: 100, [ID_BYTE_A4]: 100 },
    };
    const chunks = await payloads('/v1/completions', body);
    const text = chunks.map((chunk) => chunk.choices[0].text).join('');
    const tokens = chunks.flatMap((chunk) => chunk.choices[0].logprobs?.tokens ?? []);
    assert.equal(tokens.length, 64);
    assert.ok(tokens.every((token) => token === 'bytes:\\xc3' || token === 'bytes:\\xa4'), tokens.join(' '));
    const bytes = Buffer.from(tokens.map((token) => parseInt(token.slice(-2), 16)));
    assert.equal(text, bytes.toString(), 'what the bytes say, ill-formed ones replaced');
    assert.match(text, /^[ä\uFFFD]+$/);
    const whole = await server.complete(body.prompt, body);
    assert.equal(whole.choices[0].text, text);
  });
});
