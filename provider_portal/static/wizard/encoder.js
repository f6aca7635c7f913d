// Turns records into the payload's columns, and says which rows are left out and why; as cleanroom/client/encoder.py.
import { FileRefused } from "./errors.js";
import { isKnownJunk } from "./normalise.js";
import { PROFILES, hashNormalised, normalise, parseHashed } from "./profiles.js";
import { columnsOf, layoutOf, reasonsOf, rowBytes } from "./schema.js";
import { BAD, LONG, MANY, attributeReader, consentReader, instantOf, lastDayOf } from "./values.js";

const OPS = { add: 0, replace: 0, delete: 1 };
const FRAME_BYTES = 16 << 20;
const MOST_ROWS = 16_384, FEWEST_ROWS = 64;
const FIRST_ROWS = 100_000;
const NULL_INT = -(2n ** 63n), NULL_DATE = -(2 ** 31);

export class Encoder {
  // `mode` is full or delta; `specials` are values of open categories that are refused, as words joined by `_`.
  constructor(schema, mode, specials) {
    this.schema = schema;
    this.mode = mode;
    this.layout = layoutOf(schema, mode);
    this.reasons = reasonsOf(schema);
    this.codes = Object.fromEntries(this.reasons.map((reason, code) => [reason, code]));
    this.columns = columnsOf(schema);
    this.optional = mode === "delta" ? ["_op"] : [];
    const place = Object.fromEntries([...this.columns, ...this.optional].map((name, at) => [name, at]));
    const bytes = this.layout.reduce((sum, column) => sum + rowBytes(column), 0);
    this.most = Math.max(FEWEST_ROWS, Math.min(MOST_ROWS, Math.floor(FRAME_BYTES / bytes)));
    this.frame = this.layout.map((column) => new Column(column, this.most));
    this.rows = 0;
    const columns = Object.fromEntries(this.layout.map((column, at) => [column.name, this.frame[at]]));
    this.row = columns.row;
    this.op = columns.op ? { column: columns.op, at: place._op } : null;
    this.person = schema.person ? { column: columns.person, at: place[schema.person] } : null;
    this.keys = schema.keys.map((key) => ({
      ...key,
      places: key.columns.map((column) => place[column]),
      out: key.profiles.map((profile) => columns[`key:${key.name}/${profile}`]),
      seen: 0,
      good: 0,
    }));
    this.attributes = schema.attributes.map((one) => ({
      name: one.name, at: place[one.column], column: columns[`attr:${one.name}`], read: attributeReader(one, specials),
    }));
    this.consents = schema.consents.map((one) => ({
      purpose: one.purpose, at: place[one.column], column: columns[`consent:${one.purpose}`], read: consentReader(one),
      dates: [[one.collected_at, "consent_at", instantOf], [one.expires_at, "consent_until", lastDayOf]]
        .filter(([column]) => column)
        .map(([column, kind, read]) => ({ at: place[column], column: columns[`${kind}:${one.purpose}`], read })),
    }));
    this.counts = { rejected: {}, invalid: {}, junk: {} };
  }

  get full() {
    return this.rows === this.most;
  }

  // Encodes a row; returns why it is left out, or null. `number` is its place in the file, from 1.
  add(number, fields) {
    let code = Infinity;
    const mark = (reason) => (code = Math.min(code, this.codes[reason]));
    const at = this.rows;
    this.row.whole(at, number);
    if (this.person) {
      const text = fields[this.person.at];
      this.person.column.bytes(at, text === null ? null : hashNormalised("room", text.normalize("NFC")));
      if (text === null) mark("missing_person_id");
    }
    let op = 0;
    if (this.op) {
      const text = fields[this.op.at];
      const known = text !== null && Object.hasOwn(OPS, text.toLowerCase());
      op = known ? OPS[text.toLowerCase()] : 0;
      // Without the column every row is one to add.
      if (!known && this.hasOp) mark("unknown_op");
      this.op.column.small(at, op);
    }
    const keys = this.keys.map((key) => this.key(at, key, fields));
    for (const one of this.attributes) {
      const value = one.read(fields[one.at]);
      if (value === BAD) mark(`bad_value:${one.name}`);
      else if (value === LONG) mark(`too_long:${one.name}`);
      else if (value === MANY) mark(`too_many_values:${one.name}`);
      else one.column.value(at, value);
    }
    for (const one of this.consents) {
      one.column.small(at, one.read(fields[one.at]));
      for (const date of one.dates) {
        const value = date.read(fields[date.at]);
        if (value === BAD) mark(`bad_consent_date:${one.purpose}`);
        date.column.value(at, value === BAD ? null : value);
      }
    }
    if (!keys.some((one) => one.valid)) mark("no_valid_key");
    // A deletion needs to say who, nothing else.
    if (op === OPS.delete && code !== this.codes.missing_person_id && code !== this.codes.unknown_op) {
      if (code !== Infinity) this.blankAttributes(at, fields);
      code = Infinity;
    }
    if (code !== Infinity) return this.reject(this.reasons[code]);
    keys.forEach((one, index) => {
      count(this.counts.invalid, this.keys[index].name, one.invalid);
      count(this.counts.junk, this.keys[index].name, one.junk);
    });
    this.rows += 1;
    return null;
  }

  reject(reason) {
    count(this.counts.rejected, reason, 1);
    return reason;
  }

  key(at, key, fields) {
    const found = { valid: 0, invalid: 0, junk: 0 };
    key.places.forEach((place, index) => {
      const text = fields[place];
      if (key.form === "hashed") {
        const digest = text === null ? null : parseHashed(key.hash_profile, text);
        key.out[0].digest(at, index, digest);
        this.note(key, found, text, digest !== null);
        return;
      }
      const forms = new Map();
      key.profiles.forEach((profile, number) => {
        const form = `${JSON.stringify(PROFILES[profile].email)} ${PROFILES[profile].plus} ${PROFILES[profile].bareE164 ?? false}`;
        if (text !== null && !forms.has(form)) forms.set(form, normalise(profile, key.identifier, text, key.default_region));
        const plain = text === null ? null : forms.get(form);
        key.out[number].digest(at, index, plain === null ? null : hashNormalised(profile, plain));
        if (number) return;
        this.note(key, found, text, plain !== null);
        if (plain !== null && isKnownJunk(key.identifier, plain)) found.junk += 1;
      });
    });
    return found;
  }

  note(key, found, text, good) {
    if (good) found.valid += 1;
    else if (text !== null) found.invalid += 1;
    key.seen += text === null ? 0 : 1;
    key.good += good ? 1 : 0;
    // Not a few bad cells but another form than declared: say which, at once.
    if (key.form === "hashed" && key.good === 0 && key.seen === FIRST_ROWS) throw new FileRefused("digest", { key: key.name, profile: key.hash_profile });
  }

  // To be asked at the end of the file.
  requireDigests() {
    for (const key of this.keys) {
      if (key.form === "hashed" && key.seen && !key.good) throw new FileRefused("digest", { key: key.name, profile: key.hash_profile });
    }
  }

  blankAttributes(at, fields) {
    for (const one of this.attributes) {
      if (typeof one.read(fields[one.at]) === "symbol") one.column.value(at, one.read(null));
    }
  }

  // The frame's bytes, column after column; the encoder is empty afterwards.
  take() {
    const rows = this.rows;
    const parts = this.frame.map((column) => column.take(rows));
    this.rows = 0;
    return { rows, parts };
  }
}

class Column {
  constructor(column, rows) {
    this.dtype = column.dtype;
    this.size = rowBytes(column);
    this.data = new Uint8Array(this.size * rows);
    this.view = new DataView(this.data.buffer);
  }

  small(at, value) {
    this.data[at * this.size] = value;
  }

  whole(at, value) {
    const low = value - Math.floor(value / 2 ** 32) * 2 ** 32;
    this.view.setUint32(at * 8, low, true);
    this.view.setInt32(at * 8 + 4, Math.floor(value / 2 ** 32), true);
  }

  bytes(at, value) {
    const start = at * this.size;
    this.data.fill(0, start, start + this.size);
    if (value !== null) this.data.set(value, start);
  }

  digest(at, index, value) {
    const start = at * this.size + index * 32;
    if (value === null) this.data.fill(0, start, start + 32);
    else this.data.set(value, start);
  }

  // What a reader of values gave; null is written as the layout's own "no value".
  value(at, value) {
    if (value instanceof Uint8Array) this.bytes(at, value);
    else if (this.dtype === "<i8") value === null ? this.view.setBigInt64(at * 8, NULL_INT, true) : this.whole(at, value);
    else if (this.dtype === "<i4") this.view.setInt32(at * 4, value ?? NULL_DATE, true);
    else if (value === null) this.bytes(at, null);
    else if (this.dtype === "<u2") this.view.setUint16(at * 2, value, true);
    else this.small(at, value);
  }

  take(rows) {
    return this.data.slice(0, rows * this.size);
  }
}

function count(table, name, more) {
  if (more) table[name] = (table[name] ?? 0) + more;
}
