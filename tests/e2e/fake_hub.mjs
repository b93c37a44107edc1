// A hub that speaks as much of the Hugging Face API as `trilane pull` asks for. Not a test.
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import http from 'node:http';

const PIECE_BYTES = 1 << 20;

export class FakeHub {
  static async start() {
    const hub = new FakeHub();
    hub.server = http.createServer((request, response) => hub.answer(request, response));
    hub.server.listen(0, '127.0.0.1');
    await once(hub.server, 'listening');
    hub.url = `http://127.0.0.1:${hub.server.address().port}`;
    return hub;
  }

  files = new Map(); // "owner/name" → {path → Buffer}
  ranges = []; // of the requests for files, as they came
  holdAfter = null; // bytes of each answer, then nothing more; null = whole answers
  held = new Set();
  pieceMs = 0; // between pieces of each answer; 0 = whole answers

  put(repository, path, bytes) {
    this.files.set(repository, { ...this.files.get(repository), [path]: bytes });
  }

  answer(request, response) {
    const { pathname } = new URL(request.url, this.url);
    const listed = /^\/api\/models\/([^/]+\/[^/]+)\/tree\/main$/.exec(pathname);
    const asked = /^\/([^/]+\/[^/]+)\/resolve\/main\/(.+)$/.exec(pathname);
    const files = this.files.get((listed ?? asked)?.[1]);
    if (files === undefined || (asked && files[asked[2]] === undefined)) {
      response.writeHead(404, { 'x-error-code': 'RepoNotFound' }).end();
      return;
    }
    if (listed) {
      const nodes = Object.entries(files).map(([path, bytes]) => ({
        type: 'file', path, size: bytes.length, oid: '0'.repeat(40), lfs: { oid: sha256(bytes), size: bytes.length },
      }));
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(nodes));
      return;
    }
    this.send(request, response, files[asked[2]]);
  }

  send(request, response, bytes) {
    const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '') ?? [];
    const begin = Number(first ?? 0);
    const end = Math.min(Number(last ?? bytes.length - 1) + 1, bytes.length);
    this.ranges.push([begin, end]);
    response.writeHead(first === undefined ? 200 : 206, {
      etag: '"one"',
      'x-linked-etag': `"${sha256(bytes)}"`,
      'content-length': end - begin,
      ...(first === undefined ? {} : { 'content-range': `bytes ${begin}-${end - 1}/${bytes.length}` }),
    });
    if (this.pieceMs > 0) {
      this.trickle(response, bytes.subarray(begin, end));
    } else if (this.holdAfter === null) {
      response.end(bytes.subarray(begin, end));
    } else {
      response.write(bytes.subarray(begin, Math.min(end, begin + this.holdAfter)));
      this.held.add(response);
    }
  }

  trickle(response, bytes) {
    response.write(bytes.subarray(0, PIECE_BYTES));
    const rest = bytes.subarray(PIECE_BYTES);
    setTimeout(() => {
      if (response.destroyed) return;
      if (rest.length > 0) this.trickle(response, rest);
      else response.end();
    }, this.pieceMs);
  }

  letGo() {
    this.holdAfter = null;
    for (const response of this.held) response.destroy();
    this.held.clear();
  }

  async stop() {
    this.letGo();
    this.server.closeAllConnections();
    this.server.close();
    await once(this.server, 'close');
  }
}

export const sha256 = (bytes) => createHash('sha256').update(bytes).digest('hex');
