// Encoders as child processes: `shardcast-bench feed`, and ffmpeg on the time of the epoch.
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { start } from './children.mjs';

const run = promisify(execFile);

/** An encoder that runs until it is stopped or killed. */
function encoder(program, args) {
  const child = start(program, args, { stdio: ['ignore', 'ignore', 'inherit'] });
  return { stop: () => child.end('SIGTERM'), kill: () => child.end('SIGKILL') };
}

/** Has ffmpeg make fragmented files for `feed`, each of these by its name with these arguments. */
export async function encoded(folder, all) {
  const shape = ['-movflags', 'frag_keyframe+empty_moov+default_base_moof'];
  for (const [name, args] of Object.entries(all)) await run('ffmpeg', ['-v', 'error', '-y', ...args, ...shape, join(folder, `${name}.mp4`)]);
  return Object.keys(all).map((name) => join(folder, `${name}.mp4`));
}

/** Pictures of these widths and a sound, in chunks of half a second and a little less. */
export function sources(folder, widths) {
  const picture = (width) => ['-f', 'lavfi', '-i', `testsrc2=size=${width}x90:rate=24:duration=8`, '-c:v', 'libx264', '-preset', 'ultrafast', '-g', '48', '-sc_threshold', '0', '-frag_duration', '500000'];
  const sound = ['-f', 'lavfi', '-i', 'sine=sample_rate=48000:duration=8', '-c:a', 'aac', '-frag_duration', '480000'];
  return encoded(folder, { ...Object.fromEntries(Object.entries(widths).map(([name, width]) => [name, picture(width)])), sound });
}

const fed = (ingest, files, more) => ['feed', ingest, '--source', ...files, '--stems', '--alike', ...more];

/** Feeds files that are named after renditions; two that are fed so send the same bytes. */
export function feed(bench, ingest, files, more) {
  return encoder(bench, fed(ingest, files, more));
}

/** Feeds so much media as quickly as that goes. That a feeder was late (3) says nothing here. */
export async function feedQuickly(bench, ingest, files, more) {
  const child = spawn(bench, fed(ingest, files, more), { stdio: ['ignore', 'ignore', 'inherit'] });
  const [code, signal] = await once(child, 'exit');
  if (code !== 0 && code !== 3) throw new Error(`feed ended with ${code ?? signal}`);
}

/**
 * ffmpeg with a key frame every two seconds of Unix time, in chunks of 0.4 s, as one long request. Two of
 * them make other bytes of other pictures.
 */
export async function ffmpeg(ingest, path, picture) {
  const zero = Math.ceil(Date.now() / 2000 + 0.1) * 2;
  await delay(zero * 1000 - Date.now());
  return encoder('ffmpeg', ['-v', 'error', '-re', '-f', 'lavfi', '-i', `${picture}=size=160x90:rate=25`, '-pix_fmt', 'yuv420p',
    '-c:v', 'libx264', '-preset', 'ultrafast', '-tune', 'zerolatency', '-g', '50', '-keyint_min', '50', '-sc_threshold', '0', '-b:v', '200k',
    '-output_ts_offset', `${zero}`, '-avoid_negative_ts', 'disabled', '-f', 'mp4', '-movflags', 'frag_keyframe+empty_moov+default_base_moof+frag_discont', '-frag_duration', '400000',
    '-flush_packets', '1', '-method', 'POST', '-chunked_post', '1', '-send_expect_100', '0', `${ingest}/${path}`]);
}

/** What ffmpeg complains about when it decodes a file. */
export async function complaints(path) {
  const { stderr } = await run('ffmpeg', ['-v', 'error', '-i', path, '-f', 'null', '-']);
  return stderr.trim();
}
