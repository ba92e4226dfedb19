# What a connection costs that has nothing to say.
. bench/rows/servers.sh
make_workload one-2k
echo "-- nginx"
start_nginx "$work/one-2k"
"$bench" idle "$base/d0000/f000.bin" --connections 9000 --server-pid "$pid"
stop_server
echo "-- shardcast"
start_shardcast "$work/one-2k.packs"
"$bench" idle "$base/d0000/f000.bin" --connections 9000 --server-pid "$pid"
