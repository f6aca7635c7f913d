// What the first rows of a file suggest, looked at in the browser alone; as cleanroom/client/suggesting.py proposes.
import { endOfHeader, headerOf, recordsOf, trimmed } from "./csv.js";
import { textOf } from "./text.js";
import { days } from "./values.js";

const SAMPLE_BYTES = 1 << 20, SAMPLE_ROWS = 5_000;
const MOST_VALUES = 50, LEAST_ROWS = 5, MOSTLY = 0.9;
const EMAIL = /^[^@\s]+@[^@\s]+\.[^@\s]+$/;
const MAID = /^[0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}$/;
const PHONE = /^\+?[\d\s()\-.]{10,20}$/;
const DIGESTS = { room: /^[0-9a-f]{64}$/, uid2: /^[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=$/, yandex: /^[0-9a-f]{32}$/ };
const GRANTED = ["yes", "true", "1", "granted", "y", "да", "opt-in", "optin"];
const WITHDRAWN = ["withdrawn", "stop", "revoked", "отозвано"];
const TRUTHS = [["true", "false"], ["yes", "no"], ["0", "1"], ["y", "n"]];

// The names of the columns of a text's first line.
export function namesOf(text) {
  const line = text.slice(0, Math.max(endOfHeader(text), 0) || text.length).replace(/[\r\n]+$/, "");
  return headerOf(line).names.map((name) => name.normalize("NFC").trim()).filter(Boolean);
}

// Reads the beginning of a file: { names, values }, values by column as they stand in the first rows.
export async function sampleOf(file) {
  const packed = await file.slice(0, 2).arrayBuffer().then((head) => new Uint8Array(head)[0] === 0x1f);
  const text = await beginning(packed ? file : file.slice(0, SAMPLE_BYTES));
  const names = namesOf(text);
  const single = names.filter((name) => names.indexOf(name) === names.lastIndexOf(name));
  const values = new Map(single.map((name) => [name, []]));
  try {
    let rows = 0;
    for await (const record of recordsOf([{ text }], single)) {
      record.fields.forEach((value, at) => value !== null && values.get(single[at]).push(value));
      if ((rows += 1) === SAMPLE_ROWS) break;
    }
  } catch {
    // The sample ends inside a record, or holds none: what was read so far is what there is.
  }
  return { names, values };
}

async function beginning(file) {
  let found = "";
  for await (const { text } of textOf(file)) {
    found += text;
    if (found.length >= SAMPLE_BYTES) break;
  }
  return found;
}

// Refines what the name suggested.
export function refined(column, values, specials) {
  if (!values?.length || column.refused || column.role === "person") return column;
  const share = (pattern) => values.filter((value) => pattern.test(value)).length / values.length;
  const key = identifierOf(column, share);
  if (key) return { ...column, role: "key", ...key };
  const counts = countsOf(values);
  if (column.role === "consent") return { ...column, ...consentOf(counts) };
  if (column.role !== "attribute") return column;
  const distinct = new Set(values).size;
  if (share(/^\d{1,18}$/) === 1 && values.length >= LEAST_ROWS && distinct === values.length) return { ...column, role: "left_out" };
  if (counts.slice(0, MOST_VALUES).some(([value]) => specials(value))) return { ...column, role: "left_out", refused: "special" };
  return { ...column, ...typeOf(values, counts, share) };
}

function identifierOf(column, share) {
  if (share(EMAIL) >= MOSTLY) return { identifier: "email", form: "raw" };
  if (share(MAID) >= MOSTLY) return { identifier: "maid", form: "raw" };
  const hashed = Object.keys(DIGESTS).find((profile) => share(DIGESTS[profile]) >= MOSTLY);
  if (hashed) {
    const known = column.hash_profile !== "room" && hashed === "room" ? column.hash_profile : hashed;
    return { identifier: column.identifier ?? "email", form: "hashed", hash_profile: known };
  }
  if (column.identifier === "phone" && share(PHONE) > 0.5) return { form: "raw" };
  return null;
}

function countsOf(values) {
  const counts = new Map();
  values.forEach((value) => counts.set(value, (counts.get(value) ?? 0) + 1));
  return [...counts].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1)).slice(0, 5 * MOST_VALUES);
}

function consentOf(counts) {
  const found = counts.map(([value]) => value);
  return {
    granted: found.filter((value) => GRANTED.includes(value.toLowerCase())),
    withdrawn: found.filter((value) => WITHDRAWN.includes(value.toLowerCase())),
  };
}

function typeOf(values, counts, share) {
  const lower = new Set(counts.map(([value]) => value.toLowerCase()));
  if (lower.size === 2 && TRUTHS.some((pair) => pair.every((value) => lower.has(value)))) return { type: "boolean" };
  const format = ["%Y-%m-%d", "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%Y%m%d"].find((one) =>
    values.slice(0, 200).every((value) => value.length >= 8 && within(days(value, one))));
  if (format) return { type: "date", date_format: format };
  if (share(/^-?\d{1,15}$/) === 1) return { type: "integer", bands: bandsOf(values.map(Number)) };
  for (const mark of [".", ","]) {
    if (share(mark === "." ? /^-?\d{1,12}(\.\d{1,9})?$/ : /^-?\d{1,12}(,\d{1,9})?$/) !== 1) continue;
    const places = values.map((value) => value.split(mark)[1]?.length ?? 0);
    // Three digits after every comma may as well be thousands.
    if (mark === "," && places.every((count) => count === 3)) break;
    return { type: "decimal", decimal_mark: mark, scale: Math.max(2, ...places), bands: bandsOf(values.map((value) => Number(value.replace(mark, ".")))) };
  }
  if (counts.some(([value]) => value.includes("|"))) return setOf(counts);
  const common = counts.filter(([value, count]) => count >= LEAST_ROWS && value !== "other" && value !== "unknown");
  const covered = counts.slice(0, 5 * MOST_VALUES).reduce((sum, [, count]) => sum + count, 0);
  if (!common.length || common.length > MOST_VALUES || covered < MOSTLY * values.length) return { type: "open" };
  return { type: "category", values: common.map(([value]) => value) };
}

function setOf(counts) {
  const members = new Map();
  counts.forEach(([value, count]) => value.split("|").forEach((one) => {
    const member = trimmed(one);
    if (member) members.set(member, (members.get(member) ?? 0) + count);
  }));
  const common = [...members].filter(([, count]) => count >= LEAST_ROWS).map(([member]) => member);
  if (!common.length || common.length > MOST_VALUES) return { type: "open" };
  const most = Math.max(...counts.map(([value]) => value.split("|").length));
  return { type: "set", values: common, max_values: Math.min(common.length, most), separator: "|" };
}

const within = (day) => day !== null && day >= -25_567 && day <= 47_847;

// About five groups of like size, at round edges.
function bandsOf(numbers) {
  const sorted = numbers.toSorted((a, b) => a - b);
  const edges = [0.2, 0.4, 0.6, 0.8].map((part) => rounded(sorted[Math.floor(part * (sorted.length - 1))]));
  return [...new Set(edges)].filter((edge) => edge > sorted[0]).map(String);
}

function rounded(value) {
  let step = Math.abs(value) >= 20 ? 5 : 1;
  while (Math.abs(value) >= 40 * step) step *= 10;
  return Math.round(value / step) * step;
}
