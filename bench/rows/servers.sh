# Sourced by the rows of scripts/bench that start their servers themselves, inside a network
# namespace: nginx as bench/nginx.conf.in has it, and shardcast, each on CPU 0.
#
# Given: $bench and $server (the two binaries), $work (scratch). Nothing is left running.
set -euo pipefail
started=()
trap 'for pid in "${started[@]}"; do kill "$pid" 2>/dev/null && wait "$pid" || true; done' EXIT

# nginx WORKLOAD [SED…]: sets $pid and $base; further arguments change the configuration.
start_nginx() {
  local files=$1 prefix=$work/row-nginx
  shift
  rm -rf "$prefix" && mkdir -p "$prefix" && chmod 777 "$prefix"
  sed -e "s#@PORT@#8090#g;s#@ROOT@#$files#g;s#@PREFIX@#$prefix#g;s#@WORKERS@#1#g" "$@" \
    bench/nginx.conf.in >"$prefix/nginx.conf"
  taskset -c 0 nginx -p "$prefix" -c "$prefix/nginx.conf" &
  pid=$! base=http://127.0.0.1:8090
  started+=("$pid")
  await "$base/"
}

# shardcast WORKLOAD [ARGUMENT…]: sets $pid and $base.
start_shardcast() {
  local packs=$1
  shift
  # shellcheck disable=SC2086 -- $server may be a command with arguments (disk.sh)
  taskset -c 0 $server serve --listen 127.0.0.1:8080 "$@" "$packs" 2>"$work/row-shardcast.log" &
  pid=$! base=http://127.0.0.1:8080/vod
  started+=("$pid")
  await http://127.0.0.1:8081/readyz
}

# The head of a config for a server with live channels; more tables follow it.
live_config() {
  printf '[server]\nlisten = ["127.0.0.1:8080"]\nadmin = "127.0.0.1:8081"\ningest = "127.0.0.1:8082"\n'
  printf 'shards = 1\nstate = "%s"\naccess = "open"\n' "$work/row-live.state"
}

# start_live TABLES: shardcast with live channels (and libraries); sets $pid and $base.
start_live() {
  rm -rf "$work/row-live.state" "$work/row-live.log"
  { live_config && printf '%s\n' "$1"; } >"$work/row-live.toml"
  launch_live
  await http://127.0.0.1:8081/readyz
}

# The same server once more, with all that it has kept, and nobody waits for it.
launch_live() {
  taskset -c 0 $server serve --config "$work/row-live.toml" 2>>"$work/row-live.log" &
  pid=$! base=http://127.0.0.1:8080/tv
  started+=("$pid")
}

stop_server() {
  kill "$pid"
  wait "$pid" || true
  started=()
}

# await URL [ARGUMENT…]: waits 10 s at most for any answer at all; with -f, for a good one.
await() {
  local tries=0
  until curl -s -o /dev/null --max-time 1 "$@"; do
    tries=$((tries + 1))
    [ "$tries" -lt 1000 ] || { echo "bench: nothing answers at $1" >&2; return 1; }
    sleep 0.01
  done
}

# judge WHAT IS MOST: says whether a figure is within its goal, and fails if it is not.
judge() {
  awk -v what="$1" -v is="$2" -v most="$3" 'BEGIN {
    good = is <= most
    printf "%s: %.3f, at most %s: %s\n", what, is, most, good ? "met" : "MISSED"
    exit !good
  }'
}

# make_workload NAME: the files, and packs of them.
make_workload() {
  "$bench" compare --server nginx --server shardcast --shardcast "$server" --scratch "$work" \
    --workload "$1" --rounds 1 --duration 100ms --warmup 0s --steal-max 100 >/dev/null 2>&1 || true
  [ -d "$work/$1.packs" ] || { echo "bench: no workload $1" >&2; return 1; }
}

# metric NAME [LABEL]: its sum, over those only that have this label if one is given.
metric() {
  curl -s http://127.0.0.1:8081/metrics | awk -v name="$1" -v label="${2:-}" '
    ($1 == name || index($1, name "{") == 1) && (label == "" || index($1, label)) { sum += $2 }
    END { print sum + 0 }'
}
