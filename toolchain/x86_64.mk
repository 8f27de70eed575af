# The machine that builds.
CROSS     :=
ABI       := -m64
# What the throughput is compared with must not hang on where a loop happens to lie, nor on byte swaps
# that gcc 12 turns into shuffles when it has inlined them; the boards' -Os does neither.
OPTIMIZE  := -O2 -falign-functions=64 -falign-loops=64 -fno-tree-loop-vectorize
MUSL_HOST := x86_64
QEMU_USER :=
DEPS      :=
