// A client that asks as GAIA's and Lemonade's own user interfaces do: their calls, in their order,
// and the fields that they read. Not a test.
import { setTimeout as delay } from 'node:timers/promises';

const SETTLE_MS_MAX = 15_000;

export class LemonadeError extends Error {
  constructor(status, body) {
    super(`${status}: ${typeof body === 'string' ? body : JSON.stringify(body)}`);
    this.status = status;
    this.body = body;
  }
}

/** Names count with and without "user.", in any case. */
function sameModel(a, b) {
  const bare = (name) => (name ?? '').trim().toLowerCase().replace(/^user\./, '');
  return bare(a) === bare(b);
}

export class LemonadeClient {
  /** `prefix`: "/api/v1", "/v1" … */
  constructor(url, { prefix = '/api/v1', key } = {}) {
    this.base = url + prefix;
    this.headers = key === undefined ? {} : { authorization: `Bearer ${key}` };
  }

  async send(method, path, body) {
    const response = await fetch(this.base + path, {
      method,
      headers: { 'content-type': 'application/json', ...this.headers },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    const text = await response.text();
    let parsed = text;
    try {
      parsed = JSON.parse(text);
    } catch {
      // as it stands
    }
    if (response.status !== 200) throw new LemonadeError(response.status, parsed);
    return parsed;
  }

  health() { return this.send('GET', '/health'); }
  stats() { return this.send('GET', '/stats'); }
  systemInfo() { return this.send('GET', '/system-info?verbose=true'); }
  models(showAll = false) { return this.send('GET', `/models${showAll ? '?show_all=true' : ''}`); }
  model(id) { return this.send('GET', `/models/${encodeURIComponent(id)}`); }
  pull(name, fields = {}) { return this.send('POST', '/pull', { model_name: name, ...fields }); }
  remove(name) { return this.send('POST', '/delete', { model_name: name }); }
  load(name, fields = {}) { return this.send('POST', '/load', { model_name: name, ...fields }); }
  installBackend(spec) { return this.send('POST', '/install', { spec }); }

  async unload(name, { ignoreIfNotLoaded = false } = {}) {
    try {
      return await this.send('POST', '/unload', name === undefined ? undefined : { model_name: name });
    } catch (error) {
      if (ignoreIfNotLoaded && /not loaded/i.test(error.message)) return { status: 'not_loaded' };
      throw error;
    }
  }

  chat(model, content, fields = {}) {
    return this.send('POST', '/chat/completions', { model, messages: [{ role: 'user', content }], ...fields });
  }

  /** Events of a pull, each with its name; an "error" is thrown. */
  async* pullStream(name, fields = {}, signal = undefined) {
    const response = await fetch(`${this.base}/pull`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...this.headers },
      body: JSON.stringify({ model_name: name, stream: true, ...fields }),
      signal,
    });
    if (response.status !== 200) throw new LemonadeError(response.status, await response.text());
    let text = '';
    let event = null;
    for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) {
      text += chunk;
      let end;
      while ((end = text.indexOf('\n')) >= 0) {
        const line = text.slice(0, end);
        text = text.slice(end + 1);
        if (line.startsWith('event:')) {
          event = line.slice(6).trim();
        } else if (line.startsWith('data:')) {
          const data = JSON.parse(line.slice(5));
          if (event === 'error') throw new LemonadeError(200, data.error);
          yield { event: event ?? 'progress', ...data };
        }
      }
    }
  }

  /** What is loaded, each with the labels of the list. */
  async status() {
    const health = await this.health();
    const listed = new Map((await this.models()).data.map((one) => [one.id, one]));
    const loaded = health.all_models_loaded.map((one) => ({
      ...one, id: one.model_name, labels: listed.get(one.model_name)?.labels ?? [],
    }));
    const llm = loaded.find((one) => one.type === 'llm' && one.recipe_options?.ctx_size);
    return { version: health.version, contextSize: llm?.recipe_options.ctx_size ?? 0, loaded };
  }

  async loadedEntry(name) {
    return (await this.status()).loaded.find((one) => sameModel(one.id, name));
  }

  async untilLoaded(name, present) {
    const deadline = Date.now() + SETTLE_MS_MAX;
    for (;;) {
      const entry = await this.loadedEntry(name);
      if ((entry !== undefined) === present) return entry;
      if (Date.now() > deadline) throw new Error(`${name} did not become ${present ? '' : 'un'}loaded`);
      await delay(20);
    }
  }

  /** At exactly that context: unload, wait, load, wait, look. */
  async pinContext(name, tokens) {
    await this.unload(name, { ignoreIfNotLoaded: true });
    await this.untilLoaded(name, false);
    await this.load(name, { ctx_size: tokens });
    const entry = await this.untilLoaded(name, true);
    if (entry.recipe_options.ctx_size !== tokens) throw new Error(`settled at ${entry.recipe_options.ctx_size}`);
    return entry;
  }

  /** Whether it is here; pulls it otherwise. */
  async ensureDownloaded(name, fields) {
    const here = async () => (await this.models()).data.some((one) => sameModel(one.id, name) && one.downloaded);
    if (!(await here())) await this.pull(name, fields);
    return here();
  }
}
