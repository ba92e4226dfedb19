# What a good client notices while others misbehave: each server alone, then under each storm.
. bench/rows/servers.sh
make_workload one-2k
make_workload 4m
rm -rf "$work/storm" "$work/storm.packs"
mkdir -p "$work/storm/hot" "$work/storm/large" "$work/storm.packs"
cp "$work/one-2k/d0000/f000.bin" "$work/storm/hot/2k.bin"
cp "$work/4m/d0000/f000.bin" "$work/storm/large/4m.bin"
chmod -R a+rX "$work/storm"
for pack in hot large; do "$server" pack --output "$work/storm.packs/$pack.pack" "$work/storm/$pack" >/dev/null; done

storms() {
  echo "-- $1: 10,000 slow heads, 1,000 slow readers, 1,000 resets a second"
  "$bench" storm "$base/hot/2k.bin" --storm-url "$base/large/4m.bin" --slow-heads 10000 \
    --slow-readers 1000 --resets-per-second 1000 --awake --cpu 1 --server-pid "$pid"
  echo "-- $1: one client pulls 4 MiB bodies without pause"
  "$bench" storm "$base/hot/2k.bin" --storm-url "$base/large/4m.bin" --pulls 1 --awake --cpu 1 --server-pid "$pid"
}
start_nginx "$work/storm"
storms nginx
stop_server
start_shardcast "$work/storm.packs"
storms shardcast
