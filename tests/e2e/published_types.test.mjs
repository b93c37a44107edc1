// Every answer is of the type that the API's official client says it is: schemas made of the clients'
// types (published_types.mjs), and answers of the bundled model and of scripted engines as they come
// over the wire, without a client between.
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';

import { LaneBox } from './lane_box.mjs';
import { PublishedTypes, changed } from './published_types.mjs';
import { Server } from './server.mjs';
import { gguf, wav } from './small_files.mjs';

const STORY = 'Tell me a short story about a dog and a red ball.';
const ADD = { type: 'object', properties: { id: { type: 'string' }, call: { type: 'integer' } } };
const WORD = { type: 'object', properties: { word: { enum: ['yes', 'no'] } }, required: ['word'], additionalProperties: false };

/** Takes fields out of what a type demands. */
const optional = (schema, ...fields) => {
  assert.ok(fields.every((field) => schema.required.includes(field)), 'the type has changed: look again');
  schema.required = schema.required.filter((field) => !fields.includes(field));
};
const orNull = (schema, field) => {
  assert.ok(schema.properties[field], 'the type has changed: look again');
  schema.properties[field] = { anyOf: [schema.properties[field], { type: 'null' }] };
};

// Where a type is stricter than the API itself:
const openai = new PublishedTypes('openai', (definitions, answers) => {
  // The client puts it together from what it receives; it is never sent.
  optional(definitions.Response, 'output_text');
  // The pieces of a streamed completion have the type of the whole. They have no reason to end before the
  // last, and `stream_options.include_usage` says that usage is null in all others.
  const piece = structuredClone(definitions.Completion);
  piece.properties.choices.items = structuredClone(definitions.CompletionChoice);
  orNull(piece, 'usage');
  orNull(piece.properties.choices.items, 'finish_reason');
  answers.completionPiece = piece;
});
const anthropic = new PublishedTypes('anthropic', (definitions) => {
  // The API's own examples have none where nothing is cited, and the AI SDK takes a list or nothing.
  optional(definitions.TextBlock, 'citations');
});
const ollama = new PublishedTypes('ollama', (definitions, answers) => {
  // The server leaves out what is empty.
  optional(answers.shown, 'license', 'modelfile', 'parameters', 'template', 'system', 'messages');
  // A Map for the language, an object in JSON.
  answers.shown.properties.model_info = { type: 'object' };
  answers.shown.properties.projector_info = { type: 'object' };
});

const checked = new Map(); // kind → a good answer, for the proof at the end
const keep = (types, kind, value) => {
  types.check(kind, value);
  const name = [types.api, kind, value.type ?? value.object, value.delta?.type].filter(Boolean).join(' ');
  if (!checked.has(name)) checked.set(name, { types, kind, value });
  return value;
};

let server;
let box;
before(async () => {
  [server, box] = await Promise.all([
    Server.start(),
    LaneBox.start({
      models: ['a', 'b', 'nomic-embed', 'whisper-tiny'],
      files: { 'flux-dev.gguf': gguf('flux') },
      lanes: {
        gpu: { engine: 'llama-server', script: { prompt_tokens: 40, cached_tokens: 30 } },
        ears: { engine: 'whisper-server', script: { text: 'Hello there.' } },
        paint: { engine: 'sd-server' },
      },
    }),
  ]);
});

async function ask(url, body, method = body === undefined ? 'GET' : 'POST') {
  const form = body instanceof FormData;
  const response = await fetch(url, {
    method,
    headers: body === undefined || form ? {} : { 'content-type': 'application/json' },
    body: body === undefined || form ? body : JSON.stringify(body),
  });
  return { status: response.status, type: response.headers.get('content-type'), text: await response.text() };
}

async function json(url, body, status = 200) {
  const answer = await ask(url, body);
  assert.equal(answer.status, status, answer.text);
  return JSON.parse(answer.text);
}

/** The data of server-sent events; with their names where they have one. */
async function events(url, body) {
  const answer = await ask(url, body);
  assert.equal(answer.status, 200, answer.text);
  assert.match(answer.type, /^text\/event-stream/);
  return answer.text.trimEnd().split(/\n\n/).flatMap((frame) => {
    const name = /^event: (.*)$/m.exec(frame)?.[1];
    const data = /^data: (.*)$/m.exec(frame)?.[1];
    if (data === undefined || data === '[DONE]') return [];
    const value = JSON.parse(data);
    if (name !== undefined) assert.equal(value.type, name);
    return [value];
  });
}

async function lines(url, body) {
  const answer = await ask(url, body);
  assert.equal(answer.status, 200, answer.text);
  return answer.text.trimEnd().split('\n').map((line) => JSON.parse(line));
}

/** Both daemons, with a model each. */
const both = () => [[server.url, server.model], [box.url, 'a']];

describe('OpenAI', () => {
  const messages = [{ role: 'user', content: STORY }];
  const CHATS = {
    plain: {},
    'several choices': { n: 2, temperature: 1, seed: 7 },
    'log probabilities': { logprobs: true, top_logprobs: 2 },
    'JSON of a schema': { response_format: { type: 'json_schema', json_schema: { name: 'word', schema: WORD } } },
    'tools that must be called': {
      tools: [{ type: 'function', function: { name: 'add', parameters: ADD } }], tool_choice: 'required', max_tokens: 128,
    },
    'calls of tools': {
      tools: [{ type: 'function', function: { name: 'add', parameters: ADD } }],
      messages: [{ role: 'user', content: '[[tool:2]][[id:t]]' }],
    },
    reasoning: { messages: [{ role: 'user', content: '[[think]] hi' }] },
    'an end': { messages: [{ role: 'user', content: 'Write a sentence with the words cat, tree and rain.' }], max_tokens: 100 },
  };
  for (const [name, fields] of Object.entries(CHATS)) {
    test(`chat: ${name}`, async () => {
      for (const [url, model] of both()) {
        const body = { model, messages, max_tokens: 12, temperature: 0, ...fields };
        const answer = keep(openai, 'chatAnswer', await json(`${url}/v1/chat/completions`, body));
        assert.equal(answer.choices.length, fields.n ?? 1);
        const chunks = await events(`${url}/v1/chat/completions`, { ...body, stream: true, stream_options: { include_usage: true } });
        assert.ok(chunks.length > 2);
        for (const chunk of chunks) keep(openai, 'chatChunk', chunk);
        assert.deepEqual(chunks.at(-1).choices, []);
        assert.ok(chunks.at(-1).usage.total_tokens > 0);
        assert.ok(chunks.slice(0, -1).every((chunk) => chunk.usage === null), 'usage is null before');
      }
    });
  }

  test('completions', async () => {
    for (const [url, model] of both()) {
      for (const fields of [{}, { n: 2, temperature: 1 }, { logprobs: 2 }, { echo: true }]) {
        const body = { model, prompt: 'Once upon a time', max_tokens: 6, temperature: 0, ...fields };
        const answer = await ask(`${url}/v1/completions`, body);
        if (answer.status === 400 && url === box.url) continue; // what that engine cannot do
        assert.equal(answer.status, 200, answer.text);
        keep(openai, 'completion', JSON.parse(answer.text));
        const chunks = await events(`${url}/v1/completions`, { ...body, stream: true, stream_options: { include_usage: true } });
        for (const chunk of chunks) keep(openai, 'completionPiece', chunk);
        assert.ok(chunks.some((chunk) => chunk.choices[0]?.finish_reason), 'it ends');
        assert.ok(chunks.at(-1).usage.total_tokens > 0);
      }
    }
  });

  const RESPONSES = {
    'cut off': { max_output_tokens: 8 },
    whole: { input: 'Write a sentence with the words cat, tree and rain.' },
    instructed: { instructions: 'Be short.', metadata: { a: 'b' }, temperature: 0.5, top_p: 0.9, user: 'u' },
    'log probabilities': { include: ['message.output_text.logprobs'], top_logprobs: 2, max_output_tokens: 8 },
    'JSON of a schema': { text: { format: { type: 'json_schema', name: 'word', schema: WORD } } },
    'tools that must be called': { tools: [{ type: 'function', name: 'add', parameters: ADD, strict: false }], tool_choice: 'required', max_output_tokens: 128 },
    'calls of tools': { input: '[[tool:2]][[id:t]]', tools: [{ type: 'function', name: 'add', parameters: ADD, strict: true }] },
    'calls into a namespace': {
      input: '[[tool]][[id:t]]',
      tools: [{ type: 'namespace', name: 'sums', description: 'Sums.', tools: [{ type: 'function', name: 'add', parameters: ADD }] }],
      tool_choice: 'required',
    },
    'a tool\'s result': {
      tools: [{ type: 'function', name: 'add', parameters: ADD, strict: false }],
      input: [
        { role: 'user', content: [{ type: 'input_text', text: 'Add.' }] },
        { type: 'function_call', call_id: 'c1', name: 'add', arguments: '{}' },
        { type: 'function_call_output', call_id: 'c1', output: '3' },
        { role: 'assistant', content: 'Three.' },
        { role: 'user', content: 'And now?' },
      ],
    },
    reasoning: { input: '[[think]] hi', reasoning: { effort: 'low' } },
    'reasoning as a summary': { input: '[[think]] hi', reasoning: { summary: 'auto' } },
  };
  for (const [name, fields] of Object.entries(RESPONSES)) {
    test(`responses: ${name}`, async () => {
      for (const [url, model] of both()) {
        const body = { model, input: STORY, temperature: 0, max_output_tokens: 100, ...fields };
        const answer = keep(openai, 'responseAnswer', await json(`${url}/v1/responses`, body));
        assert.deepEqual(openai.check('responseAnswer', await json(`${url}/v1/responses/${answer.id}`)), answer);
        const items = keep(openai, 'responseItems', await json(`${url}/v1/responses/${answer.id}/input_items`));
        assert.equal(items.data.length, Array.isArray(body.input) ? body.input.length : 1);
        const seen = await events(`${url}/v1/responses`, { ...body, stream: true });
        for (const event of seen) keep(openai, 'responseEvent', event);
        checkOrder(seen);
        const last = seen.at(-1).response;
        assert.deepEqual(openai.check('responseAnswer', await json(`${url}/v1/responses/${last.id}`)), last);
        assert.deepEqual(last.output.map((item) => item.type), answer.output.map((item) => item.type));
        if (name === 'calls into a namespace') {
          const calls = last.output.filter((item) => item.type === 'function_call');
          assert.deepEqual(calls.map((call) => [call.namespace, call.name]), [['sums', 'add']]);
        }
      }
    });
  }

  test('responses: counted', async () => {
    for (const [url, model] of both()) {
      keep(openai, 'inputTokens', await json(`${url}/v1/responses/input_tokens`, { model, input: STORY }));
    }
  });

  test('responses: a stream that fails', async () => {
    box.script('gpu', { rules: [{ body_has: 'BREAK OFF', tokens: 50, stream_end: 'reset' }] });
    const seen = await events(`${box.url}/v1/responses`, { model: 'b', input: 'BREAK OFF', stream: true });
    for (const event of seen) keep(openai, 'responseEvent', event);
    assert.ok(['response.failed', 'error'].includes(seen.at(-1).type), seen.at(-1).type);
  });

  test('vectors', async () => {
    const url = `${box.url}/v1/embeddings`;
    const answer = keep(openai, 'embeddingAnswer', await json(url, { model: 'nomic-embed', input: ['one', 'two'] }));
    const packed = await json(url, { model: 'nomic-embed', input: ['one', 'two'], encoding_format: 'base64' });
    // The type knows numbers only, the specification both: "base64" makes a text of each.
    for (const one of packed.data) {
      assert.equal(typeof one.embedding, 'string');
      const bytes = Buffer.from(one.embedding, 'base64');
      one.embedding = [...new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length))];
    }
    openai.check('embeddingAnswer', packed);
    assert.equal(packed.data[0].embedding.length, answer.data[0].embedding.length);
  });

  test('models', async () => {
    for (const [url] of both()) {
      const list = await json(`${url}/v1/models`);
      assert.equal(list.object, 'list');
      assert.ok(list.data.length > 0);
      for (const model of list.data) {
        keep(openai, 'model', model);
        keep(openai, 'model', await json(`${url}/v1/models/${model.id}`));
      }
    }
  });

  test('recordings', async () => {
    const form = (fields) => {
      const made = new FormData();
      made.append('file', new Blob([wav()]), 'talk.wav');
      for (const [name, value] of Object.entries({ model: 'whisper-1', ...fields })) made.append(name, value);
      return made;
    };
    const url = `${box.url}/v1/audio/transcriptions`;
    keep(openai, 'transcription', await json(url, form()));
    keep(openai, 'transcriptionVerbose', await json(url, form({ response_format: 'verbose_json' })));
    const words = form({ response_format: 'verbose_json' });
    words.append('timestamp_granularities[]', 'word');
    words.append('timestamp_granularities[]', 'segment');
    openai.check('transcriptionVerbose', await json(url, words));
    const seen = await events(url, form({ stream: 'true' }));
    for (const event of seen) keep(openai, 'transcriptionEvent', event);
    assert.equal(seen.at(-1).type, 'transcript.text.done');
    keep(openai, 'translation', await json(`${box.url}/v1/audio/translations`, form()));
    keep(openai, 'translationVerbose', await json(`${box.url}/v1/audio/translations`, form({ response_format: 'verbose_json' })));
  });

  test('pictures', async () => {
    const url = `${box.url}/v1/images/generations`;
    const drawn = await json(url, { model: 'flux-dev', prompt: 'a cat', n: 2, response_format: 'b64_json' });
    keep(openai, 'pictures', drawn);
    for (const event of await events(url, { model: 'flux-dev', prompt: 'a cat', stream: true })) keep(openai, 'pictureEvent', event);
    const form = (fields) => {
      const made = new FormData();
      made.append('image', new Blob([Buffer.from(drawn.data[0].b64_json, 'base64')], { type: 'image/png' }), 'cat.png');
      for (const [name, value] of Object.entries({ model: 'flux-dev', prompt: 'a hat', ...fields })) made.append(name, value);
      return made;
    };
    keep(openai, 'pictures', await json(`${box.url}/v1/images/edits`, form()));
    for (const event of await events(`${box.url}/v1/images/edits`, form({ stream: 'true' }))) keep(openai, 'editEvent', event);
  });

  test('errors', async () => {
    const wrong = [
      ['/v1/chat/completions', { model: 'nobody', messages }, 404],
      ['/v1/chat/completions', { model: 'a', messages, temperature: 'hot' }, 400],
      ['/v1/chat/completions', { model: 'a' }, 400],
      ['/v1/chat/completions', { model: 'nomic-embed', messages }, 400],
      ['/v1/completions', { model: 'nobody', prompt: 'x' }, 404],
      ['/v1/responses', { model: 'nobody', input: 'x' }, 404],
      ['/v1/responses', { model: 'a', input: 'x', background: true }, 400],
      ['/v1/responses/resp_none', undefined, 404],
      ['/v1/embeddings', { model: 'nomic-embed' }, 400],
      ['/v1/models/nobody', undefined, 404],
      ['/v1/nothing', undefined, 404],
      ['/v1/images/generations', { model: 'flux-dev' }, 400],
    ];
    for (const [path, body, status] of wrong) keep(openai, 'errorBody', await json(box.url + path, body, status));
  });
});

/** The order that clients rely on: every item and part is opened, filled and closed. */
function checkOrder(seen) {
  assert.deepEqual(seen.map((event) => event.sequence_number), seen.map((_, i) => i));
  assert.deepEqual(seen.slice(0, 2).map((event) => event.type), ['response.created', 'response.in_progress']);
  assert.match(seen.at(-1).type, /^response\.(completed|incomplete)$/);
  let item = null;
  let part = null;
  let items = 0;
  for (const event of seen.slice(2, -1)) {
    const type = event.type.slice('response.'.length);
    if (type === 'output_item.added') {
      assert.equal(item, null);
      assert.equal(event.output_index, items);
      item = event.item;
      items += 1;
      continue;
    }
    assert.equal(event.output_index, items - 1, type);
    if (type === 'output_item.done') {
      assert.deepEqual([event.item.id, event.item.type, part], [item.id, item.type, null]);
      assert.deepEqual(event.item, seen.at(-1).response.output[items - 1]);
      item = null;
      continue;
    }
    assert.equal(event.item_id, item.id, type);
    const index = event.content_index ?? event.summary_index;
    if (/part\.added$/.test(type)) {
      assert.equal(part, null);
      part = index;
    } else if (/part\.done$/.test(type)) {
      assert.equal(index, part);
      part = null;
    } else if (index !== undefined) {
      assert.equal(index, part, type);
    }
  }
  assert.equal(item, null);
  assert.equal(items, seen.at(-1).response.output.length);
}

describe('Anthropic', () => {
  const MESSAGES = {
    plain: {},
    'a stop text': { stop_sequences: ['the'] },
    'a tool that must be called': { tools: [{ name: 'add', input_schema: ADD }], tool_choice: { type: 'any' }, max_tokens: 128 },
    'uses of tools': { tools: [{ name: 'add', input_schema: ADD }], messages: [{ role: 'user', content: '[[tool:2]][[id:t]]' }] },
    thinking: { messages: [{ role: 'user', content: '[[think]]' }], thinking: { type: 'enabled', budget_tokens: 1024 }, max_tokens: 2048 },
    'thinking that is not shown': { messages: [{ role: 'user', content: '[[think]]' }], thinking: { type: 'adaptive', display: 'omitted' } },
  };
  for (const [name, fields] of Object.entries(MESSAGES)) {
    test(`messages: ${name}`, async () => {
      for (const [url, model] of both()) {
        const body = { model, max_tokens: 24, temperature: 0, messages: [{ role: 'user', content: STORY }], ...fields };
        if (body.max_tokens > 1000 && url === server.url) body.messages = [{ role: 'user', content: 'Write a sentence with the words cat, tree and rain.' }];
        const answer = keep(anthropic, 'messageAnswer', await json(`${url}/v1/messages`, body));
        const seen = (await events(`${url}/v1/messages`, { ...body, stream: true })).filter((event) => event.type !== 'ping');
        for (const event of seen) keep(anthropic, 'messageEvent', event);
        const blocks = seen.filter((event) => event.type === 'content_block_start').map((event) => event.content_block.type);
        assert.deepEqual(blocks, answer.content.map((block) => block.type));
        assert.equal(seen.find((event) => event.type === 'message_delta').delta.stop_reason, answer.stop_reason);
      }
    });
  }

  test('tokens', async () => {
    for (const [url, model] of both()) {
      keep(anthropic, 'tokensCount', await json(`${url}/v1/messages/count_tokens`, { model, messages: [{ role: 'user', content: STORY }] }));
    }
  });

  test('models', async () => {
    for (const [url] of both()) {
      const headers = { 'anthropic-version': '2023-06-01' };
      const list = await (await fetch(`${url}/v1/models`, { headers })).json();
      assert.deepEqual(Object.keys(list).sort(), ['data', 'first_id', 'has_more', 'last_id']);
      for (const model of list.data) {
        keep(anthropic, 'model', model);
        keep(anthropic, 'model', await (await fetch(`${url}/v1/models/${model.id}`, { headers })).json());
      }
    }
  });

  test('errors', async () => {
    const messages = [{ role: 'user', content: 'x' }];
    const wrong = [
      [{ model: 'nobody', max_tokens: 8, messages }, 404],
      [{ model: 'a', messages }, 400],
      [{ model: 'a', max_tokens: 8, messages: 'x' }, 400],
      [{ model: 'nomic-embed', max_tokens: 8, messages }, 400],
    ];
    for (const [body, status] of wrong) keep(anthropic, 'errorBody', await json(`${box.url}/v1/messages`, body, status));
    keep(anthropic, 'errorBody', await json(`${box.url}/v1/messages/count_tokens`, { model: 'nobody', messages }, 404));
  });
});

describe('Ollama', () => {
  const tools = [{ type: 'function', function: { name: 'add', description: 'Adds.', parameters: ADD } }];
  const CHATS = {
    plain: {},
    'calls of tools': { tools, messages: [{ role: 'user', content: '[[tool:2]][[id:t]]' }] },
    thinking: { messages: [{ role: 'user', content: '[[think]] hi' }], think: true },
    'JSON of a schema': { format: WORD },
    'log probabilities': { logprobs: true, top_logprobs: 2 },
  };
  for (const [name, fields] of Object.entries(CHATS)) {
    test(`chat: ${name}`, async () => {
      for (const [url, model] of both()) {
        const body = { model, messages: [{ role: 'user', content: STORY }], options: { num_predict: 12, temperature: 0 }, ...fields };
        const sent = await ask(`${url}/api/chat`, { ...body, stream: false });
        if (fields.think && url === server.url && sent.status === 400) continue; // a model that does not think
        assert.equal(sent.status, 200, sent.text);
        keep(ollama, 'chatAnswer', JSON.parse(sent.text));
        const pieces = await lines(`${url}/api/chat`, body);
        for (const piece of pieces.slice(0, -1)) keep(ollama, 'chatPiece', piece);
        keep(ollama, 'chatAnswer', pieces.at(-1));
        assert.deepEqual(pieces.map((piece) => piece.done), pieces.map((_, i) => i === pieces.length - 1));
      }
    });
  }

  test('generate', async () => {
    for (const [url, model] of both()) {
      const body = { model, prompt: STORY, options: { num_predict: 12, temperature: 0 } };
      keep(ollama, 'generateAnswer', await json(`${url}/api/generate`, { ...body, stream: false }));
      const pieces = await lines(`${url}/api/generate`, body);
      for (const piece of pieces.slice(0, -1)) keep(ollama, 'generatePiece', piece);
      keep(ollama, 'generateAnswer', pieces.at(-1));
    }
  });

  test('models', async () => {
    for (const [url, model] of both()) {
      assert.ok(keep(ollama, 'modelList', await json(`${url}/api/tags`)).models.length > 0);
      assert.ok(keep(ollama, 'runningList', await json(`${url}/api/ps`)).models.length > 0);
      keep(ollama, 'shown', await json(`${url}/api/show`, { model }));
      keep(ollama, 'version', await json(`${url}/api/version`));
    }
  });

  test('vectors', async () => {
    keep(ollama, 'embedAnswer', await json(`${box.url}/api/embed`, { model: 'nomic-embed', input: ['one', 'two'] }));
    keep(ollama, 'embeddingsAnswer', await json(`${box.url}/api/embeddings`, { model: 'nomic-embed', prompt: 'one' }));
  });

  test('errors', async () => {
    keep(ollama, 'errorBody', await json(`${box.url}/api/chat`, { model: 'nobody', messages: [] }, 404));
    keep(ollama, 'errorBody', await json(`${box.url}/api/show`, { model: 'nobody' }, 404));
    keep(ollama, 'errorBody', await json(`${box.url}/api/generate`, { model: 'a', prompt: 3 }, 400));
  });
});

// A schema that holds for everything would find no fault above: each must refuse what was valid with
// anything that its type demands left out, or of another type.
describe('the schemas', () => {
  test('were held against every kind of event', () => {
    const part = (name) => [`${name}.added`, `${name}.done`];
    const text = (name) => [`${name}.delta`, `${name}.done`];
    const responses = [
      'created', 'in_progress', 'completed', 'incomplete', 'failed', ...part('output_item'), ...part('content_part'),
      ...part('reasoning_summary_part'), ...text('output_text'), ...text('reasoning_text'), ...text('reasoning_summary_text'),
      ...text('function_call_arguments'),
    ];
    const deltas = ['text_delta', 'thinking_delta', 'signature_delta', 'input_json_delta'];
    const messages = ['message_start', 'message_delta', 'message_stop', 'content_block_start', 'content_block_stop',
      ...deltas.map((delta) => `content_block_delta ${delta}`)];
    const pictures = ['pictureEvent image_generation.completed', 'editEvent image_edit.completed'];
    const missing = [
      ...pictures.map((event) => `openai ${event}`),
      ...responses.map((event) => `openai responseEvent response.${event}`),
      ...messages.map((event) => `anthropic messageEvent ${event}`),
    ].filter((name) => !checked.has(name));
    assert.deepEqual(missing, []);
  });

  test('refuse answers that lack or mistake a field', (t) => {
    let tried = 0;
    assert.ok(checked.size >= 40, `only ${checked.size} kinds of answers came`);
    for (const [name, { types, kind, value }] of checked) {
      const paths = types.demanded(kind, value);
      assert.ok(paths.length > 0, `${name} demands nothing`);
      for (const path of paths) {
        const at = `${name}: ${path.join('.')}`;
        assert.notDeepEqual(types.errorsOf(kind, changed(value, path)), [], `without ${at}`);
        const was = path.reduce((one, key) => one[key], value);
        if (path.at(-1) === 'input') continue; // of a tool: the type takes anything
        const others = was === null ? [true, 1.5, 'a text', { an: 'object' }] : [typeof was === 'object' ? 'a text' : { an: 'object' }];
        assert.ok(others.some((other) => types.errorsOf(kind, changed(value, path, other)).length > 0), `${at} of another type`);
        tried += 2;
      }
    }
    t.diagnostic(`${checked.size} kinds of answers, ${tried} changes refused`);
  });
});

test('the daemons end in good order', () => Promise.all([server.stop(), box.stop()]));
