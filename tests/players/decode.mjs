// ffprobe and ffmpeg over HTTP: every rendition is decoded to its end, and its frames are counted.
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';

const execute = promisify(execFile);
const LONGEST_MS = 120_000;
/** Frames of the sample pictures: 24 s at 25 a second. */
const FRAMES = 600;

/** What to decode of each asset: the entry point, video streams behind it, and whether it has audio. */
const ENTRIES = [
  { path: 'ts/master.m3u8', videos: 3 },
  { path: 'fmp4/master.m3u8', videos: 3 },
  { path: 'cmaf/master.m3u8', videos: 3 },
  { path: 'cmaf/manifest.mpd', videos: 3 },
  { path: 'fmp4/audio/index.m3u8', videos: 0 },
  { path: 'ranges-mpegts/index.m3u8', videos: 1 },
  { path: 'ranges-fmp4/index.m3u8', videos: 1 },
  { path: 'film/film.mp4', videos: 1 },
  { path: 'film/film.mkv', videos: 1 },
];
const FULL_ENTRIES = [
  { path: 'shaka/master.m3u8', videos: 3 },
  { path: 'shaka/manifest.mpd', videos: 3 },
  { path: 'shaka-on-demand/manifest.mpd', videos: 2 },
];

/** Runs a program that must end well and say nothing. */
async function quietly(program, args, errors) {
  const options = { timeout: LONGEST_MS, maxBuffer: 64 * 1024 * 1024 };
  try {
    const { stdout, stderr } = await execute(program, args, options);
    if (stderr.trim()) errors.push(`${program}: ${stderr.trim().slice(0, 500)}`);
    return stdout;
  } catch (error) {
    errors.push(`${program}: ${(error.stderr || error.message).trim().slice(0, 500)}`);
    return '';
  }
}

/** Frames of each stream, from the lines of ffmpeg's framecrc. */
function framesOf(output) {
  const frames = new Map();
  for (const line of output.split('\n')) {
    const stream = /^(\d+),/.exec(line)?.[1];
    if (stream !== undefined) frames.set(stream, (frames.get(stream) ?? 0) + 1);
  }
  return frames;
}

async function decode(url, videos) {
  const errors = [];
  const listed = await quietly('ffprobe', ['-v', 'error', '-show_entries', 'stream=codec_type', '-of', 'csv=p=0', url], errors);
  const kinds = listed.split('\n').map((line) => line.replace(/,$/, ''));
  const found = kinds.filter((kind) => kind === 'video').length;
  // ffprobe lists a stream once for each program that has it, so there may be more, never fewer.
  if (found < videos) errors.push(`ffprobe finds ${found} video streams, not ${videos}`);
  if (!kinds.includes('audio')) errors.push('ffprobe finds no audio');
  // One stream a rendition: the maps are optional so that audio-only entries have one map less.
  const maps = videos ? ['-map', '0:v', '-map', '0:a:0'] : ['-map', '0:a:0'];
  const args = ['-nostdin', '-v', 'error', '-xerror', '-i', url, ...maps, '-f', 'framecrc', '-'];
  const frames = framesOf(await quietly('ffmpeg', args, errors));
  for (let stream = 0; stream < videos; stream++) {
    const count = frames.get(String(stream)) ?? 0;
    if (count !== FRAMES) errors.push(`video ${stream}: ${count} frames decoded, not ${FRAMES}`);
  }
  const sounds = frames.get(String(videos)) ?? 0;
  // 24 s of 1024-sample frames are 1125; encoders add or lose one or two at the ends.
  if (sounds < 1100) errors.push(`audio: ${sounds} frames decoded, not about 1125`);
  return { seen: `${videos} video streams, ${[...frames.values()].join('+')} frames`, errors };
}

async function subtitles(url) {
  const errors = [];
  const text = await quietly('ffmpeg', ['-nostdin', '-v', 'error', '-xerror', '-i', url, '-f', 'webvtt', '-'], errors);
  const cues = text.split('-->').length - 1;
  if (cues !== 24) errors.push(`${cues} cues, not 24`);
  return { seen: `${cues} cues`, errors };
}

export async function decodeAll({ base, kinds, library, full, record }) {
  for (const kind of kinds) {
    const prefix = kind === 'packs' ? 'packed-' : '';
    for (const { path, videos } of full ? [...ENTRIES, ...FULL_ENTRIES] : ENTRIES) {
      if (!existsSync(join(library, path))) throw new Error(`no sample ${path} (run scripts/media${full ? ' --full' : ''})`);
      record({ name: `decode/${prefix}${path}`, ...(await decode(`${base}/${prefix}${path}`, videos)) });
    }
    const words = `${prefix}fmp4/subtitles/index.m3u8`;
    record({ name: `decode/${words}`, ...(await subtitles(`${base}/${words}`)) });
  }
}
