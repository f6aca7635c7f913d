// Hashes one identifier as its profile wants it, in the page; what was typed is sent nowhere.
import { sha256 } from "./libraries.min.js";
import { hex, normalise, written } from "./profiles.js";

const byId = (id) => document.getElementById(id);
const key = byId("key"), plain = byId("plain"), digest = byId("digest"), said = byId("plain-said");

function hash() {
  const [identifier, profile] = key.value.split("/"), text = plain.value.trim();
  if (!text) return "";
  if (identifier === "person_id") return hex(sha256(new TextEncoder().encode(text.normalize("NFC"))));
  const normalised = normalise(profile, identifier, text);
  return normalised === null ? null : written(profile, normalised);
}

function show() {
  const found = hash();
  said.textContent = found === null ? plain.dataset.bad : "";
  if (plain.value) digest.value = found ?? "";
}

if (key) {
  byId("plain-part").hidden = false;
  plain.addEventListener("input", show);
  key.addEventListener("change", show);
  // What is left in a field would be offered to whoever types there next.
  byId("lookup").addEventListener("submit", () => { plain.value = ""; });
}
