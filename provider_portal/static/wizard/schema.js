// A schema as the room writes it in JSON, with its defaults; and which columns its payload has, as
// cleanroom/schema/layout.py derives them: both sides must agree to the byte.
const DIGEST = 32;
const SMALL_CODES = 253;

export function schemaOf(plain) {
  const keys = plain.match_keys.map((key) => {
    const whole = { hash_profile: "room", form: "raw", default_region: null, also_profiles: [], ...key };
    whole.profiles = [whole.hash_profile, ...whole.also_profiles];
    return whole;
  });
  const attributes = (plain.attributes ?? []).map((one) => ({
    values: [], null_values: [], separator: "|", max_values: 1, decimal_mark: ".", date_format: "%Y-%m-%d",
    open: false, max_bytes: 64, scale: one.type === "decimal" ? 2 : 0, ...one,
  }));
  const states = { granted: [], denied: [], pending: [], withdrawn: [], expired: [] };
  const consents = (plain.consents ?? []).map((one) => ({ ...states, collected_at: null, expires_at: null, ...one }));
  return { plain, keys, attributes, consents, person: plain.person_id ?? null };
}

// Every column that the file must have, each once.
export function columnsOf(schema) {
  const wanted = new Set(schema.person ? [schema.person] : []);
  schema.keys.forEach((key) => key.columns.forEach((column) => wanted.add(column)));
  schema.attributes.forEach((one) => wanted.add(one.column));
  schema.consents.forEach((one) => [one.column, one.collected_at, one.expires_at].forEach((column) => column && wanted.add(column)));
  return [...wanted];
}

export function layoutOf(schema, mode) {
  const columns = [{ name: "row", dtype: "<u8", width: 1 }];
  if (schema.person) columns.push({ name: "person", dtype: "u1", width: DIGEST });
  if (mode === "delta") columns.push({ name: "op", dtype: "u1", width: 1 });
  for (const key of schema.keys) {
    for (const profile of key.profiles) {
      columns.push({ name: `key:${key.name}/${profile}`, dtype: "u1", width: DIGEST * key.columns.length });
    }
  }
  columns.push(...schema.attributes.map(attributeColumn));
  for (const one of schema.consents) {
    columns.push({ name: `consent:${one.purpose}`, dtype: "u1", width: 1 });
    if (one.collected_at) columns.push({ name: `consent_at:${one.purpose}`, dtype: "<i8", width: 1 });
    if (one.expires_at) columns.push({ name: `consent_until:${one.purpose}`, dtype: "<i4", width: 1 });
  }
  return columns;
}

function attributeColumn(one) {
  const name = `attr:${one.name}`;
  if (one.type === "integer" || one.type === "decimal") return { name, dtype: "<i8", width: 1 };
  if (one.type === "date") return { name, dtype: "<i4", width: 1 };
  if (one.type === "set") return { name, dtype: "<u8", width: (one.values.length + 1 + 63) >> 6 };
  if (one.open) return { name, dtype: "u1", width: one.max_bytes };
  return { name, dtype: one.values.length <= SMALL_CODES ? "u1" : "<u2", width: 1 };
}

const ITEM = { u1: 1, "<u2": 2, "<i4": 4, "<i8": 8, "<u8": 8 };
export const rowBytes = (column) => ITEM[column.dtype] * column.width;

// Every reason for which a row can be rejected; a reason's place is its code, and the lowest one is reported.
export function reasonsOf(schema) {
  const found = ["ragged_row", "broken_quotes", "unknown_op", "missing_person_id", "unknown_label"];
  for (const one of schema.attributes) {
    found.push(`bad_value:${one.name}`);
    if (one.open) found.push(`too_long:${one.name}`);
    if (one.type === "set") found.push(`too_many_values:${one.name}`);
  }
  for (const one of schema.consents) {
    if (one.collected_at || one.expires_at) found.push(`bad_consent_date:${one.purpose}`);
  }
  return [...found, "no_valid_key"];
}
