# shellcheck shell=sh
# How long a test waits for what has to come, however slow the machine is.  Usage: . toolchain/patience.sh
#
#   patience_begin SECONDS      a wait of so long begins, as a rule of $PATIENCE
#   patience MOMENT             sleep for so long; false when the wait is over
#   slowness                    print how many times slower than the reference the machine is now, in percent, 100 or more
#
# The seconds are those of the machine that the tables of docs/measured.md were measured on, when it does nothing else.  Every two seconds of a
# wait a small fixed piece of work is timed, and the programs that want a processor are counted: they count for as much less as the work
# took longer, or as there are more programs than processors. On a slow or busy machine, or one with a single core, a wait lasts as many
# times longer as the work that it waits for.
# Where nothing more is to be expected, because one wait was in vain, the next ones are short.

PATIENCE=120
# The work, and how long it takes there.
YARDSTICK_LOOPS=50000
YARDSTICK_MS=36
# However slow, no wait is longer than so many times its seconds.
SLOWNESS_MOST=2000

patience_now_ms()
{
    date +%s%3N
}

slowness()
{
    yardstick_began=$(patience_now_ms)
    yardstick=0
    while [ "$yardstick" -lt "$YARDSTICK_LOOPS" ]; do
        yardstick=$((yardstick + 1))
    done
    yardstick=$((($(patience_now_ms) - yardstick_began) * 100 / YARDSTICK_MS))
    # So short a piece may find a processor at once where longer work has to share it.
    read -r _ _ _ yardstick_crowd _ </proc/loadavg
    yardstick_crowd=$((${yardstick_crowd%%/*} * 100 / $(nproc)))
    [ "$yardstick" -ge "$yardstick_crowd" ] || yardstick=$yardstick_crowd
    [ "$yardstick" -ge 100 ] || yardstick=100
    [ "$yardstick" -le "$SLOWNESS_MOST" ] || yardstick=$SLOWNESS_MOST
    echo "$yardstick"
}

patience_begin()
{
    patience_left=$(($1 * 1000))
    patience_from=$(patience_now_ms)
}

patience()
{
    sleep "$1"
    patience_step=$(($(patience_now_ms) - patience_from))
    [ "$patience_step" -ge 2000 ] || return 0
    patience_left=$((patience_left - patience_step * 100 / $(slowness)))
    patience_from=$(patience_now_ms)
    [ "$patience_left" -gt 0 ] && return 0
    # shellcheck disable=SC2034 # who waits uses it
    PATIENCE=10
    return 1
}
