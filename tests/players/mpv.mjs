// mpv without a screen, driven through its socket: what it plays, whether it waited for data, and how
// far the clock in its picture is behind ours.
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, rmSync } from 'node:fs';
import { createConnection } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { CELLS, ROW, behind, clockOf } from './clock.mjs';

const run = promisify(execFile);
const BEGIN_MS = 40_000;
const LOOK_MS = 2_000;
const ARGS = ['--no-config', '--vo=null', '--ao=null', '--no-input-terminal', '--msg-level=all=warn', '--screenshot-format=png', '--screenshot-png-compression=0'];
/**
 * ffmpeg reads the header anew whenever it has read a live playlist anew, and says so; the others say that
 * the machine is slow.
 */
const HARMLESS = /Found duplicated MOOV Atom|underrun|desynchronisation|hardware, temporary|position will not match/;

class Mpv {
  #child;
  #socket;
  #path;
  #next = 1;
  #waiting = new Map();
  said = [];
  waits = 0;
  ended = null;

  static async start(url, path) {
    const mpv = new Mpv();
    mpv.#path = path;
    rmSync(path, { force: true });
    mpv.#child = spawn('mpv', [...ARGS, `--input-ipc-server=${path}`, url], { stdio: ['ignore', 'pipe', 'pipe'] });
    const lines = (data) => mpv.said.push(...data.toString().split('\n').filter((line) => line.trim() && !HARMLESS.test(line)));
    mpv.#child.stdout.on('data', lines);
    mpv.#child.stderr.on('data', lines);
    mpv.#child.on('error', (error) => (mpv.ended = error.message));
    mpv.#child.on('exit', (code, signal) => {
      mpv.ended ??= `exit status ${code ?? signal}`;
      for (const { reject } of mpv.#waiting.values()) reject(new Error(`mpv ended: ${mpv.ended}`));
    });
    for (const end = Date.now() + BEGIN_MS; !existsSync(path);) {
      if (mpv.ended !== null || Date.now() > end) throw new Error(`mpv made no socket: ${mpv.ended ?? 'too late'}; ${mpv.said.join('; ')}`);
      await delay(50);
    }
    await mpv.#connect(path);
    await mpv.call('observe_property', 1, 'paused-for-cache');
    return mpv;
  }

  async #connect(path) {
    this.#socket = createConnection(path);
    await once(this.#socket, 'connect');
    this.#socket.on('error', () => {});
    let pending = '';
    this.#socket.on('data', (data) => {
      const lines = (pending + data).split('\n');
      pending = lines.pop();
      for (const message of lines.map((line) => JSON.parse(line))) {
        if (message.event === 'property-change' && message.name === 'paused-for-cache' && message.data) this.waits += 1;
        const waiting = this.#waiting.get(message.request_id);
        if (message.event || !waiting) continue;
        this.#waiting.delete(message.request_id);
        if (message.error === 'success') waiting.resolve(message.data);
        else waiting.reject(new Error(`mpv ${waiting.name}: ${message.error}`));
      }
    });
  }

  call(...command) {
    const id = this.#next++;
    return new Promise((resolve, reject) => {
      if (this.ended !== null) return reject(new Error(`mpv ended: ${this.ended}; ${this.said.join('; ')}`));
      this.#waiting.set(id, { resolve, reject, name: command.join(' ') });
      this.#socket.write(JSON.stringify({ command, request_id: id }) + '\n');
    });
  }

  /** A property; null as long as there is none. */
  get(name) {
    return this.call('get_property', name).catch((error) => {
      if (/unavailable/.test(error.message)) return null;
      throw error;
    });
  }

  async stop() {
    this.#socket?.destroy();
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      const exited = once(this.#child, 'exit');
      this.#child.kill('SIGTERM');
      const timer = setTimeout(() => this.#child.kill('SIGKILL'), 5_000);
      await exited;
      clearTimeout(timer);
    }
    rmSync(this.#path, { force: true });
  }
}

/** Milliseconds by the clock in a picture on disk; null if none can be read. */
async function clockIn(file) {
  const filter = `crop=iw:1:0:ih*${ROW / 2},scale=${CELLS}:1:flags=neighbor,format=gray`;
  const { stdout } = await run('ffmpeg', ['-v', 'error', '-nostdin', '-i', file, '-vf', filter, '-f', 'rawvideo', '-'], { encoding: 'buffer' });
  return clockOf(stdout);
}

/**
 * Plays `url` for so long, and tells what was seen.
 *
 * @returns waits for data, standstills, jumps, milliseconds behind, pictures dropped, sounds, complaints
 */
export async function playMpv(url, seconds, screenshot) {
  const mpv = await Mpv.start(url, `${screenshot}.socket`);
  const seen = { behind: [], unreadable: 0, waits: 0, jumps: 0, standstills: [], dropped: 0 };
  try {
    const time = () => mpv.get('time-pos');
    // It has begun when time goes on for a second.
    let first = await time();
    for (const end = Date.now() + BEGIN_MS; first === null || (await time()) < first + 1; first ??= await time()) {
      if (Date.now() > end) throw new Error(`mpv did not begin within ${BEGIN_MS} ms; ${mpv.said.join('; ')}`);
      await delay(100);
    }
    mpv.waits = 0;
    const tracks = await mpv.get('track-list');
    seen.sounds = tracks.filter((track) => track.type === 'audio').map((track) => track.lang ?? '?');
    let [at, since] = [await time(), Date.now()];
    const [begun, start] = [Date.now(), at];
    // Nobody waits for a look: only its picture is taken while time is watched.
    let [looked, looking] = [0, Promise.resolve()];
    const look = async () => {
      const taken = Date.now();
      await mpv.call('screenshot-to-file', screenshot, 'video');
      const clock = await clockIn(screenshot);
      if (clock === null) seen.unreadable += 1;
      else seen.behind.push(behind(clock, taken));
    };
    while (at < start + seconds) {
      const [now, wall] = [await time(), Date.now()];
      if (now !== null && now !== at) {
        // Time in a stream goes on as fast as a viewer's.
        if (Math.abs(now - at - (wall - since) / 1000) > 1) seen.jumps += 1;
        if (wall - since > 400) seen.standstills.push(wall - since);
        [at, since] = [now, wall];
      }
      if (wall - since > BEGIN_MS) throw new Error(`mpv stands at ${at} s; ${mpv.said.join('; ')}`);
      if (wall - looked > LOOK_MS) {
        looked = wall;
        looking = looking.then(look);
        looking.catch(() => {});
      }
      await delay(50);
    }
    await looking;
    seen.waits = mpv.waits;
    seen.dropped = (await mpv.get('frame-drop-count')) ?? 0;
    seen.took = (Date.now() - begun) / 1000;
    seen.played = at - start;
  } finally {
    await mpv.stop();
  }
  return { ...seen, said: mpv.said };
}
