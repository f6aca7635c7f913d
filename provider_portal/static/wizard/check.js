// A look at identifiers in the browser: what they are normalised to, and whether a digest is one of theirs. Nothing of
// it is sent, and nothing is kept.
import { el, select, word } from "./dom.js";
import { IDENTIFIERS } from "./normalise.js";
import { PROFILES, formOf, normalise, written } from "./profiles.js";

const MOST = 20;
const byId = (id) => document.getElementById(id);
const lines = (id) => byId(id).value.split("\n").map((line) => line.trim()).filter(Boolean).slice(0, MOST);

export function showCheck() {
  byId("check-identifier").replaceWith(Object.assign(select(IDENTIFIERS.map((one) => [one, word(`identifier.${one}`)]), "email"), { id: "check-identifier", className: "form-select" }));
  byId("check-identifier").addEventListener("change", showProfiles);
  byId("check-do").addEventListener("click", compare);
  showProfiles();
}

function fitting() {
  const identifier = byId("check-identifier").value;
  return Object.keys(PROFILES).filter((name) => PROFILES[name].identifiers.includes(identifier));
}

function showProfiles() {
  byId("check-profile").replaceChildren(...fitting().map((name) => el("option", { value: name }, name)));
}

function compare() {
  const identifier = byId("check-identifier").value, profile = byId("check-profile").value;
  const region = byId("check-region").value.trim().toUpperCase() || null;
  const values = lines("check-values");
  byId("check-plain").replaceChildren(...values.map((text, at) => {
    const plain = normalise(profile, identifier, text, region);
    return row(at + 1, plain ?? word("not_one"), plain === null ? "—" : el("code", {}, written(profile, plain)));
  }));
  const known = new Map();
  values.forEach((text, at) => fitting().forEach((name) => {
    const plain = normalise(name, identifier, text, region);
    if (plain === null) return;
    const digest = written(name, plain), place = known.get(digest) ?? { row: at + 1, profiles: [] };
    place.profiles.push(name);
    known.set(digest, place);
  }));
  byId("check-digests").replaceChildren(...lines("check-hashes").map((text, at) => row(at + 1, text, verdict(text, known))));
  byId("check-out").hidden = false;
}

function verdict(text, known) {
  const same = known.get(text);
  if (same) return word("check.same", { row: same.row, profile: same.profiles.join(", ") });
  return word(`check.${formOf(text) ?? "none"}`);
}

const row = (number, first, second) => el("tr", {}, el("th", { scope: "row" }, String(number)), el("td", {}, el("code", {}, first)), el("td", {}, second));
