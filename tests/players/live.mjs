// Live channels in real players: ffmpeg pushes a ladder as HLS in fMP4 and in transport streams and as
// low-latency DASH, and hls.js, dash.js and Shaka Player play every edition in headless Chromium; mpv
// and ffprobe read them, too. A clock that is burnt into the pictures tells how old they are on the
// screen.
//
//   node tests/players/live.mjs --server target/release/shardcast [--seconds 8] [--ffmpeg PATH]…
//     [--only REGEXP] [--long SECONDS] [--out DIR]
//
// With --long, one pairing of each protocol plays for so long and must not stall, and what has low
// latency must be less than 3 s old.
import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs, promisify } from 'node:util';
import { Browser } from './browser.mjs';
import { spread } from './clock.mjs';
import { ffmpegAt, ready, startEncoder } from './encoders.mjs';
import { playMpv } from './mpv.mjs';
import { startPace } from './pace.mjs';
import { Results } from './results.mjs';
import { servePages, startLive } from './server.mjs';
import { startWords, zeroOf } from './words.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const root = resolve(here, '../..');
const run = promisify(execFile);
/** How old a picture of low latency may be on the screen. */
const LOW_MS = 3_000;
/** A player is asked so often whether it still plays. */
const STRIDE = 5;

/** Low-latency editions of the channel that is pushed in small chunks; all plain ones. */
const CASES = {
  dash: [
    { player: 'hls.js', path: 'll.m3u8', low: true, long: true },
    { player: 'dash.js', path: 'll.mpd', low: true, long: true },
    { player: 'shaka-player', path: 'll.m3u8', low: true },
    { player: 'shaka-player', path: 'll.mpd', low: true },
    { player: 'hls.js', path: 'master.m3u8' },
    { player: 'dash.js', path: 'manifest.mpd' },
    { player: 'shaka-player', path: 'manifest.mpd' },
    { player: 'mpv', path: 'master.m3u8' },
    { player: 'mpv', path: 'stream.ts' },
    { player: 'mpv', path: 'ts.m3u8' },
    { player: 'ffprobe', path: 'master.m3u8' },
    { player: 'ffprobe', path: 'manifest.mpd' },
    { player: 'ffprobe', path: 'stream.ts' },
  ],
  hls: [
    { player: 'hls.js', path: 'master.m3u8', long: true },
    { player: 'dash.js', path: 'manifest.mpd' },
    { player: 'shaka-player', path: 'master.m3u8' },
    { player: 'mpv', path: 'master.m3u8' },
    { player: 'ffprobe', path: 'master.m3u8' },
    { player: 'ffprobe', path: 'manifest.mpd' },
  ],
  ts: [
    { player: 'mpv', path: 'master.m3u8', long: true },
    { player: 'hls.js', path: 'master.m3u8' },
    { player: 'shaka-player', path: 'master.m3u8' },
    { player: 'mpv', path: 'stream.ts' },
    { player: 'ffprobe', path: 'master.m3u8' },
    { player: 'ffprobe', path: 'stream.ts' },
  ],
  // Subtitles beside what `dash` pushes. hls.js knows `wvtt` in no boxes, and of two kinds the first only.
  wvtt: [
    { player: 'shaka-player', path: 'master.m3u8', words: 'eng' },
    { player: 'dash.js', path: 'manifest.mpd', words: 'eng' },
  ],
  stpp: [
    { player: 'hls.js', path: 'master.m3u8', words: 'deu' },
    { player: 'shaka-player', path: 'manifest.mpd', words: 'deu' },
    { player: 'dash.js', path: 'manifest.mpd', words: 'deu' },
  ],
};
/** What pictures and sounds are pushed as, where the kind is that of subtitles. */
const PUSHED = { wvtt: 'dash', stpp: 'dash' };
/**
 * A subtitle stays for 2 s from the time that it says, by the channel's clock. An encoder that has too
 * little of a processor burns a later time into its pictures, so this much after it is no fault.
 */
const WORDS_MS = [-1_500, 10_000];

function options() {
  try {
    const { values } = parseArgs({
      options: {
        server: { type: 'string' },
        seconds: { type: 'string', default: '8' },
        long: { type: 'string' },
        ffmpeg: { type: 'string', multiple: true, default: ['ffmpeg'] },
        out: { type: 'string', default: join(root, 'scratch/live') },
        only: { type: 'string', default: '' },
      },
    });
    if (!values.server || !(Number(values.seconds) >= 3)) throw new Error('--server, and at least 3 --seconds, are needed');
    const long = values.long && Number(values.long);
    return { ...values, server: resolve(values.server), seconds: Number(values.seconds), long, only: new RegExp(values.only) };
  } catch (error) {
    console.error(`live: ${error.message} (see the head of tests/players/live.mjs)`);
    process.exit(2);
  }
}

/** What a viewer saw, in words, and what is wrong with it. */
function judged({ played, took, behind, unreadable, waits, jumps, standstills, stood, dropped }, { low, strict, told }) {
  const errors = [];
  const longest = standstills.length ? ` (${Math.max(...standstills)} ms at most)` : '';
  const age = spread(behind);
  const seconds = (milliseconds) => (milliseconds / 1000).toFixed(2);
  const ages = age.count ? `${seconds(age.middle)} s old (${seconds(age.least)} to ${seconds(age.most)}, ${age.count} looks)` : 'of unknown age';
  // Not a measure of speed: a player that has stalled for as long as it played is not playing.
  if (took > 2 * played) errors.push(`${played} s took ${took.toFixed(1)} s`);
  if (!age.count || unreadable > age.count) errors.push(`the clock in the picture was read ${age.count} times, and ${unreadable} times it could not be`);
  if (strict && waits + jumps + standstills.length > 0) errors.push('it stalled');
  if (strict && low && !(age.middle < LOW_MS)) errors.push(`the picture is ${seconds(age.middle)} s old`);
  const seen = `${played.toFixed(1)} s in ${took.toFixed(1)} s, ${ages}${told === undefined ? '' : `, ${told?.toFixed(2)} s as the player tells it`}; `
    + `${waits} waits, ${jumps} jumps, ${standstills.length} standstills${longest}, ${dropped} pictures dropped`;
  return { seen, errors, figures: { played, took, age, unreadable, waits, jumps, standstills, stood, dropped } };
}

/** What is wrong with the subtitles that were seen, each with the time of its picture. */
function misspoken(spoken) {
  const day = 86_400_000;
  const pairs = spoken.filter(([, text]) => text).map(([taken, text]) => [taken, /^\d\d:\d\d:\d\d UTC$/.test(text) ? Date.parse(`1970-01-01T${text.slice(0, 8)}Z`) : NaN, text]);
  const off = pairs.map(([taken, said, text]) => [((taken - said + day / 2) % day) - day / 2, text]);
  const wrong = off.filter(([by]) => !(by >= WORDS_MS[0] && by <= WORDS_MS[1])).map(([by, text]) => `the subtitle "${text}" is off by ${by} ms`);
  if (pairs.length < 5) wrong.push(`subtitles were on the screen at ${pairs.length} of ${spoken.length} looks`);
  return wrong.slice(0, 3);
}

async function playInBrowser(tab, { player, path, low, words }, url, { seconds, strict, screenshot }) {
  const call = (text) => tab.evaluate(text);
  await call('performance.setResourceTimingBufferSize(100000)');
  await call(`load(${JSON.stringify(player)}, ${JSON.stringify(`${url}/${path}`)})`);
  // Until it has caught up with the live edge, a player may jump.
  const chosen = words === undefined || await call(`player.words(${JSON.stringify(words)})`);
  await call('playFor(4)');
  await call('watch()');
  const begun = Date.now();
  let played = 0;
  // What is told is rounded: a sum may be a hair below the whole.
  while (seconds - played > 0.01) played += await call(`playFor(${Math.min(STRIDE, seconds - played)})`);
  const took = (Date.now() - begun) / 1000;
  const first = await call('picture()');
  await call('playFor(0.5)');
  const second = await call('picture()');
  writeFileSync(screenshot, await tab.screenshot());
  const told = await call('player.latency()');
  const seen = await call('watched()');
  const result = judged({ ...seen, played, took }, { low, strict, told });
  if (first.hash === second.hash) result.errors.push('two pictures half a second apart are the same');
  if (!(first.contrast > 20)) result.errors.push(`the picture is blank (contrast ${first.contrast})`);
  if (!chosen) result.errors.push(`no subtitles of the language ${words} are offered`);
  if (words) {
    result.errors.push(...misspoken(seen.spoken));
    result.seen += `; subtitles at ${seen.spoken.filter(([, text]) => text).length} of ${seen.spoken.length} looks`;
  }
  if (path.endsWith('.mpd')) result.seen += await manifestUpdates(call, result.errors);
  const log = await call('log');
  result.errors.push(...log.errors, ...tab.exceptions);
  if (log.warnings.length) result.seen += `, ${log.warnings.length} warnings`;
  return result;
}

/** How a player kept its manifest new. One that can't use a patch loads the manifest after each. */
async function manifestUpdates(call, errors) {
  const [manifests, patches] = JSON.parse(await call(`JSON.stringify(['.mpd', '.mpp'].map((end) => performance.getEntriesByType('resource')
    .filter((one) => new URL(one.name).pathname.endsWith(end)).length))`));
  if (patches <= manifests) errors.push(`${manifests} manifests and ${patches} patches were loaded`);
  return `, ${manifests} manifests and ${patches} patches`;
}

async function inBrowser(browser, pages, one, url, how) {
  const tab = await browser.open(`${pages.base}/page.html`);
  try {
    return await playInBrowser(tab, one, url, how);
  } catch (error) {
    const log = await tab.evaluate('log').catch(() => ({ errors: [] }));
    return { seen: 'not played', errors: [error.message.split('\n')[0], ...log.errors, ...tab.exceptions] };
  } finally {
    await tab.close();
  }
}

async function inMpv({ path }, url, { seconds, strict, screenshot }) {
  const seen = await playMpv(`${url}/${path}`, seconds, screenshot);
  const result = judged(seen, { strict });
  result.seen += `; sounds: ${seen.sounds.join(' ')}`;
  if (seen.sounds.length < 2) result.errors.push('two languages of sound were pushed');
  result.errors.push(...seen.said.slice(0, 5));
  return result;
}

/** ffmpeg reads the header again with each edition of a playlist, and says so. */
const HEADER_AGAIN = /Found duplicated MOOV Atom|Last message repeated/;

/** Reads so much of a stream, as it comes, and looks at the times of all packets. */
async function probe({ path }, url, { seconds }) {
  const entries = ['-show_entries', 'stream=index,codec_type:packet=stream_index,dts_time', '-of', 'compact=p=0'];
  const args = ['-v', 'warning', ...entries, '-read_intervals', `%+${seconds}`, `${url}/${path}`];
  const { stdout, stderr } = await run('ffprobe', args, { timeout: (seconds + 40) * 1000, maxBuffer: 64 << 20 });
  const [last, streams] = [new Map(), new Map()];
  const errors = stderr.split('\n').filter((line) => line && !HEADER_AGAIN.test(line)).slice(0, 5);
  let packets = 0;
  for (const line of stdout.split('\n')) {
    const of = Object.fromEntries(line.split('|').map((field) => field.split('=')));
    if (of.codec_type) streams.set(of.index, of.codec_type);
    if (of.stream_index === undefined || of.dts_time === 'N/A') continue;
    const [stream, dts] = [of.stream_index, Number(of.dts_time)];
    packets += 1;
    if (dts <= (last.get(stream) ?? -Infinity)) errors.push(`stream ${stream} goes from ${last.get(stream)} to ${dts} s`);
    last.set(stream, dts);
  }
  const found = [...streams.values()].sort().join(' ');
  if (!found.includes('audio audio') || !found.includes('video')) errors.push(`ffprobe found ${found}`);
  if (packets < 25 * seconds) errors.push(`ffprobe read ${packets} packets`);
  return { seen: `${found}, ${packets} packets`, errors: errors.slice(0, 5) };
}

const wanted = options();
const results = new Results('live', wanted.out);

const ffmpegs = await Promise.all(wanted.ffmpeg.map(ffmpegAt));
/** Every pairing: who pushes what, what is asked for, who plays it. Some with the first ffmpeg only. */
const pairings = ffmpegs.flatMap((ffmpeg, at) => Object.entries(CASES).map(([kind, cases]) => {
  const channel = `${kind}${ffmpeg.major}`;
  const all = cases.map((one) => ({ ...one, name: `${one.player}/${channel}/${one.path}`, strict: wanted.long > 0 && at === 0 && one.long }));
  return { ffmpeg, kind, channel, cases: all.filter(({ name, words }) => wanted.only.test(name) && (at === 0 || !words)) };
})).filter(({ cases }) => cases.length > 0);
const server = await startLive(wanted.server, pairings.map(({ channel }) => channel), wanted.out);
const encoders = [];
try {
  const pages = await servePages(here);
  const browser = await Browser.start();
  try {
    // One encoder at a time: two of them and a browser would be more than a small machine has.
    for (const { ffmpeg, kind, channel, cases } of pairings) {
      console.log(`live: ffmpeg ${ffmpeg.version} pushes ${channel}`);
      const [ingest, url] = [`${server.ingest}/${channel}`, `${server.base}/${channel}`];
      const encoder = startEncoder(ffmpeg, PUSHED[kind] ?? kind, ingest);
      encoders.push(encoder);
      await ready(url, encoder);
      const words = PUSHED[kind] ? startWords(ingest, kind, await zeroOf(url)) : null;
      if (words) encoders.push(words);
      for (const one of cases) {
        const screenshot = join(wanted.out, `${one.name.replaceAll('/', '-')}.png`);
        const how = { seconds: one.strict ? wanted.long : wanted.seconds, strict: one.strict, screenshot };
        const playing = { mpv: () => inMpv(one, url, how), ffprobe: () => probe(one, url, how) }[one.player];
        const pace = one.strict ? await startPace(url) : null;
        const played = await (playing ? playing() : inBrowser(browser, pages, one, url, how))
          .catch((error) => ({ seen: 'not played', errors: error.message.split('\n').slice(0, 3) }));
        if (pace) {
          const { parts, longest, at, lag, fault } = await pace();
          played.seen += `; a client without a screen got ${parts} parts, ${longest} ms apart at most (at ${at}; it was itself ${lag} ms late at most)`;
          if (fault) played.errors.push(`that client: ${fault}`);
        }
        results.record({ name: one.name, ...played });
      }
      await words?.stop();
      if (words?.fault) results.record({ name: `words/${channel}`, seen: '', errors: [words.fault] });
      if (encoder.ended !== null) results.record({ name: `ffmpeg/${channel}`, seen: '', errors: [`it ended: ${encoder.ended}`] });
      await encoder.stop();
    }
  } finally {
    await browser.stop();
    await pages.stop();
  }
} finally {
  for (const encoder of encoders) await encoder.stop();
  await server.stop();
  results.write();
}
results.end();
