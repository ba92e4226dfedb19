// A clock that programs read from a picture: a row of 40 black and white cells along its upper edge,
// which ffmpeg burns in while it makes the picture. 32 bits of milliseconds, then a byte of their sum.

/** Cells across, and the height of the row as a share of a picture that is 16 by 9. */
export const CELLS = 40;
export const ROW = 16 / 360;
const WRAP = 2 ** 32;

const byte = (shift) => `mod(floor(ld(0)/${2 ** shift})\\,256)`;
const sum = [24, 16, 8, 0].map(byte).join('+');
// The time is taken once a picture, at its first cell.
const taken = 'if(X\\,0\\,st(0\\,floor(time(0)*1000)))';
const bit = `mod(floor(if(lt(X\\,32)\\,ld(0)/pow(2\\,31-X)\\,(${sum})/pow(2\\,39-X)))\\,2)`;

/** The input that `burnt` wants, and its filters: `[0:v]` in, a picture of this width with the clock out. */
export const CLOCK_INPUT = ['-f', 'lavfi', '-i', `color=size=${CELLS}x2:rate=25:color=black`];
export function burnt(input, width) {
  const row = `geq=lum='0*st(1\\,${taken})+255*${bit}',crop=${CELLS}:1:0:0,scale=${width}:${Math.round(width * 9 / 16 * ROW)}:flags=neighbor`;
  return `[${input}:v]format=gray,${row},format=yuv420p[clock];[0:v][clock]overlay`;
}

/** Milliseconds by the clock in a row of brightnesses, one a cell; null if that is no clock. */
export function clockOf(cells) {
  let [value, check] = [0, 0];
  for (let cell = 0; cell < 32; cell++) value = value * 2 + (cells[cell] > 128 ? 1 : 0);
  for (let cell = 32; cell < CELLS; cell++) check = check * 2 + (cells[cell] > 128 ? 1 : 0);
  const bytes = [24, 16, 8, 0].map((shift) => Math.floor(value / 2 ** shift) % 256);
  return bytes.reduce((one, other) => one + other) % 256 === check ? value : null;
}

/** How long ago a clock showed what was read from it, in milliseconds. */
export function behind(value, now) {
  const passed = ((Math.round(now) % WRAP) + WRAP - value) % WRAP;
  return passed < WRAP / 2 ? passed : passed - WRAP;
}

/** The middle and the ends of some numbers, and how many they are. */
export function spread(numbers) {
  const sorted = [...numbers].sort((one, other) => one - other);
  const at = (share) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
  return { count: sorted.length, least: sorted[0], middle: at(0.5), p95: at(0.95), most: sorted.at(-1) };
}
