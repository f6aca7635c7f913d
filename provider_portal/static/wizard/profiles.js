// How identifiers are normalised and hashed, by profile: the same as crypto/hash_profiles.py.
//
// The browser's own digest answers later, and one by one: it was measured at a twentieth of the speed of a library
// that answers at once. So the library hashes; its digests are the same.
import { md5, sha256 } from "./libraries.min.js";
import { GMAIL, IDENTIFIERS, email, isUid2Phone, maid, opaqueId, phone, stripped } from "./normalise.js";

const usual = { family: "sha256", form: "hex", identifiers: ["email", "phone"], plus: true };
export const PROFILES = {
  room: { ...usual, identifiers: IDENTIFIERS, email: { fold: GMAIL, strict: true } },
  uid2: { ...usual, form: "base64", email: { fold: ["gmail.com"] }, bareE164: true },
  google: { ...usual, email: { removeSpaces: true, fold: GMAIL } },
  meta: { ...usual, email: {}, plus: false },
  tiktok: { ...usual, email: { removeSpaces: true } },
  snap: { ...usual, email: {}, plus: false },
  pair: { ...usual, email: {} },
  yandex: { ...usual, family: "md5-sha256", email: {}, plus: false, legacy: true },
};
const utf8 = new TextEncoder();

export function normalise(name, identifier, text, region = null) {
  const profile = PROFILES[name];
  if (identifier === "email") return email(text, profile.email);
  if (identifier === "phone") {
    const plain = stripped(text);
    if (profile.bareE164 && isUid2Phone(plain)) return plain;
    const number = phone(plain, region);
    return number === null || profile.plus ? number : number.slice(1);
  }
  return identifier === "maid" ? maid(text) : opaqueId(text);
}

export function hashNormalised(name, normalised) {
  const data = utf8.encode(normalised);
  return sha256(PROFILES[name].family === "md5-sha256" ? md5(data) : data);
}

// A digest as files write it; what `parseHashed` reads back. An MD5 is written as it is, and hashed once more inside.
export function written(name, normalised) {
  const data = utf8.encode(normalised);
  if (PROFILES[name].family === "md5-sha256") return hex(md5(data));
  return PROFILES[name].form === "base64" ? base64(sha256(data)) : hex(sha256(data));
}

export function parseHashed(name, text) {
  const profile = PROFILES[name];
  if (profile.family === "md5-sha256") return /^[0-9a-f]{32}$/.test(text) ? sha256(bytesOfHex(text)) : null;
  if (profile.form === "hex") return /^[0-9a-f]{64}$/.test(text) ? bytesOfHex(text) : null;
  // 43 characters hold 258 bits; the last two must be zero, or several texts would be one digest.
  if (!/^[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=$/.test(text)) return null;
  return Uint8Array.from(atob(text), (one) => one.charCodeAt(0));
}

// Which profiles write texts of this form; null when it is no digest at all.
export function formOf(text) {
  if (/^[0-9a-f]{64}$/.test(text)) return "hex";
  if (/^[0-9a-fA-F]{64}$/.test(text)) return "upper";
  if (/^[0-9a-f]{32}$/i.test(text)) return "md5";
  return /^[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=$/.test(text) ? "base64" : null;
}

export const hex = (bytes) => Array.from(bytes, (one) => one.toString(16).padStart(2, "0")).join("");
export const base64 = (bytes) => btoa(String.fromCharCode(...bytes));
const bytesOfHex = (text) => Uint8Array.from(text.match(/../g), (pair) => parseInt(pair, 16));
