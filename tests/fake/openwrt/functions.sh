# shellcheck shell=dash
# A double of OpenWrt's /lib/functions.sh: what our scripts use of it, written from its documented behaviour. As there, config_load
# evaluates what `uci export` prints, so that a function named option or list in a script breaks it here too.

reset_cb()
{
	config_cb() { :; }
	option_cb() { :; }
	list_cb() { :; }
}
reset_cb

config_load()
{
	local export_text

	CONFIG_SECTIONS=
	CONFIG_SECTION=
	export_text=$(uci -q -X export "$1") || return 0
	eval "$export_text"
	# The last section has ended: it is told with a call without a name.
	[ -z "$CONFIG_SECTION" ] || config_cb
}

package() { :; }

config()
{
	CONFIG_SECTION=$2
	CONFIG_SECTIONS="$CONFIG_SECTIONS $2"
	config_set "$2" TYPE "$1"
	config_cb "$1" "$2"
}

option()
{
	local name=$1

	shift
	config_set "$CONFIG_SECTION" "$name" "$*"
	option_cb "$name" "$*"
}

list()
{
	local name=$1 length

	shift
	config_get length "$CONFIG_SECTION" "${name}_LENGTH" 0
	length=$((length + 1))
	config_set "$CONFIG_SECTION" "${name}_ITEM$length" "$*"
	config_set "$CONFIG_SECTION" "${name}_LENGTH" "$length"
	list_cb "$name" "$*"
}

config_set()
{
	eval "CONFIG_${1}_${2}=\$3"
}

# config_get VARIABLE SECTION OPTION [DEFAULT], or SECTION OPTION: prints it. Names with other characters than letters, digits and _ are
# passed over.
config_get()
{
	case $1$2${3-} in
	*[!A-Za-z0-9_]*) return 0 ;;
	esac
	if [ -z "${3-}" ]; then
		eval "echo \"\${CONFIG_${1}_${2}}\""
	else
		eval "$1=\${CONFIG_${2}_${3}:-\$4}"
	fi
}

config_get_bool()
{
	local value_of_bool

	config_get value_of_bool "$2" "$3" "$4"
	case $value_of_bool in
	1 | on | true | yes | enabled) eval "$1=1" ;;
	0 | off | false | no | disabled) eval "$1=0" ;;
	*) eval "$1=\$4" ;;
	esac
}

config_foreach()
{
	local function_of_each=$1 type_of_each=${2-} each type_of_it

	for each in $CONFIG_SECTIONS; do
		config_get type_of_it "$each" TYPE
		[ -n "$type_of_each" ] && [ "$type_of_each" != "$type_of_it" ] && continue
		eval "$function_of_each \"\$each\""
	done
}

config_list_foreach()
{
	# shellcheck disable=SC2034 # item_of_list: in an eval
	local section_of_list=$1 name_of_list=$2 function_of_list=$3 item_of_list length_of_list at_of_list=1

	config_get length_of_list "$section_of_list" "${name_of_list}_LENGTH"
	while [ "$at_of_list" -le "${length_of_list:-0}" ]; do
		config_get item_of_list "$section_of_list" "${name_of_list}_ITEM$at_of_list"
		eval "$function_of_list \"\$item_of_list\""
		at_of_list=$((at_of_list + 1))
	done
}
