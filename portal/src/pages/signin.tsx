// Signing in: by a password, or by a code that is confirmed on a phone.
import type { JSX } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { ask, post, Refused } from '../api';
import { Code, Field, Mark, sentence, Spinner } from '../parts';
import { say } from '../words';

export const isTelevision = (): boolean =>
  /SMART-TV|SmartTV|Tizen|Web0S|webOS|HbbTV|BRAVIA|AFT[A-Z]|Android TV|GoogleTV|CrKey|NetCast|VIDAA/i.test(navigator.userAgent);

export function SignIn({ entered }: { entered: () => void }): JSX.Element {
  const [byCode, setByCode] = useState(isTelevision());
  return (
    <main class="door" id="main">
      <section class="door-lead" aria-hidden="true">
        <Mark />
        <p class="door-name">shardcast</p>
        <p>{say('signin.lead')}</p>
      </section>
      <section class="door-card">
        {byCode ? <ByCode entered={entered} /> : <ByPassword entered={entered} />}
        <button class="link" onClick={() => setByCode(!byCode)}>{say(byCode ? 'signin.typed' : 'signin.tv')}</button>
      </section>
    </main>
  );
}

function ByPassword({ entered }: { entered: () => void }): JSX.Element {
  const [user, setUser] = useState('');
  const [password, setPassword] = useState('');
  const [code, setCode] = useState<string | null>(null);
  const [error, setError] = useState('');
  const [busy, setBusy] = useState(false);
  const text = (set: (text: string) => void) => (event: Event) => set((event.target as HTMLInputElement).value);
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    setBusy(true);
    setError('');
    try {
      await post('session', code === null ? { user: user.trim(), password } : { user: user.trim(), password, code: code.trim() });
      entered();
    } catch (refused) {
      if (refused instanceof Refused && refused.reason === 'code') setCode('');
      else setError(sentence(refused));
      setBusy(false);
    }
  };
  return (
    <form onSubmit={submit}>
      <h1>{say('signin.title')}</h1>
      <Field label={say('signin.user')} name="username" autocomplete="username" autocapitalize="none" spellcheck={false} autofocus required value={user} onInput={text(setUser)} />
      <Field label={say('signin.password')} name="password" type="password" autocomplete="current-password" required value={password} onInput={text(setPassword)} hint={code === null ? say('signin.hint') : undefined} />
      {code !== null && <Field label={say('signin.code')} name="code" inputmode="numeric" autocomplete="one-time-code" required autofocus value={code} onInput={text(setCode)} hint={say('signin.code.hint')} />}
      {error && <p class="wrong" role="alert">{error}</p>}
      <button class="primary wide" type="submit" disabled={busy}>{say(busy ? 'signin.going' : 'signin.go')}</button>
    </form>
  );
}

interface Shown { code: string; secret: string; seconds: number }

function ByCode({ entered }: { entered: () => void }): JSX.Element {
  const [shown, setShown] = useState<Shown | null>(null);
  const [over, setOver] = useState('');
  const again = useRef<HTMLButtonElement>(null);
  const [round, setRound] = useState(0);
  useEffect(() => {
    let gone = false;
    let timer = 0;
    setShown(null);
    setOver('');
    const fetched = async (secret: string): Promise<void> => {
      if (gone) return;
      try {
        const pending = await ask<{ pending: boolean } | undefined>('POST', 'tv-codes/fetch', { secret });
        if (!pending) return entered();
      } catch (error) {
        if (error instanceof Refused && error.status === 410) return setOver(say('code.over'));
      }
      timer = window.setTimeout(() => void fetched(secret), 2_000);
    };
    post<Shown>('tv-codes').then((made) => {
      if (gone) return;
      setShown(made);
      timer = window.setTimeout(() => void fetched(made.secret), 1_500);
    }, (error) => setOver(sentence(error)));
    return () => {
      gone = true;
      clearTimeout(timer);
    };
  }, [round]);
  useEffect(() => { if (over && again.current) again.current.focus(); }, [over]);
  const address = `${location.origin}/portal/#/code`;
  return (
    <div class="by-code">
      <h1>{say('code.title')}</h1>
      {over ? (
        <div role="alert"><p>{over}</p><button ref={again} class="primary" onClick={() => setRound(round + 1)}>{say('code.again')}</button></div>
      ) : !shown ? <Spinner /> : (
        <div class="by-code-steps">
          <Code text={`${address}/${shown.code}`} label={say('code.qr')} />
          <div>
            <p>{say('code.step1')}</p>
            <p class="code-address">{address.replace(/^https?:\/\//, '')}</p>
            <p>{say('code.step2')}</p>
            <p class="tv-code" data-code={shown.code}>{shown.code}</p>
            <p class="quiet waiting" role="status"><span class="wheel" aria-hidden="true" /> {say('code.waiting')}</p>
          </div>
        </div>
      )}
    </div>
  );
}

interface Device { agent: string; address: string; near: boolean }

/** What a phone shows that has scanned a television's code. */
export function Confirm({ scanned }: { scanned: string }): JSX.Element {
  const [code, setCode] = useState(scanned);
  const [device, setDevice] = useState<Device | null>(null);
  const [done, setDone] = useState(false);
  const [error, setError] = useState('');
  const look = async (typed: string): Promise<void> => {
    setError('');
    try {
      setDevice(await post<Device>('tv-codes/look', { code: typed }));
    } catch (refused) {
      setError(sentence(refused));
    }
  };
  useEffect(() => { if (scanned) void look(scanned); }, [scanned]);
  const confirm = async (): Promise<void> => {
    try {
      await post('tv-codes/confirm', { code });
      setDone(true);
    } catch (refused) {
      setDevice(null);
      setError(sentence(refused));
    }
  };
  return (
    <section class="page narrow-page">
      <h1>{say('code.confirm.title')}</h1>
      {done ? <p class="good" role="status">{say('code.confirm.done')}</p> : device ? (
        <div class="panel">
          <h2>{say('code.confirm.question')}</h2>
          <p class="tv-code">{code.toUpperCase()}</p>
          <p class="agent">{device.agent}</p>
          <p class={device.near ? 'quiet' : 'wrong'}>{device.near ? say('code.confirm.near') : say('code.confirm.far', { address: device.address })}</p>
          <p class="row"><button class="primary" onClick={confirm}>{say('code.confirm.yes')}</button><button onClick={() => { setDevice(null); setCode(''); }}>{say('code.confirm.no')}</button></p>
        </div>
      ) : (
        <form class="panel" onSubmit={(event) => { event.preventDefault(); void look(code); }}>
          <Field label={say('code.confirm.label')} autocomplete="off" autocapitalize="characters" spellcheck={false} required value={code} error={error} onInput={(event: Event) => setCode((event.target as HTMLInputElement).value)} />
          <button class="primary" type="submit">{say('code.confirm.look')}</button>
        </form>
      )}
    </section>
  );
}
