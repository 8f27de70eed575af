# Print `uri suite signed-by` for each entry of an apt sources file that is this Debian release's
# own: its suite is CODENAME or CODENAME-updates, -security, and main is among its components.
# With deb822=1 the file has stanzas (sources(5)), else it has one entry a line.

function ours(suite) {
    return suite == codename || suite == codename "-updates" || suite == codename "-security"
}

function entry(uris, suites, components, key,    u, s, n, m, i, j) {
    if (index(" " components " ", " main ") == 0)
        return
    n = split(uris, u, " ")
    m = split(suites, s, " ")
    for (i = 1; i <= n; i++)
        for (j = 1; j <= m; j++)
            if (ours(s[j]))
                print u[i], s[j], key
}

function flush_stanza() {
    if (field["types"] != "" && tolower(field["enabled"]) != "no")
        entry(field["uris"], field["suites"], field["components"],
              field["signed-by"] ~ /^\// ? field["signed-by"] : "")
    split("", field)
}

function one_line(    key, n, part, i, components) {
    if ($1 != "deb" && $1 != "deb-src")
        return
    key = ""
    if (match($0, /\[[^]]*\]/)) {
        key = substr($0, RSTART + 1, RLENGTH - 2)
        $0 = substr($0, 1, RSTART - 1) substr($0, RSTART + RLENGTH)
        key = match(key, /signed-by=[^ ]*/) ? substr(key, RSTART + 10, RLENGTH - 10) : ""
    }
    components = ""
    for (i = 4; i <= NF; i++)
        components = components " " $i
    entry($2, $3, components, key)
}

/^[ \t]*#/ { next }
deb822 && /^[ \t]*$/ { flush_stanza(); next }
deb822 && /^[^ \t].*:/ {
    name = tolower(substr($0, 1, index($0, ":") - 1))
    value = substr($0, index($0, ":") + 1)
    gsub(/^[ \t]+|[ \t]+$/, "", value)
    field[name] = value
    next
}
!deb822 { one_line() }
END { if (deb822) flush_stanza() }
