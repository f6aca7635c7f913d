// The text of a file, block by block: gzip or plain, UTF-8 or Windows-1251; as cleanroom/client/text_source.py.
import { FileRefused } from "./errors.js";

const BLOCK = 4 << 20;

// Yields { text, share }: a piece of text, and how much of the file is read by then.
export async function* textOf(file) {
  if (!file.size) throw new FileRefused("empty");
  const head = new Uint8Array(await file.slice(0, 4).arrayBuffer());
  if (starts(head, [0x50, 0x41, 0x52, 0x31])) throw new FileRefused("parquet");
  const decoding = new Decoding();
  let first = true;
  for await (const { bytes, share } of starts(head, [0x1f, 0x8b]) ? unpacked(file) : plain(file)) {
    let block = bytes;
    if (first) {
      if (starts(block, [0xff, 0xfe]) || starts(block, [0xfe, 0xff])) throw new FileRefused("encoding");
      if (starts(block, [0x50, 0x4b, 3, 4])) throw new FileRefused("workbook");
      if (starts(block, [0xef, 0xbb, 0xbf])) block = block.subarray(3);
      first = false;
    }
    if (block.includes(0)) throw new FileRefused("nul");
    yield { text: decoding.text(block), share };
  }
  decoding.finish();
}

async function* plain(file) {
  for (let at = 0; at < file.size; at += BLOCK) {
    const bytes = new Uint8Array(await file.slice(at, at + BLOCK).arrayBuffer());
    yield { bytes, share: Math.min(1, (at + BLOCK) / file.size) };
  }
}

async function* unpacked(file) {
  let read = 0;
  const counted = file.stream().pipeThrough(new TransformStream({
    transform(chunk, to) {
      read += chunk.length;
      to.enqueue(chunk);
    },
  }));
  const reader = counted.pipeThrough(new DecompressionStream("gzip")).getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield { bytes: value, share: Math.min(1, read / file.size) };
    }
  } catch (error) {
    throw error instanceof FileRefused ? error : new FileRefused("damaged");
  } finally {
    reader.cancel().catch(() => {});
  }
}

// Decides at the first byte outside ASCII, and stays with the decision.
class Decoding {
  constructor() {
    this.decoder = null;
    this.ascii = new TextDecoder();
  }

  text(block) {
    if (!this.decoder) {
      if (block.every((byte) => byte < 0x80)) return this.ascii.decode(block);
      this.decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
      try {
        return this.decoder.decode(block, { stream: true });
      } catch {
        if (!looksLikeCp1251(block)) throw new FileRefused("encoding");
        this.decoder = new TextDecoder("windows-1251");
        this.cp1251 = true;
      }
    }
    if (this.cp1251 && block.includes(0x98)) throw new FileRefused("encoding");
    try {
      return this.decoder.decode(block, { stream: true });
    } catch {
      throw new FileRefused("encoding");
    }
  }

  finish() {
    try {
      this.decoder?.decode();
    } catch {
      throw new FileRefused("encoding");
    }
  }
}

// Latin-1 has single accented letters between ASCII ones, DOS code pages use other byte ranges, and in KOI8-R words
// would begin small and go on in capitals.
function looksLikeCp1251(block) {
  let letters = 0, beyond = 0, inside = 0, beside = 0, rising = 0, falling = 0;
  let before = 0;
  for (const code of block) {
    const small = (code >= 0xe0) || code === 0xb8, capital = (code >= 0xc0 && code <= 0xdf) || code === 0xa8;
    const latin = (code | 0x20) >= 0x61 && (code | 0x20) <= 0x7a;
    const kind = small ? 1 : capital ? 2 : latin ? 3 : 0;
    if (code >= 0x80) beyond += 1;
    if (small || capital) letters += 1;
    if ((kind === 1 || kind === 2) && (before === 1 || before === 2)) inside += 1;
    if ((kind === 3 && (before === 1 || before === 2)) || ((kind === 1 || kind === 2) && before === 3)) beside += 1;
    if (before === 1 && kind === 2) rising += 1;
    if (before === 2 && kind === 1) falling += 1;
    before = kind;
  }
  return letters >= 0.8 * beyond && inside > beside && rising <= falling;
}

const starts = (bytes, mark) => mark.every((byte, at) => bytes[at] === byte);
