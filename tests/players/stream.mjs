// A channel of CMAF as one transport stream, for a long time and for many: ffmpeg pushes low-latency
// DASH, and mpv, ffmpeg and a reader of ours take `stream.ts`. Then many viewers take it: it is made
// once for all of them, they get the same bytes, and what that costs is said.
//
//   node tests/players/stream.mjs --server target/release/shardcast [--seconds 10] [--viewers 50] [--out DIR]
import { execFile } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';
import { Agent, get } from 'node:http';
import { dirname, join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs, promisify } from 'node:util';
import { spread } from './clock.mjs';
import { ffmpegAt, ready, startEncoder } from './encoders.mjs';
import { playMpv } from './mpv.mjs';
import { Results } from './results.mjs';
import { startLive } from './server.mjs';
import { Reader } from './transport.mjs';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '../..');
const run = promisify(execFile);
const CHANNEL = 'news';
/** How long the cost of viewers is measured, at most, and what of each is compared. */
const COST_SECONDS = 30;
const COMPARED = 200 * 188;
/** Behind how much of the stream a viewer's beginning is not looked for any more. */
const KEPT = 64 << 20;

function options() {
  try {
    const { values } = parseArgs({
      options: {
        server: { type: 'string' },
        seconds: { type: 'string', default: '10' },
        viewers: { type: 'string', default: '50' },
        out: { type: 'string', default: join(root, 'scratch/stream') },
      },
    });
    const [seconds, viewers] = [Number(values.seconds), Number(values.viewers)];
    if (!values.server || !(seconds >= 3) || !(viewers >= 2)) throw new Error('--server, at least 3 --seconds and 2 --viewers are needed');
    return { server: resolve(values.server), seconds, viewers, out: values.out };
  } catch (error) {
    console.error(`stream: ${error.message} (see the head of tests/players/stream.mjs)`);
    process.exit(2);
  }
}

/** Takes a stream until it is told to stop; `take` gets its bytes. */
function watch(url, agent, take) {
  const viewer = { size: 0, fault: null };
  const request = get(url, { agent }, (response) => {
    if (response.statusCode !== 200) viewer.fault = `status ${response.statusCode}`;
    response.on('data', (bytes) => {
      viewer.size += bytes.length;
      take(bytes);
    });
    response.on('end', () => (viewer.fault ??= 'the stream ended'));
    response.on('error', (error) => (viewer.fault ??= error.message));
  });
  request.on('error', (error) => (viewer.fault ??= error.message));
  viewer.stop = () => {
    viewer.fault ??= 'stopped';
    request.destroy();
  };
  return viewer;
}

/** Clock ticks of a hundredth of a second that each thread of a process has used, by name. */
function ticks(pid) {
  const used = {};
  for (const task of readdirSync(`/proc/${pid}/task`)) {
    const stat = readFileSync(`/proc/${pid}/task/${task}/stat`, 'latin1');
    const [name, fields] = [stat.slice(stat.indexOf('(') + 1, stat.lastIndexOf(')')), stat.slice(stat.lastIndexOf(')') + 2).split(' ')];
    used[name] = (used[name] ?? 0) + Number(fields[11]) + Number(fields[12]);
  }
  return used;
}

/** Milliseconds of a processor that the threads of a server use in a second, by their names. */
async function cost(pid, seconds) {
  const [before, begun] = [ticks(pid), performance.now()];
  await delay(seconds * 1000);
  const [after, took] = [ticks(pid), (performance.now() - begun) / 1000];
  const each = Object.entries(after).map(([name, value]) => [name, Math.round((value - (before[name] ?? 0)) * 100 / took) / 10]);
  return Object.fromEntries(each.filter(([, value]) => value > 0));
}

/** How often the stream began to be made. */
async function remuxes(admin) {
  const text = await (await fetch(`${admin}/metrics`)).text();
  return Number(new RegExp(`^shardcast_remuxes_total\\{channel="${CHANNEL}"\\} (\\d+)$`, 'm').exec(text)?.[1]);
}

/** What ffmpeg says of a stream that it decodes for so long. */
async function decoded(url, seconds) {
  const args = ['-v', 'warning', '-nostdin', '-i', url, '-map', '0', '-t', String(seconds), '-f', 'null', '-'];
  const { stderr } = await run('ffmpeg', args, { timeout: (seconds + 60) * 1000, maxBuffer: 16 << 20 });
  return stderr.trim() ? stderr.trim().split('\n') : [];
}

async function aLongTime(url, { seconds, out }) {
  const reader = new Reader();
  const viewer = watch(url, new Agent(), (bytes) => reader.take(bytes));
  const [mpv, complaints] = await Promise.all([playMpv(url, seconds, join(out, 'mpv.png')), decoded(url, seconds)]);
  if (viewer.fault) reader.faults.push(viewer.fault);
  viewer.stop();
  const found = reader.found();
  const age = spread(mpv.behind);
  const errors = [...found.faults, ...mpv.said, ...complaints].slice(0, 20);
  if (found.streams !== 3) errors.push(`${found.streams} streams, and not a picture with two languages`);
  const seen = `${found.packets} packets of ${found.streams} streams in ${found.seconds.toFixed(1)} s by their clock, which comes every ${found.clock.toFixed(0)} ms at the longest, `
    + `tables every ${found.tables.toFixed(0)} ms, media up to ${found.lead.toFixed(0)} ms ahead of it; mpv: ${mpv.waits} waits, ${mpv.jumps} jumps, ${mpv.standstills.length} standstills, `
    + `${mpv.dropped} pictures dropped, ${(age.middle / 1000).toFixed(2)} s old (${(age.least / 1000).toFixed(2)} to ${(age.most / 1000).toFixed(2)}, ${age.count} looks)`;
  return { name: 'a long time', seen, errors, figures: { ...found, mpv: { ...mpv, behind: age } } };
}

async function many(url, server, always, { seconds, viewers }) {
  const [errors, measured] = [[], Math.min(COST_SECONDS, seconds)];
  const agent = new Agent({ maxSockets: Infinity });
  // One has all of it, and others what they began with.
  const all = [];
  let kept = 0;
  const first = watch(url, agent, (bytes) => {
    if ((kept += bytes.length) <= KEPT) all.push(bytes);
  });
  await delay(2_000);
  always.stop();
  const ofOne = await cost(server.pid, measured);
  const rest = Array.from({ length: viewers - 1 }, () => {
    const [pieces, begun] = [[], { size: 0 }];
    const viewer = watch(url, agent, (bytes) => {
      if (begun.size < COMPARED) pieces.push(bytes);
      begun.size += bytes.length;
    });
    return { viewer, pieces };
  });
  await delay(4_000);
  const ofAll = await cost(server.pid, measured);
  const made = await remuxes(server.admin);
  const whole = Buffer.concat(all);
  for (const [at, { viewer, pieces }] of rest.entries()) {
    const begun = Buffer.concat(pieces).subarray(0, COMPARED);
    if (viewer.fault || begun.length < COMPARED) errors.push(`viewer ${at}: ${viewer.fault ?? `only ${begun.length} bytes`}`);
    else if (whole.indexOf(begun) < 0) errors.push(`viewer ${at} got other bytes`);
  }
  if (first.fault) errors.push(`the first viewer: ${first.fault}`);
  if (made !== 1) errors.push(`it began to be made ${made} times`);
  const bits = rest.reduce((sum, { viewer }) => sum + viewer.size, 0) * 8 / (measured + 4) / 1e6;
  for (const { viewer } of [{ viewer: first }, ...rest]) viewer.stop();
  const words = (used) => Object.entries(used).map(([name, value]) => `${name} ${value}`).join(', ') || 'nothing that can be measured';
  const seen = `${viewers} viewers, ${bits.toFixed(0)} Mb/s, made ${made} time; ms of a processor a second with one: ${words(ofOne)}; with all: ${words(ofAll)}`;
  return { name: `${viewers} viewers`, seen, errors: errors.slice(0, 20), figures: { viewers, made, ofOne, ofAll } };
}

const wanted = options();
const results = new Results('stream', wanted.out);
const server = await startLive(wanted.server, [CHANNEL], wanted.out);
let encoder = null;
try {
  encoder = startEncoder(await ffmpegAt('ffmpeg'), 'dash', `${server.ingest}/${CHANNEL}`);
  await ready(`${server.base}/${CHANNEL}`, encoder);
  const url = `${server.base}/${CHANNEL}/stream.ts`;
  // Somebody watches until many do, so that it goes on being made.
  const always = watch(url, new Agent(), () => {});
  results.record(await aLongTime(url, wanted));
  if (always.fault) results.record({ name: 'one viewer all the time', seen: '', errors: [always.fault] });
  results.record(await many(url, server, always, wanted));
} finally {
  await encoder?.stop();
  await server.stop();
  results.write();
}
results.end();
