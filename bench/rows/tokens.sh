# What it costs to look at a viewer's token: one for all requests, and another of 100,000 with each,
# whose 1,000 subscribers, plan and 100,000 sessions are looked at as well; beside the same server
# without.
. bench/rows/servers.sh
folder=$work/tokens
rm -rf "$folder" && mkdir -p "$folder/library/one"
head -c 2048 /dev/zero >"$folder/library/one/f.ts"
for access in open token; do
  printf '[server]\nshards = 1\nstate = "%s"\n[[library]]\npath = "%s"\naccess = "%s"\n' \
    "$folder/state-$access" "$folder/library" "$access" >"$folder/$access.toml"
done
# Tokens are good for a server that is started again.
$server serve --config "$folder/token.toml" --listen 127.0.0.1:8080 --admin 127.0.0.1:8081 \
  2>"$folder/log" &
pid=$!
started+=("$pid")
await http://127.0.0.1:8081/readyz
api() { curl -sf --unix-socket "$folder/state-token/admin.sock" -H 'Content-Type: application/json' "$@"; }
api -d '{"id":"all","name":"All","content":["vod/one"]}' http://a/api/v1/bouquets >/dev/null
api -d '{"id":"gold","name":"Gold","bouquets":["all"],"sessions_max":200}' http://a/api/v1/plans >/dev/null
for number in $(seq 1000); do
  printf 'next\nurl = "http://a/api/v1/subscribers"\ndata = "{\\"id\\":\\"s%s\\",\\"plan\\":\\"gold\\"}"\n' "$number"
  printf 'header = "Content-Type: application/json"\nunix-socket = "%s"\noutput = "/dev/null"\n' "$folder/state-token/admin.sock"
done | sed 1d >"$folder/subscribers.curl"
curl -s -K "$folder/subscribers.curl"
for number in $(seq 1000); do
  printf 'next\nurl = "http://a/api/v1/tokens?[1-100]"\ndata = "{\\"subscriber\\":\\"s%s\\"}"\n' "$number"
  printf 'header = "Content-Type: application/json"\nunix-socket = "%s"\n' "$folder/state-token/admin.sock"
done | sed 1d >"$folder/tokens.curl"
{
  echo 'open=/vod/one/f.ts'
  curl -s -K "$folder/tokens.curl" | jq -r '"token=/s/\(.token)/vod/one/f.ts"'
} >"$folder/many"
one=$(api -d '{}' http://a/api/v1/tokens | jq -r .token)
echo "$(grep -c '^token=' "$folder/many") tokens"
stop_server

tokens() {
  "$bench" compare --awake --baseline open --rounds 10 --duration "${duration:-3s}" "$@" \
    --server "open=$server serve --config $folder/open.toml --listen 127.0.0.1:@PORT@ --admin off" \
    --server "token=$server serve --config $folder/token.toml --listen 127.0.0.1:@PORT@ --admin off"
}
echo "-- one token"
tokens --path open=/vod/one/f.ts --path "token=/s/$one/vod/one/f.ts"
echo "-- another of 100,000 with each request"
tokens --paths-file "$folder/many"
