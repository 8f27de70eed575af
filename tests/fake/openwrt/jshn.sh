# shellcheck shell=dash disable=SC2154
# A double of libubox's jshn.sh. What is added is kept as a list of steps, one of each namespace; jshn.py makes of it what jshn prints.

JSON_PREFIX=
_jshn_step=$(printf '\036')
_jshn_part=$(printf '\037')

json_set_namespace()
{
	[ -z "${2-}" ] || eval "$2=\$JSON_PREFIX"
	JSON_PREFIX=$1
}

json_init()
{
	eval "_jshn_${JSON_PREFIX}_steps="
}

json_cleanup()
{
	json_init
}

_jshn_add()
{
	eval "_jshn_${JSON_PREFIX}_steps=\"\${_jshn_${JSON_PREFIX}_steps}\$1\$_jshn_part\$2\$_jshn_part\${3-}\$_jshn_step\""
}

json_add_object() { _jshn_add object "$1"; }
json_close_object() { _jshn_add close ""; }
json_add_array() { _jshn_add array "$1"; }
json_close_array() { _jshn_add close ""; }
json_add_string() { _jshn_add string "$1" "$2"; }
json_add_int() { _jshn_add int "$1" "$2"; }
json_add_boolean() { _jshn_add boolean "$1" "$2"; }
json_add_double() { _jshn_add double "$1" "$2"; }

json_dump()
{
	eval "printf '%s' \"\${_jshn_${JSON_PREFIX}_steps}\"" | jshn.py dump
}

# ---- reading ----

json_load()
{
	_jshn_text=$1
	_jshn_path=
	jshn.py check "$1"
}

# json_get_var VARIABLE NAME [DEFAULT]
json_get_var()
{
	if _jshn_got=$(jshn.py get "$_jshn_text" "$_jshn_path" "$2"); then
		eval "$1=\${_jshn_got%.}"
	else
		eval "$1=\${3-}"
	fi
}

json_is_a()
{
	[ "$(jshn.py type "$_jshn_text" "$_jshn_path" "$1")" = "$2" ]
}

json_select()
{
	_jshn_path=$_jshn_path$_jshn_part$1
}

json_get_keys()
{
	eval "$1=\$(jshn.py keys \"\$_jshn_text\" \"\$_jshn_path\")"
}
