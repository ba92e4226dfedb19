// Every file of the sample libraries, fetched from its folder and from its pack, byte for byte.
import { readdirSync, readFileSync } from 'node:fs';
import { basename, join, relative } from 'node:path';

/** Paths of all files below a folder, relative to it. */
export function filesBelow(folder, from = folder) {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    return entry.isDirectory() ? filesBelow(path, from) : [relative(from, path)];
  });
}

async function difference(url, path) {
  const response = await fetch(url).catch((error) => ({ failure: error.cause?.message ?? error.message }));
  if (response.failure) return `${url}: ${response.failure}`;
  if (response.status !== 200) return `${url}: status ${response.status}`;
  const body = Buffer.from(await response.arrayBuffer());
  const expected = readFileSync(path);
  return body.equals(expected) ? null : `${url}: ${body.length} bytes differ from the file's ${expected.length}`;
}

export async function compareAll({ base, kinds, libraries, record }) {
  for (const library of libraries) {
    const files = filesBelow(library);
    for (const kind of kinds) {
      const errors = files.length ? [] : ['there are no files'];
      for (const file of files) {
        const path = kind === 'packs' ? `packed-${file}` : file;
        const found = await difference(`${base}/${path}`, join(library, file));
        if (found) errors.push(found);
      }
      record({ name: `identical/${basename(library)}/${kind}`, seen: `${files.length} files`, errors: errors.slice(0, 20) });
    }
  }
}
