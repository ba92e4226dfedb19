// A folder that ffmpeg rewrites every 2 s, watched over HTTP: every copy of the playlist that is
// fetched must parse and follow the one before it, and every segment that it lists must be whole.
//
//   node tests/players/rewritten.mjs --server target/release/shardcast [--seconds 24]
//
// The same client also looks through proxies that each do one thing wrong. It must find every one of
// them, or its silence about the server would mean nothing.
import { mkdirSync, rmSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { start } from './children.mjs';
import { DEFECTS, startProxy } from './proxy.mjs';
import { startServer } from './server.mjs';
import { PATIENCE_MS, until } from './until.mjs';
import { RATE, Watcher } from './watcher.mjs';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '../..');
const out = join(root, 'scratch/rewritten');
const library = join(out, 'library');
const SEGMENT_SECONDS = 2;
const LIST_SIZE = 4;

const video = ['-c:v', 'libx264', '-preset', 'ultrafast', '-pix_fmt', 'yuv420p', '-g', '50', '-keyint_min', '50', '-sc_threshold', '0', '-b:v', '300k'];
// Segments of more than 1 MiB are not held in memory: they are opened, like films.
const large = ['-c:v', 'mpeg2video', '-g', '50', '-bf', '0', '-b:v', '8M', '-minrate', '8M', '-maxrate', '8M', '-bufsize', '2M'];
/** What operators' encoders do: segments written in place or renamed in, in both containers. */
const FLAVOURS = [
  { name: 'ts', size: '256x144', codec: video, container: ['-hls_segment_filename', 'segment-%05d.ts'], flags: '' },
  { name: 'fmp4', size: '256x144', codec: video, container: ['-hls_segment_type', 'fmp4', '-hls_segment_filename', 'segment-%05d.m4s'], flags: '+temp_file' },
  { name: 'large', size: '640x360', codec: large, container: ['-hls_segment_filename', 'segment-%05d.ts'], flags: '' },
];

function options() {
  try {
    const { values } = parseArgs({ options: { server: { type: 'string' }, seconds: { type: 'string', default: '24' } } });
    const seconds = Number(values.seconds);
    if (!values.server || !(seconds >= 20)) throw new Error('--server, and at least 20 --seconds, are needed');
    return { server: resolve(values.server), seconds };
  } catch (error) {
    console.error(`rewritten: ${error.message} (see the head of tests/players/rewritten.mjs)`);
    process.exit(2);
  }
}

/** An encoder that writes into a folder of its own until it is asked to stop. */
function startEncoder({ name, size, codec, container, flags }) {
  const folder = join(library, name);
  mkdirSync(folder, { recursive: true });
  const args = ['-v', 'error', '-y', '-re', '-f', 'lavfi', '-i', `testsrc2=size=${size}:rate=${RATE}`, '-re', '-f', 'lavfi', '-i', 'sine=frequency=440:sample_rate=48000',
    ...codec, '-c:a', 'aac', '-b:a', '64k', '-f', 'hls', '-hls_time', String(SEGMENT_SECONDS), '-hls_list_size', String(LIST_SIZE),
    '-hls_delete_threshold', '3', '-hls_flags', `delete_segments${flags}`, ...container, 'index.m3u8'];
  const encoder = start('ffmpeg', args, { cwd: folder, stdio: ['pipe', 'inherit', 'inherit'] });
  const stop = async () => {
    // It ends well, with the last playlist written, when it reads a `q`.
    const how = await encoder.end((stdin) => stdin.end('q'), PATIENCE_MS);
    if (how !== 'exit status 0') throw new Error(`ffmpeg of ${name} did not end well: ${how}`);
  };
  return Object.assign(encoder, { name, folder, stop });
}

/** Watches all flavours from the first playlist to the last one, and the proxies beside them. */
async function watchAll(base, encoders, seconds) {
  for (const { name } of encoders) {
    const served = async () => (await fetch(`${base}/${name}/index.m3u8`).catch(() => null))?.ok;
    await until(`the first playlist of ${name}`, served);
  }
  const end = Date.now() + seconds * 1000;
  const watchers = encoders.map(({ name, folder }) =>
    new Watcher({ base: `${base}/${name}`, folder, listSize: LIST_SIZE, probe: true }));
  const proxies = [];
  for (const defect of DEFECTS) {
    const proxy = await startProxy(base, defect);
    const watcher = new Watcher({ base: `${proxy.base}/fmp4`, folder: encoders[1].folder, listSize: LIST_SIZE, probe: false });
    proxies.push({ defect, proxy, watcher });
  }
  let late = Infinity;
  const watching = watchers.map((watcher) => watcher.watch(() => {
    if (Date.now() > late) watcher.errors.push(`${watcher.base}: the last playlist, with its #EXT-X-ENDLIST, never came`);
    return Date.now() > late;
  }));
  // A defect that is found is found: no need to look on for ten minutes.
  const proving = proxies.map(({ watcher }) => watcher.watch(() => watcher.errors.length > 0 || Date.now() > end));
  while (Date.now() < end) {
    const gone = encoders.find(({ ended }) => ended !== null);
    if (gone) throw new Error(`ffmpeg of ${gone.name} ended by itself: ${gone.ended}`);
    await delay(100);
  }
  await Promise.all(encoders.map((encoder) => encoder.stop()));
  late = Date.now() + PATIENCE_MS;
  await Promise.all([...watching, ...proving]);
  for (const { proxy } of proxies) proxy.stop();
  return { watchers, proxies };
}

/** Says what was seen of one flavour; its errors. */
function report({ name }, watcher, seconds) {
  watcher.judge();
  const errors = [...watcher.errors];
  // A server that shows the same copy for ever shows nothing torn either.
  const expected = Math.floor(seconds / SEGMENT_SECONDS) - 2;
  if (watcher.copies.size < expected) errors.push(`only ${watcher.copies.size} different copies in ${seconds} s, not ${expected}`);
  if (watcher.segments.size < expected) errors.push(`only ${watcher.segments.size} segments in ${seconds} s, not ${expected}`);
  const twice = [...watcher.segments.values()].filter(({ again }) => again).length;
  console.log(`rewritten: ${errors.length ? 'FAILED' : 'ok'} ${name}: ${watcher.playlists} playlists (${watcher.copies.size} different), `
    + `${watcher.segments.size} segments whole, ${twice} of them fetched again as the oldest`);
  for (const error of errors) console.log(`    ${error}`);
  return errors.length;
}

const { server: binary, seconds } = options();
rmSync(out, { recursive: true, force: true });
mkdirSync(library, { recursive: true });
const server = await startServer(binary, [library], join(out, 'state'));
const encoders = FLAVOURS.map(startEncoder);
let failed = 0;
try {
  const { watchers, proxies } = await watchAll(server.base, encoders, seconds);
  watchers.forEach((watcher, index) => (failed += report(encoders[index], watcher, seconds)));
  for (const { defect, watcher } of proxies) {
    watcher.judge();
    const found = watcher.errors[0];
    if (!found) failed++;
    console.log(found ? `rewritten: ok ${defect.name} is noticed: ${found.slice(0, 160)}` : `rewritten: FAILED ${defect.name} is not noticed`);
  }
} finally {
  for (const encoder of encoders) if (encoder.ended === null) await encoder.stop().catch((error) => console.log(`rewritten: ${error.message}`));
  await server.stop();
}
if (failed) process.exit(1);
