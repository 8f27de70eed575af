#!/bin/sh
# Run libFuzzer targets for a bounded time each, starting from their kept corpus.
#
#   fuzz.sh SECONDS TARGET…     NAME is the target without fuzz_; inputs found stay in out/fuzz/NAME
set -u

seconds=$1
shift
passed=0
failed=0
for target in "$@"; do
    name=${target##*/fuzz_}
    corpus=tests/fuzz/corpus/fuzz_$name
    [ -d "$corpus" ] || corpus=tests/fuzz/corpus/$name
    mkdir -p "out/fuzz/$name" "$corpus"
    if "$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=1024 -print_final_stats=1 \
        -artifact_prefix="out/fuzz/$name/" "out/fuzz/$name" "$corpus" \
        >"out/fuzz/$name.log" 2>&1 </dev/null; then
        runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "out/fuzz/$name.log")
        echo "ok $name: $runs inputs"
        passed=$((passed + 1))
    else
        tail -n 40 "out/fuzz/$name.log"
        echo "FAIL $name: see out/fuzz/$name.log"
        failed=$((failed + 1))
    fi
done
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
