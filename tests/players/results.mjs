// What a script finds out: told as it comes, put down in `results.json`, and counted in the end.
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export class Results {
  #script;
  #file;
  #all = [];

  /** Of this script; whatever it puts down goes into `folder`, which is made anew. */
  constructor(script, folder) {
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder, { recursive: true });
    [this.#script, this.#file] = [script, join(folder, 'results.json')];
  }

  record = (result) => {
    this.#all.push(result);
    this.#tell(result);
  };

  #tell({ name, seen, errors }) {
    const lines = errors.map((error) => `\n    ${error}`).join('');
    console.log(`${this.#script}: ${errors.length ? 'FAILED' : 'ok'} ${name}: ${seen}${lines}`);
  }

  write() {
    writeFileSync(this.#file, JSON.stringify(this.#all, null, 2) + '\n');
  }

  /** Says how many are good; the process fails unless all are, and some. */
  end(more = this.#file) {
    const failed = this.#all.filter(({ errors }) => errors.length);
    // Once more, where a reader of a long log looks.
    failed.forEach((result) => this.#tell(result));
    console.log(`${this.#script}: ${this.#all.length - failed.length} of ${this.#all.length} passed (${more})`);
    if (failed.length || this.#all.length === 0) process.exit(1);
  }
}
