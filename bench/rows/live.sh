# Playlists and segments of a live channel, against nginx that serves the same bytes as files.
#
# The channel is fed half a minute of media quickly, and then stands still: its texts and segments
# are copied to files, and the servers that `compare` starts are fed the same bytes again.
. bench/rows/servers.sh
media=$work/live.mp4 files=$work/live.files from=1700000000
rm -rf "$work/live.paths"
ffmpeg -v error -y -f lavfi -i testsrc2=size=1280x720:rate=24:duration=8 -vf noise=alls=20:allf=t \
  -c:v libx264 -preset ultrafast -b:v 4200k -minrate 4200k -maxrate 4200k -bufsize 2100k \
  -g 48 -sc_threshold 0 -movflags frag_keyframe+empty_moov+default_base_moof -frag_duration 500000 "$media"
tables='[[channel]]
id = "row"
segment = "2s"
part = "500ms"
window = "30s"
patience = "1h"'
# A feed of the same moment is the same to the last bit. That it is late (3) does not matter.
feed() {
  "$bench" feed http://127.0.0.1:8082/ingest --source "$media" --channel row --alike --from "$from" \
    --duration 32s --speed 100 >"$work/live.feed" 2>&1 || [ $? -eq 3 ]
}

start_live "$tables"
feed
name=r0 last=$((from / 2 + 15))
await "$base/row/$name/$last.m4s" -f
sleep 1
rm -rf "$files" && mkdir -p "$files/$name"
for text in master.m3u8 manifest.mpd ll.mpd "$name/index.m3u8" "$name/ll.m3u8"; do
  curl -sf -o "$files/$text" "$base/row/$text"
done
for segment in $(grep -v '^#' "$files/$name/index.m3u8"); do
  curl -sf -o "$files/$name/$segment" "$base/row/$name/$segment"
  echo "/$name/$segment" >>"$work/live.paths"
done
stop_server
chmod -R a+rX "$files"
echo "$(wc -l <"$work/live.paths") segments, $(du -sh --apparent-size "$files" | cut -f1);" \
  "ll.m3u8 $(stat -c %s "$files/$name/ll.m3u8") bytes"

invalid=
against_nginx() {
  local status=0
  rm -rf "$work/row-live.state"
  # The server that `compare` starts is fed as soon as it takes something, which is over before the
  # warm-up of the other one is.
  (await http://127.0.0.1:8082/ && feed) &
  feeder=$!
  "$bench" compare --awake --root "$files" --server nginx --prefix live=/tv/row --rounds 10 --warmup 1s \
    --server "live=$server serve --config $work/row-live.toml --listen 127.0.0.1:@PORT@" \
    --duration "${SHARDCAST_BENCH_DURATION:-3s}" --scratch "$work/live.scratch" "$@" || status=$?
  wait "$feeder"
  case "$status" in
    0) ;;
    3) invalid=1 ;;
    *) exit "$status" ;;
  esac
}
echo "-- low-latency playlists"
against_nginx --path "/$name/ll.m3u8"
echo "-- playlists for every player, and the manifest"
against_nginx --path "/$name/index.m3u8" --path /manifest.mpd
echo "-- segments"
against_nginx --paths-file "$work/live.paths" --half-load
[ -z "$invalid" ] || exit 3
