// Answers under a JSON schema hold to it: random schemas, random and modelled answers, and Ajv, which
// knows nothing of ours, as the judge.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import test from 'node:test';
import { fileURLToPath } from 'node:url';

import Ajv from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';

import { SchemaMaker } from './schema_maker.mjs';
import { Server } from './server.mjs';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const ANSWERS = process.env.TRILANE_SCHEMA_ANSWERS ?? 'build/dev/tests/schema_answers/trilane_schema_answers';
const MODEL = 'models/trilane-nano/trilane-nano-tq2_0.gguf';
const SEED = Number(process.env.SCHEMA_SEED ?? 1);

function makeSchemas(count, seed, options) {
  const maker = new SchemaMaker(seed, options);
  return Array.from({ length: count }, () => maker.schema());
}

/** What a schema allows: a function of a value, with `errors` behind it. */
function judgeOf(schema) {
  const ajv = new Ajv({ strict: false, allErrors: true });
  addFormats(ajv);
  return ajv.compile(schema);
}

function answersTo(schemas, how, seed, tokens) {
  const run = spawnSync(ANSWERS, [MODEL, how, '--seed', String(seed), '--tokens', String(tokens)], {
    cwd: ROOT, input: schemas.map((schema) => `${JSON.stringify(schema)}\n`).join(''), encoding: 'utf8', maxBuffer: 1 << 28,
  });
  assert.equal(run.status, 0, run.stderr ?? String(run.error));
  const lines = run.stdout.trimEnd().split('\n').map((line) => JSON.parse(line));
  assert.equal(lines.length, schemas.length);
  return lines;
}

/** Counts what came; fails on the first answer that its schema does not hold for. */
function judge(schemas, answers) {
  const counts = { text: 0, hastened: 0, cut: 0, refused: 0, error: 0 };
  answers.forEach((answer, i) => {
    const [kind] = Object.keys(answer);
    counts[kind] += 1;
    const shown = `schema ${JSON.stringify(schemas[i])}\nanswer ${answer[kind]}`;
    assert.notEqual(kind, 'error', shown);
    if (kind !== 'text' && kind !== 'hastened') return;
    const valid = judgeOf(schemas[i]);
    let value;
    assert.doesNotThrow(() => { value = JSON.parse(answer[kind]); }, shown);
    assert.ok(valid(value), `${shown}\n${JSON.stringify(valid.errors)}`);
  });
  return counts;
}

/** Refusals must say what they refuse; a maker of schemas makes few that cannot be met. */
function checkRefusals(schemas, answers) {
  for (const [i, answer] of answers.entries()) {
    if (answer.refused === undefined) continue;
    assert.match(answer.refused, /the schema at #|the pattern at #|no text matches|a pattern together/, JSON.stringify(schemas[i]));
  }
}

test('random answers to random schemas are valid', (t) => {
  const schemas = makeSchemas(Number(process.env.SCHEMAS ?? 500), SEED);
  const answers = answersTo(schemas, 'walk', SEED, 1000);
  const counts = judge(schemas, answers);
  checkRefusals(schemas, answers);
  t.diagnostic(JSON.stringify(counts));
  assert.ok(counts.refused < schemas.length / 20, `${counts.refused} schemas were refused`);
  assert.ok(counts.cut < schemas.length / 20, `${counts.cut} answers did not end`);
});

// Whatever the tokens suffice for is brought to its end: some answers take few, some would never end.
test('every answer of the bundled model at temperature 1 is valid', (t) => {
  const schemas = makeSchemas(Number(process.env.SCHEMAS ?? 500), SEED + 1);
  const answers = answersTo(schemas, 'model', SEED, 320);
  const counts = judge(schemas, answers);
  checkRefusals(schemas, answers);
  t.diagnostic(JSON.stringify(counts));
  assert.equal(counts.cut, 0);
  assert.ok(counts.refused < schemas.length / 20, `${counts.refused} schemas were refused`);
  assert.ok(counts.hastened > 0, 'no answer came near its limit: nothing was shown of those that do');
});

test('the daemon answers as response_format says, in time', async (t) => {
  const server = await Server.start();
  t.after(() => server.stop());
  const schemas = makeSchemas(24, SEED + 2);
  const replies = await Promise.all(schemas.map((schema) => server.chat('Tell me something.', {
    temperature: 1, max_tokens: 200, response_format: { type: 'json_schema', json_schema: { name: 'answer', schema } },
  }).catch((error) => error)));
  const counts = judge(schemas, replies.map((reply) => (reply instanceof Error
    ? { refused: reply.message }
    : { [reply.choices[0].finish_reason === 'length' ? 'hastened' : 'text']: reply.choices[0].message.content })));
  t.diagnostic(JSON.stringify(counts));
  assert.ok(counts.refused < 3);
  await assert.rejects(
    server.chat('x', { response_format: { type: 'json_schema', json_schema: { name: 'a', schema: { not: {} } } } }),
    ({ status, message }) => status === 400 && message.includes("'not'"));
});
