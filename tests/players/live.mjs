// Live channels in real players: ffmpeg pushes low-latency DASH and HLS, and hls.js, dash.js and Shaka
// Player play every edition of both in headless Chromium; ffprobe reads them, too.
//
//   node tests/players/live.mjs --server target/release/shardcast [--seconds 8] [--out DIR]
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs, promisify } from 'node:util';
import { Browser } from './browser.mjs';
import { servePages, startLive } from './server.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const root = resolve(here, '../..');
const run = promisify(execFile);
/** How long a channel may take to have a window that players begin in. */
const PATIENCE_MS = 60_000;

const picture = (size) => `testsrc2=size=${size}:rate=25`;
const clock = "drawtext=text='%{localtime\\:%T}.%{eif\\:mod(t*1000\\,1000)\\:d\\:3}':x=8:y=h-40:fontsize=28:fontcolor=white:box=1:boxcolor=black";
const inputs = ['-re', '-f', 'lavfi', '-i', picture('640x360'), '-re', '-f', 'lavfi', '-i', 'sine=frequency=440:sample_rate=48000', '-re', '-f', 'lavfi', '-i', 'sine=frequency=660:sample_rate=48000'];
const codecs = ['-c:v', 'libx264', '-preset', 'ultrafast', '-tune', 'zerolatency', '-pix_fmt', 'yuv420p', '-g', '50', '-keyint_min', '50', '-sc_threshold', '0', '-c:a', 'aac', '-b:a', '64k'];
const ladder = ['-filter_complex', `[0:v]${clock},split[a][b];[b]scale=320x180[c]`, '-map', '[a]', '-map', '[c]', '-map', '1:a', '-map', '2:a', '-b:v:0', '600k', '-b:v:1', '200k'];

/** What operators' encoders do. Each pushes to the channel of its name. */
const ENCODERS = {
  dash: (ingest) => [...ladder, ...codecs, '-f', 'dash', '-seg_duration', '2', '-frag_duration', '0.5', '-frag_type', 'duration', '-streaming', '1', '-ldash', '1',
    '-use_template', '1', '-use_timeline', '0', '-adaptation_sets', 'id=0,streams=v id=1,streams=2 id=2,streams=3', '-method', 'PUT', '-http_persistent', '1', `${ingest}/dash/manifest.mpd`],
  hls: (ingest) => [...ladder, ...codecs, '-f', 'hls', '-hls_time', '2', '-hls_segment_type', 'fmp4', '-var_stream_map', 'v:0,name:high v:1,name:low a:0,name:one a:1,name:two',
    '-hls_fmp4_init_filename', 'init.mp4', '-hls_segment_filename', `${ingest}/hls/%v/%d.m4s`, '-method', 'PUT', '-http_persistent', '1', `${ingest}/hls/%v/index.m3u8`],
};

/** Low-latency editions of the channel that is pushed in small chunks; all plain ones. */
const CASES = [
  { player: 'hls.js', path: 'dash/ll.m3u8', low: true },
  { player: 'dash.js', path: 'dash/ll.mpd', low: true },
  { player: 'shaka-player', path: 'dash/ll.m3u8', low: true },
  { player: 'shaka-player', path: 'dash/ll.mpd', low: true },
  { player: 'hls.js', path: 'dash/master.m3u8' },
  { player: 'dash.js', path: 'dash/manifest.mpd' },
  { player: 'shaka-player', path: 'dash/manifest.mpd' },
  { player: 'hls.js', path: 'hls/master.m3u8' },
  { player: 'dash.js', path: 'hls/manifest.mpd' },
  { player: 'shaka-player', path: 'hls/master.m3u8' },
];
const PROBED = ['dash/master.m3u8', 'dash/manifest.mpd', 'hls/master.m3u8', 'hls/manifest.mpd'];

function options() {
  try {
    const { values } = parseArgs({
      options: {
        server: { type: 'string' },
        seconds: { type: 'string', default: '8' },
        out: { type: 'string', default: join(root, 'scratch/live') },
        only: { type: 'string', default: '' },
      },
    });
    if (!values.server || !(Number(values.seconds) >= 3)) throw new Error('--server, and at least 3 --seconds, are needed');
    return { ...values, server: resolve(values.server), seconds: Number(values.seconds) };
  } catch (error) {
    console.error(`live: ${error.message} (see the head of tests/players/live.mjs)`);
    process.exit(2);
  }
}

function startEncoder(name, ingest) {
  const args = ['-v', 'error', ...inputs, ...ENCODERS[name](ingest)];
  const child = spawn('ffmpeg', args, { stdio: ['pipe', 'inherit', 'inherit'] });
  const encoder = { name, ended: null };
  const exited = once(child, 'exit').then(([code, signal]) => (encoder.ended = `exit status ${code ?? signal}`));
  exited.catch((error) => (encoder.ended = error.message));
  child.stdin.on('error', () => {});
  encoder.stop = async () => {
    if (encoder.ended === null) {
      child.stdin.write('q');
      const timer = setTimeout(() => child.kill('SIGKILL'), 10_000);
      await exited;
      clearTimeout(timer);
    }
  };
  return encoder;
}

/** Waits until a channel lists as many segments as players want to begin with. */
async function ready(base, encoder) {
  for (const end = Date.now() + PATIENCE_MS; ;) {
    if (encoder.ended !== null) throw new Error(`ffmpeg of ${encoder.name} ended: ${encoder.ended}`);
    if (Date.now() > end) throw new Error(`the channel ${encoder.name} had no window within ${PATIENCE_MS} ms`);
    const master = await fetch(`${base}/${encoder.name}/master.m3u8`);
    const lines = master.ok ? (await master.text()).split('\n') : [];
    const variants = lines.filter((line) => line && !line.startsWith('#'));
    const lists = await Promise.all(variants.map(async (uri) => (await fetch(`${base}/${encoder.name}/${uri}`)).text()));
    if (lists.length >= 2 && lists.every((list) => list.split('#EXTINF').length > 5)) return;
    await delay(200);
  }
}

async function play(tab, { player, path, low }, base, seconds, screenshot) {
  const call = (text) => tab.evaluate(text);
  await call(`load(${JSON.stringify(player)}, ${JSON.stringify(`${base}/${path}`)})`);
  // Until it has caught up with the live edge, a player may jump.
  await call('playFor(2)');
  const begun = Date.now();
  const played = await call(`playFor(${seconds})`);
  const took = (Date.now() - begun) / 1000;
  const first = await call('picture()');
  await call('playFor(0.5)');
  const second = await call('picture()');
  writeFileSync(screenshot, await tab.screenshot());
  const latency = await call('player.latency()');
  const errors = [];
  if (first.hash === second.hash) errors.push('two pictures half a second apart are the same');
  if (!(first.contrast > 20)) errors.push(`the picture is blank (contrast ${first.contrast})`);
  // Not a measure of speed: a player that has stalled for as long as it played is not playing.
  if (took > 2 * seconds) errors.push(`${played} s took ${took.toFixed(1)} s`);
  return { seen: `played ${played} s in ${took.toFixed(1)} s, ${latency?.toFixed(2)} s behind${low ? ' (low latency)' : ''}`, errors };
}

async function probe(base, path) {
  const args = ['-v', 'error', '-show_entries', 'stream=codec_type', '-of', 'csv=p=0', `${base}/${path}`];
  const { stdout, stderr } = await run('ffprobe', args, { timeout: 30_000 });
  const kinds = stdout.trim().split('\n').sort().join(' ');
  const errors = stderr.trim() ? [stderr.trim().split('\n')[0]] : [];
  if (!kinds.includes('audio') || !kinds.includes('video')) errors.push(`ffprobe found ${kinds}`);
  return { seen: kinds, errors };
}

const wanted = options();
rmSync(wanted.out, { recursive: true, force: true });
mkdirSync(wanted.out, { recursive: true });
const results = [];
const record = (name, { seen, errors }) => {
  results.push({ name, seen, errors });
  const lines = errors.map((error) => `\n    ${error}`).join('');
  console.log(`live: ${errors.length ? 'FAILED' : 'ok'} ${name}: ${seen}${lines}`);
};
const server = await startLive(wanted.server, Object.keys(ENCODERS), wanted.out);
const encoders = [];
try {
  const pages = await servePages(here);
  const browser = await Browser.start();
  try {
    // One encoder at a time: two of them and a browser would be more than a small machine has.
    for (const name of Object.keys(ENCODERS)) {
      const encoder = startEncoder(name, server.ingest);
      encoders.push(encoder);
      await ready(server.base, encoder);
      for (const one of CASES.filter(({ path, player }) => path.startsWith(`${name}/`) && `${player}/${path}`.includes(wanted.only))) {
        const tab = await browser.open(`${pages.base}/page.html`);
        const screenshot = join(wanted.out, `${one.player}-${one.path.replaceAll('/', '-')}.png`);
        let result;
        try {
          result = await play(tab, one, server.base, wanted.seconds, screenshot);
        } catch (error) {
          result = { seen: 'not played', errors: [error.message.split('\n')[0]] };
        }
        const log = await tab.evaluate('log').catch(() => ({ errors: [], warnings: [] }));
        const warned = log.warnings.length ? `, ${log.warnings.length} warnings` : '';
        record(`${one.player}/${one.path}`, { seen: result.seen + warned, errors: [...result.errors, ...log.errors, ...tab.exceptions] });
        await tab.close();
      }
      for (const path of PROBED.filter((path) => path.startsWith(`${name}/`) && `ffprobe/${path}`.includes(wanted.only))) {
        record(`ffprobe/${path}`, await probe(server.base, path).catch((error) => ({ seen: '', errors: [error.message.split('\n')[0]] })));
      }
      if (encoder.ended !== null) record(`ffmpeg/${name}`, { seen: '', errors: [`it ended: ${encoder.ended}`] });
      await encoder.stop();
    }
  } finally {
    await browser.stop();
    await pages.stop();
  }
} finally {
  for (const encoder of encoders) await encoder.stop();
  await server.stop();
  writeFileSync(join(wanted.out, 'results.json'), JSON.stringify(results, null, 2) + '\n');
}
const failed = results.filter((result) => result.errors.length);
console.log(`live: ${results.length - failed.length} of ${results.length} passed (${join(wanted.out, 'results.json')})`);
if (failed.length || results.length === 0) process.exit(1);
