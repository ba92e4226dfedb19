// Playlists and manifests that `shardcast-bench watch --save DIR` has kept, read by parsers that others
// wrote: two for HLS, which must also agree with each other, and one for DASH.
//
//   node tests/players/parsers.mjs DIR
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import hlsParser from 'hls-parser';
import { Parser } from 'm3u8-parser';
import { parse as parseMpd } from 'mpd-parser';

/** Findings that are told; all are counted. */
const TOLD_MAX = 20;
/** Parsers keep durations as floating-point numbers. */
const SECONDS_TOLERANCE = 1e-6;

/** hls-parser counts three segments, the one that grows too, where the standard says three target
 * durations; `watch` measures them. */
const ROUGH_RULE = 'Remove EXT-X-PART tags from the Playlist after they are greater than three target durations';

/** What m3u8-parser makes of a playlist; it warns of what it would have to guess. */
function first(text) {
  const parser = new Parser();
  const warnings = [];
  parser.on('warn', ({ message }) => warnings.push(message));
  parser.push(text);
  parser.end();
  return { manifest: parser.manifest, warnings };
}

/** What hls-parser makes of it. What it finds invalid it writes to the console, so that is listened to. */
function second(text, errors) {
  const write = console.error;
  console.error = (message) => errors.push(`hls-parser: ${message}`);
  try {
    return hlsParser.parse(text);
  } finally {
    console.error = write;
  }
}

function readMultivariant(text) {
  const { manifest, warnings } = first(text);
  const errors = warnings.map((message) => `m3u8-parser warns: ${message}`);
  const other = second(text, errors);
  const uris = (manifest.playlists ?? []).map(({ uri }) => uri).join();
  const otherUris = other.variants.filter(({ isIFrameOnly }) => !isIFrameOnly).map(({ uri }) => uri).join();
  if (!uris || uris !== otherUris) errors.push(`variants differ: '${uris}' and '${otherUris}'`);
  return errors;
}

function readMedia(text) {
  const { manifest, warnings } = first(text);
  const said = [];
  const other = second(text, said);
  const errors = [...warnings.map((message) => `m3u8-parser warns: ${message}`), ...said.filter((message) => !message.includes(ROUGH_RULE))];
  const same = (what, one, two) => {
    if (one !== two) errors.push(`${what}: m3u8-parser has ${one}, hls-parser ${two}`);
  };
  same('target duration', manifest.targetDuration, other.targetDuration);
  same('media sequence', manifest.mediaSequence, other.mediaSequenceBase);
  same('discontinuity sequence', manifest.discontinuitySequence ?? 0, other.discontinuitySequenceBase ?? 0);
  // Both put the segment that grows, which has parts and no URI, at the end or beside it.
  const mine = manifest.segments.filter(({ uri }) => uri);
  const theirs = other.segments.filter(({ uri }) => uri);
  same('segments', mine.length, theirs.length);
  for (const [at, segment] of mine.entries()) {
    const twin = theirs[at];
    if (!twin) break;
    same('URI', segment.uri, twin.uri);
    if (Math.abs(segment.duration - twin.duration) > SECONDS_TOLERANCE) same('duration', segment.duration, twin.duration);
    same(`parts of ${segment.uri}`, segment.parts?.length ?? 0, twin.parts?.length ?? 0);
  }
  if (mine.length === 0 && !manifest.preloadSegment) errors.push('no segments');
  return errors;
}

function readManifest(text) {
  const warnings = [];
  const options = { manifestUri: 'http://127.0.0.1/tv/news/manifest.mpd', eventHandler: ({ type, message }) => warnings.push(`${type}: ${message}`) };
  const { playlists, mediaGroups } = parseMpd(text, options);
  const audio = Object.values(mediaGroups.AUDIO ?? {}).flatMap((group) => Object.values(group)).flatMap((one) => one.playlists);
  const all = [...playlists, ...audio];
  const errors = warnings.filter((warning) => warning.startsWith('warn')).map((warning) => `mpd-parser: ${warning}`);
  if (all.length === 0) errors.push('no representations');
  for (const { attributes, segments } of all) {
    if (!(segments?.length > 0)) errors.push(`${attributes.NAME}: no segments`);
    for (const segment of segments ?? []) {
      if (!(segment.duration > 0) || !segment.resolvedUri || !segment.map?.resolvedUri) errors.push(`${attributes.NAME}: segment ${segment.number} is not whole`);
    }
    const numbers = (segments ?? []).map(({ number }) => number);
    if (numbers.some((number, at) => at > 0 && number !== numbers[at - 1] + 1)) errors.push(`${attributes.NAME}: numbers do not follow`);
  }
  return errors;
}

const folder = process.argv[2];
if (!folder) {
  console.error('parsers: a folder is needed (see the head of tests/players/parsers.mjs)');
  process.exit(2);
}
const counts = {};
const found = [];
for (const name of readdirSync(folder).sort()) {
  const text = readFileSync(join(folder, name), 'utf8');
  const kind = name.endsWith('.mpd') ? 'manifests' : text.includes('#EXT-X-STREAM-INF') ? 'multivariant playlists' : 'media playlists';
  const read = { manifests: readManifest, 'multivariant playlists': readMultivariant, 'media playlists': readMedia }[kind];
  counts[kind] = (counts[kind] ?? 0) + 1;
  try {
    found.push(...read(text).map((error) => `${name}: ${error}`));
  } catch (error) {
    found.push(`${name}: ${error.message.split('\n')[0]}`);
  }
}
for (const text of found.slice(0, TOLD_MAX)) console.log(`parsers: FAILED ${text}`);
const read = Object.entries(counts).map(([kind, count]) => `${count} ${kind}`);
console.log(`parsers: ${read.join(', ')}: ${found.length} things are wrong`);
if (found.length || read.length !== 3) process.exit(1);
