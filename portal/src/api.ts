// The portal's API: one way to ask, and what comes of it.

export interface Session {
  user: string;
  token: string;
  proved: boolean;
  app: string | null;
  expires: number | null;
  language: string | null;
  now: number;
}
export interface Programme { start: number; stop: number; title: string; text?: string | null; category?: string | null }
export interface Details {
  plot?: string; year?: number; rating?: number; genres?: string[]; age?: number; duration_s?: number;
  poster?: string; backdrops?: string[]; adult?: boolean; cast?: string[]; directors?: string[]; country?: string;
}
export interface Category { id: string; name: string; sorts: string }
export interface Channel {
  id: string; number: number | null; name: string; categories: string[] | null; logo: string | null; past_s: number;
  now?: Programme | null; next?: Programme | null;
}
export interface Title {
  id: string; number: number | null; name: string; categories: string[] | null; details?: Details | null;
  season?: number; episode?: number;
}
export interface Position { content: string; seconds: number; duration: number; at: number }
export interface Preferences { favourites: string[]; hidden: string[]; locked: string[]; language: string | null }

/** What the server said instead. */
export class Refused extends Error {
  constructor(readonly status: number, readonly reason: string, readonly detail: string, readonly seconds: number) {
    super(detail);
  }
}

let token = '';
let offset = 0;
let onNobody: () => void = () => {};

export const whenNobody = (call: () => void): void => { onNobody = call; };
/** Seconds since 1970 by the server's clock. */
export const now = (): number => Date.now() / 1000 + offset;

export async function ask<T>(method: string, path: string, body?: unknown): Promise<T> {
  const headers: Record<string, string> = {};
  if (body !== undefined) headers['content-type'] = 'application/json';
  if (token && method !== 'GET') headers['x-csrf-token'] = token;
  let response: Response;
  try {
    const text = body === undefined ? undefined : JSON.stringify(body);
    response = await fetch(`/api/v1/${path}`, { method, headers, body: text, credentials: 'same-origin', keepalive: method !== 'GET' });
  } catch (error) {
    throw new Refused(0, 'network', String(error), 0);
  }
  if (response.ok) return (response.status === 204 ? undefined : await response.json()) as T;
  const said = await response.json().catch(() => ({})) as { reason?: string; detail?: string };
  const seconds = Number(response.headers.get('retry-after')) || 0;
  const reason = said.reason || response.headers.get('x-shardcast-reason') || (response.status === 429 ? 'wait' : response.status === 503 ? 'busy' : 'unknown');
  if (reason === 'sign-in') onNobody();
  throw new Refused(response.status, reason, said.detail || '', seconds);
}

export const get = <T>(path: string): Promise<T> => ask<T>('GET', path);
export const post = <T = void>(path: string, body?: unknown): Promise<T> => ask<T>('POST', path, body);

/** Whoever is signed in, or nobody. */
export async function session(): Promise<Session | null> {
  try {
    const found = await get<Session>('session');
    token = found.token;
    offset = found.now - Date.now() / 1000;
    if (Math.abs(offset) < 2) offset = 0;
    return found;
  } catch (error) {
    if (error instanceof Refused && error.status === 401) return null;
    throw error;
  }
}

let permission: { path: string; expires: number } | null = null;
let asking: Promise<string> | null = null;

/** What stands before paths of what is watched: a token, which is kept while it is good. */
export function permitted(anew = false): Promise<string> {
  if (!anew && permission && permission.expires - now() > 600) return Promise.resolve(permission.path);
  if (!asking || anew) {
    asking = post<{ path: string; expires: number }>('play').then((made) => {
      permission = made;
      asking = null;
      return made.path;
    }, (error) => {
      asking = null;
      throw error;
    });
  }
  return asking;
}

export function forget(): void {
  token = '';
  permission = null;
}
