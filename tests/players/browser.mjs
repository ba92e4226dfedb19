// Debian's Chromium, driven over a pair of pipes by its own debugging protocol: messages are JSON
// between zero bytes. No driver package is needed for the five commands that the players' test uses.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const FLAGS = [
  '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--disable-dev-shm-usage',
  '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync',
  '--disable-extensions', '--disable-background-timer-throttling', '--disable-renderer-backgrounding',
  '--autoplay-policy=no-user-gesture-required', '--mute-audio', '--window-size=1000,760',
  '--remote-debugging-pipe',
];

export class Browser {
  #child;
  #profile;
  #next = 1;
  #waiting = new Map();
  #listeners = new Map();

  static async start() {
    const browser = new Browser();
    browser.#profile = mkdtempSync(join(tmpdir(), 'players-'));
    const args = [...FLAGS, `--user-data-dir=${browser.#profile}`, 'about:blank'];
    browser.#child = spawn('chromium', args, { stdio: ['ignore', 'ignore', 'pipe', 'pipe', 'pipe'] });
    browser.#listen();
    await browser.version();
    return browser;
  }

  #listen() {
    let complaints = '';
    this.#child.stderr.on('data', (data) => (complaints = (complaints + data).slice(-2000)));
    let pending = Buffer.alloc(0);
    this.#child.stdio[4].on('data', (data) => {
      pending = Buffer.concat([pending, data]);
      for (let end; (end = pending.indexOf(0)) >= 0; pending = pending.subarray(end + 1)) {
        this.#receive(JSON.parse(pending.subarray(0, end).toString()));
      }
    });
    const fail = (why) => {
      for (const { reject } of this.#waiting.values()) reject(new Error(`chromium ended (${why}): ${complaints}`));
      this.#waiting.clear();
    };
    this.#child.on('error', (error) => fail(error.message));
    this.#child.on('exit', (code, signal) => fail(code ?? signal));
    this.#child.stdio[3].on('error', () => {});
  }

  #receive(message) {
    const waiting = this.#waiting.get(message.id);
    if (waiting) {
      this.#waiting.delete(message.id);
      if (message.error) waiting.reject(new Error(`${waiting.method}: ${message.error.message}`));
      else waiting.resolve(message.result);
    } else if (message.method) {
      this.#listeners.get(message.sessionId)?.(message.method, message.params);
    }
  }

  send(method, params = {}, sessionId = undefined) {
    const id = this.#next++;
    this.#child.stdio[3].write(JSON.stringify({ id, method, params, sessionId }) + '\0');
    return new Promise((resolve, reject) => this.#waiting.set(id, { resolve, reject, method }));
  }

  async version() {
    return (await this.send('Browser.getVersion')).product;
  }

  /** A fresh tab on `url`. Uncaught exceptions of the page are collected in `exceptions`. */
  async open(url) {
    const { targetId } = await this.send('Target.createTarget', { url: 'about:blank' });
    const { sessionId } = await this.send('Target.attachToTarget', { targetId, flatten: true });
    const send = (method, params) => this.send(method, params, sessionId);
    const exceptions = [];
    const loaded = new Promise((resolve) => {
      this.#listeners.set(sessionId, (method, params) => {
        if (method === 'Page.loadEventFired') resolve();
        if (method === 'Runtime.exceptionThrown') {
          const { text, exception } = params.exceptionDetails;
          exceptions.push(exception?.description ?? text);
        }
      });
    });
    await send('Page.enable');
    await send('Runtime.enable');
    await send('Page.navigate', { url });
    await loaded;
    return {
      exceptions,
      /** The value that an expression (or the promise it gives) comes to. */
      evaluate: async (expression) => {
        const answer = await send('Runtime.evaluate', { expression, awaitPromise: true, returnByValue: true });
        if (answer.exceptionDetails) {
          throw new Error(answer.exceptionDetails.exception?.description ?? answer.exceptionDetails.text);
        }
        return answer.result.value;
      },
      screenshot: async () => Buffer.from((await send('Page.captureScreenshot', { format: 'png' })).data, 'base64'),
      close: async () => {
        this.#listeners.delete(sessionId);
        await this.send('Target.closeTarget', { targetId });
      },
    };
  }

  async stop() {
    if (this.#child.exitCode === null) {
      const exited = once(this.#child, 'exit');
      const timer = setTimeout(() => this.#child.kill('SIGKILL'), 10_000);
      this.send('Browser.close').catch(() => {});
      await exited;
      clearTimeout(timer);
    }
    rmSync(this.#profile, { recursive: true, force: true, maxRetries: 5 });
  }
}
