// Arrow keys move the focus to what lies there, as a remote control expects it. The innermost
// element with `data-layer` keeps it inside: a dialog, a menu.

const CAN = 'a[href],button:not([disabled]),input:not([disabled]),select:not([disabled]),[tabindex="0"]';
type Way = 'ArrowUp' | 'ArrowDown' | 'ArrowLeft' | 'ArrowRight';

function candidates(): HTMLElement[] {
  const layers = document.querySelectorAll<HTMLElement>('[data-layer]');
  const root = layers.length ? layers[layers.length - 1] : document.body;
  return Array.from(root.querySelectorAll<HTMLElement>(CAN)).filter((one) => one.offsetParent !== null || one.getClientRects().length > 0);
}

/** How far a thing is that way: what is aside counts thrice. Nothing if it is not that way. */
function distance(from: DOMRect, to: DOMRect, way: Way): number {
  const across = way === 'ArrowLeft' || way === 'ArrowRight';
  const sign = way === 'ArrowRight' || way === 'ArrowDown' ? 1 : -1;
  const ahead = across
    ? (sign > 0 ? to.left - from.right : from.left - to.right)
    : (sign > 0 ? to.top - from.bottom : from.top - to.bottom);
  const middle = across ? (to.left + to.right - from.left - from.right) * sign : (to.top + to.bottom - from.top - from.bottom) * sign;
  if (middle <= 0 || ahead < -Math.min(across ? from.width : from.height, across ? to.width : to.height) / 2) return Infinity;
  const overlap = across
    ? Math.min(from.bottom, to.bottom) - Math.max(from.top, to.top)
    : Math.min(from.right, to.right) - Math.max(from.left, to.left);
  const aside = overlap > 0 ? 0 : -overlap;
  const centre = across
    ? Math.abs(from.top + from.bottom - to.top - to.bottom) / 2
    : Math.abs(from.left + from.right - to.left - to.right) / 2;
  return Math.max(0, ahead) + aside * 3 + centre * 0.2;
}

/** Moves the focus; false if there is nothing that way. */
export function move(way: Way): boolean {
  const all = candidates();
  const from = document.activeElement as HTMLElement | null;
  if (!from || from === document.body || !all.includes(from)) {
    const first = all.find((one) => one.dataset.first !== undefined) || all[0];
    if (first) settle(first);
    return !!first;
  }
  const here = from.getBoundingClientRect();
  let best: HTMLElement | null = null;
  let least = Infinity;
  for (const one of all) {
    if (one === from) continue;
    const far = distance(here, one.getBoundingClientRect(), way);
    if (far < least) [best, least] = [one, far];
  }
  if (best) settle(best);
  return best !== null;
}

const calm = matchMedia('(prefers-reduced-motion: reduce)');

function settle(to: HTMLElement): void {
  to.focus({ preventScroll: true });
  to.scrollIntoView({ block: 'nearest', inline: 'nearest', behavior: calm.matches ? 'auto' : 'smooth' });
}

export const BACK = ['Escape', 'GoBack', 'BrowserBack', 'XF86Back'];
/** Keys of televisions that have no name: Tizen's and webOS's way back. */
export const isBack = (event: KeyboardEvent): boolean => BACK.includes(event.key) || event.keyCode === 10009 || event.keyCode === 461;

const types = (one: Element | null): boolean =>
  one instanceof HTMLTextAreaElement || one instanceof HTMLSelectElement || (one instanceof HTMLInputElement && !['button', 'checkbox', 'radio', 'range', 'submit'].includes(one.type));

/** Listens for arrows wherever nobody else took them, and for what moves a pointer. */
export function listen(): void {
  const root = document.documentElement;
  document.addEventListener('keydown', (event) => {
    root.classList.add('keys');
    const way = event.key as Way;
    if (event.defaultPrevented || event.altKey || event.ctrlKey || event.metaKey) return;
    if (!/^Arrow(Up|Down|Left|Right)$/.test(way)) return;
    const inText = types(document.activeElement);
    if (inText && (way === 'ArrowLeft' || way === 'ArrowRight' || document.activeElement instanceof HTMLSelectElement)) return;
    if (document.activeElement instanceof HTMLInputElement && document.activeElement.type === 'range' && (way === 'ArrowLeft' || way === 'ArrowRight')) return;
    if (move(way)) event.preventDefault();
  });
  for (const kind of ['mousedown', 'touchstart']) document.addEventListener(kind, () => root.classList.remove('keys'), { passive: true });
}
