# Catalogues as apps get them, of 100,000 films and 10,000 channels: the first byte, the rate beside
# nginx with the same bytes in files, how soon a change of one title is seen, what
# a list with a subscriber's own addresses costs, and what the server takes of memory for all that.
. bench/rows/servers.sh
films=${SHARDCAST_BENCH_FILMS:-100000}
channels=${SHARDCAST_BENCH_CHANNELS:-10000}
folder=$work/catalogue
rm -rf "$folder" && mkdir -p "$folder/files" "$folder/library"
printf '[server]\nlisten = ["127.0.0.1:8080"]\nadmin = "127.0.0.1:8081"\ningest = "127.0.0.1:8082"\nshards = 1\nstate = "%s"\n[apps]\nmemory = "1GiB"\n[[library]]\npath = "%s"\n' \
  "$folder/state" "$folder/library" >"$folder/server.toml"
start() {
  taskset -c 0 $server serve --config "$folder/server.toml" 2>>"$folder/log" &
  pid=$!
  started+=("$pid")
  await -f http://127.0.0.1:8081/readyz
}
verb() { $server "$@" --config "$folder/server.toml"; }
start
python3 - "$films" "$channels" >"$folder/all.jsonl" <<'LINES'
import json, sys
films, channels = map(int, sys.argv[1:])
for sorts, count in (("film", 40), ("live", 60)):
    for of in range(count):
        print(json.dumps({"kind": "category", "id": f"{sorts}-{of}", "sorts": sorts, "name": f"{sorts.title()} {of}"}))
for of in range(films):
    print(json.dumps({"kind": "asset", "id": f"films/f{of}", "name": f"The film that has the number {of * 7919 % 1000003}", "categories": [f"film-{of % 40}"]}))
for of in range(channels):
    print(json.dumps({"kind": "channel", "id": f"c{of}", "name": f"Channel {of}", "categories": [f"live-{of % 60}"], "logo": f"https://logos.example/{of}.png"}))
    print(json.dumps({"kind": "bouquet", "id": f"b{of // 500}", "name": "B", "content": [f"tv/c{at}" for at in range(of, of + 500)]})) if of % 500 == 0 else None
print(json.dumps({"kind": "bouquet", "id": "films", "name": "Films", "content": ["vod/films"]}))
bouquets = ["films"] + [f"b{of}" for of in range((channels + 499) // 500)]
print(json.dumps({"kind": "plan", "id": "all", "name": "All", "bouquets": bouquets}))
print(json.dumps({"kind": "subscriber", "id": "anna", "plan": "all"}))
LINES
verb import "$folder/all.jsonl"
echo pass-anna-1 | verb subscriber password add anna --stdin >/dev/null
login='username=anna&password=pass-anna-1'
declare -A targets=(
  [films]="/player_api.php?$login&action=get_vod_streams"
  [live]="/player_api.php?$login&action=get_live_streams"
  [list]="/get.php?$login&type=m3u_plus&output=ts"
)
ours=http://127.0.0.1:8080
# seconds TARGET: until the first byte, and all.
seconds() { curl -s -o "${2:-/dev/null}" -w '%{time_starttransfer} %{time_total} %{size_download}\n' "${@:3}" "$ours$1"; }
for name in films live list; do
  echo "-- $name: made for the first who asks: $(seconds "${targets[$name]}" "$folder/files/$name")"
  echo "-- $name: first byte, all, bytes: $(for _ in $(seq 50); do seconds "${targets[$name]}"; done | sort -n | sed -n '25p;50p' | tr '\n' ' ')"
done
for name in films live; do
  echo "-- $name, gzipped: first byte, all, bytes: $(for _ in $(seq 50); do seconds "${targets[$name]}" /dev/null -H 'Accept-Encoding: gzip'; done | sort -n | sed -n '25p;50p' | tr '\n' ' ')"
done
chmod -R a+rX "$folder"
echo "-- memory: $(awk '/^VmRSS|^VmHWM|^RssShmem/ { printf "%s %d MiB  ", $1, $2 / 1024 }' "/proc/$pid/status")"
echo "-- a change of one title is seen"
for round in 1 2 3 4 5; do
  verb asset set films/f77 --name "Changed $round"
  began=$(date +%s%N)
  until curl -s "$ours${targets[films]}" | grep -q "Changed $round"; do sleep 0.02; done
  echo "$((($(date +%s%N) - began) / 1000000)) ms in JSON"
  until curl -s "$ours${targets[list]}" | grep -q "Changed $round"; do sleep 0.02; done
  echo "$((($(date +%s%N) - began) / 1000000)) ms in the list"
done
start_nginx "$folder/files"
# beside NAME: as many as one client core takes, from the one and the other in turns.
beside() {
  echo "-- $1"
  for _ in 1 2 3 4 5; do
    for url in "$ours${targets[$1]}" "http://127.0.0.1:8090/$1"; do
      echo "${url%%\?*}: $("$bench" saturate "$url" --cpu 1 --connections 16 --duration "${duration:-3s}" | tr '\n' ' ')"
    done
  done
}
for name in films live list; do beside "$name"; done
