#!/bin/sh
# Playbooks carried out by a real hub, on itself: by hand and by a rule; a step that fails, and its rollback; a hub that is killed in the
# middle, and goes on; what is denied; what the audit says of it.
# shellcheck disable=SC2034 # $processes names some variables
cd "$(dirname "$0")/.." || exit 1
. tests/lib.sh

nefia=$PWD/out/host/nefia
beacon=$PWD/out/host/nefia-beacon
hub_pid=
beacon_pid=
run_pid=
processes='run_pid beacon_pid hub_pid'
key=0123456789abcdef0123456789abcdef
port=$(free_port)
state=$dir/state
books=$dir/books

umask 077 # the configuration holds a key
mkdir "$books"
cat >"$dir/nefia.yaml" <<YAML
host_id: web
beacons:
  reactor: "127.0.0.1:$port"
  hmac_key: $key
  control_socket: $dir/beacon.sock
  max_events_per_min: 120
reactor:
  listen_address: 127.0.0.1
  listen_port: $port
  hmac_key: $key
  control_socket: $dir/hub.sock
  state_dir: $state
  hosts:
    - {host_id: web}
    - {host_id: db}
  rules:
    - {name: mend, event_pattern: '^door\.open', action: {type: playbook, playbook_path: $books/mend.yaml, target: hub}}
    - {name: slow, event_pattern: '^door\.stuck', action: {type: playbook, playbook_path: $books/slow.yaml, target: hub}}
    - {name: back, event_pattern: '^door\.back', action: {type: playbook, playbook_path: $books/back.yaml, target: hub}}
    - {name: late, event_pattern: '^door\.late', action: {type: playbook, playbook_path: $books/late.yaml, target: hub, timeout: 1s}}
policy:
  mode: enforce
  deny_commands: ['forbidden']
YAML
# book NAME: standard input is a playbook's steps and settings.
book()
{
    {
        echo "name: $1"
        cat
    } >"$books/$1.yaml"
}
book mend <<YAML
vars: {who: nobody}
steps:
  - name: note
    argv: [/bin/sh, -c, 'echo "\$1" >>$dir/notes; echo "\$NEFIA_CAUSE" >>$dir/causes', sh, "{{event.data.n}} {{host}} {{vars.who}}"]
  - {name: only sevens, when: '{{event.data.n}} == 7', run: "echo seven >>$dir/notes"}
YAML
# Steps that wait until they are let go, and say that they have begun.
book slow <<YAML
on_restart: continue
steps:
  - {name: first, run: "echo first >>$dir/slow"}
  - {name: waits, idempotent: true, run: "echo waits >>$dir/slow; until [ -e $dir/go ]; do sleep 0.05; done", timeout: 60s}
  - {name: last, run: "echo last >>$dir/slow"}
YAML
book back <<YAML
on_restart: rollback
steps:
  - {name: first, run: "echo first >>$dir/back", rollback: [{run: "echo undo first >>$dir/back"}]}
  - {name: waits, run: "echo waits >>$dir/back; sleep 60", timeout: 60s, rollback: [{run: "echo undo waits >>$dir/back"}]}
  - {name: last, run: "echo last >>$dir/back"}
YAML
book late <<YAML
steps:
  - {name: first, run: "echo first >>$dir/late", rollback: [{run: "echo undo first >>$dir/late"}]}
  - {name: waits, run: "sleep 60", timeout: 60s}
YAML

start_hub()
{
    background hub.log "$nefia" reactor run -c "$dir/nefia.yaml"
    hub_pid=$!
    within "$nefia" reactor status -c "$dir/nefia.yaml"
}
# kill_hub SIGNAL
kill_hub()
{
    kill "$1" "$hub_pid"
    wait "$hub_pid" 2>/dev/null
}
emit()
{
    "$beacon" emit "$@" -c "$dir/nefia.yaml" >/dev/null
}
play()
{
    "$nefia" playbook run "$@" -c "$dir/nefia.yaml"
}
log_of()
{
    "$nefia" playbook log "$@" -c "$dir/nefia.yaml"
}
# logged PATTERN: a line of the log.
logged()
{
    log_of --json | grep -q -e "$1"
}
# lines FILE WORD…: FILE of $dir has these lines, in this order.
lines()
{
    file=$dir/$1
    shift
    printf '%s\n' "$@" | cmp -s - "$file"
}
# nothing_kept: no position of a run is left.
nothing_kept()
{
    ! ls "$state"/playbook.* 2>/dev/null
}

expect "the configuration is right" 0 "$nefia" reactor check -c "$dir/nefia.yaml"
start_hub
background beacon.log "$beacon" run -c "$dir/nefia.yaml"
beacon_pid=$!
within grep -q 'connected to' "$dir/beacon.log"

# ---- by hand ----
echo '{"type":"door.open","source":"t","host_id":"web","timestamp":"2026-01-01T00:00:00Z","severity":"info","data":{"n":7}}' >"$dir/event"
expect "a playbook is run by hand" 0 play "$books/mend.yaml" who=me --hub --event "$dir/event"
says "each step is a line" '^hub: 1/2 note … done in ' out
says "and the run" '^web: run [0-9a-f]* done$' out
lines notes '7 web me' seven
result "with the event's fields and a variable" $?
sed -i 's/"n":7/"n":8/' "$dir/event"
expect "with --json" 0 play "$books/mend.yaml" --hub --event "$dir/event" --json
says "each step is an object" '"step":"note","number":1,"attempt":1,"outcome":"done","exit":0,"duration_ms":' out
says "one is skipped, by its when" '"step":"only sevens",.*"outcome":"skipped"' out
expect "a variable that there is none of" 1 play "$books/mend.yaml" whom=me --hub
expect "a host that it is not for" 1 sh -c "printf 'name: x\nhosts: [\"^db\$\"]\nsteps: [{name: a, run: \"true\"}]\n' >$books/db.yaml; '$nefia' playbook run $books/db.yaml --hub --target web -c $dir/nefia.yaml"
says "is told" 'do not match web' err
expect "but for one that it is for" 0 play "$books/db.yaml" --json --hub --target db
nothing_kept
result "no position is left" $?
book each <<YAML
steps: [{name: a, when: '{{host}} == none', run: "true"}]
YAML
expect "one after the other for all that it is for" 0 strace -f -o "$dir/polls" -e trace=epoll_create1 "$nefia" playbook run \
    "$books/each.yaml" -c "$dir/nefia.yaml"
[ "$(grep -c epoll_create1 "$dir/polls")" -eq 2 ] && [ "$(sed -n 's/.*epoll_create1.*= //p' "$dir/polls" | sort -u | wc -l)" -eq 1 ]
result "what the first one opens is closed" $?
expect "a kernel without epoll" 1 timeout 60 strace -f -o /dev/null -e inject=epoll_create1:error=ENOSYS "$nefia" playbook run "$books/each.yaml" \
    --hub --target web -c "$dir/nefia.yaml"
says "is told, and not waited for" '^nefia: playbook run: web: epoll: Function not implemented' err

book fails <<YAML
steps:
  - {name: first, run: "echo first >>$dir/fails", rollback: [{run: "echo undo first >>$dir/fails"}]}
  - {name: second, run: "echo second >>$dir/fails; exit 3", retries: 1, rollback: [{run: "echo undo second >>$dir/fails"}]}
  - {name: third, run: "echo third >>$dir/fails"}
YAML
expect "a step that fails" 1 play "$books/fails.yaml" --hub
lines fails first second second 'undo second' 'undo first'
result "is tried again, and what has begun is undone in reverse order" $?
says "which is said" 'rolled_back: ' out
book denied <<YAML
steps:
  - {name: first, run: "echo first >>$dir/denied", rollback: [{run: "echo undo first >>$dir/denied"}]}
  - {name: second, run: "echo forbidden >>$dir/denied"}
YAML
expect "a step that the policy denies" 1 play "$books/denied.yaml" --hub
says "is not carried out" '2/2 second … denied: ' out
lines denied first 'undo first'
result "and what has begun is undone" $?

# ---- by a rule ----
rm -f "$dir/notes" "$dir/causes"
emit door.open warning n=7
within logged '"playbook":"mend","host":"web","rule":"mend","outcome":"done"'
result "a rule's playbook is carried out" $?
lines notes '7 web nobody' seven
result "with the event's fields" $?
lines causes '["mend"]'
result "and with the rule as their cause" $?
within nothing_kept
result "and its position is removed" $?
log_of --host web >"$dir/out"
says "the log has it" 'mend  *only sevens  *web  *mend  *done' out
run=$(log_of --json | sed -n 's/.*"run":"\([0-9a-f]*\)","playbook":"fails".*/\1/p' | head -n 1)
log_of --run "$run" >"$dir/out"
[ "$(grep -c "$run" "$dir/out")" = 7 ] && [ "$(wc -l <"$dir/out")" = 8 ]
result "or one run of it" $?
says "with what failed" 'second  *web  *uid [0-9]*  *failed  *exit 3, attempt 2 of 2' out

sed -i 's/steps:/stops:/' "$books/mend.yaml"
expect "a playbook that is wrong is an error of the configuration" 2 "$nefia" reactor check -c "$dir/nefia.yaml"
says "with its own file and line" "mend.yaml:[0-9]*: .*stops" err
emit door.open warning n=8
within grep -q 'mend: playbook failed: the playbook is invalid now: ' "$dir/hub.log"
result "one that became wrong meanwhile is refused" $?
! grep -q '^8' "$dir/notes"
result "and nothing of it is done" $?
sed -i 's/stops:/steps:/' "$books/mend.yaml"

emit door.late warning
within logged '"playbook":"late","host":"web","rule":"late","outcome":"rolled_back","error":"its time limit is over"'
result "a run that takes too long is undone" $?
lines late first 'undo first'
result "as far as it had begun" $?

# ---- a hub that is killed in the middle ----
emit door.stuck warning
within grep -q waits "$dir/slow"
kill_hub -KILL
within sh -c "! pgrep -f 'until \\[ -e $dir/go' >/dev/null"
result "what a killed hub's playbook has begun ends with it" $?
start_hub
within lines slow first waits waits
result "a hub that was killed goes on where it was: the step that is idempotent begins again" $?
touch "$dir/go"
within logged '"playbook":"slow","host":"web","rule":"slow","outcome":"done"'
result "and the run ends" $?
lines slow first waits waits last
result "every other step was done once" $?
logged '"playbook":"slow","step":"waits".*"outcome":"unknown"' && logged '"playbook":"slow","host":"web","rule":"slow","outcome":"resumed"'
result "the log has what was unknown, and that it was resumed" $?
within nothing_kept
result "no position is left" $?

emit door.back warning
within grep -q waits "$dir/back"
kill_hub -KILL
# The driver of before takes its time to end.
flock "$(echo "$state"/playbook.j*.lock)" sleep 1.5 &
start_hub
within logged '"playbook":"back","host":"web","rule":"back","outcome":"rolled_back"'
result "or it undoes what it has begun, where the playbook says so" $?
lines back first waits 'undo waits' 'undo first'
result "in reverse order" $?

# ---- a hub that is stopped in the middle ----
rm -f "$dir/slow" "$dir/go"
emit door.stuck warning n=2
within grep -q waits "$dir/slow"
kill -TERM "$hub_pid"
# The playbook has been told before the log says so.
within grep -q 'nefia: stopping' "$dir/hub.log"
touch "$dir/go"
wait "$hub_pid"
lines slow first waits
result "a hub that is stopped lets the step end" $?
start_hub
within lines slow first waits last
result "and goes on with the next one" $?
within nothing_kept
result "until the run is over" $?

# ---- a run by hand that is interrupted ----
rm -f "$dir/slow" "$dir/go"
background run.log "$nefia" playbook run "$books/slow.yaml" --hub --target web -c "$dir/nefia.yaml"
run_pid=$!
within grep -q waits "$dir/slow"
kill -TERM "$run_pid"
wait "$run_pid"
[ $? = 1 ]
result "a run by hand that is interrupted ends" $?
id=$(sed -n 's/.*--target web --resume \([0-9a-f]*\)`.*/\1/p' "$dir/run.log")
[ -n "$id" ] && [ -e "$state/playbook.$id" ]
result "its position is kept, and it says how to go on" $?
expect "by its name and no other" 2 play "$books/slow.yaml" --hub --target web --resume "../state/playbook.$id"
expect "not with another target" 1 play "$books/slow.yaml" --hub --target db --resume "$id"
says "which is said" 'another target, event or variables' err
touch "$dir/go"
expect "it goes on" 0 play "$books/slow.yaml" --hub --target web --resume "$id"
lines slow first waits waits last
result "where it was" $?
rm -f "$dir/back"
background run.log "$nefia" playbook run "$books/back.yaml" --hub --target web -c "$dir/nefia.yaml"
run_pid=$!
within grep -q waits "$dir/back"
kill -INT "$run_pid"
wait "$run_pid"
lines back first waits 'undo waits' 'undo first'
result "or it is undone at once, where the playbook says so" $?

expect "the audit log is whole" 0 "$nefia" audit verify -c "$dir/nefia.yaml"
kill_hub -TERM
expect "without a hub that records it" 1 play "$books/mend.yaml" --hub --target web
says "nothing begins" 'not recorded by the hub: cannot reach' err

# ---- as an unprivileged daemon, under its filter of system calls ----
if [ "$(id -u)" = 0 ]; then
    user=64123 group=64124
    chmod 755 "$dir"
    chmod -R a+rX "$books"
    mkdir "$dir/theirs"
    chown $user:$group "$dir/theirs"
    sed -e "s|^  state_dir: .*|  state_dir: $dir/theirs/state\n  user: \"$user:$group\"|" -e "s|hub.sock|theirs/hub.sock|" "$dir/nefia.yaml" >"$dir/user.yaml"
    chown 0:$group "$dir/user.yaml"
    chmod 640 "$dir/user.yaml"
    book mend <<YAML
steps:
  - {name: who, run: "grep -E '^(Uid|NoNewPrivs|Seccomp):' /proc/self/status >$dir/theirs/who", rollback: [{run: "echo undone >>$dir/theirs/who"}]}
  - {name: write, file: {path: "$dir/theirs/file", content: "{{event.data.n}}", mode: "0600"}}
  - {name: fails, run: "exit 3"}
YAML
    chmod a+r "$books/mend.yaml"
    background hub.log "$nefia" reactor run -c "$dir/user.yaml"
    hub_pid=$!
    within "$nefia" reactor status -c "$dir/user.yaml"
    emit door.open warning n=9
    theirs()
    {
        "$nefia" playbook log --json -c "$dir/user.yaml" | grep -q '"playbook":"mend","host":"web","rule":"mend","outcome":"rolled_back"'
    }
    within theirs
    result "an unprivileged hub carries a playbook out, and undoes it" $?
    grep -q "^Uid:.$user" "$dir/theirs/who" && grep -q '^NoNewPrivs:.1' "$dir/theirs/who" && grep -q '^Seccomp:.2' "$dir/theirs/who" &&
        grep -q undone "$dir/theirs/who"
    result "as its own user, under its filter" $?
    [ "$(cat "$dir/theirs/file")" = 9 ] && [ "$(stat -c %u:%a "$dir/theirs/file")" = $user:600 ]
    result "and it writes files as that user" $?
    kill_hub -TERM
fi
finish
