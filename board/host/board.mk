# The machine that builds, for tests and for trying things out.
ARCH := x86_64
