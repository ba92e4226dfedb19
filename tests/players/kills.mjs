// What may die, does: encoders of a channel with two of them, and the server while it is fed and watched.
//
//   node tests/players/kills.mjs --server target/release/shardcast --bench target/release/shardcast-bench
//     [--encoders 3] [--crashes 3] [--strict] [--seed N] [--only encoders,servers,crashes] [--out DIR]
//
// --encoders and --crashes are how often they are killed; with --strict low-latency viewers, which have a
// second and a half in their buffers, must not stall either, for which a machine must be quiet.
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { acknowledged, flaw } from './acknowledged.mjs';
import { chance } from './chance.mjs';
import { stopAll } from './children.mjs';
import { complaints, feed, feedQuickly, ffmpeg, sources } from './feeders.mjs';
import { Results } from './results.mjs';
import { startStation } from './server.mjs';
import { until } from './until.mjs';
import { Viewer, list, ready } from './viewer.mjs';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '../..');
/** What is watched before the first kill and after the last. */
const QUIET_MS = 5_000;
/** Segments that were looked at before and are looked at again after every crash. */
const AGAIN = 40;
const SEGMENT = 'segment = "2s"\nwindow = "20s"\n';

function options() {
  const { values } = parseArgs({
    options: {
      server: { type: 'string' },
      bench: { type: 'string' },
      encoders: { type: 'string', default: '3' },
      crashes: { type: 'string', default: '3' },
      strict: { type: 'boolean', default: false },
      seed: { type: 'string', default: `${Date.now() % 1_000_000}` },
      only: { type: 'string', default: 'encoders,servers,crashes' },
      out: { type: 'string', default: join(root, 'scratch/kills') },
    },
  });
  if (!values.server || !values.bench) {
    console.error('kills: --server and --bench are needed (see the head of tests/players/kills.mjs)');
    process.exit(2);
  }
  return { ...values, server: resolve(values.server), bench: resolve(values.bench), encoders: Number(values.encoders), crashes: Number(values.crashes) };
}

/** Numbers between two others, the same for the same seed and stream. */
function generator(seed, stream) {
  const next = chance(Number(seed) + stream * 0x9e3779b9);
  return (least, most) => least + next() * (most - least);
}

const wanted = options();
const results = new Results('kills', wanted.out);
const record = (name, seen, errors) => results.record({ name, seen, errors });

/** Stops children; that one had ended by itself is a failure. */
async function stopped(children) {
  if (!(await stopAll(children.filter((one) => one)))) record('children', 'one had ended by itself', ['see above']);
}

function folder(name) {
  const path = join(wanted.out, name);
  mkdirSync(path, { recursive: true });
  return path;
}

/** Starts viewers, each of which watches until all are stopped. */
function watching(viewers) {
  const watched = viewers.map((viewer) => viewer.watch().catch((error) => viewer.errors.push(`${viewer.name}: ${error.stack}`)));
  return async () => {
    viewers.forEach((viewer) => viewer.stop());
    await Promise.all(watched);
  };
}

/** What is wrong with what a viewer saw of one timeline. */
function timeline(viewer) {
  const errors = [...viewer.errors];
  const numbers = [...viewer.segments.keys()];
  if (numbers.some((number, at) => at > 0 && number !== numbers[at - 1] + 1)) errors.push(`numbers have holes: ${numbers}`);
  if (numbers.length < 5) errors.push(`only ${numbers.length} segments were listed`);
  if (viewer.discontinuities.size > 1) errors.push(`${viewer.discontinuities.size - 1} discontinuities`);
  if (viewer.stalls && (wanted.strict || !viewer.low)) errors.push(`${viewer.stalls} stalls`);
  return errors;
}

const seenBy = (viewer) => `${viewer.segments.size} segments, ${viewer.gaps.size} with a gap, ${viewer.stalls} stalls, at least ${viewer.lowest.toFixed(2)} s left`;

/** What ffmpeg says of all that a viewer has played. */
async function decoded(viewer) {
  const errors = [];
  for (const [at, bytes] of viewer.files().entries()) {
    const path = join(wanted.out, `${viewer.name.replaceAll('/', '-')}-${at}.mp4`);
    writeFileSync(path, bytes);
    const said = await complaints(path);
    if (said) errors.push(`ffmpeg: ${said.split('\n').slice(0, 3).join('; ')}`);
  }
  return errors;
}

/** Two encoders, of which one or the other is killed and comes back, so often. */
async function killing(begin, count, between) {
  const running = { a: await begin('a'), b: await begin('b') };
  return {
    kill: async () => {
      for (let kill = 0; kill < count; kill++) {
        // Each of them is back in step before the next one dies.
        await delay(between(3_500, 5_500));
        const name = between(0, 1) < 0.5 ? 'a' : 'b';
        await running[name].kill();
        await delay(between(200, 1_500));
        running[name] = await begin(name);
      }
    },
    stop: async () => {
      if (!(await stopAll(Object.values(running)))) throw new Error('an encoder had ended');
    },
  };
}

/** Of two encoders one may die. If they send the same bytes nothing shows, otherwise a gap at most. */
async function encodersDie() {
  const files = await sources(wanted.out, { high: 160 });
  const named = '[[channel.source]]\nname = "a"\n[[channel.source]]\nname = "b"\n';
  const tables = [`[[channel]]\nid = "alike"\npart = "500ms"\n${SEGMENT}${named}`, `[[channel]]\nid = "mixed"\npart = "400ms"\n${SEGMENT}${named}`];
  const server = await startStation(wanted.server, tables.join(''), folder('encoders'));
  const encoders = [];
  try {
    const pictures = { a: 'testsrc2', b: 'testsrc' };
    encoders.push(await killing((name) => feed(wanted.bench, server.ingest, files, ['--channel', 'alike', '--encoder', name]), wanted.encoders, generator(wanted.seed, 0)));
    encoders.push(await killing((name) => ffmpeg(server.ingest, `mixed/@${name}/v/stream.mp4`, pictures[name]), wanted.encoders, generator(wanted.seed, 1)));
    const renditions = ['alike/high', 'alike/sound', 'mixed/v'];
    for (const name of renditions) await ready(`${server.base}/${name}`, 4);
    const viewers = renditions.flatMap((name) => [true, false].map((low) => new Viewer({ name: `${name}/${low ? 'll' : 'index'}`, bases: [`${server.base}/${name}`], low })));
    const stop = watching(viewers);
    await delay(QUIET_MS);
    await Promise.all(encoders.map((one) => one.kill()));
    await delay(QUIET_MS);
    await stop();
    for (const viewer of viewers) {
      const errors = timeline(viewer);
      const most = viewer.name.startsWith('alike/') ? 0 : wanted.encoders;
      if (viewer.gaps.size > most) errors.push(`${viewer.gaps.size} segments have a gap, and at most ${most} may`);
      if (most === 0) errors.push(...(await decoded(viewer)));
      record(`${wanted.encoders} kills, ${viewer.name}`, seenBy(viewer), errors);
    }
  } finally {
    await stopped([...encoders, server]);
  }
}

/** Two servers that are fed alike, one of them an hour of media earlier, are one to a viewer. */
async function serversAgree() {
  const files = await sources(wanted.out, { high: 160 });
  const table = `[[channel]]\nid = "news"\npart = "500ms"\npatience = "1min"\n${SEGMENT}`;
  const running = [];
  try {
    const from = Math.floor(Date.now() / 2000) * 2 - 3600;
    const first = await startStation(wanted.server, table, folder('first'));
    running.push(first);
    await feedQuickly(wanted.bench, first.ingest, files, ['--channel', 'news', '--from', `${from}`, '--duration', '60m', '--speed', '300']);
    const second = await startStation(wanted.server, table, folder('second'));
    running.push(second);
    const servers = [first, second];
    for (const { ingest } of servers) running.unshift(feed(wanted.bench, ingest, files, ['--channel', 'news', '--from', `${from + 3600}`]));
    // Until the second one has a window, too.
    for (const { base } of servers) for (const name of ['high', 'sound']) await ready(`${base}/news/${name}`, 10);
    const viewers = ['high', 'sound'].flatMap((name) => [true, false].map((low) => new Viewer({ name: `${name}/${low ? 'll' : 'index'}`, bases: servers.map(({ base }) => `${base}/news/${name}`), low })));
    const stop = watching(viewers);
    await delay(2 * QUIET_MS);
    await stop();
    for (const viewer of viewers) record(`of two servers in turn, ${viewer.name}`, seenBy(viewer), [...timeline(viewer), ...(await decoded(viewer))]);
    for (const name of ['high/index.m3u8', 'sound/index.m3u8', 'high/ll.m3u8', 'sound/ll.m3u8', 'manifest.mpd', 'master.m3u8']) {
      const texts = () => Promise.all(servers.map(async ({ base }) => (await fetch(`${base}/news/${name}`)).text()));
      // One of them may have something a moment earlier.
      let seen;
      await until(`the same ${name} of both`, async () => new Set((seen = await texts())).size === 1).then(
        () => record(`both have the same ${name}`, `${seen[0].length} bytes`, []),
        () => record(`both have the same ${name}`, 'they differ', seen),
      );
    }
  } finally {
    await stopped(running);
  }
}

/** All that was acknowledged is there, all that is listed is whole, and everything goes on. */
async function afterCrash(base, names, newest, viewers, before) {
  const errors = [];
  const check = async (name, why) => {
    const response = await fetch(`${base}/${name}.m4s`);
    const wrong = response.status === 200 ? flaw(Buffer.from(await response.arrayBuffer()), name) : `status ${response.status}`;
    if (wrong) errors.push(`${name}, which ${why}: ${wrong}`);
  };
  for (const name of names) await check(name, 'was acknowledged');
  for (const [rendition, number] of newest) {
    for (const { uri, gap } of (await list(`${base}/${rendition}`))?.segments ?? []) {
      if (uri && !gap) await check(`${rendition}/${uri.replace('.m4s', '')}`, 'is listed');
    }
    await until(`a segment of ${rendition} behind ${number}`, async () => (await list(`${base}/${rendition}`))?.segments.at(-1)?.number > number);
  }
  for (const [at, viewer] of viewers.entries()) await until(`${viewer.name} behind ${before[at]}`, () => viewer.newest > before[at]);
  return errors;
}

/** The server dies at any moment, and comes back with everything that it has promised to keep. */
async function serverDies() {
  const channels = [0, 1, 2, 3].map((at) => `kept${at}`);
  const table = (id) => `[[channel]]\nid = "${id}"\npart = "500ms"\narchive = "1d"\narchive_mode = "required"\n${SEGMENT}`;
  const tables = channels.map(table).join('');
  const [place, log] = [folder('crashes'), join(wanted.out, 'taken')];
  const files = await sources(wanted.out, { high: 160 });
  let server = await startStation(wanted.server, tables, place);
  let feeder = null;
  try {
    let crashes = 0;
    feeder = feed(wanted.bench, server.ingest, files, ['--channels', '4', '--channel-prefix', 'kept', '--spread', '--log', log]);
    const renditions = channels.flatMap((id) => [`${id}/high`, `${id}/sound`]);
    for (const name of renditions) await ready(`${server.base}/${name}`, 2);
    const viewers = renditions.map((name, at) => new Viewer({ name, bases: [`${server.base}/${name}`], low: at % 4 < 2, patient: true, away: () => crashes }));
    const stop = watching(viewers);
    const seen = new Set();
    const errors = [];
    const between = generator(wanted.seed, 2);
    while (crashes < wanted.crashes) {
      await delay(between(500, 3_000));
      const before = viewers.map((viewer) => viewer.newest);
      crashes++;
      await server.kill();
      const all = acknowledged(log);
      server = await startStation(wanted.server, tables, place, server);
      const names = all.filter((name) => !seen.has(name) || between(0, all.length) < AGAIN);
      names.forEach((name) => seen.add(name));
      const newest = new Map(all.map((name) => [name.slice(0, name.lastIndexOf('/')), Number(name.slice(name.lastIndexOf('/') + 1))]));
      errors.push(...(await afterCrash(server.base, names, newest, viewers, before)).map((error) => `after crash ${crashes}: ${error}`));
    }
    await delay(QUIET_MS);
    await stop();
    const all = acknowledged(log);
    errors.push(...(await afterCrash(server.base, all, new Map(), [], [])));
    record(`${crashes} crashes`, `${all.length} acknowledged segments are there`, errors);
    for (const viewer of viewers) record(`${crashes} crashes, ${viewer.name}`, `${seenBy(viewer)}, ${viewer.outages} requests failed`, viewer.errors);
  } finally {
    await stopped([feeder, server]);
  }
}

const parts = { encoders: encodersDie, servers: serversAgree, crashes: serverDies };
console.log(`kills: seed ${wanted.seed}`);
for (const name of wanted.only.split(',')) {
  await parts[name]().catch((error) => record(name, 'it broke off', [error.stack]));
}
results.end(`seed ${wanted.seed}`);
