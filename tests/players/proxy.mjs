// A proxy in front of a server that does one thing wrong, now and then: what a check must notice.
import { once } from 'node:events';
import { createServer } from 'node:http';

const isPlaylist = (path) => path.endsWith('.m3u8');
const isSegment = (path) => path.endsWith('.m4s');

/** Each changes what it is given: `{ status, body }` of a path, and what it remembers in `memory`. */
export const DEFECTS = [
  {
    name: 'a playlist that is torn inside a line',
    change: (path, answer) => { if (isPlaylist(path)) answer.body = answer.body.subarray(0, -5); },
  },
  {
    name: 'a playlist that is torn between two lines',
    // Without the last pair of #EXTINF and segment it is a playlist like any other, once there are
    // several.
    change: (path, answer, memory) => {
      if (!isPlaylist(path) || memory.asked++ < 25 || memory.asked % 3) return;
      answer.body = Buffer.from(answer.body.toString().replace(/#EXTINF[^\n]*\n[^\n]*\n$/, ''));
    },
  },
  {
    name: 'a playlist of long ago',
    change: (path, answer, memory) => {
      if (!isPlaylist(path)) return;
      memory.old ??= answer.body;
      if (memory.asked++ > 25) answer.body = memory.old;
    },
  },
  {
    name: 'a segment that is cut short',
    change: (path, answer) => { if (isSegment(path)) answer.body = answer.body.subarray(0, -1000); },
  },
  {
    name: 'a segment with a wrong byte',
    change: (path, answer) => { if (isSegment(path)) answer.body[answer.body.length - 1] ^= 1; },
  },
  {
    name: 'a segment that changes later',
    change: (path, answer, memory) => {
      if (!isSegment(path)) return;
      if (memory.paths.has(path)) answer.body[answer.body.length - 1] ^= 1;
      memory.paths.add(path);
    },
  },
  {
    name: 'a listed segment that is missing',
    change: (path, answer) => { if (isSegment(path)) answer.status = 404; },
  },
];

export async function startProxy(base, defect) {
  const memory = { asked: 0, paths: new Set() };
  const server = createServer(async (request, response) => {
    try {
      const upstream = await fetch(new URL(request.url, base), { headers: { 'accept-encoding': 'identity' } });
      const answer = { status: upstream.status, body: Buffer.from(await upstream.arrayBuffer()) };
      defect.change(request.url, answer, memory);
      response.writeHead(answer.status, { 'content-length': answer.body.length });
      response.end(answer.body);
    } catch {
      response.destroy();
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const stop = () => {
    server.closeAllConnections();
    server.close();
  };
  return { base: `http://127.0.0.1:${server.address().port}${new URL(base).pathname}`, stop };
}
