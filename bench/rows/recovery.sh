# `kill -9` of a server that keeps days of a channel: how long the next start takes until everything is
# there again, beside a start with nothing kept. Before and after it the past must say the same.
. bench/rows/servers.sh
. bench/rows/past.sh
days=${SHARDCAST_BENCH_DAYS:-7} rounds=${SHARDCAST_BENCH_STARTS:-5}
day=86400

# start_again: with what is there; sets $pid, and $took in ms until it takes connections.
start_again() {
  local begun
  begun=$(date +%s%N)
  launch_live
  until curl -sf -o /dev/null --max-time 1 http://127.0.0.1:8081/readyz; do sleep 0.005; done
  took=$((($(date +%s%N) - begun) / 1000000))
}
killed() {
  kill -9 "$pid"
  wait "$pid" 2>/dev/null || true
  started=()
}
# All that is said of what is kept, a day a text.
said() {
  for at in $(seq 0 $((days - 1))); do
    curl -sf "$base/week/archive/$((from + at * day))-$day/r0/media.m3u8" || echo "nothing of day $at"
  done | sha256sum
}
# Kills and starts it so often; sets $fastest.
fastest_start() {
  fastest=
  for _ in $(seq "$rounds"); do
    killed
    start_again
    if [ -z "$fastest" ] || [ "$took" -lt "$fastest" ]; then fastest=$took; fi
  done
}

start_live "$(past_tables week)"
fastest_start
empty=$fastest
feed_past week $((days * day))
segments=$((days * day / segment))
before=$(said)
fastest_start
full=$fastest
[ "$(said)" = "$before" ] || { echo "bench: the past is not what it was" >&2; exit 1; }
curl -sf -o /dev/null "$base/week/r0/$((from / segment)).m4s"
curl -sf -o /dev/null "$base/week/r0/$((from / segment + segments - 1)).m4s"
echo "ready after $full ms with $segments segments, $empty ms with none (the fastest of $rounds starts each)"
judge "ms for each 10,000 segments" \
  "$(awk -v more=$((full - empty)) -v segments="$segments" 'BEGIN { print more * 10000 / segments }')" 1000
killed
