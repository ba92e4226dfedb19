# Two hours of the past, out of a week that is kept beside out of a day: the first request for a text,
# which writes it, and the next one; beside a file of a library with the same bytes.
. bench/rows/servers.sh
. bench/rows/past.sh
days=${SHARDCAST_BENCH_DAYS:-7} count=${SHARDCAST_BENCH_TEXTS:-200}
length=7200 day=86400 failed=
library=$work/past.library
rm -rf "$library" && mkdir -p "$library/copy"
start_live "$(past_tables week day)
[[library]]
path = \"$library\""
feed_past week $((days * day))
week=$from
feed_past day "$day"
echo "$((days * day / segment)) segments of $segment s are kept of one channel, $((day / segment)) of the other;" \
  "$(du -sh "$work/row-live.state/archive" | cut -f1)"

# What a file of the same bytes costs.
curl -sf -o "$library/copy/media.m3u8" "$base/day/archive/$from-$length/r0/media.m3u8"
await http://127.0.0.1:8080/vod/copy/media.m3u8 -f
echo "a text of $length s has $(grep -c '^#EXTINF' "$library/copy/media.m3u8") segments," \
  "$(stat -c %s "$library/copy/media.m3u8") bytes"

# Each text for the first time and once more, the channels by turns, on one connection.
urls=$work/past.urls times=$work/past.times
ask() {
  printf 'next\nurl = "%s"\nsilent\noutput = "/dev/null"\n' "$2"
  printf 'write-out = "%s %%{http_code} %%{time_pretransfer} %%{time_total}\\n"\n' "$1"
}
starts() {
  awk -v count="$count" -v week="$week" -v day="$from" -v long="$((days * day - length))" \
    -v short="$((day - length))" 'BEGIN {
      srand(1)
      for (at = 0; at < count; at++) printf "%d %d\n", week + rand() * long, day + rand() * short
    }'
}
starts | while read -r in_week in_day; do
  of_week=$base/week/archive/$in_week-$length/r0/media.m3u8
  of_day=$base/day/archive/$in_day-$length/r0/media.m3u8
  ask week-first "$of_week" && ask day-first "$of_day"
  ask week-again "$of_week" && ask day-again "$of_day"
  ask file http://127.0.0.1:8080/vod/copy/media.m3u8
done | tail -n +2 >"$urls"
taskset -c 1 curl --config "$urls" >"$times"
refused=$(awk '$2 != 200' "$times" | wc -l)
[ "$refused" -eq 0 ] || { echo "bench: $refused answers were not 200" >&2; exit 1; }
# quantile NAME SHARE: in ms, from when the request could be sent to its last byte.
quantile() {
  awk -v name="$1" '$1 == name { print ($4 - $3) * 1000 }' "$times" | sort -n |
    awk -v share="$2" '{ all[NR] = $1 } END { at = int(NR * share + 0.999999); print all[at < 1 ? 1 : at] }'
}
printf '%-12s %10s %10s %10s   ms\n' request p50 p99 max
for name in week-first day-first week-again day-again file; do
  printf '%-12s %10.3f %10.3f %10.3f\n' "$name" "$(quantile "$name" 0.5)" "$(quantile "$name" 0.99)" "$(quantile "$name" 1)"
done
[ "$(wc -l <"$times")" -eq $((5 * count)) ] || { echo "bench: not all was answered" >&2; exit 1; }
judge "p50 of first texts out of $days days to those out of one" \
  "$(awk -v a="$(quantile week-first 0.5)" -v b="$(quantile day-first 0.5)" 'BEGIN { print a / b }')" 1.2 || failed=1
judge "p99 of first texts, in ms" "$(quantile week-first 0.99)" 10 || failed=1
stop_server
[ -z "$failed" ] || exit 1
