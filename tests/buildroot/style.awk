# The rules of Buildroot's check-package that need no Buildroot: what is wrong with FILENAME, a line for each fault.
# The kind of the file is in KIND: mk, config, hash, defconfig, sysv.

function fault(what)
{
    print FILENAME ":" FNR ": " what
    faults++
}

BEGIN {
    place["bool"] = place["prompt"] = place["string"] = 1
    place["default"] = 2
    place["depends"] = 3
    place["select"] = 4
    place["help"] = 5
}

/[ \t]$/ { fault("space at the end of the line") }
/^$/ && last == "" && FNR > 1 { fault("two empty lines") }
{ last = $0 }

# ---- package/*/*.mk ----
KIND == "mk" {
    hashes = "################################################################################"
    if ((FNR == 1 || FNR == 5) && $0 != hashes || (FNR == 2 || FNR == 4) && $0 != "#" || FNR == 6 && $0 != "")
        fault("not the header that Buildroot wants")
    if (length($0) > 80)
        fault("more than 80 characters")
    if (/[^ -~\t]/)
        fault("a character that is not ASCII")
    if (/(  |\t)\\$/)
        fault("not one space before the backslash")
    if (/\$\{/)
        fault("${} instead of $()")
    if (/^(define )?[A-Z0-9_]+_[A-Z0-9_]+/ && !/^(define )?(NEFIA_EDGE_|BR_NO_CHECK_HASH_FOR)/)
        fault("a variable that is not of this package")
    if (/_INSTALL_(STAGING|IMAGES) *= *NO|_INSTALL_TARGET *= *YES/)
        fault("a default that is said again")
    if (/^NEFIA_EDGE_SOURCE *=.*tar\.gz/)
        fault("the default of _SOURCE")
    inside = in_define || continued
    if (/^endef/)
        in_define = inside = 0
    if (!continued && /^(ifdef|ifeq|ifndef|ifneq|else|endif)/)
        inside = 0
    if ($0 != "" && !/^#/ && inside != /^\t/)
        fault(inside ? "no tab where there has to be one" : "a tab where there must be none")
    if (/^define/)
        in_define = 1
    if (continued && $0 == "")
        fault("a backslash before an empty line")
    continued = /\\$/ && !/^#/
}
KIND == "mk" && match($0, /^[A-Z0-9_]+ *:?=/) {
    name = substr($0, 1, RLENGTH)
    if (name in assigned)
        fault("assigned twice")
    assigned[name] = 1
}

# ---- Config* ----
KIND == "config" && /^\t  / {
    if (length($0) > 65)
        fault("more than 62 characters of help")
    if (first_of_help && /^\t   /)
        fault("a help that begins with a space")
    first_of_help = 0
    next
}
KIND == "config" && !/^(#|$)/ {
    if ($1 in place) {
        if ($0 !~ "^\t" $1)
            fault("not one tab before " $1)
        if (place[$1] < order)
            fault($1 " after what belongs behind it")
        order = place[$1]
    } else if ($1 ~ /^(choice|comment|config|endchoice|endif|endmenu|if|menu|menuconfig|source)$/) {
        order = 0
        if (/^[ \t]/)
            fault("space before " $1)
    }
    if (/^\tdefault n$/)
        fault("default n")
    first_of_help = $1 == "help"
    if ($1 ~ /config$/ && $2 in declared)
        fault($2 " declared twice")
    if ($1 ~ /config$/)
        declared[$2] = 1
}

# ---- *.hash ----
KIND == "hash" && !/^(#|$)/ {
    if ($0 != $1 "  " $2 "  " $3 || $1 != "sha256" || $2 !~ /^[0-9a-f]+$/ || length($2) != 64)
        fault("not: sha256, two spaces, 64 digits, two spaces, a file")
}

# ---- configs/*_defconfig ----
KIND == "defconfig" && $0 == "BR2_DOWNLOAD_FORCE_CHECK_HASHES=y" { forces = 1 }

# ---- S95name ----
KIND == "sysv" && /^\t* / { fault("not indented with tabs") }
KIND == "sysv" && /^DAEMON=/ {
    daemon = substr($0, 8)
    gsub(/["']/, "", daemon)
    if (daemon ~ /\// || named)
        fault("DAEMON with a path, or twice")
    named = 1
}
KIND == "sysv" && /^PIDFILE=/ && !/^PIDFILE="\/var\/run\/\$DAEMON\.pid"$/ { fault("not /var/run/$DAEMON.pid") }

END {
    if (last == "")
        fault("an empty line at the end")
    if (KIND == "defconfig" && !forces)
        fault("no BR2_DOWNLOAD_FORCE_CHECK_HASHES")
    base = FILENAME
    sub(/.*\//, "", base)
    if (KIND == "sysv" && base !~ "^S[0-9][0-9]" daemon "$")
        fault("not named S<digit><digit><DAEMON>")
    exit faults > 0
}
