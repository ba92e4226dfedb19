// scripts/demo as people use it: it prints URLs that work, Ctrl-C ends all of it, and nothing but
// scratch/ and target/ is written to.
//
//   node tests/operations/demo.mjs
//
// Three times: with a terminal whose Ctrl-C key is pressed, with SIGINT to the process group (under
// strace, which lists every file that is written), and with SIGINT to the one process.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { createConnection } from 'node:net';
import { homedir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '../..');
const out = join(root, 'scratch/demo-test');
/** A build may be part of it. */
const PATIENCE_MS = 900_000;
const STOP_MS = 60_000;
/** What the demo prints last. */
const LAST_WORDS = 'Ctrl-C stops all of it.';
const CHANGES = 'openat,open,creat,mkdir,mkdirat,rename,renameat,renameat2,link,linkat,symlink,symlinkat,unlink,unlinkat,truncate,mknod,mknodat';

const errors = [];
const check = (good, text) => {
  if (!good) errors.push(text);
};

/** Every process, with its parent, and when it began: a number is used again, a beginning is not. */
function processes() {
  return readdirSync('/proc').filter((name) => /^\d+$/.test(name)).flatMap((name) => {
    try {
      const stat = readFileSync(`/proc/${name}/stat`, 'latin1');
      const [state, parent, ...rest] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      return [{ pid: Number(name), name: stat.slice(stat.indexOf('(') + 1, stat.lastIndexOf(')')), state, parent: Number(parent), began: rest[17] }];
    } catch {
      return [];
    }
  });
}

function descendants(pid) {
  const all = processes();
  const found = all.filter((one) => one.pid === pid);
  for (const one of found) found.push(...all.filter(({ parent }) => parent === one.pid));
  return found;
}

const lives = ({ pid, began }) => processes().some((one) => one.pid === pid && one.began === began && one.state !== 'Z');

async function until(condition, patience, what) {
  for (const end = Date.now() + patience; !(await condition());) {
    if (Date.now() > end) throw new Error(`waited ${patience} ms for ${what}`);
    await delay(100);
  }
}

function listens(port) {
  return new Promise((done) => {
    const socket = createConnection(port, '127.0.0.1');
    socket.on('connect', () => { socket.destroy(); done(true); });
    socket.on('error', () => done(false));
  });
}

/** Files of the repository that changed since `began`, without those that may. */
function changedSince(began, folder = root) {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (folder === root && ['scratch', 'target', '.git'].includes(entry.name)) return [];
    if (entry.name === 'node_modules') return [];
    if (entry.isDirectory()) return changedSince(began, path);
    return statSync(path, { throwIfNoEntry: false })?.mtimeMs > began ? [path] : [];
  });
}

/** Whole calls of a trace, `{ pid, name, args }`: those that were interrupted are put together. */
function* calls(trace) {
  const begun = new Map();
  for (const line of trace.split('\n')) {
    const [, pid, text] = /^(\d+) +(.*)$/.exec(line) ?? [];
    if (!text) continue;
    if (text.endsWith(' <unfinished ...>')) {
      begun.set(pid, text.slice(0, -' <unfinished ...>'.length));
      continue;
    }
    const resumed = /^<\.\.\. \w+ resumed>(.*)$/.exec(text);
    const call = /^(\w+)\((.*)\) += \d/.exec(resumed ? (begun.get(pid) ?? '') + resumed[1] : text);
    if (call) yield { pid, name: call[1], args: call[2] };
  }
}

/** Paths that a trace shows to be changed, outside of what may be. */
function strayWrites(trace, home) {
  const own = process.env.CARGO_HOME ?? join(homedir(), '.cargo');
  const allowed = [join(root, 'scratch'), join(root, 'target'), own, '/dev', '/proc', home];
  const stray = new Set();
  const at = new Map();
  let changes = 0;
  for (const { pid, name, args } of calls(trace)) {
    // Where the process is, which older calls count from, too.
    const here = /AT_FDCWD<([^>]*)>/.exec(args);
    if (here) at.set(pid, here[1]);
    if (name.startsWith('open') && !/O_(WRONLY|RDWR|CREAT|TRUNC)/.test(args)) continue;
    changes++;
    // A relative path counts from the folder that stands before it.
    for (const [, folder, path] of args.matchAll(/(?:(?:AT_FDCWD|\d+)<([^>]*)>, )?"((?:[^"\\]|\\.)*)"/g)) {
      const whole = resolve(folder ?? at.get(pid) ?? root, path);
      if (!allowed.some((one) => whole === one || whole.startsWith(`${one}/`))) stray.add(`${name} ${whole}`);
    }
  }
  return { changes, stray: [...stray] };
}

/** One run, from the first line to the last process; `end` says how it is ended. */
async function run(name, command, end, traceFile = null) {
  const home = join(out, `home-${name}`);
  mkdirSync(home, { recursive: true });
  const began = Date.now();
  const environment = { ...process.env, HOME: home, TMPDIR: home };
  // Where Rust lies does not depend on HOME then.
  environment.CARGO_HOME ??= join(homedir(), '.cargo');
  environment.RUSTUP_HOME ??= join(homedir(), '.rustup');
  // `detached` gives it a process group of its own, as a shell does.
  const child = spawn(command[0], command.slice(1), { cwd: root, env: environment, detached: true, stdio: ['pipe', 'pipe', 'pipe'] });
  let [text, exit] = ['', null];
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => (text += data));
  const exited = once(child, 'exit').then(([code, signal]) => (exit = code ?? signal));
  let started = [];
  try {
    await until(() => text.includes(LAST_WORDS) || exit !== null, PATIENCE_MS, 'the demo to print its URLs');
    if (exit !== null) throw new Error(`the demo ended by itself: ${exit}`);
    const urls = [...text.matchAll(/http:\/\/[^\s)]+/g)].map(([url]) => url);
    check(urls.length >= 9, `${name}: only ${urls.length} URLs are printed`);
    for (const url of urls) {
      const status = await fetch(url).then((response) => response.status, (error) => error.message);
      check(status === 200, `${name}: ${url}: ${status}`);
    }
    started = descendants(child.pid);
    for (const wanted of ['shardcast', 'ffmpeg']) {
      check(started.some((one) => one.name === wanted), `${name}: no ${wanted} among ${started.map((one) => one.name)}`);
    }
    end(child, started);
    await until(() => exit !== null, STOP_MS, 'the demo to end');
    await exited;
    check(exit === 0, `${name}: it ended with ${exit}`);
    const left = started.filter(lives);
    check(left.length === 0, `${name}: still there: ${left.map((one) => `${one.name} ${one.pid}`)}`);
    for (const port of new Set(urls.map((url) => new URL(url).port))) {
      check(!(await listens(port)), `${name}: somebody still listens at port ${port}`);
    }
    check(readdirSync(home).length === 0, `${name}: written to HOME or TMPDIR: ${readdirSync(home)}`);
    const changed = changedSince(began);
    check(changed.length === 0, `${name}: written to the repository: ${changed}`);
    let seen = `${urls.length} URLs, ${started.length} processes, all gone`;
    if (traceFile) {
      const { changes, stray } = strayWrites(readFileSync(traceFile, 'latin1'), home);
      check(changes >= 50, `${name}: the trace shows only ${changes} changes: it is blind`);
      check(stray.length === 0, `${name}: changed outside of scratch/ and target/: ${stray.slice(0, 10)}`);
      seen += `, ${changes} changes of files`;
    }
    console.log(`demo: ${name}: ${seen}`);
  } catch (error) {
    throw new Error(`${name}: ${error.message}; the end of what it said: ${text.slice(-500)}`);
  } finally {
    // Only ours, by their numbers, and only what did not end.
    for (const one of [...started, ...descendants(child.pid)]) if (lives(one)) process.kill(one.pid, 'SIGKILL');
  }
}

rmSync(out, { recursive: true, force: true });
mkdirSync(out, { recursive: true });
// From nothing once, so that making the content is part of what is traced.
rmSync(join(root, 'scratch/demo'), { recursive: true, force: true });
if (!existsSync(join(root, 'target/release/shardcast'))) console.log('demo: the first run builds');
const trace = join(out, 'trace');
// Some shells end with 130 after a Ctrl-C whatever their child ended with: none may stay between.
await run('terminal', ['script', '-qec', 'exec scripts/demo', '/dev/null'], (child) => child.stdin.write('\x03'));
rmSync(join(root, 'scratch/demo'), { recursive: true, force: true });
await run('group', ['strace', '-f', '-y', '-e', `trace=${CHANGES}`, '-e', 'signal=none', '-o', trace, 'scripts/demo'],
  (child) => process.kill(-child.pid, 'SIGINT'), trace);
await run('one process', ['scripts/demo'], (child) => process.kill(child.pid, 'SIGINT'));
for (const error of errors) console.log(`demo: FAILED ${error}`);
if (errors.length) process.exit(1);
