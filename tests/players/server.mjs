// The server under test as a child process, and a small server for the players' page. The page has
// an origin of its own, so that every request of a player is a cross-origin one.
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { start } from './children.mjs';

const READY_MS = 20_000;

/** A port that was free a moment ago. */
async function freePort() {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address();
  probe.close();
  await once(probe, 'close');
  return port;
}

/** Starts `shardcast serve` with channels of these ids, which encoders may push to; `lines` are in each's table. */
export async function startLive(binary, channels, folder, lines = '') {
  return startStation(binary, channels.map((id) => `[[channel]]\nid = "${id}"\n${lines}`).join(''), folder);
}

/** The same with these tables of channels; on the ports of an earlier run, if it is to be the same server. */
export async function startStation(binary, tables, folder, earlier = null) {
  const ports = earlier?.ports ?? { listen: await freePort(), admin: await freePort(), ingest: await freePort() };
  const config = join(folder, 'live.toml');
  writeFileSync(config, `[server]\naccess = "open"\ningest = "127.0.0.1:${ports.ingest}"\n${tables}`);
  const server = await startServer(binary, ['--config', config], join(folder, 'state'), ports);
  return { ...server, base: server.base.replace(/vod$/, 'tv'), ingest: `http://127.0.0.1:${ports.ingest}/ingest` };
}

/** Starts `shardcast serve` over these paths and waits until it says that it is ready. */
export async function startServer(binary, paths, state, ports = null) {
  const { listen, admin } = ports ?? { listen: await freePort(), admin: await freePort() };
  const args = ['serve', ...paths, '--state', state, '--listen', `127.0.0.1:${listen}`, '--admin', `127.0.0.1:${admin}`, '--log-format', 'text'];
  const server = start(binary, args, { stdio: ['ignore', 'inherit', 'inherit'] });
  const deadline = Date.now() + READY_MS;
  for (;;) {
    if (server.ended !== null) throw new Error(`the server ended before it was ready: ${server.ended}`);
    if (Date.now() > deadline) {
      await server.end('SIGKILL');
      throw new Error(`the server was not ready within ${READY_MS} ms`);
    }
    const ready = await fetch(`http://127.0.0.1:${admin}/readyz`).catch(() => null);
    if (ready?.ok) break;
    await delay(50);
  }
  const stop = async () => {
    const how = await server.end('SIGTERM');
    if (how !== 'exit status 0') throw new Error(`the server did not stop cleanly: ${how}`);
  };
  /** Ends it as nobody should. */
  const kill = () => server.end('SIGKILL');
  return { base: `http://127.0.0.1:${listen}/vod`, admin: `http://127.0.0.1:${admin}`, pid: server.pid, ports, stop, kill };
}

/** Serves page.html and the players, and nothing else. */
export async function servePages(folder) {
  const file = (name, type) => ({ body: readFileSync(join(folder, name)), type });
  const script = 'text/javascript; charset=utf-8';
  const files = new Map([
    ['/page.html', file('page.html', 'text/html; charset=utf-8')],
    ['/clock.mjs', file('clock.mjs', script)],
    ['/hls.js', file('node_modules/hls.js/dist/hls.js', script)],
    ['/dash.js', file('node_modules/dashjs/dist/modern/umd/dash.all.min.js', script)],
    ['/shaka.js', file('node_modules/shaka-player/dist/shaka-player.compiled.js', script)],
  ]);
  const server = createHttpServer((request, response) => {
    const found = files.get(new URL(request.url, 'http://page').pathname);
    response.writeHead(found ? 200 : 404, { 'content-type': found?.type ?? 'text/plain' });
    response.end(found?.body);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const stop = async () => {
    server.closeAllConnections();
    server.close();
  };
  return { base: `http://127.0.0.1:${server.address().port}`, stop };
}
