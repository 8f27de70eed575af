#!/bin/sh
# The configuration of one build directory.
#
#   config.sh seed OUT FROM…   write OUT/.config from defconfig files, the last that names a symbol counts,
#                              or from one of the words allno, allyes, random; one that was edited by hand
#                              is kept
#   config.sh menu OUT MCONF   let the user change OUT/.config with a Kconfig menu program
#   config.sh old OUT          give symbols that OUT/.config does not have their defaults
#   config.sh save OUT FILE    write into FILE what differs from the defaults in OUT/.config
#   config.sh sync OUT BOARD VERSION
#                              bring OUT/.config up to date with the Kconfig files, and write
#                              OUT/gen/{auto.conf,autoconf.h,sensors.inc,actions.inc}
# The environment's KCONFIG_CONF is the Kconfig program, or kconfig-conf. Without one, a source archive of `make dist` builds the
# configurations that came with it (dist/configs), as they are.
set -eu

out=$2
config=$out/.config
seeded=$out/.config.seeded
tree=$PWD

# from_here PROGRAM: as it is called from another directory.
from_here()
{
    case $1 in
    /*) echo "$1" ;;
    */*) echo "$tree/$1" ;;
    *) echo "$1" ;;
    esac
}

# in_out PROGRAM ARGUMENT…: a Kconfig program leaves temporary files where it runs, which is not in the tree. Files that the
# ARGUMENTS name are those of OUT. The environment may be that of a surrounding build, whose configuration is not ours to read or to
# write: a kernel's program looks for it in KCONFIG_CONFIG, Buildroot's in BR2_CONFIG, and CONFIG_ is what symbols begin with in files.
in_out()
{
    program=$(from_here "$1")
    shift
    (
        cd "$out"
        unset KCONFIG_ALLCONFIG KCONFIG_DEFCONFIG_LIST KCONFIG_NOSILENTUPDATE KCONFIG_OVERWRITECONFIG
        srctree=$tree CONFIG_=CONFIG_ KCONFIG_CONFIG=.config BR2_CONFIG=.config KCONFIG_AUTOCONFIG=kconfig/auto.conf \
            KCONFIG_AUTOHEADER=kconfig/autoconf.h KCONFIG_TRISTATE=kconfig/tristate.conf KCONFIG_RUSTCCFG=kconfig/rustc_cfg \
            "$program" "$@" Kconfig
    )
}

conf=${KCONFIG_CONF:-kconfig-conf}
ready_made=$(dirname "$0")/../dist/configs

# as_it_came: there is no Kconfig program, but there are configurations that need none.
as_it_came()
{
    [ -d "$ready_made" ] && ! command -v "$(from_here "$conf")" >/dev/null 2>&1
}

# The user wants what only a Kconfig program can do.
needs_conf()
{
    echo "config: $*: that needs a Kconfig program, and there is no $conf: install kconfig-frontends, or name that of a kernel or of" \
        "Buildroot (scripts/kconfig/conf) with KCONFIG_CONF=" >&2
    exit 1
}

# take DEFCONFIG [FRAGMENT]: the configuration that Kconfig made of these files, which are of the tree.
take()
{
    case $* in
    'board/'*'/defconfig board/'*.config) name=$(basename "${1%/*}")-$(basename "$2" .config) ;;
    'board/'*/defconfig) name=$(basename "${1%/*}") ;;
    *) needs_conf "a configuration of $*" ;;
    esac
    [ -e "$ready_made/$name.config" ] || needs_conf "a configuration of $*"
    echo "config: there is no Kconfig program: the configuration $name is taken as it came; for another one, KCONFIG_CONF= names a program"
    mkdir -p "$out"
    cp "$ready_made/$name.config" "$config"
}

kconfig()
{
    if as_it_came; then
        needs_conf "$config"
    fi
    mkdir -p "$out"
    in_out "$conf" "$@" </dev/null >"$out/kconfig.log" 2>&1 || {
        echo "config: $conf $* failed:" >&2
        cat "$out/kconfig.log" >&2
        exit 1
    }
    sed -n "/warning:/s|^\.config|$config|p" "$out/kconfig.log" >&2
    sed -n '/warning:/{/^\.config/!p;}' "$out/kconfig.log" >&2
    rm -rf "$out/..config.tmp" "$config.old" "$out/kconfig"
}

# defaults: symbols that the configuration does not have get their defaults; one that came with the tree has all.
defaults()
{
    if edited || ! as_it_came; then
        kconfig --olddefconfig
    fi
}

edited()
{
    [ -e "$config" ] && ! cmp -s "$config" "$seeded"
}

# last_of_each FILE…: what they say of each symbol, the last one of it.
last_of_each()
{
    awk '/^CONFIG_/ { split($0, name, "="); said[name[1]] = $0 }
         /^# CONFIG_.* is not set$/ { said[$2] = $0 }
         END { for (n in said) print said[n] }' "$@"
}

# report_unknown FILE…: Kconfig drops a symbol that it does not know without a word.
report_unknown()
{
    find Kconfig src -name Kconfig -exec cat {} + |
        awk '$1 == "config" || $1 == "menuconfig" { known["CONFIG_" $2] }
             { name = $1 == "#" ? $2 : $1; sub(/=.*/, "", name) }
             FILENAME != "-" && name ~ /^CONFIG_/ && !(name in known) {
                 print "config: " FILENAME ": " name " is not a symbol of this tree; ignored"
             }' - "$@" >&2
}

seed()
{
    if edited; then
        echo "config: $config differs from $* by hand; \`make defconfig\` would take that again"
        touch "$config"
        return
    fi
    case $1 in
    allno) kconfig --allnoconfig ;;
    allyes) kconfig --allyesconfig ;;
    random) kconfig --randconfig ;;
    *)
        mkdir -p "$out"
        if as_it_came; then
            take "$@"
        else
            report_unknown "$@"
            last_of_each "$@" >"$seeded.files"
            kconfig --defconfig=.config.seeded.files
        fi
        ;;
    esac
    cp "$config" "$seeded"
    echo "$*" >"$seeded.from"
}

# modules KIND DIRECTORY: the files of DIRECTORY whose CONFIG_KIND_NAME is y, without their .c.
modules()
{
    sed -n "s/^CONFIG_$1_\([A-Z0-9_]*\)=y\$/\1/p" "$config" | tr '[:upper:]' '[:lower:]' |
    while read -r name; do
        if [ -e "$2/$name.c" ]; then
            echo "$name"
        fi
    done
}

# put FILE: replace it with stdin, but only when that is different.
put()
{
    cat >"$1.new"
    if cmp -s "$1.new" "$1"; then
        rm -f "$1.new"
    else
        mv "$1.new" "$1"
    fi
}

# features OTHER: what `--version` says of a program: those symbols that somebody can choose and did, without those of the OTHER
# program, beacon or hub. The beacon names its sensors itself.
features()
{
    find Kconfig src -name Kconfig -exec cat {} + |
        awk -v other="$1" '
            $1 == "config" || $1 == "menuconfig" { name = $2 }
            $1 == "bool" && NF > 1 { asked["CONFIG_" name "=y"] = whose(name) }
            $0 in asked && asked[$0] != other && !/^CONFIG_SENSOR_/ { printf "%s%s", gap, tolower(substr($0, 8, length - 9)); gap = " " }
            function whose(name) {
                if (name ~ /^(FLEET|SENSOR|BEACON|SPOOL)_/) return "beacon"
                if (name ~ /^(ACTION|HUB|WIREGUARD)_/) return "hub"
                return "both"
            }' - "$config" |
        tr _ -
}

# profile FILE: the one that is chosen there.
profile()
{
    grep '^CONFIG_PROFILE_.*=y$' "$1" || true
}

# take_choices: of what the user has just saved, only what differs from the defaults counts as chosen; the rest follows the profile
# and the features. Before and after the menu: all symbols (.before, .config) and those that differ from the defaults (.least, .chosen).
take_choices()
{
    kconfig --savedefconfig=.config.chosen
    awk 'function name() { return $1 == "#" ? $2 : substr($0, 1, index($0, "=") - 1) }
         !/^(# )?CONFIG_/ { next }
         FILENAME ~ /\.before$/ { before[name()] = $0; next }
         FILENAME ~ /\.config$/ { after[name()] = $0; next }
         { n = name(); changed = before[n] != after[n] }
         changed == (FILENAME ~ /\.chosen$/)' \
        "$config.before" "$config" "$config.least" "$config.chosen" >"$config.new"
    kconfig --defconfig=.config.new
}

# A menu of a whole configuration, so that nothing in it counts as new. Another profile changes what the user has not seen
# yet: the menu opens once more with it.
menu()
{
    trap 'rm -f "$config.before" "$config.least" "$config.chosen" "$config.new" "$config.old"' EXIT
    kconfig --olddefconfig
    while :; do
        cp "$config" "$config.before"
        kconfig --savedefconfig=.config.least
        in_out "$1"
        if cmp -s "$config" "$config.before"; then
            break
        fi
        take_choices
        if [ "$(profile "$config")" = "$(profile "$config.before")" ]; then
            break
        fi
        echo "config: another profile was chosen; the menu opens again with its features and sizes"
    done
}

# absent: the keys under `beacons:` of the sensors that are not built, as a list of words for C.
absent()
{
    for source in src/beacon/sensors/*.c; do
        name=${source##*/}
        if grep -qx "${name%.c}" "$out/gen/sensors"; then
            continue
        fi
        key=$(sed -n '/^const struct sensor_class /,/^}/s/^ *SENSOR_NAME[_OF]*("\([a-z_]*\)",.*$/\1/p' "$source")
        if [ -z "$key" ]; then
            echo "config: $source: no struct sensor_class with its SENSOR_NAME on a line of its own" >&2
            exit 1
        fi
        printf '%s\\0' "$key"
    done
}

# class_value NAME MEMBER: what the class of action NAME has there.
class_value()
{
    value=$(sed -n "/^const struct action_class /,/^}/s/^ *\.$2 = \(.*\),\$/\1/p" "src/hub/actions/$1.c")
    if [ -z "$value" ]; then
        echo "config: src/hub/actions/$1.c: no struct action_class with its .$2 on a line of its own" >&2
        exit 1
    fi
    echo "$value"
}

# action_sizes: ACTION(name, jobs, running) for each that is built.
action_sizes()
{
    while read -r name; do
        jobs=$(class_value "$name" jobs)
        running=$(class_value "$name" running)
        echo "ACTION($name, $jobs, $running)"
    done <"$out/gen/actions"
}

# absent_actions: the words of the actions that Kconfig knows and this build does not have, as strings of C for word_at.
absent_actions()
{
    awk '$1 == "config" { name = $2 }
         $1 == "bool" && sub(/^ACTION_/, "", name) { print tolower(name) }' src/hub/actions/Kconfig |
    while read -r name; do
        if ! grep -qx "$name" "$out/gen/actions"; then
            printf '"%s\\0" ' "$name"
        fi
    done
}

sync()
{
    was_edited=no
    if edited; then
        was_edited=yes
        report_unknown "$config"
    elif [ -e "$seeded.from" ] && [ "$(cat "$seeded.from")" != random ] && ! as_it_came; then
        # A default that changed in a Kconfig file reaches a configuration nobody touched.
        # shellcheck disable=SC2046 # a list of files
        seed $(cat "$seeded.from")
    fi
    defaults
    if [ $was_edited = no ]; then
        cp "$config" "$seeded"
    fi
    mkdir -p "$out/gen"
    modules SENSOR src/beacon/sensors >"$out/gen/sensors"
    modules ACTION src/hub/actions >"$out/gen/actions"
    sed 's/.*/SENSOR(&)/' "$out/gen/sensors" | put "$out/gen/sensors.inc"
    action_sizes >"$out/gen/actions.sizes"
    put "$out/gen/actions.inc" <"$out/gen/actions.sizes"
    absent_sensors=$(absent)
    {
        echo "/* Generated from $config. */"
        sed -n 's/^\(CONFIG_[A-Z0-9_]*\)=y$/#define \1 1/p; t
                s/^\(CONFIG_[A-Z0-9_]*\)=\(..*\)$/#define \1 \2/p' "$config"
        echo "#define NEFIA_BOARD \"$1\""
        echo "#define NEFIA_VERSION \"$2\""
        printf '#define NEFIA_ABSENT_SENSORS "%s"\n' "$absent_sensors"
        printf '#define NEFIA_ABSENT_ACTIONS %s\n' "$(absent_actions)"
        echo "#define NEFIA_BEACON_FEATURES \"$(features hub)\""
        echo "#define NEFIA_HUB_FEATURES \"$(features beacon)\""
    } | put "$out/gen/autoconf.h"
    {
        grep '^CONFIG_' "$config" || true
        echo "SENSORS := $(tr '\n' ' ' <"$out/gen/sensors")"
        echo "ACTIONS := $(tr '\n' ' ' <"$out/gen/actions")"
    } >"$out/gen/auto.conf.new"
    mv "$out/gen/auto.conf.new" "$out/gen/auto.conf"
}

case $1 in
seed) shift 2; seed "$@" ;;
menu) menu "$3" ;;
old)
    report_unknown "$config"
    defaults
    ;;
save)
    kconfig --savedefconfig=.config.least
    mv "$out/.config.least" "$3"
    ;;
sync) sync "$3" "$4" ;;
*) echo "usage: config.sh seed OUT FROM… | menu OUT MCONF | old OUT | save OUT FILE | sync OUT BOARD VERSION" >&2; exit 2 ;;
esac
