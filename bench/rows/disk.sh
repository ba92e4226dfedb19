# What a client of hot 2 KiB objects notices while 50 others pull cold 4 MiB segments from a disk
# that gives 50 MB/s: an ext4 image on a loop device, throttled by a blkio cgroup (v1) of our own,
# mounted in a mount namespace of our own. Servers run as nobody over files of root. 4 GiB of disk.
if [ "${1:-}" != inside ]; then
  exec unshare --mount --propagation private bash "$0" inside
fi
. bench/rows/servers.sh
rate=50000000
image=$work/disk.img mountpoint=$work/disk cgroup=/sys/fs/cgroup/blkio/shardcast-bench-$$
packs=40 segments=10

[ -d /sys/fs/cgroup/blkio ] || { echo "bench: this row wants a blkio cgroup, version 1" >&2; exit 1; }
rm -f "$image" && truncate -s 4G "$image" && mkfs.ext4 -q "$image"
mkdir -p "$mountpoint"
loop=
clean_disk() {
  echo $$ >/sys/fs/cgroup/blkio/cgroup.procs || true
  for pid in "${started[@]}"; do
    [ -z "$pid" ] || { kill "$pid" 2>/dev/null && wait "$pid"; } || true
  done
  umount "$mountpoint" || true
  [ -z "$loop" ] || losetup -d "$loop"
  rm -f "$image"
  rmdir "$cgroup" || true
}
trap clean_disk EXIT
mkdir "$cgroup"
loop=$(losetup --find --show --direct-io=on "$image")
mount "$loop" "$mountpoint"
echo "$(lsblk -ndo MAJ:MIN "$loop" | tr -d ' ') $rate" >"$cgroup/blkio.throttle.read_bps_device"

mkdir -p "$mountpoint/files/hot" "$mountpoint/packs"
head -c 2048 /dev/urandom >"$mountpoint/files/hot/2k.bin"
"$server" pack --output "$mountpoint/packs/hot.pack" "$mountpoint/files/hot" >/dev/null
for pack in $(seq "$packs"); do
  mkdir "$mountpoint/files/cold$pack"
  for segment in $(seq "$segments"); do
    head -c 4194304 /dev/urandom >"$mountpoint/files/cold$pack/$segment.bin"
  done
  "$server" pack --output "$mountpoint/packs/cold$pack.pack" "$mountpoint/files/cold$pack" >/dev/null
done
chmod -R a+rX "$mountpoint"
sync -f "$mountpoint"

# Everything but the hot object leaves the page cache.
make_cold() {
  find "$mountpoint" -type f -name '*.bin' ! -name 2k.bin -o -name 'cold*.pack' | while read -r file; do
    dd of="$file" oflag=nocache conv=notrunc,fdatasync count=0 status=none
  done
}

# MiB that the disk has given since it was mounted.
read_mib() {
  local sectors
  read -r _ _ sectors _ <"/sys/block/${loop#/dev/}/stat"
  echo $((sectors / 2048))
}

measure() {
  for pack in $(seq "$packs"); do
    for segment in $(seq "$segments"); do echo "$base/cold$pack/$segment.bin"; done
  done >"$work/disk.urls"
  echo "-- $1"
  before=$(read_mib)
  # Without --awake: beside its threads Linux 6.18 was seen to keep the kernel thread of the loop
  # device, ready to run, waiting for ten seconds and more, and then nothing is read at all.
  "$bench" storm "$base/hot/2k.bin" --storm-urls "$work/disk.urls" --pulls 50 --ramp 2s --settle 1s \
    --cpu 1 --server-pid "$pid"
  echo "read        $(($(read_mib) - before)) MiB of the disk"
}

# Whatever the shell starts from here on reads at the throttled rate; the load reads nothing.
echo $$ >"$cgroup/cgroup.procs"
make_cold
start_nginx "$mountpoint/files"
measure "nginx"
stop_server
make_cold
start_nginx "$mountpoint/files" -e 's#sendfile on;#sendfile on; aio threads;#'
measure "nginx with aio threads"
stop_server
make_cold
server="setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=-all --bounding-set=-all $server"
mkdir -p "$work/disk-state" && chown 65534 "$work/disk-state"
start_shardcast "$mountpoint/packs" --state "$work/disk-state"
measure "shardcast"
echo "chunks read from the disk: $(metric shardcast_cold_reads_total), of 512 KiB at most"
