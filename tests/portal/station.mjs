// A server as an operator has set one up: live channels that ffmpeg pushes, channels made of a film,
// films and a series with posters, a subscriber with an app password and a portal password.
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer, request } from 'node:http';
import { createServer as createProbe } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { start } from '../players/children.mjs';
import { until } from '../players/until.mjs';

const run = promisify(execFile);

/** Channels that are pushed, and the ones that are made of a film. */
const LIVE = [['one', 'Erste Welt', 'news'], ['two', 'Nordkanal', 'news'], ['three', 'Sport Plus', 'sport']];
const MADE = [['cinema', 'Cinema Classic', 'films'], ['kids', 'Kinderland', 'kids'], ['doku', 'Doku Planet', 'docs'],
  ['music', 'Music Live', 'music'], ['wild', 'Wild & Free', 'docs'], ['retro', 'Retro TV', 'films']];
const GROUPS = { news: 'News', sport: 'Sport', films: 'Films', kids: 'Kids', docs: 'Documentaries', music: 'Music' };
const FILMS = [['harbour', 'The Long Harbour', 2021, 7.8], ['north', 'North of Silence', 2019, 8.1], ['paper', 'Paper Lanterns', 2023, 6.9],
  ['signal', 'The Last Signal', 2024, 7.2], ['orchard', 'The Orchard Keeper', 2018, 7.5], ['meridian', 'Meridian', 2022, 6.4], ['glass', 'A House of Glass', 2020, 7.0]];
const PLOT = 'A lighthouse keeper who has not left his island for twenty years finds a message that was never meant for him, and rows out to answer it.';

async function freePort() {
  const probe = createProbe().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address();
  probe.close();
  await once(probe, 'close');
  return port;
}

/** Pictures that an operator would have: logos and posters, drawn. */
async function pictures() {
  const server = createServer((asked, response) => {
    const [, kind, id] = asked.url.split(/[/.]/);
    const hue = [...id].reduce((sum, one) => sum * 7 + one.charCodeAt(0), 3) % 360;
    const logo = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 120 80"><rect x="8" y="8" width="104" height="64" rx="14" fill="hsl(${hue},55%,42%)"/><text x="60" y="54" font-family="DejaVu Sans" font-weight="bold" font-size="36" fill="#fff" text-anchor="middle">${id.slice(0, 2).toUpperCase()}</text></svg>`;
    const poster = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 200 300"><defs><linearGradient id="g" x1="0" y1="0" x2="0" y2="1"><stop offset="0" stop-color="hsl(${hue},45%,34%)"/><stop offset="1" stop-color="hsl(${(hue + 40) % 360},55%,12%)"/></linearGradient></defs><rect width="200" height="300" fill="url(#g)"/><circle cx="${60 + (hue % 90)}" cy="95" r="42" fill="hsl(${(hue + 180) % 360},60%,72%)" opacity=".85"/><path d="M0 220 60 150l50 60 40-40 50 60v80H0z" fill="hsl(${hue},40%,9%)"/></svg>`;
    response.writeHead(200, { 'content-type': 'image/svg+xml', 'cache-control': 'max-age=60' });
    response.end(kind === 'logo' ? logo : poster);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const stop = () => {
    server.closeAllConnections();
    server.close();
  };
  return { base: `http://127.0.0.1:${server.address().port}`, stop };
}

/** Asks the admin API by its socket. */
function administered(socketPath, method, path, body) {
  return new Promise((resolve, reject) => {
    const text = body === undefined ? '' : JSON.stringify(body);
    const asked = request({ socketPath, method, path: `/api/v1/${path}`, headers: { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) } }, (response) => {
      let said = '';
      response.on('data', (data) => (said += data));
      response.on('end', () => (response.statusCode < 300 ? resolve(said && JSON.parse(said)) : reject(new Error(`${method} ${path}: ${response.statusCode} ${said}`))));
    });
    asked.on('error', reject);
    asked.end(text);
  });
}

/** Pushes pictures with two languages of sound, as HLS in fMP4. */
function encoder(url, pattern) {
  const sound = (tone) => ['-re', '-f', 'lavfi', '-i', `sine=frequency=${tone}:sample_rate=48000`];
  return start('ffmpeg', ['-v', 'error', '-re', '-f', 'lavfi', '-i', `${pattern}=size=640x360:rate=25`, ...sound(440), ...sound(660),
    '-map', '0:v', '-map', '1:a', '-map', '2:a', '-metadata:s:a:0', 'language=eng', '-metadata:s:a:1', 'language=deu',
    '-c:v', 'libx264', '-preset', 'ultrafast', '-tune', 'zerolatency', '-pix_fmt', 'yuv420p', '-g', '25', '-keyint_min', '25', '-sc_threshold', '0', '-b:v', '500k', '-c:a', 'aac', '-b:a', '64k',
    '-f', 'hls', '-hls_time', '2', '-hls_segment_type', 'fmp4', '-var_stream_map', 'v:0,name:high a:0,name:one a:1,name:two', '-hls_fmp4_init_filename', 'init.mp4',
    '-hls_segment_filename', `${url}/%v/%d.m4s`, '-method', 'PUT', '-http_persistent', '1', `${url}/%v/index.m3u8`], { stdio: ['pipe', 'ignore', 'inherit'] });
}

/** A film of half a minute, with two languages of sound, packaged once and listed under every name. */
async function films(binary, folder) {
  const [source, library] = [join(folder, 'film.mkv'), join(folder, 'library')];
  mkdirSync(join(library, 'films'), { recursive: true });
  await run('ffmpeg', ['-v', 'error', '-y', '-f', 'lavfi', '-i', 'mandelbrot=size=640x360:rate=25:maxiter=400', '-f', 'lavfi', '-i', 'sine=frequency=330:sample_rate=48000', '-f', 'lavfi', '-i', 'sine=frequency=550:sample_rate=48000',
    '-map', '0', '-map', '1', '-map', '2', '-metadata:s:a:0', 'language=eng', '-metadata:s:a:1', 'language=deu', '-t', '30', '-c:v', 'libx264', '-preset', 'ultrafast', '-pix_fmt', 'yuv420p', '-g', '50', '-c:a', 'aac', source]);
  const [first, ...others] = FILMS.map(([id]) => join(library, 'films', id));
  await run(binary, ['package', source, '-o', first]);
  for (const other of others) await run('cp', ['-r', first, other]);
  for (const name of ['e1', 'e2']) await run('cp', ['-r', first, join(library, name)]);
  return library;
}

const SHOWS = [['Morning Report', 'What happened overnight, and what the day will bring.'], ['The Harbour', 'A new pilot has her first night on the river.'], ['Kitchen Stories', 'Three cooks, one pan.'],
  ['World Today', 'Reports from five continents.'], ['Mountain Lines', 'A railway that was given up, and the people who reopened it.'], ['Late Film', 'A letter arrives forty years late.'], ['Match of the Week', 'Both halves, and everything between.'], ['Ocean Voices', 'What whales say when nobody listens.']];

/** A guide of yesterday and the two days after, in which something began a minute ago and just before. */
export function guideOf(channels, at) {
  const stamp = (seconds) => `${new Date(seconds * 1000).toISOString().slice(0, 19).replace(/[-:T]/g, '')} +0000`;
  const lines = ['<?xml version="1.0" encoding="UTF-8"?>', '<tv>', ...channels.map(([id, name]) => `<channel id="${id}"><display-name>${name.replace('&', '&amp;')}</display-name></channel>`)];
  channels.forEach(([id], place) => {
    const show = (start, stop, [title, text]) => lines.push(`<programme start="${stamp(start)}" stop="${stamp(stop)}" channel="${id}"><title>${title}</title><desc>${text}</desc><category>Series</category></programme>`);
    let time = at - 86_400;
    for (let number = place; time < at - 30; number += 1) {
      const stop = Math.min(at - 30, time + [1800, 2700, 3600, 5400][(number + place) % 4]);
      show(time, stop, SHOWS[number % 8]);
      time = stop;
    }
    // What was on for the half minute before now, and is kept by the time that it is asked for.
    show(at - 30, at + 20, ['Short News', 'The day in fifty seconds.']);
    time = at + 20;
    for (let number = place + 3; time < at + 2 * 86_400; number += 1) {
      const stop = time + [2700, 1800, 5400, 3600][(number + place) % 4];
      show(time, stop, SHOWS[number % 8]);
      time = stop;
    }
  });
  return [...lines, '</tv>', ''].join('\n');
}

/** Starts all of it. */
export async function startStation(binary, folder) {
  const drawn = await pictures();
  const library = await films(binary, folder);
  const ports = { listen: await freePort(), admin: await freePort(), ingest: await freePort() };
  const state = join(folder, 'state');
  const shelf = (id, name, group, order) => `id = "${id}"\nname = "${name}"\ncategories = ["${group}"]\norder = ${order}\nlogo = "${drawn.base}/logo/${id}.svg"\n`;
  const config = join(folder, 'portal.toml');
  writeFileSync(config, [
    `[server]\nlisten = ["127.0.0.1:${ports.listen}"]\nadmin = "127.0.0.1:${ports.admin}"\ningest = "127.0.0.1:${ports.ingest}"\nstate = "${state}"\naccess = "token"\nshards = 1\n`,
    `[guide]\nfolder = "${folder}"\n[[library]]\npath = "${library}"\n`,
    ...LIVE.map(([id, name, group], at) => `[[channel]]\n${shelf(id, name, group, at)}archive = "1d"\n`),
    ...MADE.map(([id, name, group], at) => `[[channel]]\n${shelf(id, name, group, 10 + at)}playlist = ["films/harbour"]\n`),
  ].join('\n'));
  const server = start(binary, ['serve', '--config', config, '--log-format', 'text'], { stdio: ['ignore', 'inherit', 'inherit'] });
  await until('the server', async () => {
    if (server.ended !== null) throw new Error(`the server ended: ${server.ended}`);
    const ready = await fetch(`http://127.0.0.1:${ports.admin}/readyz`).catch(() => null);
    return ready?.ok;
  });
  const admin = (method, path, body) => administered(join(state, 'admin.sock'), method, path, body);
  const encoders = LIVE.map(([id], at) => encoder(`http://127.0.0.1:${ports.ingest}/ingest/${id}`, ['testsrc2', 'testsrc', 'smptehdbars'][at]));
  await furnished(admin, drawn.base);
  writeFileSync(join(folder, 'guide.xml'), guideOf([...LIVE, ...MADE], Math.floor(Date.now() / 1000) + 25));
  await admin('POST', 'guides', { id: 'own', name: 'Own', file: 'guide.xml' });
  const stop = async () => {
    for (const one of encoders) await one.end((stdin) => stdin.write('q'), 5_000).catch(() => {});
    await server.end('SIGTERM');
    drawn.stop();
  };
  return { base: `http://127.0.0.1:${ports.listen}`, admin, stop, channels: [...LIVE, ...MADE].map(([id]) => id), live: LIVE.map(([id]) => id) };
}

/** Who watches here, and by what. */
export const ANNA = { user: 'anna', app: 'kitchen-radio-47-lamp', password: 'seven quiet lanterns 31' };
export const BELA = { user: 'bela', app: 'attic-window-12-moss' };

async function furnished(admin, base) {
  for (const [id, name] of Object.entries(GROUPS)) await admin('POST', 'categories', { id, name, sorts: 'live' });
  await admin('POST', 'categories', { id: 'drama', name: 'Drama', sorts: 'film' });
  await admin('POST', 'categories', { id: 'tales', name: 'Tales', sorts: 'series' });
  for (const [id, name, year, rating] of FILMS) {
    const details = { plot: PLOT, year, rating, genres: ['Drama'], duration_s: 30, poster: `${base}/poster/${id}.svg`, cast: ['Ida Holm', 'Noah Brandt'] };
    await admin('POST', 'assets', { id: `films/${id}`, name, categories: ['drama'], details }).catch(() => admin('POST', 'assets', { id: `films/${id}`, name, categories: ['drama'] }));
  }
  await admin('POST', 'series', { id: 'tides', name: 'Between the Tides', categories: ['tales'] });
  for (const [at, asset] of ['e1', 'e2'].entries()) {
    await admin('POST', 'assets', { id: asset, name: `Part ${at + 1}`, form: 'episode' });
    await admin('POST', 'episodes', { id: asset, series: 'tides', season: 1, episode: at + 1, asset, name: ['The Boat', 'The Letter'][at] });
  }
  const content = [...LIVE, ...MADE].map(([id]) => `tv/${id}`).concat(['vod/films', 'vod/e1', 'vod/e2']);
  await admin('POST', 'bouquets', { id: 'all', name: 'Everything', content });
  await admin('POST', 'plans', { id: 'family', name: 'Family', bouquets: ['all'], sessions_max: 4, catch_up_days: 7 });
  await admin('POST', 'plans', { id: 'single', name: 'Single', bouquets: ['all'], sessions_max: 1 });
  for (const [{ user, app, password }, plan] of [[ANNA, 'family'], [BELA, 'single']]) {
    await admin('POST', 'subscribers', { id: user, plan });
    await admin('POST', `subscribers/${user}/app-passwords`, { name: 'living room', password: app });
    if (password) await admin('PUT', `subscribers/${user}/portal-password`, { password });
  }
}
