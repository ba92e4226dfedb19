# Which bytes are copied, by the server's own count and by what its system calls and samples say.
. bench/rows/servers.sh
# Exit 3, the generator was the limit, does not matter where bytes are counted.
run() {
  "$bench" saturate "$base/d0000/f000.bin" --connections 64 --warmup 0s --duration "$2" --cpu 1 \
    --json >"$work/copies-$1.json" 2>/dev/null || [ $? -eq 3 ]
}
bodies() { jq '.. | .body_bytes? // empty' "$work/copies-$1.json" | head -1; }

make_workload 1m
make_workload one-2k
echo "-- 1 MiB"
start_shardcast "$work/1m.packs"
run 1m 3s
sleep 0.3
echo "body bytes counted as copied: $(metric shardcast_body_copied_bytes_total), client counted $(bodies 1m) in its run"
timeout 3 strace -f -c -p "$pid" -e trace=sendfile,sendto,sendmsg,write,writev,read,pread64,preadv2,readv \
  -o "$work/copies.strace" &
tracer=$!
sleep 0.5
run 1m 1s
wait "$tracer" || true
grep -E "calls|sendfile|send|write|read" "$work/copies.strace" || true
stop_server

echo "-- 2 KiB"
start_shardcast "$work/one-2k.packs"
before=$(metric shardcast_body_copied_bytes_total)
run 2k 3s
sleep 0.3
after=$(metric shardcast_body_copied_bytes_total)
responses=$(metric shardcast_requests_total)
echo "body bytes counted as copied: $((after - before)); responses counted: $responses, of 2048 bytes each: $((responses * 2048))"
perf record -q -e cpu-clock -F 4000 -p "$pid" -o "$work/copies.perf" -- sleep 3 &
recorder=$!
run 2k 4s
wait "$recorder" || true
echo "samples of the server by where they lie:"
perf report -i "$work/copies.perf" --sort dso --stdio 2>/dev/null | grep -vE '^(#|$)' | sed -n 1,5p
