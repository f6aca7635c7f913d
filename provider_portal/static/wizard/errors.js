// A file that cannot be taken: a code that the page has words for, and what the words name.
export class FileRefused extends Error {
  constructor(code, values = {}) {
    super(code);
    this.code = code;
    this.values = values;
  }
}
