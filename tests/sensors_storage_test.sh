#!/bin/sh
# storage_assignment_drift against the real thing: file systems and bind mounts that come, go, change and hide each other, and a server
# that hangs; and the verb that writes what there is. As root and in a mount namespace of its own; without root that is named.
#   tests/sensors_storage_test.sh [BEACON]      default: out/host/nefia-beacon
# shellcheck disable=SC2034 # $processes names some variables
cd "$(dirname "$0")/.." || exit 1
if [ "$(id -u)" -eq 0 ] && [ -z "${STORAGE_MOUNTS:-}" ]; then
    STORAGE_MOUNTS=1 exec unshare -m sh "$0" "$@"
fi
. tests/lib.sh
. tests/beacon_lib.sh
server_pid=
processes='beacon_pid hub_pid server_pid'
type='"type":"system.storage_assignment_drift"'

# drift PATH PROBLEM MORE: the hub has this event.
drift()
{
    heard "$type.*\"path\":\"$dir$1\",\"problem\":\"$2\"$3}"
}
recovered()
{
    [ "$(grep -c "$type.*\"state\":\"recovered\".*\"path\":\"$dir$1\"" "$dir/hub.log")" -eq "$2" ]
}

# ---- what every machine has ----
cat >"$dir/once.yaml" <<YAML
beacons:
  storage_assignment_drift:
    - {name: root, mount: /}
    - {name: none, mount: $dir/none}
    - {name: process, mount: /proc, type: nfs4}
YAML
expect "once" 0 "$beacon" once -c "$dir/once.yaml"
says "shows what is missing" "$type.*\"severity\":\"critical\",\"data\":{\"level\":\"critical\",\"name\":\"none\",\"path\":\"$dir/none\",\"problem\":\"missing\"}" out
says "and what is wrong" "$type.*\"severity\":\"warning\".*\"name\":\"process\",\"path\":\"/proc\",\"problem\":\"wrong_type\",\"expected\":\"nfs4\",\"found\":\"proc\"}" out
! grep -q '"name":"root"' "$dir/out"
result "and nothing of what is there" $?
expect "the difference in words" 1 "$beacon" manifest storage --check -c "$dir/once.yaml"
says "of one that is missing" "^$dir/none: missing\$" out
says "of one that is wrong" '^/proc: wrong_type, expected nfs4, found proc$' out

if [ "$(id -u)" -ne 0 ]; then
    echo "skip: mounts: they take root"
    finish
fi

# ---- mounts ----
mkdir "$dir/ram" "$dir/my disk" "$dir/bound" "$dir/deep" "$dir/deep/er"
mount -t tmpfs -o size=1m ours "$dir/ram" && mount --bind "$dir/ram" "$dir/bound" && mount -t tmpfs inner "$dir/deep/er"
result "file systems" $?
truncate -s 8M "$dir/image"
loop=
if mkfs.ext4 -q -L nefia-test "$dir/image" && loop=$(losetup --show -f "$dir/image" 2>"$dir/err") && mount "$loop" "$dir/my disk"; then
    disk="    - {name: disk, interval: 1s, mount: \"$dir/my disk\", source: $loop, type: ext4, writable: true}"
    # udev, where there is one, has it as well
    if [ -e /dev/disk/by-label/nefia-test ]; then
        disk="$disk
    - {name: label, interval: 1s, mount: \"$dir/my disk\", source: LABEL=nefia-test}"
    fi
else
    echo "skip: a disk: no loop device, or no ext4"
    disk=
fi
run "  dedup_window: 1s # what is wrong in another way is told at once
  storage_assignment_drift:
    - {name: ram, interval: 1s, mount: $dir/ram, source: ours, type: tmpfs, root: /, writable: true}
    - {name: bound, interval: 1s, mount: $dir/bound, source: ours, root: /, writable: true}
    - {name: deep, interval: 1s, mount: $dir/deep/er, source: inner}
$disk"
fine()
{
    [ "$("$beacon" status -c "$dir/nefia.yaml" | grep -c "^  storage_assignment_drift .* ok\$")" -ge 3 ]
}
within fine
result "all is as declared" $?
! heard "$type"
result "which is no event" $?

umount "$dir/bound"
within drift /bound missing ''
result "a mount that goes is missing" $?
mount -t tmpfs other "$dir/bound"
within drift /bound wrong_source ',"expected":"ours","found":"other"'
result "another in its place is wrong" $?
umount "$dir/bound"
mkdir "$dir/ram/sub"
mount --bind "$dir/ram/sub" "$dir/bound"
within drift /bound wrong_source ',"expected":"/","found":"/sub"'
result "so is another of its directories" $?
umount "$dir/bound" && mount --bind "$dir/ram" "$dir/bound" && within recovered /bound 1
result "the right one recovers" $?
mount -o remount,bind,ro "$dir/bound"
within drift /bound read_only ',"expected":"rw","found":"ro"'
result "a mount turns read-only alone" $?
! drift /ram read_only ''
result "not its file system" $?
mount -o remount,bind,rw "$dir/bound" && within recovered /bound 2
result "and is writable again" $?
mount -o remount,ro "$dir/ram"
within drift /ram read_only ',"expected":"rw","found":"ro"'
result "a file system turns read-only" $?
mount -o remount,rw "$dir/ram" && within recovered /ram 1
result "and is writable again" $?
mount -t tmpfs over "$dir/ram"
within drift /ram wrong_source ',"expected":"ours","found":"over"'
result "one that is mounted over it is found" $?
umount "$dir/ram" && within recovered /ram 2
result "and uncovered" $?
mount -t tmpfs hiding "$dir/deep"
within drift /deep/er missing ''
result "one that is mounted over the directory hides it" $?
umount "$dir/deep" && within recovered /deep/er 1
result "and shows it again" $?
umount "$dir/deep/er" && mkdir "$dir/elsewhere" && mount -t tmpfs outer "$dir/elsewhere" && mkdir "$dir/elsewhere/er" &&
    mount -t tmpfs inner "$dir/elsewhere/er" && mount --move "$dir/elsewhere" "$dir/deep"
expect "one that was moved with what it is on is found" 0 "$beacon" manifest storage --check -c "$dir/nefia.yaml"

if [ -n "$disk" ]; then
    error=/sys/fs/ext4/${loop##*/}/trigger_fs_error
    mount -o remount,errors=remount-ro "$dir/my disk"
    echo test >"$error"
    within drift '/my disk' read_only ',"expected":"rw","found":"ro"'
    result "ext4 after an error is read-only" $?
    umount "$dir/my disk"
    within drift '/my disk' missing ''
    result "a disk is unmounted" $?
    mkfs.ext4 -q -F "$loop"
    mount "$loop" "$dir/my disk" && within recovered '/my disk' 1
    result "and mounted again" $?
fi
halt

# ---- the manifest: what it writes is a configuration without differences ----
expect "the manifest" 0 "$beacon" manifest storage -c "$dir/once.yaml"
if [ -n "$disk" ]; then
    says "has the disk" "^    - {\"name\":\"$dir/my disk\",\"mount\":\"$dir/my disk\",\"source\":\"$loop\",\"root\":\"/\",\"type\":\"ext4\",\"writable\":true}\$" out
fi
! grep -q '"source":"\(proc\|ours\|tmpfs\)"' "$dir/out"
result "and none of the kernel's own" $?
{ echo 'beacons:'; cat "$dir/out"; } >"$dir/written.yaml"
expect "what it writes can be read, and is what there is" 0 "$beacon" manifest storage --check -c "$dir/written.yaml"
if [ -n "$disk" ]; then
    umount "$dir/my disk"
    expect "until something changes" 1 "$beacon" manifest storage --check -c "$dir/written.yaml"
    says "which it names" "^$dir/my disk: missing\$" out
    losetup -d "$loop"
fi

# ---- a server that hangs ----
if [ -c /dev/fuse ]; then
    rm "$dir/hub.log"
    background server.log python3 tests/fake/hanging_fs.py "$dir/gone" "$dir/well"
    server_pid=$!
    within grep -q mounted "$dir/server.log"
    result "two file systems of a server" $?
    run "  dedup_window: 1s # what is wrong in another way is told at once
  storage_assignment_drift:
    - {name: gone, interval: 1s, mount: $dir/gone, stale_for: 3s}
    - {name: well, interval: 1s, mount: $dir/well, stale_for: 3s}
    - {name: ram, interval: 1s, mount: $dir/ram, fresh: $dir/ram/stamp, max_age: 1h}"
    within drift /ram outdated ",\"expected\":\"$dir/ram/stamp\",\"found\":\"No such file or directory\""
    result "a file that must be fresh is not there" $?
    touch "$dir/ram/stamp" && within recovered /ram 1
    result "it is written" $?
    touch -d 2020-01-02T03:04:05Z "$dir/ram/stamp"
    within drift /ram outdated ",\"expected\":\"$dir/ram/stamp\",\"found\":\"2020-01-02T03:04:05Z\""
    result "it is old" $?
    touch "$dir/ram/stamp" && within recovered /ram 2
    result "and fresh" $?
    : >"$dir/gone.hangs"
    within drift /gone stale ',"found":"Operation timed out"'
    result "one that does not answer is stale" $?
    rm "$dir/gone.hangs"
    within recovered /gone 1
    result "until it answers" $?
    ! heard "$type.*\"path\":\"$dir/well\""
    result "the other answered all the time" $?
    halt
    umount "$dir/gone" "$dir/well"
else
    echo "skip: a server that hangs: no /dev/fuse"
fi

umount "$dir/bound" "$dir/ram" "$dir/deep/er" "$dir/deep"

finish
