// Live channels as a grid: what is on, how far it is, what follows.
import type { JSX } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { now } from '../api';
import type { Channel } from '../api';
import { Dialog, Empty, Field, Icon, Picture, Progress, sentence, Spinner, useEvery } from '../parts';
import { to } from '../route';
import { favour, isLocked, numberOf, onAir, prefer, refresh, setPin, shown, unlock, useShelf } from '../shelf';
import { clock, say } from '../words';
import { warm } from '../engine';

const STAR = '*';

export function Tv(): JSX.Element {
  const shelf = useShelf();
  const [group, setGroup] = useState(sessionStorage.getItem('group') || '');
  const [groups, setGroups] = useState(false);
  const [at, setAt] = useState(now());
  useEvery(15_000, () => setAt(now()));
  useEvery(60_000, () => void refresh());
  useEffect(() => {
    const timer = setTimeout(warm, 300);
    return () => clearTimeout(timer);
  }, []);
  if (shelf.error) return <Empty text={sentence(shelf.error)}><button onClick={() => void refresh()}>{say('app.retry')}</button></Empty>;
  if (!shelf.channels) return <Spinner />;
  const all = shown(shelf);
  const { favourites, hidden } = shelf.preferences;
  const choose = (id: string): void => {
    sessionStorage.setItem('group', id);
    setGroup(id);
  };
  const inGroup = (one: Channel): boolean =>
    group === '' || (group === STAR ? favourites.includes(one.id) : (one.categories || []).includes(group));
  const list = all.filter(inGroup);
  const chips = shelf.categories.filter(({ id, sorts }) => sorts === 'live' && !hidden.includes(id) && !isLocked([id]));
  const hasLocks = shelf.hasPin && !shelf.unlocked && shelf.preferences.locked.length > 0;
  return (
    <section class="page">
      <header class="page-head"><h1>{say('app.tv')}</h1><span class="quiet">{say('tv.count', { count: list.length })}</span></header>
      <div class="chips" role="group" aria-label={say('tv.hide')}>
        <Chip on={group === ''} pick={() => choose('')} name={say('app.all')} />
        <Chip on={group === STAR} pick={() => choose(STAR)} name={say('tv.favourites')} icon="star" />
        {chips.map(({ id, name }) => <Chip key={id} on={group === id} pick={() => choose(id)} name={name} />)}
        <button class="chip ghost" onClick={() => setGroups(true)}><Icon name={hasLocks ? 'lock' : 'groups'} />{say(hasLocks ? 'tv.unlock' : 'tv.hide')}</button>
      </div>
      {list.length === 0
        ? <Empty text={say(group === STAR ? 'tv.empty.favourites' : 'tv.empty')} />
        : <ul class="channels">{list.map((one) => <Card key={one.id} channel={one} at={at} liked={favourites.includes(one.id)} />)}</ul>}
      {groups && <Groups close={() => setGroups(false)} />}
    </section>
  );
}

function Chip({ on, pick, name, icon }: { on: boolean; pick: () => void; name: string; icon?: string }): JSX.Element {
  return <button class={on ? 'chip on' : 'chip'} aria-pressed={on} onClick={pick}>{icon && <Icon name={icon} filled={on} />}{name}</button>;
}

function Card({ channel, at, liked }: { channel: Channel; at: number; liked: boolean }): JSX.Element {
  const { id, name, logo } = channel;
  const { on, next } = onAir(channel, at);
  return (
    <li class="channel">
      <a href={to(`watch/tv/${id}`)} class="channel-link">
        <span class="channel-logo"><Picture source={logo} name={name} wide={160} /></span>
        <span class="channel-text">
          <span class="channel-name"><span class="channel-number">{numberOf(channel)}</span>{name}</span>
          {on ? (
            <>
              <span class="channel-on">{on.title}</span>
              <Progress start={on.start} stop={on.stop} at={at} />
              <span class="channel-next">{next ? `${clock(next.start)}  ${next.title}` : say('tv.minutes', { minutes: Math.max(0, Math.ceil((on.stop - at) / 60)) })}</span>
            </>
          ) : <span class="channel-next">{say('tv.noGuide')}</span>}
        </span>
      </a>
      <button class={liked ? 'plain round star on' : 'plain round star'} aria-pressed={liked} aria-label={`${say(liked ? 'tv.favourite.remove' : 'tv.favourite.add')}: ${name}`} onClick={() => favour(id)}>
        <Icon name="star" filled={liked} />
      </button>
    </li>
  );
}

function Groups({ close }: { close: () => void }): JSX.Element {
  const shelf = useShelf();
  const { hidden, locked } = shelf.preferences;
  const flip = (list: string[], id: string): string[] => (list.includes(id) ? list.filter((one) => one !== id) : [...list, id]);
  if (shelf.hasPin && !shelf.unlocked) return <AskPin close={close} entered={() => {}} />;
  return (
    <Dialog title={say('tv.hide')} close={close}>
      <p class="quiet">{say('tv.hide.lead')}</p>
      <ul class="switches">
        {shelf.categories.filter(({ sorts }) => sorts === 'live').map(({ id, name }) => (
          <li key={id}>
            <label><input type="checkbox" checked={!hidden.includes(id)} aria-label={say('tv.hide.show', { name })} onChange={() => void prefer({ hidden: flip(hidden, id) })} /><span>{name}</span></label>
            <button class={locked.includes(id) ? 'plain round on' : 'plain round'} aria-pressed={locked.includes(id)} aria-label={say('tv.hide.lock', { name })} disabled={!shelf.hasPin} onClick={() => void prefer({ locked: flip(locked, id) })}><Icon name="lock" /></button>
          </li>
        ))}
      </ul>
      <Pin />
    </Dialog>
  );
}

const digits = (set: (pin: string) => void) => (event: Event) => set((event.target as HTMLInputElement).value.replace(/\D/g, '').slice(0, 4));
const PIN = { type: 'password', inputmode: 'numeric', autocomplete: 'off', maxLength: 4, class: 'pin' };

/** Asks for the PIN; what took it goes on when it is right. */
export function AskPin({ close, entered }: { close: () => void; entered: () => void }): JSX.Element {
  const [pin, setPinText] = useState('');
  const [error, setError] = useState('');
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    try {
      await unlock(pin);
      entered();
    } catch (refused) {
      setPinText('');
      setError(sentence(refused));
    }
  };
  return (
    <Dialog title={say('pin.title')} close={close} narrow>
      <form onSubmit={submit}>
        <Field label={say('pin.label')} {...PIN} autofocus value={pin} error={error} onInput={digits(setPinText)} />
        <button class="primary wide" type="submit" disabled={pin.length !== 4}>{say('app.ok')}</button>
      </form>
    </Dialog>
  );
}

/** A new PIN, or none. */
function Pin(): JSX.Element {
  const shelf = useShelf();
  const [current, setCurrent] = useState('');
  const [next, setNext] = useState('');
  const [error, setError] = useState('');
  const set = async (pin: string): Promise<void> => {
    try {
      await setPin(current, pin);
      setCurrent('');
      setNext('');
      setError('');
    } catch (refused) {
      setError(sentence(refused));
    }
  };
  return (
    <form class="pin-form" onSubmit={(event) => { event.preventDefault(); void set(next); }}>
      <p class="quiet">{say('pin.lead')} {say(shelf.hasPin ? 'pin.is' : 'pin.isnot')}</p>
      <div class="row">
        {shelf.hasPin && <Field label={say('pin.current')} {...PIN} value={current} onInput={digits(setCurrent)} />}
        <Field label={say('pin.new')} {...PIN} value={next} error={error} onInput={digits(setNext)} />
      </div>
      <p class="row">
        <button type="submit" class="primary" disabled={next.length !== 4}>{say('pin.set')}</button>
        {shelf.hasPin && <button type="button" disabled={current.length !== 4} onClick={() => void set('')}>{say('pin.remove')}</button>}
      </p>
    </form>
  );
}
