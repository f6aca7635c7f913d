// The page that describes a file: its columns, identifiers, consent; and what it comes to. The file is read here, and
// of it only the names of its columns are sent.
import { showCheck } from "./check.js";
import { columnOf, columnsFrom, keysOf, schemaFrom } from "./description.js";
import { about, data, el, field, input, listed, number, post, select, word } from "./dom.js";
import { PROFILES } from "./profiles.js";
import { namesOf, refined, sampleOf } from "./sample.js";
import { words as wordsOf } from "./values.js";

const PER_PAGE = 20;
const ROLES = ["key", "attribute", "person", "consent", "left_out"];
const TYPES = ["category", "open", "boolean", "integer", "decimal", "date", "set"];
const CHOICES = { role: ROLES, type: TYPES, kind: ["descriptive", "behavioural", "qualitative"], origin: ["direct", "indirect"], sensitivity: ["normal", "sensitive"] };
const byId = (id) => document.getElementById(id);
const options = (group, values) => values.map((value) => [value, word(`${group}.${value}`)]);
const specials = new Set(data.special_values);
const state = { columns: [], basis: "consent", page: 1, step: 1 };

start();

function start() {
  byId("wizard").classList.add("scripted");
  const given = byId("schema").value;
  if (given.trim()) open(given);
  byId("basis").append(...options("basis", data.bases).map(([value, text]) => el("option", { value, selected: value === state.basis }, text)));
  byId("bulk-what").append(...Object.keys(CHOICES).map((name) => el("option", { value: name }, word(`f.${name}`))));
  byId("only").append(el("option", { value: "" }, word("all")), ...options("role", ROLES).map(([value, text]) => el("option", { value }, text)));
  byId("file").addEventListener("change", readFile);
  byId("read-header").addEventListener("click", () => take(namesOf(byId("header").value), new Map()));
  for (const id of ["find", "only"]) byId(id).addEventListener("input", () => showColumns(1));
  byId("bulk-what").addEventListener("change", showBulk);
  byId("bulk-do").addEventListener("click", changeShown);
  byId("before").addEventListener("click", () => turn(-1));
  byId("after").addEventListener("click", () => turn(1));
  byId("basis").addEventListener("change", (event) => (state.basis = event.target.value));
  byId("name").addEventListener("input", showCommand);
  document.querySelectorAll("[data-step]").forEach((button) => button.addEventListener("click", () => go(Number(button.dataset.step))));
  showBulk();
  showColumns(1);
  showCommand();
  showCheck();
  go(given.trim() ? 4 : 1, { quiet: true });
  // Chosen before the script was there, or kept by the browser over a reload.
  if (byId("file").files.length) readFile({ target: byId("file") });
}

function open(text) {
  try {
    const schema = JSON.parse(text);
    state.columns = columnsFrom(schema);
    state.basis = schema.lawful_basis ?? "consent";
  } catch {
    // Written by hand as YAML: it is sent as it stands, and the steps before stay empty.
    state.columns = [];
  }
}

async function readFile(event) {
  const [file] = event.target.files;
  if (!file) return;
  try {
    const { names, values } = await sampleOf(file);
    await take(names, values);
  } catch {
    tell("told", word("unreadable"));
  }
}

async function take(names, values) {
  if (!names.length) return tell("told", word("unreadable"));
  try {
    const suggested = await post("/datasets/new/suggest", { columns: JSON.stringify(names) });
    state.columns = suggested.map((one) => columnOf(refined({ ...one }, values.get(one.column), (value) => specials.has(wordsOf(value)))));
    tell("told", word("read", { count: number(names.length) }));
    showColumns(1);
  } catch {
    tell("told", word("failed"));
  }
}

// Step 1: the columns.
function shown() {
  const text = byId("find").value.trim().toLowerCase(), role = byId("only").value;
  return state.columns.filter((one) => (!role || one.role === role) && one.column.toLowerCase().includes(text));
}

function showColumns(page) {
  const found = shown(), pages = Math.max(1, Math.ceil(found.length / PER_PAGE));
  state.page = Math.min(Math.max(1, page), pages);
  byId("columns").replaceChildren(...found.slice((state.page - 1) * PER_PAGE, state.page * PER_PAGE).map(columnRow));
  byId("count").textContent = state.columns.length ? word("shown", { shown: number(found.length), all: number(state.columns.length) }) : "";
  byId("place").textContent = word("page", { page: state.page, pages });
  byId("pages").hidden = pages < 2;
  byId("before").disabled = state.page === 1;
  byId("after").disabled = state.page === pages;
  byId("tools").hidden = !state.columns.length;
}

// At either end the button that was pressed cannot keep the focus.
function turn(step) {
  showColumns(state.page + step);
  const [pressed, other] = step < 0 ? ["before", "after"] : ["after", "before"];
  if (byId(pressed).disabled) byId(other).focus();
}

function columnRow(column) {
  const row = el("li", { class: "column" });
  const fill = () => {
    const roles = column.refused === "special" ? ["left_out"] : column.refused ? ["key", "person", "left_out"] : ROLES;
    const role = field(word("f.role"), select(options("role", roles), column.role), (value) => {
      column.role = value;
      fill();
      row.querySelector("select").focus();
    });
    const parts = [el("p", { class: "column-name" }, column.column), role];
    if (column.role === "attribute") parts.push(typeField(column, fill, row), more(column));
    if (column.role === "key") parts.push(field(word("f.identifier"), select(options("identifier", ["email", "phone", "maid", "cookie", "loyalty_id"]), column.identifier), (value) => Object.assign(column, { identifier: value, hash_profile: ["email", "phone"].includes(value) ? column.hash_profile : "room" })));
    if (column.role === "consent") parts.push(field(word("f.purpose"), select(options("purpose", data.purposes), column.purpose), (value) => (column.purpose = value)));
    if (column.refused) parts.push(el("p", { class: "column-note" }, word(column.refused)));
    row.replaceChildren(...parts);
    about(row, parts[0]);
  };
  fill();
  return row;
}

function typeField(column, fill, row) {
  return field(word("f.type"), select(options("type", TYPES), column.type), (value) => {
    column.type = value;
    fill();
    row.querySelectorAll("select")[1].focus();
  });
}

function more(column) {
  const set = (name) => (value) => (column[name] = value);
  const fields = [
    field(word("f.name"), input(column.name), set("name")),
    ...["kind", "origin", "sensitivity"].map((name) => field(word(`f.${name}`), select(options(name, CHOICES[name]), column[name]), set(name))),
  ];
  const number = ["integer", "decimal"].includes(column.type);
  if (["category", "set"].includes(column.type)) {
    fields.push(field(word("f.values"), el("textarea", { rows: 4, value: column.values.join("\n") }), (value) => (column.values = value.split("\n").map((one) => one.trim()).filter(Boolean))));
  }
  if (column.type === "set") fields.push(field(word("f.separator"), input(column.separator), set("separator")), field(word("f.max_values"), input(column.max_values, { inputMode: "numeric" }), set("max_values")));
  if (number || column.type === "date") fields.push(field(word("f.bands"), input(column.bands.join(", ")), (value) => (column.bands = listed(value))));
  if (number) fields.push(field(word("f.clamp"), input(column.clamp.join(", ")), (value) => (column.clamp = listed(value))));
  if (column.type === "decimal") fields.push(field(word("f.decimal_mark"), select([[".", "."], [",", ","]], column.decimal_mark), set("decimal_mark")), field(word("f.scale"), input(column.scale, { inputMode: "numeric" }), set("scale")));
  if (column.type === "date") fields.push(field(word("f.date_format"), select(data.date_formats.map((one) => [one, one]), column.date_format), set("date_format")));
  fields.push(field(word("f.null_values"), input(column.null_values.join(", ")), (value) => (column.null_values = listed(value))));
  return el("details", { class: "behind column-more" }, el("summary", {}, word("more", { column: column.column })), el("div", { class: "column-fields" }, fields));
}

function showBulk() {
  const what = byId("bulk-what").value;
  byId("bulk-value").replaceChildren(...options(what, CHOICES[what]).map(([value, text]) => el("option", { value }, text)));
}

function changeShown() {
  const what = byId("bulk-what").value, value = byId("bulk-value").value;
  const changed = shown().filter((one) => what === "role" ? !one.refused || value === "left_out" : one.role === "attribute");
  changed.forEach((one) => (one[what] = value));
  tell("told", word("bulk", { count: number(changed.length) }));
  showColumns(state.page);
}

// Step 2: identifiers.
function showKeys() {
  const keys = keysOf(state.columns);
  byId("keys").replaceChildren(...(keys.length ? keys.map(keyCard) : [el("p", { class: "pad" }, word("no_keys"))]));
}

function keyCard(key) {
  const [first] = key.columns;
  const set = (name, again = false) => (value) => {
    key.columns.forEach((column) => (column[name] = value));
    if (!again) return;
    // An arrow key changes a list at once: it must not lose the focus to a new one.
    const controls = () => [...byId("keys").querySelectorAll("select, input")], at = controls().indexOf(document.activeElement);
    showKeys();
    controls()[at]?.focus();
  };
  const profiles = Object.keys(PROFILES).filter((name) => PROFILES[name].identifiers.includes(first.identifier));
  const parts = [
    field(word("f.form"), select(options("form", ["raw", "hashed"]), first.form), set("form", true)),
    field(word("f.profile"), select(profiles.map((name) => [name, name]), first.hash_profile), set("hash_profile", true), first.hash_profile === "yandex" ? word("legacy") : ""),
  ];
  if (first.identifier === "phone" && first.form === "raw") parts.push(field(word("f.region"), input(first.default_region, { maxLength: 2, placeholder: "RU" }), (value) => set("default_region")(value.trim().toUpperCase())));
  if (first.form === "raw" && profiles.length > 1) {
    const rest = profiles.filter((name) => name !== first.hash_profile && !PROFILES[name].legacy);
    parts.push(el("fieldset", {}, el("legend", { class: "form-label" }, word("f.also")), rest.map((name) => {
      const box = el("input", { type: "checkbox", class: "form-check-input", checked: first.also_profiles.includes(name) });
      box.addEventListener("change", () => key.columns.forEach((column) => (column.also_profiles = rest.filter((one) => one === name ? box.checked : column.also_profiles.includes(one)))));
      return el("label", { class: "form-check" }, box, ` ${name}`);
    })));
  }
  const title = el("p", { class: "column-name" }, word(`identifier.${first.identifier}`));
  return about(el("li", { class: "column" }, title, el("p", { class: "faint" }, word("key_of", { columns: key.columns.map((one) => one.column).join(", ") })), el("div", { class: "column-fields" }, parts)), title);
}

// Step 3: consent.
function showConsents() {
  const found = state.columns.filter((one) => one.role === "consent");
  byId("consents").replaceChildren(...(found.length ? found.map(consentCard) : [el("li", { class: "column" }, word("no_consents"))]));
}

function consentCard(one) {
  const rest = [["", word("none")], ...state.columns.map((other) => [other.column, other.column])];
  const title = el("p", { class: "column-name" }, one.column);
  return about(el("li", { class: "column" }, title, el("div", { class: "column-fields" },
    field(word("f.purpose"), select(options("purpose", data.purposes), one.purpose), (value) => (one.purpose = value)),
    ...["granted", "withdrawn"].map((name) => field(word(`f.${name}`), input(one[name].join(", ")), (value) => (one[name] = listed(value)))),
    ...["collected_at", "expires_at"].map((name) => field(word(`f.${name}`), select(rest, one[name]), (value) => (one[name] = value))),
  )), title);
}

// Step 4: what it comes to.
async function summarise() {
  if (state.columns.length) byId("schema").value = JSON.stringify(schemaFrom(state.columns, state.basis));
  try {
    const { error, yaml } = await post("/datasets/new/check", { schema: byId("schema").value });
    tell("verdict", error ?? word("accepted"), error ? "bad" : "good");
    byId("yaml").textContent = yaml ?? "";
    byId("yaml-box").hidden = !yaml;
  } catch {
    tell("verdict", word("failed"), "bad");
  }
}

function showCommand() {
  const name = byId("name").value.trim().replaceAll('"', "");
  byId("command").textContent = [
    `cleanroom login ${data.url} --client-id cl_… --key client.jwk`,
    `cleanroom publish data.csv --schema schema.yaml${name ? ` --title "${name}"` : ""} --preset standard`,
  ].join("\n");
}

function go(step, { quiet = false } = {}) {
  state.step = step;
  document.querySelectorAll("section[data-part]").forEach((part) => (part.hidden = Number(part.dataset.part) !== step));
  document.querySelectorAll(".wizard-steps [data-step]").forEach((one) => one.setAttribute("aria-current", Number(one.dataset.step) === step ? "step" : "false"));
  if (step === 2) showKeys();
  if (step === 3) showConsents();
  if (step === 4) summarise();
  if (!quiet) document.querySelector(`section[data-part="${step}"] h2`).focus();
}

function tell(id, text, tone = "") {
  byId(id).textContent = text;
  if (tone) byId(id).className = `note note-${tone}`;
}
