# What a hundred channels of assets cost while nobody watches them: CPU time of the server over a minute,
# beside that of a server without any. The goal is a thousandth of a core more.
. bench/rows/servers.sh
films=$work/linear.films seconds=${SHARDCAST_BENCH_IDLE_SECONDS:-60}
rm -rf "$films" && mkdir -p "$films"
for name in a b; do
  mkdir "$films/$name"
  ffmpeg -v error -y -f lavfi -i testsrc2=size=160x90:rate=25:duration=20 -f lavfi -i sine=duration=20 \
    -c:v libx264 -preset ultrafast -g 50 -sc_threshold 0 -c:a aac -f dash -seg_duration 2 -use_timeline 1 \
    -init_seg_name 'init-$RepresentationID$.mp4' -media_seg_name 'seg-$RepresentationID$-$Number$.m4s' \
    "$films/$name/manifest.mpd"
done

# Milliseconds that the server has run, all its threads, in steps of 10 ms as the kernel tells it.
ran() { sed 's/.*) //' /proc/"$pid"/stat | awk -v ticks="$(getconf CLK_TCK)" '{ print ($12 + $13) * 1000 / ticks }'; }

# idle TABLES: starts a server with these, has a look at each channel, and sets $spent.
idle() {
  start_live "$1"
  sleep 2
  for id in $(sed -n 's/^id = "\(.*\)"$/\1/p' <<<"$1"); do
    curl -sf -o "$work/linear.list" "$base/$id/v0/index.m3u8"
    grep -q '^#EXT-X-PROGRAM-DATE-TIME' "$work/linear.list"
  done
  sleep 2
  local before after
  before=$(ran)
  sleep "$seconds"
  after=$(ran)
  spent=$((after - before))
  stop_server
}

# share LABEL MILLISECONDS
share() {
  awk -v label="$1" -v spent="$2" -v seconds="$seconds" \
    'BEGIN { printf "%-24s %5d ms of CPU in %d s, %.3f %% of a core\n", label, spent, seconds, spent / seconds / 10 }'
}

library="[[library]]
path = \"$films\""
idle "$library"
none=$spent
tables=$library
for at in $(seq 100); do
  tables+="
[[channel]]
id = \"linear$at\"
playlist = [\"a\", \"b\", \"a\"]"
  # Every other one has times of day.
  [ $((at % 2)) -eq 0 ] || tables=${tables/%'"b", "a"]'/'{ asset = "b", at = "20:15" }]'}
done
idle "$tables"
share "no channel" "$none"
share "100 channels of assets" "$spent"
awk -v more=$((spent - none)) -v seconds="$seconds" 'BEGIN {
  share = more / seconds / 10
  printf "%-24s %.3f %% of a core for 100 channels (goal: 0.1 %%, %s)\n", "more", share, share <= 0.1 ? "met" : "missed"
}'
