# What players and operators notice of a flood of 1,000 logins a second: segments, new sessions, a
# login of somebody who knows the password, and the server's memory; before it and during it.
. bench/rows/servers.sh
folder=$work/logins
rm -rf "$folder" && mkdir -p "$folder/library/one"
head -c 2048 /dev/zero >"$folder/library/one/f.ts"
printf '[server]\nshards = 1\nstate = "%s"\n[[library]]\npath = "%s"\naccess = "token"\n' \
  "$folder/state" "$folder/library" >"$folder/logins.toml"
taskset -c 0 $server serve --config "$folder/logins.toml" --listen 127.0.0.1:8080 --admin 127.0.0.1:8081 \
  2>"$folder/log" &
pid=$!
started+=("$pid")
await http://127.0.0.1:8081/readyz
api() { curl -sf --unix-socket "$folder/state/admin.sock" -H 'Content-Type: application/json' "$@"; }
api -d '{"id":"all","name":"All","content":["vod/one"]}' http://a/api/v1/bouquets >/dev/null
api -d '{"id":"one","name":"One","bouquets":["all"],"sessions_max":1}' http://a/api/v1/plans >/dev/null
password='a slate roof over 9 rivers'
echo "$password" >"$folder/password"
$server admin add olga --role owner --password-file "$folder/password" --config "$folder/logins.toml" >/dev/null
for number in $(seq 1000); do
  printf 'next\nurl = "http://a/api/v1/subscribers"\ndata = "{\\"id\\":\\"s%s\\",\\"plan\\":\\"one\\"}"\n' "$number"
  printf 'header = "Content-Type: application/json"\nunix-socket = "%s"\noutput = "/dev/null"\n' "$folder/state/admin.sock"
  printf 'next\nurl = "http://a/api/v1/tokens"\ndata = "{\\"subscriber\\":\\"s%s\\"}"\n' "$number"
  printf 'header = "Content-Type: application/json"\nunix-socket = "%s"\n' "$folder/state/admin.sock"
done | sed 1d >"$folder/tokens.curl"
curl -s -K "$folder/tokens.curl" | jq -r .token >"$folder/tokens"
token=$(head -1 "$folder/tokens")
# Whoever measures comes before whoever floods on the processor that they share: what is told is of
# the server then.
segments() {
  chrt --fifo 10 "$bench" saturate "http://127.0.0.1:8080/s/$token/vod/one/f.ts" --rate 1000 --connections 16 --duration 10s \
    --cpu 1 --server-pid "$pid" --json >"$folder/$1.json"
  echo "$1: segments p99 $(jq .latency.p99_us "$folder/$1.json") µs, $(awk '/^VmRSS/ { print int($2 / 1024) }' "/proc/$pid/status") MiB"
}
cat >"$folder/flood.py" <<'FLOOD'
"""Logins that fail, 1,000 a second for so many seconds, of many names and from many addresses."""
import json, selectors, socket, sys, time
seconds = float(sys.argv[1])
chosen = selectors.DefaultSelector()
free = []
def connect(last):
    made = socket.socket()
    made.bind((f"127.0.1.{last}", 0))
    made.connect(("127.0.0.1", 8081))
    made.setblocking(False)
    chosen.register(made, selectors.EVENT_READ)
    free.append(made)
for last in range(1, 101):
    connect(last)
began, sent, statuses, late = time.monotonic(), 0, {}, 0
while time.monotonic() - began < seconds:
    due = int((time.monotonic() - began) * 1000)
    while sent < due:
        if not free:
            late += 1
            break
        of = free.pop(0)
        body = json.dumps({"user": f"user{sent}", "password": "wrong horse"})
        try:
            of.send((f"POST /api/v1/login HTTP/1.1\r\nHost: 127.0.0.1:8081\r\nContent-Type: application/json\r\n"
                     f"Content-Length: {len(body)}\r\n\r\n{body}").encode())
        except ConnectionError:
            # Its end is read below.
            continue
        sent += 1
    for key, _ in chosen.select(0.001):
        try:
            answer = key.fileobj.recv(65536)
        except ConnectionError:
            answer = b""
        if not answer:
            chosen.unregister(key.fileobj)
            last = int(key.fileobj.getsockname()[0].rsplit(".", 1)[1])
            if key.fileobj in free:
                free.remove(key.fileobj)
            key.fileobj.close()
            connect(last)
            continue
        status = answer[9:12].decode()
        statuses[status] = statuses.get(status, 0) + 1
        free.append(key.fileobj)
print(f"flood: {sent / seconds:.0f} logins a second: {statuses}; {late} times none could be sent")
FLOOD
cat >"$folder/probes.py" <<'PROBES'
"""Sessions that begin, and logins with the right password, one after the other."""
import http.client, json, sys, time
tokens, password, seconds = open(sys.argv[1]).read().split()[1:], open(sys.argv[2]).read().strip(), float(sys.argv[3])
first = int(sys.argv[4])
began, starts, logins, number = time.monotonic(), [], [], first
viewer = http.client.HTTPConnection("127.0.0.1", 8080)
while time.monotonic() - began < seconds:
    sent = time.monotonic()
    viewer.request("GET", f"/s/{tokens[number]}/vod/one/f.ts")
    answer = viewer.getresponse()
    answer.read()
    assert answer.status == 200, answer.status
    starts.append((time.monotonic() - sent) * 1000)
    number += 1
    if number % 20 == 0:
        # One address may not sign in so often.
        admin = http.client.HTTPConnection("127.0.0.1", 8081, source_address=(f"127.0.2.{1 + number // 20}", 0))
        sent = time.monotonic()
        admin.request("POST", "/api/v1/login", json.dumps({"user": "olga", "password": password}),
                      {"Content-Type": "application/json"})
        answer = admin.getresponse()
        answer.read()
        assert answer.status == 200, answer.status
        logins.append((time.monotonic() - sent) * 1000)
    time.sleep(0.02)
def p99(all):
    return sorted(all)[max(0, -(-len(all) * 99 // 100) - 1)]
print(f"{len(starts)} sessions began, p99 {p99(starts):.1f} ms; {len(logins)} logins with the right password, p99 {p99(logins):.0f} ms")
PROBES
measure() {
  taskset -c 1 python3 "$folder/probes.py" "$folder/tokens" "$folder/password" 9 "$2" &
  local probes=$!
  segments "$1"
  wait "$probes"
}
measure alone 0
taskset -c 1 python3 "$folder/flood.py" 12 &
flood=$!
sleep 1
measure flooded 450
wait "$flood"
stop_server
judge "p99 of segments, flooded to alone" \
  "$(jq -n --slurpfile a "$folder/alone.json" --slurpfile f "$folder/flooded.json" '$f[0].latency.p99_us / $a[0].latency.p99_us')" 1.5
