// The document that describes the API: valid as OpenAPI 3.1, and true of what the server answers.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { validate } from '@readme/openapi-parser';

import { Server } from './server.mjs';

let server;
let document;
before(async () => {
  server = await Server.start();
  document = (await server.json('GET', '/openapi.json')).body;
});
after(() => server.stop());

test('is valid', async () => {
  const { valid, errors, warnings } = await validate(structuredClone(document));
  assert.ok(valid, JSON.stringify(errors));
  assert.deepEqual(warnings ?? [], []);
});

test('every path of it is there', async () => {
  for (const [path, operations] of Object.entries(document.paths)) {
    const { status, headers } = await server.raw('OPTIONS', path.replaceAll('{id}', 'x'));
    assert.equal(status, 204, path);
    for (const method of Object.keys(operations)) {
      assert.ok(headers.allow.split(', ').includes(method.toUpperCase()), `${method} ${path}`);
    }
  }
});

test('what the list for people has, it has', async () => {
  const { bytes } = await server.raw('GET', '/');
  for (const [, method, path] of bytes.toString().matchAll(/^(GET|POST|DELETE|PUT|HEAD)\s+(\/\S+)/gm)) {
    assert.ok(document.paths[path]?.[method.toLowerCase()], `${method} ${path}`);
  }
});
