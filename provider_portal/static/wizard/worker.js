// Prepares a file apart from the page: reads, normalises, hashes and encrypts it. Nothing is sent from here; what is
// encrypted goes to the browser's private file system, from where the page uploads it, also after a reload.
import { FileRefused } from "./errors.js";
import { prepare } from "./package.js";

self.addEventListener("message", async ({ data: { file, order, name } }) => {
  const sink = await placeFor(name);
  try {
    const made = await prepare(file, order, sink, (progress) => self.postMessage({ progress }));
    self.postMessage({ made, blob: sink.end() });
  } catch (error) {
    sink.end();
    const refused = error instanceof FileRefused;
    // A failure's own text could quote a value of the file; its kind says enough.
    self.postMessage({ refused: refused ? error.code : error.special ? "special" : "failed", values: refused ? error.values : { name: error.special ?? error.name } });
  }
});

// Private windows of some browsers have no file system; there the package stays in memory until the page is closed.
async function placeFor(name) {
  try {
    const folder = await navigator.storage.getDirectory();
    const access = await (await folder.getFileHandle(name, { create: true })).createSyncAccessHandle();
    access.truncate(0);
    return {
      write: (bytes, at) => access.write(bytes, { at }),
      end: () => {
        access.flush();
        access.close();
        return null;
      },
    };
  } catch {
    const parts = [];
    return { write: (bytes) => parts.push(bytes.slice()), end: () => new Blob(parts) };
  }
}
