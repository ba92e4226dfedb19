// The build for DASH alone is half as large; HLS is the other player's.
import shaka from 'shaka-player/dist/shaka-player.dash.js';
export default shaka;
