# The server's memory with one viewer of a channel of 5 Mb/s, and with 1,000.
. bench/rows/servers.sh
station="http://127.0.0.1:8080/tv --ingest http://127.0.0.1:8082/ingest --bit-rate 5000000"
# shellcheck disable=SC2086 -- $station is several arguments
start_live "$("$bench" onecopy $station --print-config)"
# shellcheck disable=SC2086
"$bench" onecopy $station --viewers 1000 --cpu 1 --server-pid "$pid"
