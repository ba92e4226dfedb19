// A client of a folder that ffmpeg rewrites: it fetches the playlist again and again, reads every
// copy strictly, fetches every segment when it is first listed and once more when it is the oldest,
// and compares all of it with the files on disk.
import { createHash } from 'node:crypto';
import { readFileSync, watch } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parsed } from './playlist.mjs';
import { boxed, counted, transportStream } from './whole.mjs';

/** Copies a second that a client asks for. */
const COPIES_A_SECOND = 5;
/** Pictures a second of every encoder here. */
export const RATE = 25;

const hash = (bytes) => createHash('sha256').update(bytes).digest('hex');

export class Watcher {
  errors = [];
  playlists = 0;
  copies = new Set();
  fetches = 0;
  /** Of every segment: the hash of its first fetch, and whether it was fetched as the oldest. */
  segments = new Map();
  #names = new Map();
  #onDisk = new Set();
  #unknown = new Map();
  #first = 0;
  #last = 0;
  #init = null;

  /** `listSize` is how many segments ffmpeg lists once it has made so many. */
  constructor({ base, folder, listSize, probe }) {
    Object.assign(this, { base, folder, listSize, probe });
    // Two versions may follow each other faster than copies are fetched, when the encoder ends.
    this.watching = watch(folder, () => this.noteDisk());
  }

  #wrong(text) {
    // The first few tell what is wrong; thousands would only hide it.
    if (this.errors.length < 20) this.errors.push(`${this.base}: ${text}`);
  }

  async #get(name, encoding) {
    this.fetches++;
    const response = await fetch(`${this.base}/${name}`, { headers: { 'accept-encoding': encoding } });
    const body = Buffer.from(await response.arrayBuffer());
    if (response.status !== 200) throw new Error(`${name}: status ${response.status}`);
    const length = response.headers.get('content-length');
    // What is compressed has the length of what came, which fetch has unpacked.
    if (!response.headers.get('content-encoding') && Number(length) !== body.length) {
      throw new Error(`${name}: Content-Length ${length}, but ${body.length} bytes`);
    }
    return body;
  }

  /** Notes which version of the playlist lies on disk. ffmpeg renames, so it is whole. */
  noteDisk() {
    try {
      this.#onDisk.add(hash(readFileSync(join(this.folder, 'index.m3u8'))));
    } catch (error) {
      if (error.code !== 'ENOENT') throw error;
    }
  }

  /** Fetches and reads one copy; whether it is the last. */
  async copy() {
    const text = (await this.#get('index.m3u8', this.playlists % 2 ? 'gzip' : 'identity')).toString();
    this.playlists++;
    const found = hash(text);
    if (!this.copies.has(found)) {
      this.copies.add(found);
      this.#unknown.set(found, text);
    }
    const list = parsed(text);
    this.#order(list);
    await this.#fetchNew(list);
    return list.ended;
  }

  /** Copies follow each other: nothing goes backwards, and no name is given to another number. */
  #order({ first, segments, ended }) {
    const last = first + segments.length - 1;
    if (first < this.#first) this.#wrong(`the media sequence went back from ${this.#first} to ${first}`);
    if (last < this.#last) this.#wrong(`the last segment went back from ${this.#last} to ${last}`);
    if (first > 0 && segments.length < this.listSize && !ended) this.#wrong(`only ${segments.length} segments are listed`);
    [this.#first, this.#last] = [Math.max(first, this.#first), Math.max(last, this.#last)];
    segments.forEach(({ uri }, index) => {
      const known = this.#names.get(first + index) ?? uri;
      if (known !== uri) this.#wrong(`segment ${first + index} was ${known} and is ${uri}`);
      this.#names.set(first + index, uri);
    });
  }

  async #fetchNew(list) {
    if (list.map && !this.#init) {
      this.#init = await this.#get(list.map, 'identity');
      const torn = boxed(this.#init, ['ftyp', 'moov']);
      if (torn) this.#wrong(`${list.map}: ${torn}`);
    }
    for (const segment of list.segments) {
      if (!this.segments.has(segment.uri)) await this.#fetchSegment(segment);
    }
    const oldest = this.segments.get(list.segments[0].uri);
    if (!oldest.again) {
      oldest.again = true;
      const body = await this.#get(list.segments[0].uri, 'identity');
      if (hash(body) !== oldest.hash) this.#wrong(`${list.segments[0].uri} is not what it was when it was first fetched`);
    }
  }

  async #fetchSegment({ uri, seconds }) {
    const body = await this.#get(uri, 'identity');
    this.segments.set(uri, { hash: hash(body), again: false });
    const torn = this.#init ? boxed(body, ['moof', 'mdat']) : transportStream(body);
    if (torn) this.#wrong(`${uri}: ${torn}`);
    const file = readFileSync(join(this.folder, uri));
    if (!file.equals(body)) this.#wrong(`${uri}: ${body.length} bytes are not the file's ${file.length}`);
    if (!this.probe) return;
    const { pictures, sounds } = await counted(this.#init ? Buffer.concat([this.#init, body]) : body);
    const expected = Math.round(seconds * RATE);
    if (pictures !== expected || sounds === 0) {
      this.#wrong(`${uri}: ${pictures} pictures, not ${expected}; ${sounds} packets of sound`);
    }
  }

  /** Copies that were served, although no such version has been on disk. */
  judge() {
    this.watching.close();
    this.noteDisk();
    for (const [found, text] of this.#unknown) {
      if (!this.#onDisk.has(found)) this.#wrong(`a copy that never was on disk: ${JSON.stringify(text.slice(-80))}`);
    }
    this.#unknown.clear();
  }

  /** Watches until the playlist ends, or until `enough()`. */
  async watch(enough) {
    while (!enough()) {
      const next = delay(1000 / COPIES_A_SECOND);
      this.noteDisk();
      const ended = await this.copy().catch((error) => this.#wrong(error.cause?.message ?? error.message));
      this.noteDisk();
      if (ended) return;
      await next;
    }
  }
}
