#!/bin/sh
# What a hub does with more work than it has room for, with an account of every event: a long event that many rules want, an event that
# more rules want than there are places for, and one host of 64 that floods a rule.
# shellcheck disable=SC2034 # $processes names some variables
cd "$(dirname "$0")/.." || exit 1
. tests/lib.sh

nefia=$PWD/out/host/nefia
hub_pid=
processes=hub_pid
port=$(free_port)
places=$(sed -n 's/^CONFIG_EXEC_JOBS=//p' out/host/.config)
share=$((places - places / 4))

# rules NAME COUNT COMMAND
rules()
{
    i=0
    while [ "$i" -lt "$2" ]; do
        i=$((i + 1))
        echo "    - {name: $1-$i, event_pattern: ^$1\$, action: {type: exec, target: hub, command: '$3'}}"
    done
}
{
    cat <<YAML
reactor:
  listen_address: 127.0.0.1
  listen_port: $port
  peers: [127.0.0.1]
  control_socket: $dir/hub.sock
  rules:
YAML
    rules long 12 "echo \$NEFIA_RULE >>$dir/long"
    rules many $((share + 5)) "echo \$NEFIA_RULE >>$dir/many"
    rules flood 1 "test \$NEFIA_SEVERITY = critical || until test -e $dir/go; do sleep 0.1; done; echo \$NEFIA_HOST >>$dir/flood"
} >"$dir/hub.yaml"
touch "$dir/long" "$dir/many" "$dir/flood"
background hub.log "$nefia" reactor run -c "$dir/hub.yaml"
hub_pid=$!
within "$nefia" reactor status -c "$dir/hub.yaml"

# event TYPE HOST SEVERITY DATA
event()
{
    printf '{"type":"%s","source":"s","host_id":"%s","timestamp":"2026-03-10T15:30:00Z","severity":"%s","data":%s}\n' "$@"
}

send()
{
    socat -u - "TCP:127.0.0.1:$port"
}

# counted PYTHON: of the hub's counters `c`, of which `e` are those of commands.
counted()
{
    "$nefia" reactor status --json -c "$dir/hub.yaml" | python3 -c "
import json, sys
c = [r['counters'] for r in map(json.loads, sys.stdin) if 'counters' in r][0]
e = c['actions']['exec']
sys.exit(not ($1))"
}

# lines FILE
lines()
{
    wc -l <"$dir/$1"
}

event long h info "{\"text\":\"$(printf '%04500d' 0)\"}" | send
within counted "e['done'] == 12"
counted "e['done'] == 12 and e['failed'] == 0 and e['queue_full'] == 0 and c['held'] == 0" && [ "$(sort -u "$dir/long" | wc -l)" = 12 ]
result "twelve rules and one event of 4.5 KB: all act, none is held or dropped" $?

event many h info '{}' | send
within counted "e['queue_full'] == 5"
result "more rules than there are places: what never fits is refused and counted" $?
counted "c['held'] == 0 and c['connections']['holding'] == 0"
result "nobody waits for it" $?
within counted "e['done'] == 12 + $share"
[ "$(sort -u "$dir/many" | wc -l)" = "$share" ]
result "the others act" $?
"$nefia" reactor events -c "$dir/hub.yaml" >"$dir/events.txt"
[ "$(grep -c 'many-.*exec .*queue full' "$dir/events.txt")" = 5 ]
result "each that is refused has a row that says so" $?

# One host sends more than its share and hangs; 63 others send one event each.
flood=$((places + 40))
i=0
while [ "$i" -lt "$flood" ]; do
    event flood flooder info "{\"n\":$i}"
    i=$((i + 1))
done >"$dir/flooder"
send <"$dir/flooder" &
sender=$!
within counted "c['connections']['holding'] == 1 and e['running'] > 0"
result "one host of 64 floods a rule with commands that hang: it has to wait" $?
i=0
while [ "$i" -lt 63 ]; do
    i=$((i + 1))
    event flood "host-$i" critical '{}'
done | send
within counted "e['done'] == 12 + $share + 63"
[ "$(grep -c '^host-' "$dir/flood")" = 63 ] && [ "$(sort -u "$dir/flood" | wc -l)" = 63 ] && ! grep -q flooder "$dir/flood"
result "the critical actions of the others run meanwhile, each once" $?
touch "$dir/go"
within counted "e['done'] + e['queue_full'] == 12 + $share + 63 + $flood + 5 and e['queued'] + e['running'] == 0"
wait "$sender"
acted=$(grep -c '^flooder' "$dir/flood")
counted "e['queue_full'] == 5 + $flood - $acted and e['failed'] == 0" && [ "$(lines flood)" = $((63 + acted)) ]
result "the account of the flood: $acted of $flood acted, the others are counted as dropped" $?

finish
