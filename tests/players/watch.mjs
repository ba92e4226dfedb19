// Two servers that are fed alike, the second begun later: `shardcast-bench watch` looks at every edition
// of both for as long as it is told, and parsers of others read all of them.
//
//   node tests/players/watch.mjs --server target/release/shardcast --bench target/release/shardcast-bench
//     [--seconds 30] [--out DIR]
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, rmSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs, promisify } from 'node:util';
import { startLive } from './server.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const root = resolve(here, '../..');
const run = promisify(execFile);
/** How long a channel may take until it lists enough. */
const PATIENCE_MS = 60_000;
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

/** Pictures of two sizes and a sound, in chunks of half a second and a little less. */
async function sources(folder) {
  const shape = ['-movflags', 'frag_keyframe+empty_moov+default_base_moof'];
  const video = (width) => ['-f', 'lavfi', '-i', `testsrc2=size=${width}x90:rate=24:duration=8`, '-c:v', 'libx264', '-preset', 'ultrafast', '-g', '48', '-sc_threshold', '0', '-frag_duration', '500000'];
  const sound = ['-f', 'lavfi', '-i', 'sine=sample_rate=48000:duration=8', '-c:a', 'aac', '-frag_duration', '480000'];
  const all = { high: video(320), low: video(160), sound };
  for (const [name, args] of Object.entries(all)) await run('ffmpeg', ['-v', 'error', '-y', ...args, ...shape, join(folder, `${name}.mp4`)]);
  return Object.keys(all).map((name) => join(folder, `${name}.mp4`));
}

function feed(ingest, files) {
  const args = ['feed', ingest, '--source', ...files, '--stems', '--channel', CHANNEL, '--alike'];
  const child = spawn(resolve(values.bench), args, { stdio: ['ignore', 'ignore', 'inherit'] });
  const exited = once(child, 'exit');
  return {
    stop: async () => {
      child.kill('SIGTERM');
      await exited;
    },
  };
}

/** Waits until every rendition lists some segments, from which it can be watched. */
async function ready(base) {
  for (const end = Date.now() + PATIENCE_MS; Date.now() < end; await delay(200)) {
    const lists = await Promise.all(['high', 'low', 'sound'].map(async (name) => {
      const list = await fetch(`${base}/${CHANNEL}/${name}/index.m3u8`);
      return list.ok ? list.text() : '';
    }));
    if (lists.every((list) => list.split('#EXTINF').length > 3)) return;
  }
  throw new Error(`${base} lists nothing after ${PATIENCE_MS} ms`);
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
  const files = await sources(values.out);
  const bases = [];
  for (const [at, folder] of folders.entries()) {
    if (at > 0) await delay(LATER_MS);
    const server = await startLive(resolve(values.server), [CHANNEL], folder);
    running.unshift(server);
    running.unshift(feed(server.ingest, files));
    bases.push(server.base);
  }
  for (const base of bases) await ready(base);
  const [first, second] = bases.map((base) => `${base}/${CHANNEL}`);
  good = await isGood(resolve(values.bench), ['watch', first, '--also', second, '--duration', `${values.seconds}s`, '--save', saved]);
  good = (await isGood(process.execPath, [join(here, 'parsers.mjs'), saved])) && good;
} finally {
  for (const one of running) await one.stop();
}
if (!good) process.exit(1);
