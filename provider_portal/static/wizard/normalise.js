// One spelling per identifier, before hashing: the same answers as crypto/normalise.py, which says where the rules
// come from. Every function returns the normalised text, or null when the text is no such identifier.
import { PhoneNumberFormat, PhoneNumberUtil } from "./libraries.min.js";

export const IDENTIFIERS = ["email", "phone", "maid", "cookie", "loyalty_id"];
const GMAIL = ["gmail.com", "googlemail.com"];
const MAX_EMAIL = 254, MAX_PHONE = 64, MAX_ID = 256;
const JUNK_EMAIL = /^(?:test@test|test@example|example@example|asd@asd|qwe@qwe|a@a|123@123|no@no|none@none)\./;
const JUNK_PHONE = /(?:0{7,}|1{7,}|2{7,}|3{7,}|4{7,}|5{7,}|6{7,}|7{7,}|8{7,}|9{7,}|1234567890|9876543210)$/;
// What Python calls blank; JavaScript's own list differs.
const BLANK = "\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000";
const BLANKS = new RegExp(`[${BLANK}]+`, "g");
const AROUND = new RegExp(`^[${BLANK}]+|[${BLANK}]+$`, "g");
const BLANK_OR_CONTROL = new RegExp(`[${BLANK}\\x00-\\x1f\\x7f-\\x9f\\u200b\\u2060\\ufeff]`);
const UID2_PHONE = /^\+[0-9]{10,15}$/;
const USUAL_EMAIL = /^[a-z0-9._%+-]+@[a-z0-9]+(?:[.-][a-z0-9]+)*\.[a-z]{2,24}$/;

export const stripped = (text) => text.replace(AROUND, "");
const characters = (text) => (/[\ud800-\udfff]/.test(text) ? [...text].length : text.length);

export function email(text, { removeSpaces = false, fold = [], strict = false } = {}) {
  let plain = strict ? text.normalize("NFKC") : text;
  plain = (removeSpaces ? plain.replace(BLANKS, "") : stripped(plain)).toLowerCase();
  const at = plain.indexOf("@");
  if (at < 1 || at !== plain.lastIndexOf("@") || at === plain.length - 1) return null;
  if (characters(plain) > MAX_EMAIL || BLANK_OR_CONTROL.test(plain)) return null;
  let local = plain.slice(0, at), domain = plain.slice(at + 1);
  if (strict && !(plain.length <= 64 && USUAL_EMAIL.test(plain))) {
    domain = idnaDomain(domain);
    if (domain === null) return null;
  }
  if (fold.includes(domain)) local = local.split("+", 1)[0].replaceAll(".", "");
  return local ? `${local}@${domain}` : null;
}

// IDNA 2008 with the mapping of UTS 46: the browser maps, and what it lets through beyond letters, marks and digits
// is refused here. Source: RFC 5891; the URL standard.
function idnaDomain(domain) {
  if (!domain.replace(/^\.+|\.+$/g, "").includes(".") || domain.endsWith(".")) return null;
  if (/[^\p{L}\p{M}\p{Nd}.\-\u3002\uff0e\uff61\u00b7\u200c\u200d\u00ad]/u.test(domain)) return null;
  let mapped = domain;
  if (/[^\x00-\x7f]|xn--/.test(domain)) {
    try {
      mapped = new URL(`http://${domain}`).hostname;
    } catch {
      return null;
    }
  }
  if (mapped.length > 253) return null;
  const good = mapped.split(".").every((label) =>
    /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/.test(label) && (label.slice(2, 4) !== "--" || label.startsWith("xn--")));
  return good && mapped.split(".").every((label) => !label.startsWith("xn--") || isWritten(label)) ? mapped : null;
}

// Whether a label in ASCII form stands for letters, and is the form that those letters have: browsers pass on others.
function isWritten(label) {
  const plain = fromPunycode(label.slice(4));
  if (plain === null || !/[^\x00-\x7f]/.test(plain) || /[^\p{L}\p{M}\p{Nd}\-\u00b7\u200c\u200d]/u.test(plain)) return false;
  try {
    return new URL(`http://${plain}`).hostname === label;
  } catch {
    return false;
  }
}

// Source: RFC 3492.
function fromPunycode(text) {
  const basic = text.lastIndexOf("-");
  const found = basic > 0 ? [...text.slice(0, basic)] : [];
  let at = basic > 0 ? basic + 1 : 0, code = 128, index = 0, bias = 72;
  while (at < text.length) {
    const before = index;
    for (let weight = 1, k = 36; ; k += 36) {
      const digit = "abcdefghijklmnopqrstuvwxyz0123456789".indexOf(text[at]);
      if (digit < 0) return null;
      at += 1;
      index += digit * weight;
      const least = k <= bias ? 1 : k >= bias + 26 ? 26 : k - bias;
      if (digit < least) break;
      weight *= 36 - least;
    }
    let delta = before ? Math.floor((index - before) / 2) : Math.floor(index / 700);
    const length = found.length + 1;
    delta += Math.floor(delta / length);
    bias = 0;
    for (; delta > 455; bias += 36) delta = Math.floor(delta / 35);
    bias += Math.floor((36 * delta) / (delta + 38));
    code += Math.floor(index / length);
    index %= length;
    if (code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) return null;
    found.splice(index, 0, String.fromCodePoint(code));
    index += 1;
  }
  return found.join("");
}

let phones = null;
export function phone(text, region = null) {
  if (characters(text) > MAX_PHONE) return null;
  // The compiled library takes what follows a number in other alphabets for noise; the others do not.
  if (/[^\x00-\x7f]/.test(text) && /\p{L}$/u.test(text) && !/[a-z]$/i.test(text)) return null;
  phones ??= PhoneNumberUtil.getInstance();
  try {
    const number = phones.parse(text, region ?? undefined);
    return phones.isValidNumber(number) ? phones.format(number, PhoneNumberFormat.E164) : null;
  } catch {
    return null;
  }
}

export const isUid2Phone = (text) => UID2_PHONE.test(text);

export function maid(text) {
  const hex = stripped(text).replaceAll("urn:", "").replaceAll("uuid:", "").replace(/^[{}]+|[{}]+$/g, "").replaceAll("-", "");
  if (!/^[0-9a-fA-F]{32}$/.test(hex) || /^0+$/.test(hex)) return null;
  return hex.toLowerCase().replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

export function opaqueId(text) {
  const plain = stripped(text);
  const length = characters(plain);
  return length > 0 && length <= MAX_ID ? plain : null;
}

export function isKnownJunk(identifier, normalised) {
  if (identifier === "email") return JUNK_EMAIL.test(normalised);
  return identifier === "phone" && JUNK_PHONE.test(normalised);
}

export { GMAIL };
