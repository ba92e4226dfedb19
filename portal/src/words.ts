// Sentences in the language of whoever reads, by the same keys in each: a build fails if one lacks a key.
import en from './words/en.json';
import de from './words/de.json';

export type Key = keyof typeof en;
const all: Record<string, Record<Key, string>> = { en, de };
export const LANGUAGES: [string, string][] = [['en', 'English'], ['de', 'Deutsch']];

let language = 'en';

/** Takes the first of these that there are words in. */
export function choose(...wanted: (string | null | undefined)[]): void {
  const found = wanted.map((tag) => (tag || '').toLowerCase().split('-')[0]).find((tag) => tag && all[tag]);
  language = found || 'en';
  document.documentElement.lang = language;
}

export const chosen = (): string => language;

/** A sentence, with what stands in braces put in. */
export function say(key: Key, values: Record<string, string | number> = {}): string {
  const text = all[language][key] || all.en[key] || key;
  return text.replace(/\{(\w+)\}/g, (whole, name: string) => (name in values ? String(values[name]) : whole));
}

/** What to do about a refusal. */
export function why(reason: string, values: Record<string, string | number> = {}): string {
  const key = `reason.${reason}` as Key;
  return say(key in all.en ? key : 'reason.unknown', values);
}

export const clock = (seconds: number): string =>
  new Date(seconds * 1000).toLocaleTimeString(language, { hour: '2-digit', minute: '2-digit' });

export const date = (seconds: number): string =>
  new Date(seconds * 1000).toLocaleDateString(language, { year: 'numeric', month: 'long', day: 'numeric' });

/** A length, as `1:02:03`. */
export function span(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds));
  const two = (n: number): string => String(n).padStart(2, '0');
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  return h > 0 ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
}
