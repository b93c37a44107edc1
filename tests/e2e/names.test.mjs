// Names that clients insist on: aliases that end with '*', in every API, and what wins over them.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';

import Anthropic from '@anthropic-ai/sdk';
import { Ollama } from 'ollama';

import { LaneBox } from './lane_box.mjs';

describe('aliases that end with *', () => {
  let box;
  before(async () => {
    box = await LaneBox.start({
      models: ['coder', 'small', 'gpt-oss', 'nomic-embed'],
      lanes: { gpu: { engine: 'llama-server' } },
      config: `
[model.coder]
aliases = ["claude-*", "gpt-*", "text-*"]
[model.small]
aliases = ["claude-haiku-*", "claude-opus-1"]
`,
    });
  });
  after(() => box.stop());

  const who = async (name) => (await box.chat(name)).body.model;

  test('are every name that begins so', async () => {
    assert.equal(await who('claude-sonnet-5-5'), 'coder');
    assert.equal(await who('gpt-5-codex'), 'coder');
    assert.equal(await who('gpu/claude-sonnet-5-5'), 'coder');
    assert.equal((await box.chat('claude')).status, 404);
  });

  test('give way to models, exact aliases, longer ones and what else a name stands for', async () => {
    assert.equal(await who('gpt-oss'), 'gpt-oss');
    assert.equal(await who('claude-opus-1'), 'small');
    assert.equal(await who('claude-haiku-4-5-20251001'), 'small');
    const made = await box.client.embeddings.create({ model: 'text-embedding-3-small', input: 'x', encoding_format: 'float' });
    assert.equal(made.model, 'nomic-embed');
  });

  test('in every API', async () => {
    const anthropic = new Anthropic({ baseURL: box.url, apiKey: 'any', maxRetries: 0 });
    const message = await anthropic.messages.create(
      { model: 'claude-haiku-9', max_tokens: 8, messages: [{ role: 'user', content: '[[id:x]]' }] });
    assert.equal(message.model, 'small');
    assert.equal((await anthropic.models.retrieve('claude-sonnet-9')).id, 'coder');
    const response = await box.client.responses.create({ model: 'gpt-9', input: '[[id:x]]' });
    assert.equal(response.model, 'coder');
    const said = await new Ollama({ host: box.url }).chat({ model: 'gpt-9:latest', messages: [{ role: 'user', content: '[[id:x]]' }] });
    assert.match(said.message.content, /^x\.0/);
  });

  test('are in no list', async () => {
    const listed = (await box.client.models.list()).data.map((model) => model.id);
    const tags = (await new Ollama({ host: box.url }).list()).models.map((model) => model.model);
    assert.ok(listed.includes('coder') && tags.includes('coder:latest'));
    assert.deepEqual([...listed, ...tags].filter((name) => /\*|claude|text-|gpt-(?!oss)/.test(name)), []);
  });

  test('are judged by config check', async () => {
    const check = async (toml) => {
      const file = path.join(box.folder, 'checked.toml');
      fs.writeFileSync(file, toml);
      return box.run('config', 'check', file);
    };
    assert.equal((await check('[model.a]\naliases = ["claude-*", "*"]\n')).code, 0);
    for (const [toml, why] of [
      ['[model.a]\naliases = ["cl*ude"]\n', /"cl\*ude": a \* may only be at the end, as in "cl\*"/],
      ['[model.a]\naliases = ["x-*"]\n[model.b]\naliases = ["x-*"]\n', /"x-\*" is another model's name/],
    ]) {
      const { code, out, err } = await check(toml);
      assert.equal(code, 1);
      assert.match(out + err, why);
    }
  });
});
