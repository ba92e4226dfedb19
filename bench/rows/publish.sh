# From an encoder's last byte of a part to the first byte of a viewer's answer: 100 channels of three
# renditions, 5 Mb/s each, in parts of half a second; spread evenly, and all in the same instant. CPUs
# may halt: the shard and the live thread share one, and threads that keep it awake go before them.
. bench/rows/servers.sh
for how in "" --aligned; do
  for awaited in playlist part; do
    echo "-- ${how:-spread evenly}, viewers wait for the $awaited"
    encoders="http://127.0.0.1:8080/tv --ingest http://127.0.0.1:8082/ingest --channels 100 $how"
    # shellcheck disable=SC2086 -- $encoders is several arguments
    start_live "$("$bench" publish $encoders --print-config)"
    # shellcheck disable=SC2086
    "$bench" publish $encoders --awaited "$awaited" --duration "${SHARDCAST_BENCH_PUBLISH:-30s}" \
      --cpu 1 --server-pid "$pid"
    stop_server
  done
done
