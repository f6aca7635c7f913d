// Columns as the page edits them, to and from a schema as the room reads it.
const LISTED = ["category", "set"];
const NUMBERS = ["integer", "decimal"];

export function columnOf(suggested) {
  return {
    values: [], bands: [], clamp: [], null_values: [], separator: "|", max_values: 1, date_format: "%Y-%m-%d",
    decimal_mark: ".", scale: 2, default_region: "RU", also_profiles: [], purpose: "advertising", granted: [],
    denied: [], pending: [], withdrawn: [], expired: [], collected_at: "", expires_at: "", ...suggested,
    identifier: suggested.identifier ?? "email",
    type: suggested.type === "category" && !suggested.values?.length ? "open" : suggested.type ?? "open",
  };
}

// Columns that hold the same identifier in the same way are one key.
export function keysOf(columns) {
  const keys = new Map();
  for (const column of columns.filter((one) => one.role === "key")) {
    const same = [column.identifier, column.form, column.hash_profile, column.default_region, ...column.also_profiles].join(" ");
    if (!keys.has(same)) keys.set(same, { name: column.identifier, columns: [] });
    keys.get(same).columns.push(column);
  }
  const taken = new Set();
  return [...keys.values()].map((key) => {
    let name = key.name;
    for (let number = 2; taken.has(name); number += 1) name = `${key.name}_${number}`;
    taken.add(name);
    return { ...key, name };
  });
}

export function schemaFrom(columns, basis) {
  const schema = { v: 1, match_keys: keysOf(columns).map(keyOf), lawful_basis: basis };
  const person = columns.find((one) => one.role === "person");
  if (person) schema.person_id = person.column;
  const attributes = columns.filter((one) => one.role === "attribute").map(attributeOf);
  if (attributes.length) schema.attributes = attributes;
  const consents = columns.filter((one) => one.role === "consent").map(consentOf);
  if (consents.length) schema.consents = consents;
  return schema;
}

function keyOf({ name, columns }) {
  const [first] = columns;
  const key = { name, columns: columns.map((one) => one.column), identifier: first.identifier, hash_profile: first.hash_profile };
  if (first.form === "hashed") key.form = "hashed";
  else if (first.also_profiles.length) key.also_profiles = first.also_profiles;
  if (first.identifier === "phone" && first.form === "raw" && first.default_region) key.default_region = first.default_region;
  if ([first.hash_profile, ...(key.also_profiles ?? [])].includes("yandex")) key.legacy_md5 = true;
  return key;
}

function attributeOf(one) {
  const made = { name: one.name, column: one.column, type: one.type === "open" ? "category" : one.type, kind: one.kind, origin: one.origin, sensitivity: one.sensitivity };
  if (one.type === "open") made.open = true;
  if (LISTED.includes(one.type)) made.values = one.values;
  if (one.type === "set") Object.assign(made, { separator: one.separator, max_values: Number(one.max_values) });
  if (NUMBERS.includes(one.type) || one.type === "date") if (one.bands.length) made.bands = one.bands;
  if (NUMBERS.includes(one.type) && one.clamp.length) made.clamp = one.clamp;
  if (one.type === "decimal") Object.assign(made, { decimal_mark: one.decimal_mark, scale: Number(one.scale) });
  if (one.type === "date") made.date_format = one.date_format;
  if (one.null_values.length) made.null_values = one.null_values;
  return made;
}

function consentOf(one) {
  const made = { purpose: one.purpose, column: one.column };
  for (const state of ["granted", "denied", "pending", "withdrawn", "expired"]) if (one[state].length) made[state] = one[state];
  if (one.collected_at) made.collected_at = one.collected_at;
  if (one.expires_at) made.expires_at = one.expires_at;
  return made;
}

// The columns of a schema as `schema_to_dict` writes it.
export function columnsFrom(schema) {
  const columns = [];
  if (schema.person_id) columns.push(columnOf({ column: schema.person_id, role: "person", name: schema.person_id }));
  for (const key of schema.match_keys ?? []) {
    for (const column of key.columns) {
      columns.push(columnOf({ form: "raw", hash_profile: "room", ...key, column, name: column, role: "key", default_region: key.default_region ?? "" }));
    }
  }
  for (const one of schema.attributes ?? []) {
    columns.push(columnOf({ kind: "descriptive", origin: "indirect", sensitivity: "normal", ...one, type: one.open ? "open" : one.type, role: "attribute" }));
  }
  for (const one of schema.consents ?? []) columns.push(columnOf({ ...one, name: one.column, role: "consent" }));
  return columns.map((one) => ({ form: "raw", hash_profile: "room", kind: "descriptive", origin: "indirect", sensitivity: "normal", refused: null, ...one }));
}
