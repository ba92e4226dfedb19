// Small things that every page is made of.
import type { ComponentChildren, JSX } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { Refused } from './api';
import { isBack } from './focus';
import { say, why } from './words';

const PATHS: Record<string, string> = {
  tv: 'M4 6h16v11H4zM8 20h8M9 2l3 4 3-4',
  guide: 'M4 5h16v15H4zM4 10h16M9 10v10M8 2.5v4M16 2.5v4',
  films: 'M3 5h18v14H3zM7.5 5v14M16.5 5v14M3 9.6h4.5M3 14.4h4.5M16.5 9.6H21M16.5 14.4H21',
  series: 'M3 8h13v12H3zM7 4h14v12',
  account: 'M12 12a4 4 0 1 0 0-8 4 4 0 0 0 0 8zM4.5 20.5c1-4 4-5.5 7.5-5.5s6.5 1.5 7.5 5.5',
  star: 'm12 3.5 2.6 5.6 6 .7-4.5 4.2 1.2 6.1L12 17l-5.3 3.1 1.2-6.1L3.4 9.8l6-.7z',
  play: 'M7 4.500v15l12.5-7.500z',
  pause: 'M7 4.500h3.500v15H7zM13.5 4.500H17v15h-3.500z',
  back: 'M15 5l-7 7 7 7',
  back10: 'M4 12a8 8 0 1 0 3-6.2M4 4v4.500h4.5',
  forward10: 'M20 12a8 8 0 1 1-3-6.2M20 4v4.500h-4.5',
  start: 'M6 5v14M19 5l-9.5 7 9.5 7z',
  settings: 'M4 7h9M17 7h3M4 17h3M11 17h9M15 4.500v5M9 14.500v5',
  full: 'M4 9V4h5M20 9V4h-5M4 15v5h5M20 15v5h-5',
  sound: 'M4 9.500v5h3.500L12 19V5L7.5 9.500zM15.5 9a4 4 0 0 1 0 6M18 6.500a8 8 0 0 1 0 11',
  muted: 'M4 9.500v5h3.500L12 19V5L7.5 9.500zM16 9.500l5 5M21 9.500l-5 5',
  list: 'M4 6h2M9 6h11M4 12h2M9 12h11M4 18h2M9 18h11',
  chart: 'M4 20V4M4 20h16M8 16v-4M12 16V8M16 16v-6',
  lock: 'M6 11h12v9H6zM8.5 11V8a3.5 3.5 0 0 1 7 0v3',
  search: 'M11 18a7 7 0 1 0 0-14 7 7 0 0 0 0 14zM16 16l5 5',
  close: 'M6 6l12 12M18 6L6 18',
  groups: 'M4 6h16M7 12h10M10 18h4',
};

export function Icon({ name, filled = false }: { name: string; filled?: boolean }): JSX.Element {
  return (
    <svg class="icon" viewBox="0 0 24 24" aria-hidden="true" fill={filled ? 'currentColor' : 'none'} stroke="currentColor" stroke-width="1.8" stroke-linecap="round" stroke-linejoin="round">
      <path d={PATHS[name]} />
    </svg>
  );
}

export function Mark(): JSX.Element {
  return (
    <svg class="mark" viewBox="0 0 48 48" aria-hidden="true">
      <path d="M24 7 11 24l9 2z" fill="#7be0c5" /><path d="m24 7 13 17-9 2z" fill="#3fb598" />
      <path d="m20 26 4-19 4 19-4 15z" fill="#a5ead6" /><path d="m11 24 13 17-4-15z" fill="#2b8f78" /><path d="M37 24 24 41l4-15z" fill="#1d6d5b" />
    </svg>
  );
}

/** The picture of a channel or title; its first letters where there is none, on a colour of its own. */
export function Picture({ source, name, wide }: { source?: string | null; name: string; wide: number }): JSX.Element {
  const [broken, setBroken] = useState(false);
  useEffect(() => setBroken(false), [source]);
  const stored = source && source.startsWith('img:') ? `/img/${source.slice(4)}-${wide}.jpg` : source;
  if (stored && !broken) return <img src={stored} alt="" loading="lazy" decoding="async" onError={() => setBroken(true)} />;
  const words = name.replace(/[^\p{L}\p{N} ]/gu, '').split(' ').filter(Boolean);
  const letters = words.length > 1 ? words[0][0] + words[1][0] : (words[0] || '?').slice(0, 2);
  let hue = 0;
  for (const one of name) hue = (hue * 31 + one.charCodeAt(0)) % 12;
  return <span class={`letters hue-${hue}`} aria-hidden="true">{letters.toUpperCase()}</span>;
}

/** How much of a programme is over. */
export function Progress({ start, stop, at }: { start: number; stop: number; at: number }): JSX.Element {
  const share = stop > start ? Math.max(0, Math.min(1, (at - start) / (stop - start))) : 0;
  return <span class="progress" aria-hidden="true"><span style={{ transform: `scaleX(${share})` }} /></span>;
}

export function Spinner({ label }: { label?: string }): JSX.Element {
  return <div class="spinner" role="status"><span class="wheel" aria-hidden="true" /><span class="quiet">{label || say('app.loading')}</span></div>;
}

export function Empty({ text, children }: { text: string; children?: ComponentChildren }): JSX.Element {
  return <div class="empty"><Mark /><p>{text}</p>{children}</div>;
}

/** What to say of an error. */
export function sentence(error: unknown): string {
  if (error instanceof Refused) return why(error.reason, { seconds: error.seconds, detail: error.detail });
  return why('unknown');
}

/** A layer above the page that keeps the focus, and gives it back. */
export function Dialog({ title, close, children, narrow = false }: { title: string; close: () => void; children: ComponentChildren; narrow?: boolean }): JSX.Element {
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const before = document.activeElement as HTMLElement | null;
    const found = (what: string): HTMLElement | null => box.current && box.current.querySelector<HTMLElement>(what);
    const first = found('[data-first]') || found('header ~ * input,header ~ * a,header ~ * button,header ~ button') || found('button');
    if (first) first.focus();
    return () => before && before.focus && before.focus();
  }, []);
  const keys = (event: KeyboardEvent): void => {
    if (isBack(event)) {
      event.preventDefault();
      event.stopPropagation();
      close();
    } else if (event.key === 'Tab' && box.current) {
      const all = box.current.querySelectorAll<HTMLElement>('a[href],button:not([disabled]),input,select');
      const [first, last] = [all[0], all[all.length - 1]];
      if (event.shiftKey && document.activeElement === first) { event.preventDefault(); last.focus(); }
      if (!event.shiftKey && document.activeElement === last) { event.preventDefault(); first.focus(); }
    }
  };
  return (
    <div class="veil" onClick={(event) => event.target === event.currentTarget && close()}>
      <div class={narrow ? 'dialog narrow' : 'dialog'} role="dialog" aria-modal="true" aria-label={title} data-layer ref={box} onKeyDown={keys}>
        <header><h2>{title}</h2><button class="plain round" aria-label={say('app.close')} onClick={close}><Icon name="close" /></button></header>
        {children}
      </div>
    </div>
  );
}

interface FieldProps { label: string; hint?: string; error?: string; [attribute: string]: unknown }

export function Field({ label, hint, error, ...input }: FieldProps): JSX.Element {
  const [id] = useState(() => `f${Math.random().toString(36).slice(2)}`);
  return (
    <label class="field" for={id}>
      <span>{label}</span>
      <input id={id} aria-describedby={hint || error ? `${id}-hint` : undefined} aria-invalid={error ? 'true' : undefined} {...(input as JSX.HTMLAttributes<HTMLInputElement>)} />
      {(error || hint) && <small id={`${id}-hint`} class={error ? 'wrong' : ''} role={error ? 'alert' : undefined}>{error || hint}</small>}
    </label>
  );
}

/** A QR code, drawn by a part of the app that is loaded for it. */
export function Code({ text, label }: { text: string; label: string }): JSX.Element {
  const [path, setPath] = useState<{ d: string; size: number } | null>(null);
  useEffect(() => {
    let gone = false;
    void import('./qr').then(({ drawn }) => !gone && setPath(drawn(text)));
    return () => { gone = true; };
  }, [text]);
  if (!path) return <div class="qr" aria-hidden="true" />;
  return <svg class="qr" role="img" aria-label={label} viewBox={`-2 -2 ${path.size + 4} ${path.size + 4}`} shape-rendering="crispEdges"><rect x="-2" y="-2" width={path.size + 4} height={path.size + 4} fill="#fff" /><path d={path.d} fill="#0d1117" /></svg>;
}

/** Does something every so many milliseconds while it is shown. */
export function useEvery(ms: number, work: () => void): void {
  const latest = useRef(work);
  latest.current = work;
  useEffect(() => {
    const timer = setInterval(() => latest.current(), ms);
    return () => clearInterval(timer);
  }, [ms]);
}
