// What a reload must not lose: the encrypted package in the browser's private file system, and beside it, in its
// database, the signed manifest and where the upload stands. No plain text, and no key that could open the package.
const DATABASE = "cleanroom-uploads", TABLE = "packages";

function database() {
  return new Promise((resolve, reject) => {
    const opening = indexedDB.open(DATABASE, 1);
    opening.onupgradeneeded = () => opening.result.createObjectStore(TABLE, { keyPath: "dataset_id" });
    opening.onsuccess = () => resolve(opening.result);
    opening.onerror = () => reject(opening.error);
  });
}

async function within(mode, act) {
  const opened = await database();
  try {
    return await new Promise((resolve, reject) => {
      const change = opened.transaction(TABLE, mode);
      const asked = act(change.objectStore(TABLE));
      change.oncomplete = () => resolve(asked.result);
      change.onerror = change.onabort = () => reject(change.error);
    });
  } finally {
    opened.close();
  }
}

export const kept = (datasetId) => within("readonly", (table) => table.get(datasetId)).catch(() => undefined);
export const keep = (record) => within("readwrite", (table) => table.put(record)).catch(() => undefined);

export async function forget(record) {
  await within("readwrite", (table) => table.delete(record.dataset_id)).catch(() => undefined);
  if (record.file) await removed(record.file);
}

export async function removed(name) {
  const folder = await navigator.storage.getDirectory().catch(() => null);
  await folder?.removeEntry(name).catch(() => undefined);
}

// Removes files by the beginning of their names, but one; those that another tab is writing stay.
export async function removedAll(prefix, but) {
  const folder = await navigator.storage.getDirectory().catch(() => null);
  if (!folder) return;
  for await (const name of folder.keys()) if (name.startsWith(prefix) && name !== but) await removed(name);
}

// The package as something that can be read piece by piece; null when the browser has dropped it.
export async function packageOf(record) {
  if (record.blob) return record.blob;
  try {
    const folder = await navigator.storage.getDirectory();
    const file = await (await folder.getFileHandle(record.file)).getFile();
    return file.size === record.bytes ? file : null;
  } catch {
    return null;
  }
}
