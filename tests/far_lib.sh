# shellcheck shell=sh disable=SC2154 # $processes is of tests/lib.sh
# Another host for a test that has a network namespace of its own: far COMMAND runs there, and so does start_far in the background.
# Its process id is $far_pid. Usage, behind tests/lib.sh: . tests/far_lib.sh; far_host OURS THEIRS: joined by a pair of interfaces.
far_pid=''
processes="$processes far_pid"

far()
{
    nsenter --net --target "$far_pid" "$@"
}

# Of a background command, the process id is the command's.
start_far()
{
    exec nsenter --net --target "$far_pid" "$@"
}

other_net()
{
    [ "$(readlink "/proc/$far_pid/ns/net")" != "$(readlink /proc/self/ns/net)" ]
}

far_host()
{
    unshare --net sleep 1000000 & # it holds the other host
    far_pid=$!
    within other_net
    ip link add "$1" type veth peer name "$2"
    ip link set "$2" netns "$far_pid"
}
