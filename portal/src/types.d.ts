declare module '*.css';
declare module 'shaka-player/dist/shaka-player.dash.js' {
  export { default } from 'shaka-player';
}
