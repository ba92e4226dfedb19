// What is known to all pages: channels, and what somebody likes. Kept while the app is open.
import { useEffect, useState } from 'preact/hooks';
import { get, post } from './api';
import type { Category, Channel, Position, Preferences, Programme } from './api';

interface Shelf {
  channels: Channel[] | null;
  categories: Category[];
  preferences: Preferences;
  hasPin: boolean;
  unlocked: boolean;
  error: unknown;
}

const nothing: Preferences = { favourites: [], hidden: [], locked: [], language: null };
let shelf: Shelf = { channels: null, categories: [], preferences: nothing, hasPin: false, unlocked: false, error: null };
const watchers = new Set<(shelf: Shelf) => void>();

function set(change: Partial<Shelf>): void {
  shelf = { ...shelf, ...change };
  watchers.forEach((watch) => watch(shelf));
}

export function useShelf(): Shelf {
  const [seen, setSeen] = useState(shelf);
  useEffect(() => {
    watchers.add(setSeen);
    setSeen(shelf);
    return () => void watchers.delete(setSeen);
  }, []);
  return seen;
}

export async function load(): Promise<void> {
  try {
    const [told, liked] = await Promise.all([
      get<{ categories: Category[]; channels: Channel[] }>('channels'),
      get<{ preferences: Preferences; pin: boolean }>('preferences'),
    ]);
    set({ ...told, preferences: liked.preferences, hasPin: liked.pin, error: null });
  } catch (error) {
    set({ error });
  }
}

/** Reads anew what is on; what is liked stays. */
export async function refresh(): Promise<void> {
  try {
    set({ ...(await get<{ categories: Category[]; channels: Channel[] }>('channels')), error: null });
  } catch (error) {
    if (!shelf.channels) set({ error });
  }
}

export async function prefer(change: Partial<Preferences>): Promise<void> {
  set({ preferences: { ...shelf.preferences, ...change } });
  await post('preferences', shelf.preferences);
}

export function favour(id: string): void {
  const { favourites } = shelf.preferences;
  void prefer({ favourites: favourites.includes(id) ? favourites.filter((one) => one !== id) : [...favourites, id] });
}

export async function unlock(pin: string): Promise<void> {
  await post('pin', { pin });
  set({ unlocked: true });
}

export async function setPin(pin: string, next: string): Promise<void> {
  await post('pin/set', { pin, new: next });
  set({ hasPin: next !== '', unlocked: next === '' });
}

export const empty = (): void => set({ channels: null, categories: [], preferences: nothing, hasPin: false, unlocked: false, error: null });

/** Whether something takes the PIN now. */
export const isLocked = (categories: string[] | null, adult = false): boolean =>
  shelf.hasPin && !shelf.unlocked && (adult || (categories || []).some((id) => shelf.preferences.locked.includes(id)));

/** The channels that are shown, in their order. */
export function shown(all: Shelf): Channel[] {
  const { hidden } = all.preferences;
  return (all.channels || []).filter(({ categories }) => {
    const of = categories || [];
    return !(of.length > 0 && of.every((id) => hidden.includes(id))) && !isLocked(of);
  });
}

/** The number that a channel is reached by: its place in the whole list. */
export const numberOf = (channel: Channel): number => (shelf.channels || []).indexOf(channel) + 1;

/** What is on at a second, of what was told a moment before it. */
export function onAir({ now: told, next }: Channel, at: number): { on: Programme | null; next: Programme | null } {
  const isOn = (of: Programme): boolean => of.start <= at && of.stop > at;
  if (told && isOn(told)) return { on: told, next: next || null };
  if (next && isOn(next)) return { on: next, next: null };
  return { on: null, next: next && next.start > at ? next : null };
}

const waiting = new Map<string, Position>();
let timer = 0;

/** Says where somebody is; told to the server once a minute, and when the page goes. */
export function stoppedAt(content: string, seconds: number, duration: number): void {
  waiting.set(content, { content, seconds: Math.floor(seconds), duration: Math.floor(duration), at: 0 });
  if (!timer) timer = window.setTimeout(tellPositions, 60_000);
}

export function tellPositions(): void {
  clearTimeout(timer);
  timer = 0;
  const positions = Array.from(waiting.values());
  waiting.clear();
  if (positions.length) void post('positions', { positions }).catch(() => {});
}
addEventListener('pagehide', tellPositions);
