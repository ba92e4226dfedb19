// The guide as a grid of time: channels down, hours across. What is past and kept can be played.
import type { JSX } from 'preact';
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { get, now } from '../api';
import type { Channel, Programme } from '../api';
import { Dialog, Empty, Icon, Picture, Progress, Spinner, useEvery } from '../parts';
import { go, to } from '../route';
import { numberOf, shown, useShelf } from '../shelf';
import { chosen, clock, say } from '../words';

const DAY = 86_400;
/** Rem that a minute is wide, and a row is high; both stand in the style sheet, too. */
const MINUTE = 0.3;
const ROW = 4.6;
/** Channels that are asked about at once, and rows that are drawn beyond what is seen. */
const LOT = 20;
const BEYOND = 4;

interface On extends Programme { channel: string; subtitle?: string | null }

function midnight(offset: number): number {
  const day = new Date(now() * 1000);
  day.setHours(0, 0, 0, 0);
  day.setDate(day.getDate() + offset);
  return day.getTime() / 1000;
}

function nameOfDay(offset: number): string {
  if (offset === 0) return say('guide.day.today');
  if (offset === -1) return say('guide.day.yesterday');
  if (offset === 1) return say('guide.day.tomorrow');
  return new Date((midnight(offset) + DAY / 2) * 1000).toLocaleDateString(chosen(), { weekday: 'short', day: 'numeric', month: 'numeric' });
}

export function Guide(): JSX.Element {
  const shelf = useShelf();
  const [day, setDay] = useState(0);
  const [search, setSearch] = useState('');
  const [open, setOpen] = useState<On | null>(null);
  if (!shelf.channels) return <Spinner />;
  const channels = shown(shelf);
  const back = Math.min(7, Math.max(1, ...channels.map(({ past_s: past }) => Math.ceil(past / DAY))));
  const days = Array.from({ length: back + 4 }, (_, at) => at - back);
  return (
    <section class="page guide-page">
      <header class="page-head">
        <h1>{say('guide.title')}</h1>
        <label class="search"><Icon name="search" /><span class="unseen">{say('guide.search')}</span><input type="search" placeholder={say('guide.search')} value={search} onInput={(event) => setSearch((event.target as HTMLInputElement).value)} /></label>
      </header>
      {search.trim().length > 1 ? <Found text={search.trim()} channels={channels} pick={setOpen} /> : (
        <>
          <div class="chips" role="group" aria-label={say('guide.title')}>
            {days.map((one) => <button key={one} class={one === day ? 'chip on' : 'chip'} aria-pressed={one === day} onClick={() => setDay(one)}>{nameOfDay(one)}</button>)}
          </div>
          {channels.length === 0 ? <Empty text={say('tv.empty')} /> : <Grid key={day} channels={channels} day={day} pick={setOpen} />}
        </>
      )}
      {open && <About on={open} channel={channels.find(({ id }) => id === open.channel)} close={() => setOpen(null)} />}
    </section>
  );
}

function rem(): number {
  return parseFloat(getComputedStyle(document.documentElement).fontSize) || 16;
}

function Grid({ channels, day, pick }: { channels: Channel[]; day: number; pick: (on: On) => void }): JSX.Element {
  const from = useMemo(() => midnight(day), [day]);
  const scroller = useRef<HTMLDivElement>(null);
  const [seen, setSeen] = useState({ first: 0, last: 12 });
  const [programmes, setProgrammes] = useState<Record<string, Programme[]>>({});
  const [at, setAt] = useState(now());
  const asked = useRef(new Set<number>());
  useEvery(20_000, () => setAt(now()));
  const look = (): void => {
    const box = scroller.current;
    if (!box) return;
    const row = ROW * rem();
    const first = Math.max(0, Math.floor(box.scrollTop / row) - BEYOND);
    const last = Math.min(channels.length, Math.ceil((box.scrollTop + box.clientHeight) / row) + BEYOND);
    setSeen((before) => (before.first === first && before.last === last ? before : { first, last }));
  };
  useEffect(() => {
    const box = scroller.current;
    if (!box) return;
    const hour = day === 0 ? (now() - from) / 60 : 18 * 60;
    box.scrollLeft = Math.max(0, (hour - 45) * MINUTE * rem());
    look();
  }, []);
  useEffect(() => {
    for (let lot = Math.floor(seen.first / LOT); lot * LOT < seen.last; lot += 1) {
      if (asked.current.has(lot)) continue;
      asked.current.add(lot);
      const ids = channels.slice(lot * LOT, (lot + 1) * LOT).map(({ id }) => id);
      get<{ programmes: Record<string, Programme[]> }>(`guide?from=${Math.floor(from)}&to=${Math.floor(from) + DAY}&channels=${ids.map(encodeURIComponent).join(',')}`)
        .then((told) => setProgrammes((before) => ({ ...before, ...told.programmes })), () => asked.current.delete(lot));
    }
  }, [seen, channels]);
  const left = (second: number): number => Math.max(0, (second - from) / 60) * MINUTE;
  const rows = channels.slice(seen.first, seen.last);
  const hours = Array.from({ length: 24 }, (_, hour) => from + hour * 3600);
  const isToday = at >= from && at < from + DAY;
  return (
    <div class="guide-scroll" ref={scroller} onScroll={look} tabIndex={-1} role="region" aria-label={say('guide.title')}>
      <div class="guide-hours" aria-hidden="true"><span class="guide-corner" />{hours.map((hour) => <span key={hour} class="guide-hour">{clock(hour)}</span>)}</div>
      <div class="guide-rows" style={{ height: `${channels.length * ROW}rem` }}>
        {isToday && <span class="guide-now" aria-hidden="true" style={{ left: `calc(var(--channels) + ${left(at)}rem)`, height: `${channels.length * ROW}rem` }} />}
        {rows.map((channel, index) => (
          <div class="guide-row" key={channel.id} style={{ top: `${(seen.first + index) * ROW}rem` }}>
            <a class="guide-channel" href={to(`watch/tv/${channel.id}`)}>
              <span class="channel-logo"><Picture source={channel.logo} name={channel.name} wide={160} /></span>
              <span class="guide-channel-name"><span class="channel-number">{numberOf(channel)}</span>{channel.name}</span>
            </a>
            {(programmes[channel.id] || []).map((on) => {
              const [start, end] = [left(on.start), Math.min(24 * 60 * MINUTE, left(on.stop))];
              const isOn = on.start <= at && on.stop > at;
              const isKept = on.stop <= at && on.start >= at - channel.past_s;
              return (
                <button
                  key={on.start} class={`programme${isOn ? ' on' : ''}${on.stop <= at ? ' over' : ''}${isKept ? ' kept' : ''}`}
                  style={{ left: `calc(var(--channels) + ${start}rem)`, width: `${Math.max(0.6, end - start - 0.2)}rem` }}
                  onClick={() => pick({ ...on, channel: channel.id })}
                >
                  <span class="programme-title">{on.title}</span><span class="programme-time">{isKept && <Icon name="play" filled />}{clock(on.start)}</span><span class="unseen">{channel.name}</span>
                </button>
              );
            })}
            {programmes[channel.id] && programmes[channel.id].length === 0 && <span class="guide-none">{say('tv.noGuide')}</span>}
          </div>
        ))}
      </div>
    </div>
  );
}

function Found({ text, channels, pick }: { text: string; channels: Channel[]; pick: (on: On) => void }): JSX.Element {
  const [found, setFound] = useState<On[] | null>(null);
  useEffect(() => {
    let gone = false;
    const timer = setTimeout(() => {
      get<{ programmes: On[] }>(`guide/search?text=${encodeURIComponent(text)}`).then((told) => !gone && setFound(told.programmes), () => !gone && setFound([]));
    }, 300);
    return () => {
      gone = true;
      clearTimeout(timer);
    };
  }, [text]);
  if (!found) return <Spinner />;
  if (found.length === 0) return <Empty text={say('guide.empty')} />;
  return (
    <ul class="found">
      {found.map((on) => {
        const channel = channels.find(({ id }) => id === on.channel);
        return channel && (
          <li key={`${on.channel}${on.start}`}>
            <button onClick={() => pick(on)}>
              <span class="channel-logo"><Picture source={channel.logo} name={channel.name} wide={160} /></span>
              <span class="grow"><b>{on.title}</b><span class="quiet">{channel.name} · {when(on)}</span></span>
            </button>
          </li>
        );
      })}
    </ul>
  );
}

const when = (on: Programme): string =>
  `${new Date(on.start * 1000).toLocaleDateString(chosen(), { weekday: 'long', day: 'numeric', month: 'long' })}, ${clock(on.start)}–${clock(on.stop)}`;

function About({ on, channel, close }: { on: On; channel?: Channel; close: () => void }): JSX.Element {
  const at = now();
  const isOn = on.start <= at && on.stop > at;
  const isKept = !!channel && on.start < at && on.start >= at - channel.past_s;
  const past = (seconds: number): void => go(`watch/tv/${on.channel}`, `at=${Math.floor(on.start)}&for=${seconds}&title=${encodeURIComponent(on.title)}`);
  return (
    <Dialog title={on.title} close={close}>
      <p class="quiet">{channel && `${channel.name} · `}{when(on)}</p>
      {isOn && <Progress start={on.start} stop={on.stop} at={at} />}
      {on.subtitle && <p><b>{on.subtitle}</b></p>}
      {on.text && <p class="about-text">{on.text}</p>}
      <p class="row about-row">
        {isOn && <button data-first class="primary" onClick={() => go(`watch/tv/${on.channel}`)}><Icon name="play" filled />{say('guide.watch.live')}</button>}
        {isOn && isKept && <button onClick={() => past(0)}><Icon name="start" />{say('guide.watch.start')}</button>}
        {!isOn && isKept && <button data-first class="primary" onClick={() => past(Math.ceil(on.stop - on.start))}><Icon name="play" filled />{say('guide.watch.past')}</button>}
        {!isOn && !isKept && <span class="tag">{say(on.start > at ? 'guide.future' : 'guide.gone')}</span>}
      </p>
    </Dialog>
  );
}
