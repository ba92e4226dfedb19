// The Xtream-compatible API, read by a library of others (@iptv/xtream-api) as its apps do.
//
//   node tests/players/apps.mjs --server target/release/shardcast
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { Xtream } from '@iptv/xtream-api';
import { standardizedSerializer } from '@iptv/xtream-api/standardized';
import { startServer } from './server.mjs';

/** How long a change may take until it is seen; a busy machine needs more than the 2 s of a free one. */
const SEEN_MS = 20_000;

const { values } = parseArgs({ options: { server: { type: 'string' } } });
if (!values.server) throw new Error('usage: node tests/players/apps.mjs --server PROGRAM');

const folder = mkdtempSync(join(tmpdir(), 'shardcast-apps-'));
const config = join(folder, 'apps.toml');
writeFileSync(config, `[server]\nstate = "${join(folder, 'state')}"\ningest = "127.0.0.1:0"\n[[channel]]\nid = "news"\nname = "News"\narchive = "2d"\n`);
const server = await startServer(values.server, ['--config', config], join(folder, 'state'));

/** Runs a verb of the program, which must work. */
function verb(line, input = '') {
  const { status, stderr } = spawnSync(values.server, [...line.split(' '), '--config', config], { input, encoding: 'utf8' });
  assert.equal(status, 0, `${line}: ${stderr}`);
}

try {
  for (const line of [
    'category add drama --sorts film --name Drama',
    'category add serials --sorts series --name Serials',
    'asset add films/a.mp4 --name A --category drama',
    'asset add s/1 --name One --form episode',
    'series add serial --name Serial --category serials',
    'episode add e --of serial --season 1 --episode 1 --asset s/1',
    'bouquet add all --name All --content tv/news --content vod/films --content vod/s',
    'plan add gold --name Gold --bouquet all --catch-up 7',
    'subscriber add anna --plan gold',
  ]) verb(line);
  verb('subscriber password add anna --stdin', 'pass-anna\n');
  const account = { url: new URL(server.base).origin, username: 'anna', password: 'pass-anna' };
  const plain = new Xtream(account);
  const seen = Date.now() + SEEN_MS;
  while ((await plain.getShows()).length === 0) {
    assert.ok(Date.now() < seen, 'the series is not seen');
    await delay(50);
  }
  const client = new Xtream({ ...account, serializer: standardizedSerializer });
  const profile = await client.getProfile();
  assert.equal(profile.username, 'anna');
  assert.equal(profile.status.toLowerCase(), 'active');
  assert.equal((await plain.getServerInfo()).timezone, 'UTC');
  const [channel] = await plain.getChannels();
  assert.equal(channel.tv_archive_duration, 2);
  assert.equal(channel.url, `${account.url}/live/anna/pass-anna/${channel.stream_id}.ts`);
  assert.equal((await client.getChannels()).length, 1);
  const [category] = await plain.getMovieCategories();
  assert.equal(category.category_name, 'Drama');
  const [film] = await plain.getMovies({ categoryId: category.category_id });
  assert.equal(film.url, `${account.url}/movie/anna/pass-anna/${film.stream_id}.mp4`);
  assert.equal((await client.getMovies()).length, 1);
  assert.equal((await plain.getMovie({ movieId: film.stream_id })).info.name, 'A');
  await client.getMovie({ movieId: film.stream_id });
  await assert.rejects(plain.getMovie({ movieId: 77 }), /Not Found/);
  const [show] = await plain.getShows();
  const whole = await plain.getShow({ showId: show.series_id });
  assert.equal(whole.episodes['1'][0].title, 'One');
  assert.match(whole.episodes['1'][0].url, /\/series\/anna\/pass-anna\/\d+\.m3u8$/);
  await client.getShow({ showId: show.series_id });
  await assert.rejects(plain.getShow({ showId: 77 }), /Not Found/);
  await client.getChannelCategories();
  await client.getShowCategories();
  await client.getShortEPG({ channelId: channel.stream_id });
  await client.getFullEPG({ channelId: channel.stream_id });
  console.log('apps: @iptv/xtream-api reads the account, catalogues, one film, one series and guides');
} finally {
  await server.stop();
  rmSync(folder, { recursive: true });
}
