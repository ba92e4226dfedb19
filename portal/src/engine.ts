// Two players behind one face: hls.js and shaka-player, each loaded when it is first used. Where a
// browser has neither Media Source Extensions nor a need for them (Safari on a phone), it plays HLS
// by itself.

export interface Choice { id: number; name: string; chosen: boolean }
export interface Failure { reason: string; detail: string }
export interface Wish { base: string; live: boolean; lowLatency: boolean; at: number }
export interface Figures { bitrate: number; bandwidth: number; latency: number | null; name: string }

export interface Engine {
  qualities(): Choice[];
  chooseQuality(id: number): void;
  audios(): Choice[];
  chooseAudio(id: number): void;
  subtitles(): Choice[];
  chooseSubtitle(id: number): void;
  figures(): Figures;
  /** Seconds at which live is; none if it is not live. */
  edge(): number | null;
  destroy(): void;
}

export type Protocol = 'hls' | 'dash';
type Fail = (failure: Failure) => void;

const height = (h: number, bits: number): string =>
  h > 0 ? `${h}p · ${(bits / 1e6).toFixed(1)} Mbit/s` : `${Math.round(bits / 1000)} kbit/s`;

/** Starts playing in `video`; `changed` is called when there is something else to choose from. */
export async function play(video: HTMLVideoElement, wish: Wish, protocol: Protocol, fail: Fail, changed: () => void): Promise<Engine> {
  if (protocol === 'dash') return dash(video, wish, fail, changed);
  const { default: Hls } = await import('./engines/hls');
  if (Hls.isSupported()) return hls(Hls, video, wish, fail, changed);
  return byItself(video, wish, fail);
}

/** Fetches the usual player before it is needed. */
export const warm = (): void => void import('./engines/hls');

function reasonOf(headers: string | null, status: number): string {
  if (headers) return headers;
  if (status === 404) return 'not-found';
  if (status === 403) return 'token-missing';
  if (status === 503) return 'busy';
  return 'network';
}

type HlsClass = typeof import('./engines/hls').default;

function hls(Hls: HlsClass, video: HTMLVideoElement, wish: Wish, fail: Fail, changed: () => void): Engine {
  const player = new Hls({
    // A worker would be made of a blob; what it saves is little at these rates.
    enableWorker: false,
    lowLatencyMode: wish.lowLatency,
    startPosition: wish.at > 0 ? wish.at : -1,
    backBufferLength: 60,
    maxBufferLength: wish.live ? 12 : 30,
    // The first picture comes sooner where the first level is not tested by a download of its own.
    testBandwidth: false,
    abrEwmaDefaultEstimate: 4_000_000,
    capLevelToPlayerSize: false,
    progressive: false,
    liveSyncDurationCount: 2,
    maxLiveSyncPlaybackRate: 1.05,
  });
  let recovered = 0;
  player.on(Hls.Events.ERROR, (_, data) => {
    const details = data.networkDetails as XMLHttpRequest | undefined;
    const said = details && typeof details.getResponseHeader === 'function' ? details.getResponseHeader('X-Shardcast-Reason') : null;
    const status = (data.response && data.response.code) || 0;
    const isRefused = status === 403 || (said !== null && data.fatal);
    if (isRefused || (data.fatal && data.type === Hls.ErrorTypes.NETWORK_ERROR)) {
      player.stopLoad();
      fail({ reason: reasonOf(said, status), detail: `${data.details} ${status || ''}` });
    } else if (data.fatal && data.type === Hls.ErrorTypes.MEDIA_ERROR && recovered < 2) {
      recovered += 1;
      player.recoverMediaError();
    } else if (data.fatal) {
      fail({ reason: 'media', detail: data.details });
    }
  });
  for (const event of [Hls.Events.MANIFEST_PARSED, Hls.Events.LEVEL_SWITCHED, Hls.Events.AUDIO_TRACKS_UPDATED, Hls.Events.SUBTITLE_TRACKS_UPDATED] as const) {
    player.on(event as typeof Hls.Events.MANIFEST_PARSED, changed);
  }
  player.loadSource(`${wish.base}${wish.live && wish.lowLatency ? 'll.m3u8' : 'master.m3u8'}`);
  player.attachMedia(video);
  return {
    qualities: () => player.levels.map((level, id) => ({ id, name: height(level.height, level.bitrate), chosen: !player.autoLevelEnabled && player.currentLevel === id })),
    chooseQuality: (id) => { player.nextLevel = id; },
    audios: () => player.audioTracks.map((track, id) => ({ id, name: track.name || track.lang || String(id + 1), chosen: player.audioTrack === id })),
    chooseAudio: (id) => { player.audioTrack = id; },
    subtitles: () => player.subtitleTracks.map((track, id) => ({ id, name: track.name || track.lang || String(id + 1), chosen: player.subtitleTrack === id })),
    chooseSubtitle: (id) => { player.subtitleTrack = id; player.subtitleDisplay = id >= 0; },
    figures: () => {
      const level = player.levels[player.currentLevel];
      return {
        bitrate: level ? level.bitrate : 0, bandwidth: player.bandwidthEstimate || 0,
        latency: wish.live ? player.latency : null, name: `hls.js ${Hls.version}`,
      };
    },
    edge: () => (wish.live ? player.liveSyncPosition : null),
    destroy: () => player.destroy(),
  };
}

async function dash(video: HTMLVideoElement, wish: Wish, fail: Fail, changed: () => void): Promise<Engine> {
  const { default: shaka } = await import('./engines/shaka');
  shaka.polyfill.installAll();
  const player = new shaka.Player();
  await player.attach(video);
  player.configure({
    streaming: { bufferingGoal: wish.live ? 12 : 30, rebufferingGoal: 1, lowLatencyMode: wish.lowLatency, inaccurateManifestTolerance: 0 },
    manifest: { dash: { ignoreMinBufferTime: true } },
  });
  const failed = (error: { code?: number; category?: number; data?: unknown[] }): void => {
    const data = error.data || [];
    const status = typeof data[1] === 'number' ? data[1] : 0;
    const headers = (data[3] || {}) as Record<string, string>;
    const isNetwork = error.category === 1;
    fail({ reason: isNetwork ? reasonOf(headers['x-shardcast-reason'] || null, status) : 'media', detail: `shaka ${error.code}` });
  };
  player.addEventListener('error', (event) => failed((event as unknown as { detail: { code: number } }).detail));
  for (const event of ['trackschanged', 'adaptation', 'variantchanged']) player.addEventListener(event, changed);
  player.load(`${wish.base}${wish.live && wish.lowLatency ? 'll.mpd' : 'manifest.mpd'}`, wish.at > 0 ? wish.at : undefined).catch(failed);
  let auto = true;
  return {
    qualities: () => player.getVariantTracks().map((track, index) => ({ track, index }))
      .filter(({ track, index }) => player.getVariantTracks().findIndex((one) => one.height === track.height && one.videoBandwidth === track.videoBandwidth) === index)
      .map(({ track, index }) => ({ id: index, name: height(track.height || 0, track.bandwidth), chosen: !auto && track.active })),
    chooseQuality: (id) => {
      auto = id < 0;
      player.configure('abr.enabled', auto);
      const track = player.getVariantTracks()[id];
      if (track) player.selectVariantTrack(track, true);
    },
    audios: () => player.getAudioTracks().map((track, id) => ({ id, name: track.label || track.language || String(id + 1), chosen: track.active })),
    chooseAudio: (id) => player.selectAudioTrack(player.getAudioTracks()[id]),
    subtitles: () => player.getTextTracks().map((track, id) => ({ id, name: track.label || track.language || String(id + 1), chosen: track.active })),
    chooseSubtitle: (id) => {
      const track = player.getTextTracks()[id];
      player.selectTextTrack(track || null);
    },
    figures: () => {
      const stats = player.getStats();
      return { bitrate: stats.streamBandwidth || 0, bandwidth: stats.estimatedBandwidth || 0, latency: wish.live ? stats.liveLatency || null : null, name: `shaka ${shaka.Player.version}` };
    },
    edge: () => (wish.live && player.isLive() ? player.seekRange().end : null),
    destroy: () => void player.destroy(),
  };
}

function byItself(video: HTMLVideoElement, wish: Wish, fail: Fail): Engine {
  const failed = (): void => {
    const code = video.error ? video.error.code : 0;
    fail({ reason: code === 2 ? 'network' : 'media', detail: `media error ${code}` });
  };
  video.addEventListener('error', failed);
  video.src = `${wish.base}master.m3u8`;
  if (wish.at > 0) video.addEventListener('loadedmetadata', () => { video.currentTime = wish.at; }, { once: true });
  const none = (): Choice[] => [];
  return {
    qualities: none, chooseQuality: () => {}, audios: none, chooseAudio: () => {}, subtitles: none, chooseSubtitle: () => {},
    figures: () => ({ bitrate: 0, bandwidth: 0, latency: null, name: 'browser' }),
    edge: () => (wish.live && video.seekable.length ? video.seekable.end(video.seekable.length - 1) : null),
    destroy: () => {
      video.removeEventListener('error', failed);
      video.removeAttribute('src');
      video.load();
    },
  };
}
