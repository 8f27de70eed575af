# shellcheck shell=sh
# What check.sh and run-tests.sh share; they source it.

# verdict STATUS LOG: what a program that ended with STATUS counted: its last line `P passed, F failed` into $p, $f and $line. One
# that says nothing, or ends badly without a failure, failed once.
# shellcheck disable=SC2034 # they use it
verdict()
{
    line=$(grep -E '^[0-9]+ passed, [0-9]+ failed$' "$2" | tail -n 1)
    p=${line%% *}
    f=$(echo "$line" | cut -d ' ' -f 3)
    if [ -z "$line" ]; then
        p=0 f=1
    elif [ "$1" -ne 0 ] && [ "$f" -eq 0 ]; then
        f=1
    fi
}
