// The portal: who is there, where they are, what is around it.
import './polyfills';
import './style.css';
import { render } from 'preact';
import type { JSX } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { forget, session, whenNobody } from './api';
import type { Session } from './api';
import { isBack, listen } from './focus';
import { Icon, Mark, Spinner, Empty, sentence } from './parts';
import { go, to, usePlace } from './route';
import { empty, load, useShelf } from './shelf';
import { choose, say } from './words';
import type { Key } from './words';
import { Account } from './pages/account';
import { Guide } from './pages/guide';
import { Films, OneSeries, SeriesAll } from './pages/films';
import { Watch } from './pages/player';
import { Confirm, isTelevision, SignIn } from './pages/signin';
import { Tv } from './pages/tv';

const PAGES: [string, Key][] = [['tv', 'app.tv'], ['guide', 'app.guide'], ['films', 'app.films'], ['series', 'app.series'], ['account', 'app.account']];

function App(): JSX.Element {
  const place = usePlace();
  const shelf = useShelf();
  const [who, setWho] = useState<Session | null | undefined>(undefined);
  const [error, setError] = useState<unknown>(null);
  const [, redraw] = useState(0);
  const enter = async (): Promise<void> => {
    try {
      const found = await session();
      if (found) {
        choose(found.language, navigator.language);
        await load();
      }
      setWho(found);
      setError(null);
    } catch (refused) {
      setError(refused);
    }
  };
  useEffect(() => {
    whenNobody(() => {
      forget();
      empty();
      setWho(null);
    });
    void enter();
  }, []);
  const { language } = shelf.preferences;
  useEffect(() => {
    if (language) choose(language, navigator.language);
    redraw((one) => one + 1);
  }, [language]);
  // A page that is entered has the focus where a remote control expects it.
  useEffect(() => {
    scrollTo(0, 0);
    if (place.page === 'watch' || !who) return;
    const first = document.querySelector<HTMLElement>('#main a[href], #main button');
    if (first && document.documentElement.classList.contains('keys')) first.focus({ preventScroll: true });
  }, [place.page, !!who]);
  useEffect(() => {
    const keys = (event: KeyboardEvent): void => {
      if (!isBack(event) || event.defaultPrevented || place.page === 'watch' || !who) return;
      if (place.page !== 'tv') go('tv');
    };
    document.addEventListener('keydown', keys);
    return () => document.removeEventListener('keydown', keys);
  });
  if (error) return <Empty text={sentence(error)}><button class="primary" onClick={() => void enter()}>{say('app.retry')}</button></Empty>;
  if (who === undefined) return <div class="first"><Mark /><Spinner /></div>;
  if (who === null) return <SignIn entered={() => void enter()} />;
  if (place.page === 'watch') return <main id="main"><Watch place={place} /></main>;
  return (
    <div class="frame">
      <a class="skip" href="#main" onClick={(event) => { event.preventDefault(); const main = document.getElementById('main'); if (main) main.focus(); }}>{say('app.skip')}</a>
      <nav class="rail" aria-label={say('app.menu')}>
        <a class="rail-name" href={to('tv')} aria-label="shardcast"><Mark /><span>shardcast</span></a>
        {PAGES.map(([page, key]) => (
          <a key={page} class={place.page === page ? 'rail-item on' : 'rail-item'} aria-current={place.page === page ? 'page' : undefined} href={to(page)}><Icon name={page} /><span>{say(key)}</span></a>
        ))}
      </nav>
      <main id="main" tabIndex={-1}>
        {place.page === 'guide' ? <Guide /> : place.page === 'films' ? <Films />
          : place.page === 'series' ? (place.rest ? <OneSeries id={place.rest} /> : <SeriesAll />)
            : place.page === 'account' ? <Account left={() => setWho(null)} spoken={() => redraw((one) => one + 1)} />
              : place.page === 'code' ? <Confirm scanned={place.rest} />
                : <Tv />}
      </main>
    </div>
  );
}

choose(navigator.language);
listen();
if (isTelevision()) document.documentElement.classList.add('television', 'keys');
const root = document.getElementById('app');
if (root) {
  root.textContent = '';
  render(<App />, root);
}
