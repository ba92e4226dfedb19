// The browser players: load, play, show motion, switch rendition, seek, and play to the end.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Player and entry point; a pack for some and a folder for others, all of both under --full. */
const CASES = [
  { player: 'hls.js', path: 'ts/master.m3u8', kind: 'folders' },
  { player: 'hls.js', path: 'fmp4/master.m3u8', kind: 'packs' },
  { player: 'dash.js', path: 'cmaf/manifest.mpd', kind: 'packs' },
  { player: 'shaka-player', path: 'cmaf/master.m3u8', kind: 'packs' },
  { player: 'shaka-player', path: 'cmaf/manifest.mpd', kind: 'folders' },
  { player: 'hls.js', path: 'packaged/master.m3u8', kind: 'packs' },
  { player: 'dash.js', path: 'packaged/manifest.mpd', kind: 'packs' },
  { player: 'shaka-player', path: 'packaged/manifest.mpd', kind: 'folders' },
];
const FULL_PATHS = {
  'hls.js': ['ts/master.m3u8', 'fmp4/master.m3u8', 'cmaf/master.m3u8', 'packaged/master.m3u8', 'shaka/master.m3u8'],
  'dash.js': ['cmaf/manifest.mpd', 'packaged/manifest.mpd', 'shaka/manifest.mpd', 'shaka-on-demand/manifest.mpd'],
  'shaka-player': ['ts/master.m3u8', 'fmp4/master.m3u8', 'cmaf/master.m3u8', 'cmaf/manifest.mpd', 'packaged/master.m3u8', 'packaged/manifest.mpd', 'shaka/manifest.mpd'],
};

function cases(kinds, full) {
  if (full) {
    return Object.entries(FULL_PATHS).flatMap(([player, paths]) =>
      paths.flatMap((path) => kinds.map((kind) => ({ player, path, kind }))));
  }
  // Where only folders (or packs) are served, every case is played from there.
  return CASES.map((one) => (kinds.includes(one.kind) ? one : { ...one, kind: kinds[0] }));
}

async function play(tab, player, url, screenshot) {
  const call = (text) => tab.evaluate(text);
  const seen = {};
  await call(`load(${JSON.stringify(player)}, ${JSON.stringify(url)})`);
  seen.played = await call('playFor(3)');
  const first = await call('picture()');
  await call('playFor(0.5)');
  const second = await call('picture()');
  seen.motion = first.hash !== second.hash;
  seen.contrast = first.contrast;
  writeFileSync(screenshot, await tab.screenshot());
  seen.heights = await call('switchEach()');
  seen.sought = await call('seekTo(2)');
  seen.ended = await call('seekNearEnd()');
  return seen;
}

/** What a good run shows; each line that does not hold is an error. */
function shortcomings(seen) {
  const errors = [];
  if (!(seen.played >= 3)) errors.push(`played ${seen.played} s, not 3`);
  if (!seen.motion) errors.push('two pictures half a second apart are the same');
  if (!(seen.contrast > 20)) errors.push(`the picture is blank (contrast ${seen.contrast})`);
  const heights = new Set(seen.heights);
  if (heights.size < 2) errors.push(`switching gave the heights ${seen.heights}`);
  if (!(seen.sought >= 2)) errors.push(`a seek back to 2 s led to ${seen.sought}`);
  if (!seen.ended) errors.push('the end was not reached after a seek near it');
  return errors;
}

export async function playAll({ base, kinds, full, out, record, browser, pages }) {
  for (const { player, path, kind } of cases(kinds, full)) {
    const asset = kind === 'packs' ? `packed-${path}` : path;
    const name = `play/${player}/${asset}`;
    const screenshot = join(out, `${player}-${asset.replaceAll('/', '-')}.png`);
    const tab = await browser.open(`${pages}/page.html`);
    const errors = [];
    let seen = {};
    try {
      seen = await play(tab, player, `${base}/${asset}`, screenshot);
      errors.push(...shortcomings(seen));
    } catch (error) {
      errors.push(error.message.split('\n')[0]);
    }
    const log = await tab.evaluate('log').catch(() => ({ errors: [], warnings: [] }));
    errors.push(...log.errors, ...tab.exceptions);
    const text = `played ${seen.played} s, heights ${seen.heights}, contrast ${seen.contrast}`;
    const warned = log.warnings.length ? `, ${log.warnings.length} warnings` : '';
    record({ name, seen: text + warned, errors, warnings: log.warnings, screenshot });
    await tab.close();
  }
}
