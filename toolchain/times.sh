# shellcheck shell=sh disable=SC2034 # it is for who sources it
# Usage: . toolchain/times.sh
#
#   look_at_times FILE      $computed becomes the seconds of processors that the ended children of this shell have used; FILE is written

look_at_times()
{
    times >"$1" # not in a command substitution, which is a shell without children
    computed=$(sed -n '2{s/[ms]/ /g;p;}' "$1" | awk '{ printf "%d", $1 * 60 + $2 + $3 * 60 + $4 }')
}
