// The official client's responses API against the real server and model: answers that are kept,
// followed, listed and forgotten, and their run of events.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { Server } from './server.mjs';

const STORY = 'Tell me a short story about a dog and a red ball.';
const NEXT = 'What is the sun?';

let server;
before(async () => {
  server = await Server.start();
});
after(() => server.stop());

const create = (fields) => server.client.responses.create(
  { model: server.model, temperature: 0, max_output_tokens: 24, ...fields });

async function gone(promise) {
  await assert.rejects(promise, (error) => {
    assert.equal(error.status, 404);
    assert.equal(error.code, 'response_not_found');
    return true;
  });
}

describe('responses', () => {
  test('say what a chat says', async () => {
    const chat = await server.chat(STORY, { max_tokens: 24 });
    const response = await create({ input: STORY });
    assert.match(response.id, /^resp_/);
    assert.equal(response.object, 'response');
    assert.equal(response.output_text, chat.choices[0].message.content);
    assert.equal(response.status, 'incomplete');
    assert.deepEqual(response.incomplete_details, { reason: 'max_output_tokens' });
    assert.equal(response.usage.input_tokens, chat.usage.prompt_tokens);
    assert.equal(response.usage.output_tokens, 24);
    assert.equal(response.usage.total_tokens, response.usage.input_tokens + 24);
  });

  test('are kept, listed and forgotten', async () => {
    const response = await create({ input: STORY, metadata: { a: 'b' } });
    const kept = await server.client.responses.retrieve(response.id);
    assert.deepEqual(kept.output, response.output);
    assert.deepEqual(kept.metadata, { a: 'b' });
    const items = [];
    for await (const item of server.client.responses.inputItems.list(response.id)) items.push(item);
    assert.equal(items.length, 1);
    assert.deepEqual(items[0].content, [{ type: 'input_text', text: STORY }]);
    await assert.rejects(server.client.responses.cancel(response.id), (error) => error.status === 400);
    await server.client.responses.delete(response.id);
    await gone(server.client.responses.retrieve(response.id));
    await gone(server.client.responses.delete(response.id));
  });

  test('are not kept when that is asked', async () => {
    const response = await create({ input: STORY, store: false });
    await gone(server.client.responses.retrieve(response.id));
    await assert.rejects(create({ input: NEXT, previous_response_id: response.id }), (error) => {
      assert.equal(error.status, 400);
      assert.equal(error.param, 'previous_response_id');
      return true;
    });
  });

  test('follow each other as a chat would', async () => {
    const first = await create({ input: STORY, instructions: 'You tell stories.' });
    const second = await create({ input: NEXT, previous_response_id: first.id });
    const chat = await server.chat([
      { role: 'user', content: STORY },
      { role: 'assistant', content: first.output_text },
      { role: 'user', content: NEXT },
    ], { max_tokens: 24 });
    assert.equal(second.output_text, chat.choices[0].message.content);
    assert.equal(second.usage.input_tokens, chat.usage.prompt_tokens);
    assert.equal(second.previous_response_id, first.id);
  });

  test('stream in the order that clients rely on', async () => {
    const whole = await create({ input: STORY, max_output_tokens: 8 });
    const events = [];
    for await (const event of await create({ input: STORY, max_output_tokens: 8, stream: true })) events.push(event);
    assert.deepEqual(events.map((event) => event.sequence_number), events.map((_, i) => i));
    const types = events.map((event) => event.type);
    const deltas = types.filter((type) => type === 'response.output_text.delta').length;
    assert.ok(deltas > 1);
    assert.deepEqual(types, [
      'response.created', 'response.in_progress', 'response.output_item.added', 'response.content_part.added',
      ...Array(deltas).fill('response.output_text.delta'),
      'response.output_text.done', 'response.content_part.done', 'response.output_item.done', 'response.incomplete']);
    const last = events.at(-1).response;
    assert.equal(last.output[0].content[0].text, whole.output_text);
    assert.equal((await server.client.responses.retrieve(last.id)).status, 'incomplete');
  });

  test('helper of the client library for streams', async () => {
    const stream = server.client.responses.stream(
      { model: server.model, input: STORY, temperature: 0, max_output_tokens: 8 });
    let text = '';
    stream.on('response.output_text.delta', (event) => {
      text += event.delta;
    });
    const response = await stream.finalResponse();
    assert.equal(response.output_text, text);
  });

  test('refuse what is not here, by name', async () => {
    const refused = async (fields, param) => {
      await assert.rejects(create({ input: 'x', ...fields }), (error) => {
        assert.equal(error.status, 400);
        assert.equal(error.param, param);
        return true;
      });
    };
    await refused({ background: true }, 'background');
    await refused({ tools: [{ type: 'web_search' }] }, 'tools[0].type');
    await refused({ input: [{ role: 'user', content: [{ type: 'input_file', file_id: 'f' }] }] }, 'input[0].content[0]');
    await refused({ conversation: 'conv_1' }, 'conversation');
  });
});

test('moderations answer 404 in the API\'s words', async () => {
  await assert.rejects(server.client.moderations.create({ input: 'x' }), (error) => error.status === 404);
});
