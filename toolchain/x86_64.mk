# The machine that builds.
CROSS     :=
ABI       := -m64
OPTIMIZE  := -O2
MUSL_HOST := x86_64
QEMU_USER :=
DEPS      :=
