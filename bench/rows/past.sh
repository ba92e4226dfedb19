# Sourced by the rows about what is kept of channels, behind servers.sh: days of a channel, fed
# quickly with a small picture, in segments of 2 s.
#
# All that is fed within an hour of the clock lies in one hour of the archive, and that one is open.
segment=2

# One table a channel of these names.
past_tables() {
  local id
  for id in "$@"; do
    printf '[[channel]]\nid = "%s"\nsegment = "%ss"\npart = "%ss"\n' "$id" "$segment" "$segment"
    printf 'window = "30s"\npatience = "1h"\narchive = "30d"\n'
  done
}

# feed_past CHANNEL SECONDS: so much until ten minutes ago; sets $from, and waits until it is kept.
feed_past() {
  local channel=$1 seconds=$2 media=$work/past.mp4 kept tries=0
  from=$((($(date +%s) - seconds - 600) / segment * segment))
  [ -f "$media" ] || ffmpeg -v error -y -f lavfi -i testsrc2=size=64x36:rate=4:duration=8 -c:v libx264 \
    -preset ultrafast -g $((4 * segment)) -sc_threshold 0 \
    -movflags frag_keyframe+empty_moov+default_base_moof "$media"
  kept=$(($(kept_segments) + seconds / segment))
  # That it is late (3) does not matter.
  "$bench" feed http://127.0.0.1:8082/ingest --source "$media" --channel "$channel" --alike --mode long \
    --segment "${segment}s" --from "$from" --duration "${seconds}s" --speed 10000 >"$work/past.feed" 2>&1 ||
    [ $? -eq 3 ]
  until [ "$(kept_segments)" -ge "$kept" ]; do
    tries=$((tries + 1))
    [ "$tries" -lt 600 ] || { echo "bench: $(kept_segments) of $kept segments are kept" >&2; return 1; }
    sleep 0.1
  done
}

kept_segments() { metric shardcast_archive_segments_total 'result="committed"'; }
