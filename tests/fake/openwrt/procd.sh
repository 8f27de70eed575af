# shellcheck shell=dash disable=SC2154
# A double of procd's procd.sh: every call goes into $OPENWRT_ROOT/calls, and the instance, when its service is closed, to procd.py, which
# does with it what procd does.

# shellcheck source=tests/fake/openwrt/jshn.sh
. "$OPENWRT_ROOT/usr/share/libubox/jshn.sh"

_procd_note()
{
	echo "$*" >>"$OPENWRT_ROOT/calls"
}

procd_open_service()
{
	_procd_service=$1
	_procd_note "open_service $1"
	json_set_namespace procd _procd_before
	json_init
	json_add_object instances
	json_set_namespace "$_procd_before"
}

procd_close_service()
{
	service_triggers
	json_set_namespace procd _procd_before
	json_close_object
	json_dump | procd.py "$1" "$_procd_service"
	json_set_namespace "$_procd_before"
}

procd_open_instance()
{
	json_set_namespace procd _procd_before
	json_add_object instance1
	json_set_namespace "$_procd_before"
}

procd_close_instance()
{
	json_set_namespace procd _procd_before
	json_close_object
	json_set_namespace "$_procd_before"
}

procd_set_param()
{
	local type=$1 value

	shift
	_procd_note "set_param $type $*"
	json_set_namespace procd _procd_before
	case $type in
	command | file | respawn)
		json_add_array "$type"
		for value in "$@"; do
			json_add_string "" "$value"
		done
		json_close_array
		;;
	*) json_add_string "$type" "$1" ;;
	esac
	json_set_namespace "$_procd_before"
}

procd_add_reload_trigger() { _procd_note "add_reload_trigger $*"; }
procd_add_reload_interface_trigger() { _procd_note "add_reload_interface_trigger $*"; }
procd_add_interface_trigger() { _procd_note "add_interface_trigger $*"; }

procd_send_signal()
{
	_procd_note "send_signal $*"
	procd.py signal "$1" "$3"
}

procd_kill()
{
	procd.py delete "$1"
}
