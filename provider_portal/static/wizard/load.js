// The page that loads a file: prepares it in a worker, signs the manifest, sends the package, and goes on after a pause
// or a reload where it stopped.
import { data, number, post, size, formToken, word } from "./dom.js";
import { Upload } from "./libraries.min.js";
import { signed } from "./package.js";
import { forget, keep, kept, packageOf, removed, removedAll } from "./store.js";

const PIECE = 4 << 20;
// Cut off, elsewhere than told, busy, too fast: none of them is an end.
const AGAIN = [408, 409, 423, 429];
const PAUSES = [500, 2_000, 5_000, 10_000];
const byId = (id) => document.getElementById(id);
const base = `/datasets/${data.dataset_id}`;
let record = null, upload = null, worker = null, preparing = null;

start();

async function start() {
  byId("begin").addEventListener("click", begin);
  byId("resume").addEventListener("click", goOn);
  byId("discard").addEventListener("click", discard);
  byId("cancel").addEventListener("click", discard);
  byId("pause").addEventListener("click", pause);
  byId("go-on").addEventListener("click", goOn);
  window.addEventListener("beforeunload", (event) => worker && event.preventDefault());
  if (!(await able())) {
    byId("file").disabled = true;
    return tell(word("old"), "wait");
  }
  record = await kept(data.dataset_id);
  if (record && !(await packageOf(record))) {
    await forget(record);
    record = null;
  }
  // What a preparation left behind that a reload broke off.
  await removedAll(`package-${data.dataset_id}-`, record?.file);
  if (record) offer();
  // Only now: what is prepared from here on must not be taken for a remainder. A file may be chosen already.
  byId("file").addEventListener("change", chosen);
  chosen();
}

// Signing is the newest of what is needed.
async function able() {
  try {
    await crypto.subtle.generateKey("Ed25519", false, ["sign", "verify"]);
    return typeof DecompressionStream === "function";
  } catch {
    return false;
  }
}

function offer() {
  const when = new Intl.DateTimeFormat(data.language, { dateStyle: "medium", timeStyle: "short" }).format(record.made);
  byId("kept-words").textContent = word("interrupted", { size: size(record.bytes), when });
  show("kept");
}

function chosen() {
  const [file] = byId("file").files;
  byId("begin").disabled = !file;
  byId("verdict").hidden = true;
}

function begin() {
  const [file] = byId("file").files;
  const mode = document.querySelector("input[name=mode]:checked")?.value ?? "full";
  const name = `package-${data.dataset_id}-${crypto.randomUUID()}.age`;
  preparing = name;
  const order = { schema: data.schema, schema_sha256: data.schema_sha256, recipient: data.recipient, mode, specials: data.specials };
  show("work");
  progress(word("preparing", { rows: "0", rejected: "0" }), 0);
  byId("faults").textContent = "";
  worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
  worker.onmessage = async ({ data: told }) => {
    if (told.progress) return progress(word("preparing", { rows: number(told.progress.rows), rejected: number(told.progress.rejected) }), told.progress.share);
    stopWorker();
    if (told.refused) {
      await removed(name);
      return refuse(word(`refused.${told.refused}`, told.values));
    }
    await finish(told.made, { mode, name, blob: told.blob });
  };
  worker.onerror = () => {
    stopWorker();
    refuse(word("refused.failed", { name: "worker" }));
  };
  worker.postMessage({ file, order, name });
}

// A key for this package alone: it cannot be taken out of the browser, and nothing keeps it once the manifest is signed.
async function finish(made, { mode, name, blob }) {
  const values = { rows: number(made.rows_written), rejected: number(made.rows_read - made.rows_written), size: size(made.ciphertext_bytes) };
  progress(word("prepared", values), 1);
  byId("faults").textContent = made.rejects.length ? word("first", { rows: made.rejects.slice(0, 10).map(([row, reason]) => word("row", { row: number(row), reason })).join("; ") }) : "";
  try {
    const pair = await crypto.subtle.generateKey("Ed25519", false, ["sign", "verify"]);
    const raw = new Uint8Array(await crypto.subtle.exportKey("raw", pair.publicKey));
    const given = await post(`${base}/load/key`, { public_key: btoa(String.fromCharCode(...raw)) });
    const manifest = await signed({
      package_id: given.package_id,
      workspace_id: data.workspace_id,
      dataset_id: data.dataset_id,
      mode,
      expected_version_id: mode === "delta" ? data.expected_version_id : null,
      schema_sha256: data.schema_sha256,
      recipient_key_id: data.recipient_key_id,
      rows: made.rows_written,
      ciphertext_sha256: made.ciphertext_sha256,
      ciphertext_bytes: made.ciphertext_bytes,
      signer_key_id: given.signer_key_id,
      created_at: given.created_at,
      expires_at: given.expires_at,
      v: 1,
    }, pair.privateKey);
    preparing = null;
    record = { dataset_id: data.dataset_id, manifest, bytes: made.ciphertext_bytes, made: Date.now(), publish: byId("publish").checked, url: null };
    if (blob) record.blob = blob;
    else record.file = name;
    await keep(record);
    await send();
  } catch (error) {
    await removed(name);
    refuse(error.status === 401 ? word("session") : word("stopped", { detail: String(error.status ?? "") }));
  }
}

async function send() {
  const source = await packageOf(record);
  if (!source) return refuse(word("gone"));
  show("work");
  byId("verdict").hidden = true;
  byId("pause").hidden = false;
  byId("go-on").hidden = true;
  upload = new Upload(source, {
    endpoint: "/uploads",
    uploadUrl: record.url,
    chunkSize: PIECE,
    retryDelays: PAUSES,
    storeFingerprintForResuming: false,
    metadata: { manifest: record.manifest, publish: record.publish ? "auto" : "manual" },
    headers: { "X-Form-Token": formToken() },
    onUploadUrlAvailable() {
      record.url = upload.url;
      keep(record);
    },
    onProgress: (sent) => progress(word("sending", { sent: size(sent), size: size(record.bytes) }), sent / record.bytes),
    onShouldRetry(error) {
      const status = error.originalResponse?.getStatus() ?? 0;
      const again = status === 0 || AGAIN.includes(status) || status >= 500;
      if (again) progress(word("waiting"), byId("meter").value);
      return again;
    },
    onError: failed,
    onSuccess: sent,
  });
  upload.start();
}

// By hand: the button that had the focus makes room for the one that stops it again.
async function goOn() {
  await send();
  if (!byId("pause").hidden) byId("pause").focus();
}

async function sent() {
  progress(word("sent"), 1);
  const id = new URL(record.url, location).pathname.split("/").pop();
  await forget(record);
  location.assign(`${base}/uploads/${id}`);
}

function failed(error) {
  const status = error.originalResponse?.getStatus() ?? 0;
  let detail = "";
  try {
    detail = JSON.parse(error.originalResponse?.getBody() ?? "").detail;
  } catch {
    detail = status ? String(status) : "";
  }
  const held = document.activeElement === byId("pause");
  byId("pause").hidden = true;
  byId("go-on").hidden = false;
  if (held) byId("go-on").focus();
  if (status === 401) tell(word("session"), "wait");
  else if (status === 404 || status === 410) tell(word("gone"), "bad");
  else if (status) tell(word("stopped", { detail }), "bad");
  else tell(word("waiting"), "wait");
}

async function pause() {
  await upload?.abort();
  byId("pause").hidden = true;
  byId("go-on").hidden = false;
  progress(word("paused", { sent: size(byId("meter").value * record.bytes), size: size(record.bytes) }), byId("meter").value);
  byId("go-on").focus();
}

// Nothing of it stays: neither here nor in the room.
async function discard() {
  stopWorker();
  await upload?.abort();
  if (record?.url) await fetch(record.url, { method: "DELETE", headers: { "Tus-Resumable": "1.0.0", "X-Form-Token": formToken() } }).catch(() => undefined);
  if (record) await forget(record);
  if (preparing) await removed(preparing);
  record = upload = preparing = null;
  show("choose");
  chosen();
  tell(word("discarded"), "good");
  byId("file").focus();
}

function stopWorker() {
  worker?.terminate();
  worker = null;
}

// What is hidden takes the focus with it: it goes on to the part that is shown instead.
function show(part) {
  const parts = ["kept", "choose", "work"], held = parts.some((id) => byId(id).contains(document.activeElement));
  for (const id of parts) byId(id).hidden = id !== part;
  byId("pause").hidden = byId("go-on").hidden = true;
  if (held) byId(part).focus();
}

function refuse(text) {
  show("choose");
  tell(text, "bad");
}

function progress(text, share) {
  byId("work-words").textContent = text;
  byId("meter").value = share;
}

function tell(text, tone) {
  Object.assign(byId("verdict"), { textContent: text, hidden: false, className: `note note-${tone}` });
}
