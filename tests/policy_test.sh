#!/bin/sh
# The documented policies: each example of docs/policy.md decides what tests/golden/policy_cases.txt says, and the verbs print what the
# page shows; no line of the bypass table gets past the fleet's deny list, and ordinary work does.
#   tests/policy_test.sh [PROGRAM]      default: out/host/nefia
cd "$(dirname "$0")/.." || exit 1
. tests/lib.sh

nefia=${1:-$PWD/out/host/nefia}

expect "the page shows the policies that are tested" 0 python3 tests/docs.py policies
for policy in fleet readonly monitoring deploy warn; do
    expect "the hub accepts policy-$policy.yaml" 0 "$nefia" reactor check -c "tests/configs/policy-$policy.yaml"
done
expect "the examples decide what they are said to" 0 python3 tests/policy.py "$nefia" cases
expect "plan exec prints it, and runs nothing" 0 python3 tests/policy.py "$nefia" plan
expect "nothing gets past the deny list but what the page names" 0 python3 tests/policy.py "$nefia" bypass
expect "ordinary work does" 0 python3 tests/policy.py "$nefia" harmless
expect "each of its patterns is needed" 0 python3 tests/policy.py "$nefia" deciders

# `nefia` of the page is the program with the example's policy.
mkdir "$dir/bin" "$dir/work"
cat >"$dir/bin/nefia" <<SH
#!/bin/sh
first=\$1 second=\$2
shift 2
exec "$nefia" "\$first" "\$second" -c nefia.yaml "\$@"
SH
chmod +x "$dir/bin/nefia"
printf '%s\n' uptime 'logread | tail' 'cat /etc/hosts; reboot' >"$dir/work/commands"

# page NAME: what its commands print is what the page shows.
page()
{
    cp "tests/configs/$1.yaml" "$dir/work/nefia.yaml"
    python3 tests/docs.py block "$1" >"$dir/$1.sh"
    python3 tests/docs.py block "$1-answer" >"$dir/$1.wanted"
    (cd "$dir/work" && PATH=$dir/bin:$PATH sh "../$1.sh") >"$dir/$1.got" 2>&1
    diff "$dir/$1.wanted" "$dir/$1.got" >"$dir/out" 2>&1 && [ -s "$dir/$1.got" ]
    result "the verbs print what the page shows of $1" $?
}
page policy-fleet
page policy-readonly

# A root of 8,192 bytes is the longest, as it is of commands and paths: a longer one is refused when it is read, in any mode.
longest=$(printf '/%08191d' 0)
printf 'policy: {mode: warn, allowed_roots: [%s]}\n' "$longest" >"$dir/root.yaml"
expect "a root of 8192 bytes" 0 "$nefia" policy test -c "$dir/root.yaml" ls
printf 'policy: {mode: warn, allowed_roots: [%s0]}\n' "$longest" >"$dir/root.yaml"
expect "a longer one is refused" 2 "$nefia" policy test -c "$dir/root.yaml" ls
says "for its length" 'policy\.allowed_roots\[0\]: "/0*"\.\.\.: is too long$' err

# A batch has at most 50 commands, and one that cannot be read is not an empty one.
seq 50 | "$nefia" policy test-batch -c tests/configs/policy-warn.yaml >"$dir/out" 2>"$dir/err"
result "a batch of 50" $?
seq 51 | "$nefia" policy test-batch -c tests/configs/policy-warn.yaml >"$dir/out" 2>"$dir/err"
[ $? -eq 2 ] && [ "$(grep -c '^ALLOWED' "$dir/out")" -eq 50 ]
result "one of 51 is refused, after 50 answers" $?
says "with a message" 'more than 50 commands' err
expect "a directory is no batch" 2 "$nefia" policy test-batch -c tests/configs/policy-warn.yaml "$dir"
says "and is named" 'Is a directory' err

# A command that is planned is not run.
expect "plan exec of an allowed command" 0 "$nefia" plan exec -c tests/configs/policy-warn.yaml --target gw-1 -- touch "$dir/ran"
[ ! -e "$dir/ran" ]
result "does not run it" $?
expect "plan exec of a denied command" 1 "$nefia" plan exec -c tests/configs/policy-fleet.yaml --target gw-1 -- reboot
says "says by which pattern" '^Policy: DENIED — matches deny_commands pattern: "^(reboot|' out
says "where it would have run" '^Target: gw-1 (10\.99\.0\.2)$' out
says "and that nothing was" '^No commands were executed\.$' out

# A command ends where its line does: one with a NUL byte is none, and is not judged by what stands before it.
printf 'uptime\nuptime\0; reboot\n' >"$dir/nul"
expect "a batch with a NUL byte is refused" 2 "$nefia" policy test-batch -c tests/configs/policy-fleet.yaml "$dir/nul"
says "says where it is" 'line 2: a NUL byte' err
expect "a batch that cannot be read is refused" 2 "$nefia" policy test-batch -c tests/configs/policy-fleet.yaml "$dir"

finish
