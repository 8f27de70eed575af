#!/bin/sh
# A beacon with a policy of its own (board/profiles/guarded.config): its verbs decide as docs/policy.md says, for this device unless
# another is named; a policy that does not fit into the smaller pools of a device is refused by name; and TRE stays on the hub.
cd "$(dirname "$0")/.." || exit 1
. tests/lib.sh

make BOARD=host CONFIG=guarded out/host-guarded/nefia-beacon >"$dir/host.log" 2>&1
result "a beacon with a policy builds" $?
beacon=$PWD/out/host-guarded/nefia-beacon

mkdir "$dir/open"
ln -s /etc "$dir/open/link"
cat >"$dir/device.yaml" <<YAML
host_id: router-1
beacons: {reactor: "192.0.2.1:9500"}
reactor:
  hosts: [{host_id: lab, addresses: [192.0.2.9], role: reader}]
policy:
  deny_commands: ['^(rm|reboot)( |\$)']
  deny_paths: ['\\.key\$']
  roles:
    - {name: reader, hosts: ['^router-'], allow_commands: ['^(uptime|df|rm)( |\$)'], allowed_roots: [$dir/open]}
YAML

# decides STATUS POLICY ARGUMENT…: `policy test` exits with it, and says so.
decides()
{
    status=$1 words=$2
    shift 2
    expect "policy test $*: $words" "$status" "$beacon" policy test -c "$dir/device.yaml" "$@"
    says "  and says so" "^Policy: $words" out
}
expect "check takes the section" 0 "$beacon" check -c "$dir/device.yaml"
decides 0 'ALLOWED — matches allow_commands pattern: .* of role "reader"$' uptime
decides 1 'DENIED — matches no allow_commands pattern of role "reader"$' 'uptime | tail'
decides 1 'DENIED — matches deny_commands pattern: "^(rm|reboot)( |\$)"$' --host other 'nice sh -c "cd /; /bin/rm x"'
decides 0 'ALLOWED — no rule restricts it$' --host other 'tail /x'
decides 1 'DENIED — matches no allow_commands pattern' --host lab 'tail /x'
decides 0 'ALLOWED — lies in allowed_roots' --path "$dir/open/./there"
decides 1 'DENIED — matches deny_paths pattern' --path "$dir/open/a.key"
decides 1 'DENIED — lies in none of allowed_roots' --path "$dir/open/link/passwd"
says "  with the path that the link leads to" '^Path: /etc/passwd$' out
expect "policy test --json" 1 "$beacon" policy test -c "$dir/device.yaml" --json reboot
says "  is one object" '^{"command":"reboot","host":"router-1","role":"reader",.*"verdict":"denied",.*}$' out
expect "policy capabilities is about this device" 0 "$beacon" policy capabilities -c "$dir/device.yaml"
says "  names it" '^Host: router-1$' out
says "  names its role" '^Role: reader$' out
says "  and has its lists" '^allow_commands of role reader:$' out

# The fleet's list is longer than a device has room for: nothing of it counts in silence.
expect "a policy that does not fit is refused" 2 "$beacon" policy test -c tests/configs/policy-fleet.yaml uptime
says "  by name" 'policy\.deny_commands\[.*too many patterns' err
sed 's/(rm|reboot)/\\C/' "$dir/device.yaml" >"$dir/wrong.yaml"
expect "a pattern that the device's matcher cannot do is refused" 2 "$beacon" check -c "$dir/wrong.yaml"
says "  by name" 'policy\.deny_commands\[0\]: ' err

# TRE's functions all begin with tre_; the hub of the same configuration shows that they are looked for in the right way.
make BOARD=arm-virt CONFIG=guarded out/arm-virt-guarded/nefia-beacon out/arm-virt-guarded/nefia >"$dir/arm.log" 2>&1
result "for ARM, too" $?
arm-linux-gnueabihf-nm out/arm-virt-guarded/nefia-beacon.elf >"$dir/out" 2>"$dir/err" &&
    grep -q ' policy_judge' "$dir/out" && ! grep -q ' tre_' "$dir/out"
result "a beacon with a policy is without TRE" $?
arm-linux-gnueabihf-nm out/arm-virt-guarded/nefia.elf | grep -q ' tre_'
result "which is on the hub" $?

finish
