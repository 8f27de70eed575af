# An ARMv5TE device such as a Kirkwood NAS; its programs run under qemu-user.
ARCH := armel
