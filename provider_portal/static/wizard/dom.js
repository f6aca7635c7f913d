// Small helpers of the wizard's pages: words, elements, forms, answers of the room.
const data = JSON.parse(document.getElementById("wizard-data").textContent);
export { data };

export function word(name, values = {}) {
  return (data.words[name] ?? name).replace(/%\((\w+)\)s/g, (whole, key) => values[key] ?? whole);
}

export function el(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name === "class") made.className = value;
    else if (name.startsWith("aria-") || name === "for" || name === "role") made.setAttribute(name, value);
    else made[name] = value;
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return made;
}

let numbers = 0;
// A labelled control; `change` is called with its value.
export function field(label, control, change, hint = "") {
  numbers += 1;
  control.id ||= `w-${numbers}`;
  control.className ||= control.tagName === "SELECT" ? "form-select" : "form-control";
  control.addEventListener("change", () => change(control.value));
  const parts = [el("label", { class: "form-label", for: control.id }, label), control];
  if (hint) {
    control.setAttribute("aria-describedby", `${control.id}-h`);
    parts.push(el("div", { class: "form-hint", id: `${control.id}-h` }, hint));
  }
  return el("div", {}, ...parts);
}

// Controls of a row are told apart by what the row is about, the text of `title`.
export function about(row, title) {
  numbers += 1;
  title.id = `w-${numbers}`;
  for (const label of row.querySelectorAll("label[for]")) {
    label.id = `${label.htmlFor}-l`;
    row.querySelector(`#${label.htmlFor}`).setAttribute("aria-labelledby", `${label.id} ${title.id}`);
  }
  return row;
}

// options: [value, text] pairs.
export function select(options, chosen) {
  return el("select", {}, options.map(([value, text]) => el("option", { value, selected: value === chosen }, text)));
}

export const input = (value = "", more = {}) => el("input", { type: "text", value, autocomplete: "off", ...more });
export const listed = (text) => text.split(",").map((part) => part.trim()).filter(Boolean);
export const number = (value) => new Intl.NumberFormat(data.language).format(value);

export function size(bytes) {
  const units = ["byte", "kilobyte", "megabyte", "gigabyte"];
  const step = Math.min(units.length - 1, Math.floor(Math.log10(Math.max(bytes, 1)) / 3));
  return new Intl.NumberFormat(data.language, { style: "unit", unit: units[step], maximumFractionDigits: step ? 1 : 0 }).format(bytes / 1000 ** step);
}

export const formToken = () => document.querySelector("input[name=form_token]").value;

// Sends fields as the page's own forms do, and reads the answer; raises an error with the answer's status.
export async function post(path, fields) {
  const body = new URLSearchParams({ form_token: formToken(), ...fields });
  const answer = await fetch(path, { method: "POST", body, headers: { Accept: "application/json" } });
  if (!answer.ok) throw Object.assign(new Error("refused"), { status: answer.status });
  return answer.json();
}
