# What importing a guide of 500 MB costs, and what viewers notice of it: seconds, the most memory that
# the server takes more than before, and the p99 of segments and of sessions that begin beside it.
. bench/rows/servers.sh
folder=$work/guide failed=
megabytes=${SHARDCAST_GUIDE_MEGABYTES:-500}
rm -rf "$folder" && mkdir -p "$folder/library/one" "$folder/guides"
head -c 2048 /dev/zero >"$folder/library/one/f.ts"
cat >"$folder/guide.py" <<'GUIDE'
"""A guide of so many megabytes: 10,000 channels, hour by hour, with texts that differ."""
import random, sys, time
path, size = sys.argv[1], int(sys.argv[2]) * 1000 * 1000
order = sys.argv[3] if len(sys.argv) > 3 else "channel"
chance = random.Random(7)
words = ["".join(chance.choice("aeioubcdfglmnprst") for _ in range(chance.randint(2, 11))) for _ in range(4000)]
start = int(time.time()) // 86400 * 86400
def stamp(hour):
    return time.strftime("%Y%m%d%H%M%S +0000", time.gmtime(start + hour * 3600))
def text(count):
    return " ".join(chance.choices(words, k=count))
def programme(channel, hour):
    return (f'  <programme start="{stamp(hour)}" stop="{stamp(hour + 1)}" channel="channel{channel}.example">\n'
            f'    <title lang="en">{text(4)}</title>\n    <sub-title>{text(5)}</sub-title>\n'
            f'    <desc lang="en">{text(35)} &amp; {text(3)}.</desc>\n    <category lang="en">{text(1)}</category>\n'
            f'    <episode-num system="onscreen">S{hour % 9:02}E{hour % 20:02}</episode-num>\n  </programme>\n')
channels, hours = 10000, 10 * 24
with open(path, "w") as guide:
    written = guide.write('<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE tv SYSTEM "xmltv.dtd">\n<tv>\n')
    for channel in range(channels):
        written += guide.write(f'  <channel id="channel{channel}.example"><display-name>Channel {channel}</display-name></channel>\n')
    hours = min(hours, max(1, (size - written) // (channels * 510)))
    pairs = ((c, h) for c in range(channels) for h in range(hours)) if order == "channel" else \
            ((c, h) for h in range(hours) for c in range(channels))
    count = 0
    for channel, hour in pairs:
        if written >= size:
            break
        written += guide.write(programme(channel, hour))
        count += 1
    guide.write("</tv>\n")
print(f"{written / 1e6:.0f} MB, {count} programmes, by {order}")
GUIDE
printf '[server]\nshards = 1\nstate = "%s"\ningest = "off"\n[guide]\nfolder = "%s"\n[[library]]\npath = "%s"\naccess = "token"\n' \
  "$folder/state" "$folder/guides" "$folder/library" >"$folder/guide.toml"
taskset -c 0,1 $server serve --config "$folder/guide.toml" --listen 127.0.0.1:8080 --admin 127.0.0.1:8081 \
  2>"$folder/log" &
pid=$!
started+=("$pid")
await http://127.0.0.1:8081/readyz
api() { curl -sf --unix-socket "$folder/state/admin.sock" -H 'Content-Type: application/json' "$@"; }
api -d '{"id":"all","name":"All","content":["vod/one"]}' http://a/api/v1/bouquets >/dev/null
api -d '{"id":"one","name":"One","bouquets":["all"],"sessions_max":1}' http://a/api/v1/plans >/dev/null
for number in $(seq 3000); do
  printf 'next\nurl = "http://a/api/v1/subscribers"\ndata = "{\\"id\\":\\"s%s\\",\\"plan\\":\\"one\\"}"\n' "$number"
  printf 'header = "Content-Type: application/json"\nunix-socket = "%s"\noutput = "/dev/null"\n' "$folder/state/admin.sock"
  printf 'next\nurl = "http://a/api/v1/tokens"\ndata = "{\\"subscriber\\":\\"s%s\\"}"\n' "$number"
  printf 'header = "Content-Type: application/json"\nunix-socket = "%s"\n' "$folder/state/admin.sock"
done | sed 1d >"$folder/tokens.curl"
curl -s -K "$folder/tokens.curl" | jq -r .token >"$folder/tokens"
cat >"$folder/starts.py" <<'STARTS'
"""Sessions that begin, one after the other, each of another subscriber."""
import http.client, sys, time
tokens, first, seconds = open(sys.argv[1]).read().split()[1:], int(sys.argv[2]), float(sys.argv[3])
viewer, began, starts = http.client.HTTPConnection("127.0.0.1", 8080), time.monotonic(), []
while time.monotonic() - began < seconds and first + len(starts) < len(tokens):
    sent = time.monotonic()
    viewer.request("GET", f"/s/{tokens[first + len(starts)]}/vod/one/f.ts")
    answer = viewer.getresponse()
    answer.read()
    assert answer.status == 200, answer.status
    starts.append((time.monotonic() - sent) * 1000)
    time.sleep(0.02)
print(f"{len(starts)} sessions began, p99 {sorted(starts)[max(0, -(-len(starts) * 99 // 100) - 1)]:.2f} ms")
STARTS
token=$(head -1 "$folder/tokens")
viewers() {
  taskset -c 1 python3 "$folder/starts.py" "$folder/tokens" "$2" 9 &
  local starts=$!
  "$bench" saturate "http://127.0.0.1:8080/s/$token/vod/one/f.ts" --rate 1000 --connections 16 --duration 10s \
    --cpu 1 --server-pid "$pid" --json >"$folder/$1.json"
  wait "$starts"
  echo "$1: segments p99 $(jq .latency.p99_us "$folder/$1.json") µs"
}
rss() { awk -v key="$1:" '$1 == key { print int($2 / 1024) }' "/proc/$pid/status"; }
viewers alone 0
for order in channel time; do
  python3 "$folder/guide.py" "$folder/guides/guide.xml" "$megabytes" "$order"
  $server guide add "$order" --file guide.xml --paused true --config "$folder/guide.toml" >/dev/null
  before=$(rss VmRSS)
  # What the kernel remembers as the most is from here on.
  echo 5 >"/proc/$pid/clear_refs"
  $server guide refresh "$order" --json --config "$folder/guide.toml" >"$folder/$order.report" &
  import=$!
  viewers "beside the import by $order" "$([ "$order" = channel ] && echo 1000 || echo 2000)"
  wait "$import" || failed=1
  took=$(jq .import.took_ms "$folder/$order.report")
  echo "by $order: $(jq -c '.import | {channels, programmes, skipped}' "$folder/$order.report"), $took ms," \
    "memory from $before to at most $(rss VmHWM) MiB, guide.db $(du -m "$folder/state/guide.db" | cut -f1) MB"
  [ "$took" -le 60000 ] || failed=1
  [ "$(($(rss VmHWM) - before))" -le 300 ] || failed=1
done
[ -z "$failed" ] || exit 1
