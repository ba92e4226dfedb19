// A viewer of one rendition, as a player is one: it holds requests for what comes next, fetches it, plays
// from a buffer, and knows when that was empty. It comes back by itself when a server is away, and keeps
// everything it was given: whatever it has fetched, it fetches again when that leaves the playlist.
import { createHash } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { until } from './until.mjs';

/** Pause before something is tried again. */
const AGAIN_MS = 100;
/** Longest that one request may take: a held one is answered after three target durations. */
const PATIENCE_MS = 20_000;
/** Errors that are told; thousands would only hide them. */
const ERRORS_MAX = 20;

const attribute = (line, name) => new RegExp(`[:,]${name}="?([^",]+)`).exec(line)?.[1];

/** What a media playlist says: segments with their parts, the last of them perhaps not whole yet. */
export function listed(text) {
  const list = { sequence: 0, discontinuities: 0, target: 0, part: 0, hold: 0, segments: [], hint: null };
  let [map, discontinuity, date, gap, seconds, parts] = [null, 0, null, false, null, []];
  const close = (uri) => {
    list.segments.push({ number: list.sequence + list.segments.length, uri, seconds, gap, map, discontinuity, date, parts });
    [date, gap, seconds, parts] = [null, false, null, []];
  };
  for (const line of text.split('\n')) {
    const value = line.slice(line.indexOf(':') + 1);
    if (line.startsWith('#EXT-X-MEDIA-SEQUENCE:')) list.sequence = Number(value);
    else if (line.startsWith('#EXT-X-DISCONTINUITY-SEQUENCE:')) discontinuity = list.discontinuities = Number(value);
    else if (line.startsWith('#EXT-X-TARGETDURATION:')) list.target = Number(value);
    else if (line.startsWith('#EXT-X-PART-INF:')) list.part = Number(attribute(line, 'PART-TARGET'));
    else if (line.startsWith('#EXT-X-SERVER-CONTROL:')) list.hold = Number(attribute(line, 'PART-HOLD-BACK'));
    else if (line.startsWith('#EXT-X-MAP:')) map = attribute(line, 'URI');
    else if (line === '#EXT-X-DISCONTINUITY') discontinuity++;
    else if (line.startsWith('#EXT-X-PROGRAM-DATE-TIME:')) date = value;
    else if (line === '#EXT-X-GAP') gap = true;
    else if (line.startsWith('#EXT-X-PART:')) parts.push({ uri: attribute(line, 'URI'), seconds: Number(attribute(line, 'DURATION')), gap: attribute(line, 'GAP') === 'YES' });
    else if (line.startsWith('#EXT-X-PRELOAD-HINT:')) list.hint = attribute(line, 'URI');
    else if (line.startsWith('#EXTINF:')) seconds = Number(value.slice(0, -1));
    else if (line && !line.startsWith('#')) close(line);
  }
  if (parts.length) close(null);
  return list;
}

/** What a rendition lists at the moment; null if nothing can be had. */
export async function list(base) {
  const response = await fetch(`${base}/index.m3u8`).catch(() => null);
  return response?.ok ? listed(await response.text()) : null;
}

/** Waits until a rendition lists so many segments. */
export const ready = (base, count) => until(`${count} segments of ${base}`, async () => (await list(base))?.segments.length >= count);

export class Viewer {
  errors = [];
  /** Requests that failed because a server was away, or had just come back. */
  outages = 0;
  stalls = 0;
  /** Seconds that were left in the buffer when it was lowest. */
  lowest = Infinity;
  /** Segments with something missing. */
  gaps = new Set();
  discontinuities = new Set();
  /** The newest segment that was listed whole, and all that were. */
  newest = -1;
  segments = new Map();
  /** What was played, in its order: the header's URI, and bytes. */
  played = [];
  #requests = 0;
  /** Hash and tag of what was fetched and has not left the playlist, and what was played. */
  #known = new Map();
  #taken = new Set();
  #headers = new Map();
  #buffer = { end: 0, from: 0, playing: null };
  /** How often a server had gone away when the last playlist came, and the last segment there. */
  #seen = 0;
  #last = -1;
  #stopped = false;

  /**
   * `bases` are URLs of one rendition, which are asked in turn; `low` is whether parts are played. `away()`
   * counts how often the server went away; whoever is `patient` is not surprised by it.
   */
  constructor({ name, bases, low, patient = false, away = () => 0 }) {
    Object.assign(this, { name, bases, low, patient, away });
  }

  /** Watches until it is stopped, and then looks at everything once more. */
  async watch() {
    let list = null;
    while (!this.#stopped) {
      const now = await this.#playlist(list);
      if (now) {
        await this.#take(now, list === null);
        await this.#part(now);
      }
      list = now ?? list;
      if (!this.low || !now) await delay(AGAIN_MS);
    }
    this.#buffered(0, Infinity);
    for (const uri of this.#known.keys()) await this.#object(uri);
  }

  stop() {
    this.#stopped = true;
  }

  /** The header and what was played behind it, for each header. */
  files() {
    const files = new Map();
    for (const { map, body } of this.played) {
      if (!files.has(map)) files.set(map, [this.#headers.get(map)]);
      files.get(map).push(body);
    }
    return [...files.values()].map((pieces) => Buffer.concat(pieces));
  }

  #wrong(text) {
    if (this.errors.length < ERRORS_MAX) this.errors.push(`${this.name}: ${text}`);
  }

  /** One request; null if it failed, which is wrong unless the server has been away. */
  async #get(uri) {
    const base = this.bases[this.#requests++ % this.bases.length];
    let why;
    try {
      const response = await fetch(`${base}/${uri}`, { signal: AbortSignal.timeout(PATIENCE_MS) });
      const body = Buffer.from(await response.arrayBuffer());
      if (response.status === 200) return { base, body, tag: response.headers.get('etag') };
      why = `status ${response.status}`;
    } catch (error) {
      why = error.cause?.message ?? error.message;
    }
    this.outages++;
    if (!this.patient || this.away() === this.#seen) this.#wrong(`${base}/${uri}: ${why}`);
    return null;
  }

  /** An object, whose bytes and tag are the same for ever. */
  async #object(uri) {
    const got = await this.#get(uri);
    if (!got) return null;
    const now = { hash: createHash('sha256').update(got.body).digest('hex'), tag: got.tag };
    const known = this.#known.get(uri) ?? now;
    // What is sent while it grows has no tag yet.
    const isTagged = !known.tag || !now.tag || known.tag === now.tag;
    if (known.hash !== now.hash || !isTagged) this.#wrong(`${got.base}/${uri} was ${JSON.stringify(known)}, and is ${JSON.stringify(now)}`);
    this.#known.set(uri, { hash: known.hash, tag: known.tag ?? now.tag });
    return got.body;
  }

  async #playlist(list) {
    const next = list?.hint && /(\d+)\.(\d+)\.\w+$/.exec(list.hint);
    const before = this.away();
    const isShaken = before !== this.#seen;
    // After an outage without a directive, as the standard wants it.
    const directive = next && !isShaken ? `?_HLS_msn=${next[1]}&_HLS_part=${next[2]}` : '';
    const got = await this.#get(this.low ? `ll.m3u8${directive}` : 'index.m3u8');
    if (!got) return null;
    this.#seen = before;
    const now = listed(got.body.toString());
    // Of what was whole the segments are there again, and the parts are not.
    if (isShaken && this.low) this.#known.clear();
    this.#order(now, isShaken);
    return now;
  }

  /** Numbers go up, and each means one thing for ever. */
  #order(list, isShaken) {
    const whole = list.segments.filter(({ uri }) => uri);
    const newest = whole.at(-1)?.number ?? -1;
    // Two servers need not have it at once, and one that has come back begins with what is new.
    if (newest < this.#last && this.bases.length === 1 && !isShaken) this.#wrong(`the last segment was ${this.#last}, and is ${newest}`);
    this.#last = newest;
    this.newest = Math.max(this.newest, newest);
    for (const { number, uri, seconds, gap, map, discontinuity, date } of whole) {
      const now = { uri, seconds, gap, map, discontinuity };
      const known = this.segments.get(number) ?? { ...now, date };
      const isSame = Object.keys(now).every((key) => known[key] === now[key]) && (!known.date || !date || known.date === date);
      if (!isSame) this.#wrong(`segment ${number} was ${JSON.stringify(known)}, and is ${JSON.stringify({ ...now, date })}`);
      this.segments.set(number, { ...known, date: known.date ?? date });
      this.discontinuities.add(discontinuity);
      if (gap) this.gaps.add(number);
    }
    for (const { number, parts } of list.segments) if (parts.some((part) => part.gap)) this.gaps.add(number);
  }

  /** What is new in a playlist, in its order. A player begins at its distance from the live edge. */
  async #take(list, isFirst) {
    const hold = this.low ? list.hold : 3 * list.target;
    const pieces = list.segments.flatMap((one) => (this.low ? one.parts : one.uri ? [one] : []).map((piece) => ({ ...piece, map: one.map })));
    let first = isFirst ? pieces.length : 0;
    for (let behind = 0; isFirst && first > 0 && behind < hold; ) behind += pieces[--first].seconds;
    for (const { uri } of pieces.slice(0, first)) this.#taken.add(uri);
    for (const { uri, seconds, gap, map } of pieces) {
      if (this.#taken.has(uri)) continue;
      if (!gap) {
        if (map && !this.#headers.has(map)) {
          const header = await this.#object(map);
          if (!header) return;
          this.#headers.set(map, header);
        }
        const body = await this.#object(uri);
        if (!body) return;
        this.played.push({ map, body });
      }
      this.#taken.add(uri);
      this.#buffered(seconds, hold);
    }
  }

  /** What has left the playlist is fetched for the last time. */
  async #part(list) {
    const there = new Set(list.segments.flatMap((one) => [one.uri, one.map, ...one.parts.map(({ uri }) => uri)]));
    for (const uri of [...this.#known.keys()].filter((uri) => !there.has(uri))) {
      if (await this.#object(uri)) this.#known.delete(uri);
      else return;
    }
  }

  /** Media of so many seconds has come, or will not come: a gap is passed over. */
  #buffered(seconds, hold) {
    const now = performance.now() / 1000;
    const buffer = this.#buffer;
    if (buffer.playing) {
      const left = buffer.end - (buffer.playing.media + now - buffer.playing.at);
      this.lowest = Math.min(this.lowest, left);
      if (left < 0) {
        this.stalls++;
        [buffer.playing, buffer.from] = [null, buffer.end];
      }
    }
    buffer.end += seconds;
    if (!buffer.playing && buffer.end - buffer.from >= hold) buffer.playing = { media: buffer.from, at: now };
  }
}
