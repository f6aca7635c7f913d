// The records of a CSV text and which of them are malformed (RFC 4180); as cleanroom/client/records.py and readers.py.
import { FileRefused } from "./errors.js";

const SEPARATORS = [",", ";", "\t"];
const MAX_RECORD = 1 << 20;
const MAX_COLUMNS = 16_384;
const BLANK = /[\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]/;
const QUOTE = 34, NEWLINE = 10, RETURN = 13;

// Yields { fields, fault, share, hasOptional } per record, the header left out; `fault` is a reason or null, and `fields`
// is empty then. `wanted` are the columns that must be there; `optional` those that may be. Fields come in that order.
export async function* recordsOf(texts, wanted, optional = []) {
  let table = null, pending = "", any = false, share = 0;
  for await (const piece of withEnd(texts)) {
    share = piece.share ?? share;
    const data = piece.end ? (pending ? pending + "\n" : "") : pending + piece.text;
    let at = 0;
    if (!table) {
      const end = endOfHeader(data);
      if (end < 0) {
        if (data.length > MAX_RECORD) throw new FileRefused("long_line", { row: 0 });
        pending = data;
        continue;
      }
      table = new Table(data.slice(0, end), wanted, optional);
      at = end + 1;
    }
    const reader = new Reader(data, table.separator);
    for (;;) {
      const record = reader.next(at);
      if (!record) break;
      at = record.end;
      if (record.blank) continue;
      any = true;
      const fault = record.broken ? "broken_quotes" : record.fields.length === table.fields ? null : "ragged_row";
      yield { fields: fault ? [] : table.pick(record.fields), fault, share, hasOptional: table.hasOptional };
    }
    pending = data.slice(at);
    if (pending.length > MAX_RECORD) throw new FileRefused("long_line", {});
  }
  if (pending.replace(/[\r\n]/g, "")) throw new FileRefused("unclosed");
  if (!table || !any) throw new FileRefused("no_rows");
}

// The names of a text's columns, and the separator between them.
export function headerOf(line, wanted = []) {
  const found = SEPARATORS.map((separator) => ({ separator, names: split(line, separator) }));
  const hits = (one) => new Set(one.names.map((name) => name.trim()).filter((name) => wanted.includes(name))).size;
  // The separator that shows most of the wanted columns; of equals the one with most columns.
  return found.reduce((best, one) =>
    hits(one) > hits(best) || (hits(one) === hits(best) && one.names.length > best.names.length) ? one : best);
}

export function endOfHeader(data) {
  let inside = false;
  for (let at = 0; at < data.length; at += 1) {
    const code = data.charCodeAt(at);
    if (code === QUOTE) inside = !inside;
    else if (code === NEWLINE && !inside) return at;
  }
  return -1;
}

class Table {
  constructor(header, wanted, optional) {
    const { separator, names } = headerOf(header.replace(/\r$/, ""), wanted);
    this.separator = separator;
    this.fields = names.length;
    if (names.length > MAX_COLUMNS) throw new FileRefused("columns", { most: MAX_COLUMNS });
    const clean = names.map((name) => name.normalize("NFC").trim());
    const missing = wanted.filter((name) => !clean.includes(name));
    if (missing.length) throw new FileRefused("missing", { columns: missing.slice(0, 20).join(", ") });
    const double = [...wanted, ...optional].filter((name) => clean.indexOf(name) !== clean.lastIndexOf(name));
    if (double.length) throw new FileRefused("double", { columns: double.slice(0, 20).join(", ") });
    this.places = [...wanted, ...optional].map((name) => clean.indexOf(name));
    this.hasOptional = optional.some((name) => clean.includes(name));
  }

  pick(fields) {
    return this.places.map((place) => (place < 0 ? null : trimmed(fields[place])));
  }
}

class Reader {
  constructor(data, separator) {
    this.data = data;
    this.separator = separator;
    this.mark = separator.charCodeAt(0);
    this.quote = -2;
  }

  // The record that begins at a place; null when the text ends before it does.
  next(start) {
    const { data } = this;
    const newline = data.indexOf("\n", start);
    if (newline < 0) return null;
    if (this.quote !== -1 && this.quote < start) this.quote = data.indexOf('"', start);
    if (this.quote === -1 || this.quote > newline) {
      if (newline - start > MAX_RECORD) throw new FileRefused("long_line", {});
      const length = newline - start;
      if (length === 0 || (length === 1 && data.charCodeAt(start) === RETURN)) return { end: newline + 1, blank: true };
      return { end: newline + 1, fields: data.slice(start, newline).split(this.separator), broken: false };
    }
    return this.quoted(start);
  }

  // One stray quote must not turn all that follows inside out, so quotes are followed one by one.
  quoted(start) {
    const { data, mark } = this;
    const fields = [];
    let field = start, opened = false, closed = -1, broken = false;
    for (let at = start; at < data.length; at += 1) {
      const code = data.charCodeAt(at);
      if (opened) {
        if (code !== QUOTE) continue;
        if (at + 1 === data.length) return null;
        const following = data.charCodeAt(at + 1);
        if (following === QUOTE) {
          at += 1;
          continue;
        }
        if (following !== mark && following !== NEWLINE && following !== RETURN) broken = true;
        opened = false;
        closed = at;
      } else if (code === QUOTE) {
        if (at === field) opened = true;
        else broken = true;
      } else if (code === mark || code === NEWLINE) {
        fields.push(closed < 0 ? data.slice(field, at) : data.slice(field + 1, closed).replaceAll('""', '"'));
        field = at + 1;
        closed = -1;
        if (code === NEWLINE) {
          if (at - start > MAX_RECORD) throw new FileRefused("long_line", {});
          return { end: at + 1, fields, broken };
        }
      }
    }
    return null;
  }
}

function split(line, separator) {
  return new Reader(line + "\n", separator).next(0)?.fields ?? [line];
}

function blank(code) {
  if (code < 0x85) return code === 32 || (code >= 9 && code <= 13);
  return code === 0x85 || code === 0xa0 || (code >= 0x1680 && BLANK.test(String.fromCharCode(code)));
}

// Without the blanks around it; null when nothing is left.
export function trimmed(text) {
  let first = 0, last = text.length;
  while (first < last && blank(text.charCodeAt(first))) first += 1;
  while (last > first && blank(text.charCodeAt(last - 1))) last -= 1;
  return first === last ? null : first === 0 && last === text.length ? text : text.slice(first, last);
}

async function* withEnd(texts) {
  yield* texts;
  yield { end: true };
}
