// How evenly a channel comes, seen by a client that does nothing else: it asks for the next part of the
// first picture's playlist as soon as it has one. Beside a player that stalled it tells whose fault it was.

/** How often this process looks how late it is itself. */
const LAG_MS = 100;

/** Asks until what it gives is called, which tells the longest time from one part to the next. */
export async function startPace(url) {
  const master = await (await fetch(`${url}/ll.m3u8`)).text();
  const list = new URL(master.split('\n').find((line) => line && !line.startsWith('#')), `${url}/ll.m3u8`);
  const found = { parts: 0, longest: 0, at: null, lag: 0, fault: null };
  let going = true;
  let ticked = performance.now();
  const ticking = setInterval(() => {
    const now = performance.now();
    found.lag = Math.max(found.lag, Math.round(now - ticked - LAG_MS));
    ticked = now;
  }, LAG_MS);
  const follow = async () => {
    let [text, last] = [await (await fetch(list)).text(), performance.now()];
    while (going) {
      // What is hinted at is what comes next.
      const [, number, part] = /PRELOAD-HINT:TYPE=PART,URI="(\d+)\.(\d+)\./.exec(text) ?? [];
      if (number === undefined) throw new Error('no part is hinted at');
      const answer = await fetch(`${list}?_HLS_msn=${number}&_HLS_part=${part}`);
      if (!answer.ok) throw new Error(`status ${answer.status} for part ${part} of ${number}`);
      text = await answer.text();
      const now = performance.now();
      if (now - last > found.longest) [found.longest, found.at] = [Math.round(now - last), new Date().toISOString()];
      [found.parts, last] = [found.parts + 1, now];
    }
  };
  const ended = follow().catch((error) => (found.fault = error.message));
  return async () => {
    going = false;
    await ended;
    clearInterval(ticking);
    return found;
  };
}
