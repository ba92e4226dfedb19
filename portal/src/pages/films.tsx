// Films and series: posters, what one goes on with, and what is told of one.
import type { JSX } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { get } from '../api';
import type { Category, Position, Title } from '../api';
import { Dialog, Empty, Icon, Picture, sentence, Spinner } from '../parts';
import { go, to } from '../route';
import { isLocked, useShelf } from '../shelf';
import { say, span } from '../words';
import { positions } from './player';
import { AskPin } from './tv';

interface Page { categories: Category[]; films?: Title[]; series?: Title[]; count: number }
const AT_ONCE = 60;

/** Where a title is played, from so many seconds on. */
export const watch = (title: Title, from = 0): void =>
  go(`watch/${title.id}`, `title=${encodeURIComponent(title.name)}${from ? `&from=${Math.floor(from)}` : ''}`);

export function Films(): JSX.Element {
  return <Catalogue kind="films" />;
}

export function SeriesAll(): JSX.Element {
  return <Catalogue kind="series" />;
}

function Catalogue({ kind }: { kind: 'films' | 'series' }): JSX.Element {
  useShelf();
  const [page, setPage] = useState<Page | null>(null);
  const [titles, setTitles] = useState<Title[]>([]);
  const [category, setCategory] = useState('');
  const [search, setSearch] = useState('');
  const [stopped, setStopped] = useState<Position[]>([]);
  const [open, setOpen] = useState<Title | null>(null);
  const [locked, setLocked] = useState<Title | null>(null);
  const [error, setError] = useState<unknown>(null);
  const asked = useRef(0);
  const load = async (from: number): Promise<void> => {
    asked.current += 1;
    const mine = asked.current;
    const query = [`from=${from}`, `limit=${AT_ONCE}`];
    if (category) query.push(`category=${encodeURIComponent(category)}`);
    if (search) query.push(`search=${encodeURIComponent(search)}`);
    try {
      const told = await get<Page>(`${kind}?${query.join('&')}`);
      if (mine !== asked.current) return;
      const more = (kind === 'films' ? told.films : told.series) || [];
      setPage(told);
      setTitles((before) => (from > 0 ? before.concat(more) : more));
      setError(null);
    } catch (refused) {
      setError(refused);
    }
  };
  useEffect(() => {
    const timer = setTimeout(() => void load(0), search ? 250 : 0);
    return () => clearTimeout(timer);
  }, [category, search, kind]);
  useEffect(() => { void positions().then(setStopped, () => {}); }, []);
  if (error) return <Empty text={sentence(error)}><button onClick={() => void load(0)}>{say('app.retry')}</button></Empty>;
  if (!page) return <Spinner />;
  const pick = (title: Title): void => {
    if (isLocked(title.categories, !!(title.details && title.details.adult))) setLocked(title);
    else if (kind === 'series') go(`series/${title.id}`);
    else setOpen(title);
  };
  const going = kind === 'films' && !category && !search
    ? stopped.map((one) => ({ one, title: titles.find(({ id }) => id === one.content) })).filter((pair): pair is { one: Position; title: Title } => !!pair.title) : [];
  return (
    <section class="page">
      <header class="page-head">
        <h1>{say(kind === 'films' ? 'films.title' : 'series.title')}</h1>
        <span class="quiet">{say('films.found', { count: page.count })}</span>
        <label class="search"><Icon name="search" /><span class="unseen">{say('app.search')}</span><input type="search" placeholder={say('app.search')} value={search} onInput={(event) => setSearch((event.target as HTMLInputElement).value)} /></label>
      </header>
      {page.categories.length > 0 && (
        <div class="chips" role="group">
          {[{ id: '', name: say('app.all'), sorts: '' }, ...page.categories].map(({ id, name }) => <button key={id} class={category === id ? 'chip on' : 'chip'} aria-pressed={category === id} onClick={() => setCategory(id)}>{name}</button>)}
        </div>
      )}
      {going.length > 0 && (
        <>
          <h2>{say('films.continue')}</h2>
          <ul class="posters row-of">{going.map(({ one, title }) => <Poster key={title.id} title={title} share={one.seconds / one.duration} pick={() => watch(title, one.seconds)} />)}</ul>
          <h2>{say('app.all')}</h2>
        </>
      )}
      {titles.length === 0 ? <Empty text={say(kind === 'films' ? 'films.empty' : 'series.empty')} /> : <ul class="posters">{titles.map((title) => <Poster key={title.id} title={title} pick={() => pick(title)} />)}</ul>}
      {titles.length < page.count && <p class="more"><button onClick={() => void load(titles.length)}>{say('films.more')}</button></p>}
      {open && <About title={open} stopped={stopped.find(({ content }) => content === open.id)} close={() => setOpen(null)} />}
      {locked && <AskPin close={() => setLocked(null)} entered={() => { setOpen(locked); setLocked(null); }} />}
    </section>
  );
}

function Poster({ title, pick, share }: { title: Title; pick: () => void; share?: number }): JSX.Element {
  const details = title.details || {};
  return (
    <li>
      <button class="poster" onClick={pick}>
        <span class="poster-picture"><Picture source={details.poster} name={title.name} wide={320} />{share !== undefined && <span class="progress"><span style={{ transform: `scaleX(${share})` }} /></span>}</span>
        <span class="poster-name">{title.name}</span>
        <span class="poster-more">{[details.year, details.genres && details.genres[0]].filter(Boolean).join(' · ')}</span>
      </button>
    </li>
  );
}

function Facts({ title }: { title: Title }): JSX.Element {
  const { year, rating, duration_s: seconds, genres, age, country } = title.details || {};
  const facts = [year, seconds && say('films.minutes', { minutes: Math.round(seconds / 60) }), rating && `★ ${rating.toFixed(1)}`, age && `${age}+`, country, (genres || []).slice(0, 3).join(', ')];
  return <p class="facts">{facts.filter(Boolean).map((fact) => <span key={fact}>{fact}</span>)}</p>;
}

function About({ title, stopped, close }: { title: Title; stopped?: Position; close: () => void }): JSX.Element {
  const details = title.details || {};
  return (
    <Dialog title={title.name} close={close}>
      <div class="about">
        <span class="poster-picture"><Picture source={details.poster} name={title.name} wide={320} /></span>
        <div>
          <Facts title={title} />
          {details.plot && <p>{details.plot}</p>}
          {details.cast && details.cast.length > 0 && <p class="quiet">{details.cast.slice(0, 6).join(', ')}</p>}
          <p class="row">
            {stopped
              ? <><button data-first class="primary" onClick={() => watch(title, stopped.seconds)}><Icon name="play" filled />{say('films.resume', { time: span(stopped.seconds) })}</button><button onClick={() => watch(title)}>{say('films.restart')}</button></>
              : <button data-first class="primary" onClick={() => watch(title)}><Icon name="play" filled />{say('films.play')}</button>}
          </p>
        </div>
      </div>
    </Dialog>
  );
}

interface Told { series: Title & { seasons?: { season: number; name: string }[] }; episodes: Title[] | null }

export function OneSeries({ id }: { id: string }): JSX.Element {
  const [told, setTold] = useState<Told | null>(null);
  const [stopped, setStopped] = useState<Position[]>([]);
  const [season, setSeason] = useState<number | null>(null);
  const [error, setError] = useState<unknown>(null);
  useEffect(() => {
    get<Told>(`series/${encodeURIComponent(id)}`).then(setTold, setError);
    void positions().then(setStopped, () => {});
  }, [id]);
  if (error) return <Empty text={sentence(error)}><a class="button" href={to('series')}>{say('app.back')}</a></Empty>;
  if (!told) return <Spinner />;
  const episodes = told.episodes || [];
  const seasons = Array.from(new Set(episodes.map((one) => one.season || 0)));
  const current = season === null ? seasons[0] : season;
  const nameOf = (number: number): string => {
    const named = (told.series.seasons || []).find((one) => one.season === number);
    return named ? named.name : say('series.season', { season: number });
  };
  const details = told.series.details || {};
  return (
    <section class="page">
      <div class="about hero">
        <span class="poster-picture"><Picture source={details.poster} name={told.series.name} wide={320} /></span>
        <div><a class="link" href={to('series')}>{say('series.title')}</a><h1>{told.series.name}</h1><Facts title={told.series} />{details.plot && <p>{details.plot}</p>}</div>
      </div>
      {seasons.length > 1 && <div class="chips" role="group">{seasons.map((one) => <button key={one} class={one === current ? 'chip on' : 'chip'} aria-pressed={one === current} onClick={() => setSeason(one)}>{nameOf(one)}</button>)}</div>}
      <ol class="episodes">
        {episodes.filter((one) => (one.season || 0) === current).map((one) => {
          const left = stopped.find(({ content }) => content === one.id);
          return (
            <li key={one.id}>
              <button onClick={() => watch({ ...one, name: `${told.series.name} · ${one.name || say('series.episode', { episode: one.episode || 0 })}` }, left ? left.seconds : 0)}>
                <span class="channel-number">{one.episode}</span>
                <span class="grow"><b>{one.name || say('series.episode', { episode: one.episode || 0 })}</b>{one.details && one.details.plot && <span class="quiet">{one.details.plot}</span>}
                  {left && <span class="progress"><span style={{ transform: `scaleX(${left.seconds / left.duration})` }} /></span>}</span>
                <Icon name="play" filled />
              </button>
            </li>
          );
        })}
      </ol>
    </section>
  );
}
