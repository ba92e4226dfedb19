// Builds the portal into dist/: a page, hashed scripts and styles, each gzipped, for a browser as
// old as Chromium 68. What comes out is looked at once more by a parser of that age's language.
import { build } from 'esbuild';
import { Parser, tokTypes } from 'acorn';
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';

const here = fileURLToPath(new URL('.', import.meta.url));
const dist = join(here, 'dist');
/** Bytes of the first load, compressed, apart from the players. */
const FIRST_LOAD_MAX = 300_000;
/** Chunks that are loaded when something is played, or a code is drawn. */
const LATE = /^(hls|shaka|qr)-/;

mkdirSync(dist, { recursive: true });
for (const name of readdirSync(dist)) if (name !== '.gitignore') rmSync(join(dist, name));

const result = await build({
  absWorkingDir: here,
  entryPoints: { app: 'src/main.tsx' },
  bundle: true,
  splitting: true,
  format: 'esm',
  target: ['chrome68'],
  // It has been there since Chromium 63.
  supported: { 'dynamic-import': true },
  minify: true,
  write: false,
  outdir: 'dist',
  entryNames: '[name]-[hash]',
  chunkNames: '[name]-[hash]',
  assetNames: '[name]-[hash]',
  jsx: 'automatic',
  jsxImportSource: 'preact',
  legalComments: 'none',
  metafile: true,
  define: { 'process.env.NODE_ENV': '"production"' },
  logLevel: 'warning',
});

const files = result.outputFiles.map(({ path, contents }) => ({ name: basename(path), bytes: Buffer.from(contents) }));
for (const { name, bytes } of files.filter(({ name }) => name.endsWith('.js'))) {
  try {
    oldEnough(bytes.toString());
  } catch (error) {
    throw new Error(`${name}: Chromium 68 can't read it: ${error.message}`);
  }
}

/** Of ECMAScript 2020 Chromium 68 has `import()` and large integers; what it lacks is refused. */
function oldEnough(text) {
  const onToken = ({ type }) => {
    if (type === tokTypes.questionDot || type === tokTypes.coalesce) throw new Error(`"${type.label}"`);
  };
  const { body } = Parser.parse(text, { ecmaVersion: 2020, sourceType: 'module', onToken });
  if (body.some(({ type, exported }) => type === 'ExportAllDeclaration' && exported)) throw new Error('"export * as"');
}

const find = (end) => files.find(({ name }) => name.startsWith('app-') && name.endsWith(end)).name;
const page = readFileSync(join(here, 'src/index.html'), 'utf8')
  .replace('%STYLE%', find('.css'))
  .replace('%SCRIPT%', find('.js'));
files.push({ name: 'index.html', bytes: Buffer.from(page) });
for (const name of ['icon.svg']) {
  const bytes = readFileSync(join(here, 'src', name));
  const hash = createHash('sha256').update(bytes).digest('hex').slice(0, 8).toUpperCase();
  const hashed = name.replace('.', `-${hash}.`);
  files.push({ name: hashed, bytes });
  const index = files.find(({ name }) => name === 'index.html');
  index.bytes = Buffer.from(index.bytes.toString().split(`%${name}%`).join(hashed));
}

let first = 0;
const sizes = [];
for (const { name, bytes } of files) {
  const gzipped = gzipSync(bytes, { level: 9 });
  // The header's byte that names the system that compressed it: the same everywhere.
  gzipped[9] = 255;
  writeFileSync(join(dist, `${name}.gz`), gzipped);
  if (!LATE.test(name)) first += gzipped.length;
  sizes.push(`${String(gzipped.length).padStart(8)}  ${name}`);
}
console.log(sizes.sort().join('\n'));
console.log(`${String(first).padStart(8)}  of the first load at most ${FIRST_LOAD_MAX}`);
if (first > FIRST_LOAD_MAX) throw new Error('the first load is too large');
