// A media playlist of HLS, read as strictly as RFC 8216 allows: whatever is not expected is an error.

const TAGS = new Map([
  ['#EXT-X-VERSION', /^[1-9]\d*$/],
  ['#EXT-X-TARGETDURATION', /^[1-9]\d*$/],
  ['#EXT-X-MEDIA-SEQUENCE', /^\d+$/],
  ['#EXT-X-MAP', /^URI="([^"]+)"$/],
  ['#EXTINF', /^(\d+\.\d+),$/],
  ['#EXT-X-INDEPENDENT-SEGMENTS', /^$/],
  ['#EXT-X-ENDLIST', /^$/],
]);

/** `#NAME:VALUE` as a pair; the value of a tag without one is empty. */
function tag(line) {
  const colon = line.indexOf(':');
  const [name, value] = colon < 0 ? [line, ''] : [line.slice(0, colon), line.slice(colon + 1)];
  const form = TAGS.get(name);
  if (!form) throw new Error(`the line ${JSON.stringify(line)} is no tag that ffmpeg writes here`);
  const match = form.exec(value);
  if (!match) throw new Error(`the value of ${JSON.stringify(line)} is malformed`);
  return { name, value: match[1] ?? value };
}

/** What a playlist says; throws at the first thing that is not as it must be. */
export function parsed(text) {
  if (!text.endsWith('\n')) throw new Error(`the last line is torn: ${JSON.stringify(text.slice(-40))}`);
  const lines = text.slice(0, -1).split('\n');
  if (lines.shift() !== '#EXTM3U') throw new Error('it does not begin with #EXTM3U');
  const single = new Map();
  const segments = [];
  let seconds = null;
  for (const line of lines) {
    if (single.has('#EXT-X-ENDLIST')) throw new Error('something follows #EXT-X-ENDLIST');
    if (!line.startsWith('#')) {
      if (seconds === null) throw new Error(`${JSON.stringify(line)} has no #EXTINF`);
      if (!/^[\w.-]+$/.test(line)) throw new Error(`${JSON.stringify(line)} is no name of a segment`);
      segments.push({ uri: line, seconds });
      seconds = null;
      continue;
    }
    const { name, value } = tag(line);
    if (seconds !== null) throw new Error('an #EXTINF is not followed by its segment');
    if (name === '#EXTINF') seconds = Number(value);
    else if (single.has(name)) throw new Error(`${name} stands there twice`);
    else single.set(name, value);
  }
  if (seconds !== null) throw new Error('the last #EXTINF has no segment');
  for (const name of ['#EXT-X-VERSION', '#EXT-X-TARGETDURATION', '#EXT-X-MEDIA-SEQUENCE']) {
    if (!single.has(name)) throw new Error(`${name} is missing`);
  }
  const target = Number(single.get('#EXT-X-TARGETDURATION'));
  if (segments.length === 0) throw new Error('it lists no segment');
  const long = segments.find((segment) => Math.round(segment.seconds) > target);
  if (long) throw new Error(`${long.uri} takes ${long.seconds} s, the target duration is ${target} s`);
  return {
    first: Number(single.get('#EXT-X-MEDIA-SEQUENCE')),
    map: single.get('#EXT-X-MAP') ?? null,
    ended: single.has('#EXT-X-ENDLIST'),
    segments,
  };
}
