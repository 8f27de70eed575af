# shellcheck shell=dash
# From /etc/config/nefia to the configuration of a program in JSON: sourced by the init scripts, after /lib/functions.sh and
# /usr/share/libubox/jshn.sh. Installed once for each package: beacon.sh and hub.sh in /usr/lib/nefia.
#
# A section's type says what it is, and its options have the names of the keys; docs/openwrt.md has them all. Values go into JSON as
# texts, which the programs take for numbers too: jshn writes 80.1 as 80.099999999999994. What is wrong is for `check` to say.
# No function here may be called option, list, config or package: config_load evaluates the file with these words.

NEFIA_UCI=/etc/config/nefia
NEFIA_KEY=/etc/nefia/hmac.key
NEFIA_USER=nefia

# Options of the sections `beacon` and `hub` that are for these scripts, not for the programs.
NEFIA_OWN='enabled flash unsigned config_file interface host_id'
# Truth values, which UCI writes as 1 and 0.
NEFIA_TRUTHS='enabled require_ack require_nonce journal_sync sync plain idempotent packages always default_route writable key_required'
# Sections that are not sensors.
NEFIA_BEACON_TYPES='beacon remote watched_file kernel_log_pattern'
NEFIA_HUB_TYPES='hub audit host rule webhook'
NEFIA_POLICY_TYPES='policy role'
# Sensors of which there may be several.
NEFIA_LISTS='script reach process storage_assignment_drift sdwan_reachability sdwan_drift sdwan_vip_reachability slo_violation project_slo'
# Keys of a rule that are its action's.
NEFIA_ACTION='webhook_name command target timeout life playbook_path'

nefia_log()
{
	logger -t "nefia-$NEFIA_PROGRAM" -p "daemon.$1" -- "$2"
}

# nefia_has WORD LIST
nefia_has()
{
	case " $2 " in
	*" $1 "*) return 0 ;;
	esac
	return 1
}

# ---- reading ----

nefia_wrong()
{
	echo "$NEFIA_UCI: $1" >&2
	nefia_failed=1
}

# nefia_remember NAME: of an option of the section that is being read.
nefia_remember()
{
	local known

	case $1 in
	*[!A-Za-z0-9_]*)
		nefia_wrong "option \"$1\": a name has letters, digits and _"
		return
		;;
	esac
	eval "known=\$nefia_options_$CONFIG_SECTION"
	# shellcheck disable=SC2154 # set by the eval above
	nefia_has "$1" "$known" || eval "nefia_options_$CONFIG_SECTION=\"\$known \$1\""
}

# nefia_load: /etc/config/nefia, with the names of the options of each section in nefia_options_SECTION.
nefia_load()
{
	nefia_failed=
	config_cb()
	{
		# The last call is without a section.
		case $2 in
		'') ;;
		*[!A-Za-z0-9_]*) nefia_wrong "section \"$2\": a name has letters, digits and _" ;;
		*) eval "nefia_options_$2=" ;;
		esac
	}
	option_cb()
	{
		nefia_remember "$1"
	}
	list_cb()
	{
		nefia_remember "$1"
	}
	config_load nefia
	reset_cb
}

# ---- writing ----

nefia_item()
{
	[ -z "$1" ] || json_add_string "" "$1"
}

# nefia_member SECTION OPTION [KEY]: one member of the object that is open. What is empty is as if it were not there.
nefia_member()
{
	local value length key=${3:-$2}

	config_get length "$1" "${2}_LENGTH"
	if [ -n "$length" ]; then
		json_add_array "$key"
		config_list_foreach "$1" "$2" nefia_item
		json_close_array
		return
	fi
	config_get value "$1" "$2"
	[ -n "$value" ] || return 0
	if nefia_has "$key" "$NEFIA_TRUTHS"; then
		case $value in
		1 | on | true | yes | enabled)
			json_add_boolean "$key" 1
			return
			;;
		0 | off | false | no | disabled)
			json_add_boolean "$key" 0
			return
			;;
		esac
	fi
	json_add_string "$key" "$value"
}

# nefia_members SECTION [WORDS]: all its options but these.
nefia_members()
{
	local name names

	eval "names=\$nefia_options_$1"
	# shellcheck disable=SC2154 # set by the eval above
	for name in $names; do
		nefia_has "$name" "$2" || nefia_member "$1" "$name"
	done
}

# nefia_name SECTION: what is given no name has the section's, unless that is none (cfg and six digits).
nefia_name()
{
	local name

	config_get name "$1" name
	[ -z "$name" ] || return 0
	case $1 in
	cfg[0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f]) ;;
	*) json_add_string name "$1" ;;
	esac
}

nefia_entry()
{
	json_add_object ""
	nefia_name "$1"
	nefia_members "$1"
	json_close_object
}

nefia_plain_entry()
{
	json_add_object ""
	nefia_members "$1"
	json_close_object
}

nefia_count()
{
	nefia_sections=$((nefia_sections + 1))
}

# nefia_array KEY TYPE FUNCTION: a list of what FUNCTION makes of each section of the type, if there is any.
nefia_array()
{
	nefia_sections=0
	config_foreach nefia_count "$2"
	[ "$nefia_sections" -gt 0 ] || return 0
	json_add_array "$1"
	config_foreach "$3" "$2"
	json_close_array
}

# nefia_group SECTION PREFIX KEY: an object of the options that begin with PREFIX, without it.
nefia_group()
{
	local name names open=

	eval "names=\$nefia_options_$1"
	for name in $names; do
		case $name in
		"$2"?*)
			[ -n "$open" ] || json_add_object "$3"
			open=1
			nefia_member "$1" "$name" "${name#"$2"}"
			;;
		esac
	done
	[ -z "$open" ] || json_close_object
}

# nefia_with SECTION PREFIX...: print the options that begin with one of these.
nefia_with()
{
	local name names section=$1 prefix

	shift
	eval "names=\$nefia_options_$section"
	for name in $names; do
		for prefix in "$@"; do
			case $name in
			"$prefix"?*) echo "$name" ;;
			esac
		done
	done
}

# ---- of both programs ----

# nefia_feature WORD: is it in the program?
nefia_feature()
{
	nefia_has "$1" "$NEFIA_FEATURES"
}

# nefia_common SECTION: what both have and what is the system's to say, where the section does not.
nefia_common()
{
	local value flash

	config_get value "$1" hmac_key_file
	[ -n "$value" ] || config_get value "$1" hmac_key
	if [ -z "$value" ]; then
		config_get_bool value "$1" unsigned 0
		[ "$value" = 1 ] || json_add_string hmac_key_file "$NEFIA_KEY"
	fi
	if nefia_feature "$NEFIA_STATE_FEATURE"; then
		config_get value "$1" state_dir
		config_get_bool flash "$1" flash 0
		if [ -z "$value" ] && [ "$flash" = 1 ]; then
			json_add_string state_dir "/etc/nefia/state/$NEFIA_PROGRAM"
		elif [ -z "$value" ]; then
			json_add_string state_dir "/var/lib/nefia/$NEFIA_PROGRAM"
		fi
	fi
	config_get value "$1" control_socket
	[ -n "$value" ] || ! nefia_feature "$NEFIA_CONTROL_FEATURE" || json_add_string control_socket "/var/run/nefia/$NEFIA_PROGRAM.sock"
	config_get value "$1" user
	[ -n "$value" ] || ! nefia_own_user || json_add_string user "$NEFIA_USER"
}

# Does the program change its user by itself? It keeps the capabilities that its sensors need then; procd leaves it none.
nefia_own_user()
{
	nefia_feature privileges && grep -q "^$NEFIA_USER:" /etc/passwd
}

nefia_host_id()
{
	local value

	config_get value "$1" host_id
	[ -n "$value" ] || config_get value "$2" host_id
	[ -z "$value" ] || json_add_string host_id "$value"
}

nefia_policy()
{
	nefia_sections=0
	config_foreach nefia_count policy
	config_foreach nefia_count role
	[ "$nefia_sections" -gt 0 ] || return 0
	json_add_object policy
	config_foreach nefia_members policy
	nefia_array roles role nefia_entry
	json_close_object
}

# ---- the beacon ----

# Sections of any other type are sensors: which there are, `check` knows.
nefia_sensor()
{
	local type

	config_get type "$1" TYPE
	nefia_has "$type" "$NEFIA_BEACON_TYPES $NEFIA_HUB_TYPES $NEFIA_POLICY_TYPES $NEFIA_LISTS" && return 0
	if nefia_has "$type" "$nefia_seen"; then
		nefia_wrong "config $type: there are two of it"
		return 0
	fi
	nefia_seen="$nefia_seen $type"
	json_add_object "$type"
	nefia_members "$1"
	[ "$type" != file ] || nefia_array files watched_file nefia_plain_entry
	[ "$type" != kernel_log ] || nefia_array patterns kernel_log_pattern nefia_entry
	json_close_object
}

nefia_remote()
{
	json_add_object remote
	nefia_members "$1"
	json_close_object
}

nefia_beacon()
{
	local type

	nefia_host_id beacon hub
	json_add_object beacons
	nefia_members beacon "$NEFIA_OWN"
	nefia_common beacon
	config_foreach nefia_remote remote
	nefia_seen=
	config_foreach nefia_sensor
	for type in $NEFIA_LISTS; do
		case $type in
		script) nefia_array scripts script nefia_entry ;;
		*) nefia_array "$type" "$type" nefia_entry ;;
		esac
	done
	json_close_object
	nefia_policy
}

# ---- the hub ----

nefia_host()
{
	json_add_object ""
	nefia_members "$1" "$(nefia_with "$1" label_ | tr '\n' ' ')"
	nefia_group "$1" label_ labels
	json_close_object
}

nefia_rule()
{
	local name

	json_add_object ""
	nefia_name "$1"
	nefia_members "$1" "action $NEFIA_ACTION $(nefia_with "$1" after_ breaker_ | tr '\n' ' ')"
	nefia_group "$1" after_ after
	nefia_group "$1" breaker_ breaker
	json_add_object action
	nefia_member "$1" action type
	for name in $NEFIA_ACTION; do
		nefia_member "$1" "$name"
	done
	json_close_object
	json_close_object
}

nefia_audit()
{
	json_add_object audit
	nefia_members "$1"
	json_close_object
}

nefia_hub()
{
	nefia_host_id hub beacon
	json_add_object reactor
	nefia_members hub "$NEFIA_OWN"
	nefia_common hub
	config_foreach nefia_audit audit
	nefia_array hosts host nefia_host
	nefia_array rules rule nefia_rule
	nefia_array webhooks webhook nefia_entry
	json_close_object
	nefia_policy
}

# ---- for the init scripts ----

# nefia_init beacon|hub PROGRAM: before all others.
nefia_init()
{
	NEFIA_PROGRAM=$1
	NEFIA_BINARY=$2
	NEFIA_FEATURES=$("$2" --version | sed -n 's/^features: //p')
	case $1 in
	beacon)
		NEFIA_VERBS=
		NEFIA_STATE_FEATURE=beacon-state
		NEFIA_CONTROL_FEATURE=beacon-control
		;;
	hub)
		# Every hub has a control socket.
		NEFIA_VERBS=reactor
		NEFIA_STATE_FEATURE=hub-state
		NEFIA_CONTROL_FEATURE=hub-control
		NEFIA_FEATURES="$NEFIA_FEATURES hub-control"
		;;
	esac
}

# nefia_json: print the program's configuration. In a shell of its own: config_load and jshn leave hundreds of variables.
nefia_json()
(
	nefia_load
	json_init
	"nefia_$NEFIA_PROGRAM"
	[ -z "$nefia_failed" ] || exit 1
	json_dump
)

# nefia_check FILE: what is wrong with it goes to the log, a line each, without the name of our temporary file.
nefia_check()
{
	local report

	# shellcheck disable=SC2086 # the verbs are words
	report=$("$NEFIA_BINARY" $NEFIA_VERBS check -c "$1" 2>&1) && return 0
	nefia_log_lines "$(echo "$report" | sed "s|^$NEFIA_TEMPORARY:[0-9]*: |$NEFIA_UCI: |; s|^$NEFIA_TEMPORARY: |$NEFIA_UCI: |")"
	return 1
}

nefia_log_lines()
{
	local line

	echo "$1" | while IFS= read -r line; do
		[ -z "$line" ] || nefia_log err "$line"
	done
}

# nefia_where: the name of the file that the program reads, in NEFIA_CONF.
nefia_where()
{
	NEFIA_CONF=$(config_load nefia && config_get "$NEFIA_PROGRAM" config_file)
	[ -n "$NEFIA_CONF" ] || NEFIA_CONF=/var/etc/nefia/$NEFIA_PROGRAM.json
	NEFIA_TEMPORARY=/var/etc/nefia/$NEFIA_PROGRAM.new.json
}

# nefia_prepare: bring the configuration that the program reads up to date. An erroneous one leaves the old one in its place. Return:
# false if there is none to start with.
nefia_prepare()
{
	local old

	nefia_where
	if [ "$NEFIA_CONF" != "/var/etc/nefia/$NEFIA_PROGRAM.json" ]; then
		nefia_check "$NEFIA_CONF"
		[ -e "$NEFIA_CONF" ]
		return
	fi
	mkdir -p /var/etc/nefia /var/lib/nefia
	[ ! -d /etc/nefia ] || mkdir -p /etc/nefia/state
	nefia_own_user || mkdir -p /var/run/nefia
	old=$(umask)
	umask 077
	if ! nefia_json >"$NEFIA_TEMPORARY" 2>"$NEFIA_TEMPORARY.log"; then
		nefia_log_lines "$(cat "$NEFIA_TEMPORARY.log")"
		rm -f "$NEFIA_TEMPORARY"
	elif ! nefia_readable "$NEFIA_TEMPORARY" || ! nefia_check "$NEFIA_TEMPORARY"; then
		rm -f "$NEFIA_TEMPORARY"
	elif cmp -s "$NEFIA_TEMPORARY" "$NEFIA_CONF"; then
		rm -f "$NEFIA_TEMPORARY"
	else
		mv "$NEFIA_TEMPORARY" "$NEFIA_CONF"
	fi
	rm -f "$NEFIA_TEMPORARY.log"
	umask "$old"
	[ -e "$NEFIA_CONF" ] && return
	nefia_log err "not started: $NEFIA_UCI has errors, and there is no earlier configuration"
	return 1
}

# nefia_readable FILE: for the group of the program's user, who reads it again at a reload; it may hold a secret.
nefia_readable()
{
	! grep -q "^$NEFIA_USER:" /etc/group || chgrp "$NEFIA_USER" "$1" && chmod 640 "$1"
}

# nefia_is_enabled: by /etc/config/nefia.
nefia_is_enabled()
(
	config_load nefia
	config_get_bool enabled "$NEFIA_PROGRAM" enabled 0
	# shellcheck disable=SC2154 # set by config_get_bool
	[ "$enabled" = 1 ]
)

# nefia_begin FILE: is the program to run, with the configuration NEFIA_CONF? FILE has the name of the one it was started with. A file that
# cannot be parsed is not one that disables it: what runs stays.
nefia_begin()
{
	if [ -e "$NEFIA_UCI" ] && ! uci -q export nefia >/dev/null; then
		nefia_log err "$NEFIA_UCI: cannot be parsed; see \`uci show nefia\`"
		NEFIA_CONF=$(cat "$1" 2>/dev/null)
		[ -e "$NEFIA_CONF" ]
		return
	fi
	if ! nefia_is_enabled; then
		rm -f "$1"
		return 1
	fi
	nefia_prepare || return 1
	echo "$NEFIA_CONF" >"$1"
}

# nefia_each_interface FUNCTION: of those that the section names.
nefia_each_interface()
{
	config_load nefia
	config_list_foreach "$NEFIA_PROGRAM" interface "$1"
}

# ---- for uci-defaults: the first boot, or the installation. What is there stays as it is. ----

# nefia_make_key: of 256 bits. /dev/random, since a device that boots for the first time may not have its generator seeded yet.
nefia_make_key()
{
	local old

	[ ! -e "$NEFIA_KEY" ] || return 0
	old=$(umask)
	mkdir -p "${NEFIA_KEY%/*}"
	umask 077
	head -c 64 /dev/random | sha256sum | cut -c 1-64 >"$NEFIA_KEY.new" && nefia_readable "$NEFIA_KEY.new" && mv "$NEFIA_KEY.new" "$NEFIA_KEY"
	umask "$old"
}

# nefia_new_host_id: print the hostname and three bytes of a hardware address: every new device is called OpenWrt.
nefia_new_host_id()
{
	local name address file

	name=$(uci -q get 'system.@system[0].hostname')
	for file in /sys/class/net/br-lan/address /sys/class/net/eth0/address /sys/class/net/*/address; do
		address=$(tr -d ':\n' <"$file" 2>/dev/null)
		case $address in
		'' | 000000000000) ;;
		*) break ;;
		esac
	done
	echo "${name:-OpenWrt}-${address#??????}"
}

# nefia_defaults SECTION: a key, and in /etc/config/nefia the section, which starts nothing.
nefia_defaults()
{
	nefia_make_key
	[ -e "$NEFIA_UCI" ] || : >"$NEFIA_UCI"
	[ -z "$(uci -q get "nefia.$1")" ] || return 0
	uci -q batch <<-UCI
		set nefia.$1=$1
		set nefia.$1.enabled=0
		set nefia.$1.host_id=$(nefia_new_host_id)
	UCI
	[ "$1" != beacon ] || nefia_default_sensors
	uci commit nefia
}

# Those of the usual sensors that the program has.
nefia_default_sensors()
{
	local sensor sensors

	sensors=$("$NEFIA_BINARY" --version | sed -n 's/^sensors: //p')
	for sensor in heartbeat memory load disk_usage flash interface conntrack login; do
		nefia_has "$sensor" "$sensors" && uci -q set "nefia.$sensor=$sensor"
	done
	! nefia_has disk_usage "$sensors" || uci -q add_list nefia.disk_usage.paths=/overlay
}
