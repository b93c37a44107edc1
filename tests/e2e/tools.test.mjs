// Tools and formats by the official client, answered by our own engine on the bundled model. The
// model knows no tools; that its calls are calls is the daemon's doing.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { Server } from './server.mjs';

const WEATHER = {
  type: 'function',
  function: {
    name: 'get_weather',
    description: 'The weather of a city',
    parameters: {
      type: 'object',
      properties: {
        city: { type: 'string', maxLength: 16 },
        unit: { enum: ['celsius', 'fahrenheit'] },
        days: { type: 'integer', minimum: 1, maximum: 7 },
      },
      required: ['city', 'unit', 'days'],
      additionalProperties: false,
    },
  },
};
const CLOCK = {
  type: 'function',
  function: {
    name: 'get_time',
    parameters: {
      type: 'object',
      properties: { zone: { enum: ['UTC', 'CET'] } },
      required: ['zone'],
      additionalProperties: false,
    },
  },
};
const QUESTION = 'What is the weather in Paris?';
const FORCED = { tools: [WEATHER], tool_choice: 'required', parallel_tool_calls: false, max_tokens: 160 };

function assertWeather(call) {
  assert.equal(call.type, 'function');
  assert.match(call.id, /^call_[0-9A-Za-z]{24}$/);
  assert.equal(call.function.name, 'get_weather');
  const { city, unit, days, ...rest } = JSON.parse(call.function.arguments);
  assert.equal(typeof city, 'string');
  assert.ok([...city].length <= 16, city);
  assert.ok(['celsius', 'fahrenheit'].includes(unit), unit);
  assert.ok(Number.isInteger(days) && days >= 1 && days <= 7, `${days}`);
  assert.deepEqual(rest, {});
}

let server;
before(async () => {
  server = await Server.start();
});
after(() => server.stop());

describe('tools', () => {
  test('a required call keeps to its schema', async () => {
    const answer = await server.chat(QUESTION, FORCED);
    const [choice] = answer.choices;
    assert.equal(choice.finish_reason, 'tool_calls');
    assert.equal(choice.message.content ?? '', '');
    assert.equal(choice.message.tool_calls.length, 1);
    assertWeather(choice.message.tool_calls[0]);
  });

  test('every choice makes its own call, at any temperature', async () => {
    const answer = await server.chat(QUESTION, { ...FORCED, n: 3, temperature: 1, seed: 3 });
    assert.equal(answer.choices.length, 3);
    for (const choice of answer.choices) assertWeather(choice.message.tool_calls[0]);
    const ids = answer.choices.map((choice) => choice.message.tool_calls[0].id);
    assert.equal(new Set(ids).size, 3);
  });

  test('a named tool is the one that is called', async () => {
    const answer = await server.chat(QUESTION, {
      tools: [WEATHER, CLOCK],
      tool_choice: { type: 'function', function: { name: 'get_time' } },
      max_tokens: 100,
    });
    const [call] = answer.choices[0].message.tool_calls;
    assert.equal(call.function.name, 'get_time');
    assert.ok(['UTC', 'CET'].includes(JSON.parse(call.function.arguments).zone));
  });

  test('a streamed call is the whole one in pieces', async () => {
    const whole = await server.chat(QUESTION, FORCED);
    const stream = await server.chat(QUESTION, { ...FORCED, stream: true });
    const calls = [];
    let pieces = 0;
    let finish;
    for await (const chunk of stream) {
      const [choice] = chunk.choices;
      finish = choice?.finish_reason ?? finish;
      for (const delta of choice?.delta.tool_calls ?? []) {
        pieces += 1;
        calls[delta.index] ??= { id: delta.id, type: delta.type, function: { name: delta.function.name, arguments: '' } };
        calls[delta.index].function.arguments += delta.function.arguments ?? '';
      }
    }
    assert.equal(finish, 'tool_calls');
    assert.equal(calls.length, 1);
    assertWeather(calls[0]);
    assert.ok(pieces > 3, `${pieces} pieces`);
    assert.equal(calls[0].function.arguments, whole.choices[0].message.tool_calls[0].function.arguments);
  });

  test('a conversation goes on with the result', async () => {
    const messages = [{ role: 'user', content: QUESTION }];
    const first = (await server.chat(messages, FORCED)).choices[0].message;
    messages.push(first);
    messages.push({ role: 'tool', tool_call_id: first.tool_calls[0].id, content: 'Sunny, 21 degrees.' });
    const second = await server.chat(messages, { tools: [WEATHER], max_tokens: 24 });
    assert.ok(['stop', 'length'].includes(second.choices[0].finish_reason));
    assert.ok(second.choices[0].message.content.length > 0);
    const bare = await server.chat(messages.slice(0, 1), { tools: [WEATHER], max_tokens: 1 });
    assert.ok(second.usage.prompt_tokens > bare.usage.prompt_tokens + 20, 'the result was read');
  });

  test("the client's own loop runs the function", async () => {
    const asked = [];
    const runner = server.client.chat.completions.runTools({
      model: server.model,
      messages: [{ role: 'user', content: QUESTION }],
      temperature: 0,
      max_tokens: 160,
      tool_choice: { type: 'function', function: { name: 'get_weather' } },
      tools: [{
        type: 'function',
        function: {
          ...WEATHER.function,
          parse: JSON.parse,
          function: (args) => {
            asked.push(args);
            return 'Sunny.';
          },
        },
      }],
    });
    await runner.done();
    assert.equal(asked.length, 1);
    assert.equal(typeof asked[0].city, 'string');
  });

  test('tools that must not or need not be used', async () => {
    const plain = await server.chat(QUESTION);
    const none = await server.chat(QUESTION, { tools: [WEATHER], tool_choice: 'none' });
    assert.equal(none.choices[0].message.content, plain.choices[0].message.content);
    assert.equal(none.usage.prompt_tokens, plain.usage.prompt_tokens);
    const auto = await server.chat(QUESTION, { tools: [WEATHER] });
    assert.ok(auto.usage.prompt_tokens > plain.usage.prompt_tokens + 40, 'the tools are in the prompt');
    assert.notEqual(auto.choices[0].finish_reason, 'tool_calls');
  });

  test('a call that does not fit is cut off and says so', async () => {
    const answer = await server.chat(QUESTION, { ...FORCED, max_tokens: 24 });
    assert.equal(answer.choices[0].finish_reason, 'length');
    assert.equal(answer.usage.completion_tokens, 24);
  });
});

describe('formats', () => {
  test('a schema', async () => {
    const answer = await server.chat('Tell me about a dog.', {
      max_tokens: 160,
      response_format: {
        type: 'json_schema',
        json_schema: {
          name: 'dog',
          strict: true,
          schema: {
            type: 'object',
            properties: { name: { type: 'string', maxLength: 10 }, age: { type: 'integer', minimum: 0, maximum: 20 } },
            required: ['name', 'age'],
            additionalProperties: false,
          },
        },
      },
    });
    const dog = JSON.parse(answer.choices[0].message.content);
    assert.deepEqual(Object.keys(dog).sort(), ['age', 'name']);
    assert.ok(dog.age >= 0 && dog.age <= 20);
    assert.equal(answer.choices[0].finish_reason, 'stop');
  });

  test('streamed text is JSON as well', async () => {
    const stream = await server.chat('Yes or no?', {
      stream: true,
      response_format: {
        type: 'json_schema',
        json_schema: { name: 'word', schema: { type: 'object', properties: { word: { enum: ['yes', 'no'] } }, required: ['word'], additionalProperties: false } },
      },
    });
    let text = '';
    for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? '';
    assert.ok(['yes', 'no'].includes(JSON.parse(text).word), text);
  });

  test('fill in the middle is refused by a model without', async () => {
    await assert.rejects(server.complete('int x', { suffix: 'return x;' }), (error) => error.status === 400);
  });
});
