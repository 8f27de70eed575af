#!/usr/bin/env python3
"""Command lines for the comparison of the splitter with shells (compare.c), each ended by a NUL.

    generate.py SEED COUNT FILE >lines     FILE: lines of administrators, which are changed at random
    generate.py --names FILE…              the names for which there are to be stubs

Half of the lines come from a grammar, the other half are lines of FILE or of the grammar with a few characters changed. The first
byte is S where all commands of a line must run (nothing in it is conditional), else C.
"""
import random
import re
import sys

PLAIN = [f"c{i}" for i in range(8)]
FAIL = ["f0", "f1"]
ECHO = ["e0", "e1"]
WRAPPERS = """env sudo doas nohup setsid nice ionice taskset chrt timeout stdbuf time chroot flock busybox toybox command xargs
    watch su find start-stop-daemon ip sh ash dash bash""".split()
LITERAL = """a b1 -x --long=1 /etc/x a.b a,b x=1 %s @ + - _ ] } ! if fi done in a#b 10 é Á ń ƈ -- then {a} {a,b} a=b=c ^ : ..
    /""".split()
META = list(";&|<>()$`\\\"' \t\n*?[]#~=%!{}-") + [
    "$(", "${", "$((", "))", "&&", "||", ";;", "<<", ">&", "<<-", "do", "done", "if", "fi", "then", "esac", "case", " in ", "\\\n",
    "$'", "$\"", "${x:-", "`", "'", "\"", "E\n", "\n", "c1", " c2 ", "$x", "$@", "2>", "&>", "<(", "<<<", "{ ", "; }", "()",
    "sh -c ", "eval "]


class Line:
    """One line of the grammar. straight: nothing in it is conditional."""

    def __init__(self, r):
        self.r = r
        self.straight = True
        self.heres = []

    def chance(self, percent):
        return self.r.randrange(100) < percent

    def blank(self):
        return self.r.choice([" "] * 12 + ["  ", "\t", " \\\n", "\\\n "])

    def maybe_blank(self):
        return self.blank() if self.chance(50) else ""

    # ---- words ----
    def quote(self, text):
        kind = self.r.randrange(4)
        if kind == 0 and "'" not in text:
            return "'" + text + "'"
        if kind == 1:
            return '"' + re.sub(r'([\\"$`])', r"\\\1", text) + '"'
        if kind == 2 and "\n" not in text:
            return "".join("\\" + c if not c.isalnum() else c for c in text)
        return "'" + text.replace("'", "'\\''") + "'"

    def substitution(self, depth, quoted):
        heres, self.heres = self.heres, []
        inner = self.list(depth - 1, top=False)
        if self.heres:
            inner += self.bodies(depth)
        self.heres = heres
        if self.chance(30) and not quoted and "<<" not in inner:
            return "`" + re.sub(r"([\\`$])", r"\\\1", inner) + "`"
        return "$(" + (" " if inner.startswith("(") else self.maybe_blank()) + inner + ")"

    def expansion(self, depth, quoted=False):
        kind = self.r.randrange(12)
        if depth > 0 and kind < 3:
            return self.substitution(depth, quoted)
        if kind == 3:
            return "$((" + self.r.choice(["1+2", "(1+2)*3", "4", "1<<2"]) + "))"
        if kind == 4:
            return self.r.choice(["$?", "$#", "$$", "$1", "$@", "$*", "$-", "$!", "$0"])
        if kind == 5 and depth > 0:
            self.straight = False
            value = self.word(depth - 1, not quoted).replace("\n", "").replace("}", "")
            return "${y" + self.r.choice([":-", "-", ":+", "+", "#", "%%"]) + value + "}"
        if kind == 6:
            return self.r.choice(["${x}", "${#x}", "${x#a}", "${x%%b*}", "${x:-d}", "${x:-}", "${x+e}"])
        return self.r.choice(["$x", "$y", "${x}"])

    def piece(self, depth):
        kind = self.r.randrange(20)
        if kind < 7:
            return self.r.choice(LITERAL)
        if kind < 9:
            return self.quote(self.r.choice(["a b", ";", "c9 x", "|", "$x", "`", "#", "", "it's", "\\", "a\nb", "*", "$(c9)", "&",
                                             "<", "\""]))
        if kind == 9:
            return "\\" + self.r.choice("$`\"'\\ ;&|<>(){}#*~a\n")
        if kind < 13:
            return self.expansion(depth)
        if kind < 16:
            inside = "".join(self.r.choice(["a", " ", "'", ";", "\\\"", "\\$", "#", "(", "\\\n", self.expansion(depth, True)])
                             for _ in range(self.r.randrange(4)))
            return '"' + inside + '"'
        if kind == 16:
            return self.r.choice(["*", "a*", "?", "[ab]", "~", "~root"])
        return self.r.choice(["a", "b", "c"])

    def word(self, depth, quotes=True):
        text = "".join(self.piece(depth) if quotes else self.r.choice(["a", "b", self.expansion(depth, True)])
                       for _ in range(self.r.choice([1, 1, 1, 2, 3])))
        if text.startswith("#") or not text:
            text = "a" + text
        return text

    def arguments(self, depth, most=3):
        return "".join(self.blank() + self.word(depth) for _ in range(self.r.randrange(most + 1)))

    # ---- commands ----
    def name(self):
        name = self.r.choice(PLAIN * 4 + FAIL + ECHO)
        if self.chance(10):
            name = self.r.choice(["'%s'", '"%s"', "\\%s", "/bin/%s"]) % name
        elif self.chance(4):
            name = name[0] + self.r.choice(["''", '""', "\\\n"]) + name[1:]
        return name

    def redirection(self, depth):
        kind = self.r.randrange(8)
        number = self.r.choice(["", "", "1", "2", "3"])
        if kind < 3:
            return number + self.r.choice([">", ">>", ">|"]) + self.maybe_blank() + "/tmp/" + self.r.choice("abc")
        if kind == 3:
            return self.r.choice(["2>&1", ">&2", "2>&-", "3<&0", "<>/tmp/a", "</in", "< /in", "3>&-"])
        if kind == 4 and depth > 0 and len(self.heres) < 3:
            quoted, strip = self.r.choice(["", "'", '"', "\\"]), self.r.choice(["", "-"])
            word = self.r.choice(["E", "EOF", "END_", "}"])
            self.heres.append((word, bool(quoted), strip))
            return "<<" + strip + self.r.choice(["", " "]) + (quoted + word + quoted if quoted != "\\" else "\\" + word)
        return number + ">/dev/null"

    def bodies(self, depth):
        text = "\n"
        for word, quoted, strip in self.heres:
            for _ in range(self.r.randrange(3)):
                piece = self.r.choice(["a", "it's", '"', "c9; c8", "#", " E ", "$x", "\\$x", "\\`", "(", ")", "\\\\", "a\\"] +
                                      (["$(c9)", "`", "$(", "${"] if quoted else ["$(c1 a)", "`c2`", "$((1+1))", "${x}"]))
                text += (self.r.choice(["", "\t"]) if strip else "") + piece + "\n"
            text += (self.r.choice(["", "\t"]) if strip else "") + word + "\n"
        self.heres = []
        return text

    def assignment(self, depth):
        return self.r.choice("xyz") + "=" + self.r.choice(["1", "a", "'a b'", "$x", '"$y"', "", self.expansion(depth)])

    def script(self, depth):
        """A list for another shell, in which nothing is pending at its end."""
        heres, self.heres = self.heres, []
        text = self.list(depth - 1, top=False)
        if self.heres:
            text += self.bodies(depth)
        self.heres = heres
        return text

    def wrapped(self, depth, bare=False):
        r = self.r
        inner = self.simple(depth - 1, bare=True)
        if depth > 1 and self.chance(30):
            inner = self.wrapped(depth - 1, bare=True)
        kind = r.randrange(24)
        if kind == 0:
            return r.choice(["env", "env -i", "env -u x", "env A=1", "env A=1 'B=a b'", "env -", "env --", "env -iux",
                             "env -u x A=b"]) + " " + inner
        if kind == 1:
            return r.choice(["sudo", "sudo -u root", "sudo -n", "sudo -EH", "sudo -uroot --", "sudo -nu root A=1", "doas -u root",
                             "doas"]) + " " + inner
        if kind == 2:
            return r.choice(["nohup", "setsid", "setsid -w", "nice", "nice -n 5", "nice -n5", "nice -10", "ionice -c 3",
                             "ionice -c2 -n0"]) + " " + inner
        if kind == 3:
            return r.choice(["timeout 5", "timeout -k 1 5s", "timeout -s KILL 5", "timeout -k1 5"]) + " " + inner
        if kind == 4:
            return r.choice(["stdbuf -oL", "stdbuf -o 0 -i0", "time", "time -p", "chroot /", "taskset 1", "taskset -c 0",
                             "chrt -f 1"]) + " " + inner
        if kind == 5:
            return r.choice(["flock /tmp/l", "flock -n /tmp/l", "flock -w 5 /tmp/l"]) + " " + \
                (inner if self.chance(60) else "-c " + self.quote(self.script(depth)))
        if kind == 6:
            return r.choice(["busybox", "toybox", "command", "command -p", "command --"]) + " " + inner
        if kind == 7:
            return r.choice(["xargs", "xargs -0", "xargs -n 1", "xargs -n1 -r", "xargs -0r -P2"]) + " " + inner
        if kind == 8:
            return "find . " + r.choice(["", "-name '*.x' "]) + r.choice(["-exec", "-execdir"]) + " " + inner + \
                r.choice([" \\;", " ';'", " {} \\;", " {} +"])
        if kind == 9:
            return "su " + r.choice(["-c %s", "- -c %s", "root -c %s", "-c %s root", "-s /bin/sh -c %s a"]) % \
                self.quote(self.script(depth))
        if kind == 10 and not bare:
            return "eval " + r.choice([self.quote(self.script(depth)), "c1 '\"a  b\" c'", "'c1 a;' c2 b"])
        if kind == 11:
            return "start-stop-daemon " + r.choice(["-S -x c1", "-S -b -x c1 --", "-Sbmp /tmp/p -x /bin/c2 -- a", "-K -x c1"])
        if kind == 12:
            return "ip netns exec n " + inner
        if kind == 13:
            return r.choice(["watch -n 1", "watch"]) + " " + self.quote(self.script(depth))
        if kind == 14:
            return "command -v c9"
        return r.choice(["sh", "ash", "dash", "bash", "/bin/sh"]) + r.choice([" -c ", " -c ", " -fc "]) + \
            self.quote(self.script(depth)) + r.choice(["", "", " a", " 'a b' $x"])

    def simple(self, depth, bare=False):
        if not bare and depth > 0 and self.chance(22):
            text = self.wrapped(depth)
        else:
            text = self.name() + self.arguments(depth)
        if bare:
            return text
        if self.chance(8):
            text = self.assignment(depth) + self.blank() + text
        if self.chance(14):
            text += self.blank() + self.redirection(depth)
        if self.chance(4):
            text = self.redirection(depth) + self.blank() + text
        if self.chance(4):
            text = self.assignment(depth)
        return text

    def separator(self):
        if self.heres or self.chance(15):
            comment = self.r.choice(["", "", " # it's ; c9", " #"])
            return comment + self.bodies(1) if self.heres else comment + "\n"
        return self.r.choice([";", "; ", " ;", " & ", "&"])

    def compound(self, depth):
        r = self.r
        kind = r.randrange(9)
        if kind < 2:
            text = "(" + (" " if self.chance(80) else "\\\n ") + self.list(depth - 1) + ")"
        elif kind < 4:
            text = "{ " + self.closed(depth) + "}"
        else:
            self.straight = False
            if kind == 4:
                text = "if " + self.closed(depth) + "then " + self.closed(depth)
                if self.chance(30):
                    text += "elif " + self.closed(depth) + "then\n" + self.closed(depth)
                text += ("else " + self.closed(depth) if self.chance(40) else "") + "fi"
            elif kind == 5:
                text = r.choice(["while f0", "until c0", "while ! c0"]) + r.choice(["; do ", "\ndo "]) + self.closed(depth) + "done"
            elif kind == 6:
                text = "for x in " + self.word(depth - 1) + r.choice([" b", ""]) + r.choice(["; do ", "\ndo ", " ;\ndo "]) + \
                    self.closed(depth) + "done"
            elif kind == 7:
                text = r.choice(["for x do ", "for x\ndo "]) + self.closed(depth) + "done"
            else:
                text = "case " + self.word(depth - 1) + " in\n" if self.chance(50) else "case a in "
                for _ in range(r.randrange(3)):
                    text += r.choice(["", "("]) + r.choice(["a", "a|b", "a | b", "*", "'a b'", "\"$x\"", "[a-z]*", "$(c1)"])
                    text += r.choice([")", ") ", ")\n"]) + self.closed(depth) + ";;" + r.choice([" ", "\n"])
                text += "esac"
        if self.chance(15):
            text += " " + self.redirection(0)
        return text

    def closed(self, depth):
        text = self.list(depth - 1)
        if self.heres:
            return text + self.bodies(depth)
        return text + self.r.choice(["; ", "\n", " ;"])

    def command(self, depth):
        if depth > 0 and self.chance(14):
            return self.compound(depth)
        return self.simple(depth)

    def pipeline(self, depth):
        text = "! " if self.chance(3) else ""
        text += self.command(depth)
        while self.chance(15):
            text += self.r.choice(["|", " | ", " |\\\n"]) + self.command(depth)
        return text

    def list(self, depth, top=False):
        text = self.pipeline(depth)
        while self.chance(35 if top else 20):
            if self.chance(25):
                self.straight = False
                text += self.r.choice(["&&", " && ", "||", " || ", " &&\\\n"]) + self.pipeline(depth)
            else:
                text += self.separator() + self.pipeline(depth)
        return text

    def whole(self):
        text = self.list(self.r.randrange(1, 4), top=True)
        return text + (self.bodies(1) if self.heres else self.r.choice(["", "", "\n", " ", " #c", ";"]))


def changed(r, line, others):
    for _ in range(r.choice([1, 1, 1, 2, 2, 3, 5])):
        at = r.randrange(len(line) + 1)
        kind = r.randrange(6)
        if kind == 0:
            line = line[:at] + line[at + r.randrange(1, 4):]
        elif kind < 4:
            line = line[:at] + r.choice(META) + line[at:]
        elif kind == 4:
            line = line[:at] + r.choice(META) + line[at + 1:]
        else:
            other = r.choice(others)
            line = line[:at] + other[r.randrange(len(other)):][:r.randrange(1, 12)] + line[at:]
    return line


def administrators(path):
    """A line each; one that begins with `| ` belongs to the one before it."""
    text = open(path, encoding="utf-8").read().replace("\n| ", "\0").replace("\n|\n", "\0\n")
    return [line.replace("\0", "\n") for line in text.splitlines() if line and not line.startswith("# ")]


def names(paths):
    found = set(PLAIN + FAIL + ECHO + WRAPPERS)
    for path in paths:
        found.update(re.findall(r"(?<![\w./-])[a-z][\w.-]*", open(path, encoding="utf-8").read()))
    builtin = """if then elif else fi while until do done for case esac in echo printf test cd eval exec trap export readonly read set
        unset shift exit return break continue wait kill umask ulimit type hash alias unalias true false jobs fg bg getopts local times
        source let history help""".split()
    return sorted(n for n in found if n not in builtin and len(n) < 60)


def main():
    if sys.argv[1] == "--names":
        print("\n".join(names(sys.argv[2:])))
        return
    seed, count = int(sys.argv[1]), int(sys.argv[2])
    r = random.Random(seed)
    others = administrators(sys.argv[3])
    out = sys.stdout.buffer
    n = 0
    while n < count:
        line = Line(r)
        text = line.whole()
        kind = "S" if line.straight else "C"
        if r.randrange(2):
            base = text if r.randrange(3) == 0 else r.choice(others)
            text, kind = changed(r, base, others), "C"
            if re.search(r"while +(true|:|sleep|\[|echo|printf|c)|until +(false|f)|kill|yes|sleep", text):
                continue
        if "\0" in text or len(text.encode()) > 4000:
            continue
        out.write((kind + text).encode("utf-8", "replace") + b"\0")
        n += 1


main()
