// Files that are made on the spot: a recording, a model that is a header and nothing else. Not a test.

/** A second of a tone as a WAV file of 16 bits. */
export function wav(rate = 44_100, seconds = 1) {
  const samples = Math.round(rate * seconds);
  const bytes = Buffer.alloc(44 + samples * 2);
  bytes.write('RIFF', 0);
  bytes.writeUInt32LE(36 + samples * 2, 4);
  bytes.write('WAVEfmt ', 8);
  bytes.writeUInt32LE(16, 16);
  bytes.writeUInt16LE(1, 20);
  bytes.writeUInt16LE(1, 22);
  bytes.writeUInt32LE(rate, 24);
  bytes.writeUInt32LE(rate * 2, 28);
  bytes.writeUInt16LE(2, 32);
  bytes.writeUInt16LE(16, 34);
  bytes.write('data', 36);
  bytes.writeUInt32LE(samples * 2, 40);
  for (let i = 0; i < samples; i += 1) {
    bytes.writeInt16LE(Math.round(8000 * Math.sin((2 * Math.PI * 440 * i) / rate)), 44 + i * 2);
  }
  return bytes;
}

/** A GGUF file of texts alone, the architecture first. */
export function gguf(architecture, fields = {}) {
  const text = (value) => {
    const bytes = Buffer.alloc(8 + value.length);
    bytes.writeBigUInt64LE(BigInt(value.length));
    bytes.write(value, 8);
    return bytes;
  };
  const all = Object.entries({ 'general.architecture': architecture, ...fields });
  const head = Buffer.alloc(24);
  head.write('GGUF');
  head.writeUInt32LE(3, 4);
  head.writeBigUInt64LE(BigInt(all.length), 16);
  const type = Buffer.from([8, 0, 0, 0]); // a text
  const bytes = Buffer.concat([head, ...all.flatMap(([name, value]) => [text(name), type, text(value)])]);
  return Buffer.concat([bytes, Buffer.alloc(32 - (bytes.length % 32))]);
}
