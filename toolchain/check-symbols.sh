#!/bin/sh
# Is anything linked in that the promises exclude?
#
#   check-symbols.sh CROSS_PREFIX PROGRAM.elf…   (not stripped)
#
# Looked at is what the linker kept, so a function that is only mentioned somewhere is no matter.
set -eu

cross=$1
shift

# What must not be there, as
# `reason<TAB>extended regular expression of symbol names`.
rules()
{
    cat <<'RULES'
printf family (floating point, large stack)	(v|f|s|d|w|vf|vs|vd|vsn|sn|vas|as|fw|vw|vfw|vsw|sw)*printf(_core)?|fmt_fp
scanf family (floating point)	.*scanf|__floatscan|strto(d|f|ld)|atof
musl's allocator	__libc_malloc(_impl)?|__libc_free|__libc_realloc|__malloc_alloc_meta|__malloc_context|__expand_heap|__simple_malloc|default_malloc|alloc_slot
growing memory	__?brk|sbrk|mremap|__mremap|posix_memalign|aligned_alloc
allocating function	opendir|fdopendir|scandir|fopen|fopen64|fdopen|tmpfile|open_memstream|getline|getdelim|getifaddrs|popen|setenv|putenv|unsetenv|glob|regcomp
name service, threads, dynamic loading	getaddrinfo|gethostbyname.*|getpw.*|getgr.*|pthread_create|dlopen|dlsym
log and time formats with printf inside	v?syslog|perror|psignal|v?err|v?errx|v?warn|v?warnx|strftime(_l)?|__strftime.*|inet_ntop|__assert_fail
RULES
}

rules=$(mktemp)
symbols=$(mktemp)
trap 'rm -f "$rules" "$symbols"' EXIT
rules >"$rules"
tab=$(printf '\t')
passed=0
failed=0
for program in "$@"; do
    "${cross}nm" --defined-only "$program" | awk '{ print $3 }' | sort -u >"$symbols"
    if ! grep -qx main "$symbols"; then
        echo "check-symbols: $program has no symbol main: was it stripped?" >&2
        exit 1
    fi
    bad=0
    while IFS=$tab read -r reason pattern; do
        found=$(grep -Ex "$pattern" "$symbols" | tr '\n' ' ' || true)
        [ -n "$found" ] || continue
        echo "$program: $reason: $found"
        bad=1
    done <"$rules"
    if [ $bad -eq 0 ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
    fi
done
echo "$passed passed, $failed failed"
[ $failed -eq 0 ] && [ $passed -gt 0 ]
