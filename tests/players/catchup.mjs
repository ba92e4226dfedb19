// Catch-up of random starts and lengths, read by ffprobe: hours of a channel are fed quickly, and every
// stretch of them must have the pictures and sounds of the segments that cover it.
//
//   node tests/players/catchup.mjs --server target/release/shardcast --bench target/release/shardcast-bench
//     [--minutes 20] [--stretches 6] [--longest SECONDS] [--seed N] [--out DIR]
import { execFile } from 'node:child_process';
import { mkdirSync, rmSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs, promisify } from 'node:util';
import { chance } from './chance.mjs';
import { encoded, feedQuickly } from './feeders.mjs';
import { startLive } from './server.mjs';
import { until } from './until.mjs';
import { listed } from './viewer.mjs';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '../..');
const run = promisify(execFile);
const CHANNEL = 'news';
/** Seconds of a segment, and pictures a second. */
const SEGMENT = 2;
const RATE = 4;
/** Seconds of a frame of sound. */
const FRAME = 1024 / 48000;
/** How much faster than the clock media is fed: a day in less than a minute, if the machine can. */
const SPEED = 2000;
/** What the numbers of a sound's ticks may be rounded by, in seconds. */
const ROUNDED = 0.001;

const { values } = parseArgs({
  options: {
    server: { type: 'string' },
    bench: { type: 'string' },
    minutes: { type: 'string', default: '20' },
    stretches: { type: 'string', default: '6' },
    longest: { type: 'string', default: '120' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    out: { type: 'string', default: join(root, 'scratch/catchup') },
  },
});
if (!values.server || !values.bench || !(Number(values.minutes) >= 1)) {
  console.error('catchup: --server, --bench and at least one of --minutes are needed (see the head of tests/players/catchup.mjs)');
  process.exit(2);
}

/** A small picture and a sound, which are repeated without end. */
function sources(folder) {
  const v = ['-f', 'lavfi', '-i', `testsrc2=size=64x36:rate=${RATE}:duration=8`, '-c:v', 'libx264', '-preset', 'ultrafast', '-g', String(SEGMENT * RATE), '-sc_threshold', '0'];
  const a = ['-f', 'lavfi', '-i', 'sine=sample_rate=48000:duration=8', '-c:a', 'aac', '-b:a', '32k', '-frag_duration', '1000000'];
  return encoded(folder, { v, a });
}

/** The seconds of a media playlist, and how many segments it lists. */
async function fetched(url) {
  const response = await fetch(url);
  const text = await response.text();
  if (!response.ok) throw new Error(`${url}: status ${response.status}: ${text}`);
  const { segments } = listed(text);
  return { seconds: segments.reduce((sum, { seconds }) => sum + seconds, 0), count: segments.length, text };
}

/** How many packets of each kind ffprobe reads, and what it says against it. */
async function probed(url) {
  const args = ['-v', 'error', '-count_packets', '-show_entries', 'stream=codec_type,nb_read_packets', '-of', 'json', url];
  const { stdout, stderr } = await run('ffprobe', args, { maxBuffer: 1 << 26 });
  const count = { video: 0, audio: 0 };
  for (const stream of JSON.parse(stdout).streams) count[stream.codec_type] = Number(stream.nb_read_packets);
  return { ...count, complaints: stderr.trim() };
}

/** Looks at one stretch; gives what is wrong with it. */
async function faults(base, fed, from, length) {
  const folder = `${base}/${CHANNEL}/archive/${from}-${length}`;
  const first = Math.max(Math.floor(from / SEGMENT), fed.first);
  const end = Math.min(Math.ceil((from + length) / SEGMENT), fed.end);
  const wrong = [];
  const expect = (what, is, wanted, slack = 0) => {
    if (!(Math.abs(is - wanted) <= slack)) wrong.push(`${what}: ${is} instead of ${wanted}`);
  };
  const picture = await fetched(`${folder}/v/media.m3u8`);
  expect('segments', picture.count, end - first);
  expect('seconds', picture.seconds, (end - first) * SEGMENT, ROUNDED);
  if (!picture.text.includes(`/v/${first}.m4s\n`)) wrong.push(`${first}.m4s is not listed`);
  const sound = await fetched(`${folder}/a/media.m3u8`);
  // A sound's segments begin with the frame that is nearest, so it may have one more, or one fewer.
  expect('seconds of sound', sound.seconds, picture.seconds, SEGMENT + FRAME);
  for (const name of ['master.m3u8', 'manifest.mpd']) {
    const read = await probed(`${folder}/${name}`);
    expect(`pictures of ${name}`, read.video, picture.seconds * RATE, ROUNDED);
    // A manifest begins where picture and sound are both there.
    const slack = name === 'master.m3u8' ? 1 : SEGMENT / FRAME + 1;
    expect(`frames of sound of ${name}`, read.audio, sound.seconds / FRAME, slack);
    if (read.complaints) wrong.push(`${name}: ${read.complaints}`);
  }
  return wrong;
}

rmSync(values.out, { recursive: true, force: true });
mkdirSync(values.out, { recursive: true });
const lines = `segment = "${SEGMENT}s"\npart = "${SEGMENT}s"\npatience = "1h"\narchive = "30d"\n`;
const server = await startLive(resolve(values.server), [CHANNEL], values.out, lines);
let failed = 0;
try {
  const seconds = Number(values.minutes) * 60;
  const first = Math.floor((Date.now() / 1000 - seconds - 600) / SEGMENT);
  const fed = { first, end: first + Math.floor(seconds / SEGMENT) };
  const files = await sources(values.out);
  await feedQuickly(resolve(values.bench), server.ingest, files, ['--channel', CHANNEL, '--mode', 'long', '--segment', `${SEGMENT}s`,
    '--from', String(first * SEGMENT), '--duration', `${seconds}s`, '--speed', String(SPEED)]);
  const newest = `${server.base}/${CHANNEL}/archive/${(fed.end - 1) * SEGMENT}-${SEGMENT}`;
  const isKept = async (name) => (await fetch(`${newest}/${name}/media.m3u8`)).ok;
  await until('what was fed last', async () => (await isKept('v')) && (await isKept('a')));
  const seed = Number(values.seed);
  const random = chance(seed);
  console.log(`${values.minutes} minutes are kept; seed ${seed}`);
  for (let at = 0; at < Number(values.stretches); at += 1) {
    // Many are short, some are very long; some begin before all that is kept, or end behind it.
    const length = Math.max(1, Math.round(Math.min(Number(values.longest), seconds) ** random()));
    const from = Math.round(first * SEGMENT - length / 2 + random() * seconds);
    const began = Date.now();
    const wrong = await faults(server.base, fed, from, length);
    console.log(`${wrong.length ? 'WRONG' : 'ok   '} ${from}-${length} in ${Date.now() - began} ms`);
    for (const fault of wrong) console.log(`      ${fault}`);
    failed += wrong.length ? 1 : 0;
  }
} finally {
  await server.stop();
}
rmSync(join(values.out, 'state'), { recursive: true, force: true });
if (failed > 0) process.exit(1);
