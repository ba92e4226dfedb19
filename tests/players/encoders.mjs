// What operators' encoders do: ffmpeg pushes a ladder of two pictures with two languages of sound,
// as HLS in fMP4, as HLS in transport streams, as low-latency DASH. Pictures have a clock for people
// (where that ffmpeg can write) and one for programs.
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { start } from './children.mjs';
import { CLOCK_INPUT, burnt } from './clock.mjs';
import { until } from './until.mjs';

const run = promisify(execFile);

const tone = (frequency) => ['-re', '-f', 'lavfi', '-i', `sine=frequency=${frequency}:sample_rate=48000`];
const INPUTS = ['-re', '-f', 'lavfi', '-i', 'testsrc2=size=640x360:rate=25', ...tone(440), ...tone(660), ...CLOCK_INPUT];
const CODECS = ['-c:v', 'libx264', '-preset', 'ultrafast', '-tune', 'zerolatency', '-pix_fmt', 'yuv420p', '-g', '50', '-keyint_min', '50', '-sc_threshold', '0', '-c:a', 'aac', '-b:a', '64k', '-b:v:0', '600k', '-b:v:1', '200k'];
const WORDS = "drawtext=text='%{localtime\\:%T}.%{eif\\:mod(time(0)*1000\\,1000)\\:d\\:3}':x=8:y=h-40:fontsize=28:fontcolor=white:box=1:boxcolor=black";
const LANGUAGES = ['eng', 'deu', 'eng', 'deu'];
const languages = (count) => LANGUAGES.slice(0, count).flatMap((language, at) => [`-metadata:s:a:${at}`, `language=${language}`]);
const APART = ['-map', '[a]', '-map', '[c]', '-map', '1:a', '-map', '2:a', ...languages(2), ...CODECS];
const TOGETHER = ['-map', '[a]', '-map', '1:a', '-map', '2:a', '-map', '[c]', '-map', '1:a', '-map', '2:a', ...languages(4), ...CODECS];
const PUT = ['-method', 'PUT', '-http_persistent', '1'];

/** What each kind of encoder says, when it pushes below this URL. */
const KINDS = {
  dash: (url) => [...APART, '-f', 'dash', '-seg_duration', '2', '-frag_duration', '0.5', '-frag_type', 'duration', '-streaming', '1', '-ldash', '1',
    '-use_template', '1', '-use_timeline', '0', '-adaptation_sets', 'id=0,streams=v id=1,streams=2 id=2,streams=3', ...PUT, `${url}/manifest.mpd`],
  hls: (url) => [...APART, '-f', 'hls', '-hls_time', '2', '-hls_segment_type', 'fmp4', '-var_stream_map', 'v:0,name:high v:1,name:low a:0,name:one a:1,name:two',
    '-hls_fmp4_init_filename', 'init.mp4', '-hls_segment_filename', `${url}/%v/%d.m4s`, ...PUT, `${url}/%v/index.m3u8`],
  ts: (url) => [...TOGETHER, '-f', 'hls', '-hls_time', '2', '-hls_segment_type', 'mpegts', '-var_stream_map', 'v:0,a:0,a:1,name:high v:1,a:2,a:3,name:low',
    '-hls_segment_filename', `${url}/%v/%d.ts`, ...PUT, `${url}/%v/index.m3u8`],
};

/** An ffmpeg: its major version, and whether it can write letters into pictures. */
export async function ffmpegAt(path) {
  const [{ stdout: version }, { stdout: filters }] = await Promise.all([run(path, ['-version']), run(path, ['-v', 'error', '-filters'])]);
  const name = /^ffmpeg version n?([^ ]+)/.exec(version)?.[1];
  if (!name) throw new Error(`${path} says no version that is understood`);
  return { path, version: name, major: name.split('.')[0], hasLetters: / drawtext /.test(filters) };
}

export function startEncoder({ path, hasLetters }, kind, url) {
  const filter = `${burnt(3, 640)}${hasLetters ? `,${WORDS}` : ''},split[a][b];[b]scale=320:180[c]`;
  const args = ['-v', 'error', ...INPUTS, '-filter_complex', filter, ...KINDS[kind](url)];
  const encoder = start(path, args, { stdio: ['pipe', 'inherit', 'inherit'] });
  encoder.stop = async () => {
    if (encoder.ended === null) await encoder.end((stdin) => stdin.write('q'), 10_000);
  };
  return encoder;
}

/** Waits until the channel at this URL lists as many segments as players want to begin with. */
export async function ready(url, encoder) {
  await until(`a window of ${url}`, async () => {
    if (encoder.ended !== null) throw new Error(`the ffmpeg that feeds ${url} ended: ${encoder.ended}`);
    const master = await fetch(`${url}/master.m3u8`);
    const lines = master.ok ? (await master.text()).split('\n') : [];
    const variants = lines.filter((line) => line && !line.startsWith('#'));
    const lists = await Promise.all(variants.map(async (uri) => (await fetch(`${url}/${uri}`)).text()));
    return lists.length >= 2 && lists.every((list) => list.split('#EXTINF').length > 5);
  });
}
