// One conversation through every dialect: the same text, the same usage, the same end, streamed or not.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import Anthropic from '@anthropic-ai/sdk';
import { Ollama } from 'ollama';

import { Server } from './server.mjs';

let server;
let anthropic;
let ollama;
before(async () => {
  server = await Server.start();
  anthropic = new Anthropic({ baseURL: server.url, apiKey: 'none', maxRetries: 0 });
  ollama = new Ollama({ host: server.url });
});
after(() => server.stop());

const CONVERSATIONS = {
  'one question': { turns: [['user', 'Tell me of the sun.']], tokens: 24 },
  'a system text': { system: 'You tell short stories.', turns: [['user', 'Of a dog.']], tokens: 24 },
  'several turns': { system: 'Be brief.', turns: [['user', 'Hello'], ['assistant', 'Hello, who are you?'], ['user', 'I am Tom. I like größe and 😀.']], tokens: 32 },
  'an answer that ends by itself': { turns: [['user', 'Once upon a time, there was a little girl named Lily. She']], tokens: 400 },
  'a stop text': { turns: [['user', 'Tell me of the sun.']], tokens: 64, stop: [' the'] },
  'a prompt of many tokens': { turns: [['user', 'The cat sat on the mat. '.repeat(20)]], tokens: 8 },
  'drawn, not greedy': { turns: [['user', 'Tell me of a bird.']], tokens: 24, temperature: 0.8, seed: 42 },
};

// What Ollama takes for granted where a request says nothing, and the others do not.
const DRAWN_ALIKE = { top_k: 0, top_p: 1, min_p: 0, repeat_penalty: 1 };

const messagesOf = ({ turns }) => turns.map(([role, content]) => ({ role, content }));
const systemOf = ({ system }) => (system ? [{ role: 'system', content: system }] : []);

// Each way of asking gives { text, prompt, completion, end } with end: 'stop' | 'length'.
const WAYS = {
  async openai(ask) {
    const { choices: [choice], usage } = await server.client.chat.completions.create({
      model: server.model, messages: [...systemOf(ask), ...messagesOf(ask)], max_tokens: ask.tokens, temperature: ask.temperature ?? 0, seed: ask.seed, stop: ask.stop,
    });
    return { text: choice.message.content, prompt: usage.prompt_tokens, completion: usage.completion_tokens, end: choice.finish_reason };
  },
  async 'openai, streamed'(ask) {
    const stream = await server.client.chat.completions.create({
      model: server.model, messages: [...systemOf(ask), ...messagesOf(ask)], max_completion_tokens: ask.tokens, temperature: ask.temperature ?? 0, seed: ask.seed, stop: ask.stop,
      stream: true, stream_options: { include_usage: true },
    });
    const said = { text: '' };
    for await (const { choices: [choice], usage } of stream) {
      said.text += choice?.delta.content ?? '';
      said.end = choice?.finish_reason ?? said.end;
      if (usage) Object.assign(said, { prompt: usage.prompt_tokens, completion: usage.completion_tokens });
    }
    return said;
  },
  async responses(ask) {
    if (ask.stop || ask.seed) return null; // that API has neither
    const response = await server.client.responses.create({
      model: server.model, instructions: ask.system, input: messagesOf(ask), max_output_tokens: ask.tokens, temperature: ask.temperature ?? 0, store: false,
    });
    return { text: response.output_text, prompt: response.usage.input_tokens, completion: response.usage.output_tokens,
      end: response.status === 'incomplete' ? 'length' : 'stop' };
  },
  async anthropic(ask) {
    if (ask.seed) return null;
    const { content, usage, stop_reason } = await anthropic.messages.create({
      model: server.model, system: ask.system, messages: messagesOf(ask), max_tokens: ask.tokens, temperature: ask.temperature ?? 0, stop_sequences: ask.stop,
    });
    return { text: content.map((block) => block.text).join(''), prompt: usage.input_tokens + (usage.cache_read_input_tokens ?? 0), completion: usage.output_tokens,
      end: { max_tokens: 'length', end_turn: 'stop', stop_sequence: 'stop' }[stop_reason] };
  },
  async 'anthropic, streamed'(ask) {
    if (ask.seed) return null;
    const { content, usage, stop_reason } = await anthropic.messages.stream({
      model: server.model, system: ask.system, messages: messagesOf(ask), max_tokens: ask.tokens, temperature: ask.temperature ?? 0, stop_sequences: ask.stop,
    }).finalMessage();
    return { text: content.map((block) => block.text).join(''), prompt: usage.input_tokens + (usage.cache_read_input_tokens ?? 0), completion: usage.output_tokens,
      end: { max_tokens: 'length', end_turn: 'stop', stop_sequence: 'stop' }[stop_reason] };
  },
  async ollama(ask) {
    const reply = await ollama.chat({
      model: server.model, messages: [...systemOf(ask), ...messagesOf(ask)], options: { num_predict: ask.tokens, temperature: ask.temperature ?? 0, ...DRAWN_ALIKE, seed: ask.seed, stop: ask.stop },
    });
    return { text: reply.message.content, prompt: reply.prompt_eval_count, completion: reply.eval_count, end: reply.done_reason };
  },
  async 'ollama, streamed'(ask) {
    const said = { text: '' };
    for await (const part of await ollama.chat({
      model: server.model, stream: true, messages: [...systemOf(ask), ...messagesOf(ask)], options: { num_predict: ask.tokens, temperature: ask.temperature ?? 0, ...DRAWN_ALIKE, seed: ask.seed, stop: ask.stop },
    })) {
      said.text += part.message.content;
      if (part.done) Object.assign(said, { prompt: part.prompt_eval_count, completion: part.eval_count, end: part.done_reason });
    }
    return said;
  },
};

describe('the same conversation', () => {
  for (const [name, ask] of Object.entries(CONVERSATIONS)) {
    test(name, async () => {
      const expected = await WAYS.openai(ask);
      assert.ok(expected.completion > 0);
      let compared = 0;
      for (const [way, make] of Object.entries(WAYS)) {
        const said = await make(ask);
        if (said === null) continue;
        assert.deepEqual({ way, ...said }, { way, ...expected });
        compared += 1;
      }
      assert.ok(compared >= 4);
    });
  }
});
