// The upload package: an age file to the workspace's key around the prepared batch, and a manifest that says what it
// is. The formats are those of crypto/package.py, crypto/age.py and cleanroom/schema/batch.py.
import { FileRefused } from "./errors.js";
import { recordsOf } from "./csv.js";
import { Encoder } from "./encoder.js";
import { Encrypter, sha256 } from "./libraries.min.js";
import { hex } from "./profiles.js";
import { schemaOf } from "./schema.js";
import { textOf } from "./text.js";

const PURPOSE = "cleanroom/package-manifest/v1\n";
const MAX_REJECTS = 10_000;
const EVERY_ROWS = 4_096;
const utf8 = new TextEncoder();

// JSON in its one canonical form (RFC 8785), which is how JavaScript writes numbers and texts; keys are sorted.
export function canonical(value) {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  return `{${Object.keys(value).sort().map((key) => `${JSON.stringify(key)}:${canonical(value[key])}`).join(",")}}`;
}

export const schemaHash = (plain) => hex(sha256(utf8.encode(canonical(plain))));
export const recipientKeyId = (recipient) => hex(sha256(utf8.encode(recipient))).slice(0, 32);

// Reads a file and writes the encrypted package; only `sink` gets to see what comes out, and it sees no plain text.
//
// order: { schema, schema_sha256, recipient, mode, specials }; progress is called with { rows, rejected, share }.
// Returns what the manifest needs, and the counts that the file's owner should look at.
export async function prepare(file, order, sink, progress = () => {}) {
  if (schemaHash(order.schema) !== order.schema_sha256) throw new FileRefused("schema");
  const encrypter = new Encrypter();
  encrypter.addRecipient(order.recipient);
  const batch = new Batch(file, order, progress);
  const encrypted = await encrypter.encrypt(streamOf(batch.pieces()));
  const hash = sha256.create();
  let bytes = 0;
  const reader = encrypted.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    hash.update(value);
    await sink.write(value, bytes);
    bytes += value.length;
  }
  return { ...batch.trailer, rejects: batch.rejects, ciphertext_sha256: hex(hash.digest()), ciphertext_bytes: bytes };
}

class Batch {
  constructor(file, order, progress) {
    this.file = file;
    this.order = order;
    this.progress = progress;
    this.encoder = new Encoder(schemaOf(order.schema), order.mode, new Set(order.specials));
    this.rejects = [];
  }

  async *pieces() {
    const { encoder, order } = this;
    yield utf8.encode("CRB1");
    yield json({ v: 1, schema_sha256: order.schema_sha256, mode: order.mode, columns: encoder.layout, reasons: encoder.reasons });
    let read = 0, written = 0;
    for await (const record of recordsOf(textOf(this.file), encoder.columns, encoder.optional)) {
      read += 1;
      encoder.hasOp = record.hasOptional;
      const reason = record.fault ? encoder.reject(record.fault) : encoder.add(read, record.fields);
      if (reason && this.rejects.length < MAX_REJECTS) this.rejects.push([read, reason]);
      if (encoder.full) {
        written += encoder.rows;
        yield* frame(encoder);
      }
      if (read % EVERY_ROWS === 0) this.progress({ rows: read, rejected: read - written - encoder.rows, share: record.share });
    }
    encoder.requireDigests();
    if (encoder.rows) {
      written += encoder.rows;
      yield* frame(encoder);
    }
    if (!written) throw new FileRefused("none", { rows: read, reasons: most(encoder.counts.rejected) });
    this.trailer = { rows_read: read, rows_written: written, ...encoder.counts };
    this.progress({ rows: read, rejected: read - written, share: 1 });
    yield u32(0);
    yield json({ v: 1, ...this.trailer, rejects: this.rejects.length });
    yield this.numbers();
  }

  numbers() {
    const bytes = new Uint8Array(this.rejects.length * 10), view = new DataView(bytes.buffer);
    this.rejects.forEach(([row, reason], at) => {
      view.setBigUint64(at * 8, BigInt(row), true);
      view.setUint16(this.rejects.length * 8 + at * 2, this.encoder.codes[reason], true);
    });
    return bytes;
  }
}

function* frame(encoder) {
  const { rows, parts } = encoder.take();
  yield u32(rows);
  yield* parts;
}

function u32(value) {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value, true);
  return bytes;
}

function json(plain) {
  const text = utf8.encode(canonical(plain)), bytes = new Uint8Array(4 + text.length);
  bytes.set(u32(text.length));
  bytes.set(text, 4);
  return bytes;
}

function most(rejected) {
  return Object.entries(rejected).sort((a, b) => b[1] - a[1]).slice(0, 5).map(([reason, rows]) => `${reason} ${rows}`).join(", ");
}

function streamOf(pieces) {
  return new ReadableStream({
    async pull(to) {
      try {
        const { done, value } = await pieces.next();
        if (done) to.close();
        else to.enqueue(value);
      } catch (error) {
        to.error(error);
      }
    },
  });
}

// A manifest file: canonical JSON of the manifest and its Ed25519 signature over a label and the same JSON.
export async function signed(manifest, key) {
  const body = utf8.encode(PURPOSE + canonical(manifest));
  const signature = new Uint8Array(await crypto.subtle.sign("Ed25519", key, body));
  return canonical({ manifest, signature: btoa(String.fromCharCode(...signature)) });
}
