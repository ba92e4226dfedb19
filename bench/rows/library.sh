# A library of 1,000,000 objects in 10,000 packs: ready after, memory, 100 hot objects against a small
# library, and what a hot client notices while every pack is opened for the first time.
. bench/rows/servers.sh
packs=$work/million.packs small=$work/million-small hot=$work/million.hot
[ -d "$packs" ] || { echo "bench: run the row million first, which makes the packs" >&2; exit 1; }
rm -rf "$small" && mkdir "$small" && ln "$packs/d0000.pack" "$small/"
for file in $(seq -f 'f%03g.bin' 0 99); do echo "/d0000/$file"; done >"$hot"

echo "-- ready, and memory"
begun=$(date +%s%N)
start_shardcast "$packs"
until [ "$(curl -s -o /dev/null -w '%{http_code}' http://127.0.0.1:8081/readyz)" = 200 ]; do sleep 0.01; done
echo "readyz said 200 after $((($(date +%s%N) - begun) / 1000000)) ms"
grep -E 'VmRSS|RssAnon' "/proc/$pid/status"

echo "-- a hot client while 16 others ask for one object of each pack, 1,000 a second, nobody having opened any"
find "$packs" -name 'd*.pack' -printf '%f\n' | sort | sed "s#\(.*\)\.pack#$base/\1/f001.bin#" >"$work/million.urls"
"$bench" storm "$base/d0000/f000.bin" --storm-urls "$work/million.urls" --pulls 16 --pull-rate 1000 --duration 10s --ramp 0s \
  --settle 1s --cpu 1 --server-pid "$pid"
echo "descriptors open: $(ls "/proc/$pid/fd" | wc -l)"
grep -E 'VmRSS|RssAnon' "/proc/$pid/status"
stop_server

echo "-- the same 100 hot objects in a small library and in this one"
"$bench" compare --awake --baseline small --paths-file "$hot" --rounds 10 \
  --server "small=$server serve --admin off --state $work/state-small --listen 127.0.0.1:@PORT@ $small" --prefix small=/vod \
  --server "large=$server serve --admin off --state $work/state-large --listen 127.0.0.1:@PORT@ $packs" --prefix large=/vod
