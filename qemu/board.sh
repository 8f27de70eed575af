# shellcheck shell=sh disable=SC2034  # sourced: the variables are for the scripts that read it
# What the emulated machine of each board is.  Usage: . qemu/board.sh; board_facts BOARD
#
# Its kernel and its BusyBox are those of a Debian architecture ($debian, $flavour), or, where $debian is empty, built from source:
# $linux_arch and $linux_image are Linux's names of the architecture and of the file that QEMU boots, $cross and $abi are the compiler
# and its options, $sysroot has our musl.

board_facts() {
    board=$1
    append="console=ttyS0"
    # Whether its kernel and BusyBox have what an image needs (qemu/image.sh).
    image=''
    # The order is resolved from the modules' own dependencies; built-in ones are skipped.
    modules="virtio_mmio virtio_net virtio_blk crc32c_generic libcrc32c ext4 squashfs overlay"
    # What is there as well, for the scenario that needs it: modules that nobody loads, programs of a Debian package.
    extra='' tools_package='' tools=''
    nic=virtio-net-device
    disk_device=virtio-blk-device
    memory=128M
    disk_fs=ext4
    case $board in
    arm-virt | armel-virt)
        [ "$board" = armel-virt ] || image=yes
        # ARMv5 code runs on the ARMv7 kernel: Debian's armel kernels know no virt machine.
        debian=armhf flavour=armmp
        modules="$modules wireguard"
        extra="nandsim ubi nf_conntrack nfsd nfsv4"
        tools_package=mtd-utils tools="ubiattach ubidetach ubimkvol ubiupdatevol"
        qemu="qemu-system-arm -M virt,highmem=off -cpu cortex-a15"
        append="console=ttyAMA0"
        disk=vda
        ;;
    aarch64-virt)
        debian=arm64 flavour=arm64
        qemu="qemu-system-aarch64 -M virt -cpu cortex-a53"
        append="console=ttyAMA0"
        extra="ramoops i6300esb"
        memory=256M
        disk=vda
        ;;
    mipsel-malta | mips-malta)
        image=yes
        nic=pcnet,romfile= disk_device=ide-hd disk=sda
        modules="pcnet32 ata_piix crc32c_generic libcrc32c ext4 squashfs overlay"
        debian=mipsel flavour=4kc-malta
        qemu="qemu-system-mipsel -M malta -vga none -cpu 24Kc"
        [ "$board" = mipsel-malta ] || {
            debian='' modules='' disk_fs=ext2 qemu="qemu-system-mips -M malta -vga none -cpu 24Kc"
            linux_arch=mips linux_image=vmlinux
            cross=mips-linux-gnu- abi="-EB -march=24kc -msoft-float" sysroot=out/mips-malta/sysroot-fixed
        }
        ;;
    i386-q35)
        debian=i386 flavour=686
        modules="virtio_pci virtio_net virtio_blk crc32c_generic libcrc32c ext4"
        nic=virtio-net-pci,romfile= disk_device=virtio-blk-pci
        qemu="qemu-system-i386 -M q35 -vga none -cpu pentium3"
        disk=vda
        ;;
    riscv64-virt)
        debian='' modules='' disk_fs=ext2
        linux_arch=riscv linux_image=arch/riscv/boot/Image
        cross=riscv64-linux-gnu- abi="-march=rv64gc -mabi=lp64d" sysroot=out/riscv64-virt/sysroot
        qemu="qemu-system-riscv64 -M virt"
        disk=vda
        ;;
    ppc-e500)
        debian='' modules='' disk_fs=ext2
        linux_arch=powerpc linux_image=vmlinux
        cross=powerpc-linux-gnu- abi="-mcpu=8548 -msoft-float -mlong-double-64" sysroot=out/ppc-e500/sysroot
        nic=virtio-net-pci,romfile= disk_device=virtio-blk-pci
        qemu="qemu-system-ppc -M ppce500 -cpu e500v2_v30"
        disk=vda
        ;;
    *)
        echo "qemu: no emulated machine for the board '$board'; there are arm-virt armel-virt" \
            "aarch64-virt mips-malta mipsel-malta i386-q35 riscv64-virt ppc-e500" >&2
        exit 2
        ;;
    esac
}
