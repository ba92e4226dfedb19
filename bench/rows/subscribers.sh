# What a million subscribers, and 100,000 channels and assets, cost: to import them, to start with
# them, in memory; how long a change of one of them takes to hold on every shard; and what a request
# costs among them, beside the same server with a thousand subscribers.
. bench/rows/servers.sh
count=${SHARDCAST_BENCH_SUBSCRIBERS:-1000000}
folder=$work/subscribers
rm -rf "$folder" && mkdir -p "$folder/library/one"
head -c 2048 /dev/zero >"$folder/library/one/f.ts"
for size in few many; do
  printf '[server]\nshards = 2\nstate = "%s"\n[[library]]\npath = "%s"\naccess = "token"\n' \
    "$folder/state-$size" "$folder/library" >"$folder/$size.toml"
  # The rates are of one shard.
  sed 's/^shards = 2/shards = 1/' "$folder/$size.toml" >"$folder/$size-one.toml"
done
start() {
  local began ended
  began=$(date +%s%N)
  $server serve --config "$folder/$1.toml" --listen 127.0.0.1:8080 --admin 127.0.0.1:8081 2>>"$folder/log" &
  pid=$!
  started+=("$pid")
  await -f http://127.0.0.1:8081/readyz
  ended=$(date +%s%N)
  echo "$1: ready after $(((ended - began) / 1000000)) ms, $(awk '/^VmRSS/ { print int($2 / 1024) }' "/proc/$pid/status") MiB"
}
api() { curl -sf --unix-socket "$folder/state-$size/admin.sock" -H 'Content-Type: application/json' "$@"; }
for size in few many; do
  start "$size"
  api -d '{"id":"all","name":"All","content":["vod/one"]}' http://a/api/v1/bouquets >/dev/null
  api -d '{"id":"gold","name":"Gold","bouquets":["all"],"sessions_max":2}' http://a/api/v1/plans >/dev/null
  lines=$([ "$size" = few ] && echo 1000 || echo "$count")
  {
    echo username,password
    awk -v lines="$lines" 'BEGIN { for (of = 1; of <= lines; of++) printf "s%d,pass%dword%d\n", of, of * 7919, of }'
  } >"$folder/$size.csv"
  began=$(date +%s%N)
  $server import --config "$folder/$size.toml" "$folder/$size.csv" --plan gold --report "$folder/$size.report" >/dev/null
  ended=$(date +%s%N)
  awk -v lines="$lines" -v ns="$((ended - began))" \
    'BEGIN { printf "%d lines imported in %.1f s: %d a second\n", lines, ns / 1e9, lines * 1e9 / ns }'
  if [ "$size" = many ]; then
    awk -v lines="$((count / 10))" 'BEGIN {
      for (of = 1; of <= lines; of++)
        if (of % 10 == 0) printf "{\"kind\":\"channel\",\"id\":\"c%d\",\"name\":\"Channel %d\"}\n", of, of
        else printf "{\"kind\":\"asset\",\"id\":\"films/%d\",\"name\":\"Film %d\"}\n", of, of
    }' >"$folder/content.jsonl"
    began=$(date +%s%N)
    $server import --config "$folder/$size.toml" "$folder/content.jsonl" --report "$folder/content.report" >/dev/null
    ended=$(date +%s%N)
    echo "$((count / 10)) channels and assets imported in $(((ended - began) / 1000000)) ms"
  fi
  # Tokens of a thousand of them, from all over.
  for number in $(seq 1000); do
    printf 'next\nurl = "http://a/api/v1/tokens"\ndata = "{\\"subscriber\\":\\"s%s\\"}"\n' "$((number * lines / 1000))"
    printf 'header = "Content-Type: application/json"\nunix-socket = "%s"\n' "$folder/state-$size/admin.sock"
  done | sed 1d >"$folder/tokens.curl"
  curl -s -K "$folder/tokens.curl" | jq -r "\"$size=/s/\(.token)/vod/one/f.ts\"" >>"$folder/paths"
  stop_server
  start "$size"
  # One is shut out and let in again, 20 times; 16 connections, so that each shard has some.
  python3 - "$folder/state-$size/admin.sock" "$(grep "^$size=" "$folder/paths" | tail -1 | cut -d= -f2)" "s$lines" <<'CHANGE'
import http.client, json, socket, sys, time
sock, path, who = sys.argv[1:]
class Local(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(sock)
viewers = [http.client.HTTPConnection("127.0.0.1", 8080) for _ in range(16)]
def status(viewer):
    viewer.request("GET", path)
    answer = viewer.getresponse()
    answer.read()
    return answer.status
took = []
for turn in range(40):
    wanted, expected = ("blocked", 403) if turn % 2 == 0 else ("active", 200)
    admin = Local("a")
    began = time.monotonic()
    admin.request("PATCH", f"/api/v1/subscribers/{who}", json.dumps({"status": wanted}),
                  {"Content-Type": "application/json"})
    answer = admin.getresponse()
    answer.read()
    assert answer.status == 200, answer.status
    while any(status(viewer) != expected for viewer in viewers):
        assert time.monotonic() - began < 10, "it never holds"
    took.append((time.monotonic() - began) * 1000)
took.sort()
print(f"a change holds on every shard after {took[len(took) // 2]:.0f} ms, {took[-1]:.0f} ms at most")
CHANGE
  stop_server
done
echo "-- another of 1,000 tokens with each request"
"$bench" compare --awake --baseline few --rounds 10 --duration "${duration:-3s}" --paths-file "$folder/paths" \
  --server "few=$server serve --config $folder/few-one.toml --listen 127.0.0.1:@PORT@ --admin off" \
  --server "many=$server serve --config $folder/many-one.toml --listen 127.0.0.1:@PORT@ --admin off"
