// The daemon's WebSockets with real clients: `ws`, the official OpenAI client's realtime transcription,
// and raw sockets for what no client would send; over a scripted whisper-server.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { after, before, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';

import OpenAI from 'openai';
import { OpenAIRealtimeWS } from 'openai/realtime/ws';
import { WebSocket } from 'ws';

import { LaneBox } from './lane_box.mjs';

const WAIT_MS_MAX = 20_000;

/** Samples of 16 bits as base64: `level` of full scale, 0 = silence. */
function sound(ms, level, rate) {
  const bytes = Buffer.alloc(Math.round((ms * rate) / 1000) * 2);
  for (let i = 0; i < bytes.length / 2; i += 1) {
    bytes.writeInt16LE(Math.round(32767 * level * Math.sin(i * 0.3)), i * 2);
  }
  return bytes;
}

/** A socket whose messages are taken one by one. */
class Talk {
  constructor(url, protocols = [], options = {}) {
    this.socket = new WebSocket(url, protocols, options);
    this.events = [];
    this.waiting = [];
    this.socket.on('message', (bytes) => {
      const event = JSON.parse(bytes.toString());
      const taker = this.waiting.shift();
      if (taker) taker(event);
      else this.events.push(event);
    });
    this.closed = once(this.socket, 'close').then(([code, reason]) => ({ code, reason: reason.toString() }));
    this.socket.on('error', () => {});
  }

  static async open(...how) {
    const talk = new Talk(...how);
    await once(talk.socket, 'open');
    return talk;
  }

  send(event) {
    this.socket.send(JSON.stringify(event));
  }

  next() {
    if (this.events.length > 0) return Promise.resolve(this.events.shift());
    return Promise.race([
      new Promise((resolve) => this.waiting.push(resolve)),
      delay(WAIT_MS_MAX, undefined, { ref: false }).then(() => assert.fail('no event came')),
    ]);
  }

  /** Takes events up to one whose type ends so. */
  async until(end) {
    const taken = [];
    do taken.push(await this.next());
    while (!taken.at(-1).type.endsWith(end));
    return taken;
  }

  async close() {
    this.socket.close(1000);
    return this.closed;
  }
}

/** The status with which a handshake is refused, and its body. */
function refusal(url, protocols = [], options = {}) {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(url, protocols, options);
    socket.on('error', () => {});
    socket.on('open', () => {
      socket.terminate();
      reject(new Error('it was let in'));
    });
    socket.on('unexpected-response', (_request, response) => {
      const chunks = [];
      response.on('data', (chunk) => chunks.push(chunk));
      response.on('end', () =>
        resolve({ status: response.statusCode, body: Buffer.concat(chunks).toString() }));
    });
  });
}

const append = (bytes) => ({ type: 'input_audio_buffer.append', audio: bytes.toString('base64') });

describe('WebSockets', () => {
  let box;
  let ws; // ws://host:port

  before(async () => {
    box = await LaneBox.start({
      models: ['whisper-tiny'],
      lanes: { ears: { engine: 'whisper-server', script: { text: 'Hello there.' } } },
    });
    ws = box.url.replace('http', 'ws');
  });
  after(() => box?.stop());

  it('says over HTTP that it is a WebSocket', async () => {
    const answer = await box.keeper.ask('GET', '/v1/realtime');
    assert.equal(answer.status, 426);
    assert.match(answer.body.error.message, /WebSocket/);
    assert.equal(answer.headers.upgrade, 'websocket');
    const { status, body } = await refusal(`${ws}/v1/nowhere`);
    assert.equal(status, 404);
    assert.match(body, /there is nothing at/);
  });

  it('lets no foreign pages in', async () => {
    assert.equal((await refusal(`${ws}/v1/realtime`, [], { origin: 'https://evil.example' })).status, 403);
    const local = await Talk.open(`${ws}/v1/realtime`, [], { origin: 'http://localhost:1420' });
    await local.close();
  });

  it('transcribes for the OpenAI client', async () => {
    const client = new OpenAI({ baseURL: `${box.url}/v1`, apiKey: 'none' });
    // The client insists on wss://; the daemon of this test has no certificate.
    const options = { createConnection: ({ host, port }) => net.connect(Number(port), host) };
    const realtime = new OpenAIRealtimeWS({ model: 'whisper-tiny', options }, client);
    const seen = [];
    let text = '';
    realtime.on('error', (error) => assert.fail(error.message));
    realtime.on('event', (event) => seen.push(event.type));
    realtime.on('conversation.item.input_audio_transcription.delta', (event) => (text += event.delta));
    await new Promise((resolve) => realtime.on('session.created', resolve));
    realtime.send({
      type: 'session.update',
      session: {
        type: 'transcription',
        audio: {
          input: {
            format: { type: 'audio/pcm', rate: 24_000 },
            transcription: { model: 'whisper-tiny', language: 'en' },
            turn_detection: { type: 'server_vad', threshold: 0.5, prefix_padding_ms: 300, silence_duration_ms: 500 },
          },
        },
      },
    });
    const session = await new Promise((resolve) => realtime.on('session.updated', resolve));
    assert.equal(session.session.audio.input.transcription.model, 'whisper-tiny');
    const done = new Promise((resolve) =>
      realtime.on('conversation.item.input_audio_transcription.completed', resolve));
    const speech = Buffer.concat([sound(400, 0, 24_000), sound(900, 0.3, 24_000), sound(700, 0, 24_000)]);
    for (let at = 0; at < speech.length; at += 4096) realtime.send(append(speech.subarray(at, at + 4096)));
    const completed = await done;
    assert.equal(completed.transcript, 'Hello there.');
    assert.equal(text.trim(), 'Hello there.');
    assert.equal(completed.usage.type, 'duration');
    const order = ['input_audio_buffer.speech_started', 'input_audio_buffer.speech_stopped', 'input_audio_buffer.committed'];
    assert.deepEqual(seen.filter((type) => type.startsWith('input_audio_buffer')), order);
    realtime.close();
  });

  it("transcribes as Lemonade's clients ask for it", async () => {
    const talk = await Talk.open(`${ws}/realtime?model=whisper-tiny`);
    const created = await talk.next();
    assert.equal(created.type, 'session.created');
    assert.ok(created.session.id);
    talk.send({ type: 'session.update', session: { model: 'whisper-tiny', turn_detection: null } });
    assert.equal((await talk.next()).type, 'session.updated');
    for (let i = 0; i < 3; i += 1) {
      talk.send(append(sound(600, 0.2, 16_000)));
      talk.send({ type: 'input_audio_buffer.commit' });
    }
    const items = [];
    const transcripts = [];
    while (transcripts.length < 3) {
      const event = await talk.next();
      if (event.type === 'input_audio_buffer.committed') items.push(event.item_id);
      if (event.type.endsWith('.completed')) transcripts.push(event);
    }
    assert.deepEqual(transcripts.map((event) => event.item_id), items);
    assert.ok(transcripts.every((event) => event.transcript === 'Hello there.'));
    assert.equal((await talk.close()).code, 1000);
  });

  it('says what is wrong, and goes on', async () => {
    const talk = await Talk.open(`${ws}/v1/realtime?intent=transcription`);
    await talk.next();
    for (const event of [{ type: 'response.create', event_id: 'mine' }, { type: 'input_audio_buffer.append', audio: '*' }, 7]) {
      talk.send(event);
      const error = await talk.next();
      assert.equal(error.type, 'error');
      assert.equal(error.error.event_id, event.event_id ?? null);
    }
    talk.send({ type: 'session.update', session: { audio: { input: { transcription: { model: 'none' }, turn_detection: null } } } });
    await talk.next();
    talk.send(append(sound(300, 0.2, 24_000)));
    talk.send({ type: 'input_audio_buffer.commit' });
    const failed = (await talk.until('.failed')).at(-1);
    assert.match(failed.error.message, /none/);
    await talk.close();
  });

  it('streams the logs of the daemon and its lanes', async () => {
    const talk = await Talk.open(`${ws}/logs/stream`);
    talk.send({ type: 'logs.subscribe', after_seq: null });
    const snapshot = await talk.next();
    assert.equal(snapshot.type, 'logs.snapshot');
    const own = snapshot.entries.filter((entry) => entry.tag === 'trilane');
    assert.ok(own.some((entry) => /listening on/.test(entry.line)), JSON.stringify(own));
    assert.ok(snapshot.entries.some((entry) => entry.tag === 'ears'));
    snapshot.entries.forEach((entry, i) => {
      assert.equal(entry.seq, snapshot.entries[0].seq + i);
      assert.match(entry.timestamp, /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}$/);
      assert.ok(entry.line.startsWith(`${entry.timestamp} [${entry.severity}] (${entry.tag}) `));
    });
    await box.keeper.ask('POST', '/trilane/v1/unload', { model: 'whisper-tiny' });
    const entry = await talk.next();
    assert.equal(entry.type, 'logs.entry');
    assert.equal(entry.entry.seq, snapshot.entries.at(-1).seq + 1);
    const again = await Talk.open(`${ws}/api/v1/logs/stream`);
    again.send({ type: 'logs.subscribe', after_seq: snapshot.entries.at(-1).seq });
    assert.equal((await again.next()).entries[0].seq, entry.entry.seq);
    again.send({ type: 'logs.subscribe', after_seq: 'all' });
    assert.equal((await again.until('error')).at(-1).error.type, 'invalid_request_error');
    await again.close();
    await talk.close();
  });

  it('closes on what breaks the rules', async () => {
    const big = await Talk.open(`${ws}/v1/realtime`);
    big.socket.send('x'.repeat(3 << 20));
    assert.equal((await big.closed).code, 1009);
    const binary = await Talk.open(`${ws}/v1/realtime`);
    await binary.next();
    binary.socket.send(Buffer.from([1, 2, 3]));
    assert.equal((await binary.next()).type, 'error');
    await binary.close();
    const ill = await Talk.open(`${ws}/v1/realtime`);
    ill.socket.send(Buffer.from([0xc3, 0x28]), { binary: false });
    assert.equal((await ill.closed).code, 1007);
  });

  it('outlives clients that vanish, half a handshake and rubbish', async () => {
    for (let i = 0; i < 20; i += 1) {
      const talk = await Talk.open(`${ws}/v1/realtime?model=whisper-tiny`);
      talk.send({ type: 'session.update', session: { turn_detection: null } });
      talk.send(append(sound(300, 0.2, 16_000)));
      talk.send({ type: 'input_audio_buffer.commit' });
      if (i % 2) await talk.next();
      talk.socket.terminate();
    }
    const { hostname, port } = new URL(box.url);
    for (const bytes of [
      'GET /v1/realtime HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n',
      'GET /v1/realtime HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
        'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n\xff\xff\xff\xff',
    ]) {
      const socket = net.connect(Number(port), hostname);
      socket.on('error', () => {});
      await once(socket, 'connect');
      socket.write(Buffer.from(bytes, 'latin1'));
      await delay(20);
      socket.destroy();
    }
    assert.equal((await box.keeper.ask('GET', '/live')).status, 200);
  });

  it('lets a slow reader of the logs wait without growing', async () => {
    const talk = await Talk.open(`${ws}/logs/stream`);
    talk.socket.pause();
    const filler = 'x'.repeat(2000);
    for (let i = 0; i < 400; i += 1) talk.send({ type: 'logs.subscribe', after_seq: null, filler });
    await delay(300);
    const resident = Number(/VmRSS:\s+(\d+)/.exec(
      (await import('node:fs')).readFileSync(`/proc/${box.child.pid}/status`, 'utf8'))[1]);
    assert.ok(resident < 400_000, `${resident} KiB`);
    talk.socket.resume();
    talk.socket.terminate();
    assert.equal((await box.keeper.ask('GET', '/live')).status, 200);
  });

  it('holds 200 of them, and bounds realtime sessions', async () => {
    const logs = await Promise.all(Array.from({ length: 200 }, () => Talk.open(`${ws}/logs/stream`)));
    logs.forEach((talk) => talk.send({ type: 'logs.subscribe', after_seq: null }));
    const snapshots = await Promise.all(logs.map((talk) => talk.next()));
    assert.ok(snapshots.every((event) => event.type === 'logs.snapshot'));
    const sessions = await Promise.all(Array.from({ length: 8 }, () => Talk.open(`${ws}/v1/realtime`)));
    const { status, body } = await refusal(`${ws}/v1/realtime`);
    assert.equal(status, 429);
    assert.match(JSON.parse(body).error.message, /has 8 realtime sessions open/);
    await Promise.all([...logs, ...sessions].map((talk) => talk.close()));
    const metrics = (await box.keeper.ask('GET', '/metrics')).body;
    assert.match(metrics, /endpoint="\/logs\/stream",method="GET",status="101"/);
  });
});

describe('WebSockets where keys are asked for', () => {
  let box;
  let ws;
  const key = 'tl-end-to-end';

  before(async () => {
    box = await LaneBox.start({
      models: ['whisper-tiny'],
      lanes: { ears: { engine: 'whisper-server', script: { text: 'Hi.' } } },
      options: ['--api-key', key],
    });
    ws = box.url.replace('http', 'ws');
  });

  it('takes the key in the ways that clients have', async () => {
    assert.equal((await refusal(`${ws}/v1/realtime`)).status, 401);
    assert.equal((await refusal(`${ws}/logs/stream?api_key=wrong`)).status, 401);
    const ways = [
      [`${ws}/v1/realtime?api_key=${key}`],
      [`${ws}/v1/realtime`, [], { headers: { authorization: `Bearer ${key}` } }],
      [`${ws}/v1/realtime`, ['realtime', `openai-insecure-api-key.${key}`]],
    ];
    for (const way of ways) {
      const talk = await Talk.open(...way);
      assert.equal((await talk.next()).type, 'session.created');
      if (way[1]?.length) assert.equal(talk.socket.protocol, 'realtime');
      await talk.close();
    }
    assert.ok(!box.log.includes(key), 'the key is in the log');
  });

  it('says goodbye when it stops', async () => {
    const talks = await Promise.all(
      Array.from({ length: 5 }, () => Talk.open(`${ws}/v1/realtime?model=whisper-tiny&api_key=${key}`)));
    talks[0].send({ type: 'session.update', session: { turn_detection: null } });
    talks[0].send(append(sound(300, 0.2, 16_000)));
    talks[0].send({ type: 'input_audio_buffer.commit' });
    await talks[0].until('.committed');
    const stopping = box.stop();
    const ends = await Promise.all(talks.map((talk) => talk.closed));
    assert.deepEqual(ends.map((end) => end.code), [1001, 1001, 1001, 1001, 1001]);
    const ms = await stopping;
    assert.ok(ms < 10_000, `it took ${ms} ms`);
  });
});
