# The features that Kconfig offers, as a menu of another build system; toolchain/menus.sh says how it is called.
#
# Every symbol gets PREFIX, in expressions too. What only one program has is shown with that program: BEACON and HUB are the
# conditions, expressions of the other build system. Attributes come in the order, and help texts in the width (62 characters), that
# Buildroot's check-package asks for.

# which program an entry of FILE is of, by its place or its name: beacon, hub or both.
function program_of(file, menu, symbol)
{
    if (file ~ /^src\/beacon\// || menu ~ /^Beacon/ || symbol ~ /^BEACON_/)
        return "beacon"
    if (file ~ /^src\/hub\// || menu ~ /^Hub/ || symbol ~ /^(HUB|WIREGUARD)_/)
        return "hub"
    return "both"
}

function fail(what)
{
    print "menus: " what > "/dev/stderr"
    failed = 1
    exit 1
}

# renamed EXPRESSION: its symbols with their prefix; strings stay.
function renamed(text,    out, token)
{
    out = ""
    while (match(text, /"[^"]*"|[A-Za-z0-9_]+/)) {
        token = substr(text, RSTART, RLENGTH)
        out = out substr(text, 1, RSTART - 1)
        if (token in known)
            out = out prefix token
        else if (token ~ /^[A-Z]/)
            fail("Kconfig has no symbol " token)
        else
            out = out token
        text = substr(text, RSTART + RLENGTH)
    }
    return out text
}

# Attributes of one entry, by their place in it; several of a kind keep their order.
function place_of(word)
{
    if (word ~ /^(bool|int|string|hex|prompt|def_bool)$/)
        return 1
    if (word == "range")
        return 2
    if (word == "default")
        return 3
    if (word == "depends")
        return 4
    if (word == "select" || word == "imply")
        return 5
    return 0
}

# ---- reading: node n has kind[n], rest[n] (what stands behind the word), attributes and a help text ----
function read_file(file,    line, word, in_help)
{
    while ((getline line < file) > 0) {
        if (in_help && line ~ /^(\t  |[ \t]*$)/) {
            sub(/^\t  /, "", line)
            help[nodes] = help[nodes] line "\n"
            continue
        }
        in_help = 0
        if (line ~ /^[ \t]*(#|$)/)
            continue
        split(line, words)
        word = words[1]
        sub(/^[ \t]*/, "", line)
        sub(/^[a-z_]+[ \t]*/, "", line)
        if (word == "source") {
            gsub(/"/, "", line)
            read_file(line)
        } else if (word ~ /^(config|menuconfig|choice|endchoice|menu|endmenu|if|endif|comment)$/) {
            add_node(word, line, file)
        } else if (word == "help") {
            in_help = 1
        } else if (place_of(word)) {
            attributes[nodes, place_of(word)] = attributes[nodes, place_of(word)] word (line == "" ? "" : " " line) "\n"
        } else if (word != "mainmenu") {
            fail(file ": " word " is not known here")
        }
    }
    close(file)
}

function add_node(word, text, file)
{
    nodes++
    kind[nodes] = word
    rest[nodes] = text
    if (word == "menu") {
        depth++
        menu_name[depth] = text
        gsub(/"/, "", menu_name[depth])
    } else if (word == "endmenu") {
        depth--
    } else if (word ~ /config$/) {
        known[text] = 1
        whose[nodes] = program_of(file, menu_name[depth], text)
    }
}

# ---- whose a menu, a choice or an `if` is: what all of its entries are ----
function judge(first,    at, inner, all)
{
    all = ""
    for (at = first + 1; kind[at] !~ /^end/; at++) {
        inner = at
        if (kind[at] ~ /^(menu|choice|if)$/)
            at = judge(at)
        if (whose[inner] != "")
            all = all == "" || all == whose[inner] ? whose[inner] : "both"
    }
    whose[first] = all
    last[first] = at
    return at
}

# ---- writing ----
# A paragraph ends at an empty line; the costs have a line of their own.
function print_help(text,    words, n, i, line)
{
    print "\thelp"
    sub(/\n+$/, "", text)
    gsub(/\n\n+/, " \f ", text)
    gsub(/\nCosts: /, " \v Costs: ", text)
    n = split(text, words, /[ \n]+/)
    line = ""
    for (i = 1; i <= n; i++) {
        if (words[i] ~ /^[\f\v]$/) {
            print "\t  " line (words[i] == "\f" ? "\n" : "")
            line = ""
        } else if (length(line) + 1 + length(words[i]) > 62) {
            print "\t  " line
            line = words[i]
        } else {
            line = line (line == "" ? "" : " ") words[i]
        }
    }
    print "\t  " line
}

function print_entry(node,    i, n, lines, p)
{
    if (kind[node] ~ /config$/)
        print kind[node] " " prefix rest[node]
    else if (kind[node] == "if")
        print "if " renamed(rest[node])
    else
        print kind[node] (rest[node] == "" ? "" : " " rest[node])
    for (p = 1; p <= 5; p++) {
        n = split(attributes[node, p], lines, "\n")
        for (i = 1; i < n; i++)
            print "\t" renamed(lines[i])
    }
    if (help[node] != "")
        print_help(help[node])
    print ""
}

function condition(program)
{
    return program == "beacon" ? beacon : hub
}

# print_inside FIRST LAST SHOWN: the nodes between them; SHOWN is the program that they are inside of already.
function print_inside(first, end, shown,    at, open, wanted)
{
    open = ""
    for (at = first; at < end; at++) {
        wanted = whose[at] == "both" || whose[at] == shown ? "" : whose[at]
        if (wanted != open) {
            if (open != "")
                print "endif\n"
            if (wanted != "")
                print "if " condition(wanted) "\n"
            open = wanted
        }
        print_entry(at)
        if (at in last) {
            print_inside(at + 1, last[at], open == "" ? shown : open)
            at = last[at]
            print_entry(at)
        }
    }
    if (open != "")
        print "endif\n"
}

BEGIN {
    read_file("Kconfig")
    add_node("endmenu", "", "Kconfig")
    judge(0)
    print "# Made by toolchain/menus.sh from Kconfig and src/*/Kconfig: change those.\n"
    print "if " beacon " || " hub "\n"
    print_inside(1, nodes, "both")
    print "endif"
    exit failed
}
