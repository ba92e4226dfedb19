// ffprobe and ffmpeg over HTTP: every rendition is decoded to its end, and its frames are counted.
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';

const execute = promisify(execFile);
const LONGEST_MS = 120_000;
/** Frames of the sample pictures: 24 s at 25 a second. */
const FRAMES = 600;
/** 24 s of 1024-sample frames are 1125; encoders add or lose one or two at the ends. */
const SOUNDS_MIN = 1100;
/** The same of the camera's clip: 8.3 s, and as many frames as it gives when it is decoded itself. */
const CAMERA = { frames: 249, soundsMin: 380 };

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
  { path: 'camera/master.m3u8', videos: 1, ...CAMERA },
  // What our own verb makes of the same clip.
  { path: 'packaged/master.m3u8', videos: 4, ...CAMERA },
  { path: 'packaged/manifest.mpd', videos: 4, ...CAMERA },
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

async function decode(url, { videos, frames: wanted = FRAMES, soundsMin = SOUNDS_MIN }) {
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
    if (count !== wanted) errors.push(`video ${stream}: ${count} frames decoded, not ${wanted}`);
  }
  const sounds = frames.get(String(videos)) ?? 0;
  if (sounds < soundsMin) errors.push(`audio: ${sounds} frames decoded, not at least ${soundsMin}`);
  return { seen: `${videos} video streams, ${[...frames.values()].join('+')} frames`, errors };
}

async function subtitles(url) {
  const errors = [];
  const text = await quietly('ffmpeg', ['-nostdin', '-v', 'error', '-xerror', '-i', url, '-f', 'webvtt', '-'], errors);
  const cues = text.split('-->').length - 1;
  if (cues !== 24) errors.push(`${cues} cues, not 24`);
  return { seen: `${cues} cues`, errors };
}

export async function decodeAll({ base, kinds, libraries, full, record }) {
  for (const kind of kinds) {
    const prefix = kind === 'packs' ? 'packed-' : '';
    for (const entry of full ? [...ENTRIES, ...FULL_ENTRIES] : ENTRIES) {
      const { path } = entry;
      if (!libraries.some((library) => existsSync(join(library, path)))) throw new Error(`no sample ${path} (run scripts/media${full ? ' --full' : ''}, then scripts/roundtrip)`);
      record({ name: `decode/${prefix}${path}`, ...(await decode(`${base}/${prefix}${path}`, entry)) });
    }
    const words = `${prefix}fmp4/subtitles/index.m3u8`;
    record({ name: `decode/${words}`, ...(await subtitles(`${base}/${words}`)) });
  }
}
