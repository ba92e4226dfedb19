// Whether the bytes of a segment are whole: its container's own frame, and the pictures in it.
import { spawn } from 'node:child_process';
import { once } from 'node:events';

const PACKET_SIZE = 188;
const SYNC = 0x47;

/** MPEG-TS: nothing but packets, each with its sync byte, the first one of a table. */
export function transportStream(bytes) {
  if (bytes.length === 0 || bytes.length % PACKET_SIZE) return `${bytes.length} bytes are no whole packets`;
  for (let at = 0; at < bytes.length; at += PACKET_SIZE) {
    if (bytes[at] !== SYNC) return `no sync byte at ${at}`;
  }
  return null;
}

/** The boxes of an mp4 file, as pairs of type and body; throws where they don't fill it exactly. */
export function boxes(bytes) {
  const found = [];
  for (let at = 0; at < bytes.length;) {
    const size = at + 8 <= bytes.length ? bytes.readUInt32BE(at) : 0;
    if (size < 8 || at + size > bytes.length) throw new Error(`the box at ${at} is torn`);
    found.push([bytes.toString('latin1', at + 4, at + 8), bytes.subarray(at + 8, at + size)]);
    at += size;
  }
  return found;
}

/** Fragmented mp4: whole boxes, and those that it takes. */
export function boxed(bytes, wanted) {
  try {
    const types = boxes(bytes).map(([type]) => type);
    const missing = wanted.filter((type) => !types.includes(type));
    return missing.length ? `no ${missing.join(' and no ')} among ${types}` : null;
  } catch (error) {
    return error.message;
  }
}

/** How many pictures and packets of sound ffprobe reads from these bytes. */
export async function counted(bytes) {
  const args = ['-v', 'error', '-count_packets', '-show_entries', 'stream=codec_type,nb_read_packets', '-of', 'csv=p=0', '-i', '-'];
  const child = spawn('ffprobe', args, { stdio: ['pipe', 'pipe', 'pipe'] });
  let [said, complaint] = ['', ''];
  child.stdout.on('data', (data) => (said += data));
  child.stderr.on('data', (data) => (complaint += data));
  // It may have read enough, or have failed; its exit tells.
  child.stdin.on('error', () => {});
  child.stdin.end(bytes);
  const [code] = await once(child, 'close');
  if (code !== 0 || complaint) throw new Error(`ffprobe: ${complaint.trim().slice(0, 300) || `exit status ${code}`}`);
  const most = (kind) => Math.max(0, ...[...said.matchAll(new RegExp(`^${kind},(\\d+)`, 'gm'))].map((match) => Number(match[1])));
  return { pictures: most('video'), sounds: most('audio') };
}
