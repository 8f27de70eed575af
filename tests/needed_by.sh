# shellcheck shell=sh
# needed_by SENSOR: the sensors whose results it judges, without which the lines of all-sensors.yaml for it are refused.
needed_by()
{
    case $1 in
    slo_violation) echo reach ;;
    project_slo) echo reach slo_violation process data_budget ;;
    esac
}
