# 10,000 requests for a playlist that is held until the next part is there, against as many plain
# ones, with a hot client beside them; and what a held request costs.
. bench/rows/servers.sh
make_workload one-2k
station="http://127.0.0.1:8080/tv --ingest http://127.0.0.1:8082/ingest"
# shellcheck disable=SC2086 -- $station is several arguments
tables=$("$bench" parked $station --print-config)
start_live "$tables
[[library]]
path = \"$work/one-2k.packs\""
# shellcheck disable=SC2086
"$bench" parked $station --connections 10000 --rounds 12 --hot http://127.0.0.1:8080/vod/d0000/f000.bin \
  --admin http://127.0.0.1:8081 --awake --cpu 1 --server-pid "$pid"
