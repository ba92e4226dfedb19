// The account: what is paid for, addresses for apps, who watches, passwords, language.
import type { JSX } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { forget, get, post, Refused } from '../api';
import { Code, Dialog, Field, Icon, sentence, Spinner, useEvery } from '../parts';
import { to } from '../route';
import { empty, prefer, useShelf } from '../shelf';
import { choose, clock, date, LANGUAGES, say } from '../words';

interface App { name: string; created: number; own: boolean; password: string | null }
interface Told {
  user: string; expires: number | null; trial: boolean; plan: string | null;
  has_password: boolean; has_factor: boolean; proved: boolean; apps: App[];
}
interface Running { id: string; content: string; agent: string; from: string | null; since: number; own: boolean }

export function Account({ left, spoken }: { left: () => void; spoken: () => void }): JSX.Element {
  const [told, setTold] = useState<Told | null>(null);
  const [proving, setProving] = useState<(() => void) | null>(null);
  const load = (): void => void get<Told>('account').then(setTold, () => {});
  useEffect(load, []);
  if (!told) return <Spinner />;
  /** Does something that takes the password: at once if it was given, else behind it. */
  const proved = (work: () => void): void => { if (told.proved) work(); else setProving(() => work); };
  const signOut = async (): Promise<void> => {
    await post('session/end').catch(() => {});
    forget();
    empty();
    left();
  };
  return (
    <section class="page account">
      <header class="page-head"><h1>{say('account.title')}</h1></header>
      <div class="panels">
        <section class="panel who">
          <span class="letters large" aria-hidden="true">{told.user.slice(0, 1).toUpperCase()}</span>
          <div>
            <h2>{told.user}</h2>
            <p class="quiet">{told.trial ? `${say('account.trial')} · ` : ''}{told.plan ? `${say('account.plan')}: ${told.plan} · ` : ''}{told.expires ? say('account.until', { date: date(told.expires) }) : say('account.forever')}</p>
          </div>
          <div class="row who-actions"><a class="button" href={to('code')}><Icon name="tv" />{say('account.tv')}</a><button onClick={() => void signOut()}>{say('account.signout')}</button></div>
        </section>
        <Sessions />
        <Language spoken={spoken} />
        <Apps told={told} proved={proved} changed={load} />
        <Security told={told} proved={proved} changed={load} />
      </div>
      {proving && <Prove told={told} close={() => setProving(null)} done={() => { setProving(null); load(); proving(); }} />}
    </section>
  );
}

function Prove({ told, close, done }: { told: Told; close: () => void; done: () => void }): JSX.Element {
  const [password, setPassword] = useState('');
  const [code, setCode] = useState('');
  const [error, setError] = useState('');
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    try {
      await post('session/prove', told.has_factor ? { password, code: code.trim() } : { password });
      done();
    } catch (refused) {
      setError(sentence(refused));
    }
  };
  return (
    <Dialog title={say('account.prove')} close={close} narrow>
      {told.has_password ? (
        <form onSubmit={submit}>
          <p class="quiet">{say('account.prove.lead')}</p>
          <Field label={say('signin.password')} type="password" autocomplete="current-password" required value={password} error={error} onInput={(event: Event) => setPassword((event.target as HTMLInputElement).value)} />
          {told.has_factor && <Field label={say('signin.code')} inputmode="numeric" autocomplete="one-time-code" required value={code} onInput={(event: Event) => setCode((event.target as HTMLInputElement).value)} />}
          <button class="primary wide" type="submit">{say('app.ok')}</button>
        </form>
      ) : <><p>{say('account.noPassword')}</p><button data-first onClick={close}>{say('app.close')}</button></>}
    </Dialog>
  );
}

function Sessions(): JSX.Element {
  const [all, setAll] = useState<Running[] | null>(null);
  const shelf = useShelf();
  const load = (): void => void get<{ sessions: Running[] }>('sessions').then((told) => setAll(told.sessions), () => {});
  useEffect(load, []);
  useEvery(5_000, load);
  const nameOf = (content: string): string => {
    const id = content.replace(/^\/?tv\//, '');
    const channel = (shelf.channels || []).find((one) => one.id === id);
    return channel ? channel.name : content.replace(/^\/?(tv|vod)\//, '');
  };
  return (
    <section class="panel">
      <h2>{say('account.sessions')}</h2>
      {all && all.length === 0 && <p class="quiet">{say('account.sessions.none')}</p>}
      <ul class="lines">
        {(all || []).map((one) => (
          <li key={one.id} data-session={one.content}>
            <div class="grow"><b>{nameOf(one.content)}</b><span class="quiet">{browser(one.agent)} · {one.from}{one.own ? ` · ${say('account.sessions.this')}` : ''} · {say('account.sessions.since', { time: clock(one.since) })}</span></div>
            <button onClick={() => void post(`sessions/${encodeURIComponent(one.id)}/end`).then(load, load)} aria-label={`${say('account.sessions.end')}: ${nameOf(one.content)}`}>{say('account.sessions.end')}</button>
          </li>
        ))}
      </ul>
    </section>
  );
}

/** What people call a player that says this of itself. */
function browser(agent: string): string {
  const known: [RegExp, string][] = [[/VLC/i, 'VLC'], [/Kodi/i, 'Kodi'], [/TiviMate/i, 'TiviMate'], [/Edg\//, 'Edge'], [/Firefox/, 'Firefox'], [/Chrom/, 'Chrome'], [/Safari/, 'Safari']];
  const found = known.find(([words]) => words.test(agent));
  return found ? found[1] : agent.split(' ')[0].slice(0, 40);
}

interface Part { told: Told; proved: (work: () => void) => void; changed: () => void }

function Apps({ told, proved, changed }: Part): JSX.Element {
  const [name, setName] = useState('');
  const [error, setError] = useState('');
  const { origin } = location;
  const add = async (): Promise<void> => {
    try {
      await post('account/apps', { name: name.trim() });
      setName('');
      setError('');
    } catch (refused) {
      setError(sentence(refused));
    }
    changed();
  };
  return (
    <section class="panel wide-panel">
      <h2>{say('account.apps')}</h2>
      <p class="quiet">{say('account.apps.lead')}</p>
      <dl class="addresses"><Address name={say('account.xtream')} text={origin} /><Address name={say('account.user')} text={told.user} /></dl>
      {told.apps.map((app) => (
        <details key={app.name} class="app" open={app.own}>
          <summary><b>{app.name}</b>{app.own && <span class="tag">{say('account.app.own')}</span>}</summary>
          {app.password ? (
            <dl class="addresses">
              <Address name={say('account.password')} text={app.password} />
              <Address name={say('account.m3u')} text={`${origin}/get.php?username=${encodeURIComponent(told.user)}&password=${encodeURIComponent(app.password)}&type=m3u_plus&output=m3u8`} qr />
              <Address name={say('account.guide')} text={`${origin}/xmltv.php?username=${encodeURIComponent(told.user)}&password=${encodeURIComponent(app.password)}`} />
            </dl>
          ) : <p class="row"><span class="quiet">{say('account.hidden')}</span><button onClick={() => proved(changed)}>{say('account.prove')}</button></p>}
          <p><button class="danger" onClick={() => proved(() => void post('account/apps/remove', { name: app.name }).then(changed, (refused) => setError(sentence(refused))))}>{say('account.app.remove', { name: app.name })}</button></p>
        </details>
      ))}
      <form class="row add" onSubmit={(event) => { event.preventDefault(); proved(() => void add()); }}>
        <Field label={say('account.app.name')} required maxLength={64} value={name} error={error} onInput={(event: Event) => setName((event.target as HTMLInputElement).value)} />
        <button type="submit">{say('account.app.add')}</button>
      </form>
    </section>
  );
}

function Address({ name, text, qr = false }: { name: string; text: string; qr?: boolean }): JSX.Element {
  const [copied, setCopied] = useState(false);
  const [shown, setShown] = useState(false);
  const copy = (): void => {
    const copying = navigator.clipboard ? navigator.clipboard.writeText(text) : Promise.reject(new Error('none'));
    copying.then(() => {
      setCopied(true);
      setTimeout(() => setCopied(false), 2_000);
    }, () => {});
  };
  return (
    <div>
      <dt>{name}</dt>
      <dd><code>{text}</code></dd>
      <dd class="row"><button onClick={copy} aria-label={`${say('account.copy')}: ${name}`}>{say(copied ? 'account.copied' : 'account.copy')}</button>{qr && <button onClick={() => setShown(true)}>{say('account.qr')}</button>}</dd>
      {shown && <Dialog title={name} close={() => setShown(false)} narrow><Code text={text} label={name} /></Dialog>}
    </div>
  );
}

function Security({ told, proved, changed }: Part): JSX.Element {
  const [password, setPassword] = useState('');
  const [said, setSaid] = useState('');
  const [error, setError] = useState('');
  const [setUp, setSetUp] = useState<{ secret: string; address: string } | null>(null);
  const [codes, setCodes] = useState<string[] | null>(null);
  const change = async (): Promise<void> => {
    try {
      await post('account/password', { password });
      setPassword('');
      setError('');
      setSaid(say('account.changed'));
    } catch (refused) {
      setError(sentence(refused));
    }
  };
  const begin = (): void => void post<{ secret: string; address: string }>('account/factor').then(setSetUp, (refused) => setError(sentence(refused)));
  return (
    <section class="panel wide-panel">
      <h2>{say('account.security')}</h2>
      {!told.has_password ? <p class="quiet">{say('account.noPassword')}</p> : (
        <>
          <form class="row add" onSubmit={(event) => { event.preventDefault(); proved(() => void change()); }}>
            <Field label={say('account.new')} type="password" autocomplete="new-password" required minLength={8} value={password} error={error} onInput={(event: Event) => setPassword((event.target as HTMLInputElement).value)} />
            <button type="submit">{say('account.change')}</button>
          </form>
          {said && <p class="good" role="status">{said}</p>}
          <h3>{say('account.factor')}</h3>
          <p class="quiet">{say(told.has_factor ? 'account.factor.on' : 'account.factor.off')}</p>
          {told.has_factor
            ? <button onClick={() => proved(() => void post('account/factor/remove').then(changed, (refused) => setError(sentence(refused))))}>{say('account.factor.remove')}</button>
            : <button onClick={() => proved(begin)}>{say('account.factor.add')}</button>}
        </>
      )}
      {setUp && <SetUp {...setUp} close={() => setSetUp(null)} done={(made) => { setSetUp(null); setCodes(made); changed(); }} />}
      {codes && (
        <Dialog title={say('account.factor')} close={() => setCodes(null)} narrow>
          <p>{say('account.factor.codes')}</p>
          <ul class="codes">{codes.map((code) => <li key={code}><code>{code}</code></li>)}</ul>
          <button data-first class="primary wide" onClick={() => setCodes(null)}>{say('app.done')}</button>
        </Dialog>
      )}
    </section>
  );
}

function SetUp({ secret, address, close, done }: { secret: string; address: string; close: () => void; done: (codes: string[]) => void }): JSX.Element {
  const [code, setCode] = useState('');
  const [error, setError] = useState('');
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    try {
      done((await post<{ recovery_codes: string[] }>('account/factor/confirm', { code: code.trim() })).recovery_codes);
    } catch (refused) {
      setError(refused instanceof Refused && refused.reason === 'wrong' ? say('reason.code') : sentence(refused));
    }
  };
  return (
    <Dialog title={say('account.factor')} close={close} narrow>
      <form onSubmit={submit}>
        <p>{say('account.factor.scan')}</p>
        <Code text={address} label={say('account.factor')} />
        <p class="secret"><code>{secret}</code></p>
        <Field label={say('signin.code')} inputmode="numeric" autocomplete="one-time-code" required value={code} error={error} onInput={(event: Event) => setCode((event.target as HTMLInputElement).value)} />
        <button class="primary wide" type="submit">{say('app.ok')}</button>
      </form>
    </Dialog>
  );
}

function Language({ spoken }: { spoken: () => void }): JSX.Element {
  const { preferences } = useShelf();
  const pick = (language: string | null): void => {
    choose(language, navigator.language);
    void prefer({ language });
    spoken();
  };
  return (
    <section class="panel">
      <h2>{say('account.language')}</h2>
      <div class="chips" role="group" aria-label={say('account.language')}>
        <button class={preferences.language ? 'chip' : 'chip on'} aria-pressed={!preferences.language} onClick={() => pick(null)}>{say('account.language.auto')}</button>
        {LANGUAGES.map(([tag, name]) => <button key={tag} lang={tag} class={preferences.language === tag ? 'chip on' : 'chip'} aria-pressed={preferences.language === tag} onClick={() => pick(tag)}>{name}</button>)}
      </div>
    </section>
  );
}
