#!/bin/sh
# Check the models of link 2 with spin: `make test-model`.
#
#   tests/model/run.sh [-j N] [NAME…]     N at a time; only the cases of these names. `wide`: those that are too long for `make check`
#   tests/model/run.sh -t NAME            the counterexample of a case, step by step
#
# A case without a mutation must be searched through without an error; one with a mutation must give a counterexample to the
# property that is named, or the model would prove nothing. A search that memory or depth ends is a failure, not a verdict. Each
# case is a line; the last is `N passed, N failed`.
set -u
here=$(cd "$(dirname "$0")" && pwd)

# NAME, FILE, the property that falls or `-`, flags.
cases()
{
    cat <<'END'
lines                       wire   -  -DCONNECTIONS=3 -DOPENED=3 -DLINES=3
lines-long                  wire   -  -DLINES=4
no-beacon-nonce             wire   d  -DMUTATION=NO_BEACON_NONCE
no-beacon-nonce-effect      wire   a  -DMUTATION=NO_BEACON_NONCE -DEFFECTS_ONLY
no-hub-nonce                wire   d  -DMUTATION=NO_HUB_NONCE
no-hub-nonce-effect         wire   a  -DMUTATION=NO_HUB_NONCE -DEFFECTS_ONLY
no-counter                  wire   d  -DMUTATION=NO_COUNTER
no-counter-effect           wire   a  -DMUTATION=NO_COUNTER -DEFFECTS_ONLY
one-key                     wire   d  -DMUTATION=ONE_KEY
one-key-effect              wire   a  -DMUTATION=ONE_KEY -DEFFECTS_ONLY

hub-crashes                 link   -  -DSTARTS=1 -DCONNECTIONS=3 -DEVENTS=2 -DHUB_CRASHES=2 -DNEEDLESS
hub-crashes-idempotent      link   -  -DSTARTS=2 -DCONNECTIONS=3 -DEVENTS=2 -DHUB_CRASHES=1 -DIDEMPOTENT=1
ack-before-journal          link   a  -DSTARTS=1 -DCONNECTIONS=2 -DMUTATION=ACK_BEFORE_JOURNAL
job-before-journal          link   b  -DSTARTS=1 -DCONNECTIONS=2 -DMUTATION=JOB_BEFORE_JOURNAL
rerun-all                   link   b  -DSTARTS=1 -DCONNECTIONS=2 -DMUTATION=RERUN_ALL
duplicates-act              link   b  -DSTARTS=1 -DCONNECTIONS=2 -DMUTATION=DUPLICATES_ACT

unknown-messages            link   -  -DSTARTS=1 -DCONNECTIONS=2 -DEVENTS=3 -DLINES=4 -DCHATTER=2 -DNEEDLESS
count-events                link   a  -DSTARTS=1 -DCONNECTIONS=2 -DLINES=4 -DCHATTER=1 -DMUTATION=COUNT_EVENTS

power-cuts                  link   -  -DSTARTS=3 -DCONNECTIONS=4 -DEVENTS=2 -DHUB_CRASHES=0
power-cut-hub-crash         link   -  -DSTARTS=2 -DCONNECTIONS=3 -DEVENTS=2 -DNEEDLESS
windows-unnamed             link   b  -DSTARTS=3 -DCONNECTIONS=4 -DHUB_CRASHES=0 -DIN_ORDER -DMUTATION=WINDOWS_UNNAMED
unsure-noted                link   b  -DSTARTS=4 -DCONNECTIONS=5 -DEVENTS=1 -DHUB_CRASHES=0 -DMUTATION=UNSURE_NOTED
no-unsure                   link   b  -DSTARTS=3 -DCONNECTIONS=4 -DHUB_CRASHES=0 -DMUTATION=NO_UNSURE
no-note                     link   b  -DSTARTS=3 -DCONNECTIONS=4 -DHUB_CRASHES=0 -DMUTATION=NO_NOTE
note-of-writer              link   b  -DSTARTS=3 -DCONNECTIONS=4 -DHUB_CRASHES=0 -DMUTATION=NOTE_OF_WRITER
any-name                    link   b  -DSTARTS=3 -DCONNECTIONS=4 -DHUB_CRASHES=0 -DMUTATION=ANY_NAME
mixed-starts                link   b  -DSTARTS=3 -DCONNECTIONS=4 -DHUB_CRASHES=0 -DMUTATION=MIXED_STARTS
named-last                  link   b  -DSTARTS=3 -DCONNECTIONS=4 -DHUB_CRASHES=0 -DMUTATION=NAMED_LAST
event-takes-hellos          link   b  -DSTARTS=3 -DCONNECTIONS=4 -DHUB_CRASHES=0 -DMUTATION=EVENT_TAKES_HELLOS
sessions-stay               link   b  -DSTARTS=3 -DCONNECTIONS=4 -DHUB_CRASHES=0 -DMUTATION=SESSIONS_STAY
ended-late                  link   b  -DSTARTS=3 -DCONNECTIONS=4 -DHUB_CRASHES=0 -DMUTATION=ENDED_LATE
unsure-acts                 link   b  -DSTARTS=3 -DCONNECTIONS=4 -DHUB_CRASHES=0 -DMUTATION=UNSURE_ACTS
welcome-before-journal      link   e  -DSTARTS=2 -DCONNECTIONS=3 -DNEEDLESS -DMUTATION=WELCOME_BEFORE_JOURNAL
one-window                  link   e  -DSTARTS=2 -DCONNECTIONS=3 -DNEEDLESS -DMUTATION=ONE_WINDOW

two-hubs                    link   -  -DSTARTS=2 -DCONNECTIONS=3 -DEVENTS=2 -DHUBS=2 -DHUB_CRASHES=0
last-name-only              link   b  -DSTARTS=2 -DCONNECTIONS=3 -DHUBS=2 -DHUB_CRASHES=0 -DMUTATION=LAST_NAME_ONLY
any-name-two-hubs           link   b  -DSTARTS=2 -DCONNECTIONS=3 -DHUBS=2 -DHUB_CRASHES=0 -DMUTATION=ANY_NAME
no-unsure-two-hubs          link   b  -DSTARTS=1 -DCONNECTIONS=3 -DHUBS=2 -DHUB_CRASHES=0 -DMUTATION=NO_UNSURE

memory-lost                 link   -  -DSTARTS=2 -DCONNECTIONS=3 -DEVENTS=2 -DHUB_CRASHES=0 -DLOSSES=1
any-name-memory-lost        link   b  -DSTARTS=1 -DCONNECTIONS=3 -DHUB_CRASHES=0 -DLOSSES=1 -DMUTATION=ANY_NAME
backup                      link   -  -DSTARTS=1 -DCONNECTIONS=4 -DEVENTS=2 -DLINES=4 -DHUB_CRASHES=0 -DBACKUP
highest-ignored             link   b  -DSTARTS=1 -DCONNECTIONS=4 -DEVENTS=2 -DLINES=4 -DHUB_CRASHES=0 -DBACKUP -DMUTATION=HIGHEST_IGNORED
not-sticky                  link   b  -DSTARTS=1 -DCONNECTIONS=4 -DEVENTS=3 -DLINES=4 -DHUB_CRASHES=0 -DBACKUP -DMUTATION=NOT_STICKY

window                      link   -  -DSTARTS=1 -DCONNECTIONS=2 -DEVENTS=4 -DLINES=4 -DW=2 -DNEEDLESS
window-ignored              link   -  -DSTARTS=1 -DCONNECTIONS=2 -DEVENTS=4 -DLINES=4 -DW=2 -DSPAN=8
window-power-cut            link   -  -DSTARTS=2 -DCONNECTIONS=3 -DEVENTS=3 -DLINES=4 -DW=2 -DHUB_CRASHES=0
no-span                     link   e  -DSTARTS=1 -DCONNECTIONS=2 -DEVENTS=4 -DLINES=4 -DW=2 -DSPAN=8 -DNEEDLESS
below-is-had                link   a  -DSTARTS=1 -DCONNECTIONS=2 -DEVENTS=4 -DLINES=4 -DW=2 -DSPAN=8 -DMUTATION=BELOW_IS_HAD
below-is-new                link   b  -DSTARTS=1 -DCONNECTIONS=2 -DEVENTS=4 -DLINES=4 -DW=2 -DSPAN=8 -DMUTATION=BELOW_IS_NEW
ack-passes-refusal          link   a  -DSTARTS=1 -DCONNECTIONS=2 -DEVENTS=4 -DLINES=4 -DW=2 -DSPAN=8 -DMUTATION=ACK_PASSES_REFUSAL

plain                       plain  -
no-pin                      plain  d  -DMUTATION=NO_PIN
pin-not-journaled           plain  d  -DMUTATION=PIN_NOT_JOURNALED
pin-ends-at-hello           plain  d  -DMUTATION=PIN_ENDS_AT_HELLO
plain-displaces             plain  b  -DMUTATION=PLAIN_DISPLACES
plain-is-sure               plain  b  -DMUTATION=PLAIN_IS_SURE

wide-lines                  wire   -  -DCONNECTIONS=3 -DOPENED=3 -DLINES=4
wide-power-cuts             link   -  -DSTARTS=3 -DCONNECTIONS=4 -DEVENTS=2 -DHUB_CRASHES=1
wide-four-starts            link   -  -DSTARTS=4 -DCONNECTIONS=5 -DEVENTS=1 -DHUB_CRASHES=0
wide-two-hubs               link   -  -DSTARTS=2 -DCONNECTIONS=3 -DEVENTS=2 -DHUBS=2 -DHUB_CRASHES=1
wide-memory-lost            link   -  -DSTARTS=2 -DCONNECTIONS=3 -DEVENTS=2 -DHUBS=2 -DHUB_CRASHES=0 -DLOSSES=1
wide-backup                 link   -  -DSTARTS=1 -DCONNECTIONS=4 -DEVENTS=3 -DLINES=4 -DHUB_CRASHES=0 -DBACKUP
END
}

# Memory in MB and depth are far above what the cases need.
MEMORY=3000
DEPTH=20000

# build FILE FLAG…: ./pan in the working directory.
build()
{
    cp "$here/$1.pml" model.pml
    shift
    for flag in "$@"; do
        flag=${flag#-D}
        grep -qw "${flag%%=*}" model.pml || { echo "no ${flag%%=*} in it" >spin.log; return 1; }
    done
    spin -a "$@" model.pml >spin.log 2>&1 &&
        gcc -O1 -w -DSAFETY -DCOLLAPSE -DVECTORSZ=1024 -DMEMLIM=$MEMORY -o pan pan.c >gcc.log 2>&1
}

# The letter of the property that the first counterexample breaks: it stands beside the assertion.
broken()
{
    spin -t "$@" model.pml 2>/dev/null >trail.log
    line=$(sed -n 's/^spin: model.pml:\([0-9]*\), Error: assertion violated.*/\1/p' trail.log | head -n 1)
    [ -n "$line" ] && sed -n "${line}s/.*\/\* (\([a-e]\)).*/\1/p" model.pml
}

steps()
{
    grep -E '^ *(beacon|hub|attacker)' trail.log | sed 's/^ *//'
}

# verdict NAME PROPERTY FLAG…: of pan.log; 0 if it is as it should be.
verdict()
{
    name=$1
    want=$2
    shift 2
    states=$(sed -n 's/^ *\([0-9.e+]*\) states, stored.*/\1/p' pan.log)
    if grep -Eq 'out of memory|max search depth too small|aborting|Search not completed.*out' pan.log; then
        echo "FAIL $name: not searched through"
        return 1
    fi
    if grep -q 'errors: 0$' pan.log; then
        [ "$want" = - ] && echo "ok $name: $states states" && return
        echo "FAIL $name: $states states, but no counterexample: the model does not see what the mutation breaks"
        return 1
    fi
    got=$(broken "$@")
    [ -n "$got" ] && [ "$got" = "$want" ] && echo "ok $name: counterexample to ($got) after $states states" && return
    echo "FAIL $name: a counterexample to (${got:-?}), expected: $want"
    steps | sed 's/^/  /'
    tail -n 5 pan.log | sed 's/^/  pan: /'
    return 1
}

# one NAME FILE PROPERTY FLAG…: print the verdict in one piece; if `trace` is set, the steps.
one()
{
    name=$1
    file=$2
    property=$3
    shift 3
    cd "$(mktemp -d "$dir/XXXXXX")" || exit 1
    if ! build "$file" "$@"; then
        echo "FAIL $name: cannot build it: $(cat spin.log gcc.log 2>/dev/null | head -n 5)" >verdict.log
    else
        ./pan -n -m$DEPTH >pan.log 2>&1
        verdict "$name" "$property" "$@" >verdict.log
        [ -z "${trace-}" ] || { broken "$@" >/dev/null; steps; }
    fi
    flock "$dir" cat verdict.log
}

if [ "${1-}" = --one ]; then
    dir=$2
    shift 2
    one "$@"
    exit 0
fi

jobs=$(nproc)
while getopts j:t opt; do
    case $opt in
    j) jobs=$OPTARG ;;
    t) trace=1; export trace ;;
    *) exit 2 ;;
    esac
done
shift $((OPTIND - 1))

for tool in spin gcc flock; do
    command -v $tool >/dev/null && continue
    echo "run.sh: no $tool: toolchain/install-deps.sh model" >&2
    exit 1
done
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
trap 'exit 1' HUP INT TERM
cases | awk -v names=" $* " 'NF && (index(names, " " $1 " ") || ($1 ~ /^wide-/ ? names == " wide " : names == "  "))' >"$dir/cases"
[ -s "$dir/cases" ] || { echo "run.sh: no such case: $*" >&2; exit 2; }
xargs -L 1 -P "$jobs" "$here/run.sh" --one "$dir" <"$dir/cases" | tee "$dir/log"
passed=$(grep -c '^ok ' "$dir/log")
failed=$(($(wc -l <"$dir/cases") - passed))
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
