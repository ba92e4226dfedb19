// Where one is: what stands behind `#` in the address.
import { useEffect, useState } from 'preact/hooks';

export interface Place { page: string; rest: string; query: Record<string, string> }

export function place(): Place {
  const text = location.hash.replace(/^#\/?/, '');
  const [path, query = ''] = text.split('?');
  const [page, ...rest] = path.split('/');
  const pairs: Record<string, string> = {};
  for (const pair of query.split('&').filter(Boolean)) {
    const [name, value = ''] = pair.split('=');
    pairs[decodeURIComponent(name)] = decodeURIComponent(value);
  }
  return { page: page || 'tv', rest: rest.map(decodeURIComponent).join('/'), query: pairs };
}

export function usePlace(): Place {
  const [here, setHere] = useState(place);
  useEffect(() => {
    const moved = (): void => setHere(place());
    addEventListener('hashchange', moved);
    return () => removeEventListener('hashchange', moved);
  }, []);
  return here;
}

export const to = (path: string): string => `#/${path.split('/').map(encodeURIComponent).join('/')}`;
export const go = (path: string, query = ''): void => { location.hash = to(path) + (query ? `?${query}` : ''); };
/** The same without a place to come back to. */
export const swap = (path: string): void => location.replace(to(path));
