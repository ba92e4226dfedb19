# What it costs to look at a viewer's token: one for all requests, and another of 100,000 with each,
# whose 1,000 subscribers, plan and 100,000 sessions are looked at as well; beside the same server
# without. nginx with and without its secure_link beside that; and what a good client notices of
# tokens that are nobody's.
. bench/rows/servers.sh
folder=$work/tokens
rm -rf "$folder" && mkdir -p "$folder/library/one"
head -c 2048 /dev/zero >"$folder/library/one/f.ts"
head -c 262144 /dev/zero >"$folder/library/one/large.ts"
chmod -R a+rX "$folder"
# Whoever comes with tokens of nobody is not banned here: each of them is looked at.
for access in open token; do
  printf '[server]\nshards = 1\nstate = "%s"\n[guard]\nban_after = 0\n[[library]]\npath = "%s"\naccess = "%s"\n' \
    "$folder/state-$access" "$folder/library" "$access" >"$folder/$access.toml"
done
# Tokens are good for a server that is started again.
start_token() {
  taskset -c 0 $server serve --config "$folder/token.toml" --listen 127.0.0.1:8080 --admin 127.0.0.1:8081 \
    2>"$folder/log" &
  pid=$!
  started+=("$pid")
  await http://127.0.0.1:8081/readyz
}
start_token
api() { curl -sf --unix-socket "$folder/state-token/admin.sock" -H 'Content-Type: application/json' "$@"; }
api -d '{"id":"all","name":"All","content":["vod/one"]}' http://a/api/v1/bouquets >/dev/null
# A plan with room for more, and one whose subscribers are where their sessions are counted closely.
api -d '{"id":"gold","name":"Gold","bouquets":["all"],"sessions_max":200}' http://a/api/v1/plans >/dev/null
api -d '{"id":"full","name":"Full","bouquets":["all"],"sessions_max":100}' http://a/api/v1/plans >/dev/null
for number in $(seq 2000); do
  plan=$([ "$number" -le 1000 ] && echo gold || echo full)
  printf 'next\nurl = "http://a/api/v1/subscribers"\ndata = "{\\"id\\":\\"s%s\\",\\"plan\\":\\"%s\\"}"\n' "$number" "$plan"
  printf 'header = "Content-Type: application/json"\nunix-socket = "%s"\noutput = "/dev/null"\n' "$folder/state-token/admin.sock"
done | sed 1d >"$folder/subscribers.curl"
curl -s -K "$folder/subscribers.curl"
# tokens_of FIRST LAST: 100 tokens of each of these subscribers.
tokens_of() {
  for number in $(seq "$1" "$2"); do
    printf 'next\nurl = "http://a/api/v1/tokens?[1-100]"\ndata = "{\\"subscriber\\":\\"s%s\\"}"\n' "$number"
    printf 'header = "Content-Type: application/json"\nunix-socket = "%s"\n' "$folder/state-token/admin.sock"
  done | sed 1d >"$folder/tokens.curl"
  echo 'open=/vod/one/f.ts'
  curl -s -K "$folder/tokens.curl" | jq -r '"token=/s/\(.token)/vod/one/f.ts"'
}
tokens_of 1 1000 >"$folder/many"
tokens_of 1001 2000 >"$folder/many-full"
one=$(api -d '{}' http://a/api/v1/tokens | jq -r .token)
echo "$(grep -c '^token=' "$folder/many") and $(grep -c '^token=' "$folder/many-full") tokens"
stop_server

tokens() {
  "$bench" compare --awake --baseline open --rounds 10 --duration "${duration:-3s}" "$@" \
    --server "open=$server serve --config $folder/open.toml --listen 127.0.0.1:@PORT@ --admin off" \
    --server "token=$server serve --config $folder/token.toml --listen 127.0.0.1:@PORT@ --admin off"
}
echo "-- one token"
tokens --path open=/vod/one/f.ts --path "token=/s/$one/vod/one/f.ts"
echo "-- one token, 256 KiB"
tokens --path open=/vod/one/large.ts --path "token=/s/$one/vod/one/large.ts"
echo "-- another of 100,000 with each request"
tokens --paths-file "$folder/many"
echo "-- the same where each subscriber watches at as many places as it may"
tokens --paths-file "$folder/many-full"

# nginx: what its own links cost, with another good one of 100,000 with each request.
links() {
  python3 - "$1" "$2" <<'LINKS'
import base64, hashlib, sys
path, count, ends = sys.argv[1], int(sys.argv[2]), 4000000000
print(f"open={path}")
for number in range(count):
    expires = ends + number
    digest = hashlib.md5(f"{expires}{path} secret".encode()).digest()
    text = base64.urlsafe_b64encode(digest).decode().rstrip("=")
    print(f"link={path}?md5={text}&expires={expires}")
LINKS
}
check='secure_link $arg_md5,$arg_expires; secure_link_md5 "$secure_link_expires$uri secret"; if ($secure_link = "") { return 403; } if ($secure_link = "0") { return 410; }'
for access in open link; do
  mkdir -p "$folder/nginx-$access" && chmod 777 "$folder/nginx-$access"
  more=$([ "$access" = link ] && printf '%s' "$check" || true)
  # The port is filled in when it is started.
  sed -e "s#@ROOT@#$folder/library#g;s#@PREFIX@#$folder/nginx-$access#g;s#@WORKERS@#1#g" bench/nginx.conf.in |
    awk -v more="$more" '{ print } /^ *root / { print more }' >"$folder/nginx-$access.conf"
  cat >"$folder/nginx-$access.sh" <<START
#!/bin/sh
sed "s#@PORT@#\$1#g" "$folder/nginx-$access.conf" >"$folder/nginx-$access/nginx.conf"
exec nginx -p "$folder/nginx-$access" -c "$folder/nginx-$access/nginx.conf"
START
  chmod +x "$folder/nginx-$access.sh"
done
nginx_links() {
  "$bench" compare --awake --baseline open --rounds 10 --duration "${duration:-3s}" "$@" \
    --server "open=$folder/nginx-open.sh @PORT@" --server "link=$folder/nginx-link.sh @PORT@"
}
links /one/f.ts 1 >"$folder/link"
links /one/f.ts 100000 >"$folder/links"
links /one/large.ts 1 >"$folder/link-large"
echo "-- nginx: one secure_link"
nginx_links --paths-file "$folder/link"
echo "-- nginx: one secure_link, 256 KiB"
nginx_links --paths-file "$folder/link-large"
echo "-- nginx: another secure_link of 100,000 with each request"
nginx_links --paths-file "$folder/links"

echo "-- tokens of nobody, as fast as they are refused, beside a good client"
start_token
head -c 930000 /dev/urandom | base64 -w 62 | tr '+/' '-_' |
  sed "s#.*#http://127.0.0.1:8080/s/&/vod/one/f.ts#" >"$folder/garbage"
"$bench" storm "http://127.0.0.1:8080/s/$one/vod/one/f.ts" --storm-urls "$folder/garbage" --pulls 16 \
  --pulls-refused --awake --cpu 1 --server-pid "$pid" --settle 1s
stop_server
