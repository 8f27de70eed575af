# shellcheck shell=sh
# sdk DIRECTORY SYSROOT: a cross compiler as an SDK brings it, arm-sdk-linux-musleabihf-*, made of Debian's for ARM and of our musl:
# its own system root, its own start-up code, a prefix. False where there is nothing to make it of.
sdk()
{
    [ -e "$2/lib/libc.a" ] && command -v arm-linux-gnueabihf-gcc >/dev/null || return 1
    mkdir -p "$1"
    for tool in ar strip nm objdump readelf; do
        ln -sf "$(command -v arm-linux-gnueabihf-$tool)" "$1/arm-sdk-linux-musleabihf-$tool"
    done
    cat >"$1/arm-sdk-linux-musleabihf-gcc" <<END
#!/bin/sh
# gcc as an SDK configures it: musl's headers, start-up code and library without being asked.
start="$2/lib/crt1.o $2/lib/crti.o"
mode=-static
for word in "\$@"; do
    case \$word in
    -dumpmachine) echo arm-sdk-linux-musleabihf; exit 0 ;;
    -c | -E | -S) link=no ;;
    -static-pie) start="$2/lib/rcrt1.o $2/lib/crti.o"; mode='-static-pie -Wl,-static -Wl,--no-dynamic-linker' ;;
    -static | -no-pie) mode='-static -no-pie' ;;
    esac
done
set -- -march=armv7-a+fp -mthumb -mfloat-abi=hard -nostdinc -isystem $2/include \
    -isystem "\$(arm-linux-gnueabihf-gcc -print-file-name=include)" "\$@"
[ "\${link:-}" = no ] && exec arm-linux-gnueabihf-gcc "\$@"
exec arm-linux-gnueabihf-gcc -nostdlib \$mode -L$2/lib \$start "\$@" -Wl,--start-group -lc -lgcc -Wl,--end-group \
    $2/lib/crtn.o
END
    chmod +x "$1/arm-sdk-linux-musleabihf-gcc"
}
