// Waiting for what others do: a test goes on as soon as it is so, and fails if it never is.
import { setTimeout as delay } from 'node:timers/promises';

/** Whatever is waited for takes at most so long, on any machine. */
export const PATIENCE_MS = 60_000;
/** How often that is looked at. */
const LOOK_MS = 100;

/** Waits until something holds. */
export async function until(what, holds) {
  for (const end = Date.now() + PATIENCE_MS; !(await holds()); await delay(LOOK_MS)) {
    if (Date.now() > end) throw new Error(`${what} did not come within ${PATIENCE_MS} ms`);
  }
}
