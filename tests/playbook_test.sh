#!/bin/sh
# The playbooks of docs/playbooks.md and those that are shipped are right, and do on a hub what they are for; what is wrong is named, and
# a plan says what would be sent and what the policy says to it.
# shellcheck disable=SC2034 # $processes names a variable
cd "$(dirname "$0")/.." || exit 1
. tests/lib.sh

nefia=$PWD/out/host/nefia
shipped=$PWD/rootfs-overlay/usr/share/nefia/playbooks
hub_pid=
processes=hub_pid

cat >"$dir/hub.yaml" <<YAML
host_id: hub-1
reactor:
  peers: [127.0.0.1]
  hosts:
    - {host_id: r1, addresses: [10.0.0.2], role: services}
policy:
  deny_commands: ['\breboot\b']
  deny_paths: ['^/etc/shadow']
  roles:
    - {name: services, allow_commands: ['^service [a-z]+ (restart|reload)$', '^/bin/echo ', '^(test|df|awk|cmp) ']}
YAML
cat >"$dir/none.yaml" <<YAML
reactor: {peers: [127.0.0.1]}
YAML

# ---- what the reference shows ----
for name in first templates rollback; do
    python3 tests/docs.py block play-$name >"$dir/$name.yaml"
    expect "the reference's $name is right" 0 "$nefia" playbook check "$dir/$name.yaml"
    [ ! -s "$dir/err" ]
    result "and nothing about it is doubtful" $?
done
mv "$dir/first.yaml" "$dir/rotate-key.yaml"
(cd "$dir" && "$nefia" playbook check rotate-key.yaml) >"$dir/out" 2>"$dir/err"
python3 tests/docs.py block play-first-check | diff - "$dir/out" >"$dir/diff.log"
result "the answer to a check is the reference's" $?
expect "it can be planned" 0 "$nefia" plan playbook "$dir/rotate-key.yaml" --target gw-1 -c "$dir/none.yaml"
python3 tests/docs.py block play-first-plan | diff - "$dir/out" >"$dir/diff.log"
result "the plan is the reference's" $?
expect "but only for its hosts" 1 "$nefia" plan playbook "$dir/rotate-key.yaml" --target web-1 -c "$dir/none.yaml"
says "which is said" 'no pattern in its .hosts. matches web-1' err

# ---- what is shipped ----
expect "what is shipped is right" 0 "$nefia" playbook check "$shipped"/*.yaml
[ ! -s "$dir/err" ] && [ "$(grep -c ': OK; ' "$dir/out")" -eq 3 ]
result "and nothing about it is doubtful" $?
event()
{
    printf '{"type":"service.status","source":"service-beacon","host_id":"r1","timestamp":"2026-03-10T15:30:00Z","severity":"critical","data":%s}\n' "$1"
}
event '{"service":"sshd","state":"failed"}' >"$dir/event.json"
expect "restart-service has its service and its device from the event" 0 "$nefia" plan playbook "$shipped/restart-service.yaml" \
    --event "$dir/event.json" -c "$dir/hub.yaml"
says "which it names" '^Target: r1 (10.0.0.2)' out
says "so" '"service":{"name":"sshd","verb":"restart"}' out
expect "or from the command line" 0 "$nefia" plan playbook "$shipped/restart-service.yaml" service=cron --target r1 -c "$dir/hub.yaml"
says "so" '"service":{"name":"cron","verb":"restart"}' out
event '{"service":"a;reboot","state":"failed"}' >"$dir/event.json"
expect "a service that cannot be one" 1 "$nefia" plan playbook "$shipped/restart-service.yaml" --target r1 --event "$dir/event.json" \
    -c "$dir/hub.yaml"
says "is none" 'the service "a;reboot" is not the name of a service' out
expect "restore-config is for the device to undo" 0 "$nefia" plan playbook "$shipped/restore-config.yaml" --target gw -c "$dir/none.yaml"
says "within two minutes" 'unless it hears of the hub within 2m' out

# ---- the commands of free-disk, on a tree of ours ----
step()
{
    python3 - "$1" "$nefia" "$shipped/free-disk.yaml" "$dir/none.yaml" <<'PY'
import json, subprocess, sys
out = subprocess.run([sys.argv[2], "plan", "playbook", sys.argv[3], "--target", "r", "--json", "-c", sys.argv[4]], capture_output=True, text=True).stdout
ops = [json.loads(line) for line in out.splitlines()]
print(next(o["op"]["run"] for o in ops if o.get("name") == sys.argv[1] and o["part"] == "step"))
PY
}
mkdir -p "$dir/log/app" "$dir/cache"
for f in messages.1 messages.2.gz app/app.old app/app.log keep.txt fresh.1; do
    echo x >"$dir/log/$f"
done
touch -d '3 days ago' "$dir"/log/messages.1 "$dir"/log/messages.2.gz "$dir"/log/app/* "$dir"/log/keep.txt
step 'rotated logs' | sed "s|/var/log /tmp/log|$dir/log $dir/gone|" >"$dir/rotated.sh"
echo x >"$dir/cache/a.deb"
echo x >"$dir/cache/lock"
step 'package caches' | sed "s|/var/cache/apt/archives|$dir/cache|" >"$dir/caches.sh"
for sh in "sh" "busybox sh"; do
    command -v "${sh%% *}" >/dev/null || continue
    # shellcheck disable=SC2086 # the name of a shell may be two words
    NEFIA_PATH=$dir NEFIA_DAYS=1 $sh "$dir/rotated.sh" >"$dir/out" 2>"$dir/err" && NEFIA_PATH=$dir $sh "$dir/caches.sh" >>"$dir/out" 2>>"$dir/err"
    result "free-disk's commands run in $sh" $?
done
(cd "$dir" && find log cache -type f | sort | tr '\n' ' ') >"$dir/out"
[ "$(cat "$dir/out")" = "cache/lock log/app/app.log log/fresh.1 log/keep.txt " ]
result "they remove rotated logs that are old enough, and packages, and nothing else" $?
: >"$dir/log/messages.1"
touch -d '3 days ago' "$dir/log/messages.1"
NEFIA_PATH=/proc NEFIA_DAYS=1 sh "$dir/rotated.sh"
[ -e "$dir/log/messages.1" ]
result "what lies on another disk stays" $?
step 'still full' >"$dir/full.sh"
NEFIA_PATH=$dir NEFIA_ENOUGH=0 sh "$dir/full.sh" && ! NEFIA_PATH=$dir NEFIA_ENOUGH=100 sh "$dir/full.sh"
result "a disk is full by what df says" $?

# ---- what is wrong, and what is denied ----
cat >"$dir/bad.yaml" <<'YAML'
name: bad
steps:
  - {name: a, run: 'echo {{event.data.x}}'}
  - {name: b, file: {path: '{{event.data.path}}', content: x}}
YAML
expect "several files are checked at once" 2 "$nefia" playbook check "$dir/rotate-key.yaml" "$dir/bad.yaml" "$dir/none.yaml" "$dir/gone.yaml"
says "a command line has no templates" 'bad.yaml:3: steps\[0\].run: no template may stand in a command line' err
says "no event chooses a file" 'bad.yaml:4: steps\[1\].file.path: {{event.data.path}} may not stand here' err
says "a configuration is no playbook" 'none.yaml:1: reactor: unknown key' err
says "a file that is not there is named" 'gone.yaml: No such file' err
says "those that are right are said to be" 'rotate-key.yaml: OK' out

cat >"$dir/denied.yaml" <<'YAML'
name: denied
vars: {file: /etc/shadow}
steps:
  - {name: a, argv: [/bin/echo, '{{event.data.text | default "none"}}']}
  - {name: b, file: {path: '{{vars.file}}', content: x}}
  - {name: c, run: reboot, when: '{{vars.file}} == /etc/motd'}
YAML
expect "what the policy denies is said before" 1 "$nefia" plan playbook "$dir/denied.yaml" --target r1 -c "$dir/hub.yaml"
says "with the pattern" 'Policy: DENIED .* matches deny_paths pattern: "^/etc/shadow"' out
says "what is skipped is not asked for" '{{vars.file}} == /etc/motd (not true: it is skipped)' out
says "and nothing was done" '^No commands were executed.$' out
expect "another file is allowed, another step is not" 1 "$nefia" plan playbook "$dir/denied.yaml" file=/etc/motd --target r1 --json -c "$dir/hub.yaml"
says "in JSON, too" '"step":2,"name":"c","part":"step","where":"host","op":{"run":"reboot".*"verdict":"denied".*"begins":false}' out
expect "without a target there is no plan" 2 "$nefia" plan playbook "$dir/denied.yaml" -c "$dir/hub.yaml"
expect "but there is on the hub" 0 "$nefia" plan playbook "$dir/denied.yaml" file=/x --hub -c "$dir/hub.yaml"
says "by its name" '^Target: hub-1 ' out
says "where it has no role" 'Policy: ALLOWED .* no rule restricts it' out
expect "nor with a variable that it does not have" 2 "$nefia" plan playbook "$dir/denied.yaml" fiel=/x --target r1 -c "$dir/hub.yaml"
says "which is named" '"fiel" is no variable of the playbook' err
event '{"text":"--version"}' >"$dir/event.json"
expect "an option from an event" 1 "$nefia" plan playbook "$dir/denied.yaml" file=/x --target r1 --event "$dir/event.json" -c "$dir/hub.yaml"
says "is refused" 'the argument "--version" would be an option' out
echo '{"type":1}' >"$dir/event.json"
expect "an event that is none" 2 "$nefia" plan playbook "$dir/denied.yaml" --target r1 --event "$dir/event.json" -c "$dir/hub.yaml"
says "is named" 'event.json: ' err
# ---- carried out, on a hub ----
cat >"$dir/run.yaml" <<YAML
host_id: hub-1
reactor:
  listen_address: 127.0.0.1
  listen_port: $(free_port)
  peers: [127.0.0.1]
  state_dir: $dir/state
  control_socket: $dir/hub.sock
YAML
mkdir "$dir/state"
background hub.log "$nefia" reactor run -c "$dir/run.yaml"
hub_pid=$!
within "$nefia" reactor status -c "$dir/run.yaml"

# program NAME SCRIPT: one of ours, in the place of what the reference calls.
program()
{
    printf '#!/bin/sh\n%s\n' "$2" >"$dir/$1"
    chmod +x "$dir/$1"
}
program logger "echo \"\$*\" >>$dir/logged"
sed "s|/usr/bin/logger|$dir/logger|" "$dir/templates.yaml" >"$dir/tell.yaml"
# shellcheck disable=SC2016 # nobody is to expand it
event '{"text":"--x $(reboot) {{vars.log}}"}' >"$dir/event.json"
expect "the reference's templates are run" 0 "$nefia" playbook run "$dir/tell.yaml" "log=$dir/devices" --event "$dir/event.json" -c "$dir/run.yaml"
# shellcheck disable=SC2016 # that is the point
[ "$(cat "$dir/logged")" = '-t nefia -- critical: --x $(reboot) {{vars.log}}' ] && [ "$(cat "$dir/devices")" = 'r1 --x $(reboot) {{vars.log}}' ]
result "what an event says stays a text, in an argument and in a variable" $?

echo 30 >"$dir/limit"
program set-limit "[ \"\$1\" != -- ] || shift; echo \"\$1\" >$dir/limit; echo \"\$1\" >>$dir/limits"
program line-is-good "exit 1"
sed "s|/usr/sbin/|$dir/|; s|/etc/limit|$dir/limit|; s|delay: 10s|delay: 100ms|" "$dir/rollback.yaml" >"$dir/limit.yaml"
expect "the reference's rollback is run" 1 "$nefia" playbook run "$dir/limit.yaml" --hub -c "$dir/run.yaml"
[ "$(tr '\n' ' ' <"$dir/limits")" = "10 30 " ]
result "and puts back what was there" $?
program line-is-good "exit 0"
expect "where nothing fails" 0 "$nefia" playbook run "$dir/limit.yaml" --hub -c "$dir/run.yaml"
[ "$(tr '\n' ' ' <"$dir/limits")" = "10 30 10 " ]
result "nothing is put back" $?

for f in messages.1 messages.2.gz; do
    echo x >"$dir/log/$f"
    touch -d '3 days ago' "$dir/log/$f"
done
sed "s|/var/log /tmp/log|$dir/log|" "$shipped/free-disk.yaml" >"$dir/free-disk.yaml"
expect "free-disk finds that there is room" 0 "$nefia" playbook run "$dir/free-disk.yaml" "path=$dir" enough=100 --hub -c "$dir/run.yaml"
[ -e "$dir/log/messages.1" ]
result "and removes nothing" $?
expect "or that there is none" 1 "$nefia" playbook run "$dir/free-disk.yaml" "path=$dir" enough=0 --hub -c "$dir/run.yaml"
[ ! -e "$dir/log/messages.1" ] && [ ! -e "$dir/log/messages.2.gz" ] && [ -e "$dir/log/keep.txt" ]
result "and removes what it can, and says that it was not enough" $?
finish
