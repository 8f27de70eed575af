# No machine of ours: whatever the compiler given as CC= or CROSS_COMPILE= builds for.
ARCH := foreign
