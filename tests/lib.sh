# shellcheck shell=sh
# What the tests/*_test.sh share; they source it with the repository as working directory. It makes $dir, a directory of the
# test's own, and counts. The last command of a test is `finish`. However it ends, $dir goes, and before it the processes whose ids
# stand in the variables that $processes names.
set -u
# shellcheck source=toolchain/patience.sh
. toolchain/patience.sh

# shellcheck disable=SC2034 # the tests use it
dir=$(mktemp -d)
readonly dir
processes=
passed=0
failed=0

end_all()
{
    for name in $processes; do
        ids=
        eval "ids=\$$name"
        for id in $ids; do
            kill "$id" 2>/dev/null && wait "$id" 2>/dev/null
        done
    done
    rm -rf "$dir"
}
trap end_all EXIT
trap 'exit 1' HUP INT TERM

# result NAME STATUS: count one; show what was caught of a failure.
result()
{
    if [ "$2" -eq 0 ]; then
        passed=$((passed + 1))
        echo "ok $1"
        return
    fi
    failed=$((failed + 1))
    echo "FAIL $1"
    for log in "$dir"/out "$dir"/err "$dir"/*.log; do
        [ -s "$log" ] && sed "s|^|  ${log##*/}: |" "$log" | cut -c 1-300 | tail -n 12
    done
}

# expect NAME STATUS COMMAND…: run it; its exit status is what counts. Output goes to $dir/out and $dir/err.
expect()
{
    name=$1
    want=$2
    shift 2
    "$@" >"$dir/out" 2>"$dir/err" </dev/null
    got=$?
    [ "$got" -eq "$want" ]
    result "$name" $?
}

# says NAME PATTERN FILE: FILE of $dir has a line that matches.
says()
{
    grep -q -e "$2" "$dir/$3"
    result "$1" $?
}

# within COMMAND…: until it is true, or has not become true for so long that it never will (toolchain/patience.sh).
within()
{
    patience_begin "$PATIENCE"
    until "$@" >/dev/null 2>&1; do
        patience 0.1 || return 1
    done
}

# with_descriptors N COMMAND…: it may open so many.
with_descriptors()
(
    # shellcheck disable=SC3045 # not in POSIX, but in every shell of a device
    ulimit -n "$1"
    shift
    exec "$@"
)

# background LOG COMMAND…: run it in the background, with its output in LOG of $dir, which is emptied before: what an earlier process
# said must not pass for the new one's, since a signal to a process that does not run its program yet may be lost. Its id is $!.
background()
{
    log_of_it=$dir/$1
    shift
    : >"$log_of_it"
    "$@" >"$log_of_it" 2>&1 &
}

free_port()
{
    python3 tests/fake/ports.py
}

# The verdict: the last line, and the exit status.
finish()
{
    echo "$passed passed, $failed failed"
    [ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
    exit
}
