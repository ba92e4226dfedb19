// Real players against a server: every file is fetched and compared, ffmpeg decodes every rendition
// to its end, and hls.js, dash.js and Shaka Player play, switch and seek in headless Chromium.
//
//   node tests/players/run.mjs --server target/release/shardcast [--full] [--out DIR]
//   node tests/players/run.mjs --base http://127.0.0.1:8080/vod --assets folders [--out DIR]
//
// With --server the program is started over the sample content and stopped afterwards; with --base
// something else serves it already. Results and screenshots go to --out (scratch/players).
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Browser } from './browser.mjs';
import { decodeAll } from './decode.mjs';
import { compareAll } from './identical.mjs';
import { playAll } from './play.mjs';
import { Results } from './results.mjs';
import { servePages, startServer } from './server.mjs';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '../..');

function options() {
  try {
    const { values } = parseArgs({
      options: {
        server: { type: 'string' },
        base: { type: 'string' },
        assets: { type: 'string', default: 'folders,packs' },
        out: { type: 'string', default: join(root, 'scratch/players') },
        only: { type: 'string', default: 'identical,decode,play' },
        full: { type: 'boolean', default: false },
      },
    });
    if (!values.server === !values.base) throw new Error('one of --server and --base is needed');
    return values;
  } catch (error) {
    console.error(`players: ${error.message} (see the head of tests/players/run.mjs)`);
    process.exit(2);
  }
}

const wanted = options();
// What ffmpeg made, and what our own verb `package` did.
const libraries = ['library', 'made'].map((name) => join(root, 'scratch/media', name));
const kinds = wanted.assets.split(',');
const results = new Results('players', wanted.out);

const server = wanted.server
  ? await startServer(resolve(wanted.server), [...libraries, join(root, 'scratch/media/packs')], join(wanted.out, 'state'))
  : { base: wanted.base.replace(/\/$/, ''), stop: async () => {} };

try {
  const test = { base: server.base, kinds, libraries, full: wanted.full, out: wanted.out, record: results.record };
  if (wanted.only.includes('identical')) await compareAll(test);
  if (wanted.only.includes('decode')) await decodeAll(test);
  if (wanted.only.includes('play')) {
    const pages = await servePages(dirname(fileURLToPath(import.meta.url)));
    const browser = await Browser.start();
    try {
      console.log(`players: ${await browser.version()}`);
      await playAll({ ...test, browser, pages: pages.base });
    } finally {
      await browser.stop();
      await pages.stop();
    }
  }
} finally {
  await server.stop();
  results.write();
}
results.end();
