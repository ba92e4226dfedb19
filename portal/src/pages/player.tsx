// The player: a channel, a stretch of its past, or a film, with what one does to it.
import type { JSX } from 'preact';
import { useCallback, useEffect, useRef, useState } from 'preact/hooks';
import { get, now, permitted } from '../api';
import type { Channel, Position } from '../api';
import { play } from '../engine';
import type { Choice, Engine, Failure, Protocol } from '../engine';
import { isBack } from '../focus';
import { Dialog, Icon, Picture, Progress, sentence, Spinner, useEvery } from '../parts';
import { go, swap, to } from '../route';
import type { Place } from '../route';
import { favour, numberOf, onAir, refresh, shown, stoppedAt, tellPositions, useShelf } from '../shelf';
import { clock, say, span, why } from '../words';

/** What passes by itself, and is tried again. */
const PASSES = ['busy', 'timed-out', 'egress-full', 'hook-failed', 'off-air', 'network', 'token-early'];
/** What another token helps against. */
const RENEWED = ['token-expired', 'token-unknown', 'token-elsewhere', 'token-missing'];
const HIDE_MS = 4_000;

/** Contents that have no low-latency form: channels that are made of films. */
const plain = new Set<string>();

type State = 'loading' | 'playing' | 'paused' | 'waiting';

interface Past { start: number; seconds: number; title: string }

function pastOf({ at, for: seconds, title }: Record<string, string>): Past | null {
  return at ? { start: Number(at), seconds: Number(seconds) || 0, title: title || '' } : null;
}

export function Watch({ place }: { place: Place }): JSX.Element {
  const shelf = useShelf();
  const id = place.rest.replace(/^(tv|vod)\//, '');
  const isLive = place.rest.startsWith('tv/');
  if (isLive && !shelf.channels) return <Spinner />;
  const channels = shown(shelf);
  const channel = isLive ? channels.find((one) => one.id === id) || null : null;
  return <Player content={place.rest} channel={channel} channels={channels} past={isLive ? pastOf(place.query) : null} title={channel ? channel.name : place.query.title || id} from={Number(place.query.from) || 0} />;
}

interface Props { content: string; channel: Channel | null; channels: Channel[]; past: Past | null; title: string; from: number }

function Player({ content, channel, channels, past, title, from }: Props): JSX.Element {
  const video = useRef<HTMLVideoElement>(null);
  const root = useRef<HTMLDivElement>(null);
  const engine = useRef<Engine | null>(null);
  const shelf = useShelf();
  const [told, setTold] = useState<{ of: string; state: State }>({ of: '', state: 'loading' });
  const [failure, setFailure] = useState<Failure | null>(null);
  const [retryIn, setRetryIn] = useState(0);
  const [bars, setBars] = useState(true);
  const [menu, setMenu] = useState<'none' | 'settings' | 'channels'>('none');
  const [stats, setStats] = useState(false);
  const [typed, setTyped] = useState('');
  const [lowLatency, setLowLatency] = useState(localStorage.getItem('lowLatency') !== 'no');
  const [protocol, setProtocol] = useState<Protocol>((localStorage.getItem('protocol') as Protocol) || 'hls');
  const [round, setRound] = useState(0);
  const [, redraw] = useState(0);
  const began = useRef(0);
  const [startUp, setStartUp] = useState(0);
  const renewed = useRef(false);
  const live = channel !== null && past === null;
  // What the element said of something that was played before is nothing of this.
  const of = [content, past ? past.start : '', round, protocol, lowLatency].join(' ');
  const state = told.of === of ? told.state : 'loading';
  const setState = (next: State): void => setTold({ of, state: next });

  const wake = useCallback(() => setBars(true), []);
  useEffect(() => {
    if (!bars || state !== 'playing' || menu !== 'none' || failure) return undefined;
    const timer = setTimeout(() => setBars(false), HIDE_MS);
    return () => clearTimeout(timer);
  });

  // What is played follows from these alone; whoever changes one starts anew.
  useEffect(() => {
    let gone = false;
    const element = video.current;
    if (!element) return undefined;
    began.current = performance.now();
    setState('loading');
    setFailure(null);
    setStartUp(0);
    const fail = (told: Failure): void => {
      if (gone) return;
      if (RENEWED.includes(told.reason) && !renewed.current) {
        renewed.current = true;
        void permitted(true).then(() => setRound((one) => one + 1), () => setFailure(told));
        return;
      }
      if (told.reason === 'not-found' && live && lowLatency && !plain.has(content)) {
        plain.add(content);
        setRound((one) => one + 1);
        return;
      }
      setFailure(told);
      setBars(true);
    };
    const start = async (): Promise<void> => {
      const token = await permitted();
      if (gone) return;
      const path = content.split('/').map(encodeURIComponent).join('/');
      const archived = past ? `archive/${Math.floor(past.start)}-${past.seconds > 0 ? Math.floor(past.seconds) : 'now'}/` : '';
      const at = from;
      const made = await play(element, { base: `${token}${path}/${archived}`, live, lowLatency: live && lowLatency && !plain.has(content), at }, protocol, fail, () => !gone && redraw((one) => one + 1));
      if (gone) return made.destroy();
      engine.current = made;
      // What is taken away again while it loads rejects, too; a browser that forbids it says so.
      element.play().catch((error) => !gone && error.name === 'NotAllowedError' && setState('paused'));
    };
    start().catch((error) => fail({ reason: error.reason || 'network', detail: sentence(error) }));
    return () => {
      gone = true;
      if (engine.current) engine.current.destroy();
      engine.current = null;
    };
  }, [content, past && past.start, past && past.seconds, lowLatency, protocol, round]);

  useEffect(() => { renewed.current = false; setBars(true); }, [content]);

  // What passes by itself is tried again.
  useEffect(() => {
    if (!failure || !PASSES.includes(failure.reason)) return undefined;
    setRetryIn(5);
    const timer = setInterval(() => setRetryIn((left) => {
      if (left <= 1) setRound((one) => one + 1);
      return left - 1;
    }), 1000);
    return () => clearInterval(timer);
  }, [failure]);

  useEvery(1000, () => {
    redraw((one) => one + 1);
    const element = video.current;
    if (element && !channel && element.duration > 0 && element.currentTime > 5 && !element.paused) stoppedAt(content, element.currentTime, element.duration);
  });
  useEvery(60_000, () => void refresh());
  useEffect(() => tellPositions, [content]);

  const zap = useCallback((by: number): void => {
    if (!channel || channels.length < 2) return;
    const place = channels.findIndex((one) => one.id === channel.id);
    swap(`watch/tv/${channels[(place + by + channels.length) % channels.length].id}`);
  }, [channel, channels]);

  const seek = (by: number): void => {
    const element = video.current;
    if (!element) return;
    const { seekable } = element;
    const end = seekable.length ? seekable.end(seekable.length - 1) : element.duration;
    const first = seekable.length ? seekable.start(0) : 0;
    element.currentTime = Math.max(first, Math.min(end - (live ? 2 : 0), element.currentTime + by));
    wake();
  };
  const toggle = (): void => {
    const element = video.current;
    if (!element) return;
    if (element.paused) void element.play().catch(() => {});
    else element.pause();
    wake();
  };
  const back = (): void => {
    if (document.fullscreenElement) void document.exitFullscreen();
    if (channel) go(past ? 'guide' : 'tv');
    else if (history.length > 1) history.back();
    else go('films');
  };
  const toLive = (): void => {
    if (past) return swap(`watch/${content}`);
    const edge = engine.current && engine.current.edge();
    if (video.current && edge) video.current.currentTime = edge;
  };
  const fullscreen = (): void => {
    if (document.fullscreenElement) void document.exitFullscreen();
    else if (root.current && root.current.requestFullscreen) void root.current.requestFullscreen().catch(() => {});
  };

  // Digits go to a number, a moment after the last.
  useEffect(() => {
    if (!typed) return undefined;
    const timer = setTimeout(() => {
      const wanted = shelf.channels && shelf.channels[Number(typed) - 1];
      setTyped('');
      if (wanted && channels.includes(wanted)) swap(`watch/tv/${wanted.id}`);
    }, typed.length > 2 ? 300 : 1_200);
    return () => clearTimeout(timer);
  }, [typed]);

  useEffect(() => {
    const keys = (event: KeyboardEvent): void => {
      if (event.defaultPrevented || menu !== 'none' || event.ctrlKey || event.metaKey || event.altKey) return;
      const onButton = document.activeElement instanceof HTMLButtonElement || document.activeElement instanceof HTMLInputElement;
      const browsing = bars && onButton;
      const does: Record<string, () => void> = {
        ChannelUp: () => zap(1), ChannelDown: () => zap(-1), PageUp: () => zap(1), PageDown: () => zap(-1),
        i: () => setStats(!stats), f: fullscreen, l: toLive, c: () => setMenu('channels'), s: () => setMenu('settings'),
        m: () => { if (video.current) video.current.muted = !video.current.muted; redraw((one) => one + 1); },
        MediaPlayPause: toggle, MediaPlay: toggle, MediaPause: toggle, k: toggle,
      };
      if (!browsing) {
        if (live) { does.ArrowUp = () => zap(1); does.ArrowDown = () => zap(-1); }
        does.ArrowLeft = () => seek(-10);
        does.ArrowRight = () => seek(10);
        does.Enter = () => { wake(); const first = root.current && root.current.querySelector<HTMLElement>('.bar [data-first]'); if (first) first.focus(); };
        does[' '] = toggle;
      }
      if (isBack(event) || (event.key === 'Backspace' && !onButton)) {
        event.preventDefault();
        if (browsing) { (document.activeElement as HTMLElement).blur(); setBars(false); } else back();
      } else if (/^\d$/.test(event.key) && channel && !(document.activeElement instanceof HTMLInputElement)) {
        setTyped((before) => (before + event.key).slice(0, 4));
      } else if (does[event.key]) {
        event.preventDefault();
        does[event.key]();
        wake();
      }
    };
    document.addEventListener('keydown', keys, true);
    return () => document.removeEventListener('keydown', keys, true);
  });

  const element = video.current;
  const on = channel && onAir(channel, now()).on;
  const visible = bars || state !== 'playing' || failure !== null;
  return (
    <div ref={root} class={visible ? 'player' : 'player calm'} data-state={failure ? 'failed' : state} data-content={content} data-start={startUp} onMouseMove={wake} onClick={(event) => event.target === video.current && (visible ? setBars(false) : wake())}>
      <video
        ref={video} playsInline autoPlay aria-label={title}
        onPlaying={() => { setState('playing'); if (!startUp) setStartUp(Math.round(performance.now() - began.current)); }}
        onPause={() => { setState('paused'); if (!channel) tellPositions(); }}
        onWaiting={() => setState('waiting')}
        onEnded={() => { if (!channel) back(); }}
      />
      {!failure && (state === 'loading' || state === 'waiting') && <div class="player-wait" role="status"><span class="wheel" aria-hidden="true" /><span class="unseen">{say('app.loading')}</span></div>}
      {failure && (
        <div class="player-failure" role="alert">
          {channel && <span class="channel-logo large"><Picture source={channel.logo} name={channel.name} wide={160} /></span>}
          <p>{why(failure.reason)}</p>
          {PASSES.includes(failure.reason) && retryIn > 0 && <p class="quiet">{say('player.retrying', { seconds: retryIn })}</p>}
          <p class="row">
            <button class="primary" onClick={() => { renewed.current = false; setRound(round + 1); }}>{say('app.retry')}</button>
            {failure.reason === 'session-limit' && <a class="button" href={to('account')}>{say('app.account')}</a>}
            <button onClick={back}>{say('app.back')}</button>
          </p>
        </div>
      )}
      <header class="top-bar" hidden={!visible}>
        <button class="plain round" aria-label={say('app.back')} onClick={back}><Icon name="back" /></button>
        {channel && <span class="channel-logo"><Picture source={channel.logo} name={channel.name} wide={160} /></span>}
        <div class="titles">
          <h1>{channel && <span class="channel-number">{numberOf(channel)}</span>}{title}</h1>
          {past && past.title && <p>{past.title} · {clock(past.start)}</p>}
          {live && on && <p>{on.title}</p>}
        </div>
        {channel && (
          <button class={shelf.preferences.favourites.includes(channel.id) ? 'plain round star on' : 'plain round star'} aria-pressed={shelf.preferences.favourites.includes(channel.id)} aria-label={say(shelf.preferences.favourites.includes(channel.id) ? 'tv.favourite.remove' : 'tv.favourite.add')} onClick={() => favour(channel.id)}>
            <Icon name="star" filled={shelf.preferences.favourites.includes(channel.id)} />
          </button>
        )}
      </header>
      {typed && <div class="typed" role="status">{typed}</div>}
      {stats && <Statistics engine={engine.current} video={element} startUp={startUp} />}
      <footer class="bar" hidden={!visible}>
        {live && channel && <OnAir channel={channel} />}
        {element && <Seek video={element} live={live} moved={wake} />}
        <div class="controls">
          <button data-first class="plain round big" aria-label={say(element && !element.paused ? 'player.pause' : 'player.play')} onClick={toggle}><Icon name={element && !element.paused ? 'pause' : 'play'} filled /></button>
          <button class="plain round" aria-label={say('player.back10')} onClick={() => seek(-10)}><Icon name="back10" /></button>
          <button class="plain round" aria-label={say('player.forward10')} onClick={() => seek(10)}><Icon name="forward10" /></button>
          {live && channel && on && channel.past_s > now() - on.start && <a class="plain round" aria-label={say('player.start')} href={`${to(`watch/${content}`)}?at=${on.start}&for=0&title=${encodeURIComponent(on.title)}`}><Icon name="start" /></a>}
          {channel && <button class={live && isAtEdge(element, engine.current) ? 'live-badge on' : 'live-badge'} onClick={toLive} aria-label={say('player.live')}><span class="dot" aria-hidden="true" />{say('player.isLive')}</button>}
          <span class="grow" />
          <button class="plain round" aria-label={say('player.mute')} aria-pressed={!(element && element.muted)} onClick={() => { if (element) element.muted = !element.muted; redraw((one) => one + 1); }}><Icon name={element && element.muted ? 'muted' : 'sound'} /></button>
          {channel && <button class="plain round" aria-label={say('player.channels')} onClick={() => setMenu('channels')}><Icon name="list" /></button>}
          <button class={stats ? 'plain round on' : 'plain round'} aria-label={say('player.statistics')} aria-pressed={stats} onClick={() => setStats(!stats)}><Icon name="chart" /></button>
          <button class="plain round" aria-label={say('player.settings')} onClick={() => setMenu('settings')}><Icon name="settings" /></button>
          <button class="plain round" aria-label={say('player.fullscreen')} onClick={fullscreen}><Icon name="full" /></button>
        </div>
      </footer>
      {menu === 'channels' && <ChannelList channels={channels} current={content} close={() => setMenu('none')} />}
      {menu === 'settings' && (
        <Dialog title={say('player.settings')} close={() => setMenu('none')}>
          {engine.current && <Settings engine={engine.current} redraw={() => redraw((one) => one + 1)} />}
          {live && <Options name={say('player.lowLatency')} choices={[{ id: 1, name: say('player.on'), chosen: lowLatency }, { id: 0, name: say('player.off'), chosen: !lowLatency }]} choose={(id) => { localStorage.setItem('lowLatency', id ? 'yes' : 'no'); setLowLatency(id === 1); }} />}
          <Options name={say('player.protocol')} choices={[{ id: 0, name: 'HLS', chosen: protocol === 'hls' }, { id: 1, name: 'DASH', chosen: protocol === 'dash' }]} choose={(id) => { const next = id ? 'dash' : 'hls'; localStorage.setItem('protocol', next); setProtocol(next); }} />
          <p class="quiet keys-hint">{say('player.keys')}</p>
        </Dialog>
      )}
    </div>
  );
}

function isAtEdge(video: HTMLVideoElement | null, engine: Engine | null): boolean {
  const edge = engine && engine.edge();
  return !!video && !!edge && edge - video.currentTime < 6;
}

function OnAir({ channel }: { channel: Channel }): JSX.Element | null {
  const { on, next } = onAir(channel, now());
  if (!on) return null;
  return (
    <div class="on-air">
      <p><span class="quiet">{clock(on.start)}–{clock(on.stop)}</span> <b>{on.title}</b></p>
      <Progress start={on.start} stop={on.stop} at={now()} />
      {next && <p class="quiet">{say('tv.next')}: {clock(next.start)} {next.title}</p>}
    </div>
  );
}

function Seek({ video, live, moved }: { video: HTMLVideoElement; live: boolean; moved: () => void }): JSX.Element | null {
  const { seekable } = video;
  if (!seekable.length) return <div class="seek" />;
  const [first, end] = [seekable.start(0), seekable.end(seekable.length - 1)];
  const at = Math.min(end, Math.max(first, video.currentTime));
  const share = end > first ? (at - first) / (end - first) : 0;
  const shownAt = live ? (end - at < 4 ? '' : `-${span(end - at)}`) : span(at);
  return (
    <div class="seek">
      <span class="seek-time">{shownAt}</span>
      <input type="range" min={first} max={end} step="1" value={at} aria-label={say('player.position')} aria-valuetext={shownAt || say('player.isLive')} style={{ '--share': String(share) }} onInput={(event) => { video.currentTime = Number((event.target as HTMLInputElement).value); moved(); }} />
      <span class="seek-time">{live ? '' : span(end)}</span>
    </div>
  );
}

function Options({ name, choices, choose }: { name: string; choices: Choice[]; choose: (id: number) => void }): JSX.Element {
  return (
    <fieldset class="options">
      <legend>{name}</legend>
      {choices.map(({ id, name: text, chosen }) => <button key={id} class={chosen ? 'chip on' : 'chip'} aria-pressed={chosen} onClick={() => choose(id)}>{text}</button>)}
    </fieldset>
  );
}

function Settings({ engine, redraw }: { engine: Engine; redraw: () => void }): JSX.Element {
  const [qualities, audios, subtitles] = [engine.qualities(), engine.audios(), engine.subtitles()];
  const auto = !qualities.some(({ chosen }) => chosen);
  const off = !subtitles.some(({ chosen }) => chosen);
  const later = (): void => void setTimeout(redraw, 200);
  return (
    <>
      {qualities.length > 0 && <Options name={say('player.quality')} choices={[{ id: -1, name: say('player.auto'), chosen: auto }, ...qualities]} choose={(id) => { engine.chooseQuality(id); later(); }} />}
      {audios.length > 1 && <Options name={say('player.audio')} choices={audios} choose={(id) => { engine.chooseAudio(id); later(); }} />}
      {subtitles.length > 0 && <Options name={say('player.subtitles')} choices={[{ id: -1, name: say('player.off'), chosen: off }, ...subtitles]} choose={(id) => { engine.chooseSubtitle(id); later(); }} />}
    </>
  );
}

function ChannelList({ channels, current, close }: { channels: Channel[]; current: string; close: () => void }): JSX.Element {
  const list = useRef<HTMLUListElement>(null);
  useEffect(() => {
    const here = list.current && list.current.querySelector<HTMLElement>('[aria-current]');
    if (here) here.focus();
  }, []);
  return (
    <Dialog title={say('player.channels')} close={close}>
      <ul class="channel-list" ref={list}>
        {channels.map((one) => (
          <li key={one.id}>
            <a href={to(`watch/tv/${one.id}`)} aria-current={current === `tv/${one.id}` ? 'true' : undefined} onClick={(event) => { event.preventDefault(); close(); swap(`watch/tv/${one.id}`); }}>
              <span class="channel-number">{numberOf(one)}</span>
              <span class="channel-logo"><Picture source={one.logo} name={one.name} wide={160} /></span>
              <span class="channel-text"><span class="channel-name">{one.name}</span><span class="channel-next">{(onAir(one, now()).on || { title: '' }).title}</span></span>
            </a>
          </li>
        ))}
      </ul>
    </Dialog>
  );
}

function Statistics({ engine, video, startUp }: { engine: Engine | null; video: HTMLVideoElement | null; startUp: number }): JSX.Element {
  const figures = engine && engine.figures();
  const ahead = (): number => {
    if (!video) return 0;
    for (let one = 0; one < video.buffered.length; one += 1) {
      if (video.buffered.start(one) <= video.currentTime + 0.1 && video.buffered.end(one) > video.currentTime) return video.buffered.end(one) - video.currentTime;
    }
    return 0;
  };
  const quality = video && video.getVideoPlaybackQuality ? video.getVideoPlaybackQuality() : null;
  const rows: [string, string][] = [
    [say('stats.resolution'), video ? `${video.videoWidth} × ${video.videoHeight}` : ''],
    [say('stats.bitrate'), figures ? `${(figures.bitrate / 1e6).toFixed(2)} Mbit/s` : ''],
    [say('stats.bandwidth'), figures ? `${(figures.bandwidth / 1e6).toFixed(1)} Mbit/s` : ''],
    [say('stats.buffer'), `${ahead().toFixed(1)} s`],
    [say('stats.latency'), figures && figures.latency !== null ? `${figures.latency.toFixed(1)} s` : '–'],
    [say('stats.dropped'), quality ? `${quality.droppedVideoFrames} / ${quality.totalVideoFrames}` : '–'],
    [say('stats.start'), startUp ? `${startUp} ms` : '–'],
    [say('stats.engine'), figures ? figures.name : ''],
  ];
  return <dl class="statistics">{rows.map(([name, value]) => <div key={name}><dt>{name}</dt><dd>{value}</dd></div>)}</dl>;
}

/** Where somebody stopped in these. */
export const positions = (): Promise<Position[]> => get<{ positions: Position[] }>('positions').then((told) => told.positions);
