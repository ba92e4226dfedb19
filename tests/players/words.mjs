// Subtitles as CMAF tracks (ISO/IEC 14496-30), beside what ffmpeg pushes: `wvtt` in English, `stpp` in
// German. Each cue lasts as long as a segment and says the time at which its pictures were taken.
import { setTimeout as delay } from 'node:timers/promises';

const TIMESCALE = 1000;
/** Length of a segment; a cue is a little shorter, so that screens change. */
const SEGMENT_MS = 2_000;
const CUE_MS = 1_900;

const bytes = (...fields) => Buffer.concat(fields.map((field) => (typeof field === 'string' ? Buffer.from(field) : Buffer.isBuffer(field) ? field : Buffer.from(field))));
const u16 = (value) => Buffer.from([value >> 8, value & 255]);
const u32 = (value) => Buffer.from([value >>> 24, (value >> 16) & 255, (value >> 8) & 255, value & 255]);
const u64 = (value) => Buffer.concat([u32(Math.floor(value / 2 ** 32)), u32(value % 2 ** 32)]);
const box = (kind, ...fields) => {
  const body = bytes(...fields);
  return bytes(u32(body.length + 8), kind, body);
};
const full = (kind, version, flags, ...fields) => box(kind, u32((version << 24) | flags), ...fields);
const zeros = (count) => Buffer.alloc(count);
const MATRIX = bytes(...[0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000].map(u32));

/** How each kind of subtitles says what it is, and its media for a cue: samples with their durations. */
const KINDS = {
  wvtt: {
    language: 'eng',
    handler: ['text', full('nmhd', 0, 0)],
    entry: box('wvtt', zeros(6), u16(1), box('vttC', 'WEBVTT\n')),
    samples: (text) => [[CUE_MS, box('vttc', box('payl', text))], [SEGMENT_MS - CUE_MS, box('vtte')]],
  },
  stpp: {
    language: 'deu',
    handler: ['subt', full('sthd', 0, 0)],
    entry: box('stpp', zeros(6), u16(1), 'http://www.w3.org/ns/ttml\0\0\0'),
    samples: (text, start) => [[SEGMENT_MS, Buffer.from(document(text, start, start + CUE_MS))]],
  },
};

const clock = (milliseconds) => {
  const [hours, rest] = [Math.floor(milliseconds / 3_600_000), new Date(milliseconds % 3_600_000).toISOString()];
  return `${String(hours).padStart(2, '0')}${rest.slice(13, 23)}`;
};
const document = (text, begin, end) => `<?xml version="1.0" encoding="UTF-8"?>
<tt xmlns="http://www.w3.org/ns/ttml" xmlns:ttp="http://www.w3.org/ns/ttml#parameter" xmlns:tts="http://www.w3.org/ns/ttml#styling" ttp:timeBase="media" xml:lang="de">
<head><layout><region xml:id="r" tts:origin="10% 70%" tts:extent="80% 20%" tts:displayAlign="after" tts:textAlign="center"/></layout></head>
<body><div region="r"><p begin="${clock(begin)}" end="${clock(end)}">${text}</p></div></body></tt>`;

function header({ language, handler: [handler, media], entry }) {
  const said = [...language].reduce((value, letter) => (value << 5) | (letter.charCodeAt(0) - 0x60), 0);
  const table = box('stbl', full('stsd', 0, 0, u32(1), entry), ...['stts', 'stsc', 'stco'].map((kind) => full(kind, 0, 0, u32(0))), full('stsz', 0, 0, u32(0), u32(0)));
  const data = box('dinf', full('dref', 0, 0, u32(1), full('url ', 0, 1)));
  const track = box('trak',
    full('tkhd', 0, 7, zeros(8), u32(1), zeros(20), u16(0), u16(0), MATRIX, zeros(8)),
    box('mdia',
      full('mdhd', 0, 0, zeros(8), u32(TIMESCALE), u32(0), u16(said), u16(0)),
      full('hdlr', 0, 0, u32(0), handler, zeros(12), 'words\0'),
      box('minf', media, data, table)));
  const movie = full('mvhd', 0, 0, zeros(8), u32(TIMESCALE), u32(0), u32(0x10000), u16(0x100), zeros(10), MATRIX, zeros(24), u32(2));
  return bytes(
    box('ftyp', 'iso6', u32(0), 'iso6cmfc'),
    box('moov', movie, track, box('mvex', full('trex', 0, 0, u32(1), u32(1), u32(0), u32(0), u32(0)))));
}

function segment(samples, number, start) {
  const run = (offset) => full('trun', 0, 0x301, u32(samples.length), u32(offset), ...samples.flatMap(([duration, sample]) => [u32(duration), u32(sample.length)]));
  const fragment = (offset) => box('moof',
    full('mfhd', 0, 0, u32(number)),
    box('traf', full('tfhd', 0, 0x020000, u32(1)), full('tfdt', 1, 0, u64(start)), run(offset)));
  return bytes(fragment(fragment(0).length + 8), box('mdat', ...samples.map(([, sample]) => sample)));
}

/** What a cue says of pictures that were taken at this time: hours, minutes, seconds of UTC. */
const wording = (taken) => `${new Date(taken).toISOString().slice(11, 19)} UTC`;

async function put(url, body) {
  const answer = await fetch(url, { method: 'PUT', body });
  if (!answer.ok) throw new Error(`PUT ${url}: ${answer.status} ${await answer.text()}`);
}

/**
 * Pushes a kind of them below `ingest`, on the time of the channel's pictures, until it is stopped.
 *
 * @param zero when the channel's media began, in milliseconds of Unix time
 */
export function startWords(ingest, name, zero) {
  const [words, kind] = [{ fault: null }, KINDS[name]];
  let going = true;
  const push = async () => {
    await put(`${ingest}/${name}/init.mp4`, header(kind));
    for (let number = Math.floor((Date.now() - zero) / SEGMENT_MS) - 1; going; number++) {
      const start = number * SEGMENT_MS;
      // An encoder has a segment when it ends.
      await delay(Math.max(0, zero + start + SEGMENT_MS - Date.now()));
      await put(`${ingest}/${name}/${number}.m4s`, segment(kind.samples(wording(zero + start), start), number, start));
    }
  };
  const ended = push().catch((error) => (words.fault = error.message));
  words.stop = async () => {
    going = false;
    await ended;
  };
  return words;
}

/** When the media of the channel at this URL began, by its manifest: milliseconds of Unix time. */
export async function zeroOf(url) {
  const manifest = await (await fetch(`${url}/manifest.mpd`)).text();
  const [, start] = /<Period [^>]*start="PT([\d.]+)S"/.exec(manifest) ?? [];
  const offset = /presentationTimeOffset="(\d+)"/.exec(manifest)?.[1];
  if (start === undefined || offset !== '0') throw new Error(`no beginning is found in the manifest of ${url}`);
  return Number(start) * 1000;
}
