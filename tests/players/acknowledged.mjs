// What `shardcast-bench feed --log` notes as taken, and whether a server still has it, byte for byte.
import { readFileSync } from 'node:fs';
import { boxed, boxes } from './whole.mjs';

/** FNV-1a of 64 bits, in hex. The prime is 2^40 + 0x1b3. */
function fnv(pieces) {
  let [high, low] = [0xcbf29ce4, 0x84222325];
  for (const piece of pieces) {
    for (const byte of piece) {
      low = (low ^ byte) >>> 0;
      const product = low * 0x1b3;
      high = (high * 0x1b3 + Math.floor(product / 2 ** 32) + ((low << 8) >>> 0)) >>> 0;
      low = product >>> 0;
    }
  }
  return [high, low].map((half) => half.toString(16).padStart(8, '0')).join('');
}

/** What is wrong with the bytes of the segment of this name (`channel/rendition/number`); null if nothing is. */
export function flaw(bytes, name) {
  const torn = boxed(bytes, ['emsg', 'mdat']);
  if (torn) return `no whole segment: ${torn}`;
  const all = boxes(bytes);
  const event = all.find(([kind, body]) => kind === 'emsg' && body.includes('urn:shardcast:feed'))?.[1].toString('latin1');
  if (!event) return `no segment of feed: ${all.map(([kind]) => kind).join()}`;
  const said = JSON.parse(event.slice(event.indexOf('{"channel"')));
  const hash = fnv(all.filter(([kind]) => kind === 'mdat').map(([, body]) => body));
  const is = `${said.channel}/${said.rendition}/${said.number}`;
  if (is !== name) return `it is ${is}`;
  return hash === said.hash ? null : `its media has the hash ${hash}, and ${said.hash} was sent`;
}

/** The segments that have been acknowledged so far, in their order. */
export function acknowledged(log) {
  return readFileSync(log, 'utf8').split('\n').slice(0, -1);
}
