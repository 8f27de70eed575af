#!/bin/sh
# Playbooks carried out on a real device: by hand and by a rule; what the device's own policy denies; a device that is away; commit_within
# with a hub that does not commit; a hub that is killed while a step runs on the device.
# shellcheck disable=SC2034 # $processes names some variables
cd "$(dirname "$0")/.." || exit 1
. tests/lib.sh

make BOARD=host CONFIG=guarded out/host-guarded/nefia-beacon >"$dir/make.log" 2>&1
result "a beacon that takes commands builds" $?
nefia=$PWD/out/host/nefia
beacon=$PWD/out/host-guarded/nefia-beacon
hub_pid=
beacon_pid=
run_pid=
followers=
processes='run_pid beacon_pid hub_pid'
key=0123456789abcdef0123456789abcdef
port=$(free_port)
state=$dir/state
books=$dir/books

umask 077 # the configurations hold a key
mkdir "$books" "$dir/device"
cat >"$dir/device.yaml" <<YAML
host_id: r1
beacons:
  reactor: "127.0.0.1:$port"
  hmac_key: $key
  state_dir: $dir/device
  control_socket: $dir/beacon.sock
  max_events_per_min: 120
  remote: {enabled: true}
policy: {mode: enforce, deny_commands: ['device says no'], allowed_roots: ['$dir']}
YAML
cat >"$dir/nefia.yaml" <<YAML
host_id: hub
reactor:
  listen_address: 127.0.0.1
  listen_port: $port
  hmac_key: $key
  control_socket: $dir/hub.sock
  state_dir: $state
  hosts:
    - {host_id: r1}
    - {host_id: r2}
  rules:
    - {name: mend, event_pattern: '^door\.open', action: {type: playbook, playbook_path: $books/mend.yaml}}
    - {name: slow, event_pattern: '^door\.stuck', action: {type: playbook, playbook_path: $books/slow.yaml}}
policy: {mode: enforce, deny_commands: ['hub says no'], allowed_roots: ['/']}
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
steps:
  - {name: note, run: "echo \"note \$NEFIA_CAUSE\" >>$dir/notes; echo from the device", register: said}
  - {name: look, check: "test -s $dir/notes"}
  - {name: write, file: {path: $dir/made, content: "{{said.output}}", mode: "0600"}}
  - {name: tell, run: "echo hub >>$dir/notes", target: hub}
YAML
book slow <<YAML
on_restart: continue
steps:
  - {name: first, run: "echo first >>$dir/slow"}
  - {name: waits, run: "echo waits >>$dir/slow; until [ -e $dir/go ]; do sleep 0.05; done", timeout: 60s}
  - {name: last, run: "echo last >>$dir/slow"}
YAML
start_hub()
{
    background hub.log "$nefia" reactor run -c "$dir/nefia.yaml"
    hub_pid=$!
    within "$nefia" reactor status -c "$dir/nefia.yaml"
}
start_beacon()
{
    background beacon.log "$beacon" run -c "$dir/device.yaml"
    beacon_pid=$!
    within grep -q 'acknowledges events' "$dir/beacon.log"
}
emit()
{
    "$beacon" emit "$@" -c "$dir/device.yaml" >/dev/null
}
play()
{
    "$nefia" playbook run "$@" -c "$dir/nefia.yaml"
}
# logged PATTERN: a line of the log.
logged()
{
    "$nefia" playbook log --json -c "$dir/nefia.yaml" | grep -q -e "$1"
}
# lines FILE WORD…: FILE of $dir has these lines, in this order.
lines()
{
    file=$dir/$1
    shift
    printf '%s\n' "$@" | cmp -s - "$file"
}

expect "the configuration is right" 0 "$nefia" reactor check -c "$dir/nefia.yaml"
start_hub
start_beacon

# ---- by hand, and by a rule ----
expect "a playbook is run on a device" 0 play "$books/mend.yaml" --target r1
says "each step is a line" '^r1: 1/4 note … done in ' out
says "one of them is on the hub" '^hub: 4/4 tell … done in ' out
lines notes 'note ' hub && grep -q '^from the device$' "$dir/made"
result "with the output of one in another" $?
rm -f "$dir/notes"
emit door.open warning n=1
within logged '"playbook":"mend","host":"r1","rule":"mend","outcome":"done"'
result "or by a rule, on the device of the event" $?
lines notes 'note ["mend"]' hub
result "with the rule as the cause" $?
book some <<YAML
hosts: ['1\$']
steps:
  - {name: note, argv: [/bin/sh, -c, 'echo "\$1" >>$dir/some', sh, "{{host}}"]}
YAML
expect "without a target a playbook is run for all that it is for" 0 play "$books/some.yaml"
lines some r1
result "and for no other" $?
expect "not for one that it is not for" 1 play "$books/some.yaml" --target r2
says "which is said" 'do not match r2' err

# What an action starts has its cause, whatever it goes through.
# shellcheck disable=SC2016 # the device expands it
expect "a command of nefia exec" 0 env NEFIA_CAUSE='["mend","a b"]' "$nefia" exec --target r1 -c "$dir/nefia.yaml" -- 'echo "$NEFIA_CAUSE"'
says "has the cause of what has called it" '^\["mend","a b"\]$' out
expect "what is no cause" 125 env NEFIA_CAUSE='[],"rule":"mend"' "$nefia" exec --target r1 -c "$dir/nefia.yaml" -- true
says "is no part of a request" 'is not a list of names' err
expect "nor of a playbook's" 2 env NEFIA_CAUSE='[[]]' "$nefia" playbook run "$books/mend.yaml" --target r1 -c "$dir/nefia.yaml"

# ---- what is denied ----
for who in hub device; do
    book no <<YAML
steps:
  - {name: first, run: "echo first >>$dir/$who-no", rollback: [{run: "echo undo >>$dir/$who-no"}]}
  - {name: second, run: "echo $who says no >>$dir/$who-no"}
YAML
    expect "what the $who's policy denies" 1 play "$books/no.yaml" --target r1
    says "is denied" '2/2 second … denied: ' out
    lines "$who-no" first undo
    result "and what had begun is undone" $?
done

# ---- commit_within ----
book commit <<YAML
commit_within: 20s
steps:
  - {name: change, run: "echo changed >$dir/change", rollback: [{run: "echo restored >$dir/change"}]}
YAML
expect "a change that is committed" 0 play "$books/commit.yaml" --target r1
lines change changed
result "stays" $?
logged '"step":"commit_within","part":"commit","host":"r1".*"outcome":"done"'
result "and the log has the commit" $?
book lost <<YAML
commit_within: 5s
steps:
  - {name: change, run: "echo changed >$dir/lost; kill -STOP $hub_pid", rollback: [{run: "echo restored >$dir/lost; kill -CONT $hub_pid"}]}
YAML
expect "a change that cuts the hub off" 1 play "$books/lost.yaml" --target r1
lines lost restored
result "is undone by the device itself" $?

# ---- a device that is away ----
kill "$beacon_pid"
wait "$beacon_pid" 2>/dev/null
background run.log "$nefia" playbook run "$books/commit.yaml" --target r1 -c "$dir/nefia.yaml"
run_pid=$!
start_beacon
wait "$run_pid"
result "a device that was away gets its steps when it is back" $?
run_pid=

# ---- a device that restarts in the middle ----
book again <<YAML
on_restart: continue
steps:
  - {name: waits, run: "echo step >>$dir/again; until [ -e $dir/again.go ]; do sleep 0.05; done", timeout: 60s, idempotent: true}
  - {name: last, run: "echo last >>$dir/again"}
YAML
book undone <<YAML
commit_within: 60s
on_restart: rollback
steps:
  - {name: change, run: "echo changed >$dir/undone", rollback: [{run: "echo restored >$dir/undone"}]}
  - {name: waits, run: "touch $dir/undone.begun; until [ -e $dir/undone.go ]; do sleep 0.05; done", timeout: 60s}
YAML
# restarts BOOK FILE: the device is killed when the playbook has made that file, and starts again.
restarts()
{
    background run.log "$nefia" playbook run "$books/$1.yaml" --target r1 -c "$dir/nefia.yaml"
    run_pid=$!
    within [ -e "$dir/$2" ]
    kill -KILL "$beacon_pid"
    wait "$beacon_pid" 2>/dev/null
    start_beacon
}
restarts again again
within sh -c "[ \$(wc -l <'$dir/again') -eq 2 ]"
touch "$dir/again.go"
wait "$run_pid"
result "a playbook goes on with a step that may be begun again, on a device that has restarted" $?
lines again step step last
result "and with what follows" $?
restarts undone undone.begun
within lines undone restored
result "or the device undoes it when it has restarted" $?
! wait "$run_pid"
result "and the playbook has failed" $?
touch "$dir/undone.go"
run_pid=

# ---- a hub that is asked by as many as it takes ----
book busy <<YAML
steps:
  - {name: first, run: "touch $dir/busy; until [ -e $dir/taken ]; do sleep 0.05; done", timeout: 60s}
  - {name: last, run: "echo last >>$dir/busy"}
YAML
background run.log "$nefia" playbook run "$books/busy.yaml" --target r1 -c "$dir/nefia.yaml"
run_pid=$!
within [ -e "$dir/busy" ]
for n in 1 2 3 4; do
    background "follow$n.log" "$nefia" reactor events --follow -c "$dir/nefia.yaml"
    followers="$followers $!"
done
within sh -c "! '$nefia' reactor status -c '$dir/nefia.yaml' >/dev/null 2>&1"
touch "$dir/taken"
# The step's report has to wait: it has nowhere to go.
sleep 0.5
# shellcheck disable=SC2086 # several
kill $followers 2>/dev/null
wait "$run_pid"
result "a playbook waits until the hub takes one more client" $?
run_pid=
lines busy last
result "and nothing of it is taken for denied" $?

# ---- a hub that is killed while a step runs ----
emit door.stuck warning
within grep -q waits "$dir/slow"
kill -KILL "$hub_pid"
wait "$hub_pid" 2>/dev/null
start_hub
touch "$dir/go"
within logged '"playbook":"slow","host":"r1","rule":"slow","outcome":"done"'
result "a hub that is killed while a step runs on the device goes on" $?
lines slow first waits last
result "with the step's own end: each was done once" $?
logged '"playbook":"slow","step":"waits","host":"r1".*"outcome":"done"'
result "which the log has" $?
# The same by hand: the hub stays away for longer than it takes to ask it again.
book away <<YAML
steps:
  - {name: first, run: "echo first >>$dir/away; until [ -e $dir/go2 ]; do sleep 0.05; done", timeout: 60s, rollback: [{run: "echo undo >>$dir/away"}]}
  - {name: last, run: "echo last >>$dir/away"}
YAML
background run.log "$nefia" playbook run "$books/away.yaml" --target r1 -c "$dir/nefia.yaml"
run_pid=$!
within grep -q first "$dir/away"
kill -KILL "$hub_pid"
wait "$hub_pid" 2>/dev/null
sleep 2.5
start_hub
touch "$dir/go2"
wait "$run_pid"
result "a run by hand outlives a hub that is away for a while" $?
run_pid=
lines away first last
result "and what began is not taken for denied" $?

expect "the audit log is whole" 0 "$nefia" audit verify -c "$dir/nefia.yaml"
finish
