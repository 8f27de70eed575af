#!/bin/sh
# The man in the middle (tests/fault/mitm.py) between senders and a hub of foreign make: the protocol withstands him, and where it is
# weakened on purpose he is noticed. With the programs: tests/fault/scenario_mitm.py.
cd "$(dirname "$0")/.." || exit 1
. tests/lib.sh

attack()
{
    python3 tests/fault/scenario_mitm.py --fake "$@"
}

# noticed MUTANT ACTS: within a few runs an account does not come out even, and nothing else is wrong.
noticed()
{
    for _ in 1 2 3 4 5; do
        attack 400 "--mutant=$1" "--acts=$2" >"$dir/out" 2>"$dir/err"
        grep -q '^FAIL the account: ' "$dir/out" && ! grep -v '^FAIL the account: ' "$dir/out" | grep -q '^FAIL ' && return
    done
    return 1
}

expect "300 sessions with a man in the middle come out even" 0 attack 300
noticed counter drop,swap,double,cut
result "lines without numbers: he is noticed" $?
noticed nonce cut,swallow
result "keys without the beacon's nonce: he is noticed" $?
noticed early cut
result "acknowledged before it is kept: it is noticed" $?

finish
