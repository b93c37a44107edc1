// Vectors, rankings, tokens, recordings, speech and pictures: the official OpenAI client against the
// daemon over scripted engines, and over espeak-ng's stand-in.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';

import { toFile } from 'openai';

import { LaneBox } from './lane_box.mjs';
import { gguf, wav } from './small_files.mjs';

/** What a file begins with. */
const MARKS = { wav: 'RIFF', flac: 'fLaC', opus: 'OggS' };
const length = (vector) => Math.hypot(...vector);

describe('media', () => {
  let box;
  let speaker;

  before(async () => {
    // espeak-ng's stand-in: copies a file to where it is told to write.
    speaker = fs.mkdtempSync(path.join(os.tmpdir(), 'trilane-speaker-'));
    fs.writeFileSync(path.join(speaker, 'said.wav'), wav(22_050));
    const program = path.join(speaker, 'espeak-ng');
    fs.writeFileSync(program, `#!/bin/sh
while [ $# -gt 0 ]; do [ "$1" = -w ] && out=$2; shift; done
cp ${speaker}/said.wav "$out"
`);
    fs.chmodSync(program, 0o755);
    box = await LaneBox.start({
      models: ['nomic-embed', 'bge-reranker', 'whisper-tiny', 'chatty'],
      files: { 'flux-dev.gguf': gguf('flux') },
      lanes: {
        gpu: { engine: 'llama-server' },
        ears: { engine: 'whisper-server', script: { text: 'Hello there.' } },
        paint: { engine: 'sd-server' },
      },
      config: `[lane.voice]\nkind = "espeak"\nprogram = "${program}"\n`,
    });
  });
  after(async () => {
    await box.stop();
    fs.rmSync(speaker, { recursive: true, force: true });
  });

  it('makes vectors, and the same ones again', async () => {
    const input = ['one', 'two', 'three'];
    const first = await box.client.embeddings.create({ model: 'nomic-embed', input });
    assert.equal(first.data.length, 3);
    for (const one of first.data) assert.ok(Math.abs(length(one.embedding) - 1) < 1e-5);
    assert.ok(first.usage.prompt_tokens > 0);
    const again = await box.client.embeddings.create(
      { model: 'text-embedding-3-small', input: 'two', encoding_format: 'float' });
    assert.equal(again.model, 'nomic-embed');
    first.data[1].embedding.forEach((value, i) => {
      assert.ok(Math.abs(value - again.data[0].embedding[i]) < 1e-6);
    });
    const many = await box.client.embeddings.create(
      { model: 'nomic-embed', input: Array.from({ length: 150 }, (_, i) => `text ${i}`), dimensions: 8 });
    assert.equal(many.data.length, 150);
    assert.equal(many.data[149].embedding.length, 8);
  });

  it('ranks documents', async () => {
    const answer = await box.keeper.ask('POST', '/v1/rerank',
      { model: 'bge-reranker', query: 'cat', documents: ['a dog', 'the cat', 'a cow'] });
    assert.equal(answer.status, 200, JSON.stringify(answer.body));
    assert.equal(answer.body.results[0].index, 1);
  });

  it('refuses what a model is not made for', async () => {
    await assert.rejects(box.client.embeddings.create({ model: 'whisper-tiny', input: 'a' }),
      { status: 400, message: /not made for embeddings/ });
  });

  it('hears recordings, whatever they are called', async () => {
    const file = await toFile(wav(), 'talk.wav');
    const plain = await box.client.audio.transcriptions.create({ model: 'whisper-1', file });
    assert.equal(plain.text, 'Hello there.');
    const verbose = await box.client.audio.transcriptions.create(
      { model: 'whisper-tiny', file: await toFile(wav(), 'talk.wav'), response_format: 'verbose_json' });
    assert.equal(verbose.segments.length, 1);
    assert.equal(verbose.language, 'english');
    await assert.rejects(
      box.client.audio.transcriptions.create(
        { model: 'whisper-1', file: await toFile(Buffer.from('no sound at all'), 'talk.mp3') }),
      { status: 400, message: /send wav, flac, mp3 or ogg/ });
  });

  for (const format of ['mp3', 'wav', 'flac', 'opus', 'pcm']) {
    it(`speaks ${format}`, async () => {
      const response = await box.client.audio.speech.create(
        { model: 'tts-1', voice: 'alloy', input: 'Hello.', response_format: format });
      const bytes = Buffer.from(await response.arrayBuffer());
      assert.ok(bytes.length > 1000, `${bytes.length} bytes`);
      if (MARKS[format]) assert.equal(bytes.toString('latin1', 0, 4), MARKS[format]);
      if (format === 'pcm') assert.ok(Math.abs(bytes.length - 48_000) < 400);
    });
  }

  it('draws, and changes pictures', async () => {
    const drawn = await box.client.images.generate(
      { model: 'dall-e-3', prompt: 'a cat', n: 2, response_format: 'b64_json' });
    assert.equal(drawn.data.length, 2);
    const png = Buffer.from(drawn.data[0].b64_json, 'base64');
    assert.equal(png.toString('latin1', 1, 4), 'PNG');
    const changed = await box.client.images.edit(
      { model: 'flux-dev', prompt: 'a hat', image: await toFile(png, 'cat.png', { type: 'image/png' }) });
    assert.deepEqual(Buffer.from(changed.data[0].b64_json, 'base64'), png);
  });
});

describe('without anything that speaks', () => {
  it('says what to install', async () => {
    const box = await LaneBox.start({ models: ['chatty'], lanes: { gpu: { engine: 'llama-server' } } });
    try {
      await assert.rejects(
        box.client.audio.speech.create({ model: 'tts-1', voice: 'alloy', input: 'Hello.' }),
        { status: 503, message: /espeak-ng/ });
    } finally {
      await box.stop();
    }
  });
});
