// Two servers that are fed alike, the second begun later: `shardcast-bench watch` looks at every edition
// of both for as long as it is told, and parsers of others read all of them.
//
//   node tests/players/watch.mjs --server target/release/shardcast --bench target/release/shardcast-bench
//     [--seconds 30] [--out DIR]
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, rmSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { stopAll } from './children.mjs';
import { feed, sources } from './feeders.mjs';
import { startLive } from './server.mjs';
import { ready } from './viewer.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const root = resolve(here, '../..');
/** How much later the second server begins. */
const LATER_MS = 5_000;
const CHANNEL = 'news';

const { values } = parseArgs({
  options: {
    server: { type: 'string' },
    bench: { type: 'string' },
    seconds: { type: 'string', default: '30' },
    out: { type: 'string', default: join(root, 'scratch/watch') },
  },
});
if (!values.server || !values.bench || !(Number(values.seconds) >= 1)) {
  console.error('watch: --server, --bench and at least one of --seconds are needed (see the head of tests/players/watch.mjs)');
  process.exit(2);
}

/** Runs a program, and says whether it was content. */
async function isGood(program, args) {
  const child = spawn(program, args, { stdio: 'inherit' });
  const [code] = await once(child, 'exit');
  return code === 0;
}

rmSync(values.out, { recursive: true, force: true });
const saved = join(values.out, 'saved');
const folders = ['first', 'second'].map((name) => join(values.out, name));
for (const folder of [saved, ...folders]) mkdirSync(folder, { recursive: true });
const running = [];
let good;
try {
  const files = await sources(values.out, { high: 320, low: 160 });
  const bases = [];
  for (const [at, folder] of folders.entries()) {
    if (at > 0) await delay(LATER_MS);
    const server = await startLive(resolve(values.server), [CHANNEL], folder);
    running.unshift(server);
    running.unshift(feed(resolve(values.bench), server.ingest, files, ['--channel', CHANNEL]));
    bases.push(server.base);
  }
  // Some segments, from which it can be watched.
  await Promise.all(bases.flatMap((base) => ['high', 'low', 'sound'].map((name) => ready(`${base}/${CHANNEL}/${name}`, 3))));
  const [first, second] = bases.map((base) => `${base}/${CHANNEL}`);
  good = await isGood(resolve(values.bench), ['watch', first, '--also', second, '--duration', `${values.seconds}s`, '--save', saved]);
  good = (await isGood(process.execPath, [join(here, 'parsers.mjs'), saved])) && good;
} finally {
  good = (await stopAll(running)) && good;
}
if (!good) process.exit(1);
