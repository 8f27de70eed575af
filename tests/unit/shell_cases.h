/* Lines and what is found in them; test_shell.c says in which form. */
    {"ls -l",
     "= ls -l\n"},
    {"rm -rf \"/tmp/a b\"; echo 'x y' && grep x || true | wc -l & reboot",
     "= rm -rf /tmp/a b\n"
     "= echo x y\n"
     "= grep x\n"
     "= true\n"
     "= wc -l\n"
     "= reboot\n"},
    {"# a comment",
     ""},
    {"echo a # b; c",
     "= echo a\n"},
    {"echo a#b '#c'",
     "= echo a#b #c\n"},
    {"r\"m\" -r''f \\/ \\",
     "= rm -rf / \\\n"
     "? shells read this differently"},
    {"\\$x\t\"\\$x\\a\"",
     "= $x $x\\a\n"},
    {"a\\\nb c \\\n d",
     "= ab c d\n"},
    {"\"\" x",
     "=  x\n"},
    {"if a; then b; elif c; then d; else e; fi",
     "= a\n"
     "= b\n"
     "= c\n"
     "= d\n"
     "= e\n"},
    {"while a; do b; done; until c; do d; done <f",
     "= a\n"
     "= b\n"
     "= c\n"
     "= d\n"
     "@ < f\n"},
    {"for i in 1 $(a) \"b c\"; do d $i; done",
     "= a\n"
     "= d $i\n"
     "~ d 1\n"},
    {"for i; do a; done; for i\ndo b; done",
     "= a\n"
     "= b\n"},
    {"case $x in a|\"b c\") d ;; (e) f; g;; *) esac; h",
     "= d\n"
     "= f\n"
     "= g\n"
     "= h\n"},
    {"case $(a) in $(b)) c;; esac",
     "= a\n"
     "= b\n"
     "= c\n"},
    {"( a; (b) ); { c; { d; }; }",
     "= a\n"
     "= b\n"
     "= c\n"
     "= d\n"},
    {"! a | b",
     "= a\n"
     "= b\n"},
    {"a |\nb &&\n\nc",
     "= a\n"
     "= b\n"
     "= c\n"},
    {"if (a) then { b; } fi",
     "= a\n"
     "= b\n"},
    {"a $(b `c \"d\\`e\\`\"`) \"$(f \"$(g)\")\"",
     "= e\n"
     "= c d`e`\n"
     "~ c d\n"
     "= b `c \"d\\`e\\`\"`\n"
     "= g\n"
     "= f $(g)\n"
     "= a $(b `c \"d\\`e\\`\"`) $(f \"$(g)\")\n"},
    {"x=$(a) y=`b` c",
     "= a\n"
     "= b\n"
     "= c\n"},
    {"echo $((1 + $(a))) ${x:-$(b)} \"${x#`c`}\"",
     "= a\n"
     "= b\n"
     "= c\n"
     "= echo $((1 + $(a))) ${x:-$(b)} ${x#`c`}\n"
     "~ echo $((1 + $(a))) $(b) ${x#`c`}\n"},
    {"a >b 2>&1 <c >>d >|e <>f 3<&- <<g\nh\ng",
     "@ > b\n"
     "@ < c\n"
     "@ >> d\n"
     "@ >| e\n"
     "@ <> f\n"
     "= a\n"},
    {"a<b>c d",
     "@ < b\n"
     "@ > c\n"
     "= a d\n"},
    {"cat <<E; b\n$(c) `d` ${x:-$(e)} $((1+$(f))) \\$(g) \"h\"\nE\ni",
     "= cat\n"
     "= b\n"
     "= c\n"
     "= d\n"
     "= e\n"
     "= f\n"
     "= i\n"},
    {"cat <<'E'; b\n$(c)\nE\nd",
     "= cat\n"
     "= b\n"
     "= d\n"},
    {"cat <<-E <<\"F\"\n\ta\n\tE\n$(b)\nF\nc",
     "= cat\n"
     "= c\n"},
    {"cat <<E\na\\\nE\nb\nE\nc",
     "= cat\n"
     "= c\n"
     "? shells read this differently"},
    {"a $(cat <<E\nb\nE\n) c",
     "= cat\n"
     "= a $(cat <<E\n"
     "b\n"
     "E\n"
     ") c\n"},
    {"echo \\> \\| a\\;b",
     "= echo > | a;b\n"},
    {"echo { a } if",
     "= echo { a } if\n"},
    {"env",
     "= env\n"},
    {"env -i A=1 'B=x y' rm a",
     "= env -i A=1 B=x y rm a\n"
     "> rm a\n"},
    {"env -u X - rm a",
     "= env -u X - rm a\n"
     "> rm a\n"},
    {"env -S 'rm a'",
     "= env -S rm a\n"
     "~ -S rm a\n"
     "~ rm a\n"
     "~ rm a\n"
     "? what a wrapper runs is not known"},
    {"sudo -nu root -E -- rm a",
     "= sudo -nu root -E -- rm a\n"
     "> rm a\n"},
    {"sudo -l",
     "= sudo -l\n"},
    {"sudo --user=x rm a",
     "= sudo --user=x rm a\n"
     "~ --user=x rm a\n"
     "~ rm a\n"
     "~ a\n"
     "? what a wrapper runs is not known"},
    {"doas -u x rm a",
     "= doas -u x rm a\n"
     "> rm a\n"},
    {"/usr/bin/sudo /bin/rm a",
     "= /usr/bin/sudo /bin/rm a\n"
     "> /bin/rm a\n"},
    {"nohup setsid nice -n5 nice -10 ionice -c2 -n 0 rm a",
     "= nohup setsid nice -n5 nice -10 ionice -c2 -n 0 rm a\n"
     "> setsid nice -n5 nice -10 ionice -c2 -n 0 rm a\n"
     "> nice -n5 nice -10 ionice -c2 -n 0 rm a\n"
     "> nice -10 ionice -c2 -n 0 rm a\n"
     "> ionice -c2 -n 0 rm a\n"
     "> rm a\n"},
    {"timeout -k 1 -s9 5 stdbuf -oL -e 0 rm a",
     "= timeout -k 1 -s9 5 stdbuf -oL -e 0 rm a\n"
     "> stdbuf -oL -e 0 rm a\n"
     "> rm a\n"},
    {"time -p rm a",
     "= time -p rm a\n"
     "> rm a\n"},
    {"time",
     "= time\n"},
    {"chroot /mnt rm a",
     "= chroot /mnt rm a\n"
     "> rm a\n"},
    {"chroot /mnt",
     "= chroot /mnt\n"
     "? a shell reads commands from its input"},
    {"flock -n /l rm a; flock /l -c 'rm a'; flock 9",
     "= flock -n /l rm a\n"
     "> rm a\n"
     "= flock /l -c rm a\n"
     "> rm a\n"
     "= flock 9\n"},
    {"busybox rm a; toybox rm a; busybox sh -c 'rm a'",
     "= busybox rm a\n"
     "> rm a\n"
     "= toybox rm a\n"
     "> rm a\n"
     "= busybox sh -c rm a\n"
     "> sh -c rm a\n"
     "> rm a\n"},
    {"xargs; xargs -0rn1 rm; xargs -I{} mv {} x; xargs -i rm {}",
     "= xargs\n"
     "= xargs -0rn1 rm\n"
     "> rm\n"
     "= xargs -I{} mv {} x\n"
     "> mv {} x\n"
     "= xargs -i rm {}\n"
     "> rm {}\n"},
    {"xargs sh -c 'rm \"$@\"' _",
     "= xargs sh -c rm \"$@\" _\n"
     "> sh -c rm \"$@\" _\n"
     "> rm $@\n"
     "~ rm\n"},
    {"xargs -I% sh -c 'rm %'",
     "= xargs -I% sh -c rm %\n"
     "> sh -c rm %\n"
     "~ -c rm %\n"
     "~ rm %\n"
     "~ rm %\n"
     "? what a wrapper runs is not known"},
    {"xargs -I{} {} a",
     "= xargs -I{} {} a\n"
     "~ -I{} {} a\n"
     "~ {} a\n"
     "~ a\n"
     "? what a wrapper runs is not known"},
    {"xargs sudo",
     "= xargs sudo\n"
     "> sudo\n"
     "? what a wrapper runs is not known"},
    {"sh -c 'rm a; echo $1' x y",
     "= sh -c rm a; echo $1 x y\n"
     "> rm a\n"
     "> echo $1\n"},
    {"sh -ec 'rm a'; /bin/bash -c \"rm b\"",
     "= sh -ec rm a\n"
     "> rm a\n"
     "= /bin/bash -c rm b\n"
     "> rm b\n"
     "? bash understands more than other shells"},
    {"sh -c \"rm $x\"",
     "= sh -c rm $x\n"
     "~ rm $x\n"
     "~ sh -c rm \n"
     "~ rm\n"
     "? a script is computed"},
    {"sh -c 'sh -c \"sh -c \\\"rm a\\\"\"'",
     "= sh -c sh -c \"sh -c \\\"rm a\\\"\"\n"
     "> sh -c sh -c \"rm a\"\n"
     "> sh -c rm a\n"
     "> rm a\n"},
    {"sh; sh x.sh a; sh -",
     "= sh\n"
     "= sh x.sh a\n"
     "= sh -\n"
     "? a shell reads commands from its input"},
    {"sh -s a",
     "= sh -s a\n"
     "~ -s a\n"
     "~ a\n"
     "? what a wrapper runs is not known"},
    {"bash --norc -c 'rm a'",
     "= bash --norc -c rm a\n"
     "~ --norc -c rm a\n"
     "~ -c rm a\n"
     "~ rm a\n"
     "~ rm a\n"
     "? what a wrapper runs is not known"},
    {"eval rm a; eval 'rm b; c' '| d'",
     "= eval rm a\n"
     "> rm a\n"
     "= eval rm b; c | d\n"
     "> rm b\n"
     "> c\n"
     "> d\n"},
    {"eval \"$x\"",
     "= eval $x\n"
     "~ $x\n"
     "~ $x\n"
     "? what a wrapper runs is not known"},
    {"eval \"rm $x\"",
     "= eval rm $x\n"
     "~ rm $x\n"
     "~ eval rm \n"
     "~ rm\n"
     "? a script is computed"},
    {"command rm a; command -p rm b; command -v rm; builtin cd /",
     "= command rm a\n"
     "> rm a\n"
     "= command -p rm b\n"
     "> rm b\n"
     "= command -v rm\n"
     "= builtin cd /\n"
     "> cd /\n"},
    {"exec rm a",
     "= exec rm a\n"
     "> rm a\n"},
    {"exec 3>&1",
     "= exec\n"},
    {"watch -n 1 'rm a' b",
     "= watch -n 1 rm a b\n"
     "> rm a b\n"},
    {"ssh -p 22 h rm a",
     "= ssh -p 22 h rm a\n"
     "~ -p 22 h rm a\n"
     "~ 22 h rm a\n"
     "~ h rm a\n"
     "~ rm a\n"
     "~ a\n"
     "? what a wrapper runs is not known"},
    {"su -c 'rm a' x; su - x -c 'rm b'; su x",
     "= su -c rm a x\n"
     "> rm a\n"
     "= su - x -c rm b\n"
     "> rm b\n"
     "= su x\n"
     "? a shell reads commands from its input"},
    {"su -s /bin/csh -c 'rm a'",
     "= su -s /bin/csh -c rm a\n"
     "~ -s /bin/csh -c rm a\n"
     "~ /bin/csh -c rm a\n"
     "~ -c rm a\n"
     "~ rm a\n"
     "~ rm a\n"
     "? what a wrapper runs is not known"},
    {"find . -exec rm {} \\; -execdir sh -c 'mv \"$1\" x' _ {} \\; -ok a {} +",
     "= find . -exec rm {} ; -execdir sh -c mv \"$1\" x _ {} ; -ok a {} +\n"
     "> rm {}\n"
     "> sh -c mv \"$1\" x _ {}\n"
     "> mv $1 x\n"
     "> a {}\n"},
    {"find . -exec sh -c 'rm {}' \\;",
     "= find . -exec sh -c rm {} ;\n"
     "> sh -c rm {}\n"
     "~ -c rm {}\n"
     "~ rm {}\n"
     "~ rm {}\n"
     "? what a wrapper runs is not known"},
    {"find . -exec {} \\;",
     "= find . -exec {} ;\n"
     "> {}\n"
     "? the name of a command is computed"},
    {"find . -name -exec \\( -exec reboot \\; \\)",
     "= find . -name -exec ( -exec reboot ; )\n"
     "> ( -exec reboot\n"
     "> reboot\n"
     "? what a wrapper runs is not known"},
    {"find . -exec echo x{} + -exec reboot \\;",
     "= find . -exec echo x{} + -exec reboot ;\n"
     "> echo x{} + -exec reboot\n"
     "> reboot\n"
     "? what a wrapper runs is not known"},
    {"ionice -c 2 -p 1 reboot",
     "= ionice -c 2 -p 1 reboot\n"
     "> reboot\n"},
    {"ionice -c 3 -p $$",
     "= ionice -c 3 -p $$\n"},
    {"timeout reboot 5",
     "= timeout reboot 5\n"
     "~ reboot 5\n"
     "~ 5\n"
     "? what a wrapper runs is not known"},
    {"sh -c - reboot",
     "= sh -c - reboot\n"
     "> reboot\n"},
    {"echo reboot | sh //dev/./stdin",
     "= echo reboot\n"
     "= sh //dev/./stdin\n"
     "? a shell reads commands from its input"},
    {"cd /dev && sh stdin",
     "= cd /dev\n"
     "= sh stdin\n"
     "? a shell reads commands from its input"},
    {"sh /usr/lib/dev/x",
     "= sh /usr/lib/dev/x\n"},
    {"/bin/busybox.nosuid reboot",
     "= /bin/busybox.nosuid reboot\n"
     "> reboot\n"},
    {"echo $(\\\n(a '$(reboot)'))",
     "= a $(reboot)\n"
     "= echo $(\\\n(a '$(reboot)'))\n"
     "? shells read this differently"},
    {"echo ${PA\\\nTH:=x}",
     "= echo ${PA\\\nTH:=x}\n"
     "? shells read this differently"},
    {"find $x",
     "= find $x\n"
     "? what a wrapper runs is not known"},
    {"find . -name *.c -exec rm {}",
     "= find . -name *.c -exec rm {}\n"
     "> rm {}\n"
     "? what a wrapper runs is not known"},
    {"start-stop-daemon -S -b -x /bin/a -- -b c; start-stop-daemon -K -x /bin/a",
     "= start-stop-daemon -S -b -x /bin/a -- -b c\n"
     "> /bin/a -b c\n"
     "= start-stop-daemon -K -x /bin/a\n"},
    {"start-stop-daemon --start --exec /bin/a",
     "= start-stop-daemon --start --exec /bin/a\n"
     "~ --start --exec /bin/a\n"
     "~ --exec /bin/a\n"
     "~ /bin/a\n"
     "? what a wrapper runs is not known"},
    {"trap 'rm a' EXIT; trap - INT; trap '' HUP; trap",
     "= trap rm a EXIT\n"
     "> rm a\n"
     "= trap - INT\n"
     "= trap  HUP\n"
     "= trap\n"},
    {"trap \"$x\" EXIT",
     "= trap $x EXIT\n"
     "~ $x\n"
     "? a script is computed"},
    {"ip netns exec n rm a; ip a",
     "= ip netns exec n rm a\n"
     "~ netns exec n rm a\n"
     "~ exec n rm a\n"
     "~ n rm a\n"
     "~ rm a\n"
     "~ a\n"
     "= ip a\n"
     "? what a wrapper runs is not known"},
    {"strace -f rm a",
     "= strace -f rm a\n"
     "~ -f rm a\n"
     "~ rm a\n"
     "~ a\n"
     "? what a wrapper runs is not known"},
    {"strace -o 'x y' sh -c 'rm a; b'",
     "= strace -o x y sh -c rm a; b\n"
     "~ -o x y sh -c rm a; b\n"
     "~ x y sh -c rm a; b\n"
     "~ x y\n"
     "~ sh -c rm a; b\n"
     "~ -c rm a; b\n"
     "~ rm a; b\n"
     "~ rm a\n"
     "~ b\n"
     "? what a wrapper runs is not known"},
    {"$x a",
     "= $x a\n"
     "~ a\n"
     "? the name of a command is computed"},
    {"a$(b) c",
     "= b\n"
     "= a$(b) c\n"
     "~ a c\n"
     "? the name of a command is computed"},
    {"~/a; ./a; *a; a?",
     "= ~/a\n"
     "= ./a\n"
     "= *a\n"
     "= a?\n"
     "? the name of a command is computed"},
    {"[ -f x ]; [[ -f x ]]",
     "= [ -f x ]\n"
     "= [[ -f x ]]\n"
     "? changes what names mean"},
    {"{a,b} c",
     "= {a,b} c\n"
     "~ a b c\n"
     "? the name of a command is computed"},
    {"/bin/{rm,ls} a",
     "= /bin/{rm,ls} a\n"
     "? the name of a command is computed"},
    {"X=1 rm a",
     "= rm a\n"},
    {"X=rm; $X -rf /",
     "= $X -rf /\n"
     "~ rm -rf /\n"
     "? the name of a command is computed"},
    {"X=-rf; rm $X /; X=a",
     "= rm $X /\n"
     "~ rm -rf /\n"},
    {"X=a; Y=$X$X; b $Y",
     "= b $Y\n"
     "~ b aa\n"},
    {"for X in rm; do $X a; done",
     "= $X a\n"
     "~ rm a\n"
     "? the name of a command is computed"},
    {"rm$IFS-rf${IFS}/${IFS%?\?}a",
     "= rm$IFS-rf${IFS}/${IFS%?\?}a\n"
     "~ rm -rf / a\n"
     "? the name of a command is computed"},
    {"r$@m a$*b \"$@\"",
     "= r$@m a$*b $@\n"
     "~ rm ab\n"
     "? the name of a command is computed"},
    {"${x:-rm} a; ${x-b}; ${PATH:=/tmp}",
     "= ${x:-rm} a\n"
     "~ rm a\n"
     "= ${x-b}\n"
     "~ b\n"
     "= ${PATH:=/tmp}\n"
     "~ /tmp\n"
     "? the name of a command is computed"},
    {"$'\\x72\\155' a; $\"rm\" a",
     "= $'\\x72\\155' a\n"
     "~ rm a\n"
     "= $rm a\n"
     "~ rm a\n"
     "? shells read this differently"},
    {"A='rm a'; sh -c \"$A\"",
     "= sh -c $A\n"
     "~ -c $A\n"
     "~ $A\n"
     "~ $A\n"
     "~ rm a\n"
     "~ sh -c rm a\n"
     "~ rm a\n"
     "? what a wrapper runs is not known"},
    {"PATH=/tmp ls",
     "= ls\n"
     "? changes what names mean"},
    {"LD_PRELOAD=x ls",
     "= ls\n"
     "? changes what names mean"},
    {"env PATH=/tmp ls",
     "= env PATH=/tmp ls\n"
     "> ls\n"
     "? changes what names mean"},
    {"export PATH=/tmp; export \"IFS=x\"",
     "= export PATH=/tmp\n"
     "= export IFS=x\n"
     "? changes what names mean"},
    {"export X=1 Y; export $X; unset PATH",
     "= export X=1 Y\n"
     "= export $X\n"
     "~ export 1\n"
     "= unset PATH\n"
     "? changes what names mean"},
    {"read PATH; for PATH in a; do b; done; getopts a PATH",
     "= read PATH\n"
     "= b\n"
     "= getopts a PATH\n"
     "? changes what names mean"},
    {"IFS= read -r x",
     "= read -r x\n"},
    {"IFS=: a",
     "= a\n"
     "? changes what names mean"},
    {"echo $((PATH=1))",
     "= echo $((PATH=1))\n"
     "? changes what names mean"},
    {"alias a=b",
     "= alias a=b\n"
     "? changes what names mean"},
    {". /etc/profile",
     "= . /etc/profile\n"
     "~ /etc/profile\n"
     "? what a wrapper runs is not known"},
    {"source x",
     "= source x\n"
     "~ x\n"
     "? what a wrapper runs is not known"},
    {"hash -p /tmp/a ls",
     "= hash -p /tmp/a ls\n"
     "? changes what names mean"},
    {"f() { a; }; f",
     "= a\n"
     "= f\n"
     "? a function is defined"},
    {"f() a",
     "= a\n"
     "? a function is defined"},
    {"function f { a; }",
     "= function f { a\n"
     "~ f { a\n"
     "~ { a\n"
     "~ a\n"
     "? what a wrapper runs is not known"},
    {"a &>x; b",
     "= a\n"
     "@ > x\n"
     "= b\n"},
    {"a &> x b",
     "= a\n"
     "@ > x\n"
     "= b\n"
     "? shells read this differently"},
    {"a >&x b",
     "@ >& x\n"
     "= a b\n"},
    {"cat <(rm a) >(b)",
     "= rm a\n"
     "= b\n"
     "= cat\n"
     "? a process substitution"},
    {"cat <<<a",
     "@ < a\n"
     "= cat\n"
     "? shells read this differently"},
    {"((a))",
     "= a\n"
     "? shells read this differently"},
    {"a $((b) )",
     "= a $((b)\n"
     "? not understood as shell syntax"},
    {"a; b)",
     "= a\n"
     "= b\n"
     "? not understood as shell syntax"},
    {"a; }",
     "= a\n"
     "? not understood as shell syntax"},
    {"a ;; b",
     "= a\n"
     "= b\n"
     "? not understood as shell syntax"},
    {"(a",
     "= a\n"
     "? not understood as shell syntax"},
    {"{ a",
     "= a\n"
     "? not understood as shell syntax"},
    {"if a; then b",
     "= a\n"
     "= b\n"
     "? not understood as shell syntax"},
    {"if a",
     "= a\n"
     "? not understood as shell syntax"},
    {"a |",
     "= a\n"
     "? not understood as shell syntax"},
    {"a &&",
     "= a\n"
     "? not understood as shell syntax"},
    {"| a",
     "= a\n"
     "? not understood as shell syntax"},
    {"'a",
     "= a\n"
     "? not understood as shell syntax"},
    {"\"a",
     "= a\n"
     "? not understood as shell syntax"},
    {"`a",
     "= a\n"
     "= `a\n"
     "? not understood as shell syntax"},
    {"a $(b",
     "= b\n"
     "= a $(b\n"
     "? not understood as shell syntax"},
    {"a ${x",
     "= a ${x\n"
     "? not understood as shell syntax"},
    {"for 1 in a; do b; done",
     "= 1 in a\n"
     "= b\n"
     "? not understood as shell syntax"},
    {"case a b",
     "= b\n"
     "? not understood as shell syntax"},
    {"a \"${x:-'b'}\"",
     "= a ${x:-'b'}\n"
     "~ a 'b'\n"
     "? shells read this differently"},
    {"a -$'b'",
     "= a -$'b'\n"
     "~ a -b\n"
     "? shells read this differently"},
    {"12>a b",
     "@ > a\n"
     "= b\n"
     "? shells read this differently"},
    {"-x a",
     "= -x a\n"
     "? a command with an unusual name"},
    {"'a b' c",
     "= a b c\n"
     "? a command with an unusual name"},
    {"a=b=c; a+=b",
     "= a+=b\n"
     "? a command with an unusual name"},
    {"'if' a",
     "= if a\n"
     "? a command with an unusual name"},
    {"a<nul>b",
     "@ < nul\n"
     "@ > b\n"
     "= a\n"},
    {"a\tb",
     "= a b\n"},
    {"a é; é",
     "= a é\n"
     "= é\n"
     "? a command with an unusual name"},
    {"((((((((((a))))))))))",
     "= a\n"
     "? shells read this differently"},
    {"$(a $(b $(c $(d $(e $(f $(g $(h $(i)))))))))",
     "= h $(i)))))))))\n"
     "= g $(h $(i)))))))))\n"
     "= f $(g $(h $(i)))))))))\n"
     "= e $(f $(g $(h $(i)))))))))\n"
     "= d $(e $(f $(g $(h $(i)))))))))\n"
     "= c $(d $(e $(f $(g $(h $(i)))))))))\n"
     "= b $(c $(d $(e $(f $(g $(h $(i)))))))))\n"
     "= a $(b $(c $(d $(e $(f $(g $(h $(i)))))))))\n"
     "= $(a $(b $(c $(d $(e $(f $(g $(h $(i)))))))))\n"
     "? nested too deeply"},
    {"ip netns exec$x n rm; ip link show $x; ip -n blue netns e x rm b; ip vrf exec m rm",
     "= ip netns exec$x n rm\n"
     "~ netns exec$x n rm\n"
     "~ exec$x n rm\n"
     "~ exec$x\n"
     "~ exec\n"
     "~ n rm\n"
     "~ rm\n"
     "~ ip netns exec n rm\n"
     "~ netns exec n rm\n"
     "~ exec n rm\n"
     "~ n rm\n"
     "~ rm\n"
     "= ip link show $x\n"
     "= ip -n blue netns e x rm b\n"
     "~ -n blue netns e x rm b\n"
     "~ blue netns e x rm b\n"
     "~ netns e x rm b\n"
     "~ e x rm b\n"
     "~ x rm b\n"
     "~ rm b\n"
     "~ b\n"
     "= ip vrf exec m rm\n"
     "~ vrf exec m rm\n"
     "~ exec m rm\n"
     "~ m rm\n"
     "~ rm\n"
     "? what a wrapper runs is not known"},
    {"ip -all netns exec rm a",
     "= ip -all netns exec rm a\n"
     "~ -all netns exec rm a\n"
     "~ netns exec rm a\n"
     "~ exec rm a\n"
     "~ rm a\n"
     "~ a\n"
     "? what a wrapper runs is not known"},
    {"echo {a,b}c {a} a{b,c}",
     "= echo {a,b}c {a} a{b,c}\n"
     "~ echo a bc {a} a{b,c}\n"},
    {"sh +x -c 'rm a'",
     "= sh +x -c rm a\n"
     "~ +x -c rm a\n"
     "~ -c rm a\n"
     "~ rm a\n"
     "~ rm a\n"
     "? what a wrapper runs is not known"},
    {"xargs xargs; xargs ip; xargs -iX X a; xargs start-stop-daemon -S -x a",
     "= xargs xargs\n"
     "> xargs\n"
     "= xargs ip\n"
     "> ip\n"
     "= xargs -iX X a\n"
     "~ -iX X a\n"
     "~ X a\n"
     "~ a\n"
     "= xargs start-stop-daemon -S -x a\n"
     "> start-stop-daemon -S -x a\n"
     "~ -S -x a\n"
     "~ -x a\n"
     "~ a\n"
     "? what a wrapper runs is not known"},
    {"flock /l -c 'rm a' b",
     "= flock /l -c rm a b\n"
     "~ /l -c rm a b\n"
     "~ -c rm a b\n"
     "~ rm a b\n"
     "~ rm a\n"
     "~ b\n"
     "? what a wrapper runs is not known"},
    {"start-stop-daemon -S -x a b -x c",
     "= start-stop-daemon -S -x a b -x c\n"
     "~ -S -x a b -x c\n"
     "~ -x a b -x c\n"
     "~ a b -x c\n"
     "~ b -x c\n"
     "~ -x c\n"
     "~ c\n"
     "? what a wrapper runs is not known"},
    {"start-stop-daemon -S -x a b c",
     "= start-stop-daemon -S -x a b c\n"
     "> a b c\n"},
    {"trap 0 2; trap '0; a' EXIT",
     "= trap 0 2\n"
     "> 0\n"
     "= trap 0; a EXIT\n"
     "> 0\n"
     "> a\n"},
    {"bash -c a; bash x",
     "= bash -c a\n"
     "> a\n"
     "= bash x\n"
     "? bash understands more than other shells"},
    {"printf -v PATH x; printf '%s' $x",
     "= printf -v PATH x\n"
     "= printf %s $x\n"
     "? changes what names mean"},
    {"echo \"${x@P}\"; a {b}>c",
     "= echo ${x@P}\n"
     "@ > c\n"
     "= a {b}\n"
     "? shells read this differently"},
    {"$'a\\tb\\'c\\u0064\\x65' f",
     "= $'a\\tb\\'c\\u0064\\x65' f\n"
     "~ a b'cde f\n"
     "? shells read this differently"},
    {"a &>b x=1",
     "= a\n"
     "@ > b\n"
     "? shells read this differently"},
    {"r$(true)m -r${x}f $y/ a`b`c; $x rm a; r$1m a",
     "= true\n"
     "= b\n"
     "= r$(true)m -r${x}f $y/ a`b`c\n"
     "~ rm -rf $y/ ac\n"
     "= $x rm a\n"
     "~ rm a\n"
     "= r$1m a\n"
     "~ rm a\n"
     "? the name of a command is computed"},
    {"sh <<E\nr\\m -rf /\nE",
     "= sh\n"
     "~ rm -rf /\n"
     "? a shell reads commands from its input"},
    {"coproc rm a; function f { rm a; }",
     "= coproc rm a\n"
     "~ rm a\n"
     "~ a\n"
     "= function f { rm a\n"
     "~ f { rm a\n"
     "~ { rm a\n"
     "~ rm a\n"
     "~ a\n"
     "? what a wrapper runs is not known"},
    {"strace sh -c 'r\"\"eboot'",
     "= strace sh -c r\"\"eboot\n"
     "~ sh -c r\"\"eboot\n"
     "~ -c r\"\"eboot\n"
     "~ r\"\"eboot\n"
     "~ reboot\n"
     "? what a wrapper runs is not known"},
    {"a 2>/dev/null >/dev/nullx </dev/null",
     "@ > /dev/nullx\n"
     "= a\n"},
    {"export A=$x; command export A=\"$x\"",
     "= export A=$x\n"
     "~ export A=\n"
     "= command export A=$x\n"
     "> export A=$x\n"
     "~ command export A=\n"
     "~ export A=\n"},
    {"command export A=$x",
     "= command export A=$x\n"
     "> export A=$x\n"
     "~ command export A=\n"
     "~ export A=\n"
     "? changes what names mean"},
