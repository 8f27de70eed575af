#!/bin/sh
# `make install`: what lands under DESTDIR, what is left alone, and a build on a machine whose packages are not ours to touch.
cd "$(dirname "$0")/.." || exit 1
. tests/lib.sh

log=$dir/install.log
root=$dir/root

# files: what is under DESTDIR, a line each.
files()
{
    (cd "$root" && find . -type f | sort)
}

make "-j$(nproc)" BOARD=host >"$log" 2>&1
result "the host's programs build" $?

# ---- what is installed ----
umask 077
make install DESTDIR="$root" PREFIX=/usr INIT=sysv >"$log" 2>&1
result "make install works" $?
files >"$dir/out"
cat >"$dir/wanted" <<'EOF'
./etc/init.d/S95nefia-beacon
./etc/init.d/S96nefia-reactor
./etc/nefia/nefia.yaml.example
./etc/nefia/router.yaml.example
./usr/sbin/nefia
./usr/sbin/nefia-beacon
./usr/share/doc/nefia-edge/LICENSE
./usr/share/doc/nefia-edge/LICENSE.bearssl
./usr/share/doc/nefia-edge/LICENSE.jsmn
./usr/share/doc/nefia-edge/LICENSE.musl
./usr/share/doc/nefia-edge/LICENSE.tre
./usr/share/nefia/playbooks/free-disk.yaml
./usr/share/nefia/playbooks/restart-service.yaml
./usr/share/nefia/playbooks/restore-config.yaml
EOF
diff "$dir/wanted" "$dir/out" >"$log"
result "programs, example, init scripts and licences are there, and nothing else" $?
umask 022

[ "$("$root/usr/sbin/nefia" --version | head -n 1)" = "$(out/host/nefia --version | head -n 1)" ]
result "the installed program runs" $?
[ "$(stat -c %a "$root/usr/sbin/nefia")$(stat -c %a "$root/etc/nefia/nefia.yaml.example")" = 755644 ]
result "whatever the umask, modes are those of programs and of files" $?
[ "$(stat -c %u "$root/usr/sbin/nefia")" = "$(id -u)" ]
result "files belong to who installs" $?
for l in musl bearssl tre jsmn; do
    grep -qi 'copyright' "$root/usr/share/doc/nefia-edge/LICENSE.$l" && grep -q "LICENSE.$l" LICENSE
    result "the licence of $l is there and named" $?
done
grep -qx 'PROG="/usr/sbin/nefia-beacon"' "$root/etc/init.d/S95nefia-beacon" &&
    sh -n "$root/etc/init.d/S95nefia-beacon" && [ -x "$root/etc/init.d/S95nefia-beacon" ]
result "an init script starts the program where it is" $?

# ---- what is left alone ----
echo 'host_id: mine' >"$root/etc/nefia/nefia.yaml"
make install DESTDIR="$root" PREFIX=/usr INIT=sysv >"$log" 2>&1 && grep -qx 'host_id: mine' "$root/etc/nefia/nefia.yaml"
result "installing again keeps the configuration" $?
make uninstall DESTDIR="$root" PREFIX=/usr INIT=sysv >"$log" 2>&1
[ "$(files)" = ./etc/nefia/nefia.yaml ] && [ ! -e "$root/usr/share/doc/nefia-edge" ]
result "make uninstall takes all but the configuration" $?

# ---- other places ----
rm -rf "$root"
make install DESTDIR="$root" PREFIX=/opt/n SYSCONFDIR=/opt/n/etc INIT=procd DOCS=y INSTALL_PROGRAMS=nefia-beacon >"$log" 2>&1
files | grep -v /share/ >"$dir/out"
printf '%s\n' ./etc/uci-defaults/90-nefia-beacon ./lib/upgrade/keep.d/nefia-beacon \
    ./opt/n/etc/init.d/nefia-beacon ./opt/n/etc/nefia/nefia.yaml.example ./opt/n/etc/nefia/router.yaml.example \
    ./opt/n/sbin/nefia-beacon ./usr/lib/nefia/beacon.sh ./usr/libexec/rpcd/nefia |
    diff - "$dir/out" >>"$log" && grep -qx 'PROG=/opt/n/sbin/nefia-beacon' "$root/opt/n/etc/init.d/nefia-beacon" &&
    grep -q ' /opt/n/sbin/nefia-beacon$' "$root/etc/uci-defaults/90-nefia-beacon"
result "PREFIX, SYSCONFDIR and INSTALL_PROGRAMS say what goes where" $?

python3 -c 'import json, sys; a = json.load(open(sys.argv[1])); sys.exit(a != {"user": "nefia", "access": {"service": {"methods": ["list"]}}})' \
    "$root/usr/share/acl.d/nefia-beacon.json"
result "INIT=procd: ubusd lets the beacon's user list services, and nothing else" $?
[ "$(find "$root/opt/n/share/doc" -name '*.md' | wc -l)" -eq "$(find README.md docs -name '*.md' | wc -l)" ]
result "DOCS=y: the documentation, too" $?
make uninstall DESTDIR="$root" PREFIX=/opt/n SYSCONFDIR=/opt/n/etc INIT=procd DOCS=y INSTALL_PROGRAMS=nefia-beacon >"$log" 2>&1
[ -z "$(files)" ]
result "make uninstall takes that, too" $?
rm -rf "$root"
make install DESTDIR="$root" INIT=procd INSTALL_PROGRAMS=nefia >"$log" 2>&1
[ ! -e "$root/usr/share/acl.d" ]
result "the hub needs no such permission" $?

rm -rf "$root"
make install DESTDIR="$root" PREFIX=/opt/n SYSCONFDIR=/opt/etc INIT=systemd >"$log" 2>&1
unit=$root/opt/n/lib/systemd/system/nefia-reactor.service
grep -qx 'ExecStart=/opt/n/sbin/nefia reactor run --syslog -c /opt/etc/nefia/nefia.yaml' "$unit" && [ "$(stat -c %a "$unit")" = 644 ] &&
    [ -e "${unit%reactor*}beacon.service" ] && [ ! -e "$root/opt/etc/init.d" ]
result "INIT=systemd: units start the programs where they are" $?
make uninstall DESTDIR="$root" PREFIX=/opt/n SYSCONFDIR=/opt/etc INIT=systemd >"$log" 2>&1
[ -z "$(files)" ]
result "and make uninstall takes them" $?

if make install DESTDIR="$root" INIT=nonsense >"$log" 2>&1; then false; else grep -q 'sysv, systemd and procd' "$log"; fi
result "an init that is not known is named" $?

if [ -e out/mips-malta/nefia ]; then
    rm -rf "$root"
    make "-j$(nproc)" BOARD=mips-malta install DESTDIR="$root" >"$log" 2>&1 &&
        mips-linux-gnu-readelf -h "$root/usr/local/sbin/nefia" 2>&1 | grep -q 'big endian'
    result "a board's programs are installed" $?
else
    echo "skip: installing for mips-malta, which has not been built"
fi

# ---- DEPS=none: a package manager that is called is a failure ----
tree=$dir/tree
fake=$dir/fake
mkdir -p "$tree" "$fake"
cp -R Makefile Kconfig LICENSE board include src toolchain "$tree"
for p in apt-get apt dpkg dpkg-query curl wget; do
    printf '#!/bin/sh\necho "%s $*" >>"%s/called"\nexit 1\n' $p "$dir" >"$fake/$p"
    chmod +x "$fake/$p"
done

in_tree()
{
    PATH=$fake:$PATH make -C "$tree" BOARD=host "$@" >"$log" 2>&1
}

if in_tree DEPS=none KCONFIG_CONF=no-such-conf out/host/.config; then false; else
    grep -q 'needed to build: no-such-conf$' "$log" && grep -q 'KCONFIG_CONF=' "$log"
fi
result "DEPS=none: a missing program is named, with the way around it" $?

# Another Kconfig program than ours, by a name of its own.
printf '#!/bin/sh\necho "$@" >>"%s/conf-called"\nexec kconfig-conf "$@"\n' "$dir" >"$fake/other-conf"
chmod +x "$fake/other-conf"
in_tree DEPS=none KCONFIG_CONF=other-conf out/host/gen/auto.conf && grep -q olddefconfig "$dir/conf-called"
result "KCONFIG_CONF: another Kconfig program is used" $?

# A symbol that the configuration does not have gets its default.
sed -i '/CONFIG_EVENT_BYTES/d' "$tree/out/host/.config"
in_tree DEPS=none olddefconfig && grep -q '^CONFIG_EVENT_BYTES=' "$tree/out/host/.config"
result "make olddefconfig adds what is missing" $?

if in_tree DEPS=none sources; then false; else grep -q 'SOURCES_DIR=' "$log"; fi
result "DEPS=none: sources that are not there are asked for" $?
! grep -v '^curl \|^wget ' "$dir/called" >"$log" 2>&1
result "DEPS=none: the package manager is not called" $?
rm -f "$dir/called"

mkdir "$dir/given"
find out/sources -maxdepth 1 -type f \( -name '*.tar.*' -o -name '*.deb' \) -exec cp {} "$dir/given" \;
in_tree DEPS=none SOURCES_DIR="$dir/given" sources && [ -e "$tree/out/sources/tre/lib/regcomp.c" ]
result "SOURCES_DIR: sources come from a directory" $?

rm -rf "$tree/out/sources" "$dir"/given/tre_*
if in_tree DEPS=none SOURCES_DIR="$dir/given" sources; then false; else
    grep -q "$dir/given has no tre-.* or tre_" "$log"
fi
result "SOURCES_DIR: what it does not have is named" $?

[ ! -e "$dir/called" ]
result "SOURCES_DIR: neither a package manager nor the network is asked" $?

finish
