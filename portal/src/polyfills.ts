// What the app and its players use and Chromium 68 lacks. Each is there only where it is missing.
/* eslint-disable @typescript-eslint/no-explicit-any */
const self_: any = self;
if (typeof self_.globalThis === 'undefined') self_.globalThis = self_;
if (typeof self_.queueMicrotask !== 'function') self_.queueMicrotask = (work: () => void) => void Promise.resolve().then(work);

function lend(to: any, name: string, how: (...args: any[]) => unknown): void {
  if (!to[name]) Object.defineProperty(to, name, { value: how, writable: true, configurable: true });
}

lend(Array.prototype, 'flat', function (this: any[], depth = 1): any[] {
  return this.reduce((all, one) => all.concat(Array.isArray(one) && depth > 1 ? (one as any).flat(depth - 1) : one), []);
});
lend(Array.prototype, 'flatMap', function (this: any[], make: (one: any, at: number, of: any[]) => any): any[] {
  return this.reduce((all, one, at) => all.concat(make(one, at, this)), []);
});
function at(this: any, index: number): any {
  const place = Math.trunc(index) || 0;
  return this[place < 0 ? this.length + place : place];
}
lend(Array.prototype, 'at', at);
lend(String.prototype, 'at', at);
lend(Object, 'fromEntries', (entries: Iterable<[string, unknown]>) => {
  const made: Record<string, unknown> = {};
  for (const [name, value] of entries) made[name] = value;
  return made;
});
lend(Promise, 'allSettled', (all: Iterable<unknown>) =>
  Promise.all(Array.from(all, (one) => Promise.resolve(one).then(
    (value) => ({ status: 'fulfilled', value }),
    (reason) => ({ status: 'rejected', reason }),
  ))));
lend(String.prototype, 'replaceAll', function (this: string, what: any, by: any): string {
  return typeof what === 'string' ? this.split(what).join(by) : this.replace(what, by);
});
lend(String.prototype, 'matchAll', function* (this: string, what: RegExp): Generator<RegExpExecArray> {
  const copy = new RegExp(what.source, what.flags);
  for (let found; (found = copy.exec(this)); ) {
    if (found[0] === '') copy.lastIndex += 1;
    yield found;
  }
} as any);
lend(Element.prototype, 'replaceChildren', function (this: Element, ...nodes: any[]): void {
  while (this.lastChild) this.removeChild(this.lastChild);
  this.append(...nodes);
});

export {};
