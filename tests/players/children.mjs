// Child processes that run until they are ended. If one ended by itself, whoever ends it hears of it.
import { spawn } from 'node:child_process';

/** How long a child may take to end when it is asked to. */
const END_MS = 15_000;

/** Starts one; `ended` says how it has ended, and is null before. */
export function start(program, args, options) {
  const child = spawn(program, args, options);
  const one = { pid: child.pid, ended: null };
  let isWanted = false;
  const exited = new Promise((resolve) => {
    child.on('error', (error) => resolve((one.ended ??= error.message)));
    child.on('exit', (code, signal) => resolve((one.ended ??= `exit status ${code ?? signal}`)));
  });
  child.stdin?.on('error', () => {});
  /** Has it ended by a signal, or as `ask` does it; killed if it takes too long. Gives how it ended. */
  one.end = async (ask, patience = END_MS) => {
    if (one.ended !== null && !isWanted) throw new Error(`${program} ${args[0]} ended by itself: ${one.ended}`);
    isWanted = true;
    if (typeof ask === 'string') child.kill(ask);
    else ask(child.stdin);
    const timer = setTimeout(() => child.kill('SIGKILL'), patience);
    await exited;
    clearTimeout(timer);
    return one.ended;
  };
  return one;
}

/** Stops children, all of them whatever happens to one; whether each had run until then. */
export async function stopAll(children) {
  let good = true;
  for (const child of children) {
    await child.stop().catch((error) => {
      console.error(error.message);
      good = false;
    });
  }
  return good;
}
