#!/bin/sh
# Third-party sources: what was tampered with or cut short is refused in one line and not kept. And how long tests wait.
cd "$(dirname "$0")/.." || exit 1
. tests/lib.sh


# A source of our own making, served from a directory, and a lock that names it.
make_source()
{
    mkdir -p "$dir/tree/thing-1.0" "$dir/served"
    echo 'int thing;' >"$dir/tree/thing-1.0/thing.c"
    tar -czf "$dir/served/thing-1.0.tar.gz" -C "$dir/tree" thing-1.0
    sum=$(sha256sum "$dir/served/thing-1.0.tar.gz" | cut -d ' ' -f 1)
    cp "$dir/served/thing-1.0.tar.gz" "$dir/good.tar.gz"
    echo "thing 1.0 $sum file:$dir/served/thing-1.0.tar.gz" >"$dir/lock"
}

fetch()
{
    toolchain/fetch.sh -l "$dir/lock" -o "$dir/out" thing >"$dir/stdout" 2>"$dir/stderr"
}

# Nothing of the source remains: no archive, no tree, no temporary file.
nothing_kept()
{
    [ -z "$(find "$dir/out/sources" -mindepth 1 ! -name .lock)" ]
}

refused()
{
    if fetch; then
        return 1
    fi
    [ "$(wc -l <"$dir/stderr")" -eq 1 ] && grep -q "$1" "$dir/stderr" && nothing_kept
}

fresh()
{
    rm -rf "$dir/out"
    cp "$dir/good.tar.gz" "$dir/served/thing-1.0.tar.gz"
}

make_source

fresh
fetch && [ -e "$dir/out/sources/thing/thing.c" ]
result "a source that matches the lock is unpacked" $?

fetch && [ -e "$dir/out/sources/thing/thing.c" ]
result "fetching again is no error" $?

fresh
printf 'X' | dd of="$dir/served/thing-1.0.tar.gz" bs=1 seek=60 conv=notrunc 2>/dev/null
refused 'SHA-256'
result "one byte changed: refused, one line, nothing kept" $?

fresh
dd if="$dir/good.tar.gz" of="$dir/served/thing-1.0.tar.gz" bs=1 count=80 2>/dev/null
refused 'SHA-256'
result "cut short: refused, one line, nothing kept" $?

fresh
: >"$dir/served/thing-1.0.tar.gz"
refused 'SHA-256'
result "empty: refused, one line, nothing kept" $?

fresh
rm "$dir/served/thing-1.0.tar.gz"
refused 'cannot be fetched'
result "not there: refused, one line, nothing kept" $?

fresh
mkdir -p "$dir/out/sources"
echo 'left over' >"$dir/out/sources/thing-1.0.tar.gz"
refused 'SHA-256'
result "a bad archive left in out/: refused, one line, not kept" $?
fetch && [ -e "$dir/out/sources/thing/thing.c" ]
result "and the next fetch gets the good one" $?

fresh
{
    cat "$dir/lock"
    echo "thing-patches 1 $(echo broken >"$dir/served/p.debian.tar.xz"
        sha256sum "$dir/served/p.debian.tar.xz" | cut -d ' ' -f 1) file:$dir/served/p.debian.tar.xz"
} >"$dir/lock.new"
mv "$dir/lock.new" "$dir/lock"
if fetch; then false; else [ ! -e "$dir/out/sources/thing" ]; fi
result "patches that cannot be unpacked: no unpatched tree is left" $?

# A mirror of Debian, without apt; and a machine whose sha256sum has another name.
make_mirror()
{
    mirrored=$dir/mirror/pool/main/libt/libthing
    mkdir -p "$mirrored" "$dir/other"
    cp "$dir/good.tar.gz" "$mirrored/libthing_1.0.orig.tar.gz"
    echo "thing 1.0 $sum deb-src:libthing=1.0-1/libthing_1.0.orig.tar.gz" >"$dir/lock"
    for program in $(busybox --list) curl tar; do
        ln -sf "$(command -v "$program" || command -v busybox)" "$dir/other/$program"
    done
    rm -f "$dir/other/sha256sum"
    cat >"$dir/other/shasum" <<'SH'
#!/bin/sh
[ "$1" = -a ] && [ "$2" = 256 ] && exec busybox sha256sum "$3"
SH
    ln -sf "$(command -v busybox)" "$dir/other/busybox"
    chmod +x "$dir/other/shasum"
}

# without_apt PATH: fetch where PATH is all there is.
without_apt()
{
    rm -rf "$dir/out"
    PATH=$1 DEBIAN_MIRROR=file://$dir/mirror/ toolchain/fetch.sh -l "$dir/lock" -o "$dir/out" -n thing >"$dir/stdout" 2>"$dir/stderr"
}

make_mirror
without_apt "$PATH" && [ -e "$dir/out/sources/thing/thing.c" ]
result "DEBIAN_MIRROR: a mirror serves what apt otherwise gets" $?
without_apt "$dir/other" && [ -e "$dir/out/sources/thing/thing.c" ]
result "and a machine without sha256sum and flock verifies it, too" $?
printf 'X' | dd of="$mirrored/libthing_1.0.orig.tar.gz" bs=1 seek=60 conv=notrunc 2>/dev/null
if without_apt "$dir/other"; then false; else [ "$(wc -l <"$dir/stderr")" -eq 1 ] && grep -q 'SHA-256' "$dir/stderr" && nothing_kept; fi
result "a mirror that serves something else is refused" $?
rm "$mirrored/libthing_1.0.orig.tar.gz"
if without_apt "$PATH"; then false; else grep -q 'DEBIAN_MIRROR=' "$dir/stderr" && nothing_kept; fi
result "what no place has is asked for" $?

# In a source archive the sources are there already.
mkdir -p "$dir/archive/toolchain" "$dir/archive/dist/sources/thing"
cp toolchain/fetch.sh toolchain/sources.lock "$dir/archive/toolchain"
echo 'int thing;' >"$dir/archive/dist/sources/thing/thing.c"
"$dir/archive/toolchain/fetch.sh" -o "$dir/out3" thing >"$dir/stdout" 2>"$dir/stderr" && cmp -s "$dir/archive/dist/sources/thing/thing.c" "$dir/out3/sources/thing/thing.c"
result "the sources of a source archive are taken from it" $?

# The fault has to reach whoever runs make: no stamp, no half-built board.
awk '$1 == "jsmn" { $3 = "0000000000000000000000000000000000000000000000000000000000000000" } 1' \
    toolchain/sources.lock >"$dir/lock"
if toolchain/fetch.sh -l "$dir/lock" -o "$dir/out2" jsmn 2>"$dir/stderr"; then false; else
    [ "$(wc -l <"$dir/stderr")" -eq 1 ] && [ ! -e "$dir/out2/sources/jsmn" ]
fi
result "a wrong sum in the lock: a source from Debian is refused as well" $?

# Another program holds apt's lock at first, then the lists are too old: a fake apt-get, of whose calls there is a list.
mkdir "$dir/bin"
cat >"$dir/bin/apt-get" <<SH
#!/bin/sh
echo "\$*" >>"$dir/calls"
case \$(wc -l <"$dir/calls") in
1 | 2) echo 'E: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 1 (apt-get)' >&2; exit 100 ;;
3) echo 'E: Unable to locate package' >&2; exit 100 ;;
4) echo 'E: Could not get lock /var/lib/apt/lists/lock. It is held by process 1 (apt-get)' >&2; exit 100 ;;
esac
SH
printf '#!/bin/sh\necho 0\n' >"$dir/bin/id"
printf '#!/bin/sh\nexit 1\n' >"$dir/bin/dpkg-query"
chmod 755 "$dir"/bin/*
PATH="$dir/bin:$PATH" toolchain/install-deps.sh emulate >"$dir/out.log" 2>&1 &&
    [ "$(grep -oE ' (install|update)' "$dir/calls" | tr -d '\n')" = " install install install update update install" ]
result "packages: while another program has apt's lock, it waits" $?
cat >"$dir/bin/apt-get" <<SH
#!/bin/sh
echo 'E: Unable to locate package' >&2
exit 100
SH
if PATH="$dir/bin:$PATH" toolchain/install-deps.sh emulate >"$dir/out.log" 2>&1; then false; else
    grep -q 'cannot install qemu-user' "$dir/out.log"
fi
result "packages: what cannot be installed is an error" $?

printf 'deb [arch=amd64 signed-by=/k.gpg] http://mirror.example/debian stable main contrib\n%s\n%s\n' \
    'deb http://other.example/tool stable-tool main' 'deb http://mirror.example/d stable-updates main' \
    >"$dir/one.list"
[ "$(awk -v deb822=0 -v codename=stable -f toolchain/apt-entries.awk "$dir/one.list")" = \
"http://mirror.example/debian stable /k.gpg
http://mirror.example/d stable-updates " ]
result "apt entries in one line each are read; foreign ones are left alone" $?

printf 'Types: deb\n# x\nURIs: http://m.example/debian\nSuites: stable stable-updates\n%s\n\n%s\n' \
    'Components: main
Signed-By: /k.gpg' 'Types: deb
URIs: http://n.example
Suites: nodistro
Components: main' >"$dir/two.sources"
[ "$(awk -v deb822=1 -v codename=stable -f toolchain/apt-entries.awk "$dir/two.sources")" = \
"http://m.example/debian stable /k.gpg
http://m.example/debian stable-updates /k.gpg" ]
result "apt entries in stanzas are read; foreign ones are left alone" $?

# What never comes is given up, and what comes after it soon. Of that only the least time is known here.
# in_vain SLOWNESS: how many seconds a wait of 3 s lasts, and which is the next one's.
in_vain()
{
    (
        slow=$1
        slowness() { echo "$slow"; }
        PATIENCE=3
        began=$(date +%s)
        within false
        echo "$? $(($(date +%s) - began)) $PATIENCE"
    )
}
# shellcheck disable=SC2046 # three words
set -- $(in_vain 100) && [ "$1" -eq 1 ] && [ "$2" -ge 3 ] && [ "$3" -eq 10 ]
result "waits: what never comes is given up" $?
# shellcheck disable=SC2046 # three words
set -- $(in_vain 300) && [ "$1" -eq 1 ] && [ "$2" -ge 9 ]
result "waits: a machine that is three times slower is given three times as long" $?
[ "$(slowness)" -ge 100 ] && [ "$(slowness)" -le "$SLOWNESS_MOST" ]
result "waits: the slowness of this machine is known" $?
printf '#!/bin/sh\ntrap "" TERM\nsleep 3600\n' >"$dir/hangs"
chmod 755 "$dir/hangs"
if toolchain/run-tests.sh -t 3 "$dir/hangs" >"$dir/out.log" 2>&1; then false; else
    [ "$(tail -n 1 "$dir/out.log")" = "0 passed, 1 failed" ] && grep -q 'has not ended within 3 s' "$dir/out.log"
fi
result "waits: a program that hangs is ended, and failed" $?

finish
