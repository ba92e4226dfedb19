# How many apps a core lets in: addresses with another user and password of 100,000 in each request,
# for a channel's playlist and for a film in place; beside the channel's own playlist with a token.
. bench/rows/servers.sh
count=${SHARDCAST_BENCH_SUBSCRIBERS:-100000} failed=
folder=$work/starts
rm -rf "$folder" && mkdir -p "$folder/library"
head -c 2048 /dev/zero >"$folder/library/film.mp4"
start_live "[[library]]
path = \"$folder/library\"
access = \"token\"
[[channel]]
id = \"news\"
window = \"1h\"
access = \"token\""
socket=$work/row-live.state/admin.sock
api() { curl -sf --unix-socket "$socket" -H 'Content-Type: application/json' "$@"; }
ffmpeg -v error -nostdin -f lavfi -i testsrc=size=64x36:rate=25 -f lavfi -i sine=sample_rate=48000 -t 6 \
  -c:v libx264 -preset ultrafast -g 25 -pix_fmt yuv420p -c:a aac \
  -f hls -hls_time 1 -method PUT http://127.0.0.1:8082/ingest/news/s.m3u8
api -d '{"id":"film.mp4","name":"Film"}' http://a/api/v1/assets >/dev/null
api -d '{"id":"all","name":"All","content":["tv/news","vod/film.mp4"]}' http://a/api/v1/bouquets >/dev/null
api -d '{"id":"gold","name":"Gold","bouquets":["all"]}' http://a/api/v1/plans >/dev/null
news=$(api http://a/api/v1/channels/news | jq .number)
film=$(api http://a/api/v1/assets/film.mp4 | jq .number)
{
  echo username,password
  awk -v count="$count" 'BEGIN { for (of = 1; of <= count; of++) printf "s%d,pass%dword%d\n", of, of * 7919, of }'
} >"$folder/all.csv"
$server import --config "$work/row-live.toml" "$folder/all.csv" --plan gold --report "$folder/report" >/dev/null
token=$(api -d '{"subscriber":"s1"}' http://a/api/v1/tokens | jq -r .token)
# addresses KIND NUMBER EXTENSION: one for each subscriber.
addresses() {
  awk -v count="$count" -v kind="$1" -v number="$2" -v extension="$3" 'BEGIN {
    for (of = 1; of <= count; of++)
      printf "http://127.0.0.1:8080/%s/s%d/pass%dword%d/%s.%s\n", kind, of, of * 7919, of, number, extension
  }'
}
addresses live "$news" m3u8 >"$folder/playlists"
addresses movie "$film" mp4 >"$folder/films"
echo "http://127.0.0.1:8080/s/$token/tv/news/master.m3u8" >"$folder/token"
await "$(head -1 "$folder/playlists")" -f
echo "$count subscribers, $(awk '/^VmRSS/ { print int($2 / 1024) }' "/proc/$pid/status") MiB"
for what in token playlists films; do
  "$bench" saturate --urls "$folder/$what" --server-pid "$pid" --cpu 1 --duration "${duration:-3s}" --json \
    >"$folder/$what.json"
  jq -r --arg what "$what" '"\($what): \(.requests_per_second | floor) a second, \(.server_cpu_us_per_request) us of CPU, \(.errors)"' \
    "$folder/$what.json"
done
# As many a second at least.
judge "20,000 to the playlists that a core starts a second" \
  "$(jq '20000 / .requests_per_second' "$folder/playlists.json")" 1 || failed=1
stop_server
[ -z "$failed" ]
