// Recomputes in the browser what the page says of an event: from the record's bytes up to the head that the room signed.
// Follows RFC 9162, 2.1.3.2, and the C2SP signed-note format.
(function () {
  const place = document.getElementById("browser-check"), result = document.getElementById("browser-result");
  const bytes = (text) => Uint8Array.from(atob(text), (one) => one.charCodeAt(0));
  const joined = (...parts) => {
    const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
    parts.reduce((at, part) => (whole.set(part, at), at + part.length), 0);
    return whole;
  };
  const sha256 = async (...parts) => new Uint8Array(await crypto.subtle.digest("SHA-256", joined(...parts)));
  const node = (left, right) => sha256(Uint8Array.of(1), left, right);
  const same = (one, other) => one.length === other.length && one.every((byte, at) => byte === other[at]);

  async function rootOf(evidence) {
    let hash = await sha256(Uint8Array.of(0), new TextEncoder().encode(evidence.record));
    let at = BigInt(evidence.index), last = BigInt(evidence.size) - 1n;
    for (const text of evidence.proof) {
      if (last === 0n) return null;
      const beside = bytes(text);
      if (at % 2n === 1n || at === last) {
        hash = await node(beside, hash);
        while (at % 2n === 0n && at !== 0n) { at /= 2n; last /= 2n; }
      } else {
        hash = await node(hash, beside);
      }
      at /= 2n; last /= 2n;
    }
    return last === 0n ? hash : null;
  }

  // true and false as the signature is good or not; null where the browser knows no Ed25519.
  async function signed(note, verifierKey) {
    const at = note.indexOf("\n\n"), text = note.slice(0, at + 1);
    const key = bytes(verifierKey.slice(verifierKey.indexOf("+", verifierKey.indexOf("+") + 1) + 1)).slice(1);
    const name = verifierKey.slice(0, verifierKey.indexOf("+"));
    const line = note.slice(at + 2).split("\n").find((one) => one.startsWith("\u2014 " + name + " "));
    if (!line || text.split("\n")[0] !== name) return false;
    let imported;
    try {
      imported = await crypto.subtle.importKey("raw", key, { name: "Ed25519" }, false, ["verify"]);
    } catch {
      return null;
    }
    const signature = bytes(line.split(" ").at(-1)).slice(4);
    return crypto.subtle.verify({ name: "Ed25519" }, imported, signature, new TextEncoder().encode(text));
  }

  async function outcome() {
    const evidence = await (await fetch(place.dataset.proof, { headers: { Accept: "application/json" } })).json();
    const [, size, root] = evidence.checkpoint.split("\n");
    const computed = await rootOf(evidence);
    if (!computed || String(evidence.size) !== size || !same(computed, bytes(root))) return "bad";
    const good = await signed(evidence.checkpoint, evidence.verifier_key);
    return good === null ? "half" : good ? "good" : "bad";
  }

  // Hashing needs a safe context: HTTPS, or this machine.
  if (!place || !window.crypto?.subtle) return;
  place.hidden = false;
  place.querySelector("button").addEventListener("click", async function () {
    const found = await outcome().catch(() => "bad");
    const shown = document.createElement("p");
    shown.className = found === "bad" ? "wrong" : "proven";
    shown.textContent = place.dataset[found];
    result.replaceChildren(shown);
  });
})();
