// Attributes and consents as the payload's codes and stored units: the same answers as cleanroom/client/attributes.py.
const FALSE = ["false", "0", "no", "n", "f", "нет", "ложь"];
const TRUE = ["true", "1", "yes", "y", "t", "да", "истина"];
const DIGITS = 15;
const MILLION = 1_000_000;
const DATE_AND_TIME = /^([0-9]{4}-[0-9][0-9]-[0-9][0-9])[T ][0-9]/;
const INSTANT = /^([0-9]{4}-[0-9][0-9]-[0-9][0-9])(?:[T ]([01][0-9]|2[0-3]):([0-5][0-9])(?::([0-5][0-9])(?:[.,]([0-9]{1,9}))?)?(Z|[+-][0-9][0-9]:?[0-9][0-9])?)?$/;
const INVISIBLE = /[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]/;
const STATES = ["granted", "pending", "expired", "denied", "withdrawn"];
const DENIED = STATES.indexOf("denied");
const utf8 = new TextEncoder();

// A function from a text (never empty; null for none) to what is written, or to BAD, LONG or MANY.
export const BAD = Symbol("bad"), LONG = Symbol("long"), MANY = Symbol("many");

export function attributeReader(one, specials) {
  const read = reader(one, specials);
  const nulls = new Set(one.null_values);
  return (text) => (text === null || nulls.has(text) ? read.missing : read(text));
}

function reader(one, specials) {
  if (one.open) return openReader(one, specials);
  if (one.type === "category") return categoryReader(one.values);
  if (one.type === "boolean") {
    return Object.assign((text) => {
      const lower = text.toLowerCase();
      return FALSE.includes(lower) ? 1 : TRUE.includes(lower) ? 2 : BAD;
    }, { missing: 0 });
  }
  if (one.type === "date") return Object.assign((text) => days(text, one.date_format) ?? BAD, { missing: null });
  if (one.type === "set") return setReader(one);
  return numberReader(one.scale, one.decimal_mark);
}

// 0 = missing, 1.. = declared, one more = other.
function coder(values) {
  const table = new Map(values.map((value, at) => [value, at + 1]));
  return (text) => table.get(text) ?? table.get(text.normalize("NFC")) ?? values.length + 1;
}

const categoryReader = (values) => Object.assign(coder(values), { missing: 0 });

function openReader(one, specials) {
  const known = new Map();
  const read = (text) => {
    if (known.has(text)) return known.get(text);
    const plain = text.normalize("NFC"), bytes = utf8.encode(plain);
    let found = bytes;
    if (bytes.length > one.max_bytes) found = LONG;
    else if (plain === "unknown") found = null;
    else if (INVISIBLE.test(plain)) found = BAD;
    else if (specials.has(words(plain))) throw Object.assign(new Error("special"), { special: one.name });
    if (known.size < 100_000) known.set(text, found);
    return found;
  };
  return Object.assign(read, { missing: null });
}

// As is_special_value compares: words in lower case, joined.
export function words(text) {
  return text.trim().replace(/(?<=[a-zа-яё0-9])(?=[A-ZА-ЯЁ])/g, "_").toLowerCase().split(/[^a-zа-яё0-9]+/).filter(Boolean).join("_");
}

// Digits beyond the scale may only be zeros: a number is stored exactly or not at all.
function numberReader(scale, mark) {
  const point = mark === "." ? "[.]" : ",";
  const pattern = new RegExp(`^([+-]?)0*([0-9]{1,${DIGITS - scale}})(?:${point}([0-9]{0,${scale}})0*)?$`);
  return Object.assign((text) => {
    const found = pattern.exec(text);
    if (!found) return BAD;
    const stored = Number(found[2] + (found[3] ?? "").padEnd(scale, "0"));
    return found[1] === "-" && stored ? -stored : stored;
  }, { missing: null });
}

function setReader(one) {
  const code = coder(one.values), size = (one.values.length + 1 + 63) >> 6;
  return Object.assign((text) => {
    const chosen = new Set(text.split(one.separator).map((part) => part.trim()).filter(Boolean).map((part) => code(part) - 1));
    if (chosen.size > one.max_values) return MANY;
    const bytes = new Uint8Array(size * 8);
    chosen.forEach((bit) => (bytes[bit >> 3] |= 1 << (bit & 7)));
    return bytes;
  }, { missing: null });
}

// The day of a date since 1970, or null; lenient about leading zeros as the room's own reader is.
export function days(text, format) {
  const plain = format === "%Y-%m-%d" ? DATE_AND_TIME.exec(text)?.[1] ?? text : text;
  const parts = {};
  let at = 0;
  for (const mark of format.match(/%[Ymd]|./g)) {
    if (mark.length === 1) {
      if (plain[at] !== mark) return null;
      at += 1;
      continue;
    }
    const rest = plain.slice(at);
    const found = (mark === "%Y" ? (format === "%Y%m%d" ? /^\s*\d{1,4}/ : /^\s*(?:[+-]\d{1,6}|\d{1,4})/) : /^\s*\d{1,2}/).exec(rest);
    if (!found) return null;
    parts[mark] = Number(found[0]);
    at += found[0].length;
  }
  if (at !== plain.length) return null;
  const { "%Y": year, "%m": month, "%d": day } = parts;
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  return date.getUTCMonth() === month - 1 && date.getUTCDate() === day ? date.getTime() / 86_400_000 : null;
}

export function consentReader(one) {
  const table = new Map(STATES.flatMap((state, code) => one[state].map((value) => [value.toLowerCase(), code])));
  return (text) => (text === null ? DENIED : table.get(text.toLowerCase()) ?? DENIED);
}

// Microseconds since 1970 in UTC; without a zone it is UTC.
export function instantOf(text) {
  if (text === null) return null;
  const found = INSTANT.exec(text);
  const day = found && days(found[1], "%Y-%m-%d");
  if (!found || day === null) return BAD;
  const zone = (found[6] ?? "Z").replace("Z", "+0000").replace(":", "");
  const offset = (zone[0] === "-" ? -1 : 1) * (Number(zone.slice(1, 3)) * 60 + Number(zone.slice(3, 5)));
  const seconds = day * 86_400 + Number(found[2] ?? 0) * 3600 + (Number(found[3] ?? 0) - offset) * 60 + Number(found[4] ?? 0);
  return seconds * MILLION + Number((found[5] ?? "0").padEnd(6, "0").slice(0, 6));
}

export const lastDayOf = (text) => (text === null ? null : days(text, "%Y-%m-%d") ?? BAD);
