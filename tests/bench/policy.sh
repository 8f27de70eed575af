#!/bin/sh
# What a decision of the policy costs, as tables in Markdown.
#   tests/bench/policy.sh
# POLICY_MS (200) may be set in the environment: how long each figure is measured, seven times.
set -eu

ms=${POLICY_MS:-200}
out=out/host
mkdir -p out/bench
cc -O2 -D_GNU_SOURCE -Iinclude -Isrc -include $out/gen/autoconf.h -o out/bench/policy tests/bench/policy.c src/guard/policy.c \
    src/guard/shell*.c src/guard/matcher.c src/guard/pattern_parse.c src/guard/pattern_set.c src/guard/verdict.c src/base/*.c

echo "### Decisions of the policy"
echo
echo "Half of the patterns deny and half allow; none of the first match, and of the second only the last two. The lines are"
echo "\`systemctl restart nginx\`, \`journalctl -u nginx --since today | grep -i error | tail -n 20\`, and \`tail;\` as often as 8,192 bytes hold it, which"
echo "is 1,638 commands. CPU time of one core."
echo
echo "| patterns | steps of their programs | one command, decisions/s | one takes | a pipe of three, decisions/s | one takes | 1,638 commands: one takes |"
echo "|---------:|------------------------:|-------------------------:|----------:|-----------------------------:|----------:|--------------------------:|"
out/bench/policy decisions "$ms"
echo

echo "### The worst patterns, on 8,192 bytes"
echo
echo "A match takes at most the steps of the pattern's program, once for each byte and once for the end: the *share* is of that bound. Beside it, in turns, a"
echo "plain loop over the same bytes (FNV-1a). All but the last are patterns that take a machine that matches by trial years; the last is the worst"
echo "that 20,000 steps of a random search come upon."
echo
echo "| pattern | steps of its program | steps a byte | share | time a byte | of the plain loop | a step, in bytes of the loop | the whole text |"
echo "|---------|---------------------:|-------------:|------:|------------:|------------------:|-----------------------------:|---------------:|"
out/bench/policy worst "$ms"
echo
